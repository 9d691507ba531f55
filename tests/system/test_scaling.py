# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers are started and stopped as the load asks, one, four, one: each that is told to stop ends what it
works on or hands it back, and every course arrives once."""
from harness import wait
from harness.load import Load


def test_one_four_one(make_farm):
    farm = make_farm(worker={"slots": 1}, archiver={"slots": 4})
    farm.all()
    load = Load(farm, 1000)
    wait.until(lambda: load.ended(), "it is under way", 60)
    more = [farm.worker(f"worker-{n}") for n in (2, 3, 4)]
    wait.until(lambda: all(w.events("restore.done") for w in more), "each has restored one", 90)
    at_work = sum(w.metric("navette_worker_restores_running") for w in more)
    for w in more:
        w.signal(15)
    load.enough()
    for w in more:
        w.wait_end()
    load.finish()
    taken = {w.name: len([e for e in w.events("restore.done") if e["result"] == "restored"])
             for w in farm.roles("worker")}
    print(f"restored by each: {taken}; at work when they were told to stop: {at_work:.0f}")
    assert sum(taken.values()) == len(farm.requests)
