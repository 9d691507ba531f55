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
 * How much a course has, by kind and type: counted on the course server after its backup, and on the
 * client after the restore, by the same queries.  The daemons compare the two (proto/inventory.h).
 *
 * Everything is counted in the database and not in the archive, since what Moodle's backup leaves
 * out never gets into one: activities without backup support, say.  Files are the exception: which of
 * them are user data only the backup's own list knows.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class inventory {
    /**
     * What a course has.  Each kind that was counted has a line, even where there is nothing of it: a
     * kind without one was not counted.
     *
     * @param int $courseid
     * @param bool $users user data, too
     * @return array[] kind, type, count
     */
    public static function count(int $courseid, bool $users): array {
        $context = \context_course::instance($courseid);
        $found = ['section' => self::sections($courseid), 'activity' => self::activities($courseid),
            'question' => self::questions($context)];
        if ($users) {
            $found += ['person' => self::people($courseid), 'grade' => self::grades($courseid),
                'completion' => self::completions($courseid)];
        }
        return self::lines($found);
    }

    /**
     * The course's files that a backup brings.
     *
     * @param int $courseid
     * @param string $tree the unpacked backup
     * @return array[] kind, type, count
     */
    public static function count_backed_up(int $courseid, string $tree): array {
        global $DB;
        [$inside, $params] = self::inside(\context_course::instance($courseid), 'ctx');
        $contexts = $DB->get_records_sql_menu("SELECT ctx.id, ctx.id AS same FROM {context} ctx WHERE $inside", $params);
        $number = [];
        foreach (contents::each($tree) as $file) {
            if (isset($contexts[$file->contextid])) {
                $number[$file->component] = ($number[$file->component] ?? 0) + 1;
            }
        }
        return self::lines(['file' => $number]);
    }

    /**
     * The files of a restored course.
     *
     * @param int $courseid
     * @return array[] kind, type, count
     */
    public static function count_files(int $courseid): array {
        global $DB;
        [$inside, $params] = self::inside(\context_course::instance($courseid), 'ctx');
        return self::lines(['file' => $DB->get_records_sql_menu(
            "SELECT f.component, COUNT(1) AS number
               FROM {files} f
               JOIN {context} ctx ON ctx.id = f.contextid
              WHERE f.filename <> :folder AND $inside
           GROUP BY f.component",
            ['folder' => '.'] + $params
        )]);
    }

    /**
     * What a restored course has, beside what the course server counted.
     *
     * @param int $courseid
     * @param mixed $had the course server's; nothing where it counted nothing
     * @param bool $users the course has user data
     * @param bool $whole everything in the archive was asked of it
     * @return string|null JSON with had and has
     */
    public static function compared(int $courseid, $had, bool $users, bool $whole): ?string {
        if (empty($had) || !is_array($had)) {
            return null;
        }
        // Files that belong to left out users are among the archive's.
        $has = array_merge(self::count($courseid, $users), $whole ? self::count_files($courseid) : []);
        return json_encode(['had' => $had, 'has' => $has], JSON_UNESCAPED_UNICODE);
    }

    /**
     * As lines.
     *
     * @param array[] $found kind to (type to number)
     * @return array[]
     */
    private static function lines(array $found): array {
        $lines = [];
        foreach ($found as $kind => $types) {
            foreach ($types ?: ['' => 0] as $type => $number) {
                $lines[] = ['kind' => $kind, 'type' => (string) $type, 'count' => (int) $number];
            }
        }
        return $lines;
    }

    /**
     * The course's own contexts: itself, its activities, their blocks.
     *
     * @param \context $context the course's
     * @param string $name of the table in the query; parameters are named after it
     * @return array condition and parameters
     */
    private static function inside(\context $context, string $name): array {
        global $DB;
        return ["($name.id = :{$name}id OR " . $DB->sql_like("$name.path", ":{$name}path") . ')', [
            "{$name}id" => $context->id, "{$name}path" => $DB->sql_like_escape($context->path) . '/%']];
    }

    /**
     * Sections.  Those that belong to an activity (subsections) come and go with it.
     *
     * @param int $courseid
     * @return array
     */
    private static function sections(int $courseid): array {
        global $DB;
        $delegated = isset($DB->get_columns('course_sections')['component']);
        return ['' => $DB->count_records_select(
            'course_sections',
            'course = ?' . ($delegated ? ' AND component IS NULL' : ''),
            [$courseid]
        )];
    }

    /**
     * Activities by module, those in the recycle bin's queue left out.
     *
     * @param int $courseid
     * @return array
     */
    private static function activities(int $courseid): array {
        global $DB;
        return $DB->get_records_sql_menu(
            'SELECT m.name, COUNT(1) AS number
               FROM {course_modules} cm
               JOIN {modules} m ON m.id = cm.module
               JOIN {course_sections} s ON s.id = cm.section AND s.course = cm.course
              WHERE cm.course = :course AND cm.deletioninprogress = 0
           GROUP BY m.name',
            ['course' => $courseid]
        );
    }

    /**
     * Entries of question banks by the type of their newest version: those in the course, and those of
     * other banks that its activities use, since a restore may bring the ones for the others.
     *
     * @param \context $context the course's
     * @return array
     */
    private static function questions(\context $context): array {
        global $DB;
        [$own, $params] = self::inside($context, 'own');
        [$using, $more] = self::inside($context, 'used');
        return $DB->get_records_sql_menu(
            "SELECT q.qtype, COUNT(1) AS number
               FROM (SELECT e.id
                       FROM {question_bank_entries} e
                       JOIN {question_categories} c ON c.id = e.questioncategoryid
                       JOIN {context} own ON own.id = c.contextid
                      WHERE $own
                      UNION
                     SELECT r.questionbankentryid
                       FROM {question_references} r
                       JOIN {context} used ON used.id = r.usingcontextid
                      WHERE $using) entry
               JOIN {question_versions} v ON v.questionbankentryid = entry.id
               JOIN {question} q ON q.id = v.questionid
              WHERE v.status <> :gone AND q.parent = 0 AND q.qtype <> :random
                    AND NOT EXISTS (SELECT 1
                                      FROM {question_versions} n
                                     WHERE n.questionbankentryid = entry.id AND n.version > v.version
                                           AND n.status <> :gonetoo)
           GROUP BY q.qtype",
            $params + $more + ['gone' => 'hidden', 'gonetoo' => 'hidden', 'random' => 'random']
        );
    }

    /**
     * People who are enrolled, by whatever method.
     *
     * @param int $courseid
     * @return array
     */
    private static function people(int $courseid): array {
        global $DB;
        return ['' => (int) $DB->get_field_sql(
            'SELECT COUNT(DISTINCT ue.userid)
               FROM {user_enrolments} ue
               JOIN {enrol} e ON e.id = ue.enrolid
               JOIN {user} u ON u.id = ue.userid
              WHERE e.courseid = :course AND u.deleted = 0',
            ['course' => $courseid]
        )];
    }

    /**
     * Grades that somebody or some activity gave; totals are computed.
     *
     * @param int $courseid
     * @return array
     */
    private static function grades(int $courseid): array {
        global $DB;
        return $DB->get_records_sql_menu(
            "SELECT COALESCE(gi.itemmodule, 'manual') AS type, COUNT(1) AS number
               FROM {grade_grades} g
               JOIN {grade_items} gi ON gi.id = g.itemid
               JOIN {user} u ON u.id = g.userid
              WHERE gi.courseid = :course AND gi.itemtype IN ('mod', 'manual') AND g.finalgrade IS NOT NULL
                    AND u.deleted = 0
                    AND NOT EXISTS (SELECT 1 FROM {course_modules} cm JOIN {modules} m ON m.id = cm.module
                                     WHERE gi.itemtype = 'mod' AND m.name = gi.itemmodule
                                           AND cm.instance = gi.iteminstance AND cm.course = gi.courseid
                                           AND cm.deletioninprogress <> 0)
           GROUP BY COALESCE(gi.itemmodule, 'manual')",
            ['course' => $courseid]
        );
    }

    /**
     * Activities that people have completed.
     *
     * @param int $courseid
     * @return array
     */
    private static function completions(int $courseid): array {
        global $DB;
        return $DB->get_records_sql_menu(
            'SELECT m.name, COUNT(1) AS number
               FROM {course_modules_completion} c
               JOIN {course_modules} cm ON cm.id = c.coursemoduleid
               JOIN {modules} m ON m.id = cm.module
               JOIN {user} u ON u.id = c.userid
              WHERE cm.course = :course AND cm.deletioninprogress = 0 AND c.completionstate > 0 AND u.deleted = 0
           GROUP BY m.name',
            ['course' => $courseid]
        );
    }
}
