# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes and all their children have used, and what a result file says of the machine."""
import datetime
import json
import os
import platform
import statistics
import subprocess
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
TICK = os.sysconf("SC_CLK_TCK")
SAMPLE = 0.25  # seconds between looks at the memory: a look takes time from those who are measured


def _stat(pid):
    """(parent, seconds of processor time, those of children that have ended included)"""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
        fields = f.read().rpartition(")")[2].split()
    own = 2 if int(pid) == os.getpid() else 0  # who measures does not count, what it starts does
    return int(fields[1]), sum(int(n) for n in fields[11 + own:15]) / TICK


def family(roots):
    """The processes and all that descend from them."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                children.setdefault(_stat(name)[0], []).append(int(name))
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
    """Between start and stop: seconds of processor time, bytes read from and dirtied for a disk, and the
    most memory that one process held at a time.  What ended meanwhile is in its parent's figures."""

    def __init__(self, roots):
        self.roots = roots
        self.peaks = {}
        self._over = threading.Event()

    def _sum(self):
        cpu = read = written = 0
        for pid in family(self.roots):
            try:
                cpu += _stat(pid)[1]
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
        cpu, read, written = (b - a for a, b in zip(self.before, self._sum()))
        self.figures = {"cpu_s": round(cpu, 2), "read_mb": round(read / 1e6, 1),
                        "written_mb": round(written / 1e6, 1), "rss_peak_mib": dict(sorted(self.peaks.items()))}


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


def machine(**more):
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        cpu = next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    changed = _said(["git", "-C", HERE, "status", "--porcelain", "-uno", "--", ":/", ":(exclude)results"])
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(),
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
