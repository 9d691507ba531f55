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

namespace block_navette\event;

/**
 * A course was restored.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class course_restored extends \core\event\base {
    /**
     * What kind of event it is.
     */
    protected function init() {
        $this->data['crud'] = 'c';
        $this->data['edulevel'] = self::LEVEL_OTHER;
    }

    /**
     * Its name.
     *
     * @return string
     */
    public static function get_name() {
        return get_string('event_course_restored', 'block_navette');
    }

    /**
     * What happened, for the log.
     *
     * @return string
     */
    public function get_description() {
        return "Request '{$this->other['request']}' restored the course '{$this->other['remotecourse']}' "
            . "of '{$this->other['site']}' as the course with id '{$this->courseid}'.";
    }

    /**
     * Log it.
     *
     * @param \stdClass $row of the restore
     */
    public static function tell(\stdClass $row): void {
        self::create(['context' => \context_course::instance($row->courseid), 'relateduserid' => $row->userid,
            'other' => ['request' => $row->requestid, 'site' => $row->site,
                'remotecourse' => $row->remotecourse]])->trigger();
    }
}
