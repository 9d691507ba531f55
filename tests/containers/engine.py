# SPDX-License-Identifier: GPL-3.0-or-later
"""podman, with images, containers and volumes in a folder of the test's own, on a Debian made here."""
import os
import shutil
import subprocess

import pytest

SOURCE = os.environ["NAVETTE_SOURCE"]
BASE = "localhost/navette-test-debian"


def needs(*programs):
    missing = [p for p in ("podman", "mmdebstrap", *programs) if not shutil.which(p)]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"needs root and {' '.join(missing)}")


class Engine:
    def __init__(self, folder):
        self.folder = folder
        with open(os.path.join(folder, "containers.conf"), "w", encoding="ascii") as f:
            f.write('[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n[engine]\n')
            if shutil.which("runc"):
                f.write('runtime = "runc"\n')
        self.env = {**os.environ, "CONTAINERS_CONF": os.path.join(folder, "containers.conf"), "BUILDAH_ISOLATION": "chroot"}

    def command(self, *args):
        return ["podman", "--root", os.path.join(self.folder, "storage"), "--runroot", os.path.join(self.folder, "run"), *args]

    def podman(self, *args, check=True):
        done = subprocess.run(self.command(*args), env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, timeout=900)
        assert not check or done.returncode == 0, f"podman {args}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout.strip()

    def make_base(self):
        tar = os.path.join(self.folder, "base.tar")
        subprocess.run(["mmdebstrap", "--variant=minbase", "--mode=root", "bookworm", tar], check=True, capture_output=True)
        self.podman("import", tar, BASE)
        os.unlink(tar)

    def close(self):
        self.podman("rm", "-af", check=False)
        self.podman("network", "prune", "-f", check=False)
        self.podman("system", "reset", "-f", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
