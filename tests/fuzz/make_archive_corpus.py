#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the seeds of corpus/manifest and corpus/skeleton that are made by rule; the .zst beside them are findings.

    make_archive_corpus.py tests/fuzz/corpus
"""
import hashlib
import io
import os
import struct
import sys
import tarfile

ID, ATTEMPT = "0192f0c1-0000-7000-8000-000000000001", "0192f0c1-0000-7000-8000-000000000002"


def pack(value):
    """msgpack, as far as manifests need it."""
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return struct.pack("B", value) if value < 128 else b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, str):
        data = value.encode()
        return (struct.pack("B", 0xA0 | len(data)) if len(data) < 32 else b"\xd9" + struct.pack("B", len(data))) + data
    if isinstance(value, bytes):
        return b"\xc4" + struct.pack("B", len(value)) + value
    if isinstance(value, list):
        return struct.pack("B", 0x90 | len(value)) + b"".join(map(pack, value))
    return b"\xde" + struct.pack(">H", len(value)) + b"".join(pack(k) + pack(v) for k, v in value.items())


def entry(path, size=0, folder=False, content=None):
    made = {"path": path, "folder": folder, "size": size, "mtime": 1700000000, "blob": content is not None}
    if content is not None:
        made |= {"sha1": hashlib.sha1(content).digest(), "sha256": hashlib.sha256(content).digest()}
    return made


def blob(content):
    name = hashlib.sha1(content).hexdigest()
    return entry(f"files/{name[:2]}/{name}", len(content), content=content)


def manifest(entries, **more):
    return pack({"format": 1, "id": ID, "attempt": ATTEMPT, "user_data": False,
                 "size": sum(e["size"] for e in entries), "skeleton_size": 1000,
                 "skeleton_sha256": bytes(32), "entries": entries, **more})


def frame(data):
    """A zstd frame of one raw block."""
    return b"\x28\xb5\x2f\xfd\x00\x50" + (len(data) << 3 | 1).to_bytes(3, "little") + data


def tar(names):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as made:
        for name, content in names:
            info = tarfile.TarInfo(name)
            info.mtime = 1700000000
            info.size = len(content or b"")
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            made.addfile(info, io.BytesIO(content or b""))
    return out.getvalue()


def main(folder):
    course = [entry("course", folder=True), entry("course/course.xml", 12), entry("moodle_backup.xml", 200),
              entry("files", folder=True), blob(b"one"), blob(b"another" * 100)]
    record = manifest(course, shortname="C1", fullname="Cours é", category="2026", moodle_version="2024100705.01")
    files = tar([("course", None), ("course/course.xml", b"<course/>   "), ("a" * 120 + "/" + "b" * 120, b"long"),
                 ("moodle_backup.xml", b"x" * 700)])
    seeds = {
        "manifest/course.M": b"M" + record, "manifest/course.zst": frame(record),
        "manifest/empty.M": b"M" + manifest([]), "manifest/unsafe.M": b"M" + manifest([entry("../up", 3)]),
        "manifest/twice.M": b"M" + manifest([entry("a", 1), entry("a", 1)]),
        "skeleton/course.T": b"T" + files, "skeleton/course.zst": frame(files),
    }
    for name, data in seeds.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main(sys.argv[1])
