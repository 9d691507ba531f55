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

namespace block_navette\local\contained;

/**
 * Restores calendar events of the course or of one of its activities, not of the site, and none of a person whom nobody
 * knows here.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class calendar_step extends \restore_calendarevents_structure_step {
    use step;

    /**
     * One event.
     *
     * @param array $data
     */
    public function process_calendarevents($data) {
        $data = (object) $data;
        if ($this->name === 'activity_calendar') {
            // One of a person's own (more time for a quiz, say) has no course.
            if (!$data->courseid && !$this->get_mappingid('user', $data->userid)) {
                return;
            }
            $data->modulename = $this->task->get_modulename();
        } else {
            $data->courseid = $this->get_courseid();
            $data->modulename = '';
        }
        parent::process_calendarevents($data);
    }
}
