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
 * Conditions (core_availability\tree) less those that name activities that were left out. What people could open before
 * they can open afterwards: where it would be enough to meet one condition of a list, and the one that goes was met by
 * everybody who had not done that activity, the whole list goes.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class conditions {
    /** A condition of completion that means the activity before. */
    const PREVIOUS = -1;

    /** @var string[] names by course module id */
    private $modules;

    /** @var string[] names by id of a grade item */
    private $items;

    /** @var callable answers with the name of the activity before, where it was left out */
    private $previous;

    /** @var string[][] names of those that went, as keys, by what went with them: restricted, opened */
    public $gone = ['restricted' => [], 'opened' => []];

    /**
     * Constructor.
     *
     * @param string[] $modules
     * @param string[] $items
     * @param callable $previous
     */
    public function __construct(array $modules, array $items, callable $previous) {
        $this->modules = $modules;
        $this->items = $items;
        $this->previous = $previous;
    }

    /**
     * The rest of a list.
     *
     * @param \stdClass $tree
     * @param bool $not within a list that must not be met
     * @return \stdClass|bool true: it was always met; false: it could not be met any more
     */
    public function rest(\stdClass $tree, bool $not = false) {
        $op = (string) ($tree->op ?? '&');
        $not = $not !== (strpos($op, '!') === 0);
        // One of them is enough.
        $any = $not === (substr($op, -1) === '&');
        $conditions = $shown = $met = $names = [];
        foreach ($tree->c as $i => $one) {
            $name = null;
            if (is_object($one) && is_array($one->c ?? null)) {
                $one = $this->rest($one, $not);
            } else if (is_object($one)) {
                $name = $this->names($one);
            }
            if ($name !== null) {
                $names[$name] = true;
                // Nobody can complete it any more.
                $one = $not || (($one->type ?? '') === 'completion' && (int) ($one->e ?? 1) === 0);
            }
            if (is_bool($one)) {
                $met[] = $one;
            } else {
                $conditions[] = $one;
                // It has an element for each condition.
                $shown[] = $tree->showc[$i] ?? true;
            }
        }
        $all = $any && in_array(true, $met, true);
        $this->gone[$any && !$all && $conditions ? 'opened' : 'restricted'] += $names;
        if ($all || ($met && !$conditions)) {
            return $all || (!$any && !in_array(false, $met, true));
        }
        $tree->c = $conditions;
        if (isset($tree->showc)) {
            $tree->showc = $shown;
        }
        return $tree;
    }

    /**
     * The name of the activity that was left out, where a condition names one.
     *
     * @param \stdClass $one
     * @return string|null
     */
    private function names(\stdClass $one): ?string {
        $type = $one->type ?? '';
        if ($type === 'completion') {
            $cm = (int) ($one->cm ?? 0);
            return $cm === self::PREVIOUS ? ($this->previous)() : $this->modules[$cm] ?? null;
        }
        return $type === 'grade' ? $this->items[(int) ($one->id ?? 0)] ?? null : null;
    }
}
