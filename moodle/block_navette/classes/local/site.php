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
 * This Moodle: version, plugins, settings, locks.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class site {
    /** Bytes: a disk with less, or less than a tenth of a small one, is full for everybody. */
    const LOW_DISK = 64 << 20;

    /** Names of versions, by the day on which their branch was made: a version number begins with it. */
    const BRANCHES = [20221128 => '4.1', 20230424 => '4.2', 20231009 => '4.3', 20240422 => '4.4', 20241007 => '4.5',
        20250414 => '5.0', 20251006 => '5.1'];

    /**
     * Milliseconds since the epoch.
     *
     * @return int
     */
    public static function now(): int {
        return (int) (microtime(true) * 1000);
    }

    /**
     * Moodle's version number, without the part behind the point.
     *
     * @return int
     */
    public static function version(): int {
        global $CFG;
        return (int) $CFG->version;
    }

    /**
     * A text for people in their language, where this site has it, else in English.
     *
     * @param string $id of the string
     * @param mixed $a what stands in it
     * @param string $lang
     * @return string
     */
    public static function text(string $id, $a, string $lang): string {
        return get_string_manager()->get_string($id, 'block_navette', $a, clean_param($lang, PARAM_LANG) ?: 'en');
    }

    /**
     * Courses go to the same version of Moodle or to a newer one.
     *
     * @param int $from version of the course server's Moodle
     * @param int $to version of the client's
     */
    public static function check_direction(int $from, int $to): void {
        if ($from > $to) {
            throw failure::reject('version_older', 'the client has ' . self::called($to) . ' and the course comes from '
                . self::called($from) . ', which is newer: a course goes only to the same version or to a newer one');
        }
    }

    /**
     * What people call a version.
     *
     * @param int $version
     * @return string
     */
    private static function called(int $version): string {
        $name = self::BRANCHES[intdiv($version, 100)] ?? '';
        return $name === '' ? "Moodle version $version" : "Moodle $name (version $version)";
    }

    /**
     * Address of a course.
     *
     * @param int $courseid
     * @return string
     */
    public static function course_url(int $courseid): string {
        return (new \moodle_url('/course/view.php', ['id' => $courseid]))->out(false);
    }

    /**
     * What is installed.
     *
     * @return int[] component to version number
     */
    public static function plugins(): array {
        $plugins = [];
        foreach (\core_plugin_manager::instance()->get_plugins() as $ofatype) {
            foreach ($ofatype as $plugin) {
                if ($plugin->versiondb && $plugin->versiondisk) {
                    $plugins[$plugin->component] = (int) $plugin->versiondb;
                }
            }
        }
        return $plugins;
    }

    /**
     * The answer to "versions".
     *
     * @return array
     */
    public static function versions(): array {
        global $CFG;
        $plugins = [];
        foreach (self::plugins() as $name => $version) {
            $plugins[] = ['name' => $name, 'version' => $version];
        }
        return ['version' => self::version(), 'release' => $CFG->release, 'url' => $CFG->wwwroot,
            'plugin' => (int) get_config('block_navette', 'version'), 'plugins' => $plugins];
    }

    /**
     * A setting: what the caller says, else what is set in Moodle.
     *
     * @param \stdClass|null $settings the caller's
     * @param string $theirs their name of it
     * @param string $ours Moodle's name of it
     * @return mixed
     */
    public static function setting(?\stdClass $settings, string $theirs, string $ours) {
        if ($settings && isset($settings->$theirs)) {
            return $settings->$theirs;
        }
        return settings::get($ours);
    }

    /**
     * Take a lock of this site; Moodle's factory must let go of it when the process dies.
     *
     * @param string $name
     * @param int $wait seconds
     * @return \core\lock\lock|null null: somebody holds it
     */
    public static function lock(string $name, int $wait = 0): ?\core\lock\lock {
        $lock = \core\lock\lock_config::get_lock_factory('block_navette')->get_lock($name, $wait);
        return $lock ?: null;
    }

    /**
     * Let go of a lock; where that fails (the database is gone), it is gone as well.
     *
     * @param \core\lock\lock|null $lock
     */
    public static function release(?\core\lock\lock $lock): void {
        try {
            if ($lock) {
                $lock->release();
            }
        } catch (\Throwable $e) {
            fwrite(STDERR, 'releasing a lock: ' . $e->getMessage() . "\n");
        }
    }

    /**
     * Let a backup or restore take as much memory as Moodle gives its own, or as the setting says where that is more. A limit
     * of PHP's that is higher already stays.
     */
    public static function raise_memory(): void {
        raise_memory_limit(MEMORY_HUGE);
        $limit = settings::get('memorylimit');
        if (preg_match('/^[1-9][0-9]*[MG]$/D', $limit)) {
            raise_memory_limit($limit);
        }
    }

    /**
     * Is there room for so many bytes?
     *
     * @param int $bytes
     */
    public static function check_disk(int $bytes): void {
        global $CFG;
        $needed = $bytes + intdiv($bytes, 10);
        foreach (array_filter([$CFG->dataroot, $CFG->filedir ?? '']) as $folder) {
            $free = @disk_free_space($folder);
            if ($free !== false && $free < $needed) {
                throw new failure(
                    failure::RETRY,
                    'disk_full',
                    "Moodle's data folder: $needed bytes are needed and " . (int) $free . ' are free'
                );
            }
        }
    }

    /**
     * Has what Moodle itself works with gone away: its database, its data folder, a cache server?
     *
     * @param \Throwable|null $e what was thrown
     * @return string what is away; '': nothing is
     */
    public static function away(?\Throwable $e = null): string {
        global $DB;
        for ($cause = $e; $cause; $cause = $cause->getPrevious()) {
            if (self::lost_database($cause)) {
                return 'the database is away';
            }
            if ($cause instanceof \RedisException || $cause instanceof \RedisClusterException) {
                return 'the cache server is away';
            }
        }
        try {
            // Moodle makes other exceptions of a lost connection, or hides it.
            if (!empty($DB)) {
                $DB->get_field_sql('SELECT 1');
            }
        } catch (\Throwable $unanswered) {
            // PostgreSQL refuses every question within a transaction that has failed.
            if (self::lost_database($unanswered)) {
                return 'the database is away';
            }
        }
        return self::missing_folder();
    }

    /**
     * Was this thrown because the database is away, or has ended the connection?
     *
     * @param \Throwable $e
     * @return bool
     */
    private static function lost_database(\Throwable $e): bool {
        if ($e instanceof \dml_connection_exception) {
            return true;
        }
        if (!$e instanceof \dml_exception && !$e instanceof \ddl_exception) {
            return false;
        }
        // The driver's words alone: what else the exception tells has texts of the course in it.  Those of MySQL and
        // MariaDB (error codes 1053, 1927, 2002, 2003, 2006, 2013) and of libpq.
        return (bool) preg_match(
            '/gone away|lost connection|connection was killed|shutdown in progress|can.t connect'
                . '|terminating connection|server closed the connection|connection to (the )?server|connection refused'
                . '|connection reset|broken pipe|system is (starting up|shutting down|in recovery mode)'
                . '|could not (receive data|send data)|(SSL|TLS) (connection|SYSCALL)/i',
            (string) ($e->error ?? '')
        );
    }

    /**
     * A folder of Moodle's that is not there, or cannot be written to, as when it is not mounted.
     *
     * @return string '': they all are
     */
    private static function missing_folder(): string {
        global $CFG;
        clearstatcache();
        if (is_writable($CFG->dataroot) && !is_dir($CFG->tempdir)) {
            // Moodle makes it when it first needs it.
            @make_temp_directory('', false);
        }
        foreach (array_unique(array_filter([$CFG->dataroot, $CFG->tempdir, $CFG->filedir ?? ''])) as $folder) {
            if (!is_dir($folder) || !is_writable($folder)) {
                return "Moodle's folder $folder is not there, or cannot be written to";
            }
        }
        return '';
    }

    /**
     * A site that is being upgraded, or waits for that, is left alone.
     */
    public static function check_ready(): void {
        global $CFG;
        if (!empty($CFG->upgraderunning) && $CFG->upgraderunning > time()) {
            throw new failure(failure::RETRY, 'site_upgrading', 'Moodle is being upgraded');
        }
        if (!get_config('block_navette', 'version')) {
            throw new failure(failure::RETRY, 'site_upgrading', 'the plugin block_navette is copied but not installed: '
                . 'php admin/cli/upgrade.php does that');
        }
        // Also while an upgrade runs behind users' backs (outagelessupgrade).
        if (self::code_version() > (float) $CFG->version || moodle_needs_upgrading(false)) {
            throw new failure(failure::RETRY, 'site_upgrading', 'Moodle waits for its upgrade: '
                . 'php admin/cli/upgrade.php does that');
        }
    }

    /**
     * Version of Moodle's code, which its database may not have yet.
     *
     * @return float
     */
    private static function code_version(): float {
        global $CFG;
        $version = 0;
        require($CFG->dirroot . '/version.php');
        return (float) $version;
    }

    /**
     * The answer to "check": can this site be worked with now?
     *
     * @return array
     */
    public static function check(): array {
        global $CFG;
        self::check_ready();
        $missing = self::missing_folder();
        if ($missing !== '') {
            throw new failure(failure::RETRY, 'site_unavailable', $missing);
        }
        foreach (array_unique(array_filter([$CFG->dataroot, $CFG->tempdir, $CFG->filedir ?? ''])) as $folder) {
            $free = @disk_free_space($folder);
            $low = min(self::LOW_DISK, (int) (@disk_total_space($folder) / 10));
            if ($free !== false && $free < $low) {
                throw new failure(failure::RETRY, 'disk_full', "$folder: the disk is full, " . (int) $free . ' bytes are free');
            }
        }
        $trial = tempnam($CFG->tempdir, 'navette');
        $good = $trial !== false && strpos($trial, $CFG->tempdir) === 0 && @file_put_contents($trial, 'x') === 1;
        if ($trial !== false) {
            @unlink($trial);
        }
        if (!$good) {
            throw new failure(failure::RETRY, 'site_unavailable', "Moodle's temporary folder $CFG->tempdir cannot be written to");
        }
        return ['version' => self::version(), 'plugin' => (int) get_config('block_navette', 'version')];
    }
}
