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
 * Taking over the older block's history, so that what it restored counts as taken.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class adopt {
    /** The older block's table. */
    const TABLE = 'block_external_backuprestore';

    /** Its status of a restored course. */
    const PERFORMED = 2;

    /**
     * Do it; what was adopted before is left as it is.
     *
     * @param \stdClass $in sites: address of a course server to its name in Navette
     * @return array
     */
    public static function run(\stdClass $in): array {
        global $DB;
        if (!$DB->get_manager()->table_exists(self::TABLE)) {
            throw failure::reject('not_found', "the older block's table is not here");
        }
        $sites = [];
        foreach ((array) ($in->sites ?? []) as $url => $name) {
            $sites[rtrim((string) $url, '/')] = (string) $name;
        }
        $counts = ['adopted' => 0, 'known' => 0, 'unknown_site' => 0];
        foreach ($DB->get_records(self::TABLE, ['status' => self::PERFORMED], 'id') as $old) {
            $site = $sites[rtrim($old->externalmoodleurl, '/')] ?? '';
            if (!preg_match('/^[a-z0-9-]{1,32}$/D', $site)) {
                $counts['unknown_site']++;
                continue;
            }
            $counts[self::one($old, $site) ? 'adopted' : 'known']++;
        }
        return $counts;
    }

    /**
     * One row of it.
     *
     * @param \stdClass $old
     * @param string $site
     * @return bool false: adopted before
     */
    private static function one(\stdClass $old, string $site): bool {
        global $DB;
        $at = ((int) $old->timescheduleprocessed ?: (int) $old->timemodified) * 1000;
        // The id comes from the row, so that adopting it twice makes one.
        $hash = hash('sha256', "block_external_backuprestore/$old->id/$old->externalmoodleurl");
        $time = str_pad(dechex($at), 12, '0', STR_PAD_LEFT);
        $id = substr($time, 0, 8) . '-' . substr($time, 8, 4) . '-7' . substr($hash, 0, 3) . '-a' . substr($hash, 3, 3)
            . '-' . substr($hash, 6, 12);
        if (restores::get($id)) {
            return false;
        }
        $course = $DB->get_record('course', ['id' => (int) $old->courseid]);
        $user = $DB->get_record('user', ['id' => $old->userid]);
        $field = settings::get('userfield');
        $modes = [0 => 'manual', 1 => 'with-users', 2 => 'always'];
        $request = ['id' => $id, 'rev' => 1, 'site' => $site, 'course' => (string) $old->externalcourseid,
            'fullname' => $old->externalcoursename, 'source' => 'page', 'keep_category' => (bool) $old->internalcategory,
            'user_data' => (bool) $old->withuserdatas, 'enrolment' => $modes[(int) $old->enrolmentmode] ?? 'always',
            'now' => false, 'roles' => [], 'requested' => (int) $old->timecreated * 1000];
        if ($user) {
            $request += ['user' => $user->$field, 'user_name' => fullname($user), 'mail' => $user->email];
        }
        $transaction = $DB->start_delegated_transaction();
        $row = (object) ['requestid' => $id, 'site' => $site, 'remotecourse' => (string) $old->externalcourseid,
            'courseid' => (int) $old->courseid, 'userid' => $user->id ?? null, 'state' => restores::RESTORED,
            'userdata' => (int) $old->withuserdatas, 'enrolled' => 0, 'shortname' => $course->shortname ?? '',
            'fullname' => $course->fullname ?? $old->externalcoursename,
            'category' => $course ? (categories::identifier((int) $course->category) ?? $course->category) : '',
            'warnings' => '[]', 'restoredat' => $at, 'timecreated' => (int) $old->timecreated,
            'timemodified' => (int) $old->timemodified,
            'request' => json_encode($request, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES)];
        $DB->insert_record(restores::TABLE, $row);
        if ($course) {
            restores::take($row);
        }
        $transaction->allow_commit();
        return true;
    }
}
