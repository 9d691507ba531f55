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
 * Which courses may this user bring?
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class catalog {
    /** Most courses in an answer. */
    const MAX = 5000;

    /**
     * Courses go out a line each; the result says what the question came to.
     *
     * @param \stdClass $in user, user_field, roles
     * @return array
     */
    public static function run(\stdClass $in): array {
        $result = ['status' => 'ok', 'error' => null, 'moodle_version' => site::version(),
            'at' => site::now()];
        $users = people::matches($in->user_field ?? 'username', (string) ($in->user ?? ''));
        if (count($users) !== 1) {
            $result['status'] = $users ? 'error' : 'unknown-user';
            $result['error'] = $users ? 'several accounts of this site have the ' . $in->user_field . ' "' . $in->user . '"'
                : null;
            return $result + ['count' => 0];
        }
        $held = people::courses((int) $users[0]->id, (array) ($in->roles ?? []));
        return $result + ['count' => self::tell($held)];
    }

    /**
     * Write the courses.
     *
     * @param string[] $held course id to role
     * @return int how many
     */
    private static function tell(array $held): int {
        global $DB;
        $count = 0;
        $identifiers = [];
        foreach (array_chunk(array_keys($held), 500) as $ids) {
            [$in, $params] = $DB->get_in_or_equal($ids);
            $sql = "SELECT c.id, c.shortname, c.fullname, c.startdate, c.category, cc.name
                      FROM {course} c
                      JOIN {course_categories} cc ON cc.id = c.category
                     WHERE c.id $in
                  ORDER BY c.sortorder, c.id";
            $modules = self::modules($ids);
            foreach ($DB->get_records_sql($sql, $params) as $course) {
                if ($count++ === self::MAX) {
                    channel::warn('the answer holds no more courses');
                    return self::MAX;
                }
                $category = (int) $course->category;
                if (!array_key_exists($category, $identifiers)) {
                    $identifiers[$category] = categories::identifier($category);
                }
                channel::write(['course' => [
                    'course' => (string) $course->id,
                    'shortname' => $course->shortname,
                    'fullname' => $course->fullname,
                    'category' => $identifiers[$category],
                    'category_name' => $course->name,
                    'role' => $held[$course->id],
                    'url' => site::course_url((int) $course->id),
                    'size' => 0,
                    'started' => (int) $course->startdate * 1000,
                    'modules' => $modules[$course->id] ?? [],
                ]]);
            }
        }
        return $count;
    }

    /**
     * Activities of courses by type, so that a client sees what it lacks before it asks.
     *
     * @param int[] $courses ids
     * @return array[] course id to a list of name, count
     */
    private static function modules(array $courses): array {
        global $DB;
        [$in, $params] = $DB->get_in_or_equal($courses);
        $rows = $DB->get_recordset_sql(
            "SELECT cm.course, m.name, COUNT(1) AS number
               FROM {course_modules} cm
               JOIN {modules} m ON m.id = cm.module
              WHERE cm.deletioninprogress = 0 AND cm.course $in
           GROUP BY cm.course, m.name
           ORDER BY cm.course, m.name",
            $params
        );
        // A type without its code is backed up by nobody.
        $here = \core_component::get_plugin_list('mod');
        $found = [];
        foreach ($rows as $row) {
            if (!isset($here[$row->name])) {
                continue;
            }
            $found[$row->course][] = ['name' => $row->name, 'count' => (int) $row->number];
        }
        $rows->close();
        return $found;
    }
}
