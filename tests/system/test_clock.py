# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock that is wrong costs no request: it is held without an attempt, administrators and the person
who waits are told, and it goes on by itself when the clock is right."""
# one ctest entry per function
import os
import subprocess
import time

import pytest

from harness import daemon, mbz, samples, wait, wire
from harness.description import Description, described

MINUTES = 60_000
DAYS = 24 * 60 * MINUTES


class Clock:
    """Of the daemons that were started with it: so many ms ahead."""

    def __init__(self, path):
        self.env = {"NAVETTE_FAULT_CLOCK": path}
        self.path = path
        self.set(0)

    def set(self, ahead):
        with open(self.path, "w", encoding="ascii") as f:
            f.write(f"{ahead}\n")


def doctor(farm, producer):
    """What it says beside the producer."""
    listen = producer.monitor_url("").removeprefix("http://")
    config = {**producer.config, "producer": {**producer.config["producer"], "metrics_listen": listen}}
    path = daemon.write_configuration(farm.path("doctor.yaml"), config)
    said = subprocess.run([os.path.join(daemon.BUILD, "bin", "navette"), "doctor", "-c", path],
                          env={**os.environ, **daemon.SANITIZERS}, capture_output=True, text=True,
                          timeout=60, check=False)
    return said.stdout


def town(farm, which, ahead):
    """Daemons of which one side has a clock of its own; it, the producer and the worker."""
    clock = Clock(farm.path("clock"))
    env = {role: clock.env if role in which else {} for role in ("producer", "archiver", "worker")}
    producer = farm.producer(**env["producer"])
    farm.archiver(**env["archiver"])
    worker = farm.worker(**env["worker"])
    clock.set(ahead)
    return clock, producer, worker


def ask(farm, number=1):
    course = farm.remote.add(samples.make(farm.path("made.mbz"), number))
    courses = farm.person("ada").get("/courses?refresh=true")["sites"][0]
    assert courses["status"] == "ok" and len(courses["courses"]) == number, courses
    return farm.submit(course)


def assert_held(farm, request, producer, seconds):
    """seconds: how far the course server's clock is ahead of the client's."""
    ada, root = farm.person("ada"), described(farm.person("root"), Description())

    def held():
        r = ada.request(request)
        return r["state"] in ("scheduled", "ready") and r["reason"] == "clock" and r["held"]
    wait.until(held, lambda: f"held: {farm.record(request)}")
    assert "one of the two is wrong" in ada.request(request)["message"]

    def shown():
        return root.get("/sites")["sites"][0]["clock"]
    wait.until(lambda: shown() and abs(shown()["ahead"] - seconds) < 30, lambda: f"shown: {shown()}")
    assert ("behind" if seconds < 0 else "ahead of") in shown()["message"]
    skew = producer.metric("navette_clock_skew_seconds", peer=farm.site)
    assert abs(skew - seconds) < 30
    assert f"{farm.site}, as its messages show, is" in doctor(farm, producer)
    # It has come round more than once, and nothing is used up by that.
    wait.until(lambda: sum(d.text().count("reason=clock") for d in farm.daemons) >= 3, "more than one try")
    assert ada.request(request)["failures"] == 0
    assert root.get("/dead")["letters"] == []
    assert farm.broker.depth(farm.vhost, f"dead.{farm.site}") == 0


def assert_goes_on(farm, clock, producer, request):
    clock.set(0)
    farm.wait_state(request, "restored")
    assert farm.record(request)["failures"] == "0"
    mbz.assert_same(farm.remote.sources[farm.requests[request]], farm.local.archive(request))
    assert farm.local.courses() == [request]
    wait.until(lambda: producer.metric("navette_clock_skew_seconds", peer=farm.site) == 0, "0 again")
    wait.until(lambda: farm.person("root").get("/sites")["sites"][0]["clock"] is None, "not shown")
    assert farm.broker.depth(farm.vhost, f"dead.{farm.client}") == 0


@pytest.mark.parametrize("ahead", (10 * MINUTES, 48 * 60 * MINUTES))
def test_a_course_server_ahead(farm, ahead):
    clock, producer, worker = town(farm, ("archiver",), ahead)
    request = ask(farm)
    assert_held(farm, request, producer, ahead / 1000)
    wait.until(lambda: worker.metric("navette_clock_skew_seconds", peer=farm.site) > 300,
               "the worker says so, too")
    assert_goes_on(farm, clock, producer, request)


def test_a_course_server_ahead_by_more_than_a_request_lives(farm):
    """By its clock each request has expired when it comes; by the client's, which counts, it has not."""
    clock, producer, _ = town(farm, ("archiver",), 40 * DAYS)
    request = ask(farm)
    assert_held(farm, request, producer, 40 * DAYS / 1000)
    # A cancel is as old as the request by that clock.
    other = farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), 2)), by="root", user="ada")
    wait.until(lambda: farm.record(other).get("reason") == "clock", lambda: f"held: {farm.record(other)}")
    farm.person("root").cancel(other)
    archiver, = farm.roles("archiver")
    wait.until(lambda: archiver.events("request.withdrawn"), "the cancel is heard")
    wait.until(lambda: [e["result"] for e in archiver.events("export.done")] == ["cancelled"], "it is not held on")
    del farm.requests[other]
    assert_goes_on(farm, clock, producer, request)


