# SPDX-License-Identifier: GPL-3.0-or-later
"""The staging store may be a bucket: the whole way through it, an upload that breaks off, what the collector
removes there.  The protocol itself: tests/integration/s3_test.py."""
import os
import time

import pytest

from harness import keys, mbz, s3, samples, wait

MODULES = os.path.join(os.environ["NAVETTE_BUILD"], "tests/s3/node_modules")
PART = 8 << 20


@pytest.fixture
def town(make_farm):
    farm = make_farm()
    farm.s3 = s3.S3(farm.path("s3"), MODULES)
    farm.secret = keys.write_secret(farm.path("s3.secret"), s3.SECRET)
    yield farm
    farm.s3.close()


def daemon(town, role, **more):
    d = town.daemon(role)
    d.configure({**d.config, "store": s3.section(town.s3, town.secret, **more)})
    return d.start()


def objects(town):
    data = os.path.join(town.s3.folder, "data", s3.BUCKET)
    return sorted(os.path.relpath(os.path.join(folder, name), data).removesuffix("._S3rver_object")
                  for folder, _, names in os.walk(data) for name in names if name.endswith("_object"))


def test_courses_travel_through_a_bucket(town):
    town.producer()
    daemon(town, "archiver")
    daemon(town, "worker")
    for path in samples.real():
        town.submit(town.remote.add(path))
    town.submit(town.remote.add(samples.make(town.path("made.mbz"), 1, blobs=2, blob_size=2 * PART + 17)))
    town.assert_restored_once()
    kinds = {key.split("/")[3] for key in objects(town)}
    assert kinds == {"blobs"}, "archives are removed once restored"
    assert all(key.startswith(f"navette/{town.site}/{town.client}/") for key in objects(town))
    assert not town.s3.uploads


def test_an_upload_that_breaks_off_goes_on_with_the_next_attempt(town):
    town.producer()
    daemon(town, "worker")
    source = samples.make(town.path("made.mbz"), 1, blobs=1, blob_size=4 * PART)
    town.s3.add("PUT", "partNumber=3", times=3, drop=True)
    archiver = daemon(town, "archiver", transfers=1)  # more: the fourth may be under way beside the third
    request = town.submit(town.remote.add(source))
    town.wait_state(request, "restored")
    resumed, = archiver.events("store.resumed")
    assert resumed["bytes"] == str(2 * PART)
    accepted = [s.query["partNumber"] for s in town.s3.requests("PUT", partNumber=None) if s.status == 200]
    assert sorted(accepted) == ["1", "2", "3", "4"], "each once"
    mbz.assert_same(source, town.local.archive(request))


def test_what_nobody_needs_goes_from_the_bucket(town):
    town.producer()
    daemon(town, "archiver")
    worker = daemon(town, "worker")
    request = town.submit(town.remote.add(samples.make(town.path("made.mbz"), 1, blobs=3)))
    town.wait_state(request, "restored")
    wait.until(lambda: len(objects(town)) == 3, "blobs stay")
    for key in objects(town):
        path = os.path.join(town.s3.folder, "data", s3.BUCKET, key + "._S3rver_object")
        os.utime(path, (time.time() - 120,) * 2)  # older than the grace time
    town.s3.uploads["left"] = {"key": f"navette/{town.site}/x", "at": "2020-01-01T00:00:00.000Z", "parts": {}}
    archiver, = town.roles("archiver")
    archiver.stop()
    archiver.start()
    wait.until(lambda: not objects(town), "collected")
    assert not town.s3.uploads
    assert worker.running()
