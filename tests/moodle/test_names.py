#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Courses whose names Moodle refuses, or cannot keep, between two real sites: they are listed and come, with the name
that was meant.

    MOODLE_DIR=/path/to/moodle test_names.py [pytest's options]

Without MOODLE_DIR nothing is tested: that is said, and the exit code is 77.
"""
import base64
import contextlib
import json
import sys

import gate

if __name__ == "__main__":
    gate.leave_if(gate.missing())

import pytest  # noqa: E402

from test_scripts import ask, names, pair  # noqa: E402, F401

pytestmark = gate.mark(gate.missing())

ENGLISH = '<span lang="en" class="multilang">{}</span>'
FRENCH = '<span class="multilang" lang="fr">{}</span>'
SCIENTIST = "\U0001f469\u200d\U0001f52c"  # one character to people, three to databases


def php(value):
    """As an expression of PHP."""
    return f"json_decode(base64_decode('{base64.b64encode(json.dumps(value).encode()).decode()}'))"


@contextlib.contextmanager
def named(pair, fullname, shortname):  # noqa: F811
    """The course EMPTY under other names, which went past Moodle's forms."""
    def rename(full, short):
        pair.code("lastyear", f"$DB->update_record('course', (object) ['id' => {pair.courses['EMPTY']}, "
                  f"'fullname' => {php(full)}, 'shortname' => {php(short)}]); purge_all_caches();")
        pair.exports.pop(("EMPTY", False), None)
    rename(fullname, shortname)
    try:
        yield
    finally:
        rename("Nothing in it", "EMPTY")


def stored(pair, made):  # noqa: F811
    """Full and short name of a restored course, as they are in the database."""
    said = pair.code("thisyear", f"$c = $DB->get_record('course', ['id' => {made['course']}]);"
                     "echo \"\\n\", json_encode([$c->fullname, $c->shortname]);")
    return tuple(json.loads(said.splitlines()[-1]))


def limits(pair):  # noqa: F811
    """Characters of a full and a short name on the client."""
    later = int(pair.code("thisyear", "echo $CFG->branch;").split()[-1]) >= 501
    return (1333, 255) if later else (254, 100)


@pytest.mark.parametrize("fullname, shortname, comes", [
    ("Waves <L2>", "W <L2>", ("Waves &lt;L2>", "W &lt;L2>")),
    ("Waves <L2", "<", ("Waves &lt;L2", "&lt;")),
    (ENGLISH.format("Waves") + FRENCH.format("Ondes"), "W", None),
    (ENGLISH.format("Waves <L2>") + FRENCH.format("Ondes"), "<b>W</b>",
     (ENGLISH.format("Waves &lt;L2>") + FRENCH.format("Ondes"), "&lt;b>W&lt;/b>")),
    ("Waves</span> & <span>", "a < b & c", ("Waves&lt;/span> & &lt;span>", "a < b & c")),
    ("מבוא לגלים — مقدمة", f"{SCIENTIST} 🌊", None),
], ids=["tag", "open", "multilang", "both", "odd", "letters"])
def test_a_course_comes_with_the_name_that_was_meant(pair, fullname, shortname, comes):  # noqa: F811
    with named(pair, fullname, shortname):
        assert names(ask(pair, "teacher1")) == {"XS1", "S1", "HAND", "FULL", shortname}
        made = pair.bring("EMPTY")
        copy = pair.bring("EMPTY")
    after = stored(pair, made)
    marked = stored(pair, copy)
    for course in (made, copy):
        pair.delete(course["course"])
    comes = comes or (fullname, shortname)
    assert after == comes
    assert marked == (comes[0] + " copy 1", comes[1] + "_1")
    # People read it as it was.
    assert (made["fullname"], made["shortname"]) == (fullname, shortname)
    assert not made["warnings"]


@pytest.mark.parametrize("fullname, shortname", [
    # Each becomes twice as long, and no &lt; is cut in the middle.
    ("<a>" * 84, SCIENTIST * 85),
    # The second language does not fit behind the mark of a copy: the first is whole.
    (ENGLISH.format("Waves") + FRENCH.format("Ondes " * 27), "e\u0301" * 127),
], ids=["entities", "languages"])
def test_a_name_that_is_too_long_is_cut_between_characters(pair, fullname, shortname):  # noqa: F811
    whole = fullname.replace("<a>", "&lt;a>")
    with named(pair, fullname, shortname):
        made = [pair.bring("EMPTY"), pair.bring("EMPTY")]
    after = [stored(pair, course) for course in made]
    for course in made:
        pair.delete(course["course"])
    longest = limits(pair)
    for (full, short), marks in zip(after, (("", ""), (" copy 1", "_1"))):
        assert len(full) <= longest[0] and len(short) <= longest[1]
        assert full.endswith(marks[0]) and short.endswith(marks[1])
        full, short = full[:len(full) - len(marks[0])], short[:len(short) - len(marks[1])]
        assert whole.startswith(full) and shortname.startswith(short)
        assert full.count("&") == full.count("&lt;a>") and full.count("<span") == full.count("</span>")
        assert len(short) % (3 if SCIENTIST in short else 2) == 0
        # No more is cut than has to be.
        assert len(full) > 40 and len(short) > longest[1] - 25


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
