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
 * The enrolment methods of an unpacked backup, as its course/enrolments.xml names them.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class enrolments {
    /**
     * Say which of the backup's methods, of those that were switched on, the restored course lacks:
     * Moodle leaves them out in silence.
     *
     * @param string $tree the unpacked backup
     * @param int $courseid
     */
    public static function tell_missing(string $tree, int $courseid): void {
        global $DB;
        $there = $DB->get_fieldset_select('enrol', 'enrol', 'courseid = ?', [$courseid]);
        // Of cohorts each is told (class references), unless their method is switched off on this site.
        $told = enrol_is_enabled('cohort') ? ['cohort'] : [];
        foreach (array_diff(self::methods($tree), $there, $told) as $method) {
            $name = get_string_manager()->string_exists('pluginname', "enrol_$method")
                ? get_string('pluginname', "enrol_$method") : $method;
            channel::warn("The course's enrolment method \"$name\" was not restored: " . ($method === 'meta'
                ? 'it takes its people from a course that is known by its number only.'
                : 'Moodle has no use for it on this site.'));
        }
    }

    /**
     * The methods that are switched on.
     *
     * @param string $tree
     * @return string[]
     */
    private static function methods(string $tree): array {
        $reader = new \XMLReader();
        if (
            !is_file("$tree/course/enrolments.xml")
            || !$reader->open("$tree/course/enrolments.xml", null, LIBXML_NONET | LIBXML_COMPACT)
        ) {
            return [];
        }
        $found = [];
        $method = null;
        // An enrol element holds one of the same name, with the method's; its people follow, by the thousand.
        while ($reader->read()) {
            if ($reader->nodeType !== \XMLReader::ELEMENT) {
                continue;
            }
            if ($reader->name === 'enrol' && $reader->getAttribute('id') === null) {
                $method = clean_param($reader->readString(), PARAM_PLUGIN);
            } else if ($reader->name === 'status' && $method !== null) {
                if ((int) $reader->readString() === ENROL_INSTANCE_ENABLED && $method !== '') {
                    $found[$method] = $method;
                }
                $method = null;
            }
        }
        $reader->close();
        return $found;
    }
}
