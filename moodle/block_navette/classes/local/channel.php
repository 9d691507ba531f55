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
 * The way to the program that started us: JSON lines on standard output, answers on standard input.
 *
 * Whatever else prints something (a debugging notice, a plugin's echo) ends on standard error.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class channel {
    /** @var resource standard output */
    private static $out = null;

    /** @var int the process that started us */
    private static $parent = 0;

    /** @var bool somebody asked us to stop */
    private static $stopped = false;

    /** @var bool a result or an error has been written */
    private static $answered = false;

    /** @var int exit code that goes with the error */
    private static $code = 0;

    /** @var float when progress was last told */
    private static $told = 0.0;

    /** @var array what was told then: step, done */
    private static $last = ['', -1];

    /** @var string what PHP said when it found a file system full; '': it did not */
    private static $full = '';

    /** @var bool Moodle has been loaded */
    private static $loaded = false;

    /** @var string what was printed last: where Moodle cannot be loaded it says why and ends */
    private static $printed = '';

    /** @var string[] warnings so far, each once */
    private static $warnings = [];

    /**
     * Before Moodle is loaded.
     */
    public static function open(): void {
        self::$out = fopen('php://stdout', 'w');
        self::$parent = function_exists('posix_getppid') ? posix_getppid() : 0;
        ini_set('display_errors', 'stderr');
        ini_set('html_errors', '0');
        ob_start(function ($text) {
            if ($text !== '') {
                fwrite(STDERR, $text);
                $line = trim(preg_replace('/\s+/', ' ', $text), " !\n");
                self::$printed = $line !== '' ? $line : self::$printed;
            }
            return '';
        }, 1);
        register_shutdown_function([self::class, 'last_words']);
    }

    /**
     * Moodle is there: what goes wrong from now on is not that it cannot be used at all.
     */
    public static function loaded(): void {
        self::$loaded = true;
    }

    /**
     * After Moodle is loaded, whose own handlers would end us on the spot.
     */
    public static function catch_signals(): void {
        if (!function_exists('pcntl_async_signals')) {
            return;
        }
        pcntl_async_signals(true);
        foreach ([SIGTERM, SIGINT, SIGHUP] as $signal) {
            pcntl_signal($signal, function () {
                self::$stopped = true;
            });
        }
    }

    /**
     * Remember when PHP finds a file system full: Moodle makes "cannot be written" of it, and of a
     * file that was written in part only it says nothing.
     */
    public static function watch_disk(): void {
        $before = set_error_handler(function (...$error) use (&$before) {
            if (preg_match('/no space left|disk quota|free disk space/i', (string) $error[1])) {
                self::$full = (string) $error[1];
            }
            return $before ? $before(...$error) : false;
        });
    }

    /**
     * What PHP said when it found a file system full.
     *
     * @return string '': it did not
     */
    public static function disk_full(): string {
        return self::$full;
    }

    /**
     * Write a line.
     *
     * @param array|object $what
     */
    public static function write($what): void {
        $line = json_encode($what, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE) . "\n";
        while ($line !== '') {
            $n = @fwrite(self::$out, $line);
            if (!$n) {
                self::$stopped = true;
                return;
            }
            $line = substr($line, $n);
        }
    }

    /**
     * Tell how far a step is, at most twice a second, and never less than before.
     *
     * @param string $step
     * @param int $done
     * @param int $total
     */
    public static function progress(string $step, int $done, int $total): void {
        self::check();
        $now = microtime(true);
        $same = self::$last[0] === $step;
        if ($same && ($done <= self::$last[1] || ($done < $total && $now - self::$told < 0.5))) {
            return;
        }
        self::$told = $now;
        self::$last = [$step, $done];
        self::write(['progress' => ['step' => $step, 'done' => $done, 'total' => $total]]);
    }

    /**
     * A line for the request's log, which administrators read.
     *
     * @param string $level debug, info, warn or error
     * @param string $text
     */
    public static function log(string $level, string $text): void {
        $text = trim(preg_replace('/\s+/', ' ', $text));
        if ($text !== '') {
            self::write(['log' => ['level' => $level, 'text' => $text]]);
        }
    }

    /**
     * Tell people something.
     *
     * @param string $text
     */
    public static function warn(string $text): void {
        $text = trim(preg_replace('/\s+/', ' ', $text));
        if ($text === '' || in_array($text, self::$warnings, true)) {
            return;
        }
        self::$warnings[] = $text;
        self::write(['warning' => $text]);
    }

    /**
     * What people were told.
     *
     * @return string[]
     */
    public static function warnings(): array {
        return self::$warnings;
    }

    /**
     * Forget what was told so far: a second try begins.
     */
    public static function forget_warnings(): void {
        self::$warnings = [];
    }

    /**
     * The answer.
     *
     * @param array|object $result
     */
    public static function result($result): void {
        self::$answered = true;
        self::write(['result' => $result]);
    }

    /**
     * The other answer.
     *
     * @param failure $e
     * @return int exit code
     */
    public static function error(failure $e): int {
        self::$answered = true;
        self::write(['error' => ['kind' => $e->kind, 'reason' => $e->reason,
            'message' => trim(preg_replace('/\s+/', ' ', $e->getMessage()))]]);
        self::$code = failure::EXIT_CODES[$e->kind];
        return self::$code;
    }

    /**
     * Are we still wanted? Throws when not.
     */
    public static function check(): void {
        if (self::$stopped) {
            throw new failure(failure::CANCELLED, 'cancelled', 'stopped by a signal');
        }
        if (self::$parent && posix_getppid() !== self::$parent) {
            throw new failure(failure::CANCELLED, 'cancelled', 'the program that started this is gone');
        }
    }

    /**
     * Ask the program that started us whether it may be done now.
     *
     * @param string $what
     */
    public static function confirm(string $what): void {
        self::check();
        self::write(['confirm' => $what]);
        $answer = fgets(STDIN);
        self::check();
        if ($answer === false || trim($answer) !== 'yes') {
            throw new failure(failure::CANCELLED, 'cancelled', "it is not to be done any more ($what)");
        }
    }

    /**
     * With its database gone, Moodle's destructors throw (temporary tables cannot be dropped), and PHP
     * ends with a code of its own.  Ending as another program keeps ours.
     */
    public static function keep_code(): void {
        global $DB;
        try {
            if ($DB) {
                $DB->get_field_sql('SELECT 1');
            }
        } catch (\Throwable $e) {
            if (function_exists('pcntl_exec')) {
                pcntl_exec('/bin/sh', ['-c', 'exit ' . self::$code]);
            }
        }
    }

    /**
     * At the very end: nobody may be left without an answer.
     */
    public static function last_words(): void {
        if (self::$answered) {
            if (self::$code) {
                // Behind Moodle's own.
                register_shutdown_function([self::class, 'keep_code']);
            }
            return;
        }
        $error = error_get_last();
        $fatal = $error && ($error['type'] & (E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR | E_USER_ERROR
            | E_RECOVERABLE_ERROR));
        $text = $fatal ? $error['message'] : 'Moodle ended the script; its own words are in the log';
        if (!self::$loaded) {
            $text = 'Moodle cannot be started: ' . ($fatal ? $text : (self::$printed ?: 'its own words are in the log'));
            exit(self::error(new failure(failure::RETRY, 'site_unavailable', $text)));
        }
        exit(self::error(new failure(failure::RETRY, 'internal', $text)));
    }
}
