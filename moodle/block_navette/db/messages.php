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
 * Message providers: in Moodle and by mail unless people switch it off.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */

defined('MOODLE_INTERNAL') || die();

$messageproviders = [];
// A course was restored; a restore failed; for administrators, why a restore failed.
foreach (['restored' => null, 'failed' => null, 'problem' => 'moodle/site:config'] as $name => $capability) {
    $messageproviders[$name] = ['defaults' => [
        'popup' => MESSAGE_PERMITTED + MESSAGE_DEFAULT_ENABLED,
        'email' => MESSAGE_PERMITTED + MESSAGE_DEFAULT_ENABLED,
    ]];
    if ($capability) {
        $messageproviders[$name]['capability'] = $capability;
    }
}
