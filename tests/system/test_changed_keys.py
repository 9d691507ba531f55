# SPDX-License-Identifier: GPL-3.0-or-later
"""A course server's key is replaced while its messages are on their way: nothing that is signed by a
key nobody trusts is believed, the requester hears that and why, and once the key is made known the
request goes on from the dead queue."""
import json
import os

import pika

from harness import keys, samples, wait, wire


def with_new_key(farm, archiver):
    farm.keys["site"] = keys.Key()
    os.unlink(farm.path("site.key"))
    farm.keys["site"].write(farm.path("site.key"))
    return archiver


def dead(farm, *args):
    return farm.navette("dead", *args, broker={
        "uris": [f"amqp://guest@127.0.0.1:{farm.broker.amqp}/{farm.vhost}"],
        "password_file": farm.path("admin.password"),
        "clients": [farm.client], "sites": [farm.site]})


def test_a_request_answered_with_a_strange_key_fails_and_says_so(farm):
    archiver, worker = farm.daemon("archiver"), farm.worker()
    with_new_key(farm, archiver).start()
    request = farm.ask(farm.remote.add(samples.make(farm.path("made.mbz"), 1)))
    farm.wait_state(request, "failed")
    record = farm.record(request)
    assert record["reason"] == "untrusted"
    assert farm.site in record["message"] and "public_key" in record["message"]
    assert farm.local.courses() == []
    wait.until(lambda: farm.local.mail(request), "a message to the requester")
    letters = json.loads(dead(farm, "list", "--json", "--queue", f"dead.{farm.client}"))["messages"]
    assert "untrusted" in {m["reason"] for m in letters}
    # The operator makes the key known and puts the letter back.
    worker.stop()
    worker.configure(farm.config("worker", "worker"))
    worker.start()
    for m in letters:
        if m["kind"] == "archive.ready":
            dead(farm, "requeue", str(m["n"]), "--queue", f"dead.{farm.client}")
    farm.wait_state(request, "restored")
    assert farm.local.courses() == [request]


def publish_as_archiver(farm, data):
    user = f"archiver.{farm.site}"
    with open(farm.path("credentials", f"{user}.password"), encoding="ascii") as f:
        password = f.read().strip()
    with farm.broker.connect(farm.vhost, user, password) as c:
        channel = c.channel()
        channel.confirm_delivery()
        channel.basic_publish(f"from.{farm.site}", f"restore.{farm.client}", data,
                              pika.BasicProperties(delivery_mode=2, user_id=user), mandatory=True)


def test_only_the_course_server_and_only_our_own_signature_count(farm):
    """A copy of a genuine request in a stranger's envelope, not sent by the course server's user; and
    the course server's user with a request that our client never signed: neither changes anything."""
    farm.worker()
    body = wire.restore_request(farm.site, "1", "ada")
    ours = wire.seal("restore.request", body, farm.keys["client"], f"client:{farm.client}")
    forged = wire.seal("restore.request", {**body, "id": wire.uuid7()}, keys.Key(),
                       f"client:{farm.client}")

    def ready(inner):
        return wire.seal("archive.ready", {"request": inner, "attempt": wire.uuid7()}, keys.Key(),
                         f"site:{farm.site}")
    farm.publish(f"restore.{farm.client}", ready(ours), f"from.{farm.site}")
    publish_as_archiver(farm, ready(forged))
    wait.until(lambda: farm.broker.depth(farm.vhost, f"dead.{farm.client}") == 2, "two dead letters")
    assert not farm.redis.client.keys("nv:req:*")
