# SPDX-License-Identifier: GPL-3.0-or-later
"""Four workers on forty requests: all are done, each once, and every worker has had its share."""
from harness import samples

WORKERS, REQUESTS = 4, 40


def test_many_workers(make_farm):
    farm = make_farm(worker={"slots": 2})
    farm.producer()
    farm.archiver()
    workers = [farm.worker(f"worker-{i}") for i in range(WORKERS)]
    for i in range(REQUESTS):
        farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), i)))
    farm.wait_all("restored", timeout=180)
    farm.assert_restored_once()
    shares = [w.metric("navette_worker_restores_total", result="restored") for w in workers]
    print(f"restored by each: {shares}")
    assert sum(shares) == REQUESTS
    assert min(shares) >= REQUESTS / WORKERS / 4, shares
    started = [e["req"] for w in workers for e in w.events("restore.started")]
    assert sorted(started) == sorted(farm.requests), "somebody worked on what another had"
