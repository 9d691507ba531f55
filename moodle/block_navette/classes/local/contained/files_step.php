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
 * Notes the backup's files, with a number of our own for each owner. Moodle gives a file to whomever its owner's number is
 * mapped to: users_step maps these numbers once it is known who is who. No backup knows them, so nothing but files follows.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class files_step extends \restore_load_included_files {
    use step;

    /**
     * One file.
     *
     * @param array|\stdClass $data
     */
    public function process_file($data) {
        $data = (object) $data;
        // An account's own (its picture) are made together with the account.
        if ($data->component !== 'user') {
            $data->userid = $this->containment->alias((int) $data->userid);
        }
        parent::process_file($data);
    }
}
