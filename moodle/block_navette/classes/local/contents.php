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
 * The file contents of an unpacked backup, as its files.xml names them.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class contents {
    /** SHA-1 of nothing. */
    const EMPTY = 'da39a3ee5e6b4b0d3255bfef95601890afd80709';

    /**
     * Every file of the backup that has a content of its own: no folders, no references to
     * repositories.
     *
     * @param string $tree the unpacked backup
     * @return \Generator of objects: id, contenthash, filesize, filename, mimetype, contextid, component
     */
    public static function each(string $tree): \Generator {
        $reader = new \XMLReader();
        // No entities, no network: the file comes from somebody else.
        if (!is_file("$tree/files.xml") || !$reader->open("$tree/files.xml", null, LIBXML_NONET | LIBXML_COMPACT)) {
            throw failure::reject('archive_corrupt', 'the archive has no files.xml');
        }
        $before = libxml_use_internal_errors(true);
        // Of a file that was read before this one.
        libxml_clear_errors();
        try {
            $more = $reader->read();
            while ($more) {
                if ($reader->nodeType !== \XMLReader::ELEMENT || $reader->name !== 'file') {
                    $more = $reader->read();
                    continue;
                }
                $file = self::one($reader);
                if ($file) {
                    yield $file;
                }
                $more = $reader->next();
            }
            if (libxml_get_last_error()) {
                throw failure::reject('archive_corrupt', 'files.xml: ' . trim(libxml_get_last_error()->message));
            }
        } finally {
            libxml_clear_errors();
            libxml_use_internal_errors($before);
            $reader->close();
        }
    }

    /**
     * The element the reader stands on.
     *
     * @param \XMLReader $reader
     * @return \stdClass|null null: without a content of its own
     */
    private static function one(\XMLReader $reader): ?\stdClass {
        $xml = @simplexml_load_string($reader->readOuterXml(), \SimpleXMLElement::class, LIBXML_NONET);
        if ($xml === false) {
            return null;
        }
        $field = function (string $name) use ($xml): string {
            $value = (string) $xml->$name;
            return $value === '$@NULL@$' ? '' : $value;
        };
        $hash = $field('contenthash');
        if ($field('filename') === '.' || $field('repositoryid') !== '' || $hash === '') {
            return null;
        }
        if (!preg_match('/^[0-9a-f]{40}$/D', $hash) || !ctype_digit($field('filesize'))) {
            throw failure::reject('archive_corrupt', 'files.xml: a file has no proper hash or size');
        }
        return (object) ['id' => (int) $xml['id'], 'contenthash' => $hash, 'filesize' => (int) $field('filesize'),
            'filename' => $field('filename'), 'mimetype' => $field('mimetype'),
            'contextid' => (int) $field('contextid'), 'component' => $field('component')];
    }

    /**
     * Take files out of files.xml whose content nobody has, or whose activity was left out.
     *
     * @param string $tree
     * @param string[] $missing hashes, as keys
     * @param bool[] $contexts ids of contexts that were left out, as keys
     */
    public static function leave_out(string $tree, array $missing, array $contexts = []): void {
        $part = "$tree/files.xml.part";
        $reader = new \XMLReader();
        $writer = new \XMLWriter();
        if (!$reader->open("$tree/files.xml", null, LIBXML_NONET) || !$writer->openUri($part)) {
            throw new failure(failure::RETRY, 'io', "$tree/files.xml cannot be written again");
        }
        $writer->startDocument('1.0', 'UTF-8');
        $writer->startElement('files');
        $more = $reader->read();
        while ($more) {
            if ($reader->nodeType !== \XMLReader::ELEMENT || $reader->name !== 'file') {
                $more = $reader->read();
                continue;
            }
            $file = self::one($reader);
            $text = $reader->readOuterXml();
            // Folders and references have a context, too.
            $context = preg_match('~<contextid>(\d+)</contextid>~', $text, $found) ? (int) $found[1] : 0;
            if (!isset($contexts[$context]) && (!$file || !isset($missing[$file->contenthash]))) {
                $writer->writeRaw("\n  $text");
            }
            $more = $reader->next();
        }
        $writer->fullEndElement();
        $writer->endDocument();
        $writer->flush();
        unset($writer);
        $reader->close();
        // The writer does not say when the disk is full.
        $end = (string) @file_get_contents($part, false, null, max(0, (int) @filesize($part) - 16));
        if (substr(rtrim($end), -8) !== '</files>') {
            throw new failure(failure::RETRY, 'io', "$tree/files.xml could not be written again as a whole");
        }
        if (!rename($part, "$tree/files.xml")) {
            throw new failure(failure::RETRY, 'io', "$tree/files.xml cannot be replaced");
        }
    }

    /**
     * Moodle is to look for contents among the site's files, where we put them: the backup must say
     * that it brings none.
     *
     * @param string $tree
     */
    public static function say_without_files(string $tree): void {
        self::change_backup($tree, fn($text) => preg_replace(
            '~<include_files>\s*1\s*</include_files>~',
            '<include_files>0</include_files>',
            $text,
            1
        ));
    }

    /**
     * Change the backup's description of itself.
     *
     * @param string $tree
     * @param callable $change gets moodle_backup.xml and answers with the new one
     */
    public static function change_backup(string $tree, callable $change): void {
        $name = "$tree/moodle_backup.xml";
        $text = @file_get_contents($name);
        if ($text === false) {
            throw failure::reject('archive_corrupt', 'the archive has no moodle_backup.xml');
        }
        $changed = $change($text);
        if (!is_string($changed)) {
            throw failure::reject('archive_corrupt', 'moodle_backup.xml is no proper text');
        }
        if ($changed !== $text) {
            skeleton::replace($name, $changed);
        }
    }
}
