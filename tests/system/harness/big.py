# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of gigabytes, and programs as they are installed: a sanitizer's memory and time are its own."""
import hashlib
import os
import shutil
import subprocess
import tarfile

from . import daemon, mbz, samples
from .samples import SOURCE

BLOB = 64 << 20


def release_build():
    """Built once; later runs only look whether it is up to date."""
    folder = os.path.join(os.path.dirname(daemon.BUILD.rstrip("/")), "release-for-tests")
    launcher = ["-DCMAKE_C_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
    for command in (["cmake", "--preset", "release", "-B", folder, *launcher],
                    ["cmake", "--build", folder, "-j2", "--target", "navette-archiver",
                     "navette-worker"]):
        done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return folder


def _blob(number):
    """64 MiB. Some cannot be compressed at all, most to an eighth: gzip would take the longest time
    of this test otherwise."""
    repeated = 1 if number % 8 == 0 else 8
    for _ in range(BLOB >> 20):
        parts = os.urandom((1 << 20) // repeated)
        yield b"".join(parts[i:i + 4096] * repeated for i in range(0, len(parts), 4096))


def make(path, scratch, blobs):
    """A stored .mbz of so many files of 64 MiB: gzip at level 0 is written as fast as the disk takes it. What is in it:
    {name: SHA-256}."""
    files, hashes = {}, {}
    for number in range(blobs):
        one, digest = os.path.join(scratch, "blob"), hashlib.sha1()
        whole = hashlib.sha256()
        with open(one, "wb") as f:
            for part in _blob(number):
                f.write(part)
                digest.update(part)
                whole.update(part)
        name = digest.hexdigest()
        os.rename(one, os.path.join(scratch, name))
        files[f"files/{name[:2]}/{name}"] = os.path.join(scratch, name)
        hashes[f"files/{name[:2]}/{name}"] = whole.hexdigest()
    small = samples.make(os.path.join(scratch, "small.mbz"), 1, 0)
    with tarfile.open(small) as source, \
            tarfile.open(path, "w:gz", format=tarfile.USTAR_FORMAT, compresslevel=0) as tar:
        for info in source:
            if info.name != mbz.INDEX:
                tar.addfile(info, source.extractfile(info) if info.isreg() else None)
        for name in sorted(files):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = BLOB, 1700000000
            with open(files[name], "rb") as f:
                tar.addfile(info, f)
            os.unlink(files[name])
    return hashes | mbz.tree(small)[0]


def hashes_of(path):
    """{name: SHA-256} without holding a file in memory."""
    found = {}
    with tarfile.open(path, "r|gz") as tar:
        for info in tar:
            if info.isreg() and info.name != mbz.INDEX:
                h, source = hashlib.sha256(), tar.extractfile(info)
                while part := source.read(1 << 20):
                    h.update(part)
                found[info.name] = h.hexdigest()
    return found
