# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of the version before this one, built from the repository's history."""
import os
import subprocess

import pytest

from .samples import SOURCE

# The newest tag that is not this commit; while there is none, the state this version is an upgrade of.
FALLBACK = "2348440"


def _git(*args):
    done = subprocess.run(["git", "-C", SOURCE, *args], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def commit():
    tag = _git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^")
    return _git("rev-parse", "--verify", "--short=12", f"{tag or FALLBACK}^{{commit}}")


def build():
    """Its build folder; once for a version. Skips where the history is not there (a shallow clone)."""
    version = commit()
    if version is None:
        pytest.skip("the version before this one is not in this clone's history")
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
