<?php
// SPDX-License-Identifier: GPL-3.0-or-later
// This file is part of Navette.
//
// Fills a site of the pair: php fixture.php ROLE PASSWORD [LEFT_OUT], from the site's own folder.
// The last line of its output is a JSON object that says what is where.  Running it again adds
// nothing.
//
// ROLE is server or client.  Of a cloned pair the server is first filled as "original", then copied,
// then filled as "server", while the copy becomes a client as "copy".  LEFT_OUT names activities,
// separated by commas, that the course with every activity does without: the client's Moodle has
// them no more.

define('CLI_SCRIPT', true);
require(__DIR__ . '/config.php');
require_once($CFG->libdir . '/testing/lib.php');
require_once($CFG->libdir . '/phpunit/classes/util.php');
require_once($CFG->dirroot . '/course/lib.php');
require_once($CFG->dirroot . '/mod/quiz/locallib.php');
require_once($CFG->dirroot . '/cohort/lib.php');
require_once($CFG->dirroot . '/group/lib.php');
require_once($CFG->libdir . '/gradelib.php');
require_once($CFG->dirroot . '/rating/lib.php');

// Moodle's makers of test questions stand in a file with test cases; PHPUnit itself is not needed.
class fixture_no_phpunit {
}
spl_autoload_register(function (string $class) {
    if (strpos($class, 'PHPUnit\\') === 0) {
        class_alias(fixture_no_phpunit::class, $class);
    }
});

set_exception_handler(function (Throwable $e) {
    fwrite(STDERR, get_class($e) . ': ' . $e->getMessage() . ' ' . ($e->debuginfo ?? '') . "\n" . $e->getTraceAsString() . "\n");
    exit(1);
});

[, $role, $password] = $argv;
$leftout = array_filter(explode(',', $argv[3] ?? ''));
$known = json_decode((string) get_config('navette_fixture', 'json'), true);
if ($known && ($known['role'] ?? $role) === $role) {
    echo json_encode($known), "\n";
    exit(0);
}
\core\session\manager::set_user(get_admin());
// All or nothing: an exception rolls back.
$transaction = $DB->start_delegated_transaction();
$generator = phpunit_util::get_data_generator();

// Moodle refuses passwords without a policy's letters, mail goes nowhere, cron is not run.
set_config('noemailever', 1);
set_config('enablecompletion', 1);
// Activities that a new site has switched off.
foreach (['bigbluebuttonbn', 'chat', 'subsection', 'survey'] as $module) {
    if (core_component::get_plugin_directory('mod', $module)) {
        \core\plugininfo\mod::enable_plugin($module, 1);
    }
}

/**
 * A user with the password of the pair.
 */
function fixture_user(string $name, array $more = []): stdClass {
    global $generator, $password;
    return $generator->create_user($more + ['username' => $name, 'firstname' => ucfirst($name),
        'lastname' => 'Öhman', 'email' => "$name@example.org", 'password' => $password]);
}

/**
 * A category.
 */
function fixture_category(string $name, ?string $idnumber, int $parent = 0): core_course_category {
    return core_course_category::create((object) ['name' => $name, 'idnumber' => $idnumber ?? '',
        'parent' => $parent]);
}

/**
 * The end: say what is where.
 */
function fixture_done(array $out): void {
    global $role, $transaction;
    $json = json_encode($out + ['role' => $role]);
    set_config('json', $json, 'navette_fixture');
    $transaction->allow_commit();
    echo $json, "\n";
    exit(0);
}

/**
 * A copy of the server becomes another site, which has had a life of its own since: what the server
 * makes from now on has the numbers of other things here, and what both had has other names.
 *
 * @return core_course_category[] those that are here already
 */
