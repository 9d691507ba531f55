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

namespace block_navette\privacy;

use core_privacy\local\metadata\collection;
use core_privacy\local\request\approved_contextlist;
use core_privacy\local\request\approved_userlist;
use core_privacy\local\request\contextlist;
use core_privacy\local\request\transform;
use core_privacy\local\request\userlist;
use core_privacy\local\request\writer;

/**
 * What is kept about people: who asked for which course.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class provider implements
    \core_privacy\local\metadata\provider,
    \core_privacy\local\request\core_userlist_provider,
    \core_privacy\local\request\plugin\provider {
    /** Name of the table. */
    const TABLE = 'block_navette_restores';

    /**
     * What is kept.
     *
     * @param collection $collection
     * @return collection
     */
    public static function get_metadata(collection $collection): collection {
        $fields = [];
        foreach (
            ['userid', 'site', 'remotecourse', 'courseid', 'state', 'userdata', 'enrolled', 'request',
                'timecreated', 'timemodified'] as $field
        ) {
            $fields[$field] = "privacy:restores:$field";
        }
        $collection->add_database_table(self::TABLE, $fields, 'privacy:restores');
        $collection->add_external_location_link('navette', ['username' => 'privacy:navette:username',
            'fullname' => 'privacy:navette:fullname', 'email' => 'privacy:navette:email',
            'lang' => 'privacy:navette:lang'], 'privacy:navette');
        return $collection;
    }

    /**
     * Where somebody's data are: all of it in the system context.
     *
     * @param int $userid
     * @return contextlist
     */
    public static function get_contexts_for_userid(int $userid): contextlist {
        global $DB;
        $contexts = new contextlist();
        if ($DB->record_exists(self::TABLE, ['userid' => $userid])) {
            $contexts->add_system_context();
        }
        return $contexts;
    }

    /**
     * Whose data are in a context.
     *
     * @param userlist $userlist
     */
    public static function get_users_in_context(userlist $userlist) {
        if ($userlist->get_context() instanceof \context_system) {
            $userlist->add_from_sql('userid', 'SELECT userid FROM {block_navette_restores} WHERE userid IS NOT NULL', []);
        }
    }

    /**
     * Somebody's data.
     *
     * @param approved_contextlist $contextlist
     */
    public static function export_user_data(approved_contextlist $contextlist) {
        global $DB;
        foreach ($contextlist->get_contexts() as $context) {
            if (!$context instanceof \context_system) {
                continue;
            }
            $restores = [];
            foreach ($DB->get_records(self::TABLE, ['userid' => $contextlist->get_user()->id], 'id') as $row) {
                $restores[] = ['site' => $row->site, 'remotecourse' => $row->remotecourse,
                    'shortname' => $row->shortname, 'state' => $row->state,
                    'userdata' => transform::yesno($row->userdata), 'enrolled' => transform::yesno($row->enrolled),
                    'request' => json_decode($row->request), 'timecreated' => transform::datetime($row->timecreated),
                    'timemodified' => transform::datetime($row->timemodified)];
            }
            writer::with_context($context)->export_data(
                [get_string('pluginname', 'block_navette')],
                (object) ['restores' => $restores]
            );
        }
    }

    /**
     * Everybody's data of a context go.
     *
     * @param \context $context
     */
    public static function delete_data_for_all_users_in_context(\context $context) {
        if ($context instanceof \context_system) {
            self::forget('userid IS NOT NULL', []);
        }
    }

    /**
     * Somebody's data go.
     *
     * @param approved_contextlist $contextlist
     */
    public static function delete_data_for_user(approved_contextlist $contextlist) {
        foreach ($contextlist->get_contexts() as $context) {
            if ($context instanceof \context_system) {
                self::forget('userid = :userid', ['userid' => $contextlist->get_user()->id]);
            }
        }
    }

    /**
     * The data of some go.
     *
     * @param approved_userlist $userlist
     */
    public static function delete_data_for_users(approved_userlist $userlist) {
        global $DB;
        if ($userlist->get_context() instanceof \context_system && $userlist->get_userids()) {
            [$in, $params] = $DB->get_in_or_equal($userlist->get_userids(), SQL_PARAMS_NAMED);
            self::forget("userid $in", $params);
        }
    }

    /**
     * Take the people out.  The row itself stays, so that the request keeps its one course.
     *
     * @param string $where
     * @param array $params
     */
    private static function forget(string $where, array $params): void {
        global $DB;
        foreach ($DB->get_records_select(self::TABLE, $where, $params, 'id', 'id, request') as $row) {
            $request = json_decode($row->request) ?: new \stdClass();
            foreach (['user', 'user_name', 'mail', 'lang', 'by'] as $field) {
                unset($request->$field);
            }
            $DB->update_record(self::TABLE, (object) ['id' => $row->id, 'userid' => null, 'message' => '',
                'request' => json_encode($request, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES)]);
        }
    }
}
