# SPDX-License-Identifier: GPL-3.0-or-later
"""No message, however bad, stops a consumer: each ends in the dead queue with the reason, and the
next one is served. From there an operator puts it back, or throws it away."""
import collections
import json
import os

import msgpack
import pika
import pytest

from harness import keys, samples, wait, wire

HOUR = 3600_000
Way = collections.namedtuple("Way", "queue exchange kind body key who dead")


def ways(farm):
    """Each queue that is listened to: what belongs there, and whose dead queue takes the rest."""
    client, site = f"client:{farm.client}", f"site:{farm.site}"
    ours, theirs = farm.keys["client"], farm.keys["site"]
    wish = wire.restore_request(farm.site, "1", "ada")
    sealed = wire.seal("restore.request", wish, ours, client)
    to_site, to_client = f"from.{farm.client}", f"from.{farm.site}"
    return {
        "archive": Way(f"archive.{farm.site}", to_site, "restore.request", wish, ours, client,
                       farm.site),
        "catalog": Way(f"catalog.{farm.site}", to_site, "catalog.request",
                       {"id": wire.uuid7(), "user": "ada", "user_field": "username",
                        "roles": ["editingteacher"]}, ours, client, farm.site),
        "control": Way(f"control.{farm.site}", to_site, "cancel.request",
                       {"id": wire.uuid7(), "rev": 1}, ours, client, farm.site),
        "restore": Way(f"restore.{farm.client}", to_client, "archive.ready",
                       {"request": sealed, "attempt": wire.uuid7(), "manifest_sha256": bytes(32),
                        "manifest_size": 10, "size": 10, "entries": 1, "user_data": False,
                        "at": wire.now_ms()}, theirs, site, farm.client),
        "events": Way(f"events.{farm.client}", to_client, "status.event",
                      {"request": sealed, "attempt": wire.uuid7(), "seq": 1, "state": "exporting",
                       "at": wire.now_ms()}, theirs, site, farm.client),
    }


