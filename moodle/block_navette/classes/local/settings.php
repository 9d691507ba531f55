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
 * The plugin's settings: names, kinds and defaults in one table, from which the settings page comes.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class settings {
    /** Name to kind and default; the older block's names where it has them. */
    const TABLE = [
        'moodle_role' => ['role', ''],
        'search_roles' => ['text', 'editingteacher'],
        'userfield' => ['field', 'username'],
        'authmethods' => ['text', ''],
        'categorytable' => ['text', 'course_categories'],
        'categorytable_foreignkey' => ['text', 'id'],
        'categorytable_categoryfield' => ['text', 'idnumber'],
        'defaultcategory' => ['text', ''],
        'restorecourseinoriginalcategory' => ['bool', 0],
        'defaultcategorychecked' => ['bool', 1],
        'checkrequestercapascoursecreate' => ['bool', 1],
        'onlyoneremoteinstance' => ['bool', 1],
        'restoreuserdata' => ['bool', 0],
        'fallbackwithoutuserdata' => ['bool', 0],
        'leaveoutlacking' => ['bool', 1],
        'samesite_numbers' => ['bool', 0],
        'memorylimit' => ['text', '2048M'],
        'enrolmentmode' => ['mode', 'always'],
        'autoenrol_requester' => ['bool', 1],
        'enrollbutton' => ['bool', 1],
        'enrollrole' => ['text', 'editingteacher'],
        'warningstoowner' => ['bool', 1],
        'includeexternalurlinmail' => ['bool', 0],
        'navetteurl' => ['url', ''],
        'launchsecret' => ['secret', ''],
    ];

    /**
     * The settings page.
     *
     * @param \admin_settingpage $page
     */
    public static function add_to(\admin_settingpage $page): void {
        foreach (self::TABLE as $name => [$kind, $default]) {
            $args = ["block_navette/$name", new \lang_string("setting_$name", 'block_navette'),
                new \lang_string("setting_{$name}_desc", 'block_navette'), $default];
            switch ($kind) {
                case 'bool':
                    $page->add(new \admin_setting_configcheckbox(...$args));
                    break;
                case 'role':
                    $page->add(new \admin_setting_configselect(...array_merge($args, [self::choices(
                        'role',
                        ['', 'server', 'client', 'both']
                    )])));
                    break;
                case 'field':
                    $page->add(new \admin_setting_configselect(...array_merge($args, [
                        ['username' => get_string('username'), 'idnumber' => get_string('idnumber'),
                            'email' => get_string('email')]])));
                    break;
                case 'mode':
                    $page->add(new \admin_setting_configselect(...array_merge($args, [self::choices(
                        'mode',
                        ['always', 'with-users', 'manual']
                    )])));
                    break;
                case 'url':
                    $page->add(new \admin_setting_configtext(...array_merge($args, [PARAM_URL])));
                    break;
                case 'secret':
                    $page->add(new \admin_setting_configpasswordunmask(...$args));
                    break;
                default:
                    $page->add(new \admin_setting_configtext(...array_merge($args, [PARAM_RAW_TRIMMED])));
            }
        }
    }

    /**
     * Choices with their names.
     *
     * @param string $prefix
     * @param string[] $values
     * @return string[]
     */
    private static function choices(string $prefix, array $values): array {
        $choices = [];
        foreach ($values as $value) {
            $choices[$value] = get_string(
                $prefix . '_' . str_replace('-', '', $value === '' ? 'unset' : $value),
                'block_navette'
            );
        }
        return $choices;
    }

    /**
     * A setting, or its default where nobody has set it; an empty choice or identification counts as not set.
     *
     * @param string $name
     * @return bool|string
     */
    public static function get(string $name) {
        [$kind, $default] = self::TABLE[$name];
        $value = get_config('block_navette', $name);
        if ($value === false || ($value === '' && in_array($kind, ['field', 'mode'], true))) {
            $value = $default;
        }
        if ($kind === 'bool') {
            // What Moodle stores is 0 or 1; the command line lets people write words.
            return !in_array(strtolower(trim((string) $value)), ['', '0', 'no', 'off', 'false'], true);
        }
        return trim((string) $value);
    }

    /**
     * The answer to "settings": everything but secrets.
     *
     * @return array
     */
    public static function all(): array {
        $all = [];
        foreach (self::TABLE as $name => [$kind, $default]) {
            if ($kind !== 'secret') {
                $all[$name] = self::get($name);
            }
        }
        $all['facts'] = self::facts();
        return $all;
    }

    /**
     * What "navette doctor" compares with the other machines, and what cannot be right.
     *
     * @return array
     */
    private static function facts(): array {
        global $CFG;
        $named = array_values(array_filter(array_map('trim', explode(',', self::get('search_roles')))));
        $known = array_keys(people::roles($named));
        $enrolrole = self::get('enrollrole');
        return [
            'issuer' => $CFG->wwwroot,
            'launch_fingerprint' => self::fingerprint((string) get_config('block_navette', 'launchsecret')),
            'search_roles_unknown' => array_values(array_diff($named, $known)),
            'enrol_role_unknown' => people::roles([$enrolrole]) ? null : $enrolrole,
        ];
    }

    /**
     * Tells whether two machines have the same secret, without showing it.
     *
     * @param string $secret
     * @return string empty without a secret that can be used
     */
    private static function fingerprint(string $secret): string {
        return strlen($secret) < 32 ? '' : substr(hash_hmac('sha256', 'navette launch secret', $secret), 0, 16);
    }
}
