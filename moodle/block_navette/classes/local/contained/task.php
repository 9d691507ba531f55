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

use block_navette\local\containment;

/**
 * A task of a restore, as the loop sees it that builds and executes one after the other.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class task extends \restore_task {
    /** @var \base_task Moodle's */
    private $task;

    /** @var containment */
    private $containment;

    /** @var \Closure to be called when the loop runs */
    private $begin;

    /**
     * Constructor.
     *
     * @param \base_task $task Moodle's
     * @param containment $containment
     * @param \Closure $begin to be called when the loop runs
     */
    public function __construct(\base_task $task, containment $containment, \Closure $begin) {
        parent::__construct($task->get_name());
        $this->task = $task;
        $this->containment = $containment;
        $this->begin = $begin;
    }

    /**
     * Its share of the progress.
     *
     * @return int
     */
    public function get_weight() {
        return $this->task->get_weight();
    }

    /**
     * Make its steps.
     */
    public function build() {
        ($this->begin)();
        $this->task->build();
        $this->containment->replace_steps($this->task);
    }

    /**
     * Do them.
     */
    public function execute() {
        $this->task->execute();
    }

    /**
     * It has none of its own.
     */
    protected function define_settings() {
    }
}
