#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
# timeout 1200: seconds; five minutes on a machine that has nothing else to do
"""Courses of all kinds and sizes through the daemons, over nginx's DAV: every activity, Moodle's own
generated ones, 1 GB in files, eight at once; each is compared with what Moodle itself makes of it.

    MOODLE_DIR=/path/to/moodle test_courses.py [pytest's options]

As test_daemons.py, whose pair and farm these are.  The large course needs some GB of disk for a
while and is skipped where they are not free.  Memory is measured on the release build, since a
sanitizer's is its own (NAVETTE_MEASURE=own: on NAVETTE_BUILD all the same).
"""
import os
import pathlib
import shutil
import sys
import tempfile
import time

import gate

if __name__ == "__main__":
    gate.leave_if(gate.missing())

import pytest  # noqa: E402

from harness import daemon, staging  # noqa: E402
from harness.big import release_build  # noqa: E402
from test_constant_memory import memory  # noqa: E402
from test_daemons import LONG, MoodleFarm, broker, restored_by_moodle  # noqa: E402, F401
from test_scripts import comparison, differences, pair, unexplained  # noqa: E402, F401

pytestmark = gate.mark(gate.missing())

MIB = 1 << 20
GROWTH = 64 * MIB
FILES, FILE = 30, 30 * MIB
ROOM = 12 << 30


def generated(pair, shortname, size):  # noqa: F811
    """A course of Moodle's generator on the server, where teacher1 teaches: its id."""
    pair.php("lastyear", "admin/tool/generator/cli/maketestcourse.php", f"--shortname={shortname}",
             f"--size={size}", "--fixeddataset", "--bypasscheck")
    return int(pair.code("lastyear", f"""
        $course = $DB->get_record('course', ['shortname' => '{shortname}'], '*', MUST_EXIST);
        require_once($CFG->libdir . '/testing/lib.php');
        enrol_try_internal_enrol($course->id, $DB->get_field('user', 'id', ['username' => 'teacher1']),
            $DB->get_field('role', 'id', ['shortname' => 'editingteacher']));
        echo $course->id;""").split()[-1])


def removed(pair, site, course):  # noqa: F811
    """A course, and its files' contents at once."""
    pair.code(site, f"""
        require_once($CFG->dirroot . '/course/lib.php');
        $CFG->forced_plugin_settings['tool_recyclebin']['categorybinenable'] = 0;
        delete_course({course}, false);
        fix_course_sortorder();
        set_config('fileslastcleanup', 0);
        get_file_storage()->cron();
        fulldelete($CFG->dataroot . '/trashdir');""")


@pytest.fixture(scope="module")
def medium(pair):  # noqa: F811
    """Moodle's course M: 100 MB, 1000 users."""
    pair.courses["M"] = generated(pair, "M1", "M")
    yield "M"
    removed(pair, "lastyear", pair.courses.pop("M"))


@pytest.fixture
def large(pair):  # noqa: F811
    """Another M, with 30 files of 30 MB. All are different; a block is repeated within each MB, since
    the archive to compare with would take minutes to compress otherwise."""
    free = shutil.disk_usage(pair.sites["lastyear"]["data"]).free
    if free < ROOM:
        pytest.skip(f"needs {ROOM >> 30} GiB of disk, {free >> 30} GiB are free")
    pair.courses["BIG"] = course = generated(pair, "BIG1", "M")
    pair.code("lastyear", f"""
        $cms = get_fast_modinfo({course})->get_instances_of('resource');
        $context = context_module::instance(reset($cms)->id);
        $path = make_request_directory() . '/big';
        for ($n = 0; $n < {FILES}; $n++) {{
            $out = fopen($path, 'wb');
            for ($m = 0; $m < {FILE // MIB}; $m++) {{
                fwrite($out, str_repeat(random_bytes(4096), {MIB // 4096}));
            }}
            fclose($out);
            get_file_storage()->create_file_from_pathname(['contextid' => $context->id, 'component' => 'mod_resource',
                'filearea' => 'content', 'itemid' => 0, 'filepath' => '/big/', 'filename' => "file-$n.bin",
                'userid' => get_admin()->id], $path);
        }}""")
    yield "BIG"
    removed(pair, "lastyear", pair.courses.pop("BIG"))


