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
import pathlib
import shutil
import subprocess
import sys
from xml.etree import ElementTree
from xml.sax.saxutils import escape

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
    assert len(section) == 1 and section[0].endswith('can no longer be opened by "The wiki", which was left out.')
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
            message = pair.message(course, True, needs=pair.export(course, True)["needs"])
            refused = pair.run("thisyear", "import", message)
            # Before anything is made, and any content is stored.
            assert pair.count("thisyear", f"{{block_navette_restores}} WHERE requestid = '{message['request']['id']}'") == 0
            assert pair.count("thisyear", "{course} WHERE shortname LIKE 'LACKING%'") == 0
        assert refused.error == ("reject", "plugin_missing")
        message = refused.lines[-1]["error"]["message"]
        assert "The workshop" in message and "is graded" in message and "without user data" in message
    with client_without(pair, "wiki", known=known):
        made = pair.bring(course, True, needs=pair.export(course, True)["needs"])
        assert pair.count("thisyear", f"{{workshop}} WHERE course = {made['course']}") == 1
        pair.delete(made["course"])


def test_a_graded_activity_is_left_out_of_an_archive_without_user_data(pair, course):  # noqa: F811
    with client_without(pair, "wiki", "workshop", known=False):
        made = pair.bring(course, request={"user_data": True}, needs=pair.export(course)["needs"])
        assert_told(made["warnings"])
        pair.delete(made["course"])


def test_what_is_being_deleted_does_not_count_as_graded(pair, course):  # noqa: F811
    number = pair.courses[course]
    deleting = ("$DB->execute('UPDATE {course_modules} SET deletioninprogress = ? WHERE course = ? AND module = "
                f"(SELECT id FROM {{modules}} WHERE name = ?)', [%d, {number}, 'workshop']);")
    # Another one is there, which has no grades.
    another = pair.code("lastyear", deleting % 1 + """
        require_once($CFG->libdir . '/testing/lib.php');
        require_once($CFG->libdir . '/phpunit/classes/util.php');
        \\core\\session\\manager::set_user(get_admin());
        $one = phpunit_util::get_data_generator()->create_module('workshop', ['course' => COURSE, 'name' => 'Ungraded']);
        $DB->set_field('grade_items', 'gradetype', 0, ['itemmodule' => 'workshop', 'iteminstance' => $one->id]);
        echo $one->cmid;""".replace("COURSE", str(number))).split()[-1]
    try:
        with client_without(pair, "wiki", "workshop"):
            assert pair.run("lastyear", "export", {"check_only": True, "request": pair.request(
                course, user_data=True)}).code == 0
    finally:
        pair.code("lastyear", f"require_once($CFG->dirroot . '/course/lib.php'); course_delete_module({another});"
                  + deleting % 0)


def test_the_folder_for_temporary_files_is_made_when_it_is_needed(pair):  # noqa: F811
    temp = pathlib.Path(pair.sites["thisyear"]["data"]) / "temp"
    temp.rename(temp.with_name("temp.away"))
    try:
        assert pair.run("thisyear", "check").code == 0
    finally:
        if temp.is_dir():
            shutil.rmtree(temp)
        temp.with_name("temp.away").rename(temp)


# --- archives made by hand ---

RUN = r"""
    ob_start(); // what Moodle may say
    foreach (['out' => fopen('php://memory', 'w+'), 'warnings' => []] as $name => $value) {
        $field = new ReflectionProperty('block_navette\local\channel', $name);
        $field->setAccessible(true);
        $field->setValue(null, $value);
    }
    $said = ['error' => ''];
    try {
        block_navette\local\lacking::leave_out('TREE', ['assign', 'page', 'wikibook'], USERS, KEPT, 'fr');
    } catch (block_navette\local\failure $e) {
        $said['error'] = $e->reason;
    }
    ob_end_clean();
    echo json_encode($said + ['warnings' => block_navette\local\channel::warnings()]);"""


