<?php
// SPDX-License-Identifier: GPL-3.0-or-later
// This file is part of Navette.
//
// Fills a site of the pair: php fixture.php server|client PASSWORD, from the site's own folder.
// The last line of its output is a JSON object that says what is where.  Running it again adds
// nothing.

define('CLI_SCRIPT', true);
require(__DIR__ . '/config.php');
require_once($CFG->libdir . '/testing/lib.php');
require_once($CFG->libdir . '/phpunit/classes/util.php');
require_once($CFG->dirroot . '/course/lib.php');
require_once($CFG->dirroot . '/mod/quiz/locallib.php');
require_once($CFG->dirroot . '/cohort/lib.php');
require_once($CFG->dirroot . '/group/lib.php');
require_once($CFG->libdir . '/gradelib.php');

// Moodle's makers of test questions stand in a file with test cases; PHPUnit itself is not needed.
class fixture_no_phpunit {
}
spl_autoload_register(function (string $class) {
    if (strpos($class, 'PHPUnit\\') === 0) {
        class_alias(fixture_no_phpunit::class, $class);
    }
});

[, $role, $password] = $argv;
if ($known = get_config('navette_fixture', 'json')) {
    echo $known, "\n";
    exit(0);
}
\core\session\manager::set_user(get_admin());
// All or nothing: an exception rolls back.
$transaction = $DB->start_delegated_transaction();
$generator = phpunit_util::get_data_generator();

// Moodle refuses passwords without a policy's letters, mail goes nowhere, cron is not run.
set_config('noemailever', 1);
set_config('enablecompletion', 1);

/**
 * A user with the password of the pair.
 */
function fixture_user(string $name, array $more = []): stdClass {
    global $generator, $password;
    return $generator->create_user($more + ['username' => $name, 'firstname' => ucfirst($name),
        'lastname' => 'Öhman', 'email' => "$name@example.org", 'password' => $password]);
}

/**
 * A category; its context as the second value.
 */
function fixture_category(string $name, ?string $idnumber, int $parent = 0): core_course_category {
    return core_course_category::create((object) ['name' => $name, 'idnumber' => $idnumber ?? '',
        'parent' => $parent]);
}

$users = [];
foreach (['teacher1', 'teacher2', 'manager1', 'student1', 'student2'] as $name) {
    $users[$name] = fixture_user($name, ['idnumber' => "id-$name"]);
}
$roles = $DB->get_records_menu('role', null, '', 'shortname, id');

if ($role === 'client') {
    $categories = ['DEF' => fixture_category('Restored courses', 'DEF'),
        'SCI' => fixture_category('Sciences', 'SCI')];
    $categories['SCI-BIO'] = fixture_category('Biology', 'SCI-BIO', $categories['SCI']->id);
    $categories['LOCKED'] = fixture_category('Nobody restores here', 'LOCKED');
    // Teacher 1 may create courses below the sciences and in the default category, teacher 2 only in
    // the default one, the manager everywhere.
    role_assign($roles['coursecreator'], $users['teacher1']->id, $categories['SCI']->get_context());
    role_assign($roles['coursecreator'], $users['teacher1']->id, $categories['DEF']->get_context());
    role_assign($roles['coursecreator'], $users['teacher2']->id, $categories['DEF']->get_context());
    role_assign($roles['manager'], $users['manager1']->id, context_system::instance());
    fixture_user('onlyclient');
    $out = ['categories' => array_map(fn($c) => (int) $c->id, $categories)];
    set_config('json', json_encode($out), 'navette_fixture');
    $transaction->allow_commit();
    echo json_encode($out), "\n";
    exit(0);
}

// The course server.
fixture_user('onlyserver');
fixture_user('twin1', ['email' => 'twins@example.org']);
$DB->set_field('user', 'email', 'twins@example.org', ['id' => fixture_user('twin2')->id]);
$categories = ['SCI' => fixture_category('Sciences', 'SCI'), 'ART' => fixture_category('Arts', 'ART'),
    'none' => fixture_category('Without an identifier', null)];
$categories['SCI-BIO'] = fixture_category('Biology', 'SCI-BIO', $categories['SCI']->id);
// Held in a parent category only: everything in or below it is the holder's.
role_assign($roles['editingteacher'], $users['teacher2']->id, $categories['SCI']->get_context());
role_assign($roles['manager'], $users['manager1']->id, $categories['ART']->get_context());