def bad(farm, way):
    """[(what, bytes, reason)]"""
    def seal(kind=way.kind, body=way.body, key=way.key, who=way.who, **changes):
        return wire.seal(kind, body, key, who, **changes)

    good, past = seal(), wire.now_ms() - 2 * HOUR
    role, other = ("site", farm.keys["site"]) if way.who.startswith("client") else \
        ("client", farm.keys["client"])
    first = next(iter(way.body))
    cases = [
        ("garbage", b"garbage", "bad_message"),
        ("nothing", b"", "bad_message"),
        ("half of one", good[:len(good) // 2], "bad_message"),
        ("a byte behind the end", good + b"\0", "bad_message"),
        ("10 MB", os.urandom(10 << 20), "bad_message"),
        ("another version", seal(v=2), "unknown_version"),
        ("an unknown kind", seal(kind="no.such"), "bad_message"),
        ("a kind that does not belong here",
         seal("enrol.request" if way.kind != "archive.ready" else "cancel.request"), "bad_message"),
        ("a field missing", seal(body={k: v for k, v in way.body.items() if k != first}),
         "bad_message"),
        ("a field of another type", seal(body={**way.body, first: 7}), "bad_message"),
        ("a body that is none", seal(body=b"\xc1"), "bad_message"),
        ("a body behind whose end is more", seal(body=msgpack.packb(way.body) + b"\0"),
         "bad_message"),
        ("unsigned", seal(signature=None), "unsigned_message"),
        ("a signature of zeros", seal(signature=bytes(64)), "unsigned_message"),
        ("signed by another key", seal(key=keys.Key()), "unsigned_message"),
        ("signed by a stranger", seal(key=keys.Key(), who=way.who.split(":")[0] + ":stranger"),
         "untrusted"),
        ("signed by the right key of another role",
         seal(key=other, who=f"{role}:{farm.site if role == 'site' else farm.client}"),
         "untrusted"),
    ]  # from the future: held, see test_clock.py
    if way.kind not in ("catalog.request", "cancel.request"):  # answered, or carried out, whatever the clocks say
        cases.append(("expired", seal(issued=past, expires=past + HOUR), "expired"))
    return cases


def dead(farm, *args):
    return farm.navette("dead", *args, broker={
        "uris": [f"amqp://guest@127.0.0.1:{farm.broker.amqp}/{farm.vhost}"],
        "password_file": farm.path("admin.password"),
        "clients": [farm.client], "sites": [farm.site]})


def listed(farm, owner):
    return json.loads(dead(farm, "list", "--json", "--queue", f"dead.{owner}"))["messages"]


def wait_dead(farm, owner, count):
    queue = f"dead.{owner}"
    wait.until(lambda: farm.broker.depth(farm.vhost, queue) == count,
               lambda: f"{count} messages in {queue}, not {farm.broker.depth(farm.vhost, queue)}")


@pytest.mark.parametrize("name", ["archive", "catalog", "control", "restore", "events"])
def test_bad_messages_end_in_the_dead_queue(make_farm, name):
    # Who looks for letters that are settled has them in hand for a moment: the producer not in this test.
    farm = make_farm(producer={"sweep_after": "1h"})
    farm.all()
    way = ways(farm)[name]
    cases = bad(farm, way)
    farm.person("ada").get("/courses?refresh=true")  # the archiver knows the client's clock
    for _, data, _ in cases:
        farm.publish(way.queue, data, way.exchange)
    wait_dead(farm, way.dead, len(cases))
    def all_of_them():
        there = {body: p for p, body in farm.broker.look(farm.vhost, f"dead.{way.dead}")}
        return there if len(there) == len(cases) else None
    found = wait.until(all_of_them, "all of them, in nobody's hands")
    for what, data, reason in cases:
        headers = found[data].headers
        assert headers["nv-reason"] == reason, f"{what}: {headers}"
        assert headers["nv-error"] and headers["nv-host"] and int(headers["nv-at"])
        assert headers["nv-queue"].startswith(way.queue), headers
        if what == "a field missing":
            assert f"{way.kind}.{next(iter(way.body))}: missing" in headers["nv-error"]
    shown = collections.Counter(m["reason"] for m in listed(farm, way.dead))
    assert shown == collections.Counter(reason for _, _, reason in cases)
    # Who had to read all this goes on serving.
    request = farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), 1)))
    farm.wait_state(request, "restored")
    assert farm.local.courses() == [request]
    # Thrown away, one by one: just the one that was meant.
    first, *others = sorted(listed(farm, way.dead), key=lambda m: m["n"])
    assert "discarded" in dead(farm, "discard", "1", "--queue", f"dead.{way.dead}")
    assert collections.Counter(m["error"] for m in listed(farm, way.dead)) == \
        collections.Counter(m["error"] for m in others), first
    for _ in cases[1:]:
        dead(farm, "discard", "1", "--queue", f"dead.{way.dead}")
    wait_dead(farm, way.dead, 0)


def test_a_message_beyond_all_measure_does_not_get_in(farm):
    """rabbitmq.conf: the broker keeps nothing that no program would read."""
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
        farm.publish(f"archive.{farm.site}", bytes(17 << 20))
    assert refused.value.reply_code == 406


def spy(farm):
    """A queue beside the real ones: what the course server says, as it was sent."""
    with farm.broker.connect(farm.vhost) as c:
        channel = c.channel()
        channel.queue_declare("spy", durable=True)
        channel.queue_bind("spy", f"from.{farm.site}", f"restore.{farm.client}")
        channel.queue_bind("spy", f"from.{farm.client}", f"archive.{farm.site}")


