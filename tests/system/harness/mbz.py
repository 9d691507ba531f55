# SPDX-License-Identifier: GPL-3.0-or-later
"""Course archives, read by Python's own libraries: what went in and what came out."""
import hashlib
import tarfile
import zipfile

INDEX = ".ARCHIVE_INDEX"


def form(path):
    with open(path, "rb") as f:
        return "zip" if f.read(2) == b"PK" else "tgz"


def _entries(path):
    if form(path) == "zip":
        with zipfile.ZipFile(path) as z:
            for info in z.infolist():
                yield info.filename, info.is_dir(), None if info.is_dir() else z.read(info)
    else:
        with tarfile.open(path, "r:gz") as t:
            for info in t:
                assert info.isreg() or info.isdir(), f"{path}: {info.name} is no file or folder"
                yield info.name, info.isdir(), t.extractfile(info).read() if info.isreg() else None


def tree(path):
    """({file: SHA-256}, {folder}) of an archive's content, its index not counted."""
    files, folders = {}, set()
    for name, is_folder, data in _entries(path):
        name = name.rstrip("/")
        assert name not in files and name not in folders, f"{path}: {name} is in it twice"
        if is_folder:
            folders.add(name)
        elif name != INDEX:
            files[name] = hashlib.sha256(data).hexdigest()
    return files, folders


def index(path):
    """{path: (type, size)} of .ARCHIVE_INDEX, in its order; None: there is none."""
    for name, _, data in _entries(path):
        if name == INDEX:
            head, *lines = data.decode().splitlines()
            rows = [line.split("\t") for line in lines]
            assert head == f"Moodle archive file index. Count: {len(rows)}", f"{path}: {head}"
            return {row[0]: (row[1], int(row[2])) for row in rows}
    return None


def folders_of(files):
    """The folders that must be there for these files."""
    return {name[:i] for name in files for i, c in enumerate(name) if c == "/"}


def assert_same(source, result):
    """The same entries with the same bytes. A zip may leave out folders that have files in them."""
    files, folders = tree(source)
    got_files, got_folders = tree(result)
    missing, added = files.keys() - got_files.keys(), got_files.keys() - files.keys()
    assert not missing and not added, f"{result}: missing {sorted(missing)}, added {sorted(added)}"
    changed = [name for name in files if files[name] != got_files[name]]
    assert not changed, f"{result}: other bytes in {changed}"
    implied = folders_of(files)
    assert folders | implied == got_folders | implied, f"{result}: other folders"
    before, after = index(source), index(result)
    if form(result) == "tgz":
        assert after is not None, f"{result}: no {INDEX}"
        sizes = {name: size for name, (kind, size) in after.items() if kind == "f"}
        assert sizes.keys() == files.keys(), f"{result}: {INDEX} names other files"
    if before is not None and after is not None:
        assert before == after, f"{result}: {INDEX} differs"
