# SPDX-License-Identifier: GPL-3.0-or-later
"""The broker dies for 20 seconds while requests are on their way: none is lost, none doubled."""
import time

from harness import samples, wait

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
    farm.assert_nothing_left()
