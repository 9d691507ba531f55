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
 * Opens Navette with a short-lived token, so that nobody types a password twice.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */

require(__DIR__ . '/../../config.php');

$instance = required_param('instance', PARAM_INT);
require_login(null, false);
// No sesskey: nothing is changed here, and whoever another page sends here comes to Navette as who they are.
// Navette's own page does so when it has to know anew what somebody may.
$context = context_block::instance($instance);
require_capability('block/navette:view', $context);
if (isguestuser() || \core\session\manager::is_loggedinas()) {
    throw new moodle_exception('nopermissions', 'error', '', get_string('open', 'block_navette'));
}
$PAGE->set_context($context);
$PAGE->set_url('/blocks/navette/launch.php', ['instance' => $instance]);
redirect(\block_navette\local\launch::url($USER, $instance));
