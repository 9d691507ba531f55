<?php
// SPDX-License-Identifier: GPL-3.0-or-later
// This file is part of Navette.
//
// Describes a course as JSON without ids and times, so that an original and its restored copy can
// be compared: php compare.php COURSEID, from the site's own folder.

define('CLI_SCRIPT', true);
require(__DIR__ . '/config.php');
require_once($CFG->dirroot . '/course/lib.php');
require_once($CFG->libdir . '/gradelib.php');

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

    /** @var context_course */
    private $context;

    /** @var string[] ids of groups and groupings to names */
    private $groups;

    /** @var string[] ids of course modules to names */
    private $modules = [];

    public function __construct(int $id) {
        global $DB;
        $this->course = $DB->get_record('course', ['id' => $id], '*', MUST_EXIST);
        $this->context = context_course::instance($id);
        $this->groups = $DB->get_records_menu('groups', ['courseid' => $id], '', 'id, name');
        foreach (get_fast_modinfo($id)->get_cms() as $cm) {
            $this->modules[$cm->id] = "$cm->modname $cm->name";
        }
    }

    /** A row without what differs by nature; addresses and ids inside texts are made alike. */
    private function row(stdClass $row, array $skip = []): array {
        global $CFG;
        $out = [];
        foreach ((array) $row as $name => $value) {
            if (in_array($name, self::SKIP, true) || in_array($name, $skip, true)) {
                continue;
            }
            $value = str_replace($CFG->wwwroot, '$WWWROOT', (string) $value);
            $out[$name] = preg_replace('/([?&](?:id|d|f|course|cmid)=)\d+/', '$1N', $value);
        }
        ksort($out);
        return $out;
    }

    private function availability(?string $json): string {
        $text = (string) $json;
        return preg_replace_callback('/"(type":"group","id|cm)":(\d+)/', fn($m) => '"' . $m[1] . '":"'
            . ($m[1] === 'cm' ? $this->modules[$m[2]] ?? '?' : $this->groups[$m[2]] ?? '?') . '"', $text);
    }

    public function all(): array {
        return ['course' => $this->row($this->course, ['shortname', 'fullname', 'idnumber', 'showreports']),
            'format' => $this->format(), 'sections' => $this->sections(), 'files' => $this->files(),
            'questions' => $this->questions(), 'grades' => $this->grades(), 'groups' => $this->groups(),
            'enrolments' => $this->enrolments(), 'blocks' => $this->blocks(), 'counts' => $this->counts(),
            'filters' => $this->filters()];
    }

    private function format(): array {
        global $DB;
        $out = [];
        foreach ($DB->get_records('course_format_options', ['courseid' => $this->course->id, 'sectionid' => 0]) as $o) {
            $out[$o->name] = $o->value;
        }
        ksort($out);
        return $out;
    }

    private function sections(): array {
        global $DB;
        $out = [];
        foreach ($DB->get_records('course_sections', ['course' => $this->course->id], 'section') as $section) {
            $one = $this->row($section);
            $one['availability'] = $this->availability($section->availability);
            $one['modules'] = [];
            foreach (array_filter(explode(',', (string) $section->sequence)) as $cmid) {
                $cm = $DB->get_record('course_modules', ['id' => $cmid]);
                $name = $DB->get_field('modules', 'name', ['id' => $cm->module]);
                $settings = $this->row($cm);
                $settings['availability'] = $this->availability($cm->availability);
                $one['modules'][] = ['kind' => $name, 'settings' => $settings,
                    'instance' => $this->row($DB->get_record($name, ['id' => $cm->instance]))];
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
            $out[] = "$where | $f->component/$f->filearea$f->filepath$f->filename | $f->contenthash $f->filesize "
                . "| $f->mimetype | $f->author | $f->license | $f->sortorder | $f->username | "
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
                 WHERE ctx.id = :id OR ' . $DB->sql_like('ctx.path', ':path'),
            ['id' => $this->context->id, 'path' => $this->context->path . '/%']);
        $out = [];
        foreach ($rows as $q) {
            $one = $this->row($q, ['createdby', 'modifiedby', 'parent']);
            $one['answers'] = array_values(array_map(fn($a) => $this->row($a, ['question']),
                $DB->get_records('question_answers', ['question' => $q->id], 'id')));
            $out["$q->categoryname | $q->name | $q->vers"] = $one;
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
            $key = "$i->itemtype $i->itemmodule $i->itemname $i->itemnumber";
            $out['items'][$key] = $this->row($i, ['calculation', 'needsupdate']) + ['in' => $names[$i->categoryid] ?? ''];
            foreach ($DB->get_records('grade_grades', ['itemid' => $i->id]) as $g) {
                $user = $DB->get_field('user', 'username', ['id' => $g->userid]);
                if ($g->finalgrade !== null) {
                    $out['grades'][] = "$key | $user | $g->finalgrade | $g->feedback";
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
        $out = $DB->get_fieldset_sql('SELECT ' . $DB->sql_concat('blockname', "' | '", 'pagetypepattern', "' | '",
            'defaultregion') . ' FROM {block_instances} WHERE parentcontextid = ?', [$this->context->id]);
        sort($out);
        return $out;
    }

    private function filters(): array {
        global $DB;
        return $DB->get_fieldset_select('filter_active', 'filter', 'contextid = ? ORDER BY filter', [$this->context->id]);
    }

    /** User data and inner parts of modules: how many rows. */
    private function counts(): array {
        global $DB;
        $tables = ['assign_submission' => 'assignment', 'assign_grades' => 'assignment', 'forum_discussions' => 'forum',
            'glossary_entries' => 'glossaryid', 'wiki_subwikis' => 'wikiid', 'data_records' => 'dataid',
            'data_fields' => 'dataid', 'book_chapters' => 'bookid', 'choice_options' => 'choiceid',
            'choice_answers' => 'choiceid', 'quiz_slots' => 'quizid', 'quiz_attempts' => 'quiz',
            'lesson_pages' => 'lessonid', 'feedback_item' => 'feedback'];
        $out = [];
        foreach ($tables as $table => $column) {
            [$module] = explode('_', $table);
            $out[$table] = $DB->count_records_sql("SELECT COUNT(x.id) FROM {{$table}} x JOIN {{$module}} m
                ON m.id = x.$column WHERE m.course = ?", [$this->course->id]);
        }
        $out['forum_posts'] = $DB->count_records_sql('SELECT COUNT(p.id) FROM {forum_posts} p
            JOIN {forum_discussions} d ON d.id = p.discussion WHERE d.course = ?', [$this->course->id]);
        $out['events'] = $DB->count_records('event', ['courseid' => $this->course->id]);
        $out['completion'] = $DB->count_records_sql('SELECT COUNT(c.id) FROM {course_modules_completion} c
            JOIN {course_modules} m ON m.id = c.coursemoduleid WHERE m.course = ?', [$this->course->id]);
        return $out;
    }
}

echo json_encode((new navette_description((int) $argv[1]))->all(), JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES), "\n";
