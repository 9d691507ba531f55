# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive is fetched while the course server still writes it; whatever happens to whoever fetches,
the course is restored once."""
# one ctest entry per function
import contextlib
import os
import signal
import threading
import time

import pytest

from harness import disk, mbz, samples, staging, wait
from harness.fault_proxy import FaultProxy

BLOBS = 5
BLOB = 8_000_000
LEASE = 10  # seconds, of whoever is ahead (worker/restore/prefetch.c)


class Town:
    """A course whose blobs are in the store and whose archive is not, until `finish` is set."""

    def __init__(self, farm):
        self.farm = farm
        self.staging = staging.of_farm(farm, tls=False)
        self.archivers, self.workers = (FaultProxy(self.staging.port) for _ in range(2))
        self.finish = threading.Event()
        self.archivers.add("PUT", "skeleton", hold=self.finish)
        farm.producer()
        self.daemon("archiver", self.archivers).start()
        self.source = samples.make(farm.path("made.mbz"), 1, blobs=BLOBS, blob_size=BLOB)
        self.course = farm.remote.add(self.source)

    def daemon(self, role, proxy=None, name=None, **worker):
        d = staging.daemon(self.farm, role, self.staging, proxy.url if proxy else None, name, stall_timeout="60s")
        if worker:
            d.configure({**d.config, role: {**d.config[role], **worker}})
        return d

    def worker(self, name="worker", **settings):
        return self.daemon("worker", self.workers, name, **settings).start()

    def got(self):
        return [s.path for s in self.workers.requests("GET", "/blobs/") if s.status == 200]

    def ahead(self, request, worker):
        """The worker has all blobs before the archive is there."""
        wait.until(lambda: len(set(self.got())) == BLOBS, lambda: f"blobs came: {self.workers.seen}", 60)
        assert worker.events("ahead.started")
        self.farm.wait_state(request, "exporting")
        assert not any("manifest" in key for key in self.staging.objects())

    def close(self):
        self.finish.set()
        self.archivers.close()
        self.workers.close()
        self.staging.close()


@pytest.fixture
def town(make_farm):
    town = Town(make_farm())
    yield town
    town.close()


def test_what_has_come_is_there_when_the_archive_is_whole(town):
    worker = town.worker()
    request = town.farm.submit(town.course)
    town.ahead(request, worker)
    town.finish.set()
    town.farm.assert_restored_once()
    assert len(town.got()) == BLOBS, "each was fetched once"
    assert worker.metric("navette_worker_ahead_bytes_total") == BLOBS * BLOB
    # Nothing is left of the lists, nor in Redis.
    assert not [k for k in town.staging.objects() if "opened-" in k]
    assert not town.farm.redis.client.keys("nv:ahead:*")


def test_what_does_not_fit_is_not_kept(town):
    """The disk has room for three of five blobs: what came ahead is what fills it."""
    worker = town.daemon("worker", town.workers)
    room = disk.small(worker.config["worker"]["work_dir"], f"{3 * BLOB + 4_000_000}")
    try:
        worker.start()
        town.farm.submit(town.course)
        ended = wait.until(lambda: worker.events("ahead.done"), "it has ended", 60)
        assert ended[0]["reason"] == "disk_full", ended
        assert not [n for n in os.listdir(room.folder) if not n.startswith(".")]
        worker.stop()
    finally:
        room.close()


def test_a_worker_that_may_not_does_without(town):
    worker = town.worker(ahead=0)
    request = town.farm.submit(town.course)
    wait.until(lambda: any("opened-" in k for k in town.staging.objects()), "lists are there")
    town.finish.set()
    town.farm.wait_state(request, "restored")
    assert not worker.events("ahead.started") and len(town.got()) == BLOBS
    mbz.assert_same(town.source, town.farm.local.archive(request))


@contextlib.contextmanager
def met_by_another(town, request):
    """Another worker, played here, gets archive.ready, gives it to whoever is ahead, and holds it back meanwhile."""
    with town.farm.broker.connect(town.farm.vhost) as connection:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=1)
        messages = channel.consume(f"restore.{town.farm.client}", arguments={"x-priority": 10})
        threading.Timer(0, town.finish.set).start()
        _, _, body = next(messages)
        assert town.farm.redis.client.exists(f"nv:ahead:{request}")
        town.farm.redis.client.set(f"nv:ahead:{request}:ready", body, px=60000)
        yield
        channel.cancel()


def test_a_message_that_another_has_met_comes_to_whoever_is_ahead(town):
    worker = town.worker()
    request = town.farm.submit(town.course)
    town.ahead(request, worker)
    with met_by_another(town, request):
        wait.until(lambda: worker.events("restore.done"), "restored")
    assert len(town.got()) == BLOBS
    # The message comes again, and finds it done.
    wait.until(lambda: len(worker.events("restore.done")) == 2, "the message was served")
    assert [e["result"] for e in worker.events("restore.done")] == ["restored", "copy"]
    town.farm.assert_restored_once()


def test_what_fails_on_a_message_that_another_has_is_not_called_held(town):
    """Nothing is in the way of every restore: the record says why, and not that it is held."""
    town.workers.add("GET", "skeleton", status=403)
    worker = town.worker()
    request = town.farm.submit(town.course)
    town.ahead(request, worker)
    with met_by_another(town, request):
        done = wait.until(lambda: worker.events("restore.done"), "it has failed")
        assert done[0]["result"] == "left", done
        record = town.farm.record(request)
        assert (record["state"], record["reason"]) == ("ready", "store_denied") and "held" not in record, record
    town.farm.wait_state(request, "restored")
    assert town.farm.record(request)["failures"] == "0"


def test_a_worker_leaves_it_to_whoever_is_ahead(town):
    """Whoever is ahead is played here."""
    request = town.farm.submit(town.course)
    wait.until(lambda: any("opened-" in k for k in town.staging.objects()), "lists are there")
    redis = town.farm.redis.client
    redis.set(f"nv:ahead:{request}", "0" * 32, px=60000)
    worker = town.worker(ahead=0)
    town.finish.set()
    wait.until(lambda: redis.get(f"nv:ahead:{request}:ready"), "it was given")
    assert b"archive.ready" in redis.get(f"nv:ahead:{request}:ready")
    assert town.farm.state(request) != "importing" and not town.got()
    redis.delete(f"nv:ahead:{request}")
    with town.farm.broker.connect(town.farm.vhost) as connection:
        # Nobody fetches ahead here: the hint would wait until it expires.
        connection.channel().queue_purge(f"opened.{town.farm.client}")
    town.farm.assert_restored_once()
    assert worker.events("restore.done")[-1]["result"] == "restored"


def test_another_takes_over_from_one_that_died_ahead(town):
    first = town.worker("first")
    request = town.farm.submit(town.course)
    town.ahead(request, first)
    first.kill()
    town.worker("second")
    began = time.monotonic()
    town.finish.set()
    town.farm.assert_restored_once()
    assert time.monotonic() - began < LEASE + 20


def test_a_cancelled_request_is_left_alone(town):
    worker = town.worker()
    request = town.farm.submit(town.course)
    town.ahead(request, worker)
    town.farm.person().cancel(request)
    wait.until(lambda: worker.events("ahead.done"), "it noticed")
    assert not os.path.exists(os.path.join(worker.config["worker"]["work_dir"], request)), "what had come is gone"
    town.finish.set()
    town.farm.wait_state(request, "cancelled")
    assert town.farm.local.courses() == [] and not town.farm.redis.client.keys("nv:ahead:*")


def test_a_stopped_worker_hands_it_back(town):
    worker = town.worker()
    request = town.farm.submit(town.course)
    town.ahead(request, worker)
    worker.signal(signal.SIGTERM)
    assert worker.wait_end() == 0
    town.worker("second")
    town.finish.set()
    town.farm.wait_state(request, "restored")
    town.farm.assert_restored_once()
