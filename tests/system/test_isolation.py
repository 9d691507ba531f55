# SPDX-License-Identifier: GPL-3.0-or-later
"""A site's broker user and store credentials reach nobody else's, and neither do a client's: not by a
routing key, a CC or BCC header, an exchange of delays, the default exchange, nor by a queue whose
dead letters go elsewhere. The store is nginx with deploy/nginx/staging.conf as it is shipped."""
import logging
import uuid

import pika
import pytest
import requests

from harness import samples, staging, wait

logging.getLogger("pika").setLevel(logging.CRITICAL)  # refusals are what is wanted here

CLIENTS, SITES = ("blue", "red"), ("east", "west")
PASSWORDS = {}
AMQ = ("", "amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match")


@pytest.fixture
def town(farm):
    """Two clients and two sites on one virtual host, beside the farm's own."""
    farm.navette("broker", "apply", broker={
        "uris": [f"amqp://guest@127.0.0.1:{farm.broker.amqp}/{farm.vhost}"],
        "management_url": f"http://guest@127.0.0.1:{farm.broker.management}",
        "management_password_file": farm.path("admin.password"),
        "clients": list(CLIENTS), "sites": list(SITES),
        "credentials_dir": farm.path("town")})
    for user in users():
        with open(farm.path("town", f"{user}.password"), encoding="utf-8") as f:
            PASSWORDS[user] = f.read().strip()
    return farm


def users():
    return [f"archiver.{s}" for s in SITES] + [f"{r}.{c}" for c in CLIENTS
                                               for r in ("producer", "worker")]


def own(user):
    """The queues that messages of this user may come into (delays end in the owner's own)."""
    role, owner = user.split(".")
    if role == "archiver":
        out = {f"restore.{c}{now}" for c in CLIENTS for now in ("", ".now")} | \
            {f"{q}.{c}" for c in CLIENTS for q in ("events", "opened")}
        return out | {f"archive.{owner}", f"archive.{owner}.now", f"catalog.{owner}",
                      f"dead.{owner}"}
    out = {f"archive.{s}{now}" for s in SITES for now in ("", ".now")} | \
        {f"catalog.{s}" for s in SITES}
    return out | {f"restore.{owner}", f"restore.{owner}.now", f"events.{owner}", f"opened.{owner}",
                  f"dead.{owner}"}


def readable(user):
    role, owner = user.split(".")
    return {"archiver": {f"archive.{owner}", f"archive.{owner}.now", f"catalog.{owner}",
                         f"dead.{owner}"},
            "producer": {f"events.{owner}", f"dead.{owner}"},
            "worker": {f"restore.{owner}", f"restore.{owner}.now", f"opened.{owner}", f"dead.{owner}"}}[role]


class As:
    """A connection of one user; what the broker refuses closes its channel, not more."""

    def __init__(self, farm, user):
        self.connection = farm.broker.connect(farm.vhost, user, PASSWORDS[user])

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.connection.close()

    def allowed(self, action):
        """Does the broker let us? False only for a refusal."""
        channel = self.connection.channel()
        channel.confirm_delivery()
        try:
            action(channel)
            channel.close()
            return True
        except pika.exceptions.NackError:
            return True
        except pika.exceptions.ChannelClosedByBroker as e:
            assert e.reply_code == 403, e
            return False


def names(farm, kind):
    return [x["name"] for x in farm.broker.call("GET", kind, farm.vhost)]


def drain(farm, queues):
    """Everything in them: [(queue, body)]."""
    found = []
    with farm.broker.connect(farm.vhost) as c:
        channel = c.channel()
        for queue in queues:
            while True:
                method, _, body = channel.basic_get(queue, auto_ack=True)
                if method is None:
                    break
                found.append((queue, body.decode()))
    return found


