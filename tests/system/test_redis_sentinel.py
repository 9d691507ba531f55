# SPDX-License-Identifier: GPL-3.0-or-later
# one ctest entry per function
# ctest timeout 600
"""Redis with a replica and sentinels: the primary is killed under load, or only cut off from everybody else.
Every request ends, each course once; what the new primary has not heard of comes back with the next message."""
import os
import signal
import subprocess

import pytest

from harness import samples, wait
from harness.daemon import BUILD, SANITIZERS, write_configuration
from harness.load import Load, submit
from harness.redis_server import Watched


@pytest.fixture
def farm(make_farm):
    return make_farm(status=Watched, worker={"slots": 2}, archiver={"slots": 2})


def test_the_primary_is_killed(farm):
    farm.all()
    load = Load(farm)
    wait.until(lambda: len(load.ended()) >= 10, "it is under way", 60)
    dead = farm.redis.primary()
    farm.redis.kill(dead)
    wait.until(lambda: farm.redis.primary() not in (dead, None), "another is the primary", 30)
    load.recovered("the primary killed, the replica made one")
    farm.redis.restart(dead)
    load.finish()
    # And back again.
    second = farm.redis.primary()
    wait.until(lambda: farm.redis.follows(dead), "it has what the primary has", 60)
    farm.redis.kill(second)
    wait.until(lambda: farm.redis.primary() == dead, "the first is the primary again", 30)
    course = farm.remote.add(samples.make(farm.path("after.mbz"), 99, blobs=1))
    submit(farm, course)
    farm.wait_all("restored")


def test_a_primary_that_stands_still_is_left(farm):
    """It comes back as if it were still one, until a sentinel has told it."""
    farm.all()
    load = Load(farm)
    wait.until(lambda: len(load.ended()) >= 10, "it is under way", 60)
    old = farm.redis.primary()
    os.kill(farm.redis.children[old].pid, signal.SIGSTOP)
    try:
        wait.until(lambda: farm.redis.primary() not in (old, None), "another is the primary", 30)
        load.recovered("the primary stopped, the replica made one")
    finally:
        os.kill(farm.redis.children[old].pid, signal.SIGCONT)
    load.finish()


def test_the_doctor_asks_the_sentinels(farm):
    worker = farm.daemon("worker")
    config = write_configuration(farm.path("doctor.yaml"), worker.config)

    def doctor():
        return subprocess.run([os.path.join(BUILD, "bin", "navette"), "doctor", "-c", config], check=False,
                              env={**os.environ, **SANITIZERS}, capture_output=True, text=True, timeout=60).stdout

    assert doctor().count(f"the master is 127.0.0.1:{farm.redis.primary()}") == 3
    farm.redis.kill(farm.redis.sentinels[0])
    said = doctor()
    assert said.count("the master is") == 2 and f"127.0.0.1:{farm.redis.sentinels[0]}: Connection refused" in said
