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

/**
 * Upgrade.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */

/**
 * Upgrade from an earlier version.
 *
 * @param int $oldversion
 * @return bool
 */
function xmldb_block_navette_upgrade($oldversion) {
    global $DB;
    if ($oldversion < 2026113020) {
        $table = new xmldb_table('block_navette_restores');
        $field = new xmldb_field('nexttry', XMLDB_TYPE_INTEGER, '10', null, XMLDB_NOTNULL, null, '0', 'restoredat');
        if (!$DB->get_manager()->field_exists($table, $field)) {
            $DB->get_manager()->add_field($table, $field);
        }
        upgrade_block_savepoint(true, 2026113020, 'navette');
    }
    return true;
}
