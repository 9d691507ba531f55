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
 * Giving a course away: first everything that may forbid it, then Moodle's backup of it, without
 * file contents.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class export {
    /** @var \stdClass the request */
    private $request;

    /** @var \stdClass|null what the client may have */
    private $policy;

    /** @var \stdClass the course's row */
    private $course;

    /** @var string where the backup is written */
    private $workdir;

    /** @var string[] modules of the course that the client lacks, whose activities are left out */
    private $lacking = [];

    /**
     * Do it.
     *
     * @param \stdClass $in request, policy, work_dir, user_field
     * @return array
     */
    public static function run(\stdClass $in): array {
        $export = new self();
        $export->request = $in->request;
        $export->policy = $in->policy ?? null;
        $export->check((string) ($in->user_field ?? ''));
        if (!empty($in->check_only)) {
            return $export->about();
        }
        $export->workdir = rtrim((string) ($in->work_dir ?? ''), '/');
        if ($export->workdir === '' || $export->workdir[0] !== '/' || !is_writable($export->workdir)) {
            throw new failure(
                failure::RETRY,
                'io',
                "the work folder \"$export->workdir\" is not there or not writable for the web server's user"
            );
        }
        return $export->backup();
    }

    /**
     * What the manifest says about the course.
     *
     * @return array
     */
    private function about(): array {
        return ['shortname' => $this->course->shortname, 'fullname' => $this->course->fullname,
            'category' => categories::identifier((int) $this->course->category),
            'moodle_version' => (string) site::version(), 'user_data' => !empty($this->request->user_data)];
    }

    /**
     * May it be?  Cheap questions first, and nobody learns more about a course than that it is not
     * for them.
     *
     * @param string $userfield
     */
    private function check(string $userfield): void {
        global $DB, $SITE;
        $id = (string) ($this->request->course ?? '');
        $course = ctype_digit($id) && strlen($id) < 18 && (int) $id !== (int) SITEID
            ? $DB->get_record('course', ['id' => $id]) : false;
        if (!$course) {
            throw failure::reject('course_missing', "there is no course $id on $SITE->shortname");
        }
        $this->course = $course;
        $this->check_policy();
        $user = (string) ($this->request->user ?? '');
        if ($user !== '') {
            $account = people::find($userfield, $user);
            if (!people::courses((int) $account->id, (array) ($this->request->roles ?? []), (int) $course->id)) {
                throw failure::reject(
                    'role_missing',
                    "the requester holds none of the required roles in course $id, its category or above"
                );
            }
        }
        $theirs = (int) ($this->request->moodle_version ?? 0);
        if ($theirs) {
            site::check_direction(site::version(), $theirs);
        }
        $theirs = needs::from_list($this->request->plugins ?? []);
        if ($theirs) {
            $this->lacking = needs::check(needs::of($course), $theirs, $id, !empty($this->request->leave_out), true);
            if (!empty($this->request->user_data)) {
                needs::check_graded((int) $id, $this->lacking, (string) ($this->request->lang ?? ''));
            }
        }
    }

    /**
     * What this client may have.
     */
    private function check_policy(): void {
        if (!$this->policy) {
            return;
        }
        $client = $this->policy->name ?? 'this one';
        if (empty($this->request->user) && empty($this->policy->without_user)) {
            throw failure::reject('policy', "client $client may not ask without a user");
        }
        if (!empty($this->request->user_data) && empty($this->policy->user_data)) {
            throw failure::reject('policy', "client $client may not have user data");
        }
        $allowed = (array) ($this->policy->categories ?? []);
        if (!$allowed) {
            return;
        }
        $allowed = array_filter(array_map(fn($identifier) => categories::find($identifier, false), $allowed));
        if (!self::is_within((int) $this->course->category, $allowed)) {
            throw failure::reject('policy', "client $client may not have courses of this course's category");
        }
        foreach (shared_banks::uses((int) $this->course->id) as $use) {
            if (!self::is_within($use->category, $allowed)) {
                // No name of what the client may not have.
                throw failure::reject('policy', "the activity \"$use->activity\" uses questions of a question bank in another "
                    . "course, and client $client may not have courses of that one's category");
            }
        }
    }

    /**
     * Is a category one of these, or below one of them?
     *
     * @param int $categoryid
     * @param \stdClass[] $allowed
     * @return bool
     */
    private static function is_within(int $categoryid, array $allowed): bool {
        foreach ($allowed as $category) {
            if (categories::within($categoryid, $category)) {
                return true;
            }
        }
        return false;
    }

    /**
     * The backup.
     *
     * @return array
     */
    private function backup(): array {
        global $CFG, $DB;
        require_once($CFG->dirroot . '/backup/util/includes/backup_includes.php');
        // Moodle writes where the caller cleans up, whatever becomes of us.
        $CFG->backuptempdir = $this->workdir . '/moodle';
        $CFG->keeptempdirectoriesonbackup = true;
        $controller = null;
        $naming = new naming($this->workdir, $this->left_out());
        try {
            channel::progress('export', 0, 1000);
            $controller = new export_controller(
                \backup::TYPE_1COURSE,
                $this->course->id,
                \backup::FORMAT_MOODLE,
                \backup::INTERACTIVE_NO,
                \backup::MODE_GENERAL,
                get_admin()->id
            );
            $controller->add_logger(new logger());
            $id = $controller->get_backupid();
            $progress = new progress('export');
            $progress->follow($naming, $id);
            $controller->set_progress($progress);
            $this->settings($controller->get_plan());
            plan::without_packing($controller->get_plan());
            $controller->execute_plan();
            $results = $controller->get_results();
            if (!empty($results['backup_destination'])) {
                $results['backup_destination']->delete();
            }
            $tree = "$CFG->backuptempdir/$id";
        } catch (\Throwable $e) {
            if ($e instanceof failure) {
                throw $e;
            }
            if (!$DB->record_exists('course', ['id' => $this->course->id])) {
                throw failure::reject('course_missing', "course {$this->course->id} was deleted during the export");
            }
            throw failure::from($e, 'export_failed', "backup of course {$this->course->id}");
        } finally {
            plan::forget($controller);
        }
        if (!$DB->record_exists('course', ['id' => $this->course->id])) {
            throw failure::reject('course_missing', "course {$this->course->id} was deleted during the export");
        }
        @unlink("$tree/backup.mbz");
        $needs = array_diff_key(needs::of($this->course), array_flip(array_map(function ($module) {
            return "mod_$module";
        }, $this->lacking)));
        if ($this->lacking) {
            $has = array_diff(array_keys(\core_component::get_plugin_list('mod')), $this->lacking);
            lacking::leave_out($tree, $has, !empty($this->request->user_data), false, (string) ($this->request->lang ?? ''));
        }
        references::name_outside($tree, (int) $this->course->id);
        // Before contents that the site has lost are taken out: the course had those files.
        $inventory = array_merge(
            inventory::count((int) $this->course->id, !empty($this->request->user_data)),
            inventory::count_backed_up((int) $this->course->id, $tree)
        );
        [$files, $bytes] = $naming->finish($tree);
        if (channel::disk_full() !== '') {
            // Moodle takes a file that was written in part for a whole one.
            throw new failure(failure::RETRY, 'disk_full', "backup of course {$this->course->id}");
        }
        \block_navette\event\course_exported::tell((int) $this->course->id, $this->request);
        return $this->about() + ['skeleton' => $tree, 'files' => $files, 'bytes' => $bytes,
            'needs' => needs::to_list($needs), 'inventory' => $inventory];
    }

    /**
     * Contexts of the activities that are left out: their files need not travel.
     *
     * @return bool[] ids, as keys
     */
    private function left_out(): array {
        global $DB;
        if (!$this->lacking) {
            return [];
        }
        [$in, $params] = $DB->get_in_or_equal($this->lacking, SQL_PARAMS_NAMED);
        return array_fill_keys($DB->get_fieldset_sql(
            "SELECT ctx.id
               FROM {course_modules} cm
               JOIN {modules} m ON m.id = cm.module
               JOIN {context} ctx ON ctx.instanceid = cm.id AND ctx.contextlevel = :level
              WHERE cm.course = :course AND m.name $in",
            ['level' => CONTEXT_MODULE, 'course' => $this->course->id] + $params
        ), true);
    }

    /**
     * Settings of our own, whatever the site's defaults and locks are.
     *
     * @param \backup_plan $backup
     */
    private function settings(\backup_plan $backup): void {
        $users = !empty($this->request->user_data);
        plan::set($backup, [
            'files' => 0, 'users' => $users, 'anonymize' => 0, 'role_assignments' => $users, 'activities' => 1,
            'blocks' => 1, 'filters' => 1, 'comments' => $users, 'badges' => 1, 'calendarevents' => 1,
            'userscompletion' => $users, 'logs' => 0, 'grade_histories' => 0, 'questionbank' => 1, 'groups' => 1,
            'competencies' => 1, 'customfield' => 1, 'contentbankcontent' => 1, 'xapistate' => $users,
            'legacyfiles' => 1, 'permissions' => 1,
        ]);
    }
}