def test_messages_stay_within_the_ways_that_are_laid(town):
    queues = [q for q in names(town, "queues")]
    destinations = [q for q in queues if not q.startswith("retry.")]
    exchanges = sorted(set(names(town, "exchanges")) | set(AMQ))
    assert len(destinations) > 20 and len(exchanges) > 20
    tried = 0
    for user in users():
        with As(town, user) as who:
            for exchange in exchanges:
                def send(channel, key, headers=None, body=""):
                    channel.basic_publish(exchange, key, f"{user} by {exchange} {body}".encode(),
                                          pika.BasicProperties(headers=headers))
                if not who.allowed(lambda ch: send(ch, "nowhere")):
                    continue
                tried += 1
                who.allowed(lambda ch: [send(ch, q, body="key") for q in destinations])
                for header in ("CC", "BCC"):
                    who.allowed(lambda ch: send(ch, "nowhere", {header: destinations}, header))
    # Its own from, self, and delays; an archiver and a worker have four of those.
    assert tried == 4 * (2 + 4) + 2 * 2, tried
    delays = [q for q in queues if q.startswith("retry.")]
    wait.until(lambda: not any(town.broker.depth(town.vhost, q) for q in delays), "the delays' end")
    arrived = {}
    for queue, body in drain(town, destinations):
        arrived.setdefault(body.split()[0], set()).add(queue)
    assert arrived.keys() == set(users()), "somebody could send nothing at all"
    for user, reached in arrived.items():
        assert reached <= own(user), f"{user} reached {sorted(reached - own(user))}"
        assert reached == own(user), f"{user} did not reach {sorted(own(user) - reached)}"


def test_nobody_takes_on_another_name(town):
    with As(town, "archiver.east") as who:
        def send(channel):
            channel.basic_publish("from.east", "events.blue", b"x",
                                  pika.BasicProperties(user_id="archiver.west"))
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
            channel = who.connection.channel()
            channel.confirm_delivery()
            send(channel)
        assert refused.value.reply_code == 406


def test_queues_are_read_by_their_owners_only(town):
    queues = names(town, "queues")
    for user in users():
        with As(town, user) as who:
            got = {q for q in queues if who.allowed(lambda ch: ch.basic_get(q))}
            assert got == readable(user), user
            # What it may not read it cannot empty or delete either.
            for queue in queues:
                if queue not in got:
                    assert not who.allowed(lambda ch: ch.queue_purge(queue)), (user, queue)
                assert not who.allowed(lambda ch: ch.queue_delete(queue)), (user, queue)


def test_nobody_lays_new_ways(town):
    """Queues and bindings of one's own making are refused, but for an archiver's own ear."""
    ear = f"control.east.{uuid.uuid4().hex}"
    exchanges = [x for x in names(town, "exchanges") if x]
    writable = {x for x in exchanges if x in ("from.east", "self.east") or
                x.startswith("retry.east.")}
    assert len(writable) == 6
    for user in users():
        with As(town, user) as who:
            assert not who.allowed(lambda ch: ch.queue_declare("mine", exclusive=True)), user
            assert not who.allowed(lambda ch: ch.exchange_declare("mine")), user
            for queue in names(town, "queues"):
                assert not who.allowed(lambda ch: ch.queue_bind(queue, "amq.fanout")), queue
    with As(town, "archiver.east") as who:
        held = who.connection.channel()
        held.queue_declare(ear, exclusive=True, auto_delete=True)
        held.queue_bind(ear, "control.east")
        for exchange in exchanges:
            if exchange != "control.east":
                assert not who.allowed(lambda ch: ch.queue_bind(ear, exchange, "x")), exchange
                # What it is told it may pass on, where it may write anyway.
                assert who.allowed(lambda ch: ch.exchange_bind(exchange, "control.east")) == \
                    (exchange in writable), exchange
        # A queue whose dead letters would go where its owner may not write.
        for exchange in exchanges:
            other = f"control.east.{uuid.uuid4().hex}"
            may = who.allowed(lambda ch: ch.queue_declare(
                other, exclusive=True, arguments={"x-dead-letter-exchange": exchange,
                                                  "x-dead-letter-routing-key": "restore.blue"}))
            assert may == (exchange in writable), exchange


def test_the_management_api_is_closed_to_them(town):
    for user in users():
        answer = requests.get(town.broker.url("queues", town.vhost),
                              auth=(user, PASSWORDS[user]), timeout=10)
        assert answer.status_code == 401, (user, answer.status_code)


# --- the store ---

@pytest.fixture
def store(tmp_path):
    s = staging.Staging(str(tmp_path / "s"), [f"archiver.{s}" for s in SITES] +
                        [f"worker.{c}" for c in CLIENTS]).start()
    yield s
    s.close()


def ask(store, user, method, path, data=None, password=None):
    auth = (user, password or store.passwords[user]) if user else None
    # Prepared, so that nobody cleans the path up before the server sees it.
    with requests.Session() as session:
        request = session.prepare_request(requests.Request(method, store.url + "/", auth=auth,
                                                           data=data))
        request.url = store.url + path
        return session.send(request, verify=store.ca_file, timeout=10).status_code


