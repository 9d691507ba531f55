# SPDX-License-Identifier: GPL-3.0-or-later
"""A small file system of its own, to be filled. Mounting needs root: a test without it is skipped."""
import os
import subprocess

import pytest


class Disk:
    def __init__(self, folder, size):
        """size: as in mount's option, "24m"."""
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", folder], check=True,
                       capture_output=True)
        self.ballast = os.path.join(folder, "ballast")

    def fill(self, path=None):
        """No byte is free; path: of the file that takes the room."""
        with open(path or self.ballast, "wb", buffering=0) as f:
            try:
                while f.write(b"\0" * 65536):
                    pass
            except OSError:
                pass  # full

    def free(self):
        if os.path.exists(self.ballast):
            os.unlink(self.ballast)

    def read_only(self, yes):
        subprocess.run(["mount", "-o", f"remount,{'ro' if yes else 'rw'}", self.folder], check=True)

    def close(self):
        subprocess.run(["umount", "-l", self.folder], check=False)


def small(folder, size="24m"):
    """A disk, or the test is skipped."""
    try:
        return Disk(folder, size)
    except (OSError, subprocess.CalledProcessError) as e:
        pytest.skip(f"no file system can be mounted here: {getattr(e, 'stderr', b'').decode() or e}")
