# SPDX-License-Identifier: GPL-3.0-or-later
"""The broker dies for 20 seconds while requests are on their way: none is lost, none doubled."""
import os
import re
import time

import requests

from harness import samples, wait
from harness.samples import SOURCE

AWAY = 20


def test_broker_away(farm):
    producer, archiver, worker = daemons = farm.all()
    farm.broker.settle()
    for i in range(6):
        farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), i, 6, 400_000)))
    wait.until(lambda: worker.events("restore.started"), "the first restore")
    assert sum(farm.state(r) == "restored" for r in farm.requests) < 6, "all are through already"
    farm.broker.kill()
    back = time.monotonic() + AWAY
    wait.until(lambda: all(d.events("broker.down") for d in daemons), "all have noticed")
    assert not any(d.ready() for d in daemons)
    wait.until(lambda: time.monotonic() > back, "20 s", AWAY + 5)
    farm.check_daemons()
    farm.broker.start()
    for d in daemons:
        d.wait_ready()
    farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), 7)))
    farm.assert_restored_once()
    assert_metrics(farm, producer, archiver, worker)
    farm.assert_nothing_left()


def assert_metrics(farm, producer, archiver, worker):
    """What core/bus/README.md lists is there, and tells what has happened."""
    def value(daemon, name, **labels):
        return daemon.metric(f"navette_bus_{name}", **labels)

    with open(os.path.join(SOURCE, "core", "bus", "README.md"), encoding="utf-8") as f:
        names = set(re.findall(r"^\| `(navette_bus_\w+)", f.read(), re.MULTILINE))
    assert len(names) == 12
    for d in (producer, archiver, worker):
        text = requests.get(d.monitor_url("/metrics"), timeout=5).text
        assert names == set(re.findall(r"^# TYPE (navette_bus_\w+)", text, re.MULTILINE))
    for d, queue in ((producer, f"events.{farm.client}"), (archiver, f"archive.{farm.site}"),
                     (worker, f"restore.{farm.client}"), (archiver, f"control.{farm.site}")):
        for connection in ("publish", queue):
            assert value(d, "connected", connection=connection) == 1
            assert value(d, "reconnects_total", connection=connection) >= 1
            assert value(d, "blocked", connection=connection) == 0
            assert value(d, "blocked_seconds_total", connection=connection) == 0
        assert value(d, "queue_unserved", queue=queue) == 0
        wait.until(lambda d=d, q=queue: value(d, "unacked", queue=q) == 0, f"acks of {queue}")
        assert value(d, "returned_total", queue=queue) >= 0
        wait.until(lambda d=d: value(d, "unconfirmed") == value(d, "unsent") == 0, "confirms")
        for outcome in ("returned", "nacked", "timed_out", "refused"):
            assert value(d, "published_total", outcome=outcome) >= 0
        confirmed = value(d, "published_total", outcome="confirmed")
        assert value(d, "confirm_seconds_count") == confirmed
        assert (value(d, "confirm_seconds_sum") > 0) == (confirmed > 0)
    assert value(producer, "published_total", outcome="confirmed") >= len(farm.requests)
    assert value(archiver, "published_total", outcome="confirmed") >= len(farm.requests)
    for d, queue in ((producer, f"events.{farm.client}"), (archiver, f"archive.{farm.site}"),
                     (worker, f"restore.{farm.client}")):
        assert value(d, "deliveries_total", queue=queue) >= len(farm.requests)