def test_a_site_reaches_its_own_folder_of_the_store_only(store):
    key = "/east/blue/archives/1/manifest"
    assert ask(store, "archiver.east", "PUT", key, b"one") == 201
    assert ask(store, "archiver.west", "PUT", "/west/blue/archives/1/manifest", b"two") == 201
    for method in ("GET", "HEAD"):
        assert ask(store, "archiver.east", method, key) == 200
        assert ask(store, "archiver.east", method, "/east/blue/archives/") == 200
    strange = ["/west/blue/archives/1/manifest", "/west/", "/west/blue/", "/", "/east",
               "/eastern/x", "/east/../west/blue/archives/1/manifest",
               "/east/%2e%2e/west/blue/archives/1/manifest",
               "/east%2f..%2fwest/blue/archives/1/manifest", "//west/blue/archives/1/manifest",
               "/east/./../west/", "/archiver.east/x", "/.users", "/west%00/east/"]
    before = store.objects()
    for path in strange:
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            status = ask(store, "archiver.east", method, path, b"x" if method == "PUT" else None)
            assert status in (400, 403), (method, path, status)
    # What no daemon does is no way out either.
    for method in ("COPY", "MOVE", "MKCOL", "PROPFIND", "POST", "PATCH", "OPTIONS"):
        assert ask(store, "archiver.east", method, key) in (400, 403, 405), method
    assert ask(store, "archiver.east", "DELETE", "/east/blue/") in (403, 409)
    assert store.objects() == before
    assert ask(store, "archiver.east", "DELETE", key) == 204


def test_a_client_reads_and_removes_its_own_archives_only(store):
    for site in SITES:
        for client in CLIENTS:
            assert ask(store, f"archiver.{site}", "PUT", f"/{site}/{client}/blobs/aa/x", b"x") == 201
    for site in SITES:
        assert ask(store, "worker.blue", "GET", f"/{site}/blue/blobs/aa/x") == 200
        assert ask(store, "worker.blue", "GET", f"/{site}/blue/blobs/") == 200
        assert ask(store, "worker.blue", "PUT", f"/{site}/blue/blobs/aa/y", b"x") == 403
        for path in (f"/{site}/red/blobs/aa/x", f"/{site}/", f"/{site}/red/",
                     f"/{site}/blue/../red/blobs/aa/x", f"/{site}/blue%2f..%2fred/blobs/aa/x",
                     f"/x/{site}/blue/", "/", f"/{site}/bluer/x"):
            for method in ("GET", "HEAD", "DELETE"):
                assert ask(store, "worker.blue", method, path) in (400, 403), (method, path)
        assert ask(store, "worker.blue", "DELETE", f"/{site}/blue/blobs/aa/x") == 204
    assert sorted(store.objects()) == ["east/red/blobs/aa/x", "west/red/blobs/aa/x"]


def test_the_store_lets_nobody_in_without_the_password(store):
    assert ask(store, "archiver.east", "PUT", "/east/blue/x/y", b"x") == 201
    for path in ("/east/blue/x/y", "/", "/west/"):
        assert ask(store, None, "GET", path) == 401
        assert ask(store, None, "PUT", path, b"x") == 401
        assert ask(store, "archiver.east", "GET", path, password="wrong") in (401, 403)
    assert ask(store, "archiver.east", "GET", "/east/blue/x/y", password="wrong") == 401
    assert ask(store, "archiver.east", "PUT", "/east/blue/x/z", b"x", password="wrong") == 401
    assert list(store.objects()) == ["east/blue/x/y"]
    # A name that says too much is somebody else's, who has no password here.
    for user in ("archiver.east GET /west/", "archiver.", "root", "worker.blue/../red"):
        assert ask(store, user, "GET", "/east/", password="x") in (401, 403)


def test_a_daemon_with_anothers_credentials_says_so(make_farm, store):
    """The archiver of one site with the store's user of another: the store refuses it, the request waits until
    an administrator has put that right, and nothing lies anywhere."""
    farm = make_farm(archiver={"attempts": 2})
    d = farm.daemon("archiver")
    d.configure({**d.config, "store": store.section("archiver.east")})
    d.start()
    request = farm.ask(farm.remote.add(samples.make(farm.path("m.mbz"), 1, 1)))
    begun = wait.until(lambda: d.events("hold.begun"), "it is held")
    assert begun[0]["reason"] == "store_denied" and "403" in begun[0]["err"], begun
    assert not farm.broker.look(farm.vhost, f"dead.{farm.site}")
    assert request and not store.objects()
