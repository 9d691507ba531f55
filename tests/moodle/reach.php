<?php
// SPDX-License-Identifier: GPL-3.0-or-later
// This file is part of Navette.
//
// A course whose backup reaches beyond the course, and what lies outside the courses of a site.
//   php reach.php make                 (course server; prints the course's id; a second call finds it)
//   php reach.php unmake               (removes it, and what belongs to it outside)
//   php reach.php outside              (prints as JSON what is outside all courses)
//   php reach.php inside COURSEID      (prints as JSON what a restored copy has instead)
//   php reach.php roles COURSEID       (prints as JSON what a restored copy lets roles do, and who gets which)
//   php reach.php play COURSEID        (as an administrator opens every H5P activity; prints the libraries there are)

define('CLI_SCRIPT', true);
require(__DIR__ . '/config.php');
require_once($CFG->libdir . '/testing/lib.php');
require_once($CFG->libdir . '/phpunit/classes/util.php');
require_once($CFG->dirroot . '/course/lib.php');
require_once($CFG->dirroot . '/mod/quiz/locallib.php');
require_once($CFG->libdir . '/gradelib.php');
require_once($CFG->libdir . '/badgeslib.php');
require_once($CFG->dirroot . '/mod/lti/locallib.php');
require_once($CFG->libdir . '/questionlib.php');

// Moodle's makers of test questions stand in a file with test cases; PHPUnit itself is not needed.
class reach_no_phpunit {
}
spl_autoload_register(function (string $class) {
    if (strpos($class, 'PHPUnit\\') === 0) {
        class_alias(reach_no_phpunit::class, $class);
    }
});

/** An .h5p whose main library nobody has yet. */
function reach_h5p(string $library): string {
    $files = ['h5p.json' => json_encode(['title' => 'Foreign', 'language' => 'und', 'mainLibrary' => $library,
            'embedTypes' => ['div'], 'preloadedDependencies' => [['machineName' => $library, 'majorVersion' => 1,
                'minorVersion' => 0]]]),
        'content/content.json' => '{}',
        "$library-1.0/library.json" => json_encode(['title' => $library, 'machineName' => $library, 'majorVersion' => 1,
            'minorVersion' => 0, 'patchVersion' => 1, 'runnable' => 1, 'preloadedJs' => [['path' => 'foreign.js']]]),
        "$library-1.0/foreign.js" => 'H5P.Foreign = function () {};'];
    $path = make_request_directory() . '/package.h5p';
    get_file_packer('application/zip')->archive_to_pathname(array_map(fn($text) => [$text], $files), $path);
    return file_get_contents($path);
}

/** Makes the course REACH on a course server. */
class reach_course {
    /** @var stdClass */
    private $course;

    private function module(string $kind, array $settings): stdClass {
        return phpunit_util::get_data_generator()->create_module($kind, $settings + ['course' => $this->course->id]);
    }

    public function make(): int {
        global $DB;
        $generator = phpunit_util::get_data_generator();
        $category = core_course_category::create((object) ['name' => 'Reaching', 'idnumber' => 'REACHING']);
        $this->course = $generator->create_course(['shortname' => 'REACH', 'fullname' => 'Beyond', 'category' =>
            $category->id, 'tags' => ['reach-tag']]);
        $users = $DB->get_records_menu('user', null, '', 'username, id');
        // Nobody whose courses other tests list.
        $generator->enrol_user($users['student1'], $this->course->id, 'student');
        $this->roles($users);
        $this->h5p($users);
        $this->grading($users);
        $this->questions($category);
        $this->around();
        return (int) $this->course->id;
    }

