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
 * Version of the plugin.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */

defined('MOODLE_INTERNAL') || die();

$plugin->component = 'block_navette';
$plugin->version = 2026120100;
$plugin->requires = 2022112800; // Moodle 4.1.
$plugin->supported = [401, 501];
$plugin->maturity = MATURITY_BETA;
$plugin->release = '0.2';
