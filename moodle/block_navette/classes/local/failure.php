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
 * Something went wrong, classified where it happened.
 *
 * The kind says what becomes of the job, the reason is a stable word for programs, the message a
 * sentence for people.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class failure extends \Exception {
    /** May work later: the attempt counts. */
    const RETRY = 'retry';
    /** Another attempt is at it: wait, no attempt used up. */
    const HOLD = 'hold';
    /** Will never work. */
    const REJECT = 'reject';
    /** Somebody asked to stop. */
    const CANCELLED = 'cancelled';
    /** Nothing works here. */
    const FATAL = 'fatal';

    /** @var array kind to exit code, see PROTOCOL.md */
    const EXIT_CODES = [self::RETRY => 75, self::HOLD => 76, self::REJECT => 65, self::CANCELLED => 77,
        self::FATAL => 70];

    /** @var string one of the kinds above */
    public $kind;

    /** @var string stable word */
    public $reason;

    /**
     * Constructor.
     *
     * @param string $kind one of the kinds above
     * @param string $reason stable word
     * @param string $message a sentence
     * @param \Throwable|null $previous
     */
    public function __construct(string $kind, string $reason, string $message, ?\Throwable $previous = null) {
        parent::__construct($message, 0, $previous);
        $this->kind = $kind;
        $this->reason = $reason;
    }

    /**
     * Something that will never work.
     *
     * @param string $reason
     * @param string $message
     * @return self
     */
    public static function reject(string $reason, string $message): self {
        return new self(self::REJECT, $reason, $message);
    }

    /**
     * What somebody else threw, as one of us.
     *
     * @param \Throwable $e
     * @param string $reason the word where nothing better is known
     * @param string $doing what was being done
     * @return self
     */
    public static function from(\Throwable $e, string $reason, string $doing): self {
        $full = channel::disk_full();
        if ($e instanceof self && $e->kind !== self::RETRY) {
            return $e;
        }
        $away = $full === '' ? site::away($e) : '';
        if ($e instanceof self) {
            if ($full === '' && ($away === '' || $e->reason === 'site_unavailable')) {
                return $e;
            }
            return new self(self::RETRY, $full !== '' ? 'disk_full' : 'site_unavailable', $e->getMessage()
                . ' (' . ($full !== '' ? $full : $away) . ')', $e);
        }
        $text = $e->getMessage();
        if (!empty($e->debuginfo) && is_string($e->debuginfo)) {
            $text .= ' (' . $e->debuginfo . ')';
        }
        if (
            stripos($text, 'no space left') !== false || stripos($text, 'disk full') !== false
                || stripos($text, 'disk quota') !== false
        ) {
            $reason = 'disk_full';
        } else if ($full !== '') {
            $reason = 'disk_full';
            $text .= " ($full)";
        } else if ($away !== '') {
            $reason = 'site_unavailable';
            $text .= " ($away)";
        }
        // Attempts are counted outside, so that what is not transient ends all the same.
        return new self(self::RETRY, $reason, "$doing: $text", $e);
    }
}