def wish_to_join(farm, request, user="emmy", headers=None, **envelope):
    """As the producer sends it."""
    wish = {"id": wire.uuid7(), "request": request, "course": request, "user": user, "requested": wire.now_ms()}
    farm.publish(f"restore.{farm.client}.now", wire.seal(
        "enrol.request", wish, farm.keys["client"], f"client:{farm.client}", **envelope), headers=headers)


def joined(farm, request, user="emmy"):
    """What is said of that: pending, joined, or why not."""
    return farm.record(request).get(f"join:{user}")


def test_a_worker_ahead_by_more_than_an_archive_lives(farm):
    """Redis has another machine's clock: by that, nothing has expired."""
    clock = Clock(farm.path("clock"))
    farm.producer()
    farm.archiver()
    worker = farm.worker(**clock.env)
    restored, request = (farm.remote.add(samples.make(farm.path("made.mbz"), i)) for i in (1, 2))
    restored = farm.submit(restored, by="root")
    farm.wait_state(restored, "restored")
    clock.set(40 * DAYS)
    request = farm.submit(request, by="root")
    wait.until(lambda: farm.record(request).get("held"), lambda: f"held: {farm.record(request)}")
    record = farm.record(request)
    assert (record["state"], record["reason"]) == ("ready", "clock") and "that of Redis" in record["message"], record
    wish_to_join(farm, restored)
    wait.until(lambda: any(e["queue"].endswith(".now") for e in worker.events("message.refused")), "so does the wish")
    assert farm.broker.depth(farm.vhost, f"dead.{farm.client}") == 0 and not joined(farm, restored)
    clock.set(0)
    farm.wait_state(request, "restored")
    wait.until(lambda: joined(farm, restored) == "joined", lambda: joined(farm, restored))
    assert farm.record(request)["failures"] == "0"


@pytest.mark.parametrize("behind", (10 * MINUTES, 400 * 24 * 60 * MINUTES))
def test_a_course_server_behind(farm, behind):
    """As after a reboot without a battery: what it says has expired before it is said."""
    clock, producer, _ = town(farm, ("archiver",), -behind)
    request = ask(farm)
    assert_held(farm, request, producer, -behind / 1000)
    assert_goes_on(farm, clock, producer, request)


def test_a_client_ahead(farm):
    clock, producer, _ = town(farm, ("producer", "worker"), 10 * MINUTES)
    request = ask(farm)
    assert_held(farm, request, producer, -600)
    archiver = farm.roles("archiver")[0]
    assert archiver.metric("navette_clock_skew_seconds", peer=farm.client) > 300
    assert_goes_on(farm, clock, producer, request)


def test_a_client_behind(farm):
    clock, producer, _ = town(farm, ("producer", "worker"), -10 * MINUTES)
    request = ask(farm)
    assert_held(farm, request, producer, 600)
    assert_goes_on(farm, clock, producer, request)


def hold_for_days(farm, queue, exchange):
    """The message in the queue comes back as one that has waited for 7 days, less one time."""
    with farm.broker.connect(farm.vhost) as c:
        def get():
            return c.channel().basic_get(queue, auto_ack=True)[2]
        body = wait.until(get, f"a message in {queue}")
    farm.publish(queue, body, exchange, {"nv-clock-holds": str(7 * 1440 - 1)})


def assert_given_up(farm, request, owner):
    farm.wait_state(request, "failed")
    record = farm.record(request)
    assert record["reason"] == "clock" and "waited 7 days" in record["message"], record
    dead = wait.until(lambda: farm.broker.look(farm.vhost, f"dead.{owner}"), "a dead letter")
    assert [(p.headers["nv-reason"], p.headers["nv-clock-holds"]) for p, _ in dead] == [("clock", str(7 * 1440))]


