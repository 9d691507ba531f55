# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes and all their children have used, and what a result file says of the machine."""
import collections
import datetime
import glob
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
TICK = os.sysconf("SC_CLK_TCK")
SAMPLE = 0.25  # seconds between looks at the memory: a look takes time from those who are measured


def _stat(pid):
    """(name, parent, seconds of processor time of its own, those of children that have ended)"""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
        head, _, rest = f.read().rpartition(")")
    fields = rest.split()
    own = 0 if int(pid) == os.getpid() else int(fields[11]) + int(fields[12])  # who measures does not count
    return head.partition("(")[2], int(fields[1]), own / TICK, (int(fields[13]) + int(fields[14])) / TICK


def family(roots):
    """The processes and all that descend from them."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                children.setdefault(_stat(name)[1], []).append(int(name))
            except (OSError, IndexError):
                pass
    found, todo = set(), list(roots)
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children.get(pid, [])
    return found


def _io(pid, key):
    with open(f"/proc/{pid}/io", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(key + ":"))


class Usage:
    """Between start and stop: seconds of processor time, in all and by who took them, bytes read from and dirtied for
    a disk, and the most memory that one process held at a time.  What ended meanwhile is in its parent's figures."""

    def __init__(self, roots):
        self.roots = roots
        self.peaks = {}
        self._over = threading.Event()

    def _sum(self):
        cpu, read, written = collections.Counter(), 0, 0
        for pid in family(self.roots):
            try:
                name, _, own, ended = _stat(pid)
                cpu[name] += own
                cpu[f"ended of {name}"] += ended
                read += _io(pid, "read_bytes")
                written += _io(pid, "write_bytes")
            except OSError:
                pass
        return cpu, read, written

    def _look(self):
        while not self._over.wait(SAMPLE):
            for pid in family(self.roots):
                try:
                    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
                        status = dict(line.split(":", 1) for line in f)
                except OSError:
                    continue
                if "VmHWM" in status:
                    name = status["Name"].strip()
                    rss = int(status["VmRSS"].split()[0]) // 1024
                    self.peaks[name] = max(self.peaks.get(name, 0), rss)

    def __enter__(self):
        self.before = self._sum()
        self.thread = threading.Thread(target=self._look)
        self.thread.start()
        return self

    def __exit__(self, *why):
        self._over.set()
        self.thread.join()
        cpu, read, written = self._sum()
        cpu.subtract(self.before[0])  # below zero where one has ended: what it took before is among its parent's now
        self.figures = {"cpu_s": round(cpu.total(), 2),
                        "cpu_s_by": {name: round(s, 2) for name, s in cpu.most_common() if abs(s) > 0.1},
                        "read_mb": round((read - self.before[1]) / 1e6, 1),
                        "written_mb": round((written - self.before[2]) / 1e6, 1),
                        "rss_peak_mib": dict(sorted(self.peaks.items()))}


def end_with_children():
    """Whoever ends this benchmark ends what it has started: a SIGTERM unwinds like an exit."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def spread(values):
    """min, median, max"""
    return {"min": round(min(values), 3), "median": round(statistics.median(values), 3),
            "max": round(max(values), 3), "runs": len(values)}


def _said(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return (done.stdout or done.stderr).splitlines()[0].strip() if done.stdout or done.stderr else None


def place():
    """Where a benchmark puts its files."""
    return os.environ.get("NAVETTE_TMP") or tempfile.gettempdir()


def file_system(folder):
    """Its type; of ext4, whether it has a journal.  One without looks at each inode that was deleted in the last
    minutes before it makes a file, so that runs become the slower the more of them there were."""
    found = _said(["findmnt", "-n", "-o", "FSTYPE,SOURCE", "-T", folder])
    if not found:
        return None
    kind, _, source = found.partition(" ")
    if kind != "ext4":
        return kind
    journal = glob.glob(f"/proc/fs/jbd2/{os.path.basename(source.strip())}-*")
    return "ext4 with a journal" if journal else "ext4 without a journal"


def machine(**more):
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        cpu = next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    changed = _said(["git", "-C", HERE, "status", "--porcelain", "-uno", "--", ":/", ":(exclude)results"])
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(), "file_system": file_system(place()),
            **more, "commit": _said(["git", "-C", HERE, "rev-parse", "HEAD"]), "changed": bool(changed),
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")}


def versions():
    return {"php": _said(["php", "-r", "echo PHP_VERSION;"]), "mariadb": _said(["mariadbd", "--version"]),
            "nginx": _said(["/usr/sbin/nginx", "-v"]), "redis": _said(["redis-server", "--version"]),
            "rabbitmq": _said(["dpkg-query", "-W", "-f", "${Version}", "rabbitmq-server"])}


def _update(old, new, depth):
    for key, value in new.items():
        if depth > 1 and isinstance(old.get(key), dict):
            _update(old[key], value, depth - 1)
        else:
            old[key] = value


def save(name, document, depth=0):
    """depth: down to there what was measured now replaces what the file has and leaves the rest (0: all is replaced)."""
    path = os.path.join(HERE, "results", f"{name}.json")
    if depth and os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            old = json.load(f)
        _update(old, document, depth)
        document = old
    with open(path, "w", encoding="utf-8") as f:
        json.dump(document, f, indent=1)
        f.write("\n")
    return path
