#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request's log between two real Moodle sites: what Moodle's own backup and restore warn of is in
it, for administrators, in order with the attempts.

    MOODLE_DIR=/path/to/moodle test_log.py [pytest's options]

Without MOODLE_DIR nothing is tested: that is said, and the exit code is 77.  See test_daemons.py.
"""
import contextlib
import pathlib
import sys

import gate

if __name__ == "__main__":
    gate.leave_if(gate.missing())

import pytest  # noqa: E402

from harness import wait  # noqa: E402
from test_daemons import (LONG, broker, farm, pair, pytestmark, removed_afterwards,  # noqa: E402, F401
                          start_farm)
from test_scripts import config_php  # noqa: E402


@contextlib.contextmanager
def unknown_capability(pair, course):  # noqa: F811
    """A role of this course has a capability that no Moodle knows: its restore warns of it."""
    pair.code("lastyear", f"""
        $DB->insert_record('role_capabilities', ['contextid' =>
            context_course::instance({pair.courses[course]})->id, 'roleid' =>
            $DB->get_field('role', 'id', ['shortname' => 'editingteacher']),
            'capability' => 'mod/gone:view', 'permission' => CAP_ALLOW, 'timemodified' => time(),
            'modifierid' => 2]);""")
    try:
        yield
    finally:
        pair.code("lastyear", "$DB->delete_records('role_capabilities', "
                  "['capability' => 'mod/gone:view']);")


@contextlib.contextmanager
def lost_content(pair, course):  # noqa: F811
    """The course server has lost a file of this course: its backup warns of it."""
    lost = next(f for f in pair.export(course)["files"] if f["size"] == 2000)
    path = pathlib.Path(lost["path"])
    path.rename(path.with_suffix(".away"))
    try:
        yield
    finally:
        path.with_suffix(".away").rename(path)


def log_of(farm, request):  # noqa: F811
    return farm.person("root").get(f"/requests/{request}/log")["lines"]


def said(log, who, level, text):
    """Places of the lines of this kind."""
    return [i for i, x in enumerate(log)
            if x["from"].startswith(who) and x["level"] == level and text in x["text"]]


def test_what_moodles_restore_warns_of_is_in_the_log_once(farm, pair):  # noqa: F811
    with unknown_capability(pair, "HAND"), removed_afterwards(farm):
        request = farm.submit(pair.courses["HAND"], by="teacher1", user_data=True)
        farm.course(request)
        wait.until(lambda: said(log_of(farm, request), "archiver", "info", "is in the store"),
                   "the archiver's last line", LONG)
        log = log_of(farm, request)
        warned = said(log, "worker", "warn", "Moodle: Capability 'mod/gone:view' was not found!")
        assert len(warned) == 1, log
        begun, = said(log, "worker", "info", "importing")
        ended, = said(log, "worker", "info", "restored: course")
        assert begun < warned[0] < ended
        # People are told as before; the teacher does not see the log.
        warnings = farm.person("teacher1").request(request)["restored"]["warnings"]
        assert any("mod/gone:view" in text for text in warnings)
        assert farm.person("teacher1").call("GET", f"/requests/{request}/log").status_code == 403


def test_what_the_export_warns_of_is_in_the_log(farm, pair):  # noqa: F811
    with lost_content(pair, "HAND"), removed_afterwards(farm):
        request = farm.submit(pair.courses["HAND"], by="teacher1")
        farm.course(request)
        wait.until(lambda: said(log_of(farm, request), "archiver", "info", "is in the store"),
                   "the archiver's last line", LONG)
        log = log_of(farm, request)
        assert len(said(log, "archiver", "warn", "bébé.png")) == 1, log


def test_a_script_that_dies_leaves_its_last_words(farm, pair):  # noqa: F811
    """PHP's memory limit, while the first attempt exports; the second finds it gone."""
    config = config_php(pair, "lastyear")
    before = config.read_text()
    archiver, = farm.roles("archiver")
    bomb = ("<?php if (CLI_SCRIPT && in_array('export', $_SERVER['argv'], true)) { "
            "ini_set('memory_limit', memory_get_usage(true) + (1 << 20)); "
            "str_repeat('x', 1 << 30); }\n?>")
    try:
        config.write_text(bomb + before)
        request = farm.submit(pair.courses["EMPTY"], by="teacher1")
        wait.until(lambda: archiver.events("export.failed"), "the first failure", LONG)
    finally:
        config.write_text(before)
    with removed_afterwards(farm):
        farm.course(request)
        wait.until(lambda: said(log_of(farm, request), "archiver", "info", "is in the store"),
                   "the archiver's last line", LONG)
        log = log_of(farm, request)
        words = said(log, "archiver", "error", "Allowed memory size")
        assert words, log
        begins = said(log, "archiver", "info", " begins, ")
        assert len(begins) >= 2 and begins[0] < words[0] < begins[1], log


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
