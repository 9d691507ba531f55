#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup names by number only and did not bring is never somebody else's thing on the client: a course of one
real Moodle site is restored on another, where all of these numbers are taken by strangers.

    MOODLE_DIR=/path/to/moodle test_references.py [pytest's options]

As test_scripts.py, whose pair this is. On a cloned pair (pair up --clone) both sites have one site identifier as well.
"""
import json
import re
import sys

import gate

if __name__ == "__main__":
    gate.leave_if(gate.missing())

import pytest  # noqa: E402

from test_scripts import pair, warned  # noqa: E402, F401

pytestmark = gate.mark(gate.missing())

# No site of the pair has so many rows.
ENTRY, CATEGORY, TOOL, COHORT = 900001, 900002, 900003, 900004

START = """
    require_once($CFG->libdir . '/testing/lib.php');
    require_once($CFG->libdir . '/phpunit/classes/util.php');
    require_once($CFG->libdir . '/badgeslib.php');
    require_once($CFG->libdir . '/completionlib.php');
    require_once($CFG->dirroot . '/cohort/lib.php');
    require_once($CFG->dirroot . '/mod/quiz/locallib.php');
    class references_no_phpunit {}
    spl_autoload_register(function ($class) {
        if (strpos($class, 'PHPUnit\\\\') === 0) { class_alias(references_no_phpunit::class, $class); }
    });
    \\core\\session\\manager::set_user(get_admin());
    $make = phpunit_util::get_data_generator();
    $tool = function ($name, $url, $id = 0) {
        global $DB;
        $type = (object) ['name' => $name, 'baseurl' => $url, 'tooldomain' => parse_url($url, PHP_URL_HOST), 'state' => 1,
            'course' => SITEID, 'coursevisible' => 1, 'ltiversion' => 'LTI-1p0', 'createdby' => 2, 'timecreated' => 1, 'timemodified' => 1];
        if (!$id) { return $DB->insert_record('lti_types', $type); }
        $type->id = $id;
        $DB->import_record('lti_types', $type);
        $DB->get_manager()->reset_sequence('lti_types');
        return $id;
    };
    $cohort = function ($name, $idnumber, $id) {
        global $DB;
        $DB->import_record('cohort', (object) ['id' => $id, 'contextid' => SYSCONTEXTID, 'name' => $name, 'idnumber' => $idnumber,
            'description' => '', 'descriptionformat' => 1, 'timecreated' => 1, 'timemodified' => 1]);
        $DB->get_manager()->reset_sequence('cohort');
        return $id;
    };"""

COURSE = START + """
    $course = $make->create_course(['shortname' => 'REFS', 'fullname' => 'References', 'enablecompletion' => 1]);
    $make->enrol_user($DB->get_field('user', 'id', ['username' => 'teacher1']), $course->id, 'editingteacher');
    $quiz = $make->create_module('quiz', ['course' => $course->id, 'name' => 'The quiz']);
    $questions = $make->get_plugin_generator('core_question');
    $own = $questions->create_question_category(['contextid' => context_module::instance($quiz->cmid)->id]);
    quiz_add_quiz_question($questions->create_question('truefalse', null, ['category' => $own->id, 'name' => 'Comes'])->id, $quiz);
    $slot = function ($number) use ($DB, $quiz) {
        return $DB->insert_record('quiz_slots', ['quizid' => $quiz->id, 'slot' => $number, 'page' => 1, 'maxmark' => 1]);
    };
    $use = ['usingcontextid' => context_module::instance($quiz->cmid)->id, 'component' => 'mod_quiz', 'questionarea' => 'slot'];
    $DB->insert_record('question_references', ['itemid' => $slot(2), 'questionbankentryid' => ENTRY] + $use);
    $DB->insert_record('question_set_references', ['itemid' => $slot(3), 'questionscontextid' => SYSCONTEXTID, 'filtercondition' =>
        json_encode(['filter' => ['category' => ['jointype' => 1, 'values' => [CATEGORY], 'filteroptions' =>
            ['includesubcategories' => false]]], 'questioncategoryid' => CATEGORY])] + $use);
    $role = $DB->get_field('role', 'id', ['shortname' => 'student']);
    foreach ([$cohort('Known there', 'REFS-KNOWN', COHORT + 1), $cohort('Unknown there', 'REFS-UNKNOWN', COHORT)] as $id) {
        enrol_get_plugin('cohort')->add_instance($course, ['customint1' => $id, 'roleid' => $role]);
    }
    set_config('enrol_plugins_enabled', $CFG->enrol_plugins_enabled . ',meta');
    $other = $DB->get_record('course', ['shortname' => 'S1']) ?: $make->create_course();
    enrol_get_plugin('meta')->add_instance($course, ['customint1' => $other->id]);
    $lti = function ($name, $type) use ($make, $course, $DB) {
        $made = $make->create_module('lti', ['course' => $course->id, 'name' => $name, 'toolurl' => 'https://x.example.org']);
        $DB->update_record('lti', ['id' => $made->id, 'toolurl' => '', 'typeid' => $type]);
    };
    $lti('The known tool', $tool('Known', 'https://known.example.org/launch'));
    $lti('The lost tool', $tool('Lost', 'https://lost.example.org/launch', TOOL));
    $badge = $DB->insert_record('badge', ['name' => 'The badge', 'description' => '', 'timecreated' => 1,
        'timemodified' => 1, 'usercreated' => 2, 'usermodified' => 2, 'issuername' => 'N', 'issuerurl' => '',
        'issuercontact' => '', 'type' => BADGE_TYPE_COURSE, 'courseid' => $course->id, 'message' => '',
        'messagesubject' => '', 'attachment' => 1, 'notification' => 0, 'status' => 0, 'version' => '', 'language' => 'en',
        'imagecaption' => '', 'imageauthorname' => '', 'imageauthoremail' => '', 'imageauthorurl' => '']);
    $DB->insert_record('badge_criteria', ['badgeid' => $badge, 'criteriatype' => 0, 'method' => 1]);
    $criterion = $DB->insert_record('badge_criteria', ['badgeid' => $badge, 'criteriatype' => BADGE_CRITERIA_TYPE_BADGE, 'method' => 1]);
    $DB->insert_record('badge_criteria_param', ['critid' => $criterion, 'name' => 'badge_1', 'value' => 1]);
    $before = $make->create_course(['shortname' => 'REFS-BEFORE']);
    $DB->insert_record('course_completion_criteria', ['course' => $course->id, 'courseinstance' => $before->id,
        'criteriatype' => COMPLETION_CRITERIA_TYPE_COURSE]);
    echo json_encode($course->id);"""

STRANGERS = START + """
    $course = $make->create_course(['shortname' => 'STRANGE', 'fullname' => 'Somebody else\\'s']);
    $questions = $make->get_plugin_generator('core_question');
    $bank = class_exists('core_question\\\\local\\\\bank\\\\question_bank_helper')
        ? context_module::instance($make->create_module('qbank', ['course' => $course->id])->cmid) : context_course::instance($course->id);
    $category = $questions->create_question_category(['contextid' => $bank->id, 'name' => 'Strange']);
    $question = $questions->create_question('truefalse', null, ['category' => $category->id, 'name' => 'Strange']);
    $entry = $DB->get_field('question_versions', 'questionbankentryid', ['questionid' => $question->id]);
    foreach (['question_bank_entries' => ['id', $entry, ENTRY], 'question_versions' => ['questionbankentryid', $entry, ENTRY],
            'question_categories' => ['id', $category->id, CATEGORY]] as $table => [$field, $from, $to]) {
        $DB->set_field($table, $field, $to, [$field => $from]);
    }
    $DB->set_field('question_bank_entries', 'questioncategoryid', CATEGORY, ['id' => ENTRY]);
    cohort_add_member($cohort('Strangers', 'STRANGE', COHORT), $DB->get_field('user', 'id', ['username' => 'onlyclient']));
    $cohort('Known here', 'REFS-KNOWN', COHORT + 2);
    set_config('enrol_plugins_enabled', $CFG->enrol_plugins_enabled . ',meta');
    $tool('Strange', 'https://strange.example.org/launch', TOOL);
    echo json_encode($tool('Known here', 'https://known.example.org/other'));"""

END = """
    require_once($CFG->dirroot . '/course/lib.php');
    require_once($CFG->dirroot . '/cohort/lib.php');
    $CFG->forced_plugin_settings['tool_recyclebin']['categorybinenable'] = 0;
    foreach ($DB->get_fieldset_select('course', 'id', "shortname LIKE 'REFS%' OR shortname = 'STRANGE'") as $id) {
        delete_course($id, false);
    }
    // Questions that are in use outlive their course.
    $DB->delete_records('question', ['id' => $DB->get_field('question_versions', 'questionid', ['questionbankentryid' => ENTRY])]);
    $DB->delete_records('question_versions', ['questionbankentryid' => ENTRY]);
    $DB->delete_records('question_bank_entries', ['id' => ENTRY]);
    $DB->delete_records('question_categories', ['id' => CATEGORY]);
    foreach ($DB->get_records_select('cohort', 'id >= ?', [COHORT]) as $one) { cohort_delete_cohort($one); }
    $DB->delete_records_select('lti_types', "baseurl LIKE 'https://%.example.org/%'");
    set_config('enrol_plugins_enabled', str_replace(',meta', '', $CFG->enrol_plugins_enabled));"""


def filled(code):
    for name, value in {"ENTRY": ENTRY, "CATEGORY": CATEGORY, "TOOL": TOOL, "COHORT": COHORT}.items():
        # Only as words of their own: constants of Moodle have these names in them.
        code = re.sub(rf"(?<![\w\\]){name}(?!\w)", str(value), code)
    return code


class Arrived:
    def __init__(self, pair):  # noqa: F811
        self.pair = pair
        self.undo()  # of a run that was broken off
        course = json.loads(pair.code("lastyear", filled(COURSE)).split("\n")[-1])
        self.tool = json.loads(pair.code("thisyear", filled(STRANGERS)).split("\n")[-1])
        pair.courses["REFS"] = int(course)
        self.made = pair.bring("REFS", False)
        self.told = warned(self.made)

    def rows(self, sql):
        return self.pair.query("thisyear", sql.replace("COURSE", str(self.made["course"])))

    def undo(self):
        self.pair.courses.pop("REFS", None)
        for site in self.pair.sites:
            self.pair.code(site, filled(END))


@pytest.fixture(scope="module")
def arrived(pair):  # noqa: F811
    made = Arrived(pair)
    yield made
    made.undo()


USED = ("JOIN {context} x ON x.id = r.usingcontextid AND x.contextlevel = 70 JOIN {course_modules} cm ON cm.id = x.instanceid "
        "WHERE cm.course = COURSE")


def test_a_quiz_has_no_question_of_a_stranger(arrived):
    entries = arrived.rows(f"SELECT q.name FROM {{question_references}} r JOIN {{question_versions}} v "
                           f"ON v.questionbankentryid = r.questionbankentryid JOIN {{question}} q ON q.id = v.questionid {USED}")
    assert entries == [["Comes"]]
    assert arrived.rows(f"SELECT r.id FROM {{question_set_references}} r {USED}") == []
    assert arrived.rows("SELECT COUNT(*) FROM {quiz_slots} s JOIN {quiz} q ON q.id = s.quizid WHERE q.course = COURSE") == [["3"]]
    assert [w for w in arrived.told if "quiz" in w] == \
        ['2 questions of the quiz "The quiz" did not come with the backup: their places in the quiz are empty.']


def test_a_cohort_is_found_by_its_identifier_and_enrols_nobody(arrived):
    methods = arrived.rows("SELECT e.customint1, e.status FROM {enrol} e WHERE e.courseid = COURSE AND e.enrol = 'cohort'")
    assert methods == [[str(COHORT + 2), "1"]]
    people = arrived.rows("SELECT u.username FROM {user_enrolments} ue JOIN {enrol} e ON e.id = ue.enrolid "
                          "JOIN {user} u ON u.id = ue.userid WHERE e.courseid = COURSE")
    assert people == [["teacher1"]]
    assert [w for w in arrived.told if "cohort" in w] == [
        'The cohort "Known here" of this site has the identifier of the one that was enrolled on the course server: its '
        'enrolment method is there, switched off.',
        'The enrolment of the cohort "Unknown there" was not restored: this site has no cohort with the identifier '
        '"REFS-UNKNOWN" that the course may use.']


def test_nobody_is_enrolled_by_another_courses_number(arrived):
    assert arrived.rows("SELECT id FROM {enrol} WHERE courseid = COURSE AND enrol = 'meta'") == []
    assert len([w for w in arrived.told if "known by its number only" in w]) == 1


def test_external_tools_are_found_by_their_addresses(arrived):
    tools = dict(arrived.rows("SELECT l.name, COALESCE(l.typeid, 0) FROM {lti} l WHERE l.course = COURSE"))
    assert tools == {"The known tool": str(arrived.tool), "The lost tool": "0"}
    assert [w for w in arrived.told if "tool" in w] == [
        '"The lost tool" uses an external tool of the course server ("Lost") that this site does not have: there is none for '
        'lost.example.org.']


def test_a_badge_asks_for_nothing_that_is_elsewhere(arrived):
    assert arrived.rows("SELECT p.name FROM {badge_criteria_param} p JOIN {badge_criteria} c ON c.id = p.critid "
                        "JOIN {badge} b ON b.id = c.badgeid WHERE b.courseid = COURSE") == []
    assert [w for w in arrived.told if "badge" in w] == [
        'The badge "The badge" no longer asks for what lies outside the course (another badge, a field of people\'s profiles).']


def test_a_course_that_must_be_completed_first_is_named(arrived):
    if arrived.pair.query("thisyear", "SELECT id FROM {course} WHERE shortname = 'REFS-BEFORE'"):
        pytest.skip("the client has such a course")
    assert arrived.rows("SELECT id FROM {course_completion_criteria} WHERE course = COURSE") == []
    assert [w for w in arrived.told if "completion" in w] == [
        'Course completion no longer asks for the course "REFS-BEFORE", which this site does not have.']


if __name__ == "__main__":
    sys.exit(pytest.main(["-p", "no:cacheprovider", "-q", *sys.argv[1:], __file__]))
