# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis goes away and comes back, or comes back empty: no request in flight is lost, no course is
doubled, and finished history is rebuilt from the site."""
import time

import requests

from harness import samples, wait, window
from harness.farm import LEASE


def in_flight(farm, count=6):
    """Requests of which the first is being restored."""
    daemons = farm.all()
    for i in range(count):
        farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), i, 6, 400_000)))
    wait.until(lambda: daemons[2].events("restore.started"), "the first restore")
    assert not all(farm.state(r) == "restored" for r in farm.requests), "all are through already"
    return daemons


def test_redis_away(farm):
    producer, _, worker = in_flight(farm)
    farm.redis.stop()
    back = time.monotonic() + LEASE + 1  # beyond every lease
    wait.until(lambda: worker.events("redis.down"), "the worker has noticed")
    wait.until(lambda: time.monotonic() > back, "the time away", 20)
    assert not worker.ready() and not producer.ready()
    answer = farm.person("emmy").sign_in_answer()
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    farm.check_daemons()
    farm.redis.start()
    for d in (producer, worker):
        d.wait_ready()
    farm.assert_restored_once()
    farm.assert_nothing_left()


def test_redis_killed(farm):
    producer, _, worker = in_flight(farm)
    farm.redis.kill()
    wait.until(lambda: worker.events("redis.down"), "the worker has noticed")
    farm.redis.start()
    for d in (producer, worker):
        d.wait_ready()
    farm.assert_restored_once()
    farm.assert_nothing_left()


def test_redis_emptied_midway(farm):
    in_flight(farm)
    farm.redis.client.flushall()
    # What was finished comes back from the site, what was not with the next message about it.
    farm.wait_all("restored")
    farm.assert_restored_once()
    farm.assert_nothing_left()


def test_redis_emptied_afterwards(farm):
    in_flight(farm)
    farm.assert_restored_once()
    kept = ("state", "site", "rcourse", "user", "rev", "course", "course_shortname",
            "course_fullname", "course_category", "course_user_data", "enrolled")
    before = {r: farm.record(r) for r in farm.requests}
    farm.redis.client.flushall()
    farm.wait_all("restored")
    for request, record in before.items():
        after = farm.record(request)
        assert {k: after.get(k) for k in kept} == {k: record.get(k) for k in kept}
    farm.assert_restored_once()  # nobody is told a second time


def test_what_an_emptied_redis_forgets(farm):
    """Each part of README's sentence; what the broker has not got is in test_accepted_requests.py."""
    producer, archiver, worker = farm.all()
    ada = farm.person("ada")

    def ask(number):
        return farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), number)))

    def shown():
        return {r["id"]: r["state"] for r in ada.get("/requests")["requests"]}

    restored = ask(1)
    farm.wait_state(restored, "restored")
    farm.local.may_create(False)
    failed = ask(2)
    farm.wait_state(failed, "failed")
    farm.local.may_create(True)
    archiver.reconfigure("archiver", **window.closed())
    waiting, cancelled, undone = (ask(n) for n in (3, 4, 5))
    ada.cancel(cancelled)
    wait.until(lambda: archiver.events("request.withdrawn"), "the course server has heard of it")
    archiver.stop()
    ada.cancel(undone)  # acknowledged, and nobody is there to carry it out
    token = ada.token
    farm.redis.client.flushall()
    # Sessions; and until somebody speaks of them, whatever has not been restored.
    assert requests.get(producer.url("/api/v1/requests"), timeout=10,
                        headers={"Authorization": f"Bearer {token}"}).status_code == 401
    wait.until(lambda: shown() == {restored: "restored"}, lambda: f"history is rebuilt: {shown()}")
    assert not ada.get(f"/requests/{restored}").get("failures")
    assert farm.redis.client.xlen(f"nv:log:{restored}") == 0, "its log"
    # What waits comes back with the course server; what was cancelled does not, although none had heard of it.
    archiver.configure({**archiver.config, "archiver": {**archiver.config["archiver"],
                                                        **window.opened()}})
    archiver.start()
    farm.wait_state(waiting, "restored")
    wait.until(lambda: farm.state(cancelled) == "cancelled", "the course server says so once more")
    # What had failed stays forgotten, until somebody asks again or puts its dead letter back.
    assert farm.state(failed) is None
    root = farm.person("root")
    letter, = (one for one in root.get("/dead")["letters"] if one["request"] == failed)
    root.post(f"/dead/{letter['id']}/requeue")
    del farm.requests[cancelled], farm.requests[undone]
    farm.wait_all("restored")
    wait.until(lambda: any(e["req"] == undone and e["result"] == "superseded" for e in worker.events("restore.done")),
               "its archive was thrown away")
    farm.assert_queues_empty()
    assert farm.state(undone) is None
    assert sorted(farm.requests) == farm.local.courses()
