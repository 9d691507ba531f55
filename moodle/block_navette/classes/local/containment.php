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
 * Keeps Moodle's restore inside its course.
 *
 * The restore runs as an administrator, so Moodle would let the backup make things for the whole site. Steps of the
 * plan that do are replaced by their namesakes in contained/, which make the same inside the course. What cannot be
 * inside (badges, tools and feeds survive their course in Moodle) is removed before a half-made course is deleted.
 * docs/moodle.md says what a restore may touch.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class containment {
    /** Steps of Moodle's and ours for them. */
    const STEPS = [
        'restore_load_included_files' => contained\files_step::class,
        'restore_create_included_users' => contained\users_step::class,
        'restore_scales_structure_step' => contained\scales_step::class,
        'restore_outcomes_structure_step' => contained\outcomes_step::class,
        'restore_course_structure_step' => contained\course_step::class,
        'restore_calendarevents_structure_step' => contained\calendar_step::class,
        'restore_glossary_activity_structure_step' => contained\glossary_step::class,
        'restore_quiz_activity_structure_step' => contained\quiz_step::class,
        'restore_rss_client_block_structure_step' => contained\rss_step::class,
        'restore_enrolments_structure_step' => contained\enrolments_step::class,
        'restore_ras_and_caps_structure_step' => contained\roles_step::class,
    ];

    /** Of these, the ones that must be there, by task. */
    const ALWAYS = [
        'restore_root_task' => ['restore_load_included_files', 'restore_create_included_users',
            'restore_scales_structure_step', 'restore_outcomes_structure_step', 'restore_process_categories_and_questions'],
        'restore_course_task' => ['restore_course_structure_step', 'restore_ras_and_caps_structure_step'],
    ];

    /** Steps of ours, by the one that they follow. */
    const AFTER = [
        'restore_outcomes_structure_step' => contained\system_step::class,
        'restore_process_categories_and_questions' => contained\questions_step::class,
        'restore_move_module_questions_categories' => contained\banks_step::class,
    ];

    /** What decides whether an .h5p may install its libraries for the whole site: its owner's capability. */
    const TRUST = 'moodle/h5p:updatelibraries';

    /** @var int whether the course is to be visible when it is whole, as its backup says */
    public $visible = 1;

    /** @var int who owns files whose owner is not known here */
    public $owner;

    /** @var banks the question banks that Moodle makes for questions of no activity */
    public $banks;

    /** @var references what it refers to outside */
    public $references;

    /** @var int the role that the requester will be enrolled with; 0: none */
    public $role = 0;

    /** @var int the course that is being made */
    private $courseid;

    /** @var int[] numbers in this restore that stand for the owners of files, by their ids there */
    private $aliases = [];

    /** @var int the last of these; below a number that no backup can know */
    private $last = 0;

    /** @var bool[] by user id: may install H5P libraries */
    private $trusted = [];

    /** @var string[][] what a role may do here that is a risk and that the requester's role may not do, by the role's id */
    private $excess = [];

    /** @var string[][] capabilities that roles were not allowed, by the role's id */
    private $denied = [];

    /** @var int[] how many did not get a role, by its id */
    private $withheld = [];

    /**
     * Constructor.
     *
     * @param int $courseid
     * @param int $owner user id of the requester
     * @param references $references
     */
    public function __construct(int $courseid, int $owner, references $references) {
        $this->courseid = $courseid;
        $this->owner = $owner;
        $this->banks = new banks();
        $this->references = $references;
    }

    /**
     * Inside of this.
     *
     * @return \context_course
     */
    private function context(): \context_course {
        return \context_course::instance($this->courseid);
    }

    /**
     * Who owns files whose owner is not known here: the requester. Without one the guest, who has no right that
     * Moodle would ask a file's owner for. No owner at all would be wrong: Moodle trusts such a file.
     *
     * @param string $field of the account: username, idnumber or email
     * @param string $user the requester; '': an administrator's order
     * @return int
     */
    public static function owner(string $field, string $user): int {
        $found = $user === '' ? [] : people::matches($field, $user);
        return (int) (count($found) === 1 ? $found[0]->id : guest_user()->id);
    }

    /**
     * Contain a plan whose execution begins. Moodle builds each task just before it executes it, so each gets a
     * wrapper that does the same and replaces its steps in between; only the loop that executes them sees these.
     *
     * @param \base_plan $plan
     */
    public function contain(\base_plan $plan): void {
        $property = new \ReflectionProperty(\base_plan::class, 'tasks');
        $property->setAccessible(true);
        $tasks = $property->getValue($plan);
        $begin = function () use ($property, $plan, $tasks): void {
            $property->setValue($plan, $tasks);
        };
        $property->setValue($plan, array_map(fn($task) => new contained\task($task, $this, $begin), $tasks));
    }

    /**
     * Replace the steps of a task that is about to be executed.
     *
     * @param \base_task $task
     */
    public function replace_steps(\base_task $task): void {
        $property = new \ReflectionProperty(\base_task::class, 'steps');
        $property->setAccessible(true);
        $steps = $property->getValue($task);
        $missing = array_diff(self::ALWAYS[get_class($task)] ?? [], array_map('get_class', $steps));
        if ($missing) {
            throw failure::reject('import_failed', 'Moodle restores in another way than this plugin knows: there is no '
                . implode(', ', $missing));
        }
        $ours = [];
        foreach ($steps as $step) {
            $class = get_class($step);
            $ours[] = isset(self::STEPS[$class]) ? $this->instead($step, self::STEPS[$class], $task) : $step;
            if (isset(self::AFTER[$class])) {
                $ours[] = $this->instead($step, self::AFTER[$class], $task);
            }
        }
        $property->setValue($task, $ours);
    }

    /**
     * Our step in the place of one of Moodle's.
     *
     * @param \base_step $step
     * @param string $class
     * @param \base_task $task
     * @return \base_step
     */
    private function instead(\base_step $step, string $class, \base_task $task): \base_step {
        if (is_subclass_of($class, \restore_structure_step::class)) {
            $filename = new \ReflectionProperty(\restore_structure_step::class, 'filename');
            $filename->setAccessible(true);
            $ours = new $class($step->get_name(), $filename->getValue($step), $task);
        } else {
            $ours = new $class($step->get_name(), $task);
        }
        $ours->containment = $this;
        return $ours;
    }

    /**
     * The number that stands for the owner of files.
     *
     * @param int $userid there
     * @return int
     */
    public function alias(int $userid): int {
        $this->last = $this->last ?: -random_int(1, 0x3fffffff);
        return $this->aliases[$userid] ??= --$this->last;
    }

    /**
     * Now that it is known who is who: files of whom nobody is here, and files of somebody whom Moodle would trust
     * more than the requester, become the requester's.
     *
     * @param string $restoreid
     */
    public function settle_owners(string $restoreid): void {
        foreach ($this->aliases as $userid => $alias) {
            $mapped = (int) (\restore_dbops::get_backup_ids_record($restoreid, 'user', $userid)->newitemid ?? 0);
            $ours = !$mapped || ($this->trusts($mapped) && !$this->trusts($this->owner));
            \restore_dbops::set_backup_ids_record($restoreid, 'user', $alias, $ours ? $this->owner : $mapped);
        }
    }

    /**
     * May somebody install H5P libraries?
     *
     * @param int $userid
     * @return bool
     */
    private function trusts(int $userid): bool {
        return $this->trusted[$userid] ??= has_capability(self::TRUST, $this->context(), $userid);
    }

    /**
     * May the backup let a role do this in the course? Only a requester who could set it himself lets it allow what
     * Moodle calls a risk: signing in as somebody else, H5P libraries for the whole site. His rights are those above the
     * course, since what he may do in it is in the backup.
     *
     * @param string $capability
     * @param int $roleid
     * @return bool
     */
    public function may_allow(string $capability, int $roleid): bool {
        $info = get_capability_info($capability);
        $above = $this->context()->get_parent_context();
        if (!$info || is_safe_capability($info) || has_capability('moodle/role:override', $above, $this->owner)) {
            return true;
        }
        $this->denied[$roleid][$capability] = $capability;
        return false;
    }

    /**
     * May the backup give somebody this role in the course? Not one that may do what Moodle calls a risk (signing in as
     * somebody else, H5P libraries for the whole site) beyond what the requester's role may do, unless he, or the
     * requester, may do that above the course already.
     *
     * @param int $roleid
     * @param int $userid 0: whoever enrols
     * @return bool
     */
    public function may_have(int $roleid, int $userid = 0): bool {
        $above = $this->context()->get_parent_context();
        foreach ($this->excess($roleid, $above) as $capability) {
            if (
                !has_capability($capability, $above, $this->owner)
                    && !($userid && has_capability($capability, $above, $userid))
            ) {
                $this->withheld[$roleid] = ($this->withheld[$roleid] ?? 0) + 1;
                return false;
            }
        }
        return true;
    }

    /**
     * What a role may do that is a risk, and that none of the usual roles may do. These are the role of requesters (the
     * site's own choice) and the one that Moodle gives to whoever restores a course; where the site gives none, its
     * ordinary teachers. What those may assign to others by themselves, such as students, is no excess either.
     *
     * @param int $roleid
     * @param \context $above
     * @return string[] capabilities
     */
    private function excess(int $roleid, \context $above): array {
        global $CFG, $DB;
        if (!isset($this->excess[$roleid])) {
            $usual = array_filter([$this->role, (int) ($CFG->restorernewroleid ?? 0)]);
            if (empty($CFG->restorernewroleid)) {
                $usual = array_merge($usual, array_map('intval', array_keys(get_archetype_roles('editingteacher'))));
            }
            [$in, $params] = $DB->get_in_or_equal($usual ?: [0], SQL_PARAMS_NAMED);
            $given = in_array($roleid, $usual, true)
                || $DB->record_exists_select('role_allow_assign', "allowassign = :role AND roleid $in", ['role' => $roleid] + $params);
            $allowed = array_merge([], ...array_map(fn($id) => self::risks($id, $above), $usual));
            $this->excess[$roleid] = $given ? [] : array_values(array_diff(self::risks($roleid, $above), $allowed));
        }
        return $this->excess[$roleid];
    }

    /**
     * What a role may do in a context that Moodle calls a risk.
     *
     * @param int $roleid
     * @param \context $context
     * @return string[] capabilities
     */
    private static function risks(int $roleid, \context $context): array {
        $allowed = array_keys(array_filter(role_context_capabilities($roleid, $context), fn($may) => $may == CAP_ALLOW));
        return array_filter($allowed, fn($name) => ($info = get_capability_info($name)) && !is_safe_capability($info));
    }

    /**
     * Publications by LTI: Moodle keeps the numbers that the backup gives for their roles. One that would give a role
     * which the backup may not give is switched off until a teacher chooses another.
     */
    public function settle_publications(): void {
        global $DB;
        if (!$DB->get_manager()->table_exists('enrol_lti_tools')) {
            return;
        }
        $tools = $DB->get_records_sql('SELECT t.id, t.enrolid, t.roleinstructor, t.rolelearner
              FROM {enrol_lti_tools} t
              JOIN {enrol} e ON e.id = t.enrolid
             WHERE e.courseid = ?', [$this->courseid]);
        foreach ($tools as $tool) {
            foreach (['roleinstructor', 'rolelearner'] as $field) {
                if (!$this->may_have((int) $tool->$field)) {
                    $DB->set_field('enrol_lti_tools', $field, 0, ['id' => $tool->id]);
                    $DB->set_field('enrol', 'status', ENROL_INSTANCE_DISABLED, ['id' => $tool->enrolid]);
                }
            }
        }
    }

    /**
     * Say what of roles was left out.
     */
    public function tell_roles(): void {
        global $DB;
        $names = $DB->get_records_menu('role', null, '', 'id, shortname');
        foreach ($this->denied as $roleid => $capabilities) {
            sort($capabilities);
            channel::warn("The role \"$names[$roleid]\" was not allowed what the requester may not allow in the course: "
                . implode(', ', $capabilities) . '.');
        }
        foreach ($this->withheld as $roleid => $count) {
            $shown = implode(', ', array_slice($this->excess[$roleid], 0, 3));
            channel::warn("The role \"$names[$roleid]\" was left out for $count people or enrolment methods: it may do what "
                . "the requester may not ($shown" . (count($this->excess[$roleid]) > 3 ? ', …' : '') . ').');
        }
    }

    /**
     * Question banks of the course server's system and course categories: where Moodle, after its look at the
     * backup, would make anything in this site's own, the whole bank comes into the course. A bank that is here
     * already, to the last question, is referred to, as Moodle does for everybody.
     *
     * Moodle 5 has no such banks and makes them in the course by itself (class banks).
     *
     * @param string $restoreid
     */
    public function take_questions(string $restoreid): void {
        global $DB;
        if (banks::are_activities()) {
            return;
        }
        $banks = [];
        $rows = $DB->get_records('backup_ids_temp', ['backupid' => $restoreid, 'itemname' => 'question_category']);
        foreach ($rows as $row) {
            $info = \backup_controller_dbops::decode_backup_temp_info($row->info);
            if ($info->contextlevel == CONTEXT_SYSTEM || $info->contextlevel == CONTEXT_COURSECAT) {
                $banks[$info->contextid][$row->itemid] = [$row, $info];
            }
        }
        foreach ($banks as $contextid => $categories) {
            if ($this->makes_questions($restoreid, $categories)) {
                $this->take_bank($restoreid, (int) $contextid, $categories);
                channel::log('info', count($categories) . ' categories of a question bank outside the course came into the course');
            }
        }
    }

    /**
     * Would Moodle make a category or a question of this bank?
     *
     * @param string $restoreid
     * @param array $categories
     * @return bool
     */
    private function makes_questions(string $restoreid, array $categories): bool {
        global $DB;
        foreach ($categories as [$row, $info]) {
            // The top of each bank is there.
            if (!$row->newitemid && $info->parent) {
                return true;
            }
        }
        [$in, $params] = $DB->get_in_or_equal(array_keys($categories));
        return $DB->record_exists_select(
            'backup_ids_temp',
            "backupid = ? AND itemname = 'question' AND newitemid = 0 AND parentitemid $in",
            [$restoreid, ...$params]
        );
    }

    /**
     * Note that a bank is to be made in the course, as Moodle itself does for whoever may not write elsewhere.
     *
     * @param string $restoreid
     * @param int $contextid of the bank, there
     * @param array $categories
     */
    private function take_bank(string $restoreid, int $contextid, array $categories): void {
        global $DB;
        foreach ($categories as $id => [$row, $info]) {
            $info->contextlevel = CONTEXT_COURSE;
            $DB->update_record('backup_ids_temp', (object) ['id' => $row->id, 'newitemid' => 0,
                'parentitemid' => $this->context()->id, 'info' => \backup_controller_dbops::encode_backup_temp_info($info)]);
            $DB->set_field('backup_ids_temp', 'newitemid', 0, ['backupid' => $restoreid, 'itemname' => 'question',
                'parentitemid' => $id]);
        }
        \restore_dbops::reset_backup_ids_cached();
        \restore_dbops::set_backup_ids_record($restoreid, 'context', $contextid, $this->context()->id);
    }

    /**
     * Random questions: the bank is where the category is that they are picked from, whatever the backup says.
     */
    public function settle_questions(): void {
        global $DB;
        if (!$DB->get_manager()->table_exists('question_set_references')) {
            return;
        }
        $references = $DB->get_records_sql('SELECT r.id, r.questionscontextid, r.filtercondition
              FROM {question_set_references} r
              JOIN {context} x ON x.id = r.usingcontextid
             WHERE ' . $DB->sql_like('x.path', ':path'), ['path' => $this->context()->path . '/%']);
        foreach ($references as $reference) {
            $condition = json_decode($reference->filtercondition, true);
            $category = $condition['filter']['category']['values'][0] ?? $condition['questioncategoryid'] ?? 0;
            $contextid = $DB->get_field('question_categories', 'contextid', ['id' => $category]);
            if ($contextid && $contextid != $reference->questionscontextid) {
                if (isset($condition['cat'])) {
                    $condition['cat'] = "$category,$contextid";
                }
                $DB->update_record('question_set_references', (object) ['id' => $reference->id,
                    'questionscontextid' => $contextid, 'filtercondition' => json_encode($condition)]);
            }
        }
    }

    /**
     * Part of the commit: what the course has outside it is the requester's from now on.
     */
    public function commit(): void {
        global $DB;
        if (self::has_feeds()) {
            $DB->set_field('block_rss_client', 'userid', $this->owner, ['userid' => -$this->courseid]);
        }
    }

    /**
     * Moodle shows an .h5p only if its owner may publish such: say so where that is not.
     */
    public function tell_h5p(): void {
        global $DB;
        if (has_capability('moodle/h5p:deploy', $this->context(), $this->owner)) {
            return;
        }
        $count = $DB->count_records_sql('SELECT COUNT(*)
                  FROM {files} f
                  JOIN {context} x ON x.id = f.contextid
                 WHERE f.userid = :owner AND ' . $DB->sql_like('f.filename', ':name', false) . '
                       AND (x.id = :id OR ' . $DB->sql_like('x.path', ':path') . ')', ['owner' => $this->owner,
                'name' => '%.h5p', 'id' => $this->context()->id, 'path' => $this->context()->path . '/%']);
        if ($count) {
            channel::warn("$count H5P packages belong to nobody here who may publish H5P in this course: Moodle shows them "
                . 'once a teacher has uploaded them again.');
        }
    }

    /**
     * What Moodle does not remove with a course; for a half-made one.
     *
     * @param int $courseid
     */
    public static function remove(int $courseid): void {
        global $CFG, $DB;
        require_once($CFG->libdir . '/badgeslib.php');
        require_once($CFG->libdir . '/questionlib.php');
        $context = \context_course::instance($courseid);
        // Deleting a course makes badges of the site of its badges.
        foreach ($DB->get_fieldset_select('badge', 'id', 'courseid = ?', [$courseid]) as $id) {
            (new \core_badges\badge($id))->delete(false);
        }
        self::remove_tools($courseid);
        if (self::has_feeds()) {
            $DB->delete_records('block_rss_client', ['userid' => -$courseid]);
        }
        // Questions that are in use would be saved into the bank of the category above.
        $in = 'IN (SELECT x.id FROM {context} x WHERE ' . $DB->sql_like('x.path', ':path') . ')';
        $path = ['path' => $context->path . '/%'];
        \question_engine::delete_questions_usage_by_activities(
            new \qubaid_join('{question_usages} quba', 'quba.id', "quba.contextid $in", $path)
        );
        foreach (['question_references', 'question_set_references'] as $table) {
            if ($DB->get_manager()->table_exists($table)) {
                $DB->delete_records_select($table, "usingcontextid $in", $path);
            }
        }
        // Of a question whose version was never written, Moodle finds nothing by the category.
        $entries = $DB->get_fieldset_sql("SELECT e.id
              FROM {question_bank_entries} e
              JOIN {question_categories} c ON c.id = e.questioncategoryid
         LEFT JOIN {question_versions} v ON v.questionbankentryid = e.id
             WHERE v.id IS NULL AND (c.contextid = :id OR c.contextid $in)", ['id' => $context->id] + $path);
        $DB->delete_records_list('question_bank_entries', 'id', $entries);
        if ($DB->get_manager()->table_exists('competency_evidence')) {
            $DB->delete_records('competency_evidence', ['contextid' => $context->id]);
        }
    }

    /**
     * External tools of the course.
     *
     * @param int $courseid
     */
    private static function remove_tools(int $courseid): void {
        global $CFG, $DB;
        if (!$DB->get_manager()->table_exists('lti_types') || $courseid == SITEID) {
            return;
        }
        require_once($CFG->dirroot . '/mod/lti/locallib.php');
        foreach ($DB->get_fieldset_select('lti_types', 'id', 'course = ?', [$courseid]) as $id) {
            lti_delete_type($id);
        }
    }

    /**
     * Is there the block that shows RSS feeds?
     *
     * @return bool
     */
    private static function has_feeds(): bool {
        global $DB;
        return $DB->get_manager()->table_exists('block_rss_client');
    }
}
