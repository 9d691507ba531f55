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
     * Does the client have them?  A missing block or an older plugin is only told.
     *
     * @param int[] $needed component to version number, 0: not known
     * @param int[] $has what the client has
     * @param string $course its id, for people
     */
    public static function check(array $needed, array $has, string $course): void {
        foreach ($needed as $name => $version) {
            if (!isset($has[$name]) && strpos($name, 'block_') === 0) {
                channel::warn("The client lacks $name: the block is left out.");
            } else if (!isset($has[$name])) {
                throw failure::reject('plugin_missing', "course $course needs the plugin $name, which the client lacks");
            } else if ($has[$name] < $version) {
                channel::warn("The client's $name is older ({$has[$name]}) than the course server's ($version).");
            }
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
