#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds every #include "…" of the sources against tests/lint/rooms.txt.

    rooms.py [ROOT]     a line for each include that the table does not allow; exit code 1 if there are any

Also checked: that the table has no circles (a room uses only those above it), names no room that is not
there, leaves no source out, and is the one that docs/architecture.md shows.
"""
import pathlib
import re
import sys

TABLE = "tests/lint/rooms.txt"
SHOWN = "docs/architecture.md"
LOCAL = ("tests/", "build/")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def read_table(text):
    """{room: rooms it may use}, in the order of the table; and what is wrong with it."""
    rooms, wrong = {}, []
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        room, *used = words
        if room in rooms:
            wrong.append(f"{TABLE}: {room} stands there twice")
        wrong += [f"{TABLE}: {room} uses {one}, which does not stand above it"
                  for one in used if not any(other == one or other.startswith(f"{one}/") for other in rooms)]
        rooms[room] = used
    return rooms, wrong


def fits(path, room):
    """Whether a file lies in a room: a folder, a file, or a file's name without its ending."""
    return path == room or path.startswith(f"{room}/") or path.rsplit(".", 1)[0] == room


def room_of(path, rooms):
    return max((room for room in rooms if fits(path, room)), key=len, default=None)


def check(root):
    rooms, wrong = read_table((root / TABLE).read_text())
    sources = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.[ch]"))
    sources = [path for path in sources if not path.startswith(LOCAL) and "/." not in f"/{path}"]
    used = set()
    for path in sources:
        room = room_of(path, rooms)
        if room is None:
            wrong.append(f"{path}: belongs to no room of {TABLE}")
            continue
        used.add(room)
        for name in INCLUDE.findall((root / path).read_text()):
            if not (root / name).is_file():
                continue  # made by the build, beside whoever includes it
            other = room_of(name, rooms)
            allowed = other == room or any(other == one or (other or "").startswith(f"{one}/") for one in rooms[room])
            if not allowed:
                wrong.append(f"{path}: {room} may not include {name}")
    wrong += [f"{TABLE}: {room}: there is no such room" for room in rooms if room not in used]
    shown = root / SHOWN
    if shown.is_file():
        lines = [line for line in (root / TABLE).read_text().splitlines() if line and not line.startswith("# Who")]
        table = "\n".join(lines[lines.index("# floor 1: uses libraries only"):])
        if table not in re.sub(r"\n\n", "\n", shown.read_text()):
            wrong.append(f"{SHOWN}: does not show the table of {TABLE}")
    return wrong


if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve())
    print("\n".join(found))
    sys.exit(1 if found else 0)
