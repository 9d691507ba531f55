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

namespace block_navette\local\contained;

/**
 * Restores enrolment methods. One that would give a role that may install H5P libraries to whoever enrols (self enrolment,
 * say) comes without its role.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class enrolments_step extends \restore_enrolments_structure_step {
    use step;

    /**
     * One method.
     *
     * @param array $data
     */
    public function process_enrol($data) {
        $data = (object) $data;
        $roleid = (int) $this->get_mappingid('role', $data->roleid);
        if ($roleid && !$this->containment->may_have($roleid)) {
            // No role has this number.
            $data->roleid = 0;
        }
        parent::process_enrol($data);
    }
}
