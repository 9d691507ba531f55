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
 * Accounts and the roles they hold.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class people {
    /**
     * All accounts that a value may mean: local ones, neither deleted nor suspended, of the
     * authentication methods that are allowed.
     *
     * @param string $field username, idnumber or email
     * @param string $value
     * @return \stdClass[]
     */
    public static function matches(string $field, string $value): array {
        global $CFG, $DB;
        if (!in_array($field, ['username', 'idnumber', 'email'], true)) {
            throw failure::reject(
                'bad_message',
                "users are identified by username, idnumber or email, not by $field"
            );
        }
        if ($value === '') {
            return [];
        }
        // Moodle's user names are in lower case; mail addresses are compared without regard to it.
        $where = 'deleted = 0 AND suspended = 0 AND mnethostid = :host AND ';
        $params = ['host' => $CFG->mnet_localhost_id];
        if ($field === 'idnumber') {
            $where .= 'idnumber = :value';
            $params['value'] = $value;
        } else {
            $where .= "LOWER($field) = :value";
            $params['value'] = \core_text::strtolower($value);
        }
        $users = $DB->get_records_select('user', $where, $params, 'id');
        $methods = array_filter(array_map('trim', explode(',', settings::get('authmethods'))));
        return array_values(array_filter($users, function ($user) use ($field, $value, $methods) {
            if (isguestuser($user) || ($methods && !in_array($user->auth, $methods, true))) {
                return false;
            }
            // A database's collation may find more than is meant.
            return $field === 'idnumber' ? $user->idnumber === $value
                : \core_text::strtolower($user->$field) === \core_text::strtolower($value);
        }));
    }

    /**
     * The one account a value means.
     *
     * @param string $field
     * @param string $value
     * @return \stdClass
     */
    public static function find(string $field, string $value): \stdClass {
        $users = self::matches($field, $value);
        if (count($users) === 1) {
            return $users[0];
        }
        throw failure::reject(
            'unknown_user',
            ($users ? 'several' : 'no') . " accounts of this site have the requester's $field"
        );
    }

    /**
     * Role ids by short name, in the order asked; unknown names are left out.
     *
     * @param string[] $shortnames
     * @return int[] short name to id
     */
    public static function roles(array $shortnames): array {
        global $DB;
        if (!$shortnames) {
            return [];
        }
        [$in, $params] = $DB->get_in_or_equal($shortnames);
        $known = $DB->get_records_select_menu('role', "shortname $in", $params, '', 'shortname, id');
        $roles = [];
        foreach ($shortnames as $name) {
            if (isset($known[$name])) {
                $roles[$name] = (int) $known[$name];
            }
        }
        return $roles;
    }

    /**
     * Courses in which a user holds one of the roles, in the course, its category or any above.
     *
     * @param int $userid
     * @param string[] $shortnames of roles; the first that fits is told
     * @param int $course only this one; 0: all
     * @return string[] course id to the role's short name
     */
    public static function courses(int $userid, array $shortnames, int $course = 0): array {
        global $DB;
        $held = [];
        foreach (self::roles($shortnames) as $shortname => $roleid) {
            $sql = 'SELECT DISTINCT ctx.id, ctx.contextlevel, ctx.instanceid, ctx.path
                      FROM {role_assignments} ra
                      JOIN {context} ctx ON ctx.id = ra.contextid
                     WHERE ra.userid = :user AND ra.roleid = :role AND ctx.contextlevel IN (:course, :category)';
            $contexts = $DB->get_records_sql($sql, ['user' => $userid, 'role' => $roleid,
                'course' => CONTEXT_COURSE, 'category' => CONTEXT_COURSECAT]);
            foreach ($contexts as $context) {
                if ($context->contextlevel == CONTEXT_COURSE) {
                    $ids = [$context->instanceid];
                } else {
                    // The path ends with this category, so that everything below begins with it.
                    $ids = $DB->get_fieldset_select(
                        'context',
                        'instanceid',
                        'contextlevel = :level AND ' . $DB->sql_like('path', ':path'),
                        ['level' => CONTEXT_COURSE, 'path' => $DB->sql_like_escape($context->path) . '/%']
                    );
                }
                foreach ($ids as $id) {
                    if ($id != SITEID && (!$course || $id == $course)) {
                        $held += [(int) $id => $shortname];
                    }
                }
            }
        }
        return $held;
    }

    /**
     * Enrol somebody by hand; doing it twice is fine.
     *
     * @param int $courseid
     * @param \stdClass $user
     * @param string $role short name
     * @return bool false: was enrolled with that role already
     */
    public static function enrol(int $courseid, \stdClass $user, string $role): bool {
        global $CFG, $DB;
        require_once($CFG->libdir . '/enrollib.php');
        $roleid = self::roles([$role])[$role] ?? 0;
        if (!$roleid) {
            throw failure::reject('config', $role === '' ? 'no role for enrolling is set'
                : "there is no role \"$role\" to enrol with");
        }
        $manual = enrol_get_plugin('manual');
        if (!$manual || !enrol_is_enabled('manual')) {
            throw failure::reject('config', 'manual enrolment is switched off on this site');
        }
        $course = get_course($courseid);
        $instance = $DB->get_records('enrol', ['courseid' => $courseid, 'enrol' => 'manual'], 'status, id', '*', 0, 1);
        $instance = reset($instance);
        if (!$instance) {
            $instance = $DB->get_record('enrol', ['id' => $manual->add_instance(
                $course,
                ['status' => ENROL_INSTANCE_ENABLED, 'roleid' => $roleid]
            )], '*', MUST_EXIST);
        }
        $context = \context_course::instance($courseid);
        $enrolled = $DB->get_record('user_enrolments', ['enrolid' => $instance->id, 'userid' => $user->id]);
        if (
            $enrolled && $enrolled->status == ENROL_USER_ACTIVE
                && $DB->record_exists('role_assignments', ['contextid' => $context->id, 'userid' => $user->id,
                    'roleid' => $roleid])
        ) {
            return false;
        }
        if ($instance->status != ENROL_INSTANCE_ENABLED) {
            $manual->update_status($instance, ENROL_INSTANCE_ENABLED);
        }
        $manual->enrol_user($instance, $user->id, $roleid, 0, 0, ENROL_USER_ACTIVE);
        return true;
    }
}
