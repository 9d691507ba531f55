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
 * From here on the course server's whole site is the course here: whatever a backup puts there (a block, a comment, a
 * reference) stays inside. Scales and outcomes come before, since Moodle keeps the pictures in their descriptions at the
 * site, and removes them with their scale or outcome.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class system_step extends \restore_execution_step {
    use step;

    /**
     * Map it.
     */
    protected function define_execution() {
        \restore_dbops::set_backup_ids_record(
            $this->get_restoreid(),
            'context',
            $this->task->get_old_system_contextid(),
            \context_course::instance($this->get_courseid())->id
        );
    }
}