    /** Teachers may do more than elsewhere, one of them is a manager, and so becomes whoever enrols. */
    private function roles(array $users): void {
        global $DB;
        $roles = $DB->get_records_menu('role', null, '', 'shortname, id');
        $context = context_course::instance($this->course->id);
        $folder = $this->module('folder', ['name' => 'With a permission']);
        assign_capability('moodle/h5p:updatelibraries', CAP_ALLOW, $roles['editingteacher'], $context->id);
        assign_capability('moodle/user:loginas', CAP_ALLOW, $roles['editingteacher'],
            context_module::instance($folder->cmid)->id);
        assign_capability('mod/forum:startdiscussion', CAP_ALLOW, $roles['teacher'], $context->id);
        assign_capability('moodle/user:viewdetails', CAP_PREVENT, $roles['student'], $context->id);
        role_assign($roles['manager'], $users['teacher2'], $context->id);
        enrol_get_plugin('self')->add_instance($this->course, ['status' => ENROL_INSTANCE_ENABLED, 'roleid' => $roles['manager'],
            'name' => 'Become a manager']);
        enrol_get_plugin('lti')->add_instance($this->course, ['status' => ENROL_INSTANCE_ENABLED, 'contextid' => $context->id,
            'roleinstructor' => $roles['manager'], 'rolelearner' => $roles['student'], 'institution' => '', 'city' => '',
            'country' => '', 'secret' => 'known', 'name' => 'Published']);
    }

    /** Packages of an administrator, of a manager and of an ordinary teacher. */
    private function h5p(array $users): void {
        foreach (['admin', 'manager1', 'teacher2'] as $n => $name) {
            $draft = file_get_unused_draft_itemid();
            get_file_storage()->create_file_from_string(['contextid' => context_user::instance(get_admin()->id)->id,
                'component' => 'user', 'filearea' => 'draft', 'itemid' => $draft, 'filepath' => '/',
                'filename' => "$name.h5p"], reach_h5p('H5P.Foreign' . ucfirst($name)));
            $made = $this->module('h5pactivity', ['name' => "Package of $name", 'packagefile' => $draft]);
            $this->own($made, 'mod_h5pactivity', $users[$name]);
        }
        // A folder's file is opened by /h5p/embed.php as well, whatever its name is.
        $folder = $this->module('folder', ['name' => 'Folder']);
        get_file_storage()->create_file_from_string(['contextid' => context_module::instance($folder->cmid)->id,
            'component' => 'mod_folder', 'filearea' => 'content', 'itemid' => 0, 'filepath' => '/', 'filename' => 'plain.zip',
            'userid' => $users['admin']], reach_h5p('H5P.ForeignZip'));
    }

    private function own(stdClass $module, string $component, int $userid): void {
        global $DB;
        $DB->set_field('files', 'userid', $userid, ['contextid' => context_module::instance($module->cmid)->id,
            'component' => $component, 'filearea' => 'package']);
    }

    /** A scale and an outcome of the whole site, with a picture in the scale's description. */
    private function grading(array $users): void {
        global $DB;
        set_config('enableoutcomes', 1);
        $generator = phpunit_util::get_data_generator();
        $scale = $generator->create_scale(['courseid' => 0, 'name' => 'Reaching scale', 'scale' => 'reach,far,beyond',
            'description' => '<img src="@@PLUGINFILE@@/scale.png">']);
        get_file_storage()->create_file_from_string(['contextid' => SYSCONTEXTID, 'component' => 'grade',
            'filearea' => 'scale', 'itemid' => $scale->id, 'filepath' => '/', 'filename' => 'scale.png',
            'userid' => $users['admin']], 'a picture of a scale');
        $outcome = new grade_outcome(['shortname' => 'REACHED', 'fullname' => 'Reaches far', 'scaleid' => $scale->id], false);
        $outcome->insert();
        $DB->insert_record('grade_outcomes_courses', (object) ['courseid' => $this->course->id, 'outcomeid' => $outcome->id]);
        $assign = $this->module('assign', ['name' => 'Scaled', 'grade' => -$scale->id]);
        $item = new grade_item(['courseid' => $this->course->id, 'itemtype' => 'mod', 'itemmodule' => 'assign',
            'iteminstance' => $assign->id, 'itemnumber' => 1000, 'itemname' => 'Reached', 'gradetype' => GRADE_TYPE_SCALE,
            'scaleid' => $scale->id, 'outcomeid' => $outcome->id], false);
        $item->insert();
    }

