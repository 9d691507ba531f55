# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong once in a review, and must not again: a peer's oversized header, a message that comes
again while it is being settled, Redis away while somebody joins, a reload in the middle of a stop."""
# ctest timeout 400
import signal
import socket
import threading
import time

from harness import samples, wait, wire
from harness.api import Api


def one_course(farm):
    return farm.remote.add(samples.make(farm.path("made.mbz"), 1))


def test_a_header_beyond_a_frame_costs_one_dead_letter_and_no_connection(farm):
    _, archiver, worker = farm.all()
    for daemon, queue, exchange, owner in (
            (worker, f"restore.{farm.client}", f"from.{farm.site}", farm.client),
            (archiver, f"archive.{farm.site}", f"from.{farm.client}", farm.site)):
        farm.publish(queue, b"garbage", exchange,
                     headers={"nv-exports": "9" * 60000, "nv-requeued": "8" * 60000})
        wait.until(lambda o=owner: farm.broker.depth(farm.vhost, f"dead.{o}") == 1, "the dead letter")
        properties, _ = farm.broker.look(farm.vhost, f"dead.{owner}")[0]
        assert properties.headers["nv-reason"] == "bad_message"
        assert all(len(str(v)) < 1000 for v in properties.headers.values())
        assert not daemon.events("bus.lost")
    farm.wait_state(farm.submit(one_course(farm)), "restored")


def connected(daemon):
    return sum("consume" in e.get("connection", "") for e in daemon.events("bus.connected"))


def consumers_of(farm, daemon):
    """All its consuming connections, or None: the broker's list is late."""
    names = [c["name"] for c in farm.broker.get("/connections")
             if c.get("vhost") == farm.vhost
             and c.get("user_provided_name", "").startswith(daemon.role)
             and c["user_provided_name"].endswith("consume")]
    return names if len(names) == connected(daemon) else None


def test_a_message_that_comes_again_while_it_is_being_settled_is_served_once(farm):
    _, _, worker = farm.all()
    request = farm.ask(one_course(farm), now=False)
    farm.redis.client.set(f"nv:claim:{request}", "somebody")  # so that it is held back, and again
    try:
        wait.until(lambda: farm.state(request) == "ready", "it to be ready")
        # Nothing can be published any more: the next settling waits for its confirm …
        farm.broker.ctl("set_vm_memory_high_watermark", "absolute", "1MB")
        wait.until(lambda: worker.events("bus.blocked"), "the block")
        wait.until(lambda: worker.metric("navette_bus_blocked", connection="publish") == 1,
                   "the block in the metrics")
        names = wait.until(lambda: consumers_of(farm, worker), "the connections in the broker's list")
        # … while the other connections break, and the message comes again.
        before = connected(worker)
        for name in names:
            farm.broker.call("DELETE", "connections", name)
        wait.until(lambda: connected(worker) >= before + len(names), "the new connections")
    finally:
        farm.broker.ctl("set_vm_memory_high_watermark", "0.9")
    farm.redis.client.delete(f"nv:claim:{request}")
    farm.wait_state(request, "restored")
    wait.until(lambda: worker.metric("navette_bus_blocked", connection="publish") == 0, "the end")
    assert worker.metric("navette_bus_blocked_seconds_total", connection="publish") > 0
    farm.assert_restored_once()
    farm.assert_queues_empty()


def test_joining_waits_for_redis_and_uses_up_no_attempt(farm):
    _, _, worker = farm.all()
    request = farm.submit(one_course(farm))
    farm.wait_state(request, "restored")
    farm.redis.stop()
    wait.until(lambda: worker.events("redis.down"), "the worker to notice")
    wish = {"id": wire.uuid7(), "request": request, "course": request, "user": "emmy",
            "requested": wire.now_ms()}
    farm.publish(f"restore.{farm.client}.now",
                 wire.seal("enrol.request", wish, farm.keys["client"], f"client:{farm.client}"))
    wait.until(lambda: len(worker.events("enrol.untold")) >= 3, "it to be said again")
    enrolled = len(worker.events("enrol.done"))
    farm.redis.start()
    farm.assert_queues_empty()
    assert enrolled == len(worker.events("enrol.done")) == 1  # enrolled once, told until it was heard
    people = farm.local.course(request)["enrolments"]
    assert [p["user"] for p in people].count("emmy") == 1


def test_a_reload_in_the_middle_of_a_stop_is_ignored(make_farm):
    silent, kept = socket.create_server(("127.0.0.1", 0)), []
    threading.Thread(target=lambda: kept.append(silent.accept()), daemon=True).start()
    farm = make_farm()
    farm.archiver()
    worker = farm.daemon("worker")
    worker.configure({**worker.config, "notify": {
        "smtp_url": f"smtp://127.0.0.1:{silent.getsockname()[1]}",
        "mail_from": "navette@this-year.example.org", "admins": []}})
    worker.start()
    farm.wait_state(farm.ask(one_course(farm), mail="ada@example.org"), "restored")
    wait.until(lambda: kept, "the mail to be under way")  # which holds up the stop
    worker.signal(signal.SIGTERM)
    wait.until(lambda: worker.events("daemon.stopping"), "the stop")
    worker.signal(signal.SIGHUP)
    wait.stays(worker.running, "the mail still holds it up", 1)
    silent.close()
    kept[0][0].close()
    assert worker.wait_end() == 0 and not worker.broken()


def test_of_many_questions_at_once_each_is_answered(farm):
    """One that came while another's answer was being read waited for an answer of its own, which nobody had asked
    for, and everybody after it with it."""
    farm.producer()
    farm.archiver()
    course = one_course(farm)
    slow = []

    def ask():
        api = Api(lambda: farm.roles("producer")[0].url(""), "ada")
        for _ in range(40):
            began = time.monotonic()
            site, = api.get("/courses")["sites"]
            if site["status"] != "ok" or time.monotonic() - began > 5:
                slow.append(site)
            assert [c["course"] for c in site["courses"]] == [course]

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not slow