@pytest.fixture
def farm(pair, broker, request, monkeypatch):  # noqa: F811
    """farm(workers, build, **restore): one of each daemon, with nginx for a store; archiver and
    worker of that build."""
    folder = tempfile.mkdtemp(prefix="farm-", dir=pathlib.Path(broker.folder).parent)
    os.chmod(folder, 0o711)
    failures = request.session.testsfailed
    made = []

    def start(workers=1, build=daemon.BUILD, **restore):
        f = MoodleFarm(folder, broker, pair, producer={"catalog_ttl": "1h"},
                       restore={"default_category": "DEF", "only_one": True} | restore)
        made.append(f)
        f.store = staging.of_farm(f)
        f.producer()
        names = [("archiver", "archiver")] + [("worker", f"worker-{n}") for n in range(workers)]
        for role, name in names:
            d = staging.daemon(f, role, f.store, name=name)
            # The machine has other things to do.
            d.configure({**d.config, "store": {**d.config["store"], "stall_timeout": "30s"}})
            with monkeypatch.context() as patch:
                patch.setattr(daemon, "BUILD", build)
                d.start()
        return f

    failed = True
    try:
        yield start
        failed = request.session.testsfailed > failures
    finally:
        for f in made:
            f.close(failed)
            f.store.close()


def brought(farm, course, users):  # noqa: F811
    """(id of the new course, seconds from the request to the course, growth of each daemon)."""
    measured = [d for d in farm.daemons if d.role != "producer"]
    before = {d.name: memory(d, "VmRSS") for d in measured}
    begun = time.monotonic()
    made = farm.course(farm.submit(farm.pair.courses[course], by="teacher1", user_data=users))
    took = time.monotonic() - begun
    grown = {d.name: memory(d, "VmHWM") - before[d.name] for d in measured}
    print(f"\n{course}: {took:.1f} s; grown by "
          + ", ".join(f"{name} {n / MIB:.1f} MiB" for name, n in grown.items()))
    return made, took, grown


def compared(farm, comparison, course, users):  # noqa: F811
    """Brought, compared with what Moodle itself makes of it, removed: the growth."""
    compare = comparison(course, users)
    whole = restored_by_moodle(farm.pair, course, users)
    made, _, grown = brought(farm, course, users)
    try:
        compare(whole, farm.pair.describe("thisyear", made))
        assert farm.pair.traces("thisyear")["contents"] == 0
    finally:
        removed(farm.pair, "thisyear", made)
    return grown


@pytest.mark.parametrize("users", [False, True], ids=["nousers", "users"])
def test_a_course_of_every_activity_comes_as_moodle_itself_would_bring_it(farm, comparison, users):  # noqa: F811
    compared(farm(), comparison, "FULL", users)


@pytest.fixture(scope="module")
def measured():
    """The build whose memory counts."""
    return daemon.BUILD if os.environ.get("NAVETTE_MEASURE") == "own" else release_build()


@pytest.mark.parametrize("course,users", [("S", True), ("medium", False)], ids=["S", "M"])
def test_a_generated_course_comes_in_constant_memory(farm, comparison, measured, course, users, request):  # noqa: F811
    course = request.getfixturevalue(course) if course == "medium" else course
    grown = compared(farm(build=measured), comparison, course, users)
    assert all(n < GROWTH for n in grown.values()), grown


def test_a_gigabyte_in_files_comes_in_constant_memory(farm, comparison, measured, large):  # noqa: F811
    grown = compared(farm(build=measured), comparison, large, False)
    assert all(n < GROWTH for n in grown.values()), grown


def test_four_workers_bring_eight_courses_at_once(farm):
    """Some of them twice, so that the same contents and names come at the same time."""
    wanted = [("XS", True), ("HAND", False), ("S", False), ("FULL", True)]
    f = farm(workers=4, only_one=False)
    whole = {course: restored_by_moodle(f.pair, course, users) for course, users in wanted}
    before = f.pair.traces("thisyear")
    begun = time.monotonic()
    asked = [(course, f.submit(f.pair.courses[course], by="teacher1", user_data=users))
             for course, users in wanted * 2]
    try:
        made = {request: f.course(request) for _, request in asked}
        print(f"\neight courses: {time.monotonic() - begun:.1f} s; by each worker: "
              f"{[len(w.events('restore.started')) for w in f.roles('worker')]}")
        assert len(set(made.values())) == 8
        for course, request in asked:
            assert unexplained(differences(whole[course], f.pair.describe("thisyear", made[request]))) == {}
        names = [row[0] for row in f.pair.query(
            "thisyear", f"SELECT shortname FROM {{course}} WHERE id IN ({','.join(made.values())})")]
        assert sorted(names) == sorted(name for own in ("XS1", "HAND", "S1", "FULL")
                                       for name in (own, own + "_1"))
        assert all(len(w.events("restore.started")) > 0 for w in f.roles("worker"))
        after = f.pair.traces("thisyear")
        assert after == before | {"courses": before["courses"] + 8}
    finally:
        for _, request in asked:
            for course, state in f.rows(request):
                if state == "restored":
                    f.pair.delete(course)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
