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
 * Restores what roles may do in the course, and who has them, as far as the requester may decide that.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class roles_step extends \restore_ras_and_caps_structure_step {
    use step;

    /**
     * What a role may do here. Permissions that take something away are restored for everybody.
     *
     * @param array $data
     */
    public function process_override($data) {
        $data = (object) $data;
        // What is compared is what will be stored.
        $data->permission = (int) $data->permission;
        $takes = in_array($data->permission, [CAP_INHERIT, CAP_PREVENT, CAP_PROHIBIT], true);
        $roleid = (int) $this->get_mappingid('role', $data->roleid);
        if (!$takes && $roleid && !$this->containment->may_allow($data->capability, $roleid)) {
            return;
        }
        parent::process_override($data);
    }

    /**
     * Who has a role here.
     *
     * @param array $data
     */
    public function process_assignment($data) {
        $data = (object) $data;
        $roleid = (int) $this->get_mappingid('role', $data->roleid);
        $userid = (int) $this->get_mappingid('user', $data->userid);
        if ($roleid && $userid && !$this->containment->may_have($roleid, $userid)) {
            return;
        }
        parent::process_assignment($data);
    }
}
