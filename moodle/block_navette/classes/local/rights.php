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
 * What people who came by the button may now.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class rights {
    /** Most people in a question. */
    const MAX = 500;

    /**
     * The answer has an entry for each that was asked, in the same order.
     *
     * @param \stdClass $in people: user (as in the token) and block
     * @return array
     */
    public static function run(\stdClass $in): array {
        $people = (array) ($in->people ?? []);
        if (count($people) > self::MAX) {
            throw failure::reject('bad_message', 'people: more than ' . self::MAX);
        }
        $answers = [];
        foreach ($people as $one) {
            if (!$one instanceof \stdClass || !is_string($one->user ?? null) || !is_int($one->block ?? 0)) {
                throw failure::reject('bad_message', 'people: not a user and a block');
            }
            $answers[] = self::of($one->user, $one->block ?? 0);
        }
        return ['people' => $answers];
    }

    /**
     * One person's: by the rules by which the button gives a token.
     *
     * @param string $name
     * @param int $block 0: not known
     * @return array
     */
    private static function of(string $name, int $block): array {
        // As the token was made: the daemons' file has no say in it.
        $users = people::matches(settings::get('userfield'), $name);
        if (count($users) !== 1 || ($block && !self::may_view($users[0], $block))) {
            return ['served' => false, 'caps' => []];
        }
        return ['served' => true, 'caps' => launch::capabilities($users[0])];
    }

    /**
     * May they still use that block's button?
     *
     * @param \stdClass $user
     * @param int $block
     * @return bool
     */
    private static function may_view(\stdClass $user, int $block): bool {
        $context = \context_block::instance($block, IGNORE_MISSING);
        return $context && has_capability('block/navette:view', $context, $user);
    }
}
