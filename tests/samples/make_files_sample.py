#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""make_files_sample.py: writes files.tgz.mbz and xs-users.zip.mbz beside itself.

files.tgz.mbz is xs-nousers.tgz.mbz with larger file contents, laid in as Moodle does it
(files/<aa>/<sha1> and an entry in files.xml, in the file area of a resource that the course has), so
that an archive of it has blobs.  The contents are random, from a fixed seed: the same file comes out
each time.  xs-users.zip.mbz is xs-users.tgz.mbz in the other form.
"""
import gzip
import hashlib
import io
import os
import random
import re
import tarfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
SIZES = [400_000, 300_000, 262_144, 150_000, 65_536, 65_535, 4_096]
FILE = """  <file id="{id}">
    <contenthash>{sha1}</contenthash>
    <contextid>{context}</contextid>
    <component>mod_resource</component>
    <filearea>content</filearea>
    <itemid>0</itemid>
    <filepath>/</filepath>
    <filename>{name}</filename>
    <userid>$@NULL@$</userid>
    <filesize>{size}</filesize>
    <mimetype>application/octet-stream</mimetype>
    <status>0</status>
    <timecreated>1795363151</timecreated>
    <timemodified>1795363151</timemodified>
    <source>$@NULL@$</source>
    <author>$@NULL@$</author>
    <license>$@NULL@$</license>
    <sortorder>0</sortorder>
    <repositorytype>$@NULL@$</repositorytype>
    <repositoryid>$@NULL@$</repositoryid>
    <reference>$@NULL@$</reference>
  </file>
"""


def read_tgz(name):
    """[(path, bytes or None for a folder, mtime)] without the index."""
    entries = []
    with tarfile.open(os.path.join(HERE, name), "r:gz") as tar:
        for member in tar:
            if member.name == ".ARCHIVE_INDEX":
                continue
            data = None if member.isdir() else tar.extractfile(member).read()
            entries.append((member.name.rstrip("/"), data, member.mtime))
    return entries


def write_tgz(name, entries):
    index = f"Moodle archive file index. Count: {len(entries)}\n"
    for path, data, mtime in entries:
        index += f"{path}/\td\t0\t?\n" if data is None else f"{path}\tf\t{len(data)}\t{mtime}\n"
    everything = [(".ARCHIVE_INDEX", index.encode(), 1356998400)] + entries
    with open(os.path.join(HERE, name), "wb") as out, \
            gzip.GzipFile("", "wb", 9, out, mtime=0) as packed, \
            tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, data, mtime in everything:
            info = tarfile.TarInfo(path + ("/" if data is None else ""))
            info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            info.mode = 0o755 if data is None else 0o644
            info.size = len(data or b"")
            info.mtime = mtime
            tar.addfile(info, io.BytesIO(data or b""))


def write_zip(name, entries):
    with zipfile.ZipFile(os.path.join(HERE, name), "w", zipfile.ZIP_DEFLATED) as packed:
        for path, data, _ in entries:
            info = zipfile.ZipInfo(path + ("/" if data is None else ""), (2026, 11, 22, 15, 59, 12))
            info.compress_type = zipfile.ZIP_STORED if data is None else zipfile.ZIP_DEFLATED
            info.external_attr = (0o40755 if data is None else 0o100644) << 16
            packed.writestr(info, data or b"")


def with_contents(entries):
    made = random.Random(20261122)
    files_xml = next(data for path, data, _ in entries if path == "files.xml").decode()
    context = re.search(r"<contextid>(\d+)</contextid>", files_xml).group(1)
    known = {path for path, _, _ in entries}
    added, listed = [], ""
    for i, size in enumerate(SIZES):
        data = made.randbytes(size)
        sha1 = hashlib.sha1(data).hexdigest()
        folder = f"files/{sha1[:2]}"
        if folder not in known:
            known.add(folder)
            added.append((folder, None, 1356998400))
        added.append((f"{folder}/{sha1}", data, 1795363151))
        listed += FILE.format(id=900001 + i, sha1=sha1, context=context, size=size,
                              name=f"sample{i}.dat")
    files_xml = files_xml.replace("</files>", listed + "</files>")
    return [(path, files_xml.encode() if path == "files.xml" else data, mtime)
            for path, data, mtime in entries] + added


write_tgz("files.tgz.mbz", with_contents(read_tgz("xs-nousers.tgz.mbz")))
write_zip("xs-users.zip.mbz", read_tgz("xs-users.tgz.mbz"))
