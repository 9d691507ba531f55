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
 * Names of courses: what Moodle refuses is written so that it takes it, and what is too long is cut.
 *
 * Moodle refuses a backup whose course is called "Waves <L2>": such a name has come from elsewhere (a synchronisation,
 * a web service, an old version), and Moodle's forms would take "<L2>" for a tag and drop it. Written "Waves &lt;L2>" it
 * is shown as it was meant.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class names {
    /** A tag of a text in several languages, as PARAM_TEXT allows it, without its "<". */
    const MULTILANG = '/span>|span(?:\s+lang="[a-zA-Z0-9_-]+"|\s+class="multilang"){2}\s*>|/lang>|lang lang="[a-zA-Z0-9_-]+"\s*>';

    /** Characters that the mark of a copy (" copy 12", "_12") may need. */
    const MARK = 20;

    /**
     * A name as Moodle takes it. One that it takes already is left as it is; every other "<" that opens no tag of a text in
     * several languages becomes "&lt;".
     *
     * @param string $name
     * @return string
     */
    public static function storable(string $name): string {
        $tries = [
            $name,
            (string) preg_replace('~<(?!' . self::MULTILANG . ')~u', '&lt;', $name),
            str_replace('<', '&lt;', $name),
        ];
        foreach ($tries as $try) {
            if (clean_param($try, PARAM_TEXT) === $try) {
                return $try;
            }
        }
        return clean_param(end($tries), PARAM_TEXT);
    }

    /**
     * The same for people who read it as plain text.
     *
     * @param string $name
     * @return string
     */
    public static function readable(string $name): string {
        return str_replace('&lt;', '<', $name);
    }

    /**
     * A name in one language, without tags and entities, as the texts for people show it.
     *
     * @param string $name as Moodle stores it
     * @param string $lang the language, where it is in several (as the filters multilang and multilang2 write them)
     * @return string
     */
    public static function plain(string $name, string $lang): string {
        $pick = function ($run) use ($lang) {
            preg_match_all('~(?:lang="|\{mlang\s+)([\w-]+)[^>}]*[>}](.*?)(?:</(?:span|lang)>|\{mlang\})~su', $run[0], $found);
            $texts = array_combine($found[1], $found[2]);
            return $texts[$lang] ?? $texts[explode('_', $lang)[0]] ?? $texts['other'] ?? $texts['en'] ?? reset($texts);
        };
        $tags = '(?:<span\s(?=[^>]*class="multilang")[^>]*lang="[^>]*>.*?</span>|<lang\s+lang="[^>]*>.*?</lang>)';
        foreach (["~$tags(?:\s*$tags)*~su", '~\{mlang\s+[\w-]+\}.*?\{mlang\}(?:\s*\{mlang\s+[\w-]+\}.*?\{mlang\})*~su'] as $runs) {
            $name = preg_replace_callback($runs, $pick, $name) ?? $name;
        }
        return trim(html_entity_decode(strip_tags($name), ENT_QUOTES | ENT_HTML5, 'UTF-8'));
    }

    /**
     * Make the names in an unpacked backup such as Moodle takes. It reads them while it builds its plan, before a plan's
     * settings could be changed.
     *
     * @param string $tree
     */
    public static function settle_backup(string $tree): void {
        contents::change_backup($tree, fn($text) => preg_replace_callback(
            '~(<original_course_(?:fullname|shortname)>)([^<]*)(?=</)~',
            fn($found) => $found[1] . htmlspecialchars(
                self::storable(html_entity_decode($found[2], ENT_QUOTES | ENT_XML1, 'UTF-8')),
                ENT_NOQUOTES | ENT_XML1,
                'UTF-8'
            ),
            $text
        ));
    }

    /**
     * Names that no other course has, within Moodle's limits: marked as copies where they were taken.
     *
     * @param int $courseid
     * @param string $fullname
     * @param string $shortname
     * @return string[] full name, short name
     */
    public static function unused(int $courseid, string $fullname, string $shortname): array {
        [$maxfull, $maxshort] = self::limits();
        foreach ([0, self::MARK] as $room) {
            $full = self::fit($fullname, $maxfull - $room);
            $short = self::fit($shortname, $maxshort - $room);
            $found = \restore_dbops::calculate_course_names($courseid, $full, $short);
            // Moodle makes room for the mark by cutting wherever that is, in the middle of a tag for one.
            if (strncmp($found[0], $full, strlen($full)) === 0 && strncmp($found[1], $short, strlen($short)) === 0) {
                break;
            }
        }
        return $found;
    }

    /**
     * How many characters Moodle gives a full and a short name.
     *
     * @return int[]
     */
    private static function limits(): array {
        // Moodle 5; before, the numbers stood where they were used.
        $constants = '\core_course\constants';
        return defined("$constants::FULLNAME_MAXIMUM_LENGTH") && defined("$constants::SHORTNAME_MAXIMUM_LENGTH")
            ? [constant("$constants::FULLNAME_MAXIMUM_LENGTH"), constant("$constants::SHORTNAME_MAXIMUM_LENGTH")]
            : [254, 100];
    }

    /**
     * The beginning of a name, of whole characters as people see them (a letter with its accents, a composed emoji), whole
     * entities and whole tags.
     *
     * @param string $name as Moodle takes it
     * @param int $max in characters as databases count them
     * @return string
     */
    public static function fit(string $name, int $max): string {
        if (\core_text::strlen($name) <= $max || !preg_match_all('~<[^<>]*>|&#?[a-zA-Z0-9]{1,8};|[^<&]+|.~su', $name, $found)) {
            return \core_text::substr($name, 0, $max);
        }
        $fit = '';
        $left = $max;
        foreach ($found[0] as $part) {
            $length = \core_text::strlen($part);
            if ($length > $left) {
                // Only text can be cut, and not within what people see as one character.
                $fit .= strpbrk($part, '<&') === false ? (string) grapheme_extract($part, $left, GRAPHEME_EXTR_MAXCHARS) : '';
                break;
            }
            $fit .= $part;
            $left -= $length;
        }
        if (clean_param($fit, PARAM_TEXT) !== $fit) {
            // A language that is not closed: the ones before it are whole.
            $fit = preg_replace('~<(?:span|lang)\b[^<]*$~u', '', $fit);
        }
        return $fit !== '' || $name === strip_tags($name) ? rtrim($fit) : self::fit(strip_tags($name), $max);
    }
}
