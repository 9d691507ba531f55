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
 * Questions that a course uses from question banks of other courses, which Moodle 5 allows.
 *
 * Moodle's backup of the course holds these questions, whole, as if they were its own: what may not leave the site with the
 * other course may not leave it with this one.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class shared_banks {
    /**
     * Whose banks, and by which activities.
     *
     * @param int $courseid
     * @return \stdClass[] course, its category, name of the activity here that uses it
     */
    public static function uses(int $courseid): array {
        global $DB;
        $uses = [];
        foreach (self::categories($courseid) as $use) {
            $course = $DB->get_record_sql('SELECT c.id, c.category
                  FROM {question_categories} q
                  JOIN {context} x ON x.id = q.contextid AND x.contextlevel = :level
                  JOIN {course_modules} cm ON cm.id = x.instanceid
                  JOIN {course} c ON c.id = cm.course
                 WHERE q.id = :id AND c.id <> :course', ['level' => CONTEXT_MODULE, 'id' => $use->category, 'course' => $courseid]);
            if ($course) {
                $uses[] = (object) ['course' => (int) $course->id, 'category' => (int) $course->category,
                    'activity' => self::activity((int) $use->cmid)];
            }
        }
        return $uses;
    }

    /**
     * Types of the questions that a course's activities use, wherever their bank is.
     *
     * @param int $courseid
     * @return string[]
     */
    public static function types(int $courseid): array {
        global $DB;
        $types = 'SELECT DISTINCT q.qtype
              FROM {question} q
              JOIN {question_versions} v ON v.questionid = q.id';
        [$using, $params] = self::using($courseid);
        $found = $DB->get_fieldset_sql("$types
              JOIN {question_references} r ON r.questionbankentryid = v.questionbankentryid
              $using", $params);
        $picked = array_unique(array_column(self::picked($courseid), 'category'));
        if ($picked) {
            [$in, $params] = $DB->get_in_or_equal($picked);
            $found = array_merge($found, $DB->get_fieldset_sql("$types
                  JOIN {question_bank_entries} e ON e.id = v.questionbankentryid
                 WHERE e.questioncategoryid $in", $params));
        }
        return array_unique($found);
    }

    /**
     * What joins a reference r with the activity cm of a course.
     *
     * @param int $courseid
     * @return array SQL and parameters
     */
    private static function using(int $courseid): array {
        return ['JOIN {context} x ON x.id = r.usingcontextid AND x.contextlevel = :level
                 JOIN {course_modules} cm ON cm.id = x.instanceid AND cm.course = :course AND cm.deletioninprogress = 0',
            ['level' => CONTEXT_MODULE, 'course' => $courseid]];
    }

    /**
     * Question categories that a course's activities take questions from.
     *
     * @param int $courseid
     * @return \stdClass[] category, cmid
     */
    private static function categories(int $courseid): array {
        global $DB;
        [$using, $params] = self::using($courseid);
        $chosen = $DB->get_records_sql("SELECT MIN(r.id) AS id, e.questioncategoryid AS category, cm.id AS cmid
              FROM {question_references} r
              $using
              JOIN {question_bank_entries} e ON e.id = r.questionbankentryid
          GROUP BY e.questioncategoryid, cm.id", $params);
        return array_merge(array_values($chosen), self::picked($courseid));
    }

    /**
     * Those that random questions are picked from.
     *
     * @param int $courseid
     * @return \stdClass[] category, cmid
     */
    private static function picked(int $courseid): array {
        global $CFG, $DB;
        require_once($CFG->libdir . '/questionlib.php');
        [$using, $params] = self::using($courseid);
        $found = [];
        $sets = $DB->get_records_sql("SELECT r.id, r.filtercondition, cm.id AS cmid
              FROM {question_set_references} r
              $using", $params);
        foreach ($sets as $set) {
            // The condition decides; before Moodle 4.3 it had another form.
            $condition = json_decode((string) $set->filtercondition, true);
            $filter = $condition['filter']['category'] ?? [];
            $ids = (array) ($filter['values'] ?? $condition['questioncategoryid'] ?? []);
            if (!empty($filter['filteroptions']['includesubcategories']) || !empty($condition['includingsubcategories'])) {
                $ids = array_merge([], ...array_map('question_categorylist', array_values($ids)));
            }
            foreach ($ids as $id) {
                $found[] = (object) ['category' => (int) $id, 'cmid' => (int) $set->cmid];
            }
        }
        return $found;
    }

    /**
     * What an activity is called.
     *
     * @param int $cmid
     * @return string
     */
    private static function activity(int $cmid): string {
        [, $cm] = get_course_and_cm_from_cmid($cmid);
        return (string) $cm->name;
    }
}
