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
 * Notes which question banks Moodle has made for questions that belong to no activity of the backup, and empties references to
 * questions that are of another site.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class banks_step extends \restore_execution_step {
    use step;

    /**
     * All are there now, and the notes of what came from where are still, too.
     */
    protected function define_execution() {
        if (!$this->task->is_samesite()) {
            $this->containment->references->note($this->get_restoreid());
        }
        $this->containment->banks->note($this->get_restoreid(), (int) $this->get_courseid());
    }
}
