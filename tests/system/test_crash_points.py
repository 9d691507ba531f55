# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever point between artefact, publish, status and ack a process dies at, or sleeps at beyond
its lease: the request still ends, once.

The points are collected from the sources (nv_fault), so that a new one cannot be forgotten."""
# one ctest entry per function
import glob
import os
import re
import signal

import pytest
import requests

from harness import samples, wait
from harness.farm import LEASE

# Which daemon passes the points of a name's first part.
PASSED_BY = {"producer": "producer", "archiver": "archiver", "archive": "archiver", "worker": "worker", "site": "worker"}


def points():
    found = set()
    for folder in ("archiver", "worker", "producer", "core"):
        for path in glob.glob(os.path.join(samples.SOURCE, folder, "**", "*.c"), recursive=True):
            with open(path, encoding="utf-8") as f:
                found |= set(re.findall(r'\bnv_fault\("([^"]+)"\)', f.read()))
    return sorted(found)


POINTS = points()
OF_WORKER = [p for p in POINTS if PASSED_BY.get(p.split(".")[0]) == "worker"]


def course(farm):
    return farm.remote.add(samples.make(farm.path("made.mbz"), 1))


def died(daemon):
    assert daemon.wait_end() == -signal.SIGKILL
    daemon.may_die = False
    daemon.start()


def submit(farm, producer):
    """As a careful program does: when the producer dies, it asks again, with the same key."""
    number = course(farm)
    try:
        return farm.submit(number, key="the same")
    except requests.ConnectionError:
        died(producer)
        return farm.submit(number, key="the same")


def test_every_point_is_known():
    assert len(POINTS) >= 11
    assert {p.split(".")[0] for p in POINTS} == PASSED_BY.keys()


@pytest.mark.parametrize("point", POINTS)
def test_dies_there_once(farm, point):
    once = farm.path("once")
    daemons = {role: farm.daemon(role) for role in ("producer", "archiver", "worker")}
    dying = daemons[PASSED_BY[point.split(".")[0]]]
    for d in daemons.values():
        d.start(**({"NAVETTE_FAULT": point, "NAVETTE_FAULT_ONCE": once} if d is dying else {}))
    dying.may_die = True
    submit(farm, daemons["producer"])
    if dying.may_die:
        died(dying)
    assert os.path.exists(once)
    farm.assert_restored_once()
    farm.assert_nothing_left()


@pytest.mark.parametrize("point", OF_WORKER)
def test_sleeps_there_beyond_its_lease(farm, point):
    farm.producer()
    farm.archiver()
    sleeper = farm.worker("sleeper", NAVETTE_FAULT=point + ":stop",
                          NAVETTE_FAULT_ONCE=farm.path("once"))
    request = farm.submit(course(farm))
    wait.until(sleeper.paused, f"the worker asleep at {point}")
    other = farm.worker("other")
    # The broker gives the message to the other one, who claims the request once the lease is over.
    # Only an import that has begun keeps the other one out: the sleeper holds the site's lock.
    locked = point == "site.import.before-commit"

    step = "restore.started" if locked else "restore.done"
    wait.until(lambda: other.events(step), lambda: f"taken over: {farm.record(request)}",
               4 * LEASE + 30)
    before = farm.local.course(request) if not locked else None
    sleeper.signal(signal.SIGCONT)
    wait.until(lambda: sleeper.events("restore.done"), "the end of the sleeper's attempt")
    farm.assert_restored_once()
    if locked:
        assert [e["reason"] for e in sleeper.events("restore.failed")] == ["claim_lost"]
    else:
        assert farm.local.course(request) == before
    farm.assert_nothing_left()
