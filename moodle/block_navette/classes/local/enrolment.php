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
 * Joining a course that a colleague restored.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class enrolment {
    /**
     * Enrol; only into courses that were restored here.
     *
     * @param \stdClass $in course, user, role, user_field
     * @return array
     */
    public static function run(\stdClass $in): array {
        global $DB;
        $course = (string) ($in->course ?? '');
        $known = ctype_digit($course) && strlen($course) < 18 && restores::course_exists((int) $course)
            && $DB->record_exists(restores::TABLE, ['courseid' => $course, 'state' => restores::RESTORED]);
        if (!$known) {
            throw failure::reject('course_missing', "there is no restored course $course");
        }
        $role = (string) ($in->role ?? '') ?: settings::get('enrollrole');
        $user = people::find((string) ($in->user_field ?? ''), (string) ($in->user ?? ''));
        $new = people::enrol((int) $course, $user, $role);
        if ($new) {
            \block_navette\event\user_joined::tell((int) $course, (int) $user->id);
        }
        return ['enrolled' => true, 'already' => !$new];
    }
}
