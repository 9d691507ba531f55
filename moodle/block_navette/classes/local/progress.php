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
 * Moodle's progress of a backup or restore, passed on.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class progress extends \core\progress\base {
    /** @var string name of the step */
    private $step;

    /**
     * Constructor.
     *
     * @param string $step
     */
    public function __construct(string $step) {
        $this->step = $step;
    }

    /**
     * Called by Moodle at most once a second; also where we notice that nobody wants us any more.
     */
    public function update_progress() {
        [, $done] = $this->get_progress_proportion_range();
        channel::progress($this->step, (int) round($done * 1000), 1000);
    }
}