ob_start();
$courses = [];
foreach (['XS' => [0, 'SCI-BIO'], 'S' => [1, 'ART']] as $name => [$size, $category]) {
    $backend = new tool_generator_course_backend($name . '1', $size, true, false, false);
    $courses[$name] = $backend->make();
    move_courses([$courses[$name]], $categories[$category]->id);
}
ob_end_clean();

/**
 * A file of a module's file area.
 */
function fixture_file(stdClass $module, string $component, string $area, string $path, string $name,
        string $content, int $itemid = 0, ?int $userid = null): void {
    get_file_storage()->create_file_from_string(['contextid' => context_module::instance($module->cmid)->id,
        'component' => $component, 'filearea' => $area, 'itemid' => $itemid, 'filepath' => $path,
        'filename' => $name, 'author' => 'Ödön', 'license' => 'cc-4.0',
        'userid' => $userid ?? get_admin()->id], $content);
}

// The hand-made course: groups, grades, questions, files with names that break careless code.
$course = $generator->create_course(['shortname' => 'HAND', 'fullname' => 'Fait à la main — 手作り',
    'category' => $categories['SCI-BIO']->id, 'numsections' => 4, 'enablecompletion' => 1,
    'summary' => '<p>Summary with <b>markup</b> &amp; “quotes”</p>', 'startdate' => 1735689600,
    'enddate' => 1751241600, 'idnumber' => 'hand-2025'], ['createsections' => true]);
$courses['HAND'] = $course->id;
$generator->enrol_user($users['teacher1']->id, $course->id, 'editingteacher');
$generator->enrol_user($users['student1']->id, $course->id, 'student');
$generator->enrol_user($users['student2']->id, $course->id, 'student');
$cohort = $generator->create_cohort(['name' => 'Year 1', 'idnumber' => 'Y1']);
cohort_add_member($cohort->id, $users['student2']->id);
enrol_get_plugin('cohort')->add_instance($course, ['customint1' => $cohort->id, 'roleid' => $roles['student']]);
enrol_get_plugin('self')->add_instance($course, ['status' => 0, 'roleid' => $roles['student'], 'password' => '']);
$group = $generator->create_group(['courseid' => $course->id, 'name' => 'Group A', 'idnumber' => 'ga']);
$generator->create_group(['courseid' => $course->id, 'name' => 'Group B']);
$grouping = $generator->create_grouping(['courseid' => $course->id, 'name' => 'All']);
$generator->create_grouping_group(['groupid' => $group->id, 'groupingid' => $grouping->id]);
$generator->create_group_member(['groupid' => $group->id, 'userid' => $users['student1']->id]);

$in = fn(int $section, array $more = []) => $more + ['course' => $course->id, 'section' => $section];
$generator->create_module('label', $in(0, ['intro' => 'Welcome to <em>the</em> course']));
$page = $generator->create_module('page', $in(1, ['name' => 'A page',
    'content' => '<img src="@@PLUGINFILE@@/b%C3%A9b%C3%A9.png" alt="">']));
fixture_file($page, 'mod_page', 'content', '/', 'bébé.png', str_repeat("\x89PNG", 500));
$resource = $generator->create_module('resource', $in(1, ['name' => 'Notes', 'defaultfilename' => 'notes.pdf']));
fixture_file($resource, 'mod_resource', 'content', '/sub/', str_repeat('ü', 90) . '.txt', 'long name');
fixture_file($resource, 'mod_resource', 'content', '/', 'empty.bin', '');
$folder = $generator->create_module('folder', $in(1, ['name' => 'Folder']));
fixture_file($folder, 'mod_folder', 'content', '/a/b/', '日本語 ファイル.pdf', str_repeat('%PDF-1.4 folder ', 9000));
// The same content under two names of two kinds.
fixture_file($folder, 'mod_folder', 'content', '/', 'same.csv', "a;b\n1;2\n");
fixture_file($folder, 'mod_folder', 'content', '/', 'same.html', "a;b\n1;2\n");
$generator->create_module('url', $in(1, ['name' => 'Link', 'externalurl' => 'https://example.org/?a=1&b=2']));
$assign = $generator->create_module('assign', $in(2, ['name' => 'Homework', 'grade' => 20, 'duedate' => 1740000000,
    'assignsubmission_onlinetext_enabled' => 1, 'completion' => 2, 'completionusegrade' => 1]));
