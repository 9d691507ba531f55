<?php
// SPDX-License-Identifier: GPL-3.0-or-later
// This file is part of Navette.
//
// Describes a course as JSON without ids and times, so that an original and its restored copy can
// be compared: php compare.php COURSEID [SINCE], from the site's own folder.  Times since SINCE (seconds
// since 1970) are those of the restore, which say nothing of the course.

define('CLI_SCRIPT', true);
require(__DIR__ . '/config.php');
require_once($CFG->dirroot . '/course/lib.php');
require_once($CFG->libdir . '/gradelib.php');

/**
 * Rows of any table as text, in which ids are replaced by what they stand for.  What refers to what
 * is read from the install.xml files; what these do not say stands in REFERENCES.
 */
class navette_rows {
    /** Ids, times of making, and what a site makes up for itself. */
    const SKIP = ['id', 'course', 'timecreated', 'timemodified', 'sortorder', 'revision', 'stamp', 'version', 'hidden',
        'meetingid', 'servicesalt', 'idnumberhash', 'sequence', 'usercreated', 'cachedata', 'pathnamehash', 'ordering',
        'timemodifiedoffline', 'scoid', 'taginstanceid', 'contextid', 'uniquehash', 'token', 'guestpassword',
        'moderatorpass', 'viewerpass'];

    /** What columns of this name refer to, in whatever table. */
    const REFERENCES = ['userid' => 'user', 'usermodified' => 'user', 'grader' => 'user', 'authorid' => 'user',
        'reviewerid' => 'user', 'createdby' => 'user', 'modifiedby' => 'user', 'modifierid' => 'user',
        'allocatedmarker' => 'user', 'raterid' => 'user', 'issuerid' => 'user', 'recipientid' => 'user',
        'groupid' => 'groups', 'groupingid' => 'groupings', 'teamsubmissiongroupingid' => 'groupings',
        'courseid' => 'course', 'firstpost' => 'forum_posts', 'privatereplyto' => 'forum_posts',
        'prevpageid' => 'lesson_pages', 'nextpageid' => 'lesson_pages', 'topageid' => 'wiki_pages',
        'dimensionid' => 'workshopform_accumulative', 'launch' => 'scorm_scoes', 'moduleinstance' => 'course_modules',
        'coursemoduleid' => 'course_modules', 'criteriaid' => 'course_completion_criteria', 'critid' => 'badge_criteria',
        'badgeid' => 'badge', 'roleid' => 'role', 'questionbankentryid' => 'question_bank_entries',
        'usingcontextid' => 'context', 'questionscontextid' => 'context', 'tagid' => 'tag',
        'questionid' => 'question', 'questionusageid' => 'question_usages', 'questionattemptid' => 'question_attempts',
        'attemptstepid' => 'question_attempt_steps', 'trueanswer' => 'question_answers', 'falseanswer' => 'question_answers',
        'question_numerical.answer' => 'question_answers', 'question_calculated.answer' => 'question_answers',
        'feedback_value.completed' => 'feedback_completed', 'question_dataset_items.definition' =>
        'question_dataset_definitions'];

    /** What itemid means, by the area it stands in. */
    const ITEMS = ['post' => 'forum_posts', 'entry' => 'glossary_entries', 'database_entry' => 'data_records',
        'glossary_entry' => 'glossary_entries', 'submission_comments' => 'assign_submission', 'slot' => 'quiz_slots',
        'wiki_page' => 'wiki_pages'];

    /** @var string[][] table to column to table */
    private $keys = [];

    /** @var stdClass[][] table to id to row: what has been found of the course */
    public $found = [];

    /** @var string[][] table to id to what it is called here */
    private $labels = [];

    /** @var callable how a row's columns are made alike */
    private $alike;

    public function __construct(array $schemas, callable $alike) {
        $this->alike = $alike;
        foreach ($schemas as $path) {
            foreach (simplexml_load_file($path)->TABLES->TABLE as $table) {
                $this->keys[(string) $table['NAME']] = [];
                // Not every module says in its schema what its columns are.
                if (preg_match('#/mod/(\w+)/db/install\.xml$#', $path, $module)) {
                    foreach ($table->FIELDS->FIELD as $field) {
                        if (in_array((string) $field['NAME'], [$module[1], "$module[1]id"], true)) {
                            $this->keys[(string) $table['NAME']][(string) $field['NAME']] = $module[1];
                        }
                    }
                }
                foreach ($table->KEYS->KEY ?? [] as $key) {
                    if (strpos((string) $key['TYPE'], 'foreign') === 0 && strpos((string) $key['FIELDS'], ',') === false) {
                        $this->keys[(string) $table['NAME']][(string) $key['FIELDS']] = (string) $key['REFTABLE'];
                    }
                }
            }
        }
    }