def archive(folder, activities, sections=(), **files):
    """activities: (course module, section, type, title, fields of module.xml); sections: (id, title, parent, fields)."""
    def fields(**values):
        return "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in values.items())

    listed = grouped = ""
    for cm, section, module, title, more in activities:
        where = f"activities/{module}_{cm}"
        inside = any(one[0] == section and one[2] for one in sections)
        listed += "<activity>" + fields(moduleid=cm, sectionid=section, modulename=module, title=title, directory=where,
                                        insubsection=1 if inside else "") + "</activity>"
        files[f"{where}/module.xml"] = f'<module id="{cm}">{fields(**more)}</module>'
        files[f"{where}/{module}.xml"] = f'<activity id="1" moduleid="{cm}" contextid="{cm + 1000}">' \
            + files.pop(f"text{cm}", "") + "</activity>"
    for number, (section, title, parent, more) in enumerate(sections):
        grouped += "<section>" + fields(sectionid=section, title=title, directory=f"sections/section_{section}",
                                        parentcmid=parent, modname="wiki" if parent else "") + "</section>"
        files[f"sections/section_{section}/section.xml"] = f'<section id="{section}">' + fields(number=number, sequence=",".join(
            str(one[0]) for one in activities if one[1] == section), **more) + "</section>"
    files["moodle_backup.xml"] = "<moodle_backup><information>" + fields(
        original_wwwroot="https://old.example.org/m", original_course_id=7) + f"<contents><activities>{listed}</activities>" \
        f"<sections>{grouped}</sections></contents></information></moodle_backup>"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    subprocess.run(["chmod", "-R", "a+rwX", folder], check=True)
    return folder


def leave_out(pair, tree, kept=True, users=False):  # noqa: F811
    said = json.loads(pair.code("thisyear", RUN.replace("TREE", str(tree)).replace("USERS", str(users).lower())
                                .replace("KEPT", str(kept).lower())))
    return said["error"] or said["warnings"]


WIKI = (12, 1, "wiki", "W", {"completion": 1})


def availability(tree, activity):
    text = ElementTree.parse(tree / f"activities/{activity}/module.xml").findtext("availability")
    return None if text == "$@NULL@$" else json.loads(text)


@pytest.mark.parametrize("encoding", ("utf-8", "utf-16"))
def test_an_archive_with_a_doctype_is_refused(pair, encoding):  # noqa: F811
    tree = archive(pair.folder("doctype"), [WIKI], **{"completion.xml": (
        f'<?xml version="1.0" encoding="{encoding}"?><!-- x --><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>').encode(encoding)})
    assert leave_out(pair, tree) == "archive_corrupt"


def test_grades_are_not_read_where_nothing_graded_leaves(pair):  # noqa: F811
    tree = archive(pair.folder("grades"), [WIKI], **{"gradebook.xml": "no XML at all"})
    assert len(leave_out(pair, tree)) == 1


def test_the_activity_before_is_found(pair):  # noqa: F811
    before = {"availability": json.dumps({"op": "&", "c": [{"type": "completion", "cm": -1, "e": 1}], "showc": [True]})}
    tree = archive(pair.folder("before"), [
        (11, 1, "page", "First", {"completion": 2}), (13, 1, "page", "Stays", {"completion": 0} | before),
        WIKI, (14, 1, "page", "Label", {"completion": 0}), (15, 1, "page", "Freed", {"completion": 1} | before),
        (16, 2, "page", "Later", {"completion": 1} | before)],
        [(1, "One", "", {}), (2, "Two", "", {"availabilityjson": before["availability"]}),
         (3, "Three", "", {"availabilityjson": before["availability"]})])
    # Section 2 comes after "Freed", but "Freed" itself after the wiki.
    assert leave_out(pair, tree)[1:] == ['"Freed" is no longer restricted by "W", which was left out.']
    assert availability(tree, "page_15") is None and availability(tree, "page_13")["c"][0]["cm"] == -1
    tree = archive(pair.folder("before"), [WIKI], [(1, "One", "", {}), (2, "Two", "", {"availabilityjson": before["availability"]})])
    assert leave_out(pair, tree)[1:] == ['The section "Two" is no longer restricted by "W", which was left out.']


def test_sections_of_what_leaves_stand_by_themselves(pair):  # noqa: F811
    tree = archive(pair.folder("delegated"), [WIKI, (20, 2, "page", "Child", {})],
                   [(1, "One", "", {}), (2, "Two", 12, {"component": "mod_wiki", "itemid": 5})])
    assert leave_out(pair, tree)[1:] == ['The section "Two" stands by itself: it belonged to "W", which was left out.']
    backup = ElementTree.parse(tree / "moodle_backup.xml")
    assert {node.text for name in ("parentcmid", "modname", "insubsection") for node in backup.iter(name)} == {None}
    section = ElementTree.parse(tree / "sections/section_2/section.xml")
    assert section.findtext("component") == section.findtext("itemid") == "$@NULL@$"