def test_what_was_served_is_not_served_again(farm):
    """The same bytes once more, after they were handled: refused on both sides, also by another
    process than the one that served them."""
    _, archiver, worker = farm.all()
    spy(farm)
    request = farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), 1)))
    farm.wait_state(request, "restored")
    wait.until(lambda: worker.events("restore.done") and archiver.events("export.done"), "the end")
    for d in (archiver, worker):
        d.stop()
        d.start()
    copies = {wire.open_envelope(body)[0]["kind"]: body for _, body in
              farm.broker.look(farm.vhost, "spy")}
    assert copies.keys() == {"restore.request", "archive.ready"}
    farm.publish(f"archive.{farm.site}", copies["restore.request"])
    wait_dead(farm, farm.site, 1)
    farm.publish(f"restore.{farm.client}", copies["archive.ready"], f"from.{farm.site}")
    wait_dead(farm, farm.client, 1)
    for owner in (farm.site, farm.client):
        assert [m["reason"] for m in listed(farm, owner)] == ["replayed"]
    assert farm.local.courses() == [request] and farm.state(request) == "restored"
    assert len(farm.local.mail(request)) == 1
    # Not even an operator makes a second course of it.
    dead(farm, "requeue", "--all", "--queue", f"dead.{farm.client}")
    wait_dead(farm, farm.client, 0)
    wait.until(lambda: any(e["result"] == "already" for e in worker.events("restore.done")),
               "served as what it is")
    assert farm.local.courses() == [request] and farm.state(request) == "restored"


POLICY = {
    "user data": ({"user_data": False}, {"user_data": True}),
    "a category": ({"categories": ["ARTS"]}, {"user_data": False}),
    "nobody's name": ({"without_user": False}, {"user": None, "user_data": False}),
}


def test_what_the_site_does_not_allow_is_refused_until_it_does(farm):
    """The course server's policy for this client; when it has been changed, requeueing is enough."""
    farm.producer()
    farm.worker()
    archiver = farm.archiver()
    allowed = archiver.config
    requests = []
    for n, (what, (client, wish)) in enumerate(POLICY.items(), 1):
        archiver.stop()
        archiver.configure({**allowed, "clients": [{**allowed["clients"][0], **client}]})
        archiver.start()
        course = farm.remote.add(samples.make(farm.path(f"p{n}.mbz"), n, users=True))
        wish = {"user": "ada", **wish}
        requests.append(farm.ask(course, wish.pop("user"), **wish))
        wait_dead(farm, farm.site, n)
        letter = listed(farm, farm.site)[n - 1]
        assert (letter["reason"], letter["kind"]) == ("policy", "restore.request"), (what, letter)
        farm.wait_state(requests[-1], "failed")
        assert farm.record(requests[-1])["reason"] == "policy", what
    # Put back while nothing has changed: refused again.
    dead(farm, "requeue", "3", "--queue", f"dead.{farm.site}")
    wait.until(lambda: [m["requeued"] for m in listed(farm, farm.site)] == [0, 0, 1],
               "served again and refused again")
    archiver.stop()
    archiver.configure(allowed)
    archiver.start()
    assert "3 messages requeued" in dead(farm, "requeue", "--all", "--queue",
                                               f"dead.{farm.site}")
    for request in requests:
        farm.wait_state(request, "restored")
        assert not farm.record(request).get("reason")
    wait_dead(farm, farm.site, 0)
    assert farm.local.courses() == sorted(requests)


def test_what_the_worker_gave_up_goes_on_when_it_is_put_back(farm):
    """archive.ready in the client's dead queue: the account was missing; now it is there."""
    farm.producer()
    farm.archiver()
    farm.worker()
    farm.remote.add_user("mallory")
    course = farm.remote.add(samples.make(farm.path("m.mbz"), 1), "mallory")
    request = farm.ask(course, "mallory")
    farm.wait_state(request, "failed")
    wait_dead(farm, farm.client, 1)
    letter, = listed(farm, farm.client)
    assert (letter["reason"], letter["kind"]) == ("unknown_user", "archive.ready")
    with open(farm.local.path + "/site.json", encoding="utf-8") as f:
        site = json.load(f)
    site["users"].append({"username": "mallory", "name": "M.", "can_create_in": ["*"]})
    with open(farm.local.path + "/site.json.new", "w", encoding="utf-8") as f:
        json.dump(site, f)
    os.rename(farm.local.path + "/site.json.new", farm.local.path + "/site.json")
    dead(farm, "requeue", "1", "--queue", f"dead.{farm.client}")
    farm.wait_state(request, "restored")
    assert farm.states(request)[-3:] == ["failed", "importing", "restored"]
    assert farm.local.courses() == [request]
    wait_dead(farm, farm.client, 0)