    /** How an id is called, where its row says too little. */
    public function call(string $table, int $id, string $name): void {
        $this->labels[$table][$id] = $name;
    }

    public function add(string $table, array $rows): void {
        $this->found[$table] = ($this->found[$table] ?? []) + $rows;
    }

    /** Rows of $table whose $column is one of the values. */
    public function look(string $table, string $column, array $values): void {
        global $DB;
        foreach (array_chunk($values, 1000) as $some) {
            $this->add($table, $DB->get_records_list($table, $column, $some));
        }
    }

    /** Whatever refers to what was found, among these tables, until nothing more is found. */
    public function follow(array $tables): void {
        do {
            $before = array_sum(array_map('count', $this->found));
            foreach ($tables as $table) {
                foreach ($this->keys[$table] ?? [] as $column => $parent) {
                    if (!empty($this->found[$parent]) && $parent !== $table && in_array($parent, $tables, true)) {
                        $this->look($table, $column, array_keys($this->found[$parent]));
                    }
                }
            }
        } while (array_sum(array_map('count', $this->found)) > $before);
    }

    /** What an id stands for. */
    private function label(string $table, int $id, array $path): string {
        global $DB;
        if (isset($this->labels[$table][$id])) {
            return $this->labels[$table][$id];
        }
        if ($id <= 0 || in_array("$table $id", $path, true)) {
            return $id ? '(itself)' : '';
        }
        $row = $this->found[$table][$id] ?? null;
        $name = ['user' => 'username', 'role' => 'shortname', 'scorm_element' => 'element', 'scale' => 'name', 'tag' => 'name',
            'badge' => 'name', 'question_categories' => 'name'][$table] ?? null;
        if ($name) {
            return $this->labels[$table][$id] = (string) $DB->get_field($table, $name, ['id' => $id]);
        }
        if (!$row) {
            return "(some $table)";
        }
        foreach (['name', 'title', 'concept', 'subject'] as $name) {
            if (isset($row->$name) && $row->$name !== '') {
                return $row->$name;
            }
        }
        return substr(sha1($this->text($table, $row, [...$path, "$table $id"])), 0, 8);
    }

    private function text(string $table, stdClass $row, array $path = []): string {
        $out = [];
        foreach (($this->alike)($row, self::SKIP) as $column => $value) {
            $target = $this->keys[$table][$column] ?? self::REFERENCES["$table.$column"] ?? self::REFERENCES[$column] ?? null;
            if ($table === 'event' && $column === 'instance') {
                $target = (string) $row->modulename;
            } else if ($column === 'itemid') {
                $area = $row->ratingarea ?? $row->commentarea ?? $row->questionarea ?? '';
                $target = $row->itemtype ?? self::ITEMS[$area] ?? null;
                if ($table === 'tag_instance') {
                    // Which module is enough: now and then Moodle's own restore gives a tag to nothing that is there.
                    [$target, $value] = ['context', $row->contextid];
                }
                $target = $area === 'entry' && $row->component === 'mod_data' ? 'data_records' : $target;
            } else if ($column === 'jumpto' && (int) $value > 0) {
                $target = 'lesson_pages';
            } else if (in_array($column, ['scale', 'grade', 'scaleid'], true) && (int) $value < 0) {
                $value = 'scale ' . $this->label('scale', -(int) $value, []);
            } else if ($table === 'rating' && $column === 'scaleid') {
                $target = null; // Points, whatever the schema says of this column.
            }
            if ($target && is_numeric($value)) {
                $value = $this->label($target, (int) $value, $path);
            }
            if ($column === 'filtercondition') {
                $value = preg_replace_callback('/("values":\[)"?(\d+)"?|("cat":")(\d+)(,\d+)?/', fn($m) => $m[1] . ($m[3] ?? '')
                    . $this->label('question_categories', (int) ($m[2] ?: $m[4]), []), $value);
            }
            if ($value !== '') {
                $out[] = "$column=$value";
            }
        }
        return implode(' | ', $out);
    }

