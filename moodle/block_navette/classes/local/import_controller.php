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
 * Moodle's restore of a course, in one process, that stays inside the course.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class import_controller extends \restore_controller {
    use unsaved {
        set_status as private set_status_unsaved;
    }

    /** @var containment|null what keeps it inside */
    public $containment = null;

    /**
     * Change the status.
     *
     * @param int $status one of \backup::STATUS_...
     */
    public function set_status($status) {
        $this->set_status_unsaved($status);
        // Not before: with it the plan was saved, as Moodle knows it.
        if ($status == \backup::STATUS_EXECUTING) {
            $this->containment->contain($this->get_plan());
        }
    }
}
