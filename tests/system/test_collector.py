# SPDX-License-Identifier: GPL-3.0-or-later
"""What nobody needs any more goes from the store by itself, and nothing that somebody needs: here
through WebDAV with the archiver's own rights; the rules are in tests/unit/test_archive_collect.c."""
import json
import os
import time

import pytest

from harness import mbz, samples, staging, wait

DAY = 24 * 3600


@pytest.fixture
def town(make_farm):
    farm = make_farm()
    farm.staging = staging.of_farm(farm)
    yield farm
    farm.staging.close()


def aged(town, seconds):
    """As if everything had been there for so long."""
    then = time.time() - seconds
    for key in town.staging.objects():
        os.utime(os.path.join(town.staging.root, key), (then, then))


def kinds(town):
    """How many objects of each kind: {archives, blobs, pins}."""
    found = [key.split("/")[2] for key in town.staging.objects()]
    return {kind: found.count(kind) for kind in set(found)}


def would_go(town, archiver):
    """What `navette collect` says on the course server before anything goes."""
    said, = json.loads(town.navette("collect", "--dry-run", "--json", **archiver.config))
    return said


def test_an_archive_nobody_restored_and_its_blobs_go_in_the_end(town):
    town.producer()
    archiver = staging.daemon(town, "archiver", town.staging).start()
    source = samples.make(town.path("made.mbz"), 1, blobs=3)
    waiting = town.submit(town.remote.add(source))
    town.wait_state(waiting, "ready")
    assert kinds(town) == {"archives": 2, "blobs": 3}
    # Younger than store.keep: it waits for a worker that may come tomorrow.
    aged(town, 29 * DAY)
    archiver.stop()
    archiver.start()
    wait.until(lambda: len(archiver.events("daemon.started")) == 2, "started")
    worker = staging.daemon(town, "worker", town.staging).start()
    town.wait_state(waiting, "restored")
    mbz.assert_same(source, town.local.archive(waiting))
    wait.until(lambda: kinds(town) == {"blobs": 3}, "archive removed once restored")
    # Its blobs are nobody's now, and older than the grace time (one minute here).
    aged(town, 2 * 60)
    assert would_go(town, archiver) == {"client": town.client, "archives": 0, "blobs": 3, "bytes": sum(
        os.path.getsize(os.path.join(town.staging.root, key)) for key in town.staging.objects())}
    assert kinds(town) == {"blobs": 3}
    archiver.stop()
    archiver.start()
    wait.until(lambda: kinds(town) == {}, "blobs collected")
    event, = archiver.events("store.collected")
    assert event["blobs"] == "3"
    worker.stop()
    another = town.submit(town.remote.add(samples.make(town.path("made.mbz"), 2, blobs=2)))
    town.wait_state(another, "ready")
    aged(town, 31 * DAY)
    before = kinds(town)
    going = would_go(town, archiver)
    assert (going["archives"], going["blobs"]) == (1, 2) and kinds(town) == before
    archiver.stop()
    archiver.start()
    wait.until(lambda: kinds(town) == {}, "the archive nobody came for is collected")
    # Whoever comes after all gets it from a new export.
    worker.start()
    town.wait_state(another, "restored")
