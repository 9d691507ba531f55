# SPDX-License-Identifier: GPL-3.0-or-later
"""Every archive travels the whole way and comes out with the same entries and bytes."""
from harness import samples


def test_every_archive_travels(farm):
    farm.archiver()
    farm.worker()
    for path in samples.real():
        farm.ask(farm.remote.add(path))
    for blobs in (0, 3):
        farm.ask(farm.remote.add(samples.make(farm.path(f"made-{blobs}.mbz"), 100 + blobs, blobs)))
    farm.assert_restored_once()
