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
 * Plugins that a course needs.  The course server looks whether the client has them where it knows the
 * client's list; the client looks again, since that list may be old, or missing.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class needs {
    /**
     * What a course needs of what is installed here: the rest cannot be restored anywhere.
     *
     * @param \stdClass $course
     * @return int[] component to version number
     */
    public static function of(\stdClass $course): array {
        global $DB;
        $context = \context_course::instance($course->id);
        $path = $DB->sql_like_escape($context->path) . '/%';
        $inside = '(ctx.id = :context OR ' . $DB->sql_like('ctx.path', ':path') . ')';
        $params = ['context' => $context->id, 'path' => $path];
        $needed = ["format_$course->format"];
        foreach (
            $DB->get_fieldset_sql(
                'SELECT DISTINCT m.name FROM {course_modules} cm
                JOIN {modules} m ON m.id = cm.module WHERE cm.course = :course AND cm.deletioninprogress = 0',
                ['course' => $course->id]
            ) as $name
        ) {
            $needed[] = "mod_$name";
        }
        foreach (
            $DB->get_fieldset_sql("SELECT DISTINCT q.qtype FROM {question} q
                JOIN {question_versions} v ON v.questionid = q.id
                JOIN {question_bank_entries} e ON e.id = v.questionbankentryid
                JOIN {question_categories} c ON c.id = e.questioncategoryid
                JOIN {context} ctx ON ctx.id = c.contextid WHERE $inside", $params) as $name
        ) {
            $needed[] = "qtype_$name";
        }
        // The backup holds what its activities take from other courses' banks, too.
        foreach (shared_banks::types((int) $course->id) as $name) {
            $needed[] = "qtype_$name";
        }
        foreach (
            $DB->get_fieldset_sql("SELECT DISTINCT b.blockname FROM {block_instances} b
                JOIN {context} ctx ON ctx.id = b.parentcontextid WHERE $inside", $params) as $name
        ) {
            $needed[] = "block_$name";
        }
        return array_intersect_key(site::plugins(), array_flip($needed));
    }

    /**
     * Does the client have them?  A missing block or an older plugin is only told; so is, where the request
     * leaves out what the client lacks, a question type or the course format, which Moodle shows as well as it can.
     *
     * @param int[] $needed component to version number, 0: not known
     * @param int[] $has what the client has
     * @param string $course its id, for people
     * @param bool $leaveout activities may be left out
     * @param bool $here the course is on this site: quizzes with questions of a missing type are named
     * @return string[] modules whose activities are to be left out
     */
    public static function check(array $needed, array $has, string $course, bool $leaveout, bool $here): array {
        $lacking = [];
        foreach ($needed as $name => $version) {
            [$type, $plugin] = explode('_', $name, 2) + ['', ''];
            if (isset($has[$name])) {
                if ($has[$name] < $version) {
                    channel::warn("The client's $name is older ({$has[$name]}) than the course server's ($version).");
                }
            } else if ($type === 'block') {
                channel::warn("The client lacks $name: the block is left out.");
            } else if (!$leaveout || !in_array($type, ['mod', 'qtype', 'format'], true)) {
                throw failure::reject('plugin_missing', "course $course needs the plugin $name, which the client lacks");
            } else if ($type === 'mod') {
                $lacking[] = $plugin;
            } else if ($type === 'format') {
                channel::warn("The receiving site has no course format $plugin: the course is shown in its default format.");
            } else {
                channel::warn("The receiving site has no question type $plugin: such questions come as questions of a "
                    . 'missing type' . ($here ? self::used_in($plugin, $course) : '') . '.');
            }
        }
        return $lacking;
    }

    /**
     * The quizzes that use questions of a type.
     *
     * @param string $type
     * @param string $course its id
     * @return string '' where nothing is known of them
     */
    private static function used_in(string $type, string $course): string {
        global $DB;
        $names = $DB->get_fieldset_sql(
            "SELECT DISTINCT z.name
               FROM {quiz} z
               JOIN {quiz_slots} s ON s.quizid = z.id
               JOIN {question_references} r ON r.itemid = s.id AND r.component = 'mod_quiz' AND r.questionarea = 'slot'
               JOIN {question_versions} v ON v.questionbankentryid = r.questionbankentryid
               JOIN {question} q ON q.id = v.questionid
              WHERE z.course = :course AND q.qtype = :type
           ORDER BY z.name",
            ['course' => $course, 'type' => $type]
        );
        $names = array_map(fn($name) => names::plain($name, current_language()), $names);
        return $names ? ', in "' . implode('", "', $names) . '"' : '';
    }

    /**
     * With user data a graded activity is not left out.
     *
     * @param int $course
     * @param string[] $lacking modules
     * @param string $lang the requester's language
     */
    public static function check_graded(int $course, array $lacking, string $lang): void {
        global $DB;
        if (!$lacking) {
            return;
        }
        [$in, $params] = $DB->get_in_or_equal($lacking, SQL_PARAMS_NAMED);
        // What is being deleted is not in the backup.
        $items = $DB->get_records_sql(
            "SELECT i.id, i.itemname, i.itemmodule
               FROM {grade_items} i
               JOIN {modules} m ON m.name = i.itemmodule
               JOIN {course_modules} cm ON cm.module = m.id AND cm.instance = i.iteminstance AND cm.course = i.courseid
              WHERE i.courseid = :course AND i.itemtype = 'mod' AND i.gradetype IN (1, 2)
                    AND cm.deletioninprogress = 0 AND i.itemmodule $in
           ORDER BY i.sortorder",
            ['course' => $course] + $params,
            0,
            1
        );
        foreach ($items as $item) {
            throw lacking::graded(names::plain((string) $item->itemname, $lang), $item->itemmodule);
        }
    }

    /**
     * A list of plugins as the messages have it.
     *
     * @param int[] $plugins
     * @return array[]
     */
    public static function to_list(array $plugins): array {
        $list = [];
        foreach ($plugins as $name => $version) {
            $list[] = ['name' => $name, 'version' => $version];
        }
        return $list;
    }

    /**
     * The same the other way round.
     *
     * @param mixed $list
     * @return int[]
     */
    public static function from_list($list): array {
        $plugins = [];
        foreach ((array) $list as $plugin) {
            $plugins[(string) ($plugin->name ?? '')] = (int) ($plugin->version ?? 0);
        }
        return $plugins;
    }
}
