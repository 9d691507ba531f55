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
 * References of a restored course to things outside it. A backup names most of these by number, and Moodle keeps a number
 * that its restore found nothing for: on another site it is somebody else's question, cohort or tool. Such a reference is
 * emptied, or led to the thing here that has the same name, and told.
 *
 * What the course server adds to a backup so that names can be compared (navette.json) comes from it and is not trusted
 * further than that.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class references {
    /** The file in an unpacked backup with names of what it knows by number only. */
    const NAMES = 'navette.json';

    /** @var int the course that is being made */
    private $courseid;

    /** @var array of the course server: cohorts (by id: name, idnumber), tools (by id of the activity: name, url) */
    private $names = ['cohorts' => [], 'tools' => []];

    /** @var int[] questions that were lost, by id of the quiz */
    private $lost = [];

    /** @var int questions that others than quizzes lost */
    private $others = 0;

    /** @var string[] names of cohorts that were linked */
    private $linked = [];

    /** @var string[][] cohorts that are not here: name, identifier */
    private $absent = [];

    /** @var int[] ids of external tools' activities: here to there */
    private $tools = [];

    /**
     * Constructor.
     *
     * @param string $tree the unpacked backup
     * @param int $courseid
     */
    public function __construct(string $tree, int $courseid) {
        $this->courseid = $courseid;
        $known = is_file("$tree/" . self::NAMES) ? json_decode((string) file_get_contents("$tree/" . self::NAMES), true) : null;
        foreach (array_keys($this->names) as $kind) {
            foreach (is_array($known[$kind] ?? null) ? $known[$kind] : [] as $id => $about) {
                if (is_array($about)) {
                    $this->names[$kind][(int) $id] = array_map('strval', array_filter($about, 'is_scalar'));
                }
            }
        }
    }

    /**
     * Add to an unpacked backup the names of what it knows by number only.
     *
     * @param string $tree
     * @param int $courseid
     */
    public static function name_outside(string $tree, int $courseid): void {
        global $DB;
        $names = ['cohorts' => $DB->get_records_sql('SELECT DISTINCT c.id, c.name, c.idnumber
              FROM {cohort} c
              JOIN {enrol} e ON e.customint1 = c.id
             WHERE e.courseid = ? AND e.enrol = ?', [$courseid, 'cohort'])];
        if ($DB->get_manager()->table_exists('lti_types')) {
            $names['tools'] = $DB->get_records_sql('SELECT l.id, t.name, t.baseurl AS url
                  FROM {lti} l
                  JOIN {lti_types} t ON t.id = l.typeid
                 WHERE l.course = ? AND t.course = ?', [$courseid, SITEID]);
        }
        $names = array_filter($names);
        if ($names) {
            skeleton::replace("$tree/" . self::NAMES, json_encode($names, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES));
        }
    }

    /**
     * Let Moodle take the backup for another site's, unless the administrator says that sites with the same identifier are
     * one: a copy of a site has its identifier, and other things under the same numbers. Moodle reads this when the restore's
     * controller is made.
     *
     * @param string $tree
     */
    public static function separate_sites(string $tree): void {
        if (settings::get('samesite_numbers')) {
            return;
        }
        contents::change_backup($tree, function ($text) use ($tree) {
            $element = 'original_site_identifier_hash';
            preg_match("~<$element>([^<]*)</$element>~", $text, $found);
            if (!in_array($found[1] ?? '', ['', md5(get_site_identifier())], true)) {
                return $text;
            }
            // The next attempt may find another setting.
            (new skeleton($tree, true))->keep('moodle_backup.xml');
            $hash = "<$element>" . md5('navette: another site') . "</$element>";
            $text = preg_replace("~<$element>[^<]*</$element>|<$element\s*/>~", $hash, $text, -1, $count);
            // Without one Moodle compares addresses, and a copy may have that of its original.
            return $count ? $text : preg_replace('~(?=<original_wwwroot>)~', $hash, $text, 1);
        });
    }

    /**
     * A quiz has a question that did not come: Moodle shows that the question is missing.
     *
     * @param int $quizid here
     */
    public function lose_question(int $quizid): void {
        $this->lost[$quizid] = ($this->lost[$quizid] ?? 0) + 1;
    }

    /**
     * The category that a random question is picked from.
     *
     * @param string $condition JSON, as it is or was stored
     * @return int 0: none
     */
    public static function category(string $condition): int {
        $condition = json_decode($condition, true);
        return (int) ($condition['filter']['category']['values'][0] ?? $condition['questioncategoryid'] ?? 0);
    }

    /**
     * While it is known what came from where, and everything has its place: references that lead to questions which neither
     * came nor were found are deleted. Most were never made (contained\quiz_step), these are of other activities.
     *
     * @param string $restoreid
     */
    public function note(string $restoreid): void {
        global $DB;
        $this->tools = $DB->get_records_menu('backup_ids_temp', ['backupid' => $restoreid, 'itemname' => 'lti'], '', 'newitemid, itemid');
        $path = \context_course::instance($this->courseid)->path;
        $params = ['course' => $path, 'inside' => "$path/%", 'using' => "$path/%", 'restore' => $restoreid];
        $inside = '(x.path = :course OR ' . $DB->sql_like('x.path', ':inside') . ')';
        $using = 'JOIN {context} u ON u.id = r.usingcontextid AND ' . $DB->sql_like('u.path', ':using');
        $this->remove('question_references', $DB->get_records_sql("SELECT r.*
              FROM {question_references} r
              $using
         LEFT JOIN {question_bank_entries} e ON e.id = r.questionbankentryid
         LEFT JOIN {question_categories} c ON c.id = e.questioncategoryid
         LEFT JOIN {context} x ON x.id = c.contextid AND $inside
             WHERE x.id IS NULL AND NOT EXISTS (SELECT 1
                      FROM {backup_ids_temp} b
                      JOIN {question_versions} v ON v.questionid = b.newitemid
                     WHERE b.backupid = :restore AND b.itemname = 'question' AND v.questionbankentryid = r.questionbankentryid)", $params));
        unset($params['restore']);
        $known = $DB->get_records_menu('backup_ids_temp', ['backupid' => $restoreid, 'itemname' => 'question_category'], '', 'id, newitemid');
        $known = array_flip(array_merge(array_filter($known), $DB->get_fieldset_sql("SELECT c.id
              FROM {question_categories} c
              JOIN {context} x ON x.id = c.contextid AND $inside", array_diff_key($params, ['using' => 1]))));
        $this->remove('question_set_references', array_filter(
            $DB->get_records_sql("SELECT r.* FROM {question_set_references} r $using", ['using' => $params['using']]),
            fn($reference) => !isset($known[self::category((string) $reference->filtercondition)])
        ));
    }

    /**
     * Delete references.
     *
     * @param string $table
     * @param \stdClass[] $references
     */
    private function remove(string $table, array $references): void {
        global $DB;
        $DB->delete_records_list($table, 'id', array_column($references, 'id'));
        foreach ($references as $reference) {
            $quiz = $reference->component === 'mod_quiz'
                ? $DB->get_field('quiz_slots', 'quizid', ['id' => $reference->itemid]) : false;
            $quiz ? $this->lose_question((int) $quiz) : $this->others++;
        }
    }

    /**
     * The cohort here that has the identifier of one there, and that the course may use.
     *
     * @param int $id there
     * @param bool $enabled its method was switched on there, so that its absence is told
     * @return int 0: none
     */
    public function cohort(int $id, bool $enabled): int {
        global $DB;
        $there = ($this->names['cohorts'][$id] ?? []) + ['name' => '', 'idnumber' => ''];
        [$in, $params] = $DB->get_in_or_equal(\context_course::instance($this->courseid)->get_parent_context_ids());
        $found = $there['idnumber'] === '' ? [] : array_filter(
            $DB->get_records_select('cohort', "contextid $in AND idnumber = ?", array_merge($params, [$there['idnumber']])),
            fn($cohort) => $cohort->idnumber === $there['idnumber'] // A database's collation may find more than is meant.
        );
        if (count($found) === 1) {
            $cohort = reset($found);
            $this->linked[$cohort->id] = $cohort->name;
            return (int) $cohort->id;
        }
        if ($enabled) {
            $this->absent[$id] = [$there['name'], $there['idnumber']];
        }
        return 0;
    }

    /**
     * Activities with an external tool of the site: the tool here that has the same address, or at least its host.
     *
     * @param string $lang
     */
    private function settle_tools(string $lang): void {
        global $CFG, $DB;
        $activities = $DB->get_manager()->table_exists('lti')
            ? $DB->get_records_select('lti', 'course = ? AND (typeid IS NULL OR typeid = 0)', [$this->courseid]) : [];
        if (!$activities) {
            return;
        }
        require_once($CFG->dirroot . '/mod/lti/locallib.php');
        foreach ($activities as $activity) {
            $tool = ($this->names['tools'][(int) ($this->tools[$activity->id] ?? 0)] ?? []) + ['name' => '', 'url' => ''];
            $address = $tool['url'] !== '' ? $tool['url'] : (string) $activity->toolurl;
            $found = $address === '' ? null : $this->tool($address);
            if ($found && $tool['url'] !== '') {
                $DB->set_field('lti', 'typeid', $found->id, ['id' => $activity->id]);
            } else if (!$found && ($tool['url'] !== '' || $address === '')) {
                self::tell_tool(names::plain($activity->name, $lang), $tool['name'], (string) lti_get_domain_from_url($address));
            }
        }
    }

    /**
     * The tool of this site for an address: the one that Moodle itself would choose, or the only one of the same host.
     *
     * @param string $address
     * @return \stdClass|null
     */
    private function tool(string $address): ?\stdClass {
        $found = lti_get_tool_by_url_match($address, $this->courseid);
        $host = $found ? [] : array_values(lti_get_tools_by_url($address, LTI_TOOL_STATE_CONFIGURED, $this->courseid));
        return $found ?: (count($host) === 1 ? $host[0] : null);
    }

    /**
     * Badges that asked for something outside the course (another badge, a field of people's profiles): Moodle leaves a
     * criterion that names nothing.
     *
     * @param string $lang
     */
    private function settle_badges(string $lang): void {
        global $DB;
        $empty = $DB->get_records_sql("SELECT p.id, p.critid, b.id AS badge, b.name
              FROM {badge_criteria_param} p
              JOIN {badge_criteria} c ON c.id = p.critid
              JOIN {badge} b ON b.id = c.badgeid
             WHERE b.courseid = ? AND (p.name = '' OR p.name = 'module_')", [$this->courseid]);
        foreach ($empty as $parameter) {
            $DB->delete_records('badge_criteria_param', ['id' => $parameter->id]);
            if (!$DB->record_exists('badge_criteria_param', ['critid' => $parameter->critid])) {
                $DB->delete_records('badge_criteria', ['id' => $parameter->critid]);
            }
        }
        foreach (array_column($empty, 'name', 'badge') as $name) {
            self::tell_badge(names::plain($name, $lang));
        }
    }

    /**
     * After the restore: settle what is left and tell all of it.
     *
     * @param string $tree the unpacked backup
     * @param string $lang the requester's
     */
    public function settle(string $tree, string $lang): void {
        global $DB;
        $quizzes = $DB->get_records_list('quiz', 'id', array_keys($this->lost), 'id', 'id, name');
        foreach ($quizzes as $id => $quiz) {
            self::tell_questions(names::plain($quiz->name, $lang), $this->lost[$id]);
        }
        if ($this->others) {
            self::tell_other_questions($this->others);
        }
        foreach ($this->linked as $name) {
            self::tell_linked($name);
        }
        foreach ($this->absent as [$name, $idnumber]) {
            self::tell_absent($name, $idnumber);
        }
        $this->settle_tools($lang);
        $this->settle_badges($lang);
        foreach (self::courses_to_complete($tree) as $shortname) {
            if (!$DB->record_exists('course', ['shortname' => $shortname])) {
                self::tell_course($shortname);
            }
        }
    }

    /**
     * Courses that must be completed before this one, which a backup names by their short names.
     *
     * @param string $tree
     * @return string[]
     */
    private static function courses_to_complete(string $tree): array {
        $found = [];
        (new skeleton($tree, false))->has('completion.xml', 'courseinstanceshortname', function ($name) use (&$found) {
            if ($name !== '' && $name !== skeleton::NOTHING) {
                $found[$name] = $name;
            }
            return false;
        });
        return $found;
    }

    /**
     * Say that a quiz lacks questions.
     *
     * @param string $quiz
     * @param int $count
     */
    private static function tell_questions(string $quiz, int $count): void {
        channel::warn("$count questions of the quiz \"$quiz\" did not come with the backup: their places in the quiz are empty.");
    }

    /**
     * Say that other activities lack questions.
     *
     * @param int $count
     */
    private static function tell_other_questions(int $count): void {
        channel::warn("$count questions that activities use did not come with the backup.");
    }

    /**
     * Say that a cohort was linked.
     *
     * @param string $name
     */
    private static function tell_linked(string $name): void {
        channel::warn("The cohort \"$name\" of this site has the identifier of the one that was enrolled on the course server: its "
            . 'enrolment method is there, switched off.');
    }

    /**
     * Say that a cohort was not linked.
     *
     * @param string $name '': not known
     * @param string $idnumber
     */
    private static function tell_absent(string $name, string $idnumber): void {
        $which = $name === '' ? 'a cohort' : "the cohort \"$name\"";
        channel::warn("The enrolment of $which was not restored: " . ($idnumber === '' ? 'its identifier is not known.'
            : "this site has no cohort with the identifier \"$idnumber\" that the course may use."));
    }

    /**
     * Say that an external tool is missing.
     *
     * @param string $activity
     * @param string $tool '': not known
     * @param string $domain '': not known
     */
    private static function tell_tool(string $activity, string $tool, string $domain): void {
        channel::warn("\"$activity\" uses an external tool of the course server" . ($tool === '' ? '' : " (\"$tool\")")
            . ' that this site does not have' . ($domain === '' ? '' : ": there is none for $domain") . '.');
    }

    /**
     * Say that a badge asks for less.
     *
     * @param string $badge
     */
    private static function tell_badge(string $badge): void {
        channel::warn("The badge \"$badge\" no longer asks for what lies outside the course (another badge, a field of people's "
            . 'profiles).');
    }

    /**
     * Say that a course that must be completed first is not here.
     *
     * @param string $shortname
     */
    private static function tell_course(string $shortname): void {
        channel::warn("Course completion no longer asks for the course \"$shortname\", which this site does not have.");
    }
}
