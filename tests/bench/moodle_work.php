<?php
// SPDX-License-Identifier: GPL-3.0-or-later
// This file is part of Navette.
//
// Courses to measure with, and Moodle's own work on them, which nobody can do without:
//   php moodle_work.php course SHORTNAME SIZE FILES MIB    a generated course, and FILES more of MIB MiB
//   php moodle_work.php change COURSEID NUMBER             a small change: one file of 1 MiB, one summary
//   php moodle_work.php export COURSEID DIR                Moodle's backup without file contents, unpacked, into DIR
//   php moodle_work.php import DIR CATEGORYID              its restore, the contents being in the site's pool
// Prints a JSON object; seconds is the time of the work alone, Moodle's own start not counted.

define('CLI_SCRIPT', true);
require(__DIR__ . '/config.php');
require_once($CFG->dirroot . '/backup/util/includes/backup_includes.php');
require_once($CFG->dirroot . '/backup/util/includes/restore_includes.php');
require_once($CFG->dirroot . '/course/lib.php');

[, $what] = $argv;
[$first, $second, $third, $fourth] = array_slice($argv, 2) + [null, null, null, null];
\core\session\manager::set_user(get_admin());

/**
 * A file that nothing can compress, in a resource's own area, as a page of a course would have it.
 */
function bench_file(int $course, string $name, int $mib): void {
    $cm = current(get_fast_modinfo($course)->get_instances_of('resource'));
    $path = make_request_directory() . '/content';
    $out = fopen($path, 'wb');
    for ($i = 0; $i < $mib; $i++) {
        fwrite($out, random_bytes(1 << 20));
    }
    fclose($out);
    get_file_storage()->create_file_from_pathname(['contextid' => context_module::instance($cm->id)->id,
        'component' => 'mod_resource', 'filearea' => 'content', 'itemid' => 0, 'filepath' => '/',
        'filename' => $name, 'userid' => get_admin()->id], $path);
    unlink($path);
}

if ($what === 'course') {
    $course = $DB->get_field('course', 'id', ['shortname' => $first]);
    if (!$course) {
        ob_start();
        $sizes = ['XS' => 0, 'S' => 1, 'M' => 2, 'L' => 3];
        $backend = new tool_generator_course_backend($first, $sizes[$second], true, false, false);
        $course = $backend->make();
        ob_end_clean();
        for ($i = 0; $i < $third; $i++) {
            bench_file($course, "bench-$i.bin", (int) $fourth);
        }
        $role = $DB->get_field('role', 'id', ['shortname' => 'editingteacher']);
        role_assign($role, $DB->get_field('user', 'id', ['username' => 'teacher1']), context_course::instance($course));
    }
    $bytes = $DB->get_field_sql("SELECT SUM(b.filesize) FROM (SELECT DISTINCT f.contenthash, f.filesize FROM {files} f
        JOIN {context} x ON x.id = f.contextid WHERE x.path LIKE ?) b", [context_course::instance($course)->path . '/%']);
    echo json_encode(['course' => (int) $course, 'bytes' => (int) $bytes]), "\n";
    exit(0);
}
if ($what === 'change') {
    bench_file((int) $first, "change-$second.bin", 1);
    $DB->set_field('course_sections', 'summary', "<p>Change $second</p>", ['course' => $first, 'section' => 1]);
    rebuild_course_cache($first, true);
    echo "{}\n";
    exit(0);
}
if ($what === 'export') {
    $began = microtime(true);
    $CFG->backuptempdir = $second;
    $CFG->keeptempdirectoriesonbackup = true;
    $bc = new backup_controller(backup::TYPE_1COURSE, $first, backup::FORMAT_MOODLE, backup::INTERACTIVE_NO,
        backup::MODE_GENERAL, get_admin()->id);
    foreach (['users' => 0, 'files' => 0] as $name => $value) {
        $setting = $bc->get_plan()->get_setting($name);
        $setting->set_status(base_setting::NOT_LOCKED);
        $setting->set_value($value);
    }
    $bc->execute_plan();
    $bc->get_results()['backup_destination']->delete();
    $id = $bc->get_backupid();
    $bc->destroy();
    echo json_encode(['seconds' => microtime(true) - $began, 'tree' => "$second/$id"]), "\n";
    exit(0);
}
$began = microtime(true);
$CFG->backuptempdir = dirname($first);
$CFG->keeptempdirectoriesonbackup = true;
$course = restore_dbops::create_new_course('Bench', 'BENCH-' . random_string(10), $second);
$rc = new restore_controller(basename($first), $course, backup::INTERACTIVE_NO, backup::MODE_GENERAL, get_admin()->id,
    backup::TARGET_NEW_COURSE);
$rc->get_plan()->get_setting('enrolments')->set_value(backup::ENROL_ALWAYS);
$rc->execute_precheck();
$rc->execute_plan();
$missing = $rc->get_results()['file_missing_in_backup'] ?? false;
$rc->destroy();
echo json_encode(['seconds' => microtime(true) - $began, 'course' => (int) $course, 'missing' => (bool) $missing]), "\n";
