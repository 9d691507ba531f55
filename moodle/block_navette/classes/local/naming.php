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
 * The contents that a backup names, told while it is still being written: they can be on their way
 * before Moodle is done.
 *
 * Moodle notes every file in its temporary table, as "file" while a task runs and as "filefinal" once the
 * task has decided; files.xml, the last it writes of them, is made of the latter.  Only those are told.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class naming {
    /** Seconds between looks at the table, at least; a look may take a tenth of the time. */
    const EVERY = 0.2;

    /** @var string a folder for contents that lie elsewhere */
    private $workdir;

    /** @var bool[] contexts whose files are left out, as keys */
    private $without;

    /** @var bool[] told, by hash */
    private $told = [];

    /** @var int bytes told */
    private $bytes = 0;

    /** @var int notes up to this one were looked at */
    private $last = 0;

    /** @var float when to look again */
    private $next = 0.0;

    /**
     * Constructor.
     *
     * @param string $workdir
     * @param bool[] $without contexts whose files are left out, as keys
     */
    public function __construct(string $workdir, array $without) {
        $this->workdir = $workdir;
        $this->without = $without;
    }

    /**
     * Called often while the backup runs: tell what has been decided since.
     *
     * @param string $backupid
     */
    public function look(string $backupid): void {
        $began = microtime(true);
        if ($began < $this->next) {
            return;
        }
        foreach ($this->decided($backupid) as $row) {
            // A reference to a repository has no content here; the course may be without a content that is lost.
            if ($row->referencefileid === null && $row->filename !== '.' && !isset($this->without[$row->contextid])) {
                $this->tell(get_file_storage()->get_file_instance($row), $row->contenthash, (int) $row->filesize);
            }
        }
        $took = microtime(true) - $began;
        $this->next = $began + max(self::EVERY, 10 * $took);
    }

    /**
     * Rows of table files that are new among the final notes.  Notes are made in order, and become final a
     * task at a time: before the first that is not final, all that will be are.
     *
     * @param string $backupid
     * @return \stdClass[]
     */
    private function decided(string $backupid): array {
        global $DB;
        // It comes with the backup's first step and goes with its last.
        if (!$DB->get_manager()->table_exists('backup_ids_temp')) {
            return [];
        }
        $open = $DB->get_field_sql(
            "SELECT MIN(id) FROM {backup_ids_temp} WHERE backupid = :id AND itemname = 'file'",
            ['id' => $backupid]
        );
        $end = $open ? (int) $open - 1 : (int) $DB->get_field_sql('SELECT MAX(id) FROM {backup_ids_temp}');
        if ($end <= $this->last) {
            return [];
        }
        $rows = $DB->get_records_sql(
            "SELECT f.* FROM {backup_ids_temp} n JOIN {files} f ON f.id = n.itemid
              WHERE n.backupid = :id AND n.itemname = 'filefinal' AND n.id > :last AND n.id <= :end ORDER BY n.id",
            ['id' => $backupid, 'last' => $this->last, 'end' => $end]
        );
        $this->last = $end;
        return $rows;
    }

    /**
     * The backup is written: tell the rest.  A content that the site itself has lost is left out, and said.
     *
     * @param string $tree the backup
     * @return int[] how many, how many bytes
     */
    public function finish(string $tree): array {
        global $DB;
        $missing = [];
        foreach (contents::each($tree) as $file) {
            if (isset($this->told[$file->contenthash]) || isset($missing[$file->contenthash])) {
                continue;
            }
            $fs = get_file_storage();
            $stored = $fs->get_file_by_id($file->id);
            if (!$stored || $stored->get_contenthash() !== $file->contenthash) {
                // Changed or deleted since the backup was written: perhaps another has the same content.
                $row = $DB->get_records('files', ['contenthash' => $file->contenthash], 'id', '*', 0, 1);
                $stored = $row ? $fs->get_file_instance(reset($row)) : null;
            }
            if (!$stored || !$this->tell($stored, $file->contenthash, $file->filesize)) {
                $missing[$file->contenthash] = true;
                channel::warn("The content of the file \"$file->filename\" is missing on the course server: "
                    . 'the file was left out.');
            }
            channel::check();
        }
        if ($missing) {
            contents::leave_out($tree, $missing);
        }
        return [count($this->told), $this->bytes];
    }

    /**
     * Where a content lies, once.
     *
     * @param \stored_file $stored
     * @param string $sha1
     * @param int $size
     * @return bool false: it is not there
     */
    private function tell(\stored_file $stored, string $sha1, int $size): bool {
        if (isset($this->told[$sha1])) {
            return true;
        }
        $path = $this->local_path($stored, $sha1, $size);
        if ($path === null) {
            return false;
        }
        $this->told[$sha1] = true;
        $this->bytes += $size;
        channel::write(['file' => ['sha1' => $sha1, 'size' => $size, 'path' => $path]]);
        return true;
    }

    /**
     * A content as a file on this machine.
     *
     * @param \stored_file $stored
     * @param string $sha1
     * @param int $size
     * @return string|null
     */
    private function local_path(\stored_file $stored, string $sha1, int $size): ?string {
        try {
            $path = get_file_storage()->get_file_system()->get_local_path_from_storedfile($stored, true);
            if (is_readable($path) && filesize($path) === $size) {
                return $path;
            }
            // A file system elsewhere that keeps no copy here.
            $path = make_writable_directory($this->workdir . '/contents') . "/$sha1";
            if ($stored->copy_content_to($path) && filesize($path) === $size) {
                return $path;
            }
        } catch (\moodle_exception $e) {
            channel::warn($e->getMessage());
        }
        return null;
    }
}
