# SPDX-License-Identifier: GPL-3.0-or-later
"""Free ports of 127.0.0.1. Tests run in parallel: a port is reserved by a lock file for the life of
this process, and taken below the range from which the kernel hands out ports of its own accord.

    ports.py NAME [NAME …] -- COMMAND …

runs the command with a port in each variable NAME, reserved until it and what it started have ended."""
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
