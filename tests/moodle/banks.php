<?php
// SPDX-License-Identifier: GPL-3.0-or-later
// This file is part of Navette.
//
// Question banks that are activities (Moodle 5), from the site's own folder:
//   php banks.php share CATEGORY OTHERCATEGORY   two courses, the second uses questions of the first's bank; their ids
//   php banks.php look COURSEID                  the banks and questions of a course, as JSON

define('CLI_SCRIPT', true);
require(__DIR__ . '/config.php');
require_once($CFG->libdir . '/testing/lib.php');
require_once($CFG->libdir . '/phpunit/classes/util.php');
require_once($CFG->dirroot . '/mod/quiz/locallib.php');

// Moodle's makers of test questions stand in a file with test cases; PHPUnit itself is not needed.
class banks_no_phpunit {
}
spl_autoload_register(function (string $class) {
    if (strpos($class, 'PHPUnit\\') === 0) {
        class_alias(banks_no_phpunit::class, $class);
    }
});

/** A course SHARES with a bank, and a course USES with a quiz that takes one question of it, and one by chance. */
function banks_share(string $category, string $other): array {
    global $DB;
    $generator = phpunit_util::get_data_generator();
    $courses = [];
    foreach (['SHARES' => $other, 'USES' => $category] as $name => $idnumber) {
        $courses[$name] = $generator->create_course(['shortname' => $name, 'fullname' => "It $name",
            'category' => $DB->get_field('course_categories', 'id', ['idnumber' => $idnumber], MUST_EXIST)]);
    }
    $bank = $generator->create_module('qbank', ['course' => $courses['SHARES']->id, 'name' => 'Shared bank']);
    $questions = $generator->get_plugin_generator('core_question');
    $context = context_module::instance($bank->cmid);
    $top = $questions->create_question_category(['contextid' => $context->id, 'name' => 'Chosen']);
    $chance = $questions->create_question_category(['contextid' => $context->id, 'name' => 'By chance']);
    $quiz = $generator->create_module('quiz', ['course' => $courses['USES']->id, 'name' => 'Quiz of shared questions']);
    quiz_add_quiz_question($questions->create_question('shortanswer', null, ['category' => $top->id, 'name' => 'Used'])->id, $quiz);
    $questions->create_question('essay', null, ['category' => $top->id, 'name' => 'Not used']);
    $questions->create_question('numerical', null, ['category' => $chance->id, 'name' => 'Picked']);
    \mod_quiz\quiz_settings::create($quiz->id)->get_structure()->add_random_questions(1, 1, ['filter' => ['category' =>
        ['jointype' => 1, 'values' => [$chance->id], 'filteroptions' => ['includesubcategories' => false]]]]);
    return array_map(fn($course) => (int) $course->id, $courses);
}

/** Banks, and where the questions are that the course's activities use. */
function banks_look(int $courseid): array {
    global $DB;
    $out = ['banks' => [], 'questions' => [], 'references' => [], 'picks' => []];
    foreach ($DB->get_records('qbank', ['course' => $courseid], 'id') as $bank) {
        $out['banks'][] = [$bank->name, $bank->type, (string) $bank->intro];
    }
    $course = context_course::instance($courseid);
    $inside = fn(int $contextid) => strpos(context::instance_by_id($contextid)->path, "$course->path/") === 0;
    $path = ['path' => "$course->path/%"];
    $out['questions'] = $DB->get_fieldset_sql('SELECT q.name
          FROM {question} q
          JOIN {question_versions} v ON v.questionid = q.id
          JOIN {question_bank_entries} e ON e.id = v.questionbankentryid
          JOIN {question_categories} c ON c.id = e.questioncategoryid
          JOIN {context} x ON x.id = c.contextid
         WHERE q.parent = 0 AND ' . $DB->sql_like('x.path', ':path') . ' ORDER BY q.name', $path);
    foreach (
        $DB->get_records_sql('SELECT r.id, q.name, c.contextid
          FROM {question_references} r
          JOIN {context} u ON u.id = r.usingcontextid
          JOIN {question_versions} v ON v.questionbankentryid = r.questionbankentryid
          JOIN {question} q ON q.id = v.questionid
          JOIN {question_bank_entries} e ON e.id = v.questionbankentryid
          JOIN {question_categories} c ON c.id = e.questioncategoryid
         WHERE ' . $DB->sql_like('u.path', ':path'), $path) as $one
    ) {
        $out['references'][$one->name] = $inside((int) $one->contextid);
    }
    foreach (
        $DB->get_records_sql('SELECT r.*
          FROM {question_set_references} r
          JOIN {context} u ON u.id = r.usingcontextid
         WHERE ' . $DB->sql_like('u.path', ':path'), $path) as $set
    ) {
        $id = json_decode($set->filtercondition)->filter->category->values[0];
        $category = $DB->get_record('question_categories', ['id' => $id], '*', MUST_EXIST);
        $out['picks'][$category->name] = $inside((int) $category->contextid) && $category->contextid === $set->questionscontextid;
    }
    return $out;
}

\core\session\manager::set_user(get_admin());
echo "\n", json_encode($argv[1] === 'share' ? banks_share($argv[2], $argv[3]) : banks_look((int) $argv[2])), "\n";