    /** A quiz with questions of the system's and of the course category's bank, where Moodle has such. */
    private function questions(core_course_category $category): void {
        global $CFG, $DB;
        $questions = phpunit_util::get_data_generator()->get_plugin_generator('core_question');
        $quiz = $this->module('quiz', ['name' => 'Foreign questions']);
        $contexts = ['system' => context_system::instance(), 'category' => $category->get_context()];
        if ($CFG->branch >= 500) {
            $contexts = ['course' => context_module::instance($this->module('qbank', ['name' => 'A bank'])->cmid)];
        }
        foreach ($contexts as $name => $context) {
            $bank = $questions->create_question_category(['contextid' => $context->id, 'name' => "Bank of $name"]);
            $question = $questions->create_question('shortanswer', null, ['category' => $bank->id, 'name' => "One of $name"]);
            $questions->create_question('truefalse', null, ['category' => $bank->id, 'name' => "Other of $name"]);
            get_file_storage()->create_file_from_string(['contextid' => $context->id, 'component' => 'question',
                'filearea' => 'questiontext', 'itemid' => $question->id, 'filepath' => '/', 'filename' => "$name.png",
                'userid' => get_admin()->id], "a picture of $name");
            quiz_add_quiz_question($question->id, $quiz);
            if (class_exists('\mod_quiz\quiz_settings')) {
                $structure = \mod_quiz\structure::create_for_quiz(\mod_quiz\quiz_settings::create($quiz->id));
                $structure->add_random_questions(0, 1, ['filter' => ['category' => ['jointype' =>
                    \core\output\datafilter::JOINTYPE_ANY, 'values' => [$bank->id], 'filteroptions' =>
                    ['includesubcategories' => false]]]]);
            }
        }
    }

    /** A badge, a glossary and a tool, an RSS feed for everybody, a template of the Safe Exam Browser. */
    private function around(): void {
        global $DB;
        $generator = phpunit_util::get_data_generator();
        $badges = $generator->get_plugin_generator('core_badges');
        $badge = $badges->create_badge(['name' => 'Reaching badge', 'type' => BADGE_TYPE_COURSE, 'courseid' => $this->course->id]);
        $badges->create_criteria(['badgeid' => $badge->id, 'roleid' => $DB->get_field('role', 'id', ['shortname' => 'teacher'])]);
        $this->module('glossary', ['name' => 'For all courses', 'globalglossary' => 1]);
        $DB->set_field('glossary', 'globalglossary', 1, ['course' => $this->course->id]);
        $tool = $DB->insert_record('lti_types', (object) ['name' => 'Tool of the course', 'baseurl' => 'https://tool.example.org',
            'tooldomain' => 'tool.example.org', 'state' => 1, 'course' => $this->course->id, 'coursevisible' => 2,
            'createdby' => get_admin()->id, 'timecreated' => 1, 'timemodified' => 1, 'ltiversion' => 'LTI-1p0']);
        $DB->insert_record('lti_types_config', (object) ['typeid' => $tool, 'name' => 'sendname', 'value' => '1']);
        $this->module('lti', ['name' => 'By the tool', 'typeid' => $tool, 'toolurl' => '']);
        if ($DB->get_manager()->table_exists('block_rss_client')) {
            $feed = $DB->insert_record('block_rss_client', (object) ['userid' => get_admin()->id, 'title' => 'Feed',
                'preferredtitle' => '', 'description' => '', 'shared' => 1, 'url' => 'https://reach.example.org/rss']);
            $generator->create_block('rss_client', ['parentcontextid' => context_course::instance($this->course->id)->id,
                'pagetypepattern' => 'course-view-*', 'configdata' => base64_encode(serialize((object) ['rssid' => [$feed]]))]);
        }
        $generator->create_block('html', ['parentcontextid' => context_course::instance($this->course->id)->id,
            'pagetypepattern' => 'course-view-*', 'configdata' => base64_encode(serialize((object)
                ['title' => 'Notice', 'text' => 'in the course', 'format' => FORMAT_HTML]))]);
        $seb = $this->module('quiz', ['name' => 'Safe exam']);
        $template = $DB->insert_record('quizaccess_seb_template', (object) ['name' => 'Reaching template', 'description' => '',
            'content' => '<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" '
                . '"https://www.apple.com/DTDs/PropertyList-1.0.dtd"><plist version="1.0"><dict><key>allowQuit</key><true/>'
                . '</dict></plist>', 'enabled' => 1, 'sortorder' => 0, 'usermodified' => 0, 'timecreated' => 1,
            'timemodified' => 1]);
        $DB->insert_record('quizaccess_seb_quizsettings', (object) ['quizid' => $seb->id, 'cmid' => $seb->cmid,
            'templateid' => $template, 'requiresafeexambrowser' => 2, 'showsebtaskbar' => 1, 'showwificontrol' => 0,
            'showreloadbutton' => 1, 'showtime' => 1, 'showkeyboardlayout' => 1, 'allowuserquitseb' => 1, 'usermodified' => 0,
            'timecreated' => 1, 'timemodified' => 1]);
        calendar_event::create((object) ['name' => 'An event', 'description' => '', 'format' => 1, 'eventtype' => 'course',
            'courseid' => $this->course->id, 'timestart' => 1735689600, 'timeduration' => 0], false);
    }
}

