#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""make_mbz_corpus.py FOLDER: writes the seeds of corpus/mbz: tiny backups in each form."""
import gzip
import io
import sys
import tarfile
import zipfile

BACKUP = b"""<?xml version="1.0" encoding="UTF-8"?>
<moodle_backup><information><moodle_version>2024100705.01</moodle_version>
<include_files>1</include_files><original_course_id>6</original_course_id>
<original_course_fullname>Test</original_course_fullname>
<original_course_shortname>T</original_course_shortname>
<contents><activities><activity><modulename>page</modulename></activity></activities></contents>
<settings><setting><level>root</level><name>users</name><value>1</value></setting></settings>
</information></moodle_backup>"""
ENTRIES = [
    ("course/", None),
    ("course/course.xml", b"<course><category><name>C</name></category></course>"),
    ("files/", None),
    ("files/35/356a192b7913b04c54574d18c28d46e6395428ab", b"1"),
    ("moodle_backup.xml", BACKUP),
]
INDEX = f"Moodle archive file index. Count: {len(ENTRIES)}\n" + "".join(
    f"{p}\td\t0\t?\n" if d is None else f"{p}\tf\t{len(d)}\t1795363151\n" for p, d in ENTRIES)


def tar(entries, form):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as packed:
        for path, data in entries:
            info = tarfile.TarInfo(path)
            info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            info.size = len(data or b"")
            info.mtime = 1795363151
            packed.addfile(info, io.BytesIO(data or b""))
    data = out.getvalue().rstrip(b"\0")
    return data + b"\0" * (-len(data) % 512 + 1024)


def zipped(method):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as packed:
        for path, data in ENTRIES:
            packed.writestr(zipfile.ZipInfo(path, (2026, 11, 22, 15, 59, 12)), data or b"", method)
    return out.getvalue()


plain = tar([(".ARCHIVE_INDEX", INDEX.encode())] + ENTRIES, tarfile.USTAR_FORMAT)
seeds = {
    "ustar.T": b"T" + plain,
    "gnu.T": b"T" + tar([("n" * 150, b"x")] + ENTRIES, tarfile.GNU_FORMAT),
    "pax.T": b"T" + tar([("n" * 150 + "\u00e9", b"x")] + ENTRIES, tarfile.PAX_FORMAT),
    "backup.tgz": gzip.compress(plain, 9, mtime=0),
    "stored.zip": zipped(zipfile.ZIP_STORED),
    "deflated.zip": zipped(zipfile.ZIP_DEFLATED),
}
for name, data in seeds.items():
    with open(f"{sys.argv[1]}/{name}", "wb") as f:
        f.write(data)
