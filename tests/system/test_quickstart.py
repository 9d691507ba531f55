# SPDX-License-Identifier: GPL-3.0-or-later
# one ctest entry per function
"""The quickstart brings every course, again after its broker was killed, whatever the files are called;
says which file is damaged, and why a daemon ended; and leaves no process and no port behind when it is told
to stop."""
import os
import shutil
import signal
import socket
import subprocess

import pytest

from harness import ports, processes, samples, wait
from harness.daemon import BROKEN, BUILD, SANITIZERS

PORTS = ("epmd", "amqp", "management", "prometheus", "dist", "http", "metrics", "archiver", "worker")
SERVICES = ("epmd", "rabbitmq", "redis", "producer", "archiver", "worker")
SAMPLES = os.path.join(samples.SOURCE, "tests", "samples")


class Quickstart:
    """In a folder and on ports of its own, with this build's programs."""

    def __init__(self, home):
        self.home = home
        os.makedirs(self.path("run"))
        self.ports = [ports.free() for _ in PORTS]
        for name, port in zip(PORTS, self.ports):
            with open(self.path("run", f"{name}.port"), "w", encoding="ascii") as f:
                f.write(f"{port}\n")

    def path(self, *parts):
        return os.path.join(self.home, *parts)

    def __call__(self, *args, seconds=120):
        """(exit status, what it said)"""
        command = [os.path.join(samples.SOURCE, "deploy", "quickstart"), *args]
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, start_new_session=True,
                                 env={**os.environ, **SANITIZERS, "NAVETTE_QUICKSTART": self.home})
        processes.guard(child.pid)
        try:
            said = child.communicate(timeout=seconds)[0].decode(errors="surrogateescape")
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        finally:
            processes.unguard(child.pid)
            for pid in self.pids().values():
                processes.guard(pid)
        print(said)
        return child.returncode, said

    def run(self, *args):
        return self("--programs", os.path.join(BUILD, "bin"), *args)

    def pids(self):
        """By service, as the script noted them."""
        found = {}
        for name in SERVICES:
            if os.path.exists(self.path("run", f"{name}.pid")):
                with open(self.path("run", f"{name}.pid"), encoding="ascii") as f:
                    found[name] = int(f.read().split()[0])
        return found

    def processes(self):
        """Everything that was started from here, children of its servers included: by what they
        inherited."""
        found, mark = [], os.fsencode(f"NAVETTE_QUICKSTART={self.home}")
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    if mark in f.read().split(b"\0"):
                        found.append(int(pid))
            except OSError:
                continue  # ended meanwhile, or somebody else's
        return found

    def open_ports(self):
        return [p for p in self.ports if ports.listening(p)]

    def courses(self):
        return sorted(os.listdir(self.path("thisyear", "courses")))

    def stop(self):
        pids = self.pids()
        assert self.processes() and self.open_ports()
        status, _ = self("--stop")
        assert status == 0
        wait.until(lambda: not self.processes(), lambda: f"processes left: {self.processes()}", 20)
        assert not self.open_ports()
        assert not self.pids()
        for pid in pids.values():
            processes.unguard(pid)

    def assert_sound(self):
        """No sanitizer found anything."""
        for name in os.listdir(self.path("log")):
            with open(self.path("log", name), encoding="utf-8", errors="replace") as f:
                text = f.read()
            found = BROKEN.search(text)
            assert not found, text[max(0, found.start() - 500):found.start() + 5000]

    def close(self, failed):
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if not failed and not os.environ.get("NAVETTE_KEEP"):
            shutil.rmtree(self.home)


@pytest.fixture
def quickstart(folder, request):
    q = Quickstart(os.path.join(folder, request.node.name[5:25]))
    yield q
    report = getattr(request.node, "report_call", None)
    q.close(report is None or report.failed)


def archives(folder):
    return [n for n in os.listdir(folder) if n.lower().endswith(".mbz")]


def test_all_is_restored_again_after_the_broker_was_killed(quickstart):
    count = len(archives(SAMPLES))
    assert count > 1
    status, said = quickstart.run()
    assert status == 0
    assert f"{count} of {count} restored." in said
    assert len(quickstart.courses()) >= count
    courses, first = quickstart.courses(), quickstart.pids()
    assert set(first) == set(SERVICES)
    listening = ports.addresses(quickstart.processes())
    assert {int(a.rsplit(":", 1)[1]) for a in listening} >= set(quickstart.ports)
    assert all(a.startswith(ports.LOOPBACK) for a in listening), f"not on loopback only: {listening}"
    os.kill(first["rabbitmq"], signal.SIGKILL)
    wait.until(lambda: not processes.alive(first["rabbitmq"]), "the broker's end", 20)
    # What is there already is brought no second time.
    status, said = quickstart.run()
    assert status == 0
    assert f"{count} of {count} restored." in said
    assert quickstart.courses() == courses
    second = quickstart.pids()
    assert second["rabbitmq"] != first["rabbitmq"]
    assert {n: p for n, p in first.items() if n != "rabbitmq"} == \
           {n: p for n, p in second.items() if n != "rabbitmq"}
    quickstart.stop()
    quickstart.assert_sound()
    assert quickstart("--stop")[0] == 0  # there is nothing left to stop, and that is no error


def test_odd_names_are_brought_and_a_damaged_file_is_named(quickstart, folder):
    odd = ["-rf $(touch here) \"q\" ; 'a' & b.mbz", "Straße zwölf – 100% {x} #1.MBZ",
           "new\nline\\tab\t.mbz"]
    courses = os.path.join(folder, "it's odd $HOME ü")
    os.makedirs(courses)
    for source, name in zip(("xs-users.tgz.mbz", "xs-nousers.tgz.mbz", "xs-users.zip.mbz"), odd):
        shutil.copy(os.path.join(SAMPLES, source), os.path.join(courses, name))
    status, said = quickstart.run("--courses", courses)
    assert status == 0
    assert f"{len(odd)} of {len(odd)} restored." in said
    assert not os.path.exists("here")
    # One that breaks off in its middle stops nothing, and does not vanish.
    broken = "brøken (1) & $x.mbz"
    with open(os.path.join(SAMPLES, "xs-users.tgz.mbz"), "rb") as f:
        whole = f.read()
    with open(os.path.join(courses, broken), "wb") as f:
        f.write(whole[:len(whole) // 2])
    status, said = quickstart.run("--courses", courses)
    assert status == 0
    assert "1 cannot be read" in said and f"archive: {broken}: " in said and "it is cut off" in said
    assert f"{len(odd)} of {len(odd)} restored." in said and f"{len(odd)} of {len(odd) + 1} courses" in said
    quickstart.stop()
    quickstart.assert_sound()
    shutil.rmtree(courses)


def test_why_a_daemon_ended_is_shown(quickstart):
    # Bound, and nobody listens: the port looks free until the producer wants it.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", quickstart.ports[PORTS.index("http")]))
        status, said = quickstart.run()
    assert status != 0
    shown = said.splitlines()[-2]
    assert "level=error" in shown and "ddress already in use" in shown, said
    assert "/proc/" not in said
    quickstart.stop()


def test_what_cannot_be_done_is_said_before_anything_is_started(quickstart, folder):
    for args, word in ((("--courses", os.path.join(folder, "nowhere")), "nowhere"),
                       (("--courses", os.path.dirname(__file__)), "no .mbz file"),
                       (("--programs", folder), "navette"), (("--colour",), "--courses DIR")):
        status, said = quickstart(*args)
        assert status != 0 and word in said, args
    assert not quickstart.processes() and not quickstart.open_ports()
