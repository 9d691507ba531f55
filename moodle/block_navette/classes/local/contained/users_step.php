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

/**
 * Makes the accounts that are not here yet, and says whose the files are.
 *
 * No backup of Moodle's holds a password: one that does would open an account of this site to whoever wrote it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class users_step extends \restore_create_included_users {
    use step;

    /**
     * Make them.
     */
    protected function define_execution() {
        global $DB;
        $new = $DB->get_records('backup_ids_temp', ['backupid' => $this->get_restoreid(), 'itemname' => 'user',
            'newitemid' => 0], '', 'id, itemid, info');
        foreach ($new as $row) {
            $user = (array) \backup_controller_dbops::decode_backup_temp_info($row->info);
            if (isset($user['password']) || isset($user['secret'])) {
                unset($user['password'], $user['secret']);
                $info = \backup_controller_dbops::encode_backup_temp_info($user);
                $DB->set_field('backup_ids_temp', 'info', $info, ['id' => $row->id]);
            }
        }
        \restore_dbops::reset_backup_ids_cached();
        parent::define_execution();
        foreach ($new as $row) {
            $userid = (int) \restore_dbops::get_backup_ids_record($this->get_restoreid(), 'user', $row->itemid)->newitemid;
            $context = $userid ? \context_user::instance($userid, IGNORE_MISSING) : null;
            if ($context) {
                $DB->set_field('files', 'userid', $userid, ['contextid' => $context->id, 'component' => 'user']);
            }
        }
        $this->containment->settle_owners($this->get_restoreid());
    }
}
