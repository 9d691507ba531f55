<?php
// SPDX-License-Identifier: GPL-3.0-or-later
// This file is part of Navette.
//
// Moodle's own backup and restore, as a teacher would do them by hand, to compare with:
//   php plain.php backup COURSEID FILE users|nousers
//   php plain.php restore FILE CATEGORYID users|nousers     (prints the course's id)

define('CLI_SCRIPT', true);
require(__DIR__ . '/config.php');
require_once($CFG->dirroot . '/backup/util/includes/backup_includes.php');
require_once($CFG->dirroot . '/backup/util/includes/restore_includes.php');

[, $what, $first, $second, $users] = $argv;
\core\session\manager::set_user(get_admin());
// Moodle 4.5 writes JPEGs anew, without EXIF data, whenever a file is created, a restore included.  We bring
// them as they are; everything else is to be compared.
$CFG->file_redactor_exifremoverenabled = $CFG->config_php_settings['file_redactor_exifremoverenabled'] = 0;
if ($what === 'backup') {
    $bc = new backup_controller(backup::TYPE_1COURSE, $first, backup::FORMAT_MOODLE, backup::INTERACTIVE_NO,
        backup::MODE_GENERAL, get_admin()->id);
    $bc->get_plan()->get_setting('users')->set_value($users === 'users' ? 1 : 0);
    // Moodle 4.1 leaves out badges together with users; newer versions do not, nor do we.
    $badges = $bc->get_plan()->get_setting('badges');
    if (!$badges->get_value()) {
        $badges->set_status(base_setting::NOT_LOCKED);
        $badges->set_value(1);
    }
    $bc->execute_plan();
    $file = $bc->get_results()['backup_destination'];
    $file->copy_content_to($second);
    $file->delete();
    $bc->destroy();
    exit(0);
}
$name = 'plain' . random_string(10);
$path = make_backup_temp_directory($name);
get_file_packer('application/vnd.moodle.backup')->extract_to_pathname($first, $path);
$course = restore_dbops::create_new_course('Plain', 'PLAIN-' . $name, $second);
$rc = new restore_controller($name, $course, backup::INTERACTIVE_NO, backup::MODE_GENERAL, get_admin()->id,
    backup::TARGET_NEW_COURSE);
if ($users === 'users') {
    $rc->get_plan()->get_setting('users')->set_value(1);
}
$rc->get_plan()->get_setting('enrolments')->set_value(backup::ENROL_ALWAYS);
$rc->execute_precheck();
$rc->execute_plan();
$banks = array_filter((array) $rc->get_info()->activities, fn($activity) => $activity->modulename === 'qbank');
$rc->destroy();
// What Moodle 5 leaves to its cron.
require_once($CFG->libdir . '/gradelib.php');
if ($DB->record_exists('grade_items', ['courseid' => $course])) {
    grade_regrade_final_grades($course);
}
// The bank that Moodle 5 makes is named after the course by us: that is the one difference that is meant.  One that came with
// the backup keeps its name.
if (!$banks && class_exists('\core_question\local\bank\question_bank_helper')) {
    $DB->set_field('qbank', 'name', \core_question\local\bank\question_bank_helper::get_bank_name_string('sharedbank',
        'mod_qbank', $DB->get_field('course', 'shortname', ['id' => $course])), ['course' => $course, 'type' => 'system']);
    $DB->set_field('qbank', 'intro', '', ['course' => $course, 'type' => 'system']);
    rebuild_course_cache($course, true);
}
echo "$course\n";
