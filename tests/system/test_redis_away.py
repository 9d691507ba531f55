# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis goes away and comes back, or comes back empty: no request in flight is lost, no course is
doubled, and finished history is rebuilt from the site."""
import time

from harness import samples, wait
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
