# SPDX-License-Identifier: GPL-3.0-or-later
"""One of Navette's daemons: started with a configuration of its own, watched, ended."""
import os
import re
import signal

import requests
import yaml

from . import processes, wait
from .samples import SOURCE

# ctest sets it; by hand, the presets' usual folders serve.
BUILD = os.environ.get("NAVETTE_BUILD") or next(
    (b for b in (os.path.join(SOURCE, "build", p) for p in ("ci", "debug")) if os.path.isdir(b)),
    os.path.join(SOURCE, "build", "debug"))
BROKEN = re.compile(r"ERROR: AddressSanitizer|runtime error:|LeakSanitizer|Assertion")
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=86",
              "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=86"}


def write_configuration(path, sections):
    with open(path, "w", encoding="utf-8") as f:
        yaml.safe_dump(sections, f, sort_keys=False)
    return path


class Daemon:
    def __init__(self, farm, role, name, config):
        self.role, self.name = role, name
        self.build = None  # another build than BUILD
        self.env = {}      # of each start
        self.config_path = os.path.join(farm.folder, f"{name}.yaml")
        self.log = os.path.join(farm.folder, f"{name}.log")
        self.child = None
        self.may_die = False  # a test means it to
        self.read_from = 0  # where in the log the present process begins
        self.base = None   # http://127.0.0.1:port
        self.monitor = None  # the same, of /metrics
        self.configure(config)

    def configure(self, config):
        self.config = config
        write_configuration(self.config_path, config)

    # --- life ---

    def start(self, ready=True, **env):
        assert self.child is None, f"{self.name} runs already"
        self.read_from = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        self.base = self.monitor = None
        whole = {**os.environ, **{k: os.environ.get(k, v) for k, v in SANITIZERS.items()},
                 **self.env, **env}
        self.child = processes.start(
            [os.path.join(self.build or BUILD, "bin", f"navette-{self.role}"), "-c", self.config_path],
            self.log, whole)
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=60):
        wait.until(self.ready, lambda: f"{self.name} ready\n{self.tail()}", timeout)

    def ready(self):
        assert self.running(), f"{self.name} ended: {self.child.poll()}\n{self.tail()}"
        try:
            return self._get("/readyz").status_code == 200
        except (requests.RequestException, LookupError):
            return False

    def running(self):
        return self.child is not None and self.child.poll() is None

    def signal(self, number):
        os.kill(self.child.pid, number)

    def wait_end(self, timeout=60):
        """Its exit status; negative: the signal that ended it."""
        status = processes.reap(self.child, timeout)
        assert status is not None, f"{self.name} did not end\n{self.tail()}"
        self.child = None
        return status

    def stop(self, timeout=60):
        """SIGTERM, and the exit status a graceful stop has."""
        self.signal(signal.SIGTERM)
        status = self.wait_end(timeout)
        assert status == 0, f"{self.name}: exit status {status}\n{self.tail()}"

    def reconfigure(self, section, **changes):
        """What may change without a restart, by SIGHUP."""
        before = len(self.events("config.reloaded", whole=False))
        self.configure({**self.config, section: {**self.config[section], **changes}})
        self.signal(signal.SIGHUP)
        wait.until(lambda: len(self.events("config.reloaded", whole=False)) > before,
                   lambda: f"{self.name} reloaded\n{self.tail()}", 20)

    def kill(self):
        if self.child is not None:
            processes.kill(self.child)
            self.child = None

    def paused(self):
        """It has stopped itself, or was stopped (SIGSTOP)."""
        with open(f"/proc/{self.child.pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] in "Tt"

    # --- what it says ---

    def text(self, whole=True):
        if not os.path.exists(self.log):
            return ""
        with open(self.log, encoding="utf-8", errors="replace") as f:
            f.seek(0 if whole else self.read_from)
            return f.read()

    def tail(self, lines=40):
        return "\n".join(self.text().splitlines()[-lines:])

    def events(self, name, whole=True):
        """The log's lines of this event, each as a dict."""
        return [line for line in map(parse, self.text(whole).splitlines())
                if line.get("event") == name]

    def broken(self):
        """What a sanitizer found, or None."""
        text = self.text()
        found = BROKEN.search(text)
        return text[max(0, found.start() - 500):found.start() + 6000] if found else None

    # --- monitoring ---

    def _find_base(self, *events):
        for event in events:
            for line in self.events(event, whole=False):
                return f"http://127.0.0.1:{line['port']}"
        raise LookupError(f"{self.name} does not listen yet")

    def url(self, path):
        self.base = self.base or self._find_base("producer.listening", "monitor.listening")
        return self.base + path

    def monitor_url(self, path):
        """Of /metrics, /healthz and /readyz."""
        self.monitor = self.monitor or self._find_base("monitor.listening", "producer.listening")
        return self.monitor + path

    def _get(self, path):
        return requests.get(self.monitor_url(path), timeout=5)

    def metric(self, name, **labels):
        """The value of a metric, 0 where there is none yet."""
        want = {f'{k}="{v}"' for k, v in labels.items()}
        answer = self._get("/metrics")
        assert answer.status_code == 200, f"{self.name}: {answer.url}: {answer.status_code}"
        for line in answer.text.splitlines():
            m = re.match(r"(\w+)(?:\{(.*)\})? (\S+)$", line)
            if m and m[1] == name and want <= set((m[2] or "").split(",")):
                return float(m[3])
        return 0.0


def parse(line):
    """A line of key=value, values perhaps in quotes."""
    return {m[1]: m[3] if m[2] is None else m[2].replace('\\"', '"')
            for m in re.finditer(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))', line)}
