#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A course with activities that the client has no plugin for arrives without them: gradebook, course
completion, badges and conditions come all the same, less what named them, and each difference is told. Whether
the course server knows what the client lacks or not, the outcome is the same.

    MOODLE_DIR=/path/to/moodle test_lacking.py [pytest's options]

As test_scripts.py, whose pair this is.
"""
import contextlib
import json
import sys

import gate

if __name__ == "__main__":
    gate.leave_if(gate.missing())

import pytest  # noqa: E402

from test_losses import fresh, gone  # noqa: E402
from test_scripts import pair  # noqa: E402, F401

pytestmark = gate.mark(gate.missing())

COURSE = """
    require_once($CFG->libdir . '/testing/lib.php');
    require_once($CFG->libdir . '/phpunit/classes/util.php');
    require_once($CFG->libdir . '/gradelib.php');
    require_once($CFG->libdir . '/badgeslib.php');
    require_once($CFG->libdir . '/completionlib.php');
    \\core\\session\\manager::set_user(get_admin());
    $make = phpunit_util::get_data_generator();
    $course = $make->create_course(['shortname' => 'LACKING', 'fullname' => 'Lacking', 'enablecompletion' => 1,
        'numsections' => 2])->id;
    $make->enrol_user($DB->get_field('user', 'id', ['username' => 'teacher1']), $course, 'editingteacher');
    $add = fn($type, $name, $more = []) => $make->create_module($type,
        $more + ['course' => $course, 'name' => $name, 'completion' => 1, 'section' => 1]);
    $wiki = $add('wiki', 'The wiki')->cmid;
    $peer = $add('workshop', 'The workshop');
    $stays = $add('assign', 'The essay');
    $item = fn($type, $of) => $DB->get_field('grade_items', 'id', ['itemmodule' => $type, 'iteminstance' => $of->id, 'itemnumber' => 0]);
    $done = fn($cm) => ['type' => 'completion', 'cm' => (int) $cm, 'e' => 1];
    $marked = ['type' => 'grade', 'id' => (int) $item('workshop', $peer), 'min' => 10];
    $add('page', 'Guarded', ['availability' => json_encode(['op' => '&', 'showc' => [true, false, true],
        'c' => [$done($wiki), $done($stays->cmid), $marked]])]);
    $add('page', 'Locked', ['availability' => json_encode(['op' => '&', 'showc' => [true],
        'c' => [['op' => '|', 'c' => [$done($wiki), $done($peer->cmid)]]]])]);
    $DB->set_field('course_sections', 'availability', json_encode(['op' => '|', 'show' => true,
        'c' => [$done($wiki), ['type' => 'date', 'd' => '>=', 't' => 1000000000]]]), ['course' => $course, 'section' => 2]);
    foreach (['wiki' => $wiki, 'assign' => $stays->cmid] as $type => $cm) {
        $DB->insert_record('course_completion_criteria', ['course' => $course, 'module' => $type, 'moduleinstance' => $cm,
            'criteriatype' => COMPLETION_CRITERIA_TYPE_ACTIVITY]);
    }
    foreach (['Both' => [$wiki, $stays->cmid], 'Wiki only' => [$wiki]] as $name => $cms) {
        $badge = $DB->insert_record('badge', ['name' => $name, 'description' => '', 'timecreated' => 1,
            'timemodified' => 1, 'usercreated' => 2, 'usermodified' => 2, 'issuername' => 'N', 'issuerurl' => '',
            'issuercontact' => '', 'type' => BADGE_TYPE_COURSE, 'courseid' => $course, 'message' => '',
            'messagesubject' => '', 'attachment' => 1, 'notification' => 0, 'status' => 0, 'version' => '',
            'language' => 'en', 'imagecaption' => '', 'imageauthorname' => '', 'imageauthoremail' => '',
            'imageauthorurl' => '']);
        $DB->insert_record('badge_criteria', ['badgeid' => $badge, 'criteriatype' => 0, 'method' => 1]);
        $criterion = $DB->insert_record('badge_criteria', ['badgeid' => $badge, 'criteriatype' => 1, 'method' => 1]);
        foreach ($cms as $cm) {
            $DB->insert_record('badge_criteria_param', ['critid' => $criterion, 'name' => "module_$cm", 'value' => $cm]);
        }
    }
    $part = new grade_category(['courseid' => $course, 'fullname' => 'A part'], false);
    $part->insert();
    $twice = new grade_item(['courseid' => $course, 'itemtype' => 'manual', 'itemname' => 'Twice',
        'categoryid' => $part->id, 'gradetype' => GRADE_TYPE_VALUE], false);
    $twice->insert('manual');
    $DB->set_field('grade_items', 'calculation', '=##gi' . $item('workshop', $peer) . '##*2', ['id' => $twice->id]);
    rebuild_course_cache($course, true);
    echo $course;"""

TOLD = [
    '"The wiki" was left out: the receiving site has no activity of the type wiki.',
    '"The workshop" was left out: the receiving site has no activity of the type workshop.',
    '"Guarded" is no longer restricted by "The wiki", which was left out.',
    '"Guarded" is no longer restricted by "The workshop", which was left out.',
    '"Locked" is no longer restricted by "The wiki", which was left out.',
    '"Locked" is no longer restricted by "The workshop", which was left out.',
    'Course completion no longer asks for "The wiki", which was left out.',
    'The badge "Both" no longer asks for "The wiki", which was left out.',
    'The badge "Wiki only" no longer asks for "The wiki", which was left out.',
    'The badge "Wiki only" asks for nothing any more: it cannot be earned until it gets a criterion.',
    'The calculation of the grade "Twice" was removed: it uses "The workshop", which was left out.',
]


@pytest.fixture(name="course", scope="module")
def make_course(pair):  # noqa: F811
    pair.courses["LACKING"] = int(pair.code("lastyear", COURSE).split()[-1])
    yield "LACKING"
    pair.code("lastyear", "require_once($CFG->dirroot . '/course/lib.php');"
              f"delete_course({pair.courses.pop('LACKING')}, false);")


@contextlib.contextmanager
def client_without(pair, *modules, known=True, **request):  # noqa: F811
    """known: the course server knows it, too."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(fresh(pair))
        for module in modules:
            stack.enter_context(gone(pair, module))
        plugins = pair.run("thisyear", "versions").result["plugins"] if known else []
        pair.always = {"leave_out": True, "plugins": plugins, **request}
        stack.callback(setattr, pair, "always", {})
        yield



def rows(pair, course, sql):  # noqa: F811
    return pair.query("thisyear", sql.replace("COURSE", str(course)))


def assert_arrived(pair, made):  # noqa: F811
    names = {name for name, in rows(pair, made, "SELECT m.name FROM {course_modules} cm JOIN {modules} m "
                                    "ON m.id = cm.module WHERE cm.course = COURSE")}
    assert {"assign", "page"} <= names and not {"wiki", "workshop"} & names
    essay = int(rows(pair, made, "SELECT cm.id FROM {course_modules} cm JOIN {modules} m ON m.id = cm.module "
                     "WHERE cm.course = COURSE AND m.name = 'assign'")[0][0])
    pages = dict(rows(pair, made, "SELECT p.name, COALESCE(cm.availability, 'none') FROM {page} p "
                      "JOIN {course_modules} cm ON cm.instance = p.id JOIN {modules} m ON m.id = cm.module "
                      "AND m.name = 'page' WHERE p.course = COURSE"))
    guarded = json.loads(pages["Guarded"])
    assert [c["cm"] for c in guarded["c"]] == [essay] and guarded["showc"] == [False]
    assert pages["Locked"] == "none"
    section = json.loads(rows(pair, made, "SELECT availability FROM {course_sections} "
                              "WHERE course = COURSE AND section = 2")[0][0])
    assert [c["type"] for c in section["c"]] == ["date"] and section["show"] is True
    assert rows(pair, made, "SELECT module, moduleinstance FROM {course_completion_criteria} "
                "WHERE course = COURSE") == [["assign", str(essay)]]
    assert rows(pair, made, "SELECT b.name, c.criteriatype, p.name FROM {badge} b JOIN {badge_criteria} c "
                "ON c.badgeid = b.id LEFT JOIN {badge_criteria_param} p ON p.critid = c.id "
                "WHERE b.courseid = COURSE AND c.criteriatype = 1") == [["Both", "1", f"module_{essay}"]]
    assert rows(pair, made, "SELECT name FROM {badge} WHERE courseid = COURSE ORDER BY name") == [["Both"], ["Wiki only"]]
    assert rows(pair, made, "SELECT c.fullname, COALESCE(i.calculation, 'none') FROM {grade_items} i "
                "JOIN {grade_categories} c ON c.id = i.categoryid WHERE i.courseid = COURSE AND i.itemname = 'Twice'") == \
        [["A part", "none"]]


def assert_told(said):
    section = [text for text in said if text.startswith("The section ")]
    assert len(section) == 1 and section[0].endswith('is no longer restricted by "The wiki", which was left out.')
    assert sorted(text for text in said if "left out" in text or "nothing any more" in text) == sorted(TOLD + section)


def exported(pair, course, users=False):  # noqa: F811
    """What the course server told people of the export."""
    work = pair.folder("lacking-check")
    return pair.run("lastyear", "export", {"request": pair.request(course, user_data=users), "work_dir": str(work)})


def test_the_course_server_leaves_out_what_it_knows_the_client_lacks(pair, course):  # noqa: F811
    with client_without(pair, "wiki", "workshop"):
        said = exported(pair, course)
        assert_told(said.warnings)
        assert not {"mod_wiki", "mod_workshop"} & {plugin["name"] for plugin in said.result["needs"]}
        tree = pair.export(course)["dir"] / "tree"
        assert {path.name.split("_")[0] for path in (tree / "activities").iterdir()} >= {"assign", "page"}
        assert not list(tree.glob("activities/wiki_*")) + list(tree.rglob("*.whole"))
        made = pair.bring(course, needs=pair.export(course)["needs"])
        assert_arrived(pair, made["course"])
        assert not [text for text in made["warnings"] if "left out" in text]
        pair.delete(made["course"])


def test_the_client_leaves_out_what_the_course_server_could_not_know(pair, course):  # noqa: F811
    with client_without(pair, "wiki", "workshop", known=False):
        for _ in range(2):  # an attempt that goes wrong leaves the tree for the next
            made = pair.bring(course, needs=pair.export(course)["needs"])
            assert_told(made["warnings"])
            assert_arrived(pair, made["course"])
            pair.delete(made["course"])


@pytest.mark.parametrize("known", (True, False))
def test_with_user_data_a_graded_activity_is_not_left_out(pair, course, known):  # noqa: F811
    with client_without(pair, "wiki", "workshop", known=known):
        if known:
            refused = exported(pair, course, users=True)
        else:
            refused = pair.run("thisyear", "import", pair.message(course, True, needs=pair.export(course, True)["needs"]))
            assert pair.count("thisyear", "{course} WHERE shortname LIKE 'LACKING%'") == 0
        assert refused.error == ("reject", "plugin_missing")
        message = refused.lines[-1]["error"]["message"]
        assert "The workshop" in message and "is graded" in message and "without user data" in message
    with client_without(pair, "wiki", known=known):
        made = pair.bring(course, True, needs=pair.export(course, True)["needs"])
        assert pair.count("thisyear", f"{{workshop}} WHERE course = {made['course']}") == 1
        pair.delete(made["course"])


def test_without_that_choice_the_course_is_refused(pair, course):  # noqa: F811
    with client_without(pair, "wiki", leave_out=False):
        assert exported(pair, course).error == ("reject", "plugin_missing")
    with client_without(pair, "wiki", known=False, leave_out=False):
        refused = pair.run("thisyear", "import", pair.message(course, needs=pair.export(course)["needs"]))
        assert refused.error == ("reject", "plugin_missing")


def test_question_types_and_formats_are_told(pair):  # noqa: F811
    plugins = pair.run("thisyear", "versions").result["plugins"]
    without = [p for p in plugins if p["name"] not in ("qtype_essay", "format_topics")]
    said = pair.run("lastyear", "export", {"check_only": True, "request": pair.request(
        "HAND", plugins=without, leave_out=True)})
    assert said.code == 0
    assert any("no course format topics" in text for text in said.warnings)
    assert any("no question type essay" in text for text in said.warnings)


def test_the_catalog_tells_the_types(pair, course):  # noqa: F811
    said = pair.run("lastyear", "catalog", {"id": "x", "user": "teacher1", "user_field": "username",
                                            "roles": ["editingteacher"]})
    found = next(c for c in said.all("course") if c["course"] == str(pair.courses[course]))
    modules = {m["name"]: m["count"] for m in found["modules"]}
    assert (modules["wiki"], modules["workshop"], modules["page"]) == (1, 1, 2)


if __name__ == "__main__":
    sys.exit(pytest.main(["-p", "no:cacheprovider", "-q", *sys.argv[1:], __file__]))
