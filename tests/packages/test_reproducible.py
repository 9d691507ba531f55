# SPDX-License-Identifier: GPL-3.0-or-later
"""The same source in another folder, at another time, makes the same packages, byte for byte."""
import hashlib
import os
import subprocess

from conftest import SOURCE, needs_nightly


def make(folder):
    tracked = subprocess.run(["git", "-C", SOURCE, "ls-files", "-z", "-c", "-o", "--exclude-standard"], check=True,
                             capture_output=True).stdout
    os.makedirs(folder)
    subprocess.run(["rsync", "-a", "--from0", "--files-from=-", SOURCE, folder], input=tracked, check=True)
    subprocess.run([os.path.join(folder, "deploy", "package")], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "SOURCE_DATE_EPOCH": "1767225600"})
    out = os.path.join(folder, "build", "package", "packages")
    sums = {}
    for name in sorted(os.listdir(out)):
        with open(os.path.join(out, name), "rb") as f:
            sums[name] = hashlib.sha256(f.read()).hexdigest()
    return sums


@needs_nightly
def test_twice_the_same(tmp_path):
    first = make(str(tmp_path / "here"))
    assert len(first) == 6
    assert make(str(tmp_path / "a" / "quite" / "different" / "place")) == first