function fixture_diverge(array $users, array $roles): array {
    global $DB, $generator;
    foreach (['onlyserver', 'twin1', 'twin2'] as $name) {
        delete_user($DB->get_record('user', ['username' => $name], '*', MUST_EXIST));
    }
    $DB->execute("UPDATE {course} SET shortname = CONCAT('OLD-', shortname), fullname = CONCAT('Old ', fullname)
        WHERE id <> ?", [SITEID]);
    $DB->set_field('course_categories', 'idnumber', 'OLD-ART', ['idnumber' => 'ART']);
    $category = $DB->get_record('course_categories', ['idnumber' => 'SCI'], '*', MUST_EXIST);
    role_unassign_all(['userid' => $users['teacher2']->id, 'contextid' => context_coursecat::instance($category->id)->id]);
    role_unassign_all(['userid' => $users['manager1']->id]);
    // The same number, another cohort.
    $cohort = $DB->get_record('cohort', ['idnumber' => 'Y1'], '*', MUST_EXIST);
    cohort_remove_member($cohort->id, $users['student2']->id);
    cohort_update_cohort((object) (['name' => 'Strangers', 'idnumber' => 'X9'] + (array) $cohort));
    $course = $generator->create_course(['shortname' => 'OTHER', 'fullname' => 'Not on the server', 'numsections' => 3],
        ['createsections' => true]);
    $generator->enrol_user(fixture_user('stranger')->id, $course->id, 'editingteacher');
    $group = $generator->create_group(['courseid' => $course->id, 'name' => 'Others']);
    $generator->create_grouping(['courseid' => $course->id, 'name' => 'Other groupings']);
    foreach (['page', 'forum', 'assign', 'glossary', 'choice', 'book', 'quiz'] as $module) {
        $made = $generator->create_module($module, ['course' => $course->id, 'name' => "Other $module"]);
    }
    $questions = $generator->get_plugin_generator('core_question');
    $bank = $questions->create_question_category(['contextid' => context_course::instance($course->id)->id,
        'name' => 'Other bank']);
    for ($n = 0; $n < 20; $n++) {
        $question = $questions->create_question('truefalse', null, ['category' => $bank->id, 'name' => "Other $n"]);
        quiz_add_quiz_question($question->id, $made);
    }
    $generator->create_scale(['name' => 'Other scale', 'scale' => 'a,b,c']);
    return array_map(fn($idnumber) => core_course_category::get($DB->get_field('course_categories', 'id',
        ['idnumber' => $idnumber], MUST_EXIST)), ['SCI' => 'SCI', 'SCI-BIO' => 'SCI-BIO']);
}

$users = [];
foreach (['teacher1', 'teacher2', 'manager1', 'student1', 'student2'] as $name) {
    $users[$name] = $known ? $DB->get_record('user', ['username' => $name], '*', MUST_EXIST)
        : fixture_user($name, ['idnumber' => "id-$name"]);
}
$roles = $DB->get_records_menu('role', null, '', 'shortname, id');

if ($role === 'client' || $role === 'copy') {
    $categories = $role === 'copy' ? fixture_diverge($users, $roles) : [];
    $categories['DEF'] = fixture_category('Restored courses', 'DEF');
    $categories['SCI'] ??= fixture_category('Sciences', 'SCI');
    $categories['SCI-BIO'] ??= fixture_category('Biology', 'SCI-BIO', $categories['SCI']->id);
    $categories['LOCKED'] = fixture_category('Nobody restores here', 'LOCKED');
    // Teacher 1 may create courses below the sciences and in the default category, teacher 2 only in
    // the default one, the manager everywhere.
    role_assign($roles['coursecreator'], $users['teacher1']->id, $categories['SCI']->get_context());
    role_assign($roles['coursecreator'], $users['teacher1']->id, $categories['DEF']->get_context());
    role_assign($roles['coursecreator'], $users['teacher2']->id, $categories['DEF']->get_context());
    role_assign($roles['manager'], $users['manager1']->id, context_system::instance());
    fixture_user('onlyclient');
    fixture_done(['categories' => array_map(fn($c) => (int) $c->id, $categories)]);
}

// The course server.
if ($known) {
    // It was copied: what it makes from now on, and who comes, the copy knows under other numbers.
    $known['courses']['FULL'] = (new fixture_every_activity($users, $leftout))->make($known['categories']['none']);
    $generator->enrol_user(fixture_user('late')->id, $known['courses']['FULL'], 'student');
    fixture_done(['role' => $role] + $known);
}
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

/**
 * A draft area of the administrator with one file, as a form would hand it in; its item id.
 */
function fixture_draft(string $name, string $content): int {
    $itemid = file_get_unused_draft_itemid();
    get_file_storage()->create_file_from_string(['contextid' => context_user::instance(get_admin()->id)->id,
        'component' => 'user', 'filearea' => 'draft', 'itemid' => $itemid, 'filepath' => '/', 'filename' => $name],
        $content);
    return $itemid;
}

/**
 * A zip as a string: a package of SCORM, IMS or H5P.
 *
 * @param string[] $entries paths to contents
 */
function fixture_zip(array $entries): string {
    $path = make_request_directory() . '/package.zip';
    get_file_packer('application/zip')->archive_to_pathname(array_map(fn($text) => [$text], $entries), $path);
    return file_get_contents($path);
}

/**
 * A course with every standard activity, filled as a term fills it.
 */
class fixture_every_activity {
    /** @var stdClass */
    private $course;

    /** @var stdClass[] by user name */
    private $users;

    /** @var stdClass[] */
    private $groups = [];

    /** @var stdClass[] modules by kind */
    private $made = [];

    /** @var string[] activities that are not wanted */
    private $leftout;

    public function __construct(array $users, array $leftout) {
        $this->users = $users;
        $this->leftout = $leftout;
    }

    /** Is an activity wanted that not every version of Moodle has? */
    private function wants(string $kind): bool {
        return core_component::get_plugin_directory('mod', $kind) && !in_array($kind, $this->leftout, true);
    }

    /** A generator of Moodle's own. */
    private function of(string $component) {
        global $generator;
        return $generator->get_plugin_generator($component);
    }

    private function id(string $user): int {
        return (int) $this->users[$user]->id;
    }

    /** A module, and what Moodle's generator says of it. */
    private function module(string $kind, int $section, array $settings): stdClass {
        global $generator;
        $this->made[$kind] = $generator->create_module($kind, $settings + ['course' => $this->course->id,
            'section' => $section, 'idnumber' => "full-$kind", 'intro' => "<p>The <b>$kind</b> — “intro” &amp; more</p>",
            'introformat' => FORMAT_HTML, 'showdescription' => 1]);
        return $this->made[$kind];
    }

    private function context(string $kind): context_module {
        return context_module::instance($this->made[$kind]->cmid);
    }

    /** Do something as somebody. */
    private function as_user(string $name, callable $what) {
        $before = $GLOBALS['USER'];
        \core\session\manager::set_user($this->users[$name]);
        try {
            return $what();
        } finally {
            \core\session\manager::set_user($before);
        }
    }

    public function make(int $category): int {
        $this->course($category);
        foreach (['materials', 'packages', 'assign', 'forum', 'collections', 'pages', 'gone', 'lesson', 'workshop', 'feedback',
                'quiz', 'remote', 'grades', 'conditions', 'around'] as $part) {
            $this->$part();
        }
        rebuild_course_cache($this->course->id, true);
        grade_regrade_final_grades($this->course->id);
        return (int) $this->course->id;
    }

    private function course(int $category): void {
        global $generator, $DB;
        $this->course = $generator->create_course(['shortname' => 'FULL', 'fullname' => 'Every activity 🎓',
            'category' => $category, 'numsections' => 6, 'enablecompletion' => 1, 'showcompletionconditions' => 1,
            'summary' => 'Ελληνικά, العربية, 中文', 'groupmode' => VISIBLEGROUPS, 'lang' => 'en', 'maxbytes' => 1 << 20,
            'startdate' => 1735689600, 'tags' => ['Übung', 'term']], ['createsections' => true]);
        foreach (['teacher1' => 'editingteacher', 'student1' => 'student', 'student2' => 'student'] as $name => $role) {
            $generator->enrol_user($this->id($name), $this->course->id, $role);
        }
        foreach (['student1', 'student2'] as $n => $name) {
            $this->groups[$n] = $generator->create_group(['courseid' => $this->course->id, 'name' => "Groupe é$n",
                'idnumber' => "full-g$n", 'description' => "About $n", 'enrolmentkey' => "key$n"]);
            $grouping = $generator->create_grouping(['courseid' => $this->course->id, 'name' => "Grouping $n",
                'idnumber' => "full-gg$n"]);
            $generator->create_grouping_group(['groupid' => $this->groups[$n]->id, 'groupingid' => $grouping->id]);
            $generator->create_group_member(['groupid' => $this->groups[$n]->id, 'userid' => $this->id($name)]);
        }
        $sections = $DB->get_records('course_sections', ['course' => $this->course->id], 'section', 'section, id');
        $context = context_course::instance($this->course->id);
        course_update_section($this->course, $DB->get_record('course_sections', ['id' => $sections[2]->id]), [
            'name' => 'Zweiter Abschnitt', 'summary' => '<img src="@@PLUGINFILE@@/s.png">', 'visible' => 0]);
        $in = ['contextid' => $context->id, 'component' => 'course', 'itemid' => 0, 'filepath' => '/'];
        foreach ([['section', $sections[2]->id, 's.png'], ['summary', 0, 'summary.txt'],
                ['overviewfiles', 0, 'cover.jpg']] as [$area, $item, $name]) {
            get_file_storage()->create_file_from_string(['filearea' => $area, 'itemid' => $item, 'filename' => $name] + $in,
                "course file $name");
        }
    }

    /** Label, page, url, resource, folder, subsection. */
    private function materials(): void {
        $this->module('label', 1, ['intro' => '<p>A label with <img src="@@PLUGINFILE@@/l.png"></p>']);
        fixture_file($this->made['label'], 'mod_label', 'intro', '/', 'l.png', str_repeat('label', 700));
        $this->module('page', 1, ['name' => 'Full page', 'content' => '<a href="@@PLUGINFILE@@/p%20a.txt">a</a>',
            'completion' => COMPLETION_TRACKING_AUTOMATIC, 'completionview' => 1, 'tags' => ['term', 'page tag']]);
        fixture_file($this->made['page'], 'mod_page', 'content', '/', 'p a.txt', 'page attachment');
        $this->module('url', 1, ['name' => 'Full link', 'externalurl' => 'https://example.org/?q=%C3%A9&r=1',
            'display' => RESOURCELIB_DISPLAY_POPUP, 'visible' => 0]);
        $this->module('resource', 1, ['name' => 'Full file', 'defaultfilename' => 'main.html', 'showsize' => 1]);
        // 200 characters, which are 396 bytes; marks that combine; right to left; outside the BMP.
        fixture_file($this->made['resource'], 'mod_resource', 'content', '/', str_repeat('ü', 196) . '.txt', 'long');
        fixture_file($this->made['resource'], 'mod_resource', 'content', '/', "e\u{301}a\u{308} עברית.txt", 'marks');
        $this->module('folder', 1, ['name' => 'Full folder', 'showexpanded' => 0, 'forcedownload' => 0]);
        fixture_file($this->made['folder'], 'mod_folder', 'content', '/' . str_repeat('x', 60) . '/日本/', '🎓 %41+;=.bin',
            implode('', array_map(fn($n) => md5((string) $n, true), range(1, 18000))));
        if ($this->wants('subsection')) {
            $this->module('subsection', 1, ['name' => 'Sous-section', 'intro' => '', 'showdescription' => 0]);
        }
    }

    /** SCORM, IMS content, H5P: each a package of the smallest form. */
    private function packages(): void {
        $manifest = '<?xml version="1.0"?><manifest identifier="m" version="1.0" '
            . 'xmlns="http://www.imsproject.org/xsd/imscp_rootv1p1p2" '
            . 'xmlns:adlcp="http://www.adlnet.org/xsd/adlcp_rootv1p2"><metadata><schema>ADL SCORM</schema>'
            . '<schemaversion>1.2</schemaversion></metadata><organizations default="o"><organization identifier="o">'
            . '<title>Organisation</title><item identifier="i" identifierref="r"><title>One</title></item>'
            . '</organization></organizations><resources><resource identifier="r" type="webcontent" '
            . 'adlcp:scormtype="sco" href="index.html"><file href="index.html"/></resource></resources></manifest>';
        $package = fixture_zip(['imsmanifest.xml' => $manifest, 'index.html' => '<p>A package — ü</p>']);
        $scorm = $this->module('scorm', 2, ['name' => 'Full SCORM', 'packagefile' => fixture_draft('päckchen.zip', $package),
            'maxattempt' => 3]);
        $sco = $GLOBALS['DB']->get_record('scorm_scoes', ['scorm' => $scorm->id, 'scormtype' => 'sco'], '*', MUST_EXIST);
        foreach (['student1' => 80, 'student2' => 35] as $name => $score) {
            scorm_insert_track($this->id($name), $scorm->id, $sco->id, 1, 'cmi.core.score.raw', $score);
            scorm_insert_track($this->id($name), $scorm->id, $sco->id, 1, 'cmi.core.lesson_status', 'completed');
        }
        $this->module('imscp', 2, ['name' => 'Full IMS', 'package' => fixture_draft('ims.zip', $package)]);
        $h5p = fixture_zip(['h5p.json' => json_encode(['title' => 'Tïny', 'language' => 'und', 'mainLibrary' => 'H5P.Nil',
            'embedTypes' => ['div'], 'preloadedDependencies' => []]), 'content/content.json' => '{}']);
        $this->module('h5pactivity', 2, ['name' => 'Full H5P', 'packagefile' => fixture_draft('tiny.h5p', $h5p)]);
        foreach (['student1', 'student2'] as $name) {
            $this->of('mod_h5pactivity')->create_content($this->made['h5pactivity'],
                ['cmid' => $this->made['h5pactivity']->cmid, 'userid' => $this->id($name)]);
        }
        $bank = new \contenttype_h5p\contenttype(context_course::instance($this->course->id));
        // Laid there as it is: deploying wants H5P's libraries.
        get_file_storage()->create_file_from_string(['contextid' => context_course::instance($this->course->id)->id,
            'component' => 'contentbank', 'filearea' => 'public', 'filepath' => '/', 'filename' => 'bank.h5p',
            'itemid' => $bank->create_content((object) ['name' => 'In the bank'])->get_id()], $h5p);
    }

    /** Assignments with files, texts, grades, feedback, a rubric, an override and an extension. */
    private function assign(): void {
        global $CFG, $generator, $DB;
        require_once($CFG->dirroot . '/mod/assign/locallib.php');
        $assign = $this->module('assign', 2, ['name' => 'Full assignment', 'grade' => 50, 'duedate' => 1740000000,
            'assignsubmission_onlinetext_enabled' => 1, 'assignsubmission_file_enabled' => 1,
            'assignsubmission_file_maxfiles' => 3, 'assignsubmission_file_maxsizebytes' => 100000,
            'assignsubmission_comments_enabled' => 1, 'assignfeedback_comments_enabled' => 1,
            'attemptreopenmethod' => 'manual', 'maxattempts' => 3, 'submissiondrafts' => 0,
            'completion' => COMPLETION_TRACKING_AUTOMATIC, 'completionsubmit' => 1]);
        fixture_file($assign, 'mod_assign', 'introattachment', '/', 'Aufgabe ß.txt', 'what to do');
        // Some releases of 4.4 want the activity's id by another name.
        $cmid = ['cmid' => $assign->cmid, 'assignid' => $assign->cmid];
        $this->of('mod_assign')->create_submission($cmid + ['userid' => $this->id('student1'),
            'status' => 'submitted', 'onlinetext' => 'Réponse <i>1</i>', 'file' => 'pix/moodlelogo.svg,README.md']);
        $this->of('mod_assign')->create_submission($cmid + ['userid' => $this->id('student2'),
            'status' => 'draft', 'onlinetext' => 'Réponse 2']);
        $this->of('mod_assign')->create_override(['assignid' => $assign->id, 'userid' => $this->id('student2'),
            'duedate' => 1750000000]);
        $this->of('mod_assign')->create_override(['assignid' => $assign->id, 'groupid' => $this->groups[0]->id,
            'sortorder' => 1, 'cutoffdate' => 1760000000]);
        [$course, $cm] = get_course_and_cm_from_cmid($assign->cmid, 'assign');
        $api = new assign(context_module::instance($assign->cmid), $cm, $course);
        $api->save_user_extension($this->id('student2'), 1770000000);
        $this->as_user('teacher1', fn() => $api->save_grade($this->id('student1'), (object) ['grade' => 41.5,
            'attemptnumber' => -1, 'addattempt' => false, 'workflowstate' => '', 'assignfeedbackcomments_editor' =>
            ['text' => 'Très bien', 'format' => FORMAT_HTML, 'itemid' => file_get_unused_draft_itemid()]]));
        $this->of('gradingform_rubric')->create_instance(context_module::instance($assign->cmid), 'mod_assign',
            'submissions', 'Rubric ü', 'What counts', ['Spelling' => ['bad' => 0, 'good' => 5],
            'Content' => ['thin' => 0, 'rich' => 10]]);
        $DB->insert_record('comments', ['contextid' => $this->context('assign')->id, 'component' => 'assignsubmission_comments',
            'commentarea' => 'submission_comments', 'itemid' => $DB->get_field('assign_submission', 'id',
            ['assignment' => $assign->id, 'userid' => $this->id('student1')]), 'content' => 'A comment to the submission',
            'format' => 0, 'userid' => $this->id('teacher1'), 'timecreated' => 1736000000]);
    }

    /** Discussions with replies, attachments, ratings, subscriptions; one of each further kind of forum. */
    private function forum(): void {
        $forum = $this->module('forum', 3, ['name' => 'Full forum', 'assessed' => RATING_AGGREGATE_AVERAGE, 'scale' => 10,
            'grade_forum' => 20, 'maxattachments' => 4]);
        $generator = $this->of('mod_forum');
        foreach (['student1', 'student2'] as $n => $name) {
            $discussion = $generator->create_discussion((object) ['course' => $this->course->id, 'forum' => $forum->id,
                'userid' => $this->id($name), 'name' => "Thème $n", 'message' => '<img src="@@PLUGINFILE@@/in.png">',
                'groupid' => $this->groups[$n]->id, 'attachment' => 1, 'tags' => ['term']]);
            fixture_file($forum, 'mod_forum', 'post', '/', 'in.png', "inline $n", $discussion->firstpost, $this->id($name));
            fixture_file($forum, 'mod_forum', 'attachment', '/', "Anhängsel $n.txt", "attached $n", $discussion->firstpost,
                $this->id($name));
            $parent = $discussion->firstpost;
            foreach (['teacher1', 'student1', 'student2'] as $writer) {
                $post = $generator->create_post(['discussion' => $discussion->id, 'parent' => $parent,
                    'userid' => $this->id($writer), 'subject' => "Re from $writer in $n"]);
                $parent = $post->id;
            }
            $this->rate('forum', 'mod_forum', 'post', $discussion->firstpost, 7 + $n, 10);
        }
        $generator->create_subscription(['course' => $this->course->id, 'forum' => $forum->id,
            'userid' => $this->id('student1')]);
        foreach (['single' => 'Only one', 'qanda' => 'Q and A', 'blog' => 'Blog', 'eachuser' => 'Each'] as $type => $name) {
            $this->module('forum', 3, ['name' => $name, 'type' => $type, 'idnumber' => "full-$type"]);
        }
    }

    /** A rating by the teacher. */
    private function rate(string $kind, string $component, string $area, int $item, int $rating, int $scale): void {
        global $DB;
        $DB->insert_record('rating', ['contextid' => $this->context($kind)->id, 'component' => $component,
            'ratingarea' => $area, 'itemid' => $item, 'scaleid' => $scale, 'rating' => $rating,
            'userid' => $this->id('teacher1'), 'timecreated' => 1736000000, 'timemodified' => 1736000000]);
    }

    /** Glossary and database, with entries of two people. */
    private function collections(): void {
        global $DB, $CFG;
        require_once($CFG->dirroot . '/mod/data/lib.php');
        $glossary = $this->module('glossary', 3, ['name' => 'Full glossary', 'allowcomments' => 1, 'assessed' => 1,
            'scale' => 100]);
        $entries = [];
        foreach (['student1', 'student2'] as $n => $name) {
            $entries[$n] = $this->of('mod_glossary')->create_content($glossary, ['concept' => "Mot é$n",
                'definition' => '<a href="@@PLUGINFILE@@/d.txt">see</a>', 'userid' => $this->id($name), 'attachment' => 1,
                'tags' => ['term']], ["alias $n", "другой $n"]);
            fixture_file($glossary, 'mod_glossary', 'entry', '/', 'd.txt', "definition $n", $entries[$n]->id, $this->id($name));
            fixture_file($glossary, 'mod_glossary', 'attachment', '/', "e$n.txt", "entry $n", $entries[$n]->id, $this->id($name));
            $this->rate('glossary', 'mod_glossary', 'entry', $entries[$n]->id, 50 + $n, 100);
        }
        $this->of('mod_glossary')->create_category($glossary, ['name' => 'Verbs'], $entries);
        $data = $this->module('data', 3, ['name' => 'Full database', 'comments' => 1, 'approval' => 1]);
        $fields = [];
        foreach (['text', 'number', 'textarea', 'checkbox', 'menu', 'date', 'url', 'file', 'picture', 'latlong'] as $type) {
            $fields[$type] = $this->of('mod_data')->create_field((object) ['name' => "A $type", 'type' => $type], $data)->field->id;
        }
        foreach (['student1', 'student2'] as $n => $name) {
            $this->as_user($name, fn() => $this->of('mod_data')->create_entry($data, [$fields['text'] => "Zeile ü$n",
                $fields['number'] => "$n.5", $fields['textarea'] => '<b>much</b>', $fields['checkbox'] => ['opt1', 'opt3'],
                $fields['menu'] => 'menu2', $fields['date'] => '12-07-2016', $fields['url'] => ['https://example.org/a', 'A'],
                $fields['file'] => "été$n.png", $fields['picture'] => ["bild$n.png", 'alt'],
                $fields['latlong'] => [48.58, 7.75]], $this->groups[$n]->id, ['term'], ['approved' => $n]));
        }
        data_generate_default_template($data, 'listtemplate', 0, false, true);
        $record = $DB->get_field_select('data_records', 'MIN(id)', 'dataid = ?', [$data->id]);
        foreach (['data' => ['database_entry', $record], 'glossary' => ['glossary_entry', $entries[0]->id]]
                as $kind => [$area, $item]) {
            $DB->insert_record('comments', ['contextid' => $this->context($kind)->id, 'component' => "mod_$kind",
                'commentarea' => $area, 'itemid' => $item, 'content' => "Comment in $kind", 'format' => 0,
                'userid' => $this->id('student2'), 'timecreated' => 1736000000]);
        }
    }

    /** Book and wiki; choice with answers. */
    private function pages(): void {
        global $DB, $CFG;
        require_once($CFG->dirroot . '/mod/choice/lib.php');
        $book = $this->module('book', 4, ['name' => 'Full book', 'numbering' => 1, 'customtitles' => 1]);
        foreach (['One', 'Deux', 'Drei'] as $n => $title) {
            $chapter = $this->of('mod_book')->create_chapter(['bookid' => $book->id, 'title' => $title, 'subchapter' => $n % 2,
                'pagenum' => $n + 1, 'content' => '<img src="@@PLUGINFILE@@/c.png">', 'tags' => ['term']]);
            fixture_file($book, 'mod_book', 'chapter', '/', 'c.png', "chapter $n", $chapter->id);
        }
        $wiki = $this->module('wiki', 4, ['name' => 'Full wiki', 'firstpagetitle' => 'Première']);
        $page = $this->of('mod_wiki')->create_first_page($wiki, ['content' => 'To [[Second]]', 'tags' => ['term']]);
        $this->as_user('student1', fn() => $this->of('mod_wiki')->create_page($wiki, ['title' => 'Second', 'content' => 'Ünd']));
        fixture_file($wiki, 'mod_wiki', 'attachments', '/', 'wiki.txt', 'in the wiki', $page->subwikiid, $this->id('student1'));
        $this->module('wiki', 4, ['name' => 'Own wiki', 'wikimode' => 'individual', 'idnumber' => 'full-own']);
        $this->as_user('student2', fn() => $this->of('mod_wiki')->create_first_page($this->made['wiki']));
        $choice = $this->module('choice', 4, ['name' => 'Full choice', 'option' => ['oui', 'non', 'может быть'],
            'limit' => [1, 2, 3], 'limitanswers' => 1, 'allowupdate' => 1]);
        $options = $DB->get_fieldset_select('choice_options', 'id', 'choiceid = ? ORDER BY id', [$choice->id]);
        foreach (['student1', 'student2'] as $n => $name) {
            choice_user_submit_response($options[$n], choice_get_choice($choice->id), $this->id($name), $this->course,
                get_coursemodule_from_id('choice', $choice->cmid));
        }
    }

    /** Chat and survey, which Moodle 5 has no more, with answers. */
    private function gone(): void {
        global $DB;
        if ($this->wants('chat')) {
            $chat = $this->module('chat', 4, ['name' => 'Full chat', 'studentlogs' => 1]);
        }
        if ($this->wants('survey')) {
            $survey = $this->module('survey', 4, ['name' => 'Full survey']);
            $DB->insert_record('survey_analysis', ['survey' => $survey->id, 'userid' => $this->id('teacher1'), 'notes' => 'Nötig']);
        }
        foreach (['student1', 'student2'] as $n => $name) {
            if (isset($chat)) {
                $DB->insert_record('chat_messages', ['chatid' => $chat->id, 'userid' => $this->id($name), 'message' => "Salut é$n",
                    'groupid' => 0, 'issystem' => 0, 'timestamp' => 1736000000 + $n]);
            }
            if (isset($survey)) {
                $DB->insert_record('survey_answers', ['userid' => $this->id($name), 'survey' => $survey->id, 'question' => 1 + $n,
                    'time' => 1736000000, 'answer1' => "$n", 'answer2' => "$n"]);
            }
        }
    }

    private function lesson(): void {
        global $DB;
        $lesson = $this->module('lesson', 4, ['name' => 'Full lesson', 'retake' => 1, 'timelimit' => 600]);
        $of = $this->of('mod_lesson');
        $content = $of->create_content($lesson, ['title' => 'Début']);
        $truth = $of->create_question_truefalse($lesson, ['title' => 'Wahr?']);
        $of->create_question_multichoice($lesson, ['title' => 'Which?']);
        $of->create_question_essay($lesson, ['title' => 'Write']);
        fixture_file($lesson, 'mod_lesson', 'page_contents', '/', 'seite.txt', 'lesson page', $truth->id);
        $answers = $DB->get_fieldset_select('lesson_answers', 'id', 'pageid = ? ORDER BY id', [$truth->id]);
        foreach (['student1', 'student2'] as $n => $name) {
            $by = ['lessonid' => $lesson->id, 'userid' => $this->id($name)];
            $DB->insert_record('lesson_attempts', $by + ['pageid' => $truth->id, 'answerid' => $answers[$n], 'retry' => 0,
                'correct' => 1 - $n, 'useranswer' => '', 'timeseen' => 1736000000]);
            $DB->insert_record('lesson_grades', $by + ['grade' => 100 - 50 * $n, 'late' => 0, 'completed' => 1736000100]);
            $DB->insert_record('lesson_timer', $by + ['starttime' => 1735999000, 'lessontime' => 1736000100, 'completed' => 1,
                'timemodifiedoffline' => 0]);
            $DB->insert_record('lesson_branch', $by + ['pageid' => $content->id, 'retry' => 0, 'flag' => 0,
                'timeseen' => 1735999500, 'nextpageid' => $truth->id]);
        }
        $DB->insert_record('lesson_overrides', ['lessonid' => $lesson->id, 'userid' => $this->id('student2'), 'timelimit' => 900]);
        lesson_update_grades($DB->get_record('lesson', ['id' => $lesson->id]));
    }

    private function workshop(): void {
        global $DB;
        $workshop = $this->module('workshop', 5, ['name' => 'Full workshop', 'strategy' => 'accumulative', 'useexamples' => 1]);
        $dimensions = [];
        foreach ([1, 2] as $n) {
            $dimensions[] = $DB->insert_record('workshopform_accumulative', ['workshopid' => $workshop->id, 'sort' => $n,
                'description' => "Aspect é$n", 'descriptionformat' => 1, 'grade' => 10, 'weight' => $n]);
        }
        foreach (['student1' => 'student2', 'student2' => 'student1'] as $author => $reviewer) {
            $submission = $this->of('mod_workshop')->create_submission($workshop->id, $this->id($author),
                ['title' => "Von $author", 'attachment' => 1, 'grade' => 60]);
            fixture_file($workshop, 'mod_workshop', 'submission_attachment', '/', "$author ü.txt", "work of $author",
                $submission, $this->id($author));
            $assessment = $this->of('mod_workshop')->create_assessment($submission, $this->id($reviewer),
                ['grade' => 60, 'feedbackauthor' => "By $reviewer"]);
            foreach ($dimensions as $n => $dimension) {
                $DB->insert_record('workshop_grades', ['assessmentid' => $assessment, 'strategy' => 'accumulative',
                    'dimensionid' => $dimension, 'grade' => 5 + $n, 'peercomment' => "Good é$n"]);
            }
            $DB->insert_record('workshop_aggregations', ['workshopid' => $workshop->id, 'userid' => $this->id($author),
                'gradinggrade' => 17, 'timegraded' => 1736000000]);
        }
        $example = $this->of('mod_workshop')->create_submission($workshop->id, $this->id('teacher1'),
            ['title' => 'Exemple', 'example' => 1]);
        $this->of('mod_workshop')->create_assessment($example, $this->id('teacher1'), ['weight' => 1]);
    }

    private function feedback(): void {
        $feedback = $this->module('feedback', 5, ['name' => 'Full feedback', 'anonymous' => 2, 'multiple_submit' => 1]);
        $of = $this->of('mod_feedback');
        $of->create_item_label($feedback);
        $of->create_item_numeric($feedback, ['name' => 'Combien']);
        $of->create_item_textfield($feedback, ['name' => 'Why']);
        $of->create_item_pagebreak($feedback);
        $of->create_item_multichoice($feedback, ['name' => 'Which', 'values' => "eins\nzwei"]);
        foreach (['student1', 'student2'] as $n => $name) {
            $this->as_user($name, fn() => $of->create_response(['cmid' => $feedback->cmid, 'userid' => $this->id($name),
                'anonymous' => '0', 'Combien' => (string) (3 + $n), 'Why' => "parce que é$n"]));
        }
    }

    /** Questions of every type that has no need of another site's settings, and what two students made of them. */
    private function quiz(): void {
        global $DB;
        $of = $this->of('core_question');
        $top = $of->create_question_category(['contextid' => context_course::instance($this->course->id)->id, 'name' => 'Full bank',
            'idnumber' => 'bank', 'info' => 'À propos']);
        $inner = $of->create_question_category(['contextid' => $top->contextid, 'parent' => $top->id, 'name' => 'Inner']);
        $quiz = $this->module('quiz', 5, ['name' => 'Full quiz', 'grade' => 20, 'questionsperpage' => 3,
            'attempts' => 3, 'quizpassword' => 'sesame', 'feedbacktext' => [['text' => 'Bravo', 'format' => 1],
            ['text' => 'Hélas', 'format' => 1]], 'feedbackboundaries' => ['50%']]);
        // Not each of Moodle's examples is there as a form.
        $which = ['multichoice' => 'one_of_four', 'calculatedsimple' => 'sumwithvariants', 'calculatedmulti' => 'singleresponse',
            'gapselect' => 'missingchoiceno', 'ddimageortext' => 'xsection', 'ddmarker' => 'mkmap'];
        $answers = $made = [];
        foreach (['truefalse' => 'True', 'shortanswer' => 'frog', 'numerical' => '3.14', 'multichoice' => null, 'essay' => null,
                'match' => null, 'description' => null, 'multianswer' => null, 'calculated' => null, 'calculatedsimple' => null,
                'calculatedmulti' => null, 'ddwtos' => null, 'gapselect' => null, 'ddimageortext' => null, 'ddmarker' => null,
                'ordering' => null] as $type => $answer) {
            // Moodle 4.1 has no ordering, and no form for one of the others.
            if (
                !core_component::get_plugin_directory('qtype', $type) || (isset($which[$type])
                    && !method_exists(test_question_maker::get_test_helper($type), "get_{$type}_question_form_data_$which[$type]"))
            ) {
                continue;
            }
            $question = $of->create_question($type, $which[$type] ?? null,
                ['category' => $top->id, 'name' => "Frage $type", 'idnumber' => "q-$type"]);
            if ($answer !== null) {
                quiz_add_quiz_question($question->id, $quiz);
                $answers[] = $answer;
            }
            $made[$type] = $question;
        }
        get_file_storage()->create_file_from_string(['contextid' => $top->contextid, 'component' => 'question',
            'filearea' => 'questiontext', 'itemid' => $made['match']->id, 'filepath' => '/', 'filename' => 'frage.png'], 'question');
        $of->update_question($made['match'], null, ['name' => 'Frage in a second version']);
        $of->create_question_tag(['questionid' => $made['match']->id, 'tag' => 'term']);
        $of->create_question('truefalse', null, ['category' => $inner->id, 'name' => 'By chance']);
        $this->add_random_question($quiz, (int) $inner->id);
        $this->of('mod_quiz')->create_override(['quiz' => $quiz->id, 'userid' => $this->id('student2'), 'attempts' => 5]);
        $this->of('mod_quiz')->create_override(['quiz' => $quiz->id, 'groupid' => $this->groups[0]->id, 'timelimit' => 1800]);
        $class = class_exists(\mod_quiz\quiz_attempt::class) ? \mod_quiz\quiz_attempt::class : \quiz_attempt::class;
        foreach (['student1' => true, 'student2' => false] as $name => $finished) {
            $this->as_user($name, function () use ($of, $class, $quiz, $name, $finished, $answers) {
                $attempt = $class::create($this->of('mod_quiz')->create_attempt($quiz->id, $this->id($name))->id);
                // The last one is what chance brought, a true or false.
                $post = [];
                foreach ($finished ? [...$answers, 'True'] : ['False'] as $n => $answer) {
                    $post += $of->get_simulated_post_data_for_question_attempt($attempt->get_question_attempt($n + 1),
                        $answer, false);
                }
                $attempt->process_submitted_actions(1736000000, false, $post);
                if ($finished) {
                    $attempt->process_finish(1736000100, false);
                }
            });
        }
    }

    /** A random question of this category; Moodle 4.1 has other functions for it. */
    private function add_random_question(stdClass $quiz, int $category): void {
        if (method_exists(\mod_quiz\structure::class, 'add_random_questions')) {
            $settings = \mod_quiz\quiz_settings::create($quiz->id);
            $settings->get_structure()->add_random_questions(2, 1, ['filter' => ['category' => ['jointype' => 1,
                'values' => [$category], 'filteroptions' => ['includesubcategories' => false]]]]);
            $settings->get_grade_calculator()->recompute_quiz_sumgrades();
        } else {
            quiz_add_random_questions($quiz, 2, $category, 1, false);
            quiz_update_sumgrades($quiz);
        }
    }

    /** What speaks with other servers: only its settings. */
    private function remote(): void {
        $this->module('lti', 6, ['name' => 'Full tool', 'toolurl' => 'https://localhost/lti?x=1',
            'instructorcustomparameters' => "a=1\nb=ü",
            'resourcekey' => 'key', 'password' => 'shared']);
        $this->module('bigbluebuttonbn', 6, ['name' => 'Full meeting', 'welcome' => 'Bienvenue à tous', 'wait' => 1]);
    }

    private function grades(): void {
        global $generator, $DB;
        $category = $generator->create_grade_category(['courseid' => $this->course->id, 'fullname' => 'Contrôle continu',
            'aggregation' => GRADE_AGGREGATE_WEIGHTED_MEAN, 'droplow' => 1]);
        $inner = $generator->create_grade_category(['courseid' => $this->course->id, 'fullname' => 'Inside',
            'parent' => $category->id]);
        $scale = $generator->create_scale(['courseid' => $this->course->id, 'name' => 'Ampel', 'scale' => 'rot,gelb,grün']);
        $oral = $generator->create_grade_item(['courseid' => $this->course->id, 'itemtype' => 'manual', 'itemname' => 'Oral é',
            'idnumber' => 'oral', 'categoryid' => $inner->id, 'grademax' => 50, 'aggregationcoef' => 2]);
        $light = $generator->create_grade_item(['courseid' => $this->course->id, 'itemtype' => 'manual', 'itemname' => 'Light',
            'idnumber' => 'light', 'categoryid' => $category->id, 'gradetype' => GRADE_TYPE_SCALE, 'scaleid' => $scale->id]);
        $sum = $generator->create_grade_item(['courseid' => $this->course->id, 'itemtype' => 'manual', 'itemname' => 'Computed',
            'idnumber' => 'sum', 'categoryid' => $category->id]);
        foreach (['student1' => [33, 3], 'student2' => [22, 1]] as $name => [$points, $colour]) {
            grade_item::fetch(['id' => $oral->id])->update_final_grade($this->id($name), $points, 'navette', "Dit: $points");
            grade_item::fetch(['id' => $light->id])->update_final_grade($this->id($name), $colour, 'navette');
        }
        grade_item::fetch(['id' => $sum->id])->set_calculation('=[[oral]]*2');
        foreach ([90 => 'Sehr gut', 50 => 'Bestanden', 0 => 'Nicht'] as $from => $letter) {
            $DB->insert_record('grade_letters', ['contextid' => context_course::instance($this->course->id)->id,
                'lowerboundary' => $from, 'letter' => $letter]);
        }
        $DB->set_field('grade_items', 'gradepass', 25, ['id' => $oral->id]);
    }

    /** Conditions for access and for completion; what has been completed. */
    private function conditions(): void {
        global $DB, $CFG;
        require_once($CFG->libdir . '/completionlib.php');
        require_once($CFG->dirroot . '/completion/criteria/completion_criteria_activity.php');
        require_once($CFG->dirroot . '/completion/criteria/completion_criteria_self.php');
        $grouping = $DB->get_field('groupings', 'id', ['idnumber' => 'full-gg1']);
        $item = $DB->get_field('grade_items', 'id', ['courseid' => $this->course->id, 'idnumber' => 'oral']);
        $all = [['type' => 'completion', 'cm' => (int) $this->made['page']->cmid, 'e' => 1],
            ['type' => 'grade', 'id' => (int) $item, 'min' => 10], ['type' => 'date', 'd' => '>=', 't' => 1700000000],
            ['type' => 'profile', 'sf' => 'email', 'op' => 'contains', 'v' => '@'],
            ['op' => '|', 'c' => [['type' => 'group', 'id' => (int) $this->groups[0]->id],
            ['type' => 'grouping', 'id' => (int) $grouping]]]];
        $tree = json_encode(['op' => '&', 'c' => $all, 'showc' => [true, false, true, true, false]]);
        $DB->set_field('course_modules', 'availability', $tree, ['id' => $this->made['lti']->cmid]);
        $DB->set_field('course_sections', 'availability', $tree, ['course' => $this->course->id, 'section' => 6]);
        $DB->set_field('course_modules', 'groupingid', $grouping, ['id' => $this->made['choice']->cmid]);
        $wanted = (object) ['id' => $this->course->id, 'criteria_self' => 1, 'criteria_activity' =>
            [$this->made['page']->cmid => 1, $this->made['assign']->cmid => 1]];
        (new completion_criteria_activity())->update_config($wanted);
        (new completion_criteria_self())->update_config($wanted);
        $completion = new completion_info($this->course);
        foreach (['student1', 'student2'] as $name) {
            $this->as_user($name, fn() => $completion->set_module_viewed(get_coursemodule_from_id('page',
                $this->made['page']->cmid), $this->id($name)));
        }
        $record = new completion_completion(['userid' => $this->id('student1'), 'course' => $this->course->id]);
        $record->mark_inprogress(1736000000);
    }

    /** Around the course: blocks, calendar, badge, rights. */
    private function around(): void {
        global $generator, $DB, $CFG;
        $context = context_course::instance($this->course->id);
        $text = base64_encode(serialize((object) ['title' => 'Boîte', 'format' => 1,
            'text' => '<img src="@@PLUGINFILE@@/b.png">']));
        $block = $generator->create_block('html', ['parentcontextid' => $context->id, 'pagetypepattern' => 'course-view-*',
            'configdata' => $text]);
        get_file_storage()->create_file_from_string(['contextid' => context_block::instance($block->id)->id,
            'component' => 'block_html', 'filearea' => 'content', 'itemid' => 0, 'filepath' => '/',
            'filename' => 'b.png'], 'block');
        foreach (['calendar_month', 'comments', 'recent_activity'] as $name) {
            $generator->create_block($name, ['parentcontextid' => $context->id, 'pagetypepattern' => '*']);
        }
        $generator->create_block('html', ['parentcontextid' => $this->context('page')->id, 'pagetypepattern' => 'mod-page-view']);
        foreach (['course' => [], 'group' => ['groupid' => $this->groups[0]->id]] as $type => $more) {
            $generator->create_event($more + ['courseid' => $this->course->id, 'eventtype' => $type, 'name' => "Termin $type é",
                'timestart' => 1740000000, 'userid' => $this->id('teacher1')]);
        }
        $badges = $this->of('core_badges');
        $badge = $badges->create_badge(['name' => 'Étoile', 'type' => BADGE_TYPE_COURSE, 'courseid' => $this->course->id]);
        $teacher = $DB->get_field('role', 'id', ['shortname' => 'editingteacher']);
        $badges->create_criteria(['badgeid' => $badge->id, 'roleid' => $teacher]);
        $badges->create_issued_badge(['badgeid' => $badge->id, 'userid' => $this->id('student1')]);
        $student = $DB->get_field('role', 'id', ['shortname' => 'student']);
        assign_capability('mod/forum:startdiscussion', CAP_PREVENT, $student, $context->id);
        assign_capability('mod/wiki:editpage', CAP_ALLOW, $student, $this->context('wiki')->id);
        role_assign($DB->get_field('role', 'id', ['shortname' => 'teacher']), $this->id('student2'), $this->context('quiz')->id);
        $DB->insert_record('comments', ['contextid' => $context->id, 'component' => 'block_comments', 'commentarea' =>
            'page_comments', 'itemid' => 0, 'content' => 'Sur le cours', 'format' => 0, 'userid' => $this->id('student1'),
            'timecreated' => 1736000000]);
        filter_set_local_state('mathjaxloader', $context->id, TEXTFILTER_OFF);
        filter_set_local_config('glossary', $context->id, 'a', 'b');
    }
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
if ($role === 'server') {
    $courses['FULL'] = (new fixture_every_activity($users, $leftout))->make($categories['none']->id);
}
fixture_done(['categories' => array_map(fn($c) => (int) $c->id, $categories), 'courses' => array_map('intval', $courses)]);
