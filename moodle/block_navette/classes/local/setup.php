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
 * Make a site ready to be a course server or a client, and say what was done.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class setup {
    /**
     * Do it; doing it again changes nothing.
     *
     * @param \stdClass $in role: server, client or both
     * @return array
     */
    public static function run(\stdClass $in): array {
        $role = (string) ($in->role ?? '');
        if (!in_array($role, ['server', 'client', 'both'], true)) {
            throw failure::reject('bad_message', 'the role is server, client or both');
        }
        site::check_ready();
        $known = (string) get_config('block_navette', 'moodle_role');
        if ($known !== $role && $known !== '' && $known !== 'both' && $role !== 'both' && empty($in->force)) {
            // A site that is a server becomes a client as well, not instead.
            $role = 'both';
        }
        if ($known !== $role) {
            set_config('moodle_role', $role, 'block_navette');
            self::done("this site is now: $role");
        }
        self::check_locks();
        self::check_database();
        foreach (['zlib', 'xmlreader', 'xmlwriter', 'simplexml'] as $extension) {
            if (!extension_loaded($extension)) {
                channel::warn("PHP has no extension $extension.");
            }
        }
        if (!function_exists('pcntl_signal')) {
            channel::warn('PHP has no extension pcntl: a cancelled restore is cleaned up by the next sweep only.');
        }
        if ($role !== 'server') {
            self::client();
        }
        return ['role' => $role];
    }

    /**
     * Say what was done.
     *
     * @param string $text
     */
    private static function done(string $text): void {
        channel::write(['done' => $text]);
    }

    /**
     * What a client needs.
     */
    private static function client(): void {
        if ((string) get_config('block_navette', 'launchsecret') === '') {
            set_config('launchsecret', bin2hex(random_bytes(32)), 'block_navette');
            self::done('a secret for signing in to Navette was made: setting launchsecret');
        }
        $default = settings::get('defaultcategory');
        if (!categories::find($default, true)) {
            channel::warn($default === '' ? 'No default category is set (defaultcategory).'
                : "There is no category \"$default\" (defaultcategory).");
        }
        $role = settings::get('enrollrole');
        if (!people::roles([$role])) {
            channel::warn("There is no role \"$role\" (enrollrole).");
        }
        if (!enrol_is_enabled('manual')) {
            channel::warn('Manual enrolment is switched off: nobody can be enrolled in a restored course.');
        }
    }

    /**
     * Locks must end with the process that holds them.
     */
    private static function check_locks(): void {
        $factory = \core\lock\lock_config::get_lock_factory('block_navette');
        if (!$factory->supports_auto_release()) {
            channel::warn('This site\'s locks (' . get_class($factory) . ') outlive a process that is killed: '
                . 'set $CFG->lock_factory to one that does not, else a killed restore waits for a day.');
        }
    }

    /**
     * MariaDB refuses large rows otherwise.
     */
    private static function check_database(): void {
        global $DB;
        if ($DB->get_dbfamily() !== 'mysql') {
            return;
        }
        $row = $DB->get_record_sql("SHOW VARIABLES LIKE 'max_allowed_packet'");
        if ($row && $row->value < 64 << 20) {
            channel::warn("The database's max_allowed_packet is $row->value: courses with hundreds of activities "
                . 'need 64 MB.');
        }
    }
}
