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
 * Moodle's own file pool, where it is a folder of this machine (file_system_filedir).
 *
 * Moodle brings a content in by hashing it, copying it and hashing the copy.  Where the bytes are known
 * to have the hash of their name and lie on the same file system, a hard link does: nothing is read, and
 * nothing is written.  Whatever is not as expected here (another file system class, another disk, a
 * content that is there already) is left to Moodle's own way.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class pool {
    /** Hashes that are asked for at once. */
    const CHUNK = 500;

    /** @var string|null its folder; null: it is no folder of this machine */
    private $folder = null;

    /**
     * Look where it is.
     */
    public function __construct() {
        global $CFG;
        // A class derived from it may keep contents elsewhere.
        if (get_class(get_file_storage()->get_file_system()) === 'file_system_filedir') {
            $this->folder = $CFG->filedir ?? $CFG->dataroot . '/filedir';
        }
    }

    /**
     * Put a content in its place.
     *
     * @param string $sha1
     * @param \stdClass $content size, path, verified (its bytes are known to have this hash)
     * @return bool false: it is not done, and nothing has changed
     */
    public function link(string $sha1, \stdClass $content): bool {
        global $CFG;
        if ($this->folder === null || (!$content->verified && sha1_file($content->path) !== $sha1)) {
            return false;
        }
        $folder = "$this->folder/" . substr($sha1, 0, 2) . '/' . substr($sha1, 2, 2);
        if (!is_dir($folder) && !@mkdir($folder, $CFG->directorypermissions, true) && !is_dir($folder)) {
            return false;
        }
        if (@link($content->path, "$folder/$sha1")) {
            @chmod("$folder/$sha1", $CFG->filepermissions);
            return true;
        }
        // Lent from here, perhaps: then it is the same file.
        clearstatcache();
        $there = @stat("$folder/$sha1");
        $ours = @stat($content->path);
        return $there && $ours && $there['ino'] === $ours['ino'] && $there['dev'] === $ours['dev'];
    }

    /**
     * Tell which contents the site has, and where they lie.
     *
     * @param array $wanted of [index, SHA-1, bytes]
     * @return array
     */
    public function tell(array $wanted): array {
        global $DB;
        $found = 0;
        foreach ($this->folder === null ? [] : array_chunk($wanted, self::CHUNK) as $chunk) {
            [$in, $params] = $DB->get_in_or_equal(array_column($chunk, 1));
            // A content that no file names is about to be removed.
            $known = array_flip($DB->get_fieldset_sql("SELECT DISTINCT contenthash FROM {files} WHERE contenthash $in", $params));
            foreach ($chunk as [$index, $sha1, $size]) {
                $path = "$this->folder/" . substr($sha1, 0, 2) . '/' . substr($sha1, 2, 2) . "/$sha1";
                if (isset($known[$sha1]) && is_file($path) && filesize($path) === $size) {
                    channel::write(['content' => ['i' => $index, 'path' => $path]]);
                    $found++;
                }
            }
        }
        return ['found' => $found];
    }

    /**
     * The row of table files for a content that is in its place.
     *
     * @param array $record contextid, component, filearea, itemid, filepath, userid, mimetype
     * @param string $sha1 also the file's name
     * @param int $size
     * @return array
     */
    public static function row(array $record, string $sha1, int $size): array {
        $now = time();
        return $record + ['filename' => $sha1, 'contenthash' => $sha1, 'filesize' => $size, 'status' => 0,
            'source' => null, 'author' => null, 'license' => null, 'sortorder' => 0, 'referencefileid' => null,
            'timecreated' => $now, 'timemodified' => $now,
            'pathnamehash' => \file_storage::get_pathname_hash(
                $record['contextid'],
                $record['component'],
                $record['filearea'],
                $record['itemid'],
                $record['filepath'],
                $sha1
            )];
    }
}
