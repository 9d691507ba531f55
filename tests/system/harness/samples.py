# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives to send: the real ones that are at hand, and small ones made for a test."""
import glob
import hashlib
import io
import os
import random
import tarfile

SOURCE = os.environ.get("NAVETTE_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.dirname(os.path.abspath(__file__)))))


def real():
    """Real backups: NAVETTE_FIXTURES, ../shared/fixtures/mbz beside the checkout, or those of the
    repository (tests/samples)."""
    beside = os.path.join(os.path.dirname(SOURCE), "shared", "fixtures", "mbz")
    for folder in (os.environ.get("NAVETTE_FIXTURES"), beside,
                   os.path.join(SOURCE, "tests", "samples")):
        found = sorted(glob.glob(os.path.join(folder, "*.mbz"))) if folder else []
        if found:
            return found
    return []


_BACKUP = """<?xml version="1.0" encoding="UTF-8"?>
<moodle_backup>
  <information>
    <name>backup.mbz</name>
    <moodle_version>2024100705.01</moodle_version>
    <moodle_release>4.5.5+ (Build: 20250613)</moodle_release>
    <backup_version>2024100700</backup_version>
    <backup_release>4.5</backup_release>
    <backup_date>1700000000</backup_date>
    <include_files>1</include_files>
    <original_wwwroot>https://last-year.example.org</original_wwwroot>
    <original_course_id>{number}</original_course_id>
    <original_course_fullname>Course {number}</original_course_fullname>
    <original_course_shortname>C{number}</original_course_shortname>
    <settings>
      <setting><level>root</level><name>users</name><value>{users}</value></setting>
    </settings>
  </information>
</moodle_backup>
"""


def skeleton(number, users=False):
    """The same course without files, as names and texts."""
    return {"moodle_backup.xml": _BACKUP.format(number=number, users=int(users)),
            "course/course.xml": "<course><category><name>Sciences</name></category></course>"}


def make(path, number, blobs=3, blob_size=100_000, users=True):
    """A small course: its description and `blobs` files that become objects of their own. The same
    number gives the same bytes."""
    rng = random.Random(number)
    files = {name: text.encode() for name, text in skeleton(number, users).items()}
    for _ in range(blobs):
        data = rng.randbytes(blob_size)
        name = hashlib.sha1(data).hexdigest()
        files[f"files/{name[:2]}/{name}"] = data
    folders = {name.rsplit("/", 1)[0] + "/" for name in files if "/" in name} | \
        ({"files/"} if blobs else set())
    names = sorted(folders | files.keys())
    lines = [f"{n}\td\t0\t?" if n in folders else f"{n}\tf\t{len(files[n])}\t1700000000"
             for n in names]
    index = f"Moodle archive file index. Count: {len(lines)}\n" + "\n".join(lines) + "\n"
    with tarfile.open(path, "w:gz", format=tarfile.USTAR_FORMAT, compresslevel=1) as tar:
        for name in [".ARCHIVE_INDEX", *names]:
            data = index.encode() if name == ".ARCHIVE_INDEX" else files.get(name)
            info = tarfile.TarInfo(name)
            info.mtime = 1700000000
            if data is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            else:
                info.size = len(data)
            tar.addfile(info, io.BytesIO(data) if data is not None else None)
    return path
