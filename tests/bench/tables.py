# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables in the documentation that a script here computes from results/*.json."""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def result(name):
    with open(os.path.join(HERE, "results", f"{name}.json"), encoding="utf-8") as f:
        return json.load(f)


def machines(document):
    """All that its parts name."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from [value] if key == "machine" else machines(value)


def markdown(rows):
    """rows: dicts of the same keys, of text."""
    head = list(rows[0])
    lines = ["| " + " | ".join(head) + " |", "|" + "---:|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row.values()) + " |" for row in rows]) + "\n"


def options(parser):
    parser.add_argument("--write", metavar="FILE", help="put it between the markers there")
    parser.add_argument("--check", metavar="FILE", help="is it what stands there?")


def give(name, text, chosen):
    """Print it, write it or check it; the process's status."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    path = chosen.write or chosen.check
    if not path:
        sys.stdout.write(text)
        return 0
    with open(path, encoding="utf-8") as f:
        before, rest = f.read().split(begin)
    shown, after = rest.split(end)
    if chosen.write:
        with open(path, "w", encoding="utf-8") as f:
            f.write(before + begin + text + end + after)
    elif shown != text:
        print(f"{path}: this is not what is computed: tests/bench/{name}.py --write {path}")
        return 1
    return 0
