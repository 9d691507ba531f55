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
 * Warnings and errors of Moodle's backup and restore, passed on.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class logger extends \base_logger {
    /** @var callable|null takes a message that is told later; of the class, since Moodle's steps may log by a copy of us */
    private static $hold = null;

    /**
     * Constructor.
     *
     * @param callable|null $hold takes a message that is told later, if at all, and says that it has
     */
    public function __construct(?callable $hold = null) {
        parent::__construct(\backup::LOG_WARNING);
        self::$hold = $hold;
    }

    /**
     * One message.
     *
     * @param string $message
     * @param int $level
     * @param array|null $options
     * @return bool
     */
    protected function action($message, $level, $options = null) {
        if (self::$hold && (self::$hold)((string) $message)) {
            return true;
        }
        $text = 'Moodle: ' . clean_param($message, PARAM_NOTAGS);
        channel::log($level <= \backup::LOG_ERROR ? 'error' : 'warn', $text);
        channel::warn($text);
        return true;
    }
}