DONE, NOT_DONE, STAYS = ({"type": "completion", "cm": 12, "e": 1}, {"type": "completion", "cm": 12, "e": 0},
                         {"type": "date", "d": ">=", "t": 1})
RULES = [  # operator, conditions, what is left of them, what is said
    ("&", [DONE, STAYS], [STAYS], "is no longer restricted by"),
    ("&", [NOT_DONE, STAYS], [STAYS], "is no longer restricted by"),
    ("|", [DONE, STAYS], [STAYS], "can no longer be opened by"),
    ("|", [NOT_DONE, STAYS], None, "is no longer restricted by"),
    ("!&", [DONE, STAYS], None, "is no longer restricted by"),
    ("!|", [DONE, STAYS], [STAYS], "is no longer restricted by"),
    ("!|", [{"op": "&", "c": [DONE, STAYS]}, STAYS], [STAYS], "is no longer restricted by"),
    ("|", [{"op": "!&", "c": [DONE, STAYS]}, STAYS], None, "is no longer restricted by"),
    ("|", [{"op": "&", "c": [DONE]}, STAYS], [STAYS], "is no longer restricted by"),
]


def test_no_condition_becomes_stricter_than_it_was(pair):  # noqa: F811
    tree = archive(pair.folder("rules"), [WIKI] + [(100 + i, 1, "page", f"P{i}", {"availability": json.dumps(
        {"op": op, "c": conditions})}) for i, (op, conditions, _, _) in enumerate(RULES)])
    said = leave_out(pair, tree)[1:]
    assert said == [f'"P{i}" {how} "W", which was left out.' for i, (_, _, _, how) in enumerate(RULES)]
    for i, (_, _, rest, _) in enumerate(RULES):
        left = availability(tree, f"page_{100 + i}")
        assert (left and left["c"]) == rest, RULES[i]


@pytest.mark.parametrize("name, shown", [
    ("Q &amp; A <b>now</b>", "Q & A now"),
    ('<span lang="en" class="multilang">Day</span> <span lang="fr" class="multilang">Jour</span> 1', "Jour 1"),
    ("{mlang en}Day{mlang}{mlang fr}Jour{mlang} 1", "Jour 1"),
])
def test_names_are_told_as_people_read_them(pair, name, shown):  # noqa: F811
    tree = archive(pair.folder("names"), [(12, 1, "wiki", name, {})])
    assert leave_out(pair, tree) == [f'"{shown}" was left out: the receiving site has no activity of the type wiki.']


def test_links_to_what_leaves_lead_home_and_its_files_stay_behind(pair):  # noqa: F811
    def file(number, context):
        return (f'<file id="{number}"><contenthash>{number:040x}</contenthash><contextid>{context}</contextid>'
                f'<filename>f</filename><filesize>1</filesize><repositoryid>$@NULL@$</repositoryid></file>')

    tree = archive(pair.folder("links"), [WIKI, (20, 1, "page", "Text", {}), (21, 1, "page", "None", {})],
                   text20="$@WIKIVIEWBYID*12@$ $@WIKIPAGEBYID*3@$ $@WIKIBOOKVIEWBYID*5@$", text21="$@PAGEVIEWBYID*20@$",
                   **{"files.xml": f"<files>{file(1, 1012)}{file(2, 1020)}</files>"})
    before = {path: path.read_bytes() for path in tree.rglob("*.xml")}
    assert leave_out(pair, tree)[1:] == [
        '"Text" links to activities that were left out: these links lead to the course they came from.']
    assert "https://old.example.org/m/mod/wiki/view.php?id=12 https://old.example.org/m/mod/wiki/index.php?id=7 " \
        "$@WIKIBOOKVIEWBYID*5@$" in (tree / "activities/page_20/page.xml").read_text()
    assert [one.get("id") for one in ElementTree.parse(tree / "files.xml").iter("file")] == ["2"]
    # The next attempt begins with what came.
    (tree / "files.xml.whole.part").write_text("killed while it was written")
    pair.code("thisyear", rf"block_navette\local\skeleton::put_back('{tree}');")
    assert {path: path.read_bytes() for path in tree.rglob("*.xml")} == before and not list(tree.rglob("*.whole"))


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
