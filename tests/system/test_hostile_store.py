# SPDX-License-Identifier: GPL-3.0-or-later
"""A staging store in the wrong hands may waste a request, not a daemon: what it gives for a manifest, a list of blobs
or an answer neither holds an archiver or worker up nor keeps it from hearing that it is to stop. What is refused,
case by case: tests/unit/test_decompress.c, tests/unit/test_xml.c, tests/integration/s3_test.py."""
import os
import pathlib
import shutil
import time
import uuid

import pytest

from harness import keys, s3, samples, staging, wait
from harness.description import Description, described

# zstd within zstd: unpacked layer by layer it takes some 20 seconds.
BOMB = pathlib.Path(__file__).parent.parent / "fuzz/corpus/manifest/empty-blocks.zst"
MODULES = os.path.join(os.environ["NAVETTE_BUILD"], "tests/s3/node_modules")
SOON = 12  # seconds


@pytest.fixture
def town(make_farm):
    farm = make_farm()
    farm.staging = staging.of_farm(farm)
    yield farm
    farm.staging.close()


def uuid7():
    return str(uuid.UUID(int=uuid.uuid4().int & ~(0xF << 76) | 7 << 76))


def lay(town, request, attempt, name):
    """The bomb into the store, as an object of an archive."""
    folder = os.path.join(town.staging.root, town.site, town.client, "archives", request, attempt)
    os.makedirs(folder, exist_ok=True)
    shutil.copy(BOMB, os.path.join(folder, name))
    os.chmod(folder, 0o777)


def test_manifests_nobody_signed_do_not_hold_the_collector_up(town):
    for _ in range(3):
        lay(town, uuid7(), uuid7(), "manifest")
    archiver = staging.daemon(town, "archiver", town.staging).start()
    failed = wait.until(lambda: archiver.events("collect.failed"), "the collector gives up", SOON)
    assert "manifest: " in failed[0]["err"], failed
    archiver.stop(timeout=SOON)


def test_a_download_of_a_manifest_nobody_signed_holds_no_producer_up(make_farm):
    """A producer has no signed message about an archive: the store's word is all there is."""
    town = make_farm()
    producer = town.daemon("producer")
    producer.configure({**producer.config, "store": town.config("worker", "worker")["store"],
                        "producer": {**producer.config["producer"], "work_dir": town.path("downloads")}})
    producer.start()
    town.archiver()
    ada = described(town.person("ada"), Description())
    waiting = town.submit(town.remote.add(samples.make(town.path("made.mbz"), 1, blobs=1)))
    town.wait_state(waiting, "ready")
    manifest, = pathlib.Path(town.path("store")).rglob("manifest")
    shutil.copy(BOMB, manifest)
    began = time.monotonic()
    answer = ada.call("GET", f"/requests/{waiting}/archive")
    assert answer.status_code >= 400 and "manifest" in answer.json()["detail"], answer.text
    assert time.monotonic() - began < SOON
    producer.stop(timeout=SOON)


def test_an_s3_server_with_hostile_answers_neither_holds_nor_stops_an_archiver(make_farm):
    town = make_farm()
    server = s3.S3(town.path("s3"), MODULES)
    try:
        secret = keys.write_secret(town.path("s3.secret"), s3.SECRET)
        body = b'<!DOCTYPE Error [<!ENTITY a SYSTEM "file:///etc/passwd">]><Error><Code>&a;</Code></Error>'
        for method in ("PUT", "GET", "POST", "DELETE"):
            server.add(method, "", times=100000, status=403, body=body)
        town.producer()
        archiver = town.daemon("archiver")
        archiver.configure({**archiver.config, "store": s3.section(server, secret)})
        archiver.start()
        town.submit(town.remote.add(samples.make(town.path("made.mbz"), 1, blobs=2)))
        failed = wait.until(lambda: archiver.events("export.failed"), "the store's refusal is heard", SOON)
        assert "403" in failed[0]["err"], failed
        archiver.stop(timeout=SOON)
    finally:
        server.close()
