# SPDX-License-Identifier: GPL-3.0-or-later
# ctest timeout 1200
"""A rolling upgrade: daemon by daemon, the first release (v0.1.0) gives way to this version, and both work together
at each step.  Before each step messages of every kind lie in the queues, and all daemons are down: what the
old ones have said, the new ones must understand, and the other way round.  In either order, client first or
course server first.  Long (it builds the first release): only with NAVETTE_NIGHTLY=1 (tests/run --all)."""
import signal

from harness import nightly, previous, samples, wait, window

pytestmark = nightly.only
NUMBERS = iter(range(1, 1000))


class Town:
    def __init__(self, make_farm):
        self.farm = make_farm(archiver=window.closed())
        self.daemons = {role: self.farm.daemon(role) for role in ("producer", "archiver", "worker")}
        for role, d in self.daemons.items():
            d.build = previous.build()
            # Keys and words that both know.
            known = {role: {k: v for k, v in d.config[role].items() if k != "metrics_listen"}}
            if "site" in d.config:
                known["site"] = {**d.config["site"], "type": "directory"}
            d.configure({**d.config, **known, "log": {"level": "debug"}})
        self.withdrawn = []

    def start(self, *roles):
        for role in roles or self.daemons:
            if not self.daemons[role].running():
                self.daemons[role].start()

    def stop(self, *roles):
        for role in roles or self.daemons:
            if self.daemons[role].running():
                self.daemons[role].stop()

    def submit(self, **options):
        farm = self.farm
        course = farm.remote.add(samples.make(farm.path("made.mbz"), next(NUMBERS), blobs=3))
        return farm.submit(course, by="root", user="ada", **options)

    def waiting(self):
        return {q["name"]: q["messages"] for q in self.farm.broker.call("GET", "queues", self.farm.vhost)
                if q.get("messages")}

    def leave_messages_behind(self):
        """As the versions that run now write them; then nobody runs."""
        farm, archiver = self.farm, self.daemons["archiver"]
        self.stop("worker")
        farm.wait_state(self.submit(now=True), "ready")  # archive.ready
        self.submit()  # restore.request: outside the window
        archiver.signal(signal.SIGSTOP)
        self.submit(now=True)
        gone = self.submit()
        self.stop("producer")
        archiver.signal(signal.SIGCONT)  # its status.event finds no producer
        wait.until(lambda: self.waiting().get(f"events.{farm.client}"), "status.event", 60)
        wait.until(lambda: self.waiting().get(f"restore.{farm.client}.now", 0) >= 2, "two archive.ready", 60)
        self.stop("archiver")
        self.start("producer")
        farm.person("root").cancel(gone)  # its restore.request stays in the queue
        del farm.requests[gone]
        self.withdrawn.append(gone)
        self.stop("producer")
        there = self.waiting()
        print(f"in the queues: {there}")
        assert there.get(f"archive.{farm.site}") and there.get(f"restore.{farm.client}.now"), there


def upgrade(make_farm, order):
    town = Town(make_farm)
    farm, archiver = town.farm, town.daemons["archiver"]
    town.start()
    for role in order:
        town.leave_messages_behind()
        town.daemons[role].build = None
        archiver.configure({**archiver.config, "archiver": {**archiver.config["archiver"], **window.opened()}})
        town.start()
        farm.wait_all("restored")
        both = [town.submit(), town.submit(now=True)]  # by the two versions together
        for request in both:
            farm.wait_state(request, "restored")
        archiver.configure({**archiver.config, "archiver": {**archiver.config["archiver"], **window.closed()}})
        town.stop("archiver")
        town.start()
    farm.assert_restored_once()
    for request in town.withdrawn:
        assert farm.state(request) == "cancelled"
    assert all(d.build is None for d in town.daemons.values())


def test_course_server_first(make_farm):
    upgrade(make_farm, ("archiver", "worker", "producer"))


def test_client_first(make_farm):
    upgrade(make_farm, ("producer", "worker", "archiver"))
