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
 * A restore failed.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class restore_failed extends \core\event\base {
    /**
     * What kind of event it is.
     */
    protected function init() {
        $this->data['crud'] = 'r';
        $this->data['edulevel'] = self::LEVEL_OTHER;
    }

    /**
     * Its name.
     *
     * @return string
     */
    public static function get_name() {
        return get_string('event_restore_failed', 'block_navette');
    }

    /**
     * What happened, for the log.
     *
     * @return string
     */
    public function get_description() {
        return "Request '{$this->other['request']}' for the course '{$this->other['remotecourse']}' of '{$this->other['site']}' "
            . "failed: {$this->other['reason']}.";
    }

    /**
     * Log it.
     *
     * @param \stdClass $row of the restore
     * @param \block_navette\local\failure $why
     */
    public static function tell(\stdClass $row, \block_navette\local\failure $why): void {
        self::create(['context' => \context_system::instance(), 'relateduserid' => $row->userid,
            'other' => ['request' => $row->requestid, 'site' => $row->site, 'remotecourse' => $row->remotecourse,
                'reason' => $why->reason]])->trigger();
    }
}
