# SPDX-License-Identifier: GPL-3.0-or-later
"""The staging store may refuse, break off or lie: the request is tried again, goes on where it was,
is exported again when the store lost or damaged something, or fails with the reason. Never is there
a wrong course. The store is nginx with deploy/nginx/staging.conf; a proxy in front of it goes wrong."""
import hashlib
import os
import random

import pytest

from harness import mbz, samples, staging, wait
from harness.fault_proxy import FaultProxy

BLOB = 400_000


class Rig:
    """A farm whose archiver and worker reach the store through one proxy each."""

    def __init__(self, farm):
        self.farm = farm
        self.staging = staging.of_farm(farm, tls=False)
        self.up, self.down = FaultProxy(self.staging.port), FaultProxy(self.staging.port)
        self.archiver = staging.daemon(farm, "archiver", self.staging, self.up.url)
        self.worker = staging.daemon(farm, "worker", self.staging, self.down.url)

    def start(self):
        self.archiver.start()
        self.worker.start()

    def ask(self, number=1, blobs=2):
        source = samples.make(self.farm.path(f"made-{number}.mbz"), number, blobs, BLOB)
        return self.farm.ask(self.farm.remote.add(source))

    def assert_restored(self, request):
        self.farm.wait_state(request, "restored", "failed", "cancelled")
        assert self.farm.state(request) == "restored", self.farm.record(request)
        self.farm.assert_restored_once()

    def assert_failed(self, request, reason, text):
        """With the reason, everywhere somebody looks for it; and without a course."""
        self.farm.wait_state(request, "restored", "failed", "cancelled")
        record = self.farm.record(request)
        assert (record["state"], record["reason"]) == ("failed", reason), record
        assert text in record["message"], record
        assert not self.farm.local.courses()
        wait.until(lambda: self.farm.local.mail(request), "a message to the requester")
        wait.until(lambda: not self.farm.local.leftovers(),  # a message may just be written
                   lambda: f"left: {self.farm.local.leftovers()}")

    def assert_dead(self, owner, reason):
        dead = wait.until(lambda: self.farm.broker.look(self.farm.vhost, f"dead.{owner}"),
                          "a dead letter")
        assert [p.headers["nv-reason"] for p, _ in dead] == [reason]

    def events(self, request, key):
        return [e[key.encode()].decode() for _, e in self.farm.redis.client.xrange("nv:events")
                if e.get(b"id") == request.encode() and key.encode() in e]

    @staticmethod
    def content(number, n=0):
        """Part of the key of a made course's n-th file: faults meet the one that is meant."""
        rng = random.Random(number)
        return hashlib.sha1([rng.randbytes(BLOB) for _ in range(n + 1)][n]).hexdigest()

    def close(self):
        self.up.close()
        self.down.close()
        self.staging.close()


@pytest.fixture
def make_rig(make_farm):
    rigs = []

    def make(**settings):
        rigs.append(Rig(make_farm(**settings)))
        return rigs[-1]

    yield make
    for rig in rigs:
        for d in (rig.archiver, rig.worker):
            if d.running():
                d.stop()
        rig.close()


def test_a_pass_over_tls_with_a_user_for_each(make_rig):
    """Nothing goes wrong here: TLS, basic authentication, separate credentials."""
    rig = make_rig()
    secure = staging.Staging(rig.farm.path("tls"), rig.staging.passwords).start()
    try:
        for d in (rig.archiver, rig.worker):
            user = d.config["store"]["user"]
            d.configure({**d.config, "store": secure.section(user)})
        rig.start()
        rig.assert_restored(rig.ask())
        # The archive is gone, its contents stay for the next one.
        wait.until(lambda: all("/blobs/" in key for key in secure.objects()), secure.objects, 20)
        assert len(secure.objects()) == 2
        # Another authority's certificate is not accepted: nothing is sent.
        rig.worker.stop()
        d = rig.archiver
        d.stop()
        d.configure({**d.config, "store": {**d.config["store"],
                                           "ca_file": "/etc/ssl/certs/ca-certificates.crt"},
                     "archiver": {**d.config["archiver"], "attempts": 2}})
        d.start()
        request = rig.ask(2)
        rig.worker.start()
        # No course's fault: it waits until somebody has mended it.
        begun = wait.until(lambda: rig.archiver.events("hold.begun", whole=False), "it waits")
        assert begun[0]["reason"] == "store_unavailable" and "certificate" in begun[0]["err"]
        assert len(secure.objects()) == 2
        assert request not in rig.farm.local.courses()
        for d in (rig.archiver, rig.worker):
            d.stop()
    finally:
        secure.close()


def test_a_full_store_is_tried_again(make_rig):
    rig = make_rig()
    full = rig.up.add("PUT", "/blobs/", times=2, status=507)
    rig.start()
    request = rig.ask()
    rig.assert_restored(request)
    assert full.used == 2
    failed = rig.archiver.events("export.failed")
    assert len(failed) == 2 and all("507" in e["err"] for e in failed)
    refused = [s for s in rig.up.requests("PUT") if s.status == 507]
    assert all(s.up == 0 for s in refused), "the body was sent before the refusal"


def test_a_store_that_keeps_refusing_fails_the_request(make_rig):
    rig = make_rig(archiver={"attempts": 3})
    refusal = rig.up.add("PUT", "/blobs/", times=99, status=403)
    rig.start()
    request = rig.ask()
    # The archiver's own word; there is no producer here that would write it into the record.
    rig.assert_dead(rig.farm.site, "store_denied")
    assert refusal.used == 3
    assert "403" in rig.archiver.events("export.failed")[-1]["err"]
    assert not rig.staging.objects() and not rig.farm.local.courses()
    assert rig.archiver.running() and rig.archiver.ready()
    # The next one is served as if nothing had been.
    refusal.times = 0
    del rig.farm.requests[request]
    request = rig.ask(2)
    rig.farm.wait_state(request, "restored")