/** Everything that reach_course made. */
function reach_unmake(): void {
    global $CFG, $DB;
    $CFG->forced_plugin_settings['tool_recyclebin'] = ['categorybinenable' => 0, 'coursebinenable' => 0];
    if ($course = $DB->get_record('course', ['shortname' => 'REACH'])) {
        foreach ($DB->get_records('badge', ['courseid' => $course->id]) as $badge) {
            (new badge($badge->id))->delete(false);
        }
        foreach ($DB->get_fieldset_select('lti_types', 'id', 'course = ?', [$course->id]) as $tool) {
            lti_delete_type($tool);
        }
        delete_course($course, false);
    }
    if ($category = $DB->get_record('course_categories', ['idnumber' => 'REACHING'])) {
        core_course_category::get($category->id)->delete_full(false);
    }
    $bank = $DB->get_field('question_categories', 'id', ['name' => 'Bank of system', 'contextid' => SYSCONTEXTID]);
    if ($bank) {
        question_category_delete_safe($DB->get_record('question_categories', ['id' => $bank]));
    }
    foreach ($DB->get_records('grade_outcomes', ['shortname' => 'REACHED', 'courseid' => null]) as $outcome) {
        grade_outcome::fetch(['id' => $outcome->id])->delete();
    }
    foreach ($DB->get_records('scale', ['name' => 'Reaching scale', 'courseid' => 0]) as $scale) {
        grade_scale::fetch(['id' => $scale->id])->delete();
    }
    $DB->delete_records('quizaccess_seb_template', ['name' => 'Reaching template']);
    if ($DB->get_manager()->table_exists('block_rss_client')) {
        $DB->delete_records('block_rss_client', ['url' => 'https://reach.example.org/rss']);
    }
}