$generator->get_plugin_generator('mod_assign')->create_submission(['userid' => $users['student1']->id,
    'assignid' => $assign->cmid, 'status' => 'submitted', 'onlinetext' => 'My <b>answer</b>']);
$forum = $generator->create_module('forum', $in(2, ['name' => 'Talk', 'groupmode' => SEPARATEGROUPS]));
$discussion = $generator->get_plugin_generator('mod_forum')->create_discussion((object) ['course' => $course->id,
    'forum' => $forum->id, 'userid' => $users['student1']->id, 'name' => 'Question', 'groupid' => $group->id]);
fixture_file($forum, 'mod_forum', 'attachment', '/', 'anhang.txt', 'attached', $discussion->firstpost,
    $users['student1']->id);
$glossary = $generator->create_module('glossary', $in(2, ['name' => 'Words']));
$generator->get_plugin_generator('mod_glossary')->create_content($glossary, ['concept' => 'Osmosis',
    'userid' => $users['student1']->id], ['diffusion']);
$generator->create_module('choice', $in(2, ['name' => 'Poll', 'option' => ['yes', 'no', 'peut-être']]));
$book = $generator->create_module('book', $in(3, ['name' => 'Book']));
$generator->get_plugin_generator('mod_book')->create_chapter(['bookid' => $book->id, 'title' => 'One']);
$generator->get_plugin_generator('mod_book')->create_chapter(['bookid' => $book->id, 'title' => 'Two', 'subchapter' => 1]);
$wiki = $generator->create_module('wiki', $in(3, ['name' => 'Wiki']));
$generator->get_plugin_generator('mod_wiki')->create_first_page($wiki);
$data = $generator->create_module('data', $in(3, ['name' => 'Database']));
$generator->get_plugin_generator('mod_data')->create_field((object) ['name' => 'Title', 'type' => 'text'], $data);
$generator->create_module('lesson', $in(3, ['name' => 'Lesson']));
$generator->create_module('feedback', $in(3, ['name' => 'Feedback']));
$generator->create_module('workshop', $in(3, ['name' => 'Workshop']));
$generator->create_module('lti', $in(4, ['name' => 'External', 'toolurl' => 'https://example.org/lti']));

$questions = $generator->get_plugin_generator('core_question');
$category = $questions->create_question_category(['contextid' => context_course::instance($course->id)->id,
    'name' => 'Bank']);
$quiz = $generator->create_module('quiz', $in(4, ['name' => 'Exam', 'sumgrades' => 2, 'grade' => 10]));
foreach (['truefalse' => null, 'shortanswer' => null, 'multichoice' => 'one_of_four', 'essay' => null,
        'numerical' => null] as $type => $which) {
    $question = $questions->create_question($type, $which, ['category' => $category->id, 'name' => "Q $type"]);
    quiz_add_quiz_question($question->id, $quiz);
}
$item = grade_item::fetch(['courseid' => $course->id, 'itemmodule' => 'assign', 'iteminstance' => $assign->id]);
$item->update_final_grade($users['student1']->id, 15.5, 'navette', 'good');
$gradecategory = $generator->create_grade_category(['courseid' => $course->id, 'fullname' => 'Course work']);
$generator->create_grade_item(['courseid' => $course->id, 'itemtype' => 'manual', 'itemname' => 'Oral',
    'categoryid' => $gradecategory->id, 'grademax' => 50]);
$generator->create_block('html', ['parentcontextid' => context_course::instance($course->id)->id,
    'pagetypepattern' => 'course-view-*']);
$DB->set_field('course_modules', 'availability',
    json_encode(['op' => '&', 'c' => [['type' => 'group', 'id' => (int) $group->id]], 'showc' => [true]]),
    ['id' => $page->cmid]);

$empty = $generator->create_course(['shortname' => 'EMPTY', 'fullname' => 'Nothing in it',
    'category' => $categories['none']->id]);
$courses['EMPTY'] = $empty->id;
$generator->enrol_user($users['teacher1']->id, $empty->id, 'editingteacher');
foreach (['XS', 'S'] as $name) {
    $generator->enrol_user($users['teacher1']->id, $courses[$name], 'editingteacher');
}
rebuild_course_cache($course->id, true);
grade_regrade_final_grades($course->id);

$out = ['categories' => array_map(fn($c) => (int) $c->id, $categories), 'courses' => array_map('intval', $courses)];
set_config('json', json_encode($out), 'navette_fixture');
$transaction->allow_commit();
echo json_encode($out), "\n";
