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
 * The question bank that Moodle makes in a restored course.
 *
 * Since Moodle 5 question banks are activities. Questions that belong to none in the backup (those of a course, a course
 * category or the system before Moodle 5, and those of a bank in another course) come into a bank that Moodle makes for them.
 * It calls that the system's bank, made when the site was upgraded, and warns once for each category. Here it is named
 * after the course, as Moodle's own upgrade names such banks, and told once.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class banks {
    /** What Moodle makes them with, where it has them. */
    const HELPER = '\core_question\local\bank\question_bank_helper';

    /** @var int[] the banks that Moodle has made: id of the instance by that of the context */
    private $made = [];

    /** @var string[] warnings that become one when the restore is done */
    private $held = [];

    /** @var string[] warnings of random questions whose bank is not in the backup as an activity */
    private $picks = [];

    /**
     * Has this Moodle question banks in activities only?
     *
     * @return bool
     */
    public static function are_activities(): bool {
        return class_exists(self::HELPER);
    }

    /**
     * Of warnings of Moodle's look at the backup, those that say of a question category that it comes into such a bank are
     * kept until it is known which.
     *
     * @param string[] $warnings
     * @return string[] the others
     */
    public function hold(array $warnings): array {
        $ours = [];
        foreach (self::are_activities() ? ['qcategory2coursefallback', 'question2coursefallback'] : [] as $text) {
            // Moodle's sentence, whatever the category is called.
            $pattern = preg_quote(get_string($text, 'backup', (object) ['name' => "\x01"]), '~');
            $ours[] = '~^' . str_replace(preg_quote("\x01", '~'), '.*', $pattern) . '$~su';
        }
        $others = [];
        foreach ($warnings as $warning) {
            if (array_filter($ours, fn($pattern) => preg_match($pattern, $warning))) {
                $this->held[] = $warning;
            } else {
                $others[] = $warning;
            }
        }
        return $others;
    }

    /**
     * Moodle warns of each random question that it cannot tell where its bank is. It is told later whether that is so: we
     * look where the question's category has come to (containment::settle_questions).
     *
     * @param string $message of Moodle's log
     * @return bool it is such a warning
     */
    public function hold_pick(string $message): bool {
        $ours = '~^question_set_reference with old id \d+ referenced question context \d+ which was not included~';
        if (!preg_match($ours, $message)) {
            return false;
        }
        $this->picks[] = $message;
        return true;
    }

    /**
     * Are all random questions of a course picked from its own banks?
     *
     * @param int $courseid
     * @return bool
     */
    private static function picks_inside(int $courseid): bool {
        global $DB;
        $path = \context_course::instance($courseid)->path . '/%';
        return !$DB->record_exists_sql('SELECT r.id
              FROM {question_set_references} r
              JOIN {context} u ON u.id = r.usingcontextid
         LEFT JOIN {context} x ON x.id = r.questionscontextid AND ' . $DB->sql_like('x.path', ':inside') . '
             WHERE ' . $DB->sql_like('u.path', ':using') . ' AND x.id IS NULL', ['inside' => $path, 'using' => $path]);
    }

    /**
     * Note which banks Moodle has made: they came with no activity of the backup.
     *
     * @param string $restoreid
     * @param int $courseid
     */
    public function note(string $restoreid, int $courseid): void {
        global $DB;
        if (!self::are_activities()) {
            return;
        }
        $module = (self::HELPER)::get_default_question_bank_activity_name();
        $this->made = $DB->get_records_sql_menu(
            "SELECT x.id, q.id AS instance
               FROM {course_modules} cm
               JOIN {modules} m ON m.id = cm.module AND m.name = :module
               JOIN {{$module}} q ON q.id = cm.instance AND q.type = :type
               JOIN {context} x ON x.instanceid = cm.id AND x.contextlevel = :level
          LEFT JOIN {backup_ids_temp} b ON b.backupid = :restore AND b.itemname = 'context' AND b.newitemid = x.id
              WHERE cm.course = :course AND b.id IS NULL",
            ['module' => $module, 'type' => (self::HELPER)::TYPE_SYSTEM, 'level' => CONTEXT_MODULE, 'restore' => $restoreid,
                'course' => $courseid]
        );
    }

    /**
     * Name them after the course, which has its final name now, and tell it.
     *
     * @param int $courseid
     * @param string $shortname
     * @param string $lang
     */
    public function settle(int $courseid, string $shortname, string $lang): void {
        global $DB;
        $known = $this->picks && self::picks_inside($courseid);
        foreach ($this->picks as $text) {
            $known ? channel::log('debug', import::by_moodle($text)) : channel::warn(import::by_moodle($text));
        }
        if (!$this->made) {
            // They said that there would be one.
            foreach ($this->held as $text) {
                channel::warn(import::by_moodle($text));
            }
            return;
        }
        $name = (self::HELPER)::get_bank_name_string('sharedbank', 'mod_qbank', $shortname);
        foreach ($this->made as $contextid => $instance) {
            $DB->update_record((self::HELPER)::get_default_question_bank_activity_name(), (object) ['id' => $instance,
                'name' => $name, 'intro' => '', 'introformat' => FORMAT_HTML]);
            $count = $DB->count_records_sql('SELECT COUNT(1)
                  FROM {question_bank_entries} e
                  JOIN {question_categories} c ON c.id = e.questioncategoryid
                 WHERE c.contextid = ?', [$contextid]);
            if ($count) {
                channel::warn(site::text('bankmade', ['count' => $count, 'name' => names::readable($name)], $lang));
            }
        }
        foreach ($this->held as $text) {
            channel::log('debug', import::by_moodle($text));
        }
    }
}
