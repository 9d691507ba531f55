# SPDX-License-Identifier: GPL-3.0-or-later
# ctest timeout 900
"""A 2 GiB archive (512 MiB unless NAVETTE_NIGHTLY=1) passes, and neither archiver nor worker grows with it."""
import shutil
import time

import pytest

from harness import big, daemon, nightly

BLOBS = 32 if nightly.NIGHTLY else 8
ROOM = 6 * BLOBS * big.BLOB
GROWTH = 64 << 20


def memory(d, key):
    with open(f"/proc/{d.child.pid}/status", encoding="ascii") as f:
        line, = (x for x in f if x.startswith(key + ":"))
    return int(line.split()[1]) << 10


def test_a_large_archive_passes_in_constant_memory(farm, monkeypatch):
    free = shutil.disk_usage(farm.folder).free
    if free < ROOM:
        pytest.skip(f"needs {ROOM >> 30} GiB of disk, {free >> 30} GiB are free")
    monkeypatch.setattr(daemon, "BUILD", big.release_build())
    begun = time.monotonic()
    source = farm.path("big.mbz")
    expected = big.make(source, farm.folder, BLOBS)
    made = time.monotonic()
    archiver, worker = farm.archiver(), farm.worker()
    before = {d.name: memory(d, "VmRSS") for d in (archiver, worker)}
    request = farm.ask(farm.remote.add(source))
    farm.wait_state(request, "restored", "failed", timeout=600)
    passed = time.monotonic()
    assert farm.state(request) == "restored", farm.record(request)
    grown = {d.name: memory(d, "VmHWM") - before[d.name] for d in (archiver, worker)}
    print(f"\nmade in {made - begun:.0f} s, passed in {passed - made:.0f} s; grown by "
          + ", ".join(f"{name} {n / (1 << 20):.1f} MiB" for name, n in grown.items()))
    assert all(n < GROWTH for n in grown.values()), grown
    assert big.hashes_of(farm.local.archive(request)) == expected
    assert farm.local.course(request)
