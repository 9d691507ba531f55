# SPDX-License-Identifier: GPL-3.0-or-later
"""Free ports of 127.0.0.1. Tests run in parallel: a port is reserved by a lock file for the life of
this process, and taken below the range from which the kernel hands out ports of its own accord.

    ports.py NAME [NAME …] -- COMMAND …

runs the command with a port in each variable NAME, reserved until it and what it started have ended."""
import contextlib
import fcntl
import os
import random
import socket
import sys
import tempfile

_held = []
_folder = os.path.join(tempfile.gettempdir(), f"navette-ports.{os.getuid()}")


def _range():
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
        low = int(f.read().split()[0])
    return range(15000, low) if low > 16000 else range(15000, 32000)


def free():
    os.makedirs(_folder, mode=0o700, exist_ok=True)
    candidates = _range()
    for _ in range(1000):
        port = random.choice(candidates)
        lock = os.open(os.path.join(_folder, str(port)), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", port))
        except OSError:
            os.close(lock)
            continue
        _held.append(lock)
        return port
    raise AssertionError("no free port")


LOOPBACK = ("127.", "[::1]:", "[::ffff:127.")


def _address(text):
    """"0100007F:1F90", as the kernel writes it."""
    host, port = text.split(":")
    words = [host[i:i + 8] for i in range(0, len(host), 8)]
    raw = b"".join(bytes.fromhex(w)[::-1] for w in words)
    family = socket.AF_INET if len(raw) == 4 else socket.AF_INET6
    name = socket.inet_ntop(family, raw)
    return f"{name if len(raw) == 4 else f'[{name}]'}:{int(port, 16)}"


def addresses(pids):
    """Where these processes listen, each as "127.0.0.1:8080" or "[::1]:8080"."""
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):  # it ended meanwhile
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    found = []
    for table in ("tcp", "tcp6"):
        with open(f"/proc/net/{table}", encoding="ascii") as f:
            for line in list(f)[1:]:
                _, local, _, state, *rest = line.split()
                if state == "0A" and f"socket:[{rest[5]}]" in inodes:
                    found.append(_address(local))
    return found


def listening(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def main(words):
    if "--" not in words[1:-1]:
        sys.exit(__doc__)
    names, command = words[:words.index("--")], words[words.index("--") + 1:]
    for name in names:
        os.environ[name] = str(free())
    for lock in _held:
        os.set_inheritable(lock, True)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