    /** All that was found: table to sorted lines. */
    public function all(): array {
        $out = [];
        foreach ($this->found as $table => $rows) {
            $out[$table] = array_values(array_map(fn($row) => $this->text($table, $row), $rows));
            sort($out[$table]);
        }
        ksort($out);
        return array_filter($out);
    }
}

/**
 * Describes one course.
 */
class navette_description {
    /** Columns that cannot be the same: ids, and times of making. */
    const SKIP = ['id', 'course', 'courseid', 'category', 'sortorder', 'timecreated', 'timemodified', 'cacherev',
        'originalcourseid', 'defaultgroupingid', 'contextid', 'revision', 'userid', 'usermodified', 'completionexpected',
        'sequence', 'section', 'instance', 'module', 'added', 'groupingid', 'version', 'stamp', 'questioncategoryid',
        'timeadded', 'iteminstance', 'categoryid', 'outcomeid', 'scaleid', 'idnumberhash', 'course_completion',
        'meetingid', 'firstpageid', 'servicesalt'];

    /** @var stdClass */
    private $course;

    /** @var int */
    private $since;

    /** @var context_course */
    private $context;

    /** @var string[] ids of groups and groupings to names */
    private $groups;

    /** @var string[] ids of groupings to names */
    private $groupings;

    /** @var string[] ids of grade items to names */
    private $items = [];

    /** @var string[] ids of course modules to names */
    private $modules = [];

    public function __construct(int $id, int $since) {
        global $DB;
        $this->since = $since;
        $this->course = $DB->get_record('course', ['id' => $id], '*', MUST_EXIST);
        $this->context = context_course::instance($id);
        $this->groups = $DB->get_records_menu('groups', ['courseid' => $id], '', 'id, name');
        $this->groupings = $DB->get_records_menu('groupings', ['courseid' => $id], '', 'id, name');
        $categories = $DB->get_records_menu('grade_categories', ['courseid' => $id], '', 'id, fullname');
        foreach ($DB->get_records('grade_items', ['courseid' => $id]) as $item) {
            // The item of a category has no name of its own.
            $name = $item->itemtype === 'category' ? $categories[$item->iteminstance] : $item->itemname;
            $this->items[$item->id] = "$item->itemtype $item->itemmodule $name $item->itemnumber";
        }
        foreach (get_fast_modinfo($id)->get_cms() as $cm) {
            $this->modules[$cm->id] = "$cm->modname $cm->name";
        }
    }

    /** A row without what differs by nature; addresses and ids inside texts are made alike. */
    private function row(stdClass $row, array $skip = [], array $always = self::SKIP): array {
        global $CFG;
        $out = [];
        foreach ((array) $row as $name => $value) {
            if (in_array($name, $always, true) || in_array($name, $skip, true)) {
                continue;
            }
            $value = str_replace($CFG->wwwroot, '$WWWROOT', (string) $value);
            if ($this->since && preg_match('/^\d{10}$/', $value) && (int) $value >= $this->since) {
                $value = '(now)';
            }
            $out[$name] = preg_replace('/([?&](?:id|d|f|course|cmid)=)\d+/', '$1N', $value);
        }
        ksort($out);
        return $out;
    }

    private function availability(?string $json): string {
        $names = ['group","id' => $this->groups, 'grouping","id' => $this->groupings, 'grade","id' => $this->items,
            'completion","cm' => $this->modules];
        return preg_replace_callback('/"type":"(group","id|grouping","id|grade","id|completion","cm)":(\d+)/',
            fn($m) => "\"type\":\"$m[1]\":\"" . ($names[$m[1]][$m[2]] ?? '?') . '"', (string) $json);
    }

    public function all(): array {
        return ['course' => $this->row($this->course, ['shortname', 'fullname', 'idnumber', 'showreports']),
            'format' => $this->format(), 'sections' => $this->sections(), 'files' => $this->files(),
            'questions' => $this->questions(), 'grades' => $this->grades(), 'groups' => $this->groups(),
            'enrolments' => $this->enrolments(), 'blocks' => $this->blocks(), 'filters' => $this->filters(),
            'content' => $this->content()];
    }

    private function format(int $section = 0): array {
        global $DB;
        $out = [];
        foreach ($DB->get_records('course_format_options', ['courseid' => $this->course->id,
                'sectionid' => $section]) as $o) {
            $out[$o->name] = $o->value;
        }
        ksort($out);
        return $out;
    }

