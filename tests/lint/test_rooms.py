#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""rooms.py finds what it is there for."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import pytest  # noqa: E402

import rooms  # noqa: E402

TABLE = "# floor 1: uses libraries only\nbase\ncore/store base\ncore/bus base\nworker/worker.h base\nworker/restore base worker/worker.h\n"


@pytest.fixture
def tree(tmp_path):
    """A tree that keeps to its table."""
    def put(path, *includes):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("".join(f'#include "{name}"\n' for name in includes))
    (tmp_path / "tests/lint").mkdir(parents=True)
    (tmp_path / rooms.TABLE).write_text(TABLE)
    put("base/err.h")
    put("core/store/store.c", "base/err.h", "generated.h")
    put("core/bus/bus.h", "base/err.h")
    put("worker/worker.h", "base/err.h")
    put("worker/restore/job.c", "worker/worker.h")
    put("tests/unit/test_any.c", "core/bus/bus.h", "core/store/store.h")
    return tmp_path, put


def test_what_keeps_to_the_table_passes(tree):
    assert rooms.check(tree[0]) == []


@pytest.mark.parametrize("path, name", [
    ("core/store/store.c", "core/bus/bus.h"), ("base/err.h", "core/bus/bus.h"), ("worker/worker.h", "worker/restore/job.h")])
def test_an_include_of_another_room_is_found(tree, path, name):
    root, put = tree
    put("worker/restore/job.h")
    put(path, name)
    assert [line for line in rooms.check(root) if path in line and name in line]


def test_a_file_without_a_room_is_found(tree):
    root, put = tree
    put("elsewhere/new.c")
    assert rooms.check(root) == ["elsewhere/new.c: belongs to no room of tests/lint/rooms.txt"]


def test_a_circle_in_the_table_is_found(tree):
    root, _ = tree
    (root / rooms.TABLE).write_text(TABLE.replace("core/store base", "core/store base core/bus"))
    assert any("core/store uses core/bus" in line for line in rooms.check(root))


def test_a_table_that_the_documents_do_not_show_is_found(tree):
    root, _ = tree
    (root / "docs").mkdir()
    (root / rooms.SHOWN).write_text("```\n" + TABLE + "```\n")
    assert rooms.check(root) == []
    (root / rooms.SHOWN).write_text("```\n" + TABLE.replace("core/bus base\n", "") + "```\n")
    assert len(rooms.check(root)) == 1


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider"]))
