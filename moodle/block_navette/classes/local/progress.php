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

    /** @var naming|null told what a backup names meanwhile */
    private $naming = null;

    /** @var string of that backup */
    private $backupid = '';

    /**
     * Constructor.
     *
     * @param string $step
     */
    public function __construct(string $step) {
        $this->step = $step;
    }

    /**
     * Of a backup: let it look at what was named, at every step.
     *
     * @param naming $naming
     * @param string $backupid
     */
    public function follow(naming $naming, string $backupid): void {
        $this->naming = $naming;
        $this->backupid = $backupid;
    }

    /**
     * Moodle keeps a copy of the controller, and of us in it, which nobody will wake up.
     *
     * @return string[]
     */
    public function __sleep() {
        return ['step'];
    }

    /**
     * Moodle has come a little further.
     *
     * @param int $progress
     */
    public function progress($progress = self::INDETERMINATE) {
        parent::progress($progress);
        if ($this->naming) {
            $this->naming->look($this->backupid);
        }
    }

    /**
     * Called by Moodle at most once a second; also where we notice that nobody wants us any more.
     */
    public function update_progress() {
        [, $done] = $this->get_progress_proportion_range();
        channel::progress($this->step, (int) round($done * 1000), 1000);
    }
}