    private function sections(): array {
        global $DB;
        $out = [];
        foreach ($DB->get_records('course_sections', ['course' => $this->course->id], 'section') as $section) {
            $one = $this->row($section, ['itemid']);
            $one['options'] = $this->format($section->id);
            $one['availability'] = $this->availability($section->availability);
            $one['modules'] = [];
            foreach (array_filter(explode(',', (string) $section->sequence)) as $cmid) {
                $cm = $DB->get_record('course_modules', ['id' => $cmid]);
                $name = $DB->get_field('modules', 'name', ['id' => $cm->module]);
                $settings = $this->row($cm);
                $settings['availability'] = $this->availability($cm->availability);
                $settings['grouping'] = $this->groupings[$cm->groupingid] ?? '';
                $one['modules'][] = ['kind' => $name, 'settings' => $settings,
                    'name' => $DB->get_field($name, 'name', ['id' => $cm->instance])];
            }
            $out[$section->section] = $one;
        }
        return $out;
    }

    private function files(): array {
        global $DB;
        $rows = $DB->get_records_sql("SELECT f.*, ctx.contextlevel, ctx.instanceid, u.username
                  FROM {files} f
                  JOIN {context} ctx ON ctx.id = f.contextid
             LEFT JOIN {user} u ON u.id = f.userid
                 WHERE f.filename <> '.' AND (ctx.id = :id OR " . $DB->sql_like('ctx.path', ':path') . ')',
            ['id' => $this->context->id, 'path' => $this->context->path . '/%']);
        $out = [];
        foreach ($rows as $f) {
            if ($f->component === 'backup') {
                continue;
            }
            $where = $f->contextlevel == CONTEXT_MODULE ? $this->modules[$f->instanceid] ?? '?' : "level $f->contextlevel";
            // Moodle's own restore gives whoever runs it what has no owner here, ours whoever asked for the course.
            $owner = in_array($f->username, ['admin', 'guest', 'teacher1', 'teacher2', 'manager1'], true) ? '(restorer)' : $f->username;
            $out[] = "$where | $f->component/$f->filearea$f->filepath$f->filename | $f->contenthash $f->filesize "
                . "| $f->mimetype | $f->author | $f->license | $f->sortorder | $owner | "
                . ($f->referencefileid ? 'reference' : 'own');
        }
        sort($out);
        return $out;
    }

    private function questions(): array {
        global $DB;
        $rows = $DB->get_records_sql('SELECT q.*, c.name AS categoryname, v.status, v.version AS vers, ctx.contextlevel,
                       e.idnumber
                  FROM {question} q
                  JOIN {question_versions} v ON v.questionid = q.id
                  JOIN {question_bank_entries} e ON e.id = v.questionbankentryid
                  JOIN {question_categories} c ON c.id = e.questioncategoryid
                  JOIN {context} ctx ON ctx.id = c.contextid
                 WHERE ctx.id = :id OR ' . $DB->sql_like('ctx.path', ':path') . ' ORDER BY q.id',
            ['id' => $this->context->id, 'path' => $this->context->path . '/%']);
        $out = [];
        foreach ($rows as $q) {
            $one = $this->row($q, ['createdby', 'modifiedby', 'parent']);
            $one['answers'] = array_values(array_map(fn($a) => $this->row($a, ['question']),
                $DB->get_records('question_answers', ['question' => $q->id], 'id')));
            // The parts of a question have its name.
            for ($key = "$q->categoryname | $q->name | $q->vers | $q->qtype"; isset($out[$key]); $key .= '+');
            $out[$key] = $one;
        }
        ksort($out);
        return $out;
    }

    private function grades(): array {
        global $DB;
        $names = $DB->get_records_menu('grade_categories', ['courseid' => $this->course->id], '', 'id, fullname');
        $out = ['categories' => [], 'items' => [], 'grades' => []];
        foreach ($DB->get_records('grade_categories', ['courseid' => $this->course->id], 'path') as $c) {
            $out['categories'][] = $this->row($c, ['parent', 'path', 'hidden']);
        }
        foreach ($DB->get_records('grade_items', ['courseid' => $this->course->id]) as $i) {
            $key = $this->items[$i->id];
            $out['items'][$key] = $this->row($i, ['calculation', 'needsupdate']) + ['in' => $names[$i->categoryid] ?? '',
                'formula' => preg_replace_callback('/##gi(\d+)##/', fn($m) => $this->items[$m[1]] ?? '?',
                    (string) $i->calculation)];
            foreach ($DB->get_records('grade_grades', ['itemid' => $i->id]) as $g) {
                $user = $DB->get_field('user', 'username', ['id' => $g->userid]);
                if ($g->finalgrade !== null || $g->feedback !== null || $g->excluded) {
                    $out['grades'][] = "$key | $user | " . json_encode($this->row($g, ['itemid', 'rawscaleid', 'overridden',
                        'aggregationstatus', 'aggregationweight']), JSON_UNESCAPED_UNICODE);
                }
            }
        }
        ksort($out['items']);
        sort($out['grades']);
        return $out;
    }

    private function groups(): array {
        global $DB;
        $out = [];
        foreach ($DB->get_records('groups', ['courseid' => $this->course->id]) as $g) {
            $members = $DB->get_fieldset_sql('SELECT u.username FROM {groups_members} m JOIN {user} u ON u.id = m.userid
                WHERE m.groupid = ?', [$g->id]);
            sort($members);
            $out['groups'][$g->name] = $this->row($g, ['enrolmentkey']) + ['members' => $members];
        }
        foreach ($DB->get_records('groupings', ['courseid' => $this->course->id]) as $g) {
            $groups = $DB->get_fieldset_sql('SELECT g.name FROM {groupings_groups} x JOIN {groups} g ON g.id = x.groupid
                WHERE x.groupingid = ?', [$g->id]);
            sort($groups);
            $out['groupings'][$g->name] = $groups;
        }
        return $out;
    }

    private function enrolments(): array {
        global $DB;
        $out = ['methods' => [], 'users' => [], 'roles' => []];
        foreach ($DB->get_records('enrol', ['courseid' => $this->course->id]) as $e) {
            $role = $DB->get_field('role', 'shortname', ['id' => $e->roleid]);
            $out['methods'][] = "$e->enrol | $e->status | $role";
            foreach ($DB->get_records('user_enrolments', ['enrolid' => $e->id]) as $u) {
                $out['users'][] = $DB->get_field('user', 'username', ['id' => $u->userid]) . " | $e->enrol | $u->status";
            }
        }
        $out['roles'] = $DB->get_fieldset_sql('SELECT ' . $DB->sql_concat('u.username', "' | '", 'r.shortname', "' | '",
                'ra.component') . ' FROM {role_assignments} ra JOIN {user} u ON u.id = ra.userid
            JOIN {role} r ON r.id = ra.roleid WHERE ra.contextid = ?', [$this->context->id]);
        return array_map(function (array $list) {
            sort($list);
            return $list;
        }, $out);
    }

    private function blocks(): array {
        global $DB;
        $out = [];
        $rows = $DB->get_records_sql('SELECT b.*, x.contextlevel, x.instanceid FROM {block_instances} b
            JOIN {context} x ON x.id = b.parentcontextid WHERE x.id = :id OR ' . $DB->sql_like('x.path', ':path'),
            ['id' => $this->context->id, 'path' => $this->context->path . '/%']);
        foreach ($rows as $b) {
            $where = $b->contextlevel == CONTEXT_MODULE ? $this->modules[$b->instanceid] ?? '?' : "level $b->contextlevel";
            $out[] = "$where | $b->blockname | $b->pagetypepattern | $b->defaultregion | $b->defaultweight | "
                . json_encode(unserialize(base64_decode((string) $b->configdata)), JSON_UNESCAPED_UNICODE);
        }
        sort($out);
        return $out;
    }

    private function filters(): array {
        global $DB;
        return $DB->get_fieldset_select('filter_active', 'filter', 'contextid = ? ORDER BY filter', [$this->context->id]);
    }

    /** The tables that modules and questions keep their content in, and the files that say so. */
    private function schemas(): array {
        global $CFG;
        $paths = ["$CFG->libdir/db/install.xml"];
        $kinds = ['mod', 'qtype', 'gradingform', 'qbehaviour'];
        foreach (array_keys(core_component::get_plugin_list('mod')) as $module) {
            $kinds = array_merge($kinds, array_keys(core_component::get_subplugins("mod_$module") ?? []));
        }
        foreach ($kinds as $kind) {
            foreach (core_component::get_plugin_list($kind) as $folder) {
                if (is_file("$folder/db/install.xml")) {
                    $paths[] = "$folder/db/install.xml";
                }
            }
        }
        return $paths;
    }

    /** What modules, questions and the course hold, with what people did there: all rows. */
    private function content(): array {
        global $DB;
        $paths = $this->schemas();
        $rows = new navette_rows($paths, fn($row, $skip) => $this->row($row, $skip, []));
        $contexts = $DB->get_records_select('context', 'id = ? OR ' . $DB->sql_like('path', '?'),
            [$this->context->id, $this->context->path . '/%']);
        foreach ($contexts as $context) {
            $rows->call('context', $context->id, $context->contextlevel == CONTEXT_MODULE
                ? $this->modules[$context->instanceid] ?? '?' : "level $context->contextlevel");
        }
        foreach ($this->modules as $cmid => $name) {
            $rows->call('course_modules', $cmid, $name);
        }
        foreach (['groups' => $this->groups, 'groupings' => $this->groupings] as $table => $names) {
            foreach ($names as $id => $name) {
                $rows->call($table, $id, $name);
            }
        }
        $rows->call('course', $this->course->id, '(this)');

        // Modules, with whatever refers to them in their own tables.
        $tables = ['course_modules_completion', 'course_modules_viewed', 'question_usages', 'question_attempts',
            'question_attempt_steps', 'question_attempt_step_data', 'question_answers', 'question_hints', 'question_datasets',
            'question_versions', 'grading_areas', 'grading_definitions', 'grading_instances', 'badge_criteria',
            'badge_criteria_param', 'badge_criteria_met', 'badge_issued', 'badge_manual_award', 'badge', 'question'];
        foreach (array_slice($paths, 1) as $path) {
            foreach (simplexml_load_file($path)->TABLES->TABLE as $table) {
                $tables[] = (string) $table['NAME'];
            }
        }
        foreach (get_fast_modinfo($this->course)->get_cms() as $cm) {
            $rows->look($cm->modname, 'id', [$cm->instance]);
        }
        foreach (['course_modules_completion', 'course_modules_viewed'] as $table) {
            $rows->look($table, 'coursemoduleid', array_keys($this->modules));
        }
        foreach (['comments', 'rating', 'tag_instance', 'grading_areas', 'role_capabilities', 'contentbank_content',
                'grade_letters', 'filter_config'] as $table) {
            $rows->look($table, 'contextid', array_keys($contexts));
        }
        foreach (['question_references', 'question_set_references'] as $table) {
            $rows->look($table, 'usingcontextid', array_keys($contexts));
        }
        foreach (['event' => 'courseid', 'badge' => 'courseid', 'scale' => 'courseid', 'course_completions' => 'course',
                'course_completion_criteria' => 'course', 'course_completion_aggr_methd' => 'course',
                'course_completion_crit_compl' => 'course', 'customfield_data' => 'contextid'] as $table => $column) {
            $rows->look($table, $column, [$column === 'contextid' ? $this->context->id : $this->course->id]);
        }
        // Questions, as the bank of the course and of its modules has them.
        $rows->look('question_categories', 'contextid', array_keys($contexts));
        $rows->look('question_bank_entries', 'questioncategoryid', array_keys($rows->found['question_categories'] ?? []));
        $rows->look('question_versions', 'questionbankentryid', array_keys($rows->found['question_bank_entries'] ?? []));
        $rows->look('question', 'id', array_column($rows->found['question_versions'] ?? [], 'questionid'));
        foreach ($rows->found['question_versions'] ?? [] as $version) {
            $rows->call('question_bank_entries', $version->questionbankentryid,
                $rows->found['question'][$version->questionid]->name);
        }
        $rows->follow($tables);
        $rows->look('question_usages', 'id', array_column($rows->found['quiz_attempts'] ?? [], 'uniqueid'));
        $rows->look('question_dataset_definitions', 'id', array_column($rows->found['question_datasets'] ?? [],
            'datasetdefinition'));
        $rows->look('question_dataset_items', 'definition', array_keys($rows->found['question_dataset_definitions'] ?? []));
        $rows->follow($tables);
        return $rows->all();
    }
}

$description = new navette_description((int) $argv[1], (int) ($argv[2] ?? 0));
echo json_encode($description->all(), JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES), "\n";
