# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives as other packers, old Moodles and broken transfers leave them, made from a good one."""
import io
import os
import re
import tarfile
import zipfile

from .samples import SOURCE

BASE = os.path.join(SOURCE, "tests", "samples", "xs-nousers.tgz.mbz")
INDEX = ".ARCHIVE_INDEX"
TIME = 1356998400


def contents(path=BASE):
    """[(name, bytes or None for a folder)], the index left out."""
    with tarfile.open(path, "r:gz") as tar:
        return [(m.name, tar.extractfile(m).read() if m.isreg() else None)
                for m in tar if m.name != INDEX]


def _index(entries, count):
    lines = "".join(f"{name}\t{'d' if data is None else 'f'}\t{len(data or b'')}\t?\n" for name, data in entries)
    return INDEX, f"Moodle archive file index. Count: {count}\n{lines}".encode()


def tgz(path, entries, links=(), encoding="utf-8"):
    """links: (name, where it points to), hard ones."""
    with tarfile.open(path, "w:gz", format=tarfile.USTAR_FORMAT, encoding=encoding, compresslevel=1) as tar:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.mtime, info.size = TIME, len(data or b"")
            info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            tar.addfile(info, io.BytesIO(data or b""))
        for name, target in links:
            info = tarfile.TarInfo(name)
            info.mtime, info.type, info.linkname = TIME, tarfile.LNKTYPE, target
            tar.addfile(info)
    return path


def zipped(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in entries:
            if data is not None:
                z.writestr(name, data)  # a name that is not ASCII is marked as UTF-8
    return path


def changed(entries, name, pattern, by):
    """The entries with another text in one of them."""
    text, count = re.subn(pattern, by, dict(entries)[name], count=1, flags=re.S)
    assert count == 1, f"{pattern} is not in {name}"
    return [(n, text if n == name else d) for n, d in entries]


def readable(folder):
    """{what is odd about it: (the archive, one of the same contents without the oddity)}"""
    good = contents()
    accents = [*good, ("course/\u00e9t\u00e9.txt", b"x")]
    info = "moodle_backup.xml"
    no_include = changed(good, info, rb"<include_files>\d</include_files>", b"")
    version = changed(good, info, rb"<moodle_version>[\d.]+", b"<moodle_version>" + b"9" * 30)
    long_text = changed(good, "course/course.xml", rb"<summary>.*?</summary>",
                        b"<summary>" + b"lorem ipsum " * 1_000_000 + b"</summary>")

    def pair(name, make, entries):
        return make(os.path.join(folder, name)), tgz(os.path.join(folder, f"plain-{name}"), entries)

    return {
        "stale index": pair("stale-index.mbz", lambda p: tgz(p, [_index(good, len(good) + 510), *good]), good),
        "link to itself": pair("self-link.mbz", lambda p: tgz(
            p, [(f"./{n}", d) for n, d in [_index(good, len(good)), *good]],
            [(INDEX, f"./{INDEX}"), ("passwd", "/etc/passwd")]), good),
        "zip in UTF-8": pair("utf-8.zip.mbz", lambda p: zipped(p, accents), accents),
        "names in Latin-1": pair("latin-1.mbz", lambda p: tgz(p, accents, encoding="latin-1"), accents),
        "before 2.6": pair("no-include.mbz", lambda p: tgz(p, no_include), no_include),
        "absurd version": pair("version.mbz", lambda p: tgz(p, version), version),
        "long text": pair("long-text.mbz", lambda p: tgz(p, long_text), long_text),
    }


def cut_off(path):
    """A zip whose end is missing."""
    with open(zipped(path, contents()), "r+b") as f:
        f.truncate(os.path.getsize(path) * 2 // 3)
    return path