/** What a site has outside its courses, in tables that a restore writes to. */
function reach_outside(): array {
    global $DB;
    $course = '(SELECT x.id FROM {context} x WHERE x.contextlevel IN (' . CONTEXT_COURSE . ',' . CONTEXT_MODULE . '))';
    $counts = [
        'scales' => '{scale} WHERE courseid = 0',
        'outcomes' => '{grade_outcomes} WHERE courseid IS NULL',
        'scales of no course' => '{scale} WHERE courseid <> 0 AND courseid NOT IN (SELECT id FROM {course})',
        'outcomes of no course' => '{grade_outcomes} WHERE courseid IS NOT NULL AND courseid NOT IN (SELECT id FROM {course})',
        'question categories' => "{question_categories} WHERE parent <> 0 AND contextid NOT IN $course",
        'questions' => '{question} q JOIN {question_versions} v ON v.questionid = q.id
            JOIN {question_bank_entries} e ON e.id = v.questionbankentryid
            JOIN {question_categories} c ON c.id = e.questioncategoryid WHERE c.contextid NOT IN ' . $course,
        'questions of no category' => '{question_bank_entries} e LEFT JOIN {question_categories} c ON c.id = e.questioncategoryid
            WHERE c.id IS NULL',
        'references of no context' => '{question_references} r LEFT JOIN {context} x ON x.id = r.usingcontextid WHERE x.id IS NULL',
        'badges' => '{badge} WHERE courseid IS NULL',
        'badges of no course' => '{badge} WHERE courseid IS NOT NULL AND courseid NOT IN (SELECT id FROM {course})',
        'tools' => '{lti_types} WHERE course NOT IN (SELECT id FROM {course} WHERE id <> ' . SITEID . ')',
        'settings of tools' => '{lti_types_config} WHERE typeid NOT IN (SELECT id FROM {lti_types})',
        'glossaries' => '{glossary} WHERE globalglossary = 1',
        'templates' => '{quizaccess_seb_template}',
        'files' => "{files} WHERE filename <> '.' AND component <> 'user' AND contextid NOT IN $course AND contextid NOT IN
            (SELECT x.id FROM {context} x WHERE x.contextlevel = " . CONTEXT_BLOCK . ')',
        'blocks' => "{block_instances} WHERE parentcontextid NOT IN $course",
        'events' => '{event} WHERE courseid NOT IN (SELECT id FROM {course} WHERE id <> ' . SITEID . ')',
        'users' => '{user}',
    ];
    if ($DB->get_manager()->table_exists('block_rss_client')) {
        $counts['feeds of nobody'] = '{block_rss_client} WHERE userid < 0';
        $counts['feeds'] = '{block_rss_client}';
        $counts['shared feeds'] = '{block_rss_client} WHERE shared = 1';
    }
    return array_map(fn($from) => (int) $DB->count_records_sql("SELECT COUNT(*) FROM $from"), $counts);
}

/** What a restored copy has of it. */
function reach_inside(int $courseid): array {
    global $DB;
    $path = context_course::instance($courseid)->path;
    $in = ['course' => $courseid, 'path' => $path, 'below' => "$path/%"];
    $here = '(x.path = :path OR x.path LIKE :below)';
    $out = ['questions' => [], 'random' => []];
    $slots = $DB->get_records_sql('SELECT r.id, q.name, x.contextlevel
          FROM {question_references} r
          JOIN {context} u ON u.id = r.usingcontextid AND u.contextlevel = ' . CONTEXT_MODULE . '
          JOIN {course_modules} m ON m.id = u.instanceid AND m.course = :course
          JOIN {question_versions} v ON v.questionbankentryid = r.questionbankentryid
          JOIN {question} q ON q.id = v.questionid
          JOIN {question_bank_entries} e ON e.id = v.questionbankentryid
          JOIN {question_categories} c ON c.id = e.questioncategoryid
          JOIN {context} x ON x.id = c.contextid', ['course' => $courseid]);
    foreach ($slots as $slot) {
        $out['questions'][$slot->name] = (int) $slot->contextlevel;
    }
    $picks = $DB->get_records_sql("SELECT r.* FROM {question_set_references} r JOIN {context} x ON x.id = r.usingcontextid
        WHERE $here", array_slice($in, 1));
    foreach ($picks as $pick) {
        $condition = json_decode($pick->filtercondition, true);
        $category = $DB->get_record('question_categories', ['id' => $condition['filter']['category']['values'][0]]);
        // Where the quiz says that its questions are, the category is.
        $out['random'][$category->name] = $category->contextid === $pick->questionscontextid;
    }
    $out['pictures'] = (int) $DB->count_records_sql("SELECT COUNT(*) FROM {files} f JOIN {context} x ON x.id = f.contextid
        WHERE f.component = 'question' AND f.filename <> '.' AND $here", array_slice($in, 1));
    $out['owners'] = $DB->get_fieldset_sql("SELECT DISTINCT u.username FROM {files} f JOIN {context} x ON x.id = f.contextid
        LEFT JOIN {user} u ON u.id = f.userid WHERE f.component <> 'backup' AND $here", array_slice($in, 1));
    $exam = $DB->get_record_sql('SELECT s.* FROM {quizaccess_seb_quizsettings} s JOIN {quiz} q ON q.id = s.quizid
        WHERE q.course = ?', [$courseid]);
    $out['exam'] = [(int) $exam->requiresafeexambrowser, (int) $exam->templateid, count(get_file_storage()->get_area_files(
        context_module::instance($exam->cmid)->id, 'quizaccess_seb', 'filemanager_sebconfigfile', 0, 'id', false))];
    foreach (['scale', 'grade_outcomes', 'badge'] as $table) {
        $out[$table] = $DB->count_records($table, ['courseid' => $courseid]);
    }
    $out['category'] = $DB->get_field_sql('SELECT g.idnumber FROM {course} c JOIN {course_categories} g ON g.id = c.category
        WHERE c.id = ?', [$courseid]);
    return $out;
}

/** What roles may do in a restored copy, who has which, and what enrolment methods give. */
function reach_roles(int $courseid): array {
    global $DB;
    $path = context_course::instance($courseid)->path;
    $in = ['path' => $path, 'below' => "$path/%"];
    $here = '(x.path = :path OR x.path LIKE :below)';
    $out = ['may' => [], 'has' => [], 'enrol' => []];
    $may = $DB->get_records_sql("SELECT c.id, r.shortname, c.capability, c.permission FROM {role_capabilities} c
        JOIN {role} r ON r.id = c.roleid JOIN {context} x ON x.id = c.contextid WHERE $here", $in);
    foreach ($may as $one) {
        $out['may']["$one->shortname $one->capability"] = (int) $one->permission;
    }
    $has = $DB->get_records_sql("SELECT a.id, u.username, r.shortname FROM {role_assignments} a JOIN {role} r ON r.id = a.roleid
        JOIN {user} u ON u.id = a.userid JOIN {context} x ON x.id = a.contextid WHERE $here", $in);
    foreach ($has as $one) {
        $out['has'][] = "$one->username $one->shortname";
    }
    foreach ($DB->get_records('enrol', ['courseid' => $courseid, 'enrol' => 'self', 'name' => 'Become a manager']) as $method) {
        $out['enrol'][] = $DB->get_field('role', 'shortname', ['id' => $method->roleid]) ?: '';
    }
    $out['published'] = array_map(fn($tool) => [$DB->get_field('role', 'shortname', ['id' => $tool->roleinstructor]) ?: '',
        (int) $tool->status], array_values($DB->get_records_sql('SELECT t.id, t.roleinstructor, e.status FROM {enrol_lti_tools} t
            JOIN {enrol} e ON e.id = t.enrolid WHERE e.courseid = ?', [$courseid])));
    return $out;
}

/** Every file of a course that /h5p/embed.php would take, opened by an administrator. */
function reach_play(int $courseid): array {
    global $DB;
    $factory = new \core_h5p\factory();
    $path = context_course::instance($courseid)->path;
    $files = $DB->get_fieldset_sql("SELECT f.id FROM {files} f JOIN {context} x ON x.id = f.contextid
        WHERE x.path LIKE ? AND f.filename <> '.' AND (f.component = 'mod_h5pactivity' OR f.filename = 'plain.zip')", ["$path/%"]);
    $said = [];
    foreach ($files as $id) {
        $file = get_file_storage()->get_file_by_id($id);
        $url = moodle_url::make_pluginfile_url($file->get_contextid(), $file->get_component(), $file->get_filearea(),
            $file->get_itemid(), $file->get_filepath(), $file->get_filename());
        $messages = new stdClass();
        [, $h5p] = \core_h5p\api::create_content_from_pluginfile_url($url->out(), new stdClass(), $factory, $messages, true, true);
        $owner = $file->get_userid() === null ? null : $DB->get_field('user', 'username', ['id' => $file->get_userid()]);
        $said[$file->get_filename()] = ['owner' => $owner, 'shown' => (bool) $h5p];
    }
    return ['files' => $said, 'libraries' => $DB->get_fieldset_select('h5p_libraries', 'machinename',
        $DB->sql_like('machinename', '?'), ['H5P.Foreign%'])];
}

\core\session\manager::set_user(get_admin());
switch ($argv[1]) {
    case 'make':
        $known = $DB->get_field('course', 'id', ['shortname' => 'REACH']);
        echo $known ?: (new reach_course())->make(), "\n";
        break;
    case 'unmake':
        reach_unmake();
        break;
    case 'outside':
        echo json_encode(reach_outside()), "\n";
        break;
    case 'inside':
        echo json_encode(reach_inside((int) $argv[2])), "\n";
        break;
    case 'roles':
        echo json_encode(reach_roles((int) $argv[2])), "\n";
        break;
    case 'play':
        echo json_encode(reach_play((int) $argv[2])), "\n";
        break;
}
