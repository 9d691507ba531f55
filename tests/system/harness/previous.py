# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of the first release, built from the repository's history: what an installation may still run."""
import os
import subprocess

import pytest

from .samples import SOURCE

TAG = "v0.1.0"
COMMIT = "73d04f07aafb"  # the tag's, for a clone without tags


def _git(*args):
    done = subprocess.run(["git", "-C", SOURCE, *args], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def commit():
    found = (_git("rev-parse", "--verify", "--short=12", f"{name}^{{commit}}") for name in (TAG, COMMIT))
    return next((name for name in found if name), None)


def build():
    """Its build folder; once for a version. Skips where the history is not there (a shallow clone)."""
    version = commit()
    if version is None:
        pytest.skip("the first release is not in this clone's history")
    tree = os.path.join(SOURCE, "build", "previous", version)
    made = os.path.join(tree, "build", "release")
    if not os.path.exists(os.path.join(tree, "complete")):
        os.makedirs(tree, exist_ok=True)
        archive = subprocess.run(["git", "-C", SOURCE, "archive", version], check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", tree], input=archive, check=True)
        targets = [f"navette-{role}" for role in ("producer", "archiver", "worker")]
        for step in (["--preset", "release"], ["--build", "--preset", "release", "--target", *targets]):
            done = subprocess.run(["cmake", *step], cwd=tree, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        with open(os.path.join(tree, "complete"), "w", encoding="ascii"):
            pass
    return made
