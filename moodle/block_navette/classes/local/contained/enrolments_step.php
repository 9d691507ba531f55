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
 * say) comes without its role. Cohorts are found by their identifiers.
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
        if ($data->enrol !== 'cohort' || $this->task->is_samesite() || !$this->keeps_methods() || !enrol_is_enabled('cohort')) {
            parent::process_enrol($data);
            return;
        }
        // Moodle knows cohorts by number only, and would leave this one out.
        $cohort = $this->containment->references->cohort((int) $data->customint1, (int) $data->status === ENROL_INSTANCE_ENABLED);
        $this->originalstatus[$data->id] = $data->status;
        $this->set_mapping('enrol', $data->id, $cohort ? $this->link_cohort(clone $data, $cohort) : 0);
    }

    /**
     * Do enrolment methods come as they are?
     *
     * @return bool
     */
    private function keeps_methods(): bool {
        $mode = $this->get_setting_value('enrolments');
        return $mode == \backup::ENROL_ALWAYS || ($mode == \backup::ENROL_WITHUSERS && $this->get_setting_value('users'));
    }

    /**
     * A cohort of this site, switched off: whom it holds is for a teacher to look at first.
     *
     * @param \stdClass $data
     * @param int $cohort
     * @return int id of the method
     */
    private function link_cohort(\stdClass $data, int $cohort): int {
        unset($data->id);
        $data->status = ENROL_INSTANCE_DISABLED;
        $data->customint1 = $cohort;
        $data->customint2 = (int) $this->get_mappingid('group', $data->customint2);
        $data->roleid = (int) $this->get_mappingid('role', $data->roleid);
        return (int) enrol_get_plugin('cohort')->add_instance(get_course($this->get_courseid()), (array) $data);
    }
}