def test_a_request_from_a_wrong_future_is_given_up_after_days(farm):
    """The course server's clock is 3 years behind, and nobody mends it."""
    clock = Clock(farm.path("clock"))
    clock.set(-3 * 365 * 1440 * MINUTES)
    farm.producer()
    request = farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), 1)), by="root")
    hold_for_days(farm, f"archive.{farm.site}", f"from.{farm.client}")
    farm.archiver(**clock.env)
    assert_given_up(farm, request, farm.site)


def test_an_archive_from_a_wrong_future_is_given_up_after_days(farm):
    clock = Clock(farm.path("clock"))
    clock.set(-3 * 365 * 1440 * MINUTES)
    farm.producer()
    farm.archiver()
    request = farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), 1)), by="root")
    farm.wait_state(request, "ready")
    hold_for_days(farm, f"restore.{farm.client}", f"from.{farm.site}")
    farm.worker(**clock.env)
    assert_given_up(farm, request, farm.client)


def test_who_wished_to_join_hears_that_it_is_given_up(farm):
    """A wish that waited 7 days for a clock, and one that nobody served in time."""
    farm.all()
    request = farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), 1)), by="root")
    farm.wait_state(request, "restored")
    now = wire.now_ms()
    wish_to_join(farm, request, "emmy", {"nv-clock-holds": str(7 * 1440)}, issued=now + DAYS, expires=now + 2 * DAYS)
    wish_to_join(farm, request, "ada", issued=now - 2 * DAYS, expires=now - DAYS)
    wait.until(lambda: joined(farm, request, "emmy") and joined(farm, request, "ada"), "both are told")
    assert "waited 7 days" in joined(farm, request, "emmy")
    assert "has expired" in joined(farm, request, "ada")
    wait.until(lambda: farm.broker.depth(farm.vhost, f"dead.{farm.client}") == 2, "the letters")
    assert {p.headers["nv-reason"] for p, _ in farm.broker.look(farm.vhost, f"dead.{farm.client}")} == {"clock", "expired"}


def test_who_wished_to_join_while_redis_was_away_hears_that_it_is_given_up(farm):
    """The worker keeps what it cannot judge yet: each return would count towards the delivery limit."""
    _, _, worker = farm.all()
    request = farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), 1)), by="root")
    farm.wait_state(request, "restored")
    farm.broker.limit_deliveries(farm.vhost, f"restore.{farm.client}.now", 1)
    farm.redis.stop()
    wait.until(lambda: worker.events("redis.down"), "the worker has noticed")
    now = wire.now_ms()
    wish_to_join(farm, request, "ada", issued=now - 2 * DAYS, expires=now - DAYS)
    back = time.monotonic() + 6  # twice what nv_bus_return_later waits, and a little
    wait.until(lambda: time.monotonic() > back, "the time away", 20)
    assert farm.broker.depth(farm.vhost, f"dead.{farm.client}") == 0
    farm.redis.start()
    wait.until(lambda: "has expired" in (joined(farm, request, "ada") or ""), lambda: joined(farm, request, "ada"))
    letter, = wait.until(lambda: farm.broker.look(farm.vhost, f"dead.{farm.client}"), "the letter")
    assert letter[0].headers["nv-reason"] == "expired"


def test_some_minutes_are_told_and_hold_nothing(farm):
    """Progress of a clock two minutes behind looks expired, and was a dead letter each time."""
    _, producer, _ = town(farm, ("archiver",), -2 * MINUTES)
    request = ask(farm)
    farm.wait_state(request, "restored")
    clock = farm.person("root").get("/sites")["sites"][0]["clock"]
    assert -150 < clock["ahead"] < -100, clock
    assert abs(producer.metric("navette_clock_skew_seconds", peer=farm.site) + 120) < 30
    farm.assert_restored_once()


def test_one_wrong_clock_of_two_is_told_without_flickering(farm):
    """Two archivers of one course server answer in turn: the right one's answers do not end the alert."""
    clock = Clock(farm.path("clock"))
    producer = farm.producer()
    farm.archiver("right")
    wrong = farm.archiver("wrong", **clock.env)
    clock.set(-10 * MINUTES)

    def told():
        return producer.metric("navette_clock_skew_seconds", peer=farm.site) < -300
    wait.until(lambda: farm.person("ada").get("/courses?refresh=true") and told(), "the wrong one has answered")
    for _ in range(12):  # either answers some of these
        farm.person("ada").get("/courses?refresh=true")
        assert told(), "and it stays so"
    assert len(producer.events("clock.wrong")) == 1 and not producer.events("clock.right")
    wrong.stop()
    wait.until(lambda: producer.events("clock.right"), "the right one alone: it has ended")
    assert producer.metric("navette_clock_skew_seconds", peer=farm.site) == 0