def test_an_upload_that_breaks_off_goes_on_with_what_is_missing(make_rig):
    """What is in the store is not sent again, and half an object never appears."""
    rig = make_rig()
    cut = rig.up.add("PUT", rig.content(1, 1), cut_up=100_000)
    rig.start()
    rig.assert_restored(rig.ask(blobs=3))
    assert cut.used == 1
    sent = {}
    puts = rig.up.requests("PUT", f"/blobs/.*-{BLOB}$")
    for s in puts:
        sent.setdefault(s.path, []).append(s.status)
    assert sorted(sent.values(), key=len) == [[201], [201], [None, 201]]
    moved = sum(s.up for s in puts)
    assert moved <= 3 * BLOB + 120_000, f"{moved} bytes moved"
    assert not os.listdir(rig.staging.folder + "/incoming")


def test_a_download_that_breaks_off_is_resumed(make_rig):
    """Every answer breaks off; each next request asks for the rest, within a try and in the next."""
    rig = make_rig()
    rig.archiver.start()
    cut = rig.down.add("GET", "/blobs/", times=99, cut_down=50_000)
    request = rig.ask(blobs=1)
    rig.worker.start()
    rig.assert_restored(request)
    parts = rig.down.requests("GET", "/blobs/")
    assert cut.used == len(parts) == BLOB // 50_000
    assert [p.range for p in parts] == [None] + [f"bytes={n * 50_000}-" for n in range(1, 8)]
    assert sum(p.down for p in parts) == BLOB
    # More breaks than one try goes through: the next began where it had stopped.
    assert len(rig.worker.events("restore.failed")) == 1


def test_a_silent_store_is_given_up_and_asked_again(make_rig):
    rig = make_rig()
    rig.archiver.start()
    rig.down.add("GET", "/blobs/", stall=True)
    request = rig.ask(blobs=1)
    rig.worker.start()
    rig.assert_restored(request)
    first, second = rig.down.requests("GET", "/blobs/")[-2:]
    assert second.range == f"bytes={BLOB // 2}-" and second.down == BLOB // 2, (first, second)


def test_a_damaged_object_is_sent_again(make_rig):
    """A byte that is another on the way down, and one that was damaged on the way up."""
    rig = make_rig()
    rig.archiver.start()
    down = rig.down.add("GET", rig.content(1), flip=True)
    up = rig.up.add("PUT", rig.content(2), flip_up=True)
    requests = [rig.ask(1, blobs=1), rig.ask(2, blobs=1)]
    rig.worker.start()
    for request in requests:
        rig.assert_restored(request)
        assert "store_corrupt" in rig.events(request, "reason")
        assert rig.farm.record(request)["failures"] == "1"
    assert down.used == up.used == 1
    again = rig.worker.events("export.again")
    assert len(again) == 2 and all("SHA-256" in e["err"] for e in again)
    # Removed by whoever saw it, and sent a second time.
    assert len(rig.down.requests("DELETE", "/blobs/")) == 2
    assert len(rig.up.requests("PUT", f"/blobs/.*-{BLOB}$")) == 4


def test_lost_objects_are_exported_again(make_rig):
    """A blob, the skeleton and the manifest, each from another archive."""
    rig = make_rig()
    rig.archiver.start()
    lost = ("blobs/", "skeleton", "manifest")
    requests = [rig.ask(n + 1, blobs=1) for n in range(len(lost))]
    queue = f"restore.{rig.farm.client}"
    wait.until(lambda: rig.farm.broker.depth(rig.farm.vhost, queue) == 3, "three archives")
    objects = rig.staging.objects()
    for n, (request, what) in enumerate(zip(requests, lost), 1):
        own = rig.content(n) if what == "blobs/" else request
        key, = (k for k in objects if what in k and own in k)
        os.unlink(os.path.join(rig.staging.root, key))
    rig.worker.start()
    for request in requests:
        rig.assert_restored(request)
    assert len(rig.worker.events("export.again")) == 3
    assert all("404" in e["err"] for e in rig.worker.events("export.again"))


def test_a_store_that_always_lies_fails_the_request(make_rig):
    rig = make_rig(worker={"attempts": 3}, archiver={"attempts": 3})
    rig.down.add("GET", "/blobs/", times=99, flip=True)
    rig.start()
    request = rig.ask(blobs=1)
    rig.assert_failed(request, "store_corrupt", "SHA-256")
    # Sent three times, since nobody believes a store that took the bytes before.
    assert len(rig.worker.events("restore.failed")) == 3
    assert len(rig.up.requests("PUT", rig.content(1))) == 3
    rig.assert_dead(rig.farm.client, "store_corrupt")
    mails = rig.farm.local.mail(request)
    assert len(mails) == 1


def test_a_store_that_is_away_is_waited_for(make_rig):
    rig = make_rig()
    rig.archiver.start()
    request = rig.ask()
    queue = f"restore.{rig.farm.client}"
    wait.until(lambda: rig.farm.broker.depth(rig.farm.vhost, queue) == 1, "an archive")
    rig.staging.close()
    rig.worker.start(ready=False)
    wait.until(lambda: rig.worker.events("hold.begun"), "it waits")
    rig.staging.start()
    rig.assert_restored(request)
    source = rig.farm.remote.sources[rig.farm.requests[request]]
    mbz.assert_same(source, rig.farm.local.archive(request))
