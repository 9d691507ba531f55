<?php
// This file is part of Navette, a plugin for Moodle - https://moodle.org/
//
// Navette is free software: you can redistribute it and/or modify
// it under the terms of the GNU General Public License as published by
// the Free Software Foundation, either version 3 of the License, or
// (at your option) any later version.
//
// Navette is distributed in the hope that it will be useful,
// but WITHOUT ANY WARRANTY; without even the implied warranty of
// MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.  See the
// GNU General Public License for more details.
//
// You should have received a copy of the GNU General Public License
// along with Moodle.  If not, see <https://www.gnu.org/licenses/>.

namespace block_navette\local;

/**
 * The gradebook of a restored course.
 *
 * Since Moodle 5 a restore leaves the computing of totals to a task of its cron: until that has run, teachers see the
 * totals of the backup, or none. Here they are computed before the course appears, and the task goes.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class grades {
    /** Moodle's task, of the core component. */
    const TASK = 'core_course\task\regrade_final_grades';

    /**
     * Compute the totals, and say so where Moodle cannot.
     *
     * @param int $courseid
     * @param string $lang of the requester
     */
    public static function settle(int $courseid, string $lang): void {
        global $CFG, $DB;
        require_once($CFG->libdir . '/gradelib.php');
        // Without an item there is nothing to compute, and Moodle would make the first.
        $result = $DB->record_exists('grade_items', ['courseid' => $courseid]) ? grade_regrade_final_grades($courseid) : true;
        if ($result !== true) {
            $why = array_unique(array_map('strip_tags', array_filter((array) $result, 'is_string')));
            channel::warn(site::text('totalsfailed', implode(' ', $why), $lang));
        }
        self::forget_task($courseid);
    }

    /**
     * Nothing is left for the task to do.
     *
     * @param int $courseid
     */
    private static function forget_task(int $courseid): void {
        global $DB;
        if (!class_exists(self::TASK)) {
            return;
        }
        foreach ($DB->get_records('task_adhoc', ['classname' => '\\' . self::TASK], '', 'id, customdata') as $task) {
            if ((int) (json_decode((string) $task->customdata)->courseid ?? 0) !== $courseid) {
                continue;
            }
            \core\task\manager::delete_adhoc_task((int) $task->id);
            // The task's progress would be shown as pending in the gradebook.
            $name = \core\output\stored_progress_bar::convert_to_idnumber(self::TASK . '_' . $task->id);
            $DB->delete_records('stored_progress', ['idnumber' => $name]);
        }
    }
}
