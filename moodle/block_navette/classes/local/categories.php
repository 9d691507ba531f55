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
 * Course categories by their identifier, which stands in the category's idnumber unless configured.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class categories {
    /**
     * Where identifiers stand: table, column with the category's id, column with the identifier.
     *
     * @return string[]
     */
    private static function place(): array {
        global $DB;
        $place = [];
        foreach (
            ['categorytable' => 'course_categories', 'categorytable_foreignkey' => 'id',
                'categorytable_categoryfield' => 'idnumber'] as $setting => $default
        ) {
            $value = trim((string) get_config('block_navette', $setting));
            $place[] = $value === '' ? $default : $value;
        }
        // They become part of a query.
        foreach ($place as $name) {
            if (!preg_match('/^[a-z][a-z0-9_]{0,62}$/D', $name)) {
                throw failure::reject('config', "\"$name\" is no name of a table or column");
            }
        }
        if ($place[0] !== 'course_categories') {
            $columns = $DB->get_manager()->table_exists($place[0]) ? $DB->get_columns($place[0]) : [];
            if (!isset($columns[$place[1]], $columns[$place[2]])) {
                throw failure::reject('config', "the table $place[0] with the columns $place[1] and $place[2], "
                    . 'where identifiers of categories should stand, does not exist');
            }
        }
        return $place;
    }

    /**
     * The identifier of a category, null when it has none.
     *
     * @param int $categoryid
     * @return string|null
     */
    public static function identifier(int $categoryid): ?string {
        global $DB;
        [$table, $key, $field] = self::place();
        $found = $DB->get_records($table, [$key => $categoryid], '', "id, $field", 0, 1);
        $found = reset($found);
        return $found && (string) $found->$field !== '' ? (string) $found->$field : null;
    }

    /**
     * A category by its identifier; null when there is none.
     *
     * @param string|null $identifier
     * @param bool $orid Moodle's own id counts, too
     * @return \stdClass|null
     */
    public static function find(?string $identifier, bool $orid): ?\stdClass {
        global $DB;
        if ($identifier === null || $identifier === '') {
            return null;
        }
        [$table, $key, $field] = self::place();
        $sql = "SELECT DISTINCT c.id, c.name, c.path
                  FROM {course_categories} c
                  JOIN {{$table}} t ON t.$key = c.id
                 WHERE t.$field = :identifier
              ORDER BY c.id";
        $found = $DB->get_records_sql($sql, ['identifier' => $identifier], 0, 1);
        if (!$found && $orid && ctype_digit($identifier) && strlen($identifier) < 18) {
            $found = $DB->get_records('course_categories', ['id' => $identifier], '', 'id, name, path');
        }
        return $found ? reset($found) : null;
    }

    /**
     * Is a category the other one or below it?
     *
     * @param int $categoryid
     * @param \stdClass $above
     * @return bool
     */
    public static function within(int $categoryid, \stdClass $above): bool {
        global $DB;
        $path = (string) $DB->get_field('course_categories', 'path', ['id' => $categoryid]);
        return strpos($path . '/', $above->path . '/') === 0;
    }
}
