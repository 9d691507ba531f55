#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of a course is lost in silence: what the course server has counted in its database and the
restored course lacks is found, whatever the reason; a whole course gives no false alarm; a plugin
that the client lacks is refused there, too.

    MOODLE_DIR=/path/to/moodle test_losses.py [pytest's options]

As test_scripts.py and test_daemons.py, whose pair and farm these are.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

import gate

if __name__ == "__main__":
    gate.leave_if(gate.missing())

import pytest  # noqa: E402

from harness import wait  # noqa: E402
from test_daemons import LONG, broker, start_farm  # noqa: E402, F401
from test_scripts import config_php, pair  # noqa: E402, F401

pytestmark = gate.mark(gate.missing())

# An activity module that Moodle's backup leaves out.
NO_BACKUP = {
    "version.php": "<?php $plugin->component = 'mod_nobackup'; $plugin->version = 2025010100; "
                   "$plugin->requires = 2022112800;",
    "lib.php": "<?php function nobackup_supports($feature) { return false; } "
               "function nobackup_delete_instance($id) { global $DB; "
               "return $DB->delete_records('nobackup', ['id' => $id]); }",
    "lang/en/nobackup.php": "<?php $string['pluginname'] = $string['modulename'] = 'No backup'; "
                            "$string['modulenameplural'] = 'No backups'; "
                            "$string['pluginadministration'] = 'No backup';",
    "db/install.xml": """<?xml version="1.0" encoding="UTF-8" ?>
<XMLDB PATH="mod/nobackup/db" VERSION="20250101" COMMENT="mod_nobackup">
  <TABLES>
    <TABLE NAME="nobackup" COMMENT="Instances">
      <FIELDS>
        <FIELD NAME="id" TYPE="int" LENGTH="10" NOTNULL="true" SEQUENCE="true"/>
        <FIELD NAME="course" TYPE="int" LENGTH="10" NOTNULL="true" SEQUENCE="false"/>
        <FIELD NAME="name" TYPE="char" LENGTH="255" NOTNULL="true" SEQUENCE="false"/>
        <FIELD NAME="timemodified" TYPE="int" LENGTH="10" NOTNULL="true" DEFAULT="0" SEQUENCE="false"/>
      </FIELDS>
      <KEYS><KEY NAME="primary" TYPE="primary" FIELDS="id"/></KEYS>
    </TABLE>
  </TABLES>
</XMLDB>
""",
}
ADD_ACTIVITY = """
    require_once($CFG->dirroot . '/course/lib.php');
    $id = $DB->insert_record('{name}', (object) ['course' => {course}, 'name' => 'X', {more}]);
    $cm = add_course_module((object) ['course' => {course}, 'instance' => $id, 'module' =>
        $DB->get_field('modules', 'id', ['name' => '{name}'], MUST_EXIST)]);
    course_add_cm_to_section({course}, $cm, 1);
    echo $cm;"""


def counted(lines):
    return {(line["kind"], line["type"]): line["count"] for line in lines}


def lost(outcome):
    """As proto/inventory.c compares."""
    has, kinds = counted(outcome["has"]), {line["kind"] for line in outcome["has"]}
    return {what: (number, has.get(what, 0)) for what, number in counted(outcome["had"]).items()
            if what[0] in kinds and has.get(what, 0) < number}


def brought(pair, course, users=False, **more):  # noqa: F811
    """Restored with what the export says; the outcome."""
    said = pair.export(course, users)
    return pair.bring(course, users, **{"inventory": said["inventory"], "needs": said["needs"]} | more)


@contextlib.contextmanager
def fresh(pair):  # noqa: F811
    """Exports of before are not used, nor those of now afterwards."""
    before, pair.exports = pair.exports, {}
    try:
        yield
    finally:
        pair.exports = before


def upgrade(pair, site):  # noqa: F811
    # Moodle's upgrade refuses to run with PHP's own value.
    done = subprocess.run([*pair.drop, "php", "-d", "max_input_vars=5000", "admin/cli/upgrade.php",
                           "--non-interactive"], text=True, capture_output=True,
                          cwd=config_php(pair, site).parent, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@contextlib.contextmanager
def installed(pair, site):  # noqa: F811
    """mod_nobackup on a site."""
    folder = pathlib.Path(pair.sites[site]["moodle"])
    folder = (folder / "public" if (folder / "public").is_dir() else folder) / "mod" / "nobackup"
    for name, text in NO_BACKUP.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    try:
        upgrade(pair, site)
        yield
    finally:
        pair.php(site, "admin/cli/uninstall_plugins.php", "--plugins=mod_nobackup", "--run")
        shutil.rmtree(folder)
        upgrade(pair, site)


@contextlib.contextmanager
def unknown_to_moodle(pair, plugin):  # noqa: F811
    """The client's Moodle has its code, but has not installed it."""
    version = pair.query("thisyear", f"SELECT value FROM {{config_plugins}} WHERE plugin = '{plugin}' "
                         "AND name = 'version'")[0][0]
    change = f"set_config('version', %s, '{plugin}'); core_plugin_manager::reset_caches();"
    pair.code("thisyear", change % "null")
    try:
        yield
    finally:
        pair.code("thisyear", change % version)


@contextlib.contextmanager
def gone(pair, module):  # noqa: F811
    """The client's Moodle lacks the code of a module, and does not mind."""
    root = pathlib.Path(pair.sites["thisyear"]["moodle"])
    folder = (root / "public" if (root / "public").is_dir() else root) / "mod" / module
    hash_anew = ("core_plugin_manager::reset_caches();"
                 "set_config('allversionshash', core_component::get_all_versions_hash());")
    shutil.move(folder, pair.work / module)
    try:
        forget_components(pair)
        pair.code("thisyear", hash_anew)
        yield
    finally:
        shutil.move(pair.work / module, folder)
        forget_components(pair)
        pair.code("thisyear", hash_anew)


def forget_components(pair):  # noqa: F811
    for path in pathlib.Path(pair.sites["thisyear"]["data"]).glob("*cache/core_component*.php"):
        path.unlink()


@pytest.mark.parametrize("course, users", [("S", True), ("HAND", False), ("FULL", False), ("FULL", True)])
def test_a_whole_course_gives_no_alarm(pair, course, users):  # noqa: F811
    if course not in pair.courses:
        pytest.skip(f"the pair has no course {course}")
    outcome = brought(pair, course, users)
    try:
        assert lost(outcome) == {}
        assert counted(outcome["had"])["section", ""] > 1
        kinds = {line["kind"] for line in outcome["has"]}
        assert kinds == {"section", "activity", "question", "file"} | \
            ({"person", "grade", "completion"} if users else set())
    finally:
        pair.delete(outcome["course"])


def test_what_is_being_deleted_or_deleted_is_not_missed(pair):  # noqa: F811
    """An activity on its way into the recycle bin, a person whose account is deleted."""
    course = pair.courses["HAND"]
    added = pair.code("lastyear", ADD_ACTIVITY.format(name="url", course=course, more="'externalurl' => 'x:', "
                                                      "'intro' => ''")).split()[-1]
    pair.code("lastyear", f"$DB->set_field('course_modules', 'deletioninprogress', 1, ['id' => {added}]);"
              f"rebuild_course_cache({course}, true);")
    user = pair.code("lastyear", f"""
        require_once($CFG->dirroot . '/user/lib.php');
        $id = user_create_user(['username' => 'leaver', 'mnethostid' => $CFG->mnet_localhost_id,
            'email' => 'leaver@example.org', 'firstname' => 'L', 'lastname' => 'L', 'password' => 'Navette-1'], true, false);
        $instance = $DB->get_record('enrol', ['courseid' => {course}, 'enrol' => 'manual'], '*', MUST_EXIST);
        enrol_get_plugin('manual')->enrol_user($instance, $id);
        $DB->set_field('user', 'deleted', 1, ['id' => $id]);
        echo $id;""").split()[-1]
    try:
        with fresh(pair):
            outcome = brought(pair, "HAND", True)
            pair.delete(outcome["course"])
        assert lost(outcome) == {}
        assert counted(outcome["had"])["activity", "url"] == 1
    finally:
        pair.code("lastyear", f"""
            require_once($CFG->dirroot . '/course/lib.php');
            $DB->set_field('course_modules', 'deletioninprogress', 0, ['id' => {added}]);
            course_delete_module({added});
            $DB->delete_records('user_enrolments', ['userid' => {user}]);
            $DB->delete_records('user', ['id' => {user}]);
            rebuild_course_cache({course}, true);""")


def test_an_activity_that_moodle_does_not_back_up_is_missed(pair):  # noqa: F811
    course = pair.courses["XS"]
    with installed(pair, "lastyear"):
        added = pair.code("lastyear", ADD_ACTIVITY.format(name="nobackup", course=course, more="")).split()[-1]
        try:
            with fresh(pair):
                said = pair.export("XS")
                assert counted(said["inventory"])["activity", "nobackup"] == 1
                assert "mod_nobackup" in {plugin["name"] for plugin in said["needs"]}
                # The client lacks the plugin; and an older course server says nothing of needs.
                refused = pair.run("thisyear", "import", pair.message(
                    "XS", inventory=said["inventory"], needs=said["needs"]))
                assert refused.error == ("reject", "plugin_missing")
                outcome = brought(pair, "XS", needs=[])
                pair.delete(outcome["course"])
            assert lost(outcome) == {("activity", "nobackup"): (1, 0)}
        finally:
            pair.code("lastyear", f"require_once($CFG->dirroot . '/course/lib.php'); course_delete_module({added});")


def test_an_activity_whose_module_the_client_lacks_is_missed(pair):  # noqa: F811
    with gone(pair, "wiki"):
        said = pair.export("HAND")
        for operation in ("preflight", "import"):
            refused = pair.run("thisyear", operation, pair.message("HAND", needs=said["needs"]))
            assert refused.error == ("reject", "plugin_missing")
            assert "mod_wiki" in refused.lines[-1]["error"]["message"]
        outcome = brought(pair, "HAND", needs=[])
        again = pair.run("thisyear", "find", {"id": pair.query(
            "thisyear", "SELECT requestid FROM {block_navette_restores} WHERE courseid = "
            f"{outcome['course']}")[0][0]}).result
        pair.delete(outcome["course"])
    assert lost(outcome)["activity", "wiki"] == (1, 0)
    assert lost(again) == lost(outcome)


def test_a_block_that_the_client_lacks_is_only_told(pair):  # noqa: F811
    said = pair.export("HAND")
    needs = said["needs"] + [{"name": "block_nowhere", "version": 1}, {"name": "mod_page", "version": 2099010100}]
    reply = pair.run("thisyear", "import", pair.message("HAND", needs=needs, inventory=said["inventory"]))
    pair.delete(reply.result["course"])
    assert "The client lacks block_nowhere: the block is left out." in reply.warnings
    assert any("mod_page is older" in text for text in reply.warnings)


def test_an_older_course_server_counts_nothing(pair):  # noqa: F811
    outcome = pair.bring("EMPTY")
    pair.delete(outcome["course"])
    assert "had" not in outcome and "has" not in outcome


def test_the_daemons_refuse_what_the_archiver_could_not_know(start_farm, pair):  # noqa: F811
    """The producer's configuration names no site, so the request carries no list of plugins."""
    with unknown_to_moodle(pair, "mod_lti"):
        f = start_farm(only_one=False)
        request = f.submit(pair.courses["HAND"], by="teacher1", user_data=False, leave_out=False)
        f.refused(request, "plugin_missing")
        assert "mod_lti" in f.record(request)["message"]
        worker, = f.roles("worker")
        assert not worker.events("moodle.imported")
        assert not os.path.exists(f.path("work", "worker", request))


def test_the_daemons_tell_the_teacher_what_is_lost(start_farm, pair):  # noqa: F811
    course = pair.courses["XS"]
    with installed(pair, "lastyear"), installed(pair, "thisyear"):
        added = pair.code("lastyear", ADD_ACTIVITY.format(name="nobackup", course=course, more="")).split()[-1]
        try:
            f = start_farm(only_one=False, warnings_to_owner=False)
            since = f.last_notice()
            request = f.submit(course, by="teacher1", user_data=True)
            made = f.course(request)
            try:
                assert f.record(request)["differences"] == "activity nobackup 1 0\n"
                assert f.told(since) == [["teacher1", "restored"]]
                told = pair.query("thisyear", f"SELECT fullmessage FROM {{notifications}} WHERE id > {since}")
                assert "Activities (nobackup): 1 before, 0 now" in str(told)
                # History, from the row in Moodle.
                f.redis.client.flushall()
                wait.until(lambda: f.record(request).get("differences") == "activity nobackup 1 0\n",
                           lambda: f.record(request), LONG)
            finally:
                pair.delete(made)
        finally:
            pair.code("lastyear", f"require_once($CFG->dirroot . '/course/lib.php'); course_delete_module({added});")


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
