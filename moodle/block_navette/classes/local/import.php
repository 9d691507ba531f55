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
 * Making a course from an unpacked backup and its contents.
 *
 * Everything happens under the lock of the request.  The course comes into being together with the
 * row's note of it, and turns from "being made", hidden, into the course in one transaction that gives it
 * its names and visibility and the row its state.  Before that moment it is half made: the next attempt, or the sweep,
 * deletes it.  After it, the same request gets this course.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class import {
    /** Contents of at least so many bytes are stored by one process at a time. */
    const LOCKED_SIZE = 65536;

    /** Rows of files that are written at once. */
    const ROWS = 200;

    /** How often storing a content is tried. */
    const TRIES = 8;

    /** @var \stdClass what was asked */
    private $in;

    /** @var \stdClass the row of the request */
    private $row;

    /** @var target where it goes */
    private $target;

    /** @var array sha1 to object: size, path, name */
    private $contents = [];

    /** @var containment what keeps the restore inside its course */
    private $containment;

    /** @var bool the course is whole */
    private $committed = false;

    /**
     * Would it be refused?
     *
     * @param \stdClass $in
     * @return array
     */
    public static function preflight(\stdClass $in): array {
        $import = self::checked($in);
        $row = restores::get($in->request->id);
        if ($row && $row->state === restores::RESTORED && restores::course_exists((int) $row->courseid)) {
            return ['existed' => true];
        }
        $import->check();
        return ['existed' => false, 'category' => (string) ($import->target->category->name)];
    }

    /**
     * Do it.
     *
     * @param \stdClass $in
     * @return array
     */
    public static function run(\stdClass $in): array {
        $import = self::checked($in);
        $lock = site::lock('request-' . $in->request->id);
        if (!$lock) {
            throw new failure(failure::HOLD, 'busy', 'another attempt is working on request ' . $in->request->id);
        }
        try {
            return $import->locked();
        } finally {
            site::release($lock);
        }
    }

    /**
     * Look at what came.
     *
     * @param \stdClass $in
     * @return self
     */
    private static function checked(\stdClass $in): self {
        if (
            !preg_match(
                '/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/D',
                (string) ($in->request->id ?? '')
            )
        ) {
            throw failure::reject('bad_message', "the request's id is no UUIDv7");
        }
        if (!preg_match('/^[a-z0-9-]{1,32}$/D', (string) ($in->site ?? ''))) {
            throw failure::reject('bad_message', "the site's name is not valid");
        }
        if (!isset($in->request->course) || strlen((string) $in->request->course) > 64) {
            throw failure::reject('bad_message', "the course's id is missing or too long");
        }
        $import = new self();
        $import->in = $in;
        return $import;
    }

    /**
     * A setting, the caller's before Moodle's.
     *
     * @param string $theirs
     * @param string $ours
     * @return mixed
     */
    private function setting(string $theirs, string $ours) {
        return site::setting($this->in->settings ?? null, $theirs, $ours);
    }

    /**
     * The requester's language.
     *
     * @return string
     */
    private function lang(): string {
        return (string) ($this->in->request->lang ?? '');
    }

    /**
     * Is a remote course restored only once?
     *
     * @return bool
     */
    private function only_one(): bool {
        return (bool) $this->setting('only_one', 'onlyoneremoteinstance');
    }

    /**
     * Is the requester to be enrolled?
     *
     * @return bool
     */
    private function enrols(): bool {
        return $this->target->user && $this->setting('enrol_requester', 'autoenrol_requester');
    }

    /**
     * May it be: category, rights, version, a colleague's course, disk.
     */
    private function check(): void {
        site::check_ready();
        site::check_direction((int) ($this->in->moodle_version ?? 0), site::version());
        // The course server may not have known what is installed here.
        needs::check(
            needs::from_list($this->in->needs ?? []),
            site::plugins(),
            (string) $this->in->request->course,
            !empty($this->in->request->leave_out),
            false
        );
        $this->target = target::choose($this->in);
        if ($this->only_one()) {
            $holder = restores::holder($this->in->site, (string) $this->in->request->course);
            if ($holder !== null && $holder !== $this->in->request->id) {
                throw failure::reject('already_restored', "course {$this->in->request->course} of {$this->in->site} "
                    . "was already restored, by request $holder");
            }
        }
        site::check_disk((int) ($this->in->bytes ?? 0));
    }

    /**
     * Under the request's lock.
     *
     * @return array
     */
    private function locked(): array {
        $row = restores::get($this->in->request->id);
        if ($row && $row->state === restores::RESTORED) {
            if (!restores::course_exists((int) $row->courseid)) {
                throw failure::reject(
                    'course_missing',
                    "request $row->requestid had its course, which was deleted since"
                );
            }
            restores::remove_contents((int) $row->id);
            return restores::outcome($row);
        }
        if ($row) {
            restores::remove_rest($row);
        }
        $remote = null;
        if ($this->only_one()) {
            $remote = site::lock("remote-{$this->in->site}-{$this->in->request->course}");
            if (!$remote) {
                throw new failure(failure::HOLD, 'busy', "a colleague's request for course "
                    . "{$this->in->request->course} of {$this->in->site} is being worked on");
            }
        }
        try {
            $this->check();
            $this->prepare(!empty($this->in->request->user_data));
            $this->row = restores::begin($this->in, $this->target->user, $row);
            return $this->attempt();
        } finally {
            site::release($remote);
        }
    }

    /**
     * Make the course, or leave nothing.
     *
     * @return array
     */
    private function attempt(): array {
        $users = !empty($this->in->request->user_data);
        try {
            try {
                return $this->make($users);
            } catch (failure $e) {
                if (
                    !$users || $this->committed || $e->reason !== 'import_failed'
                        || !$this->setting('without_user_data_on_failure', 'fallbackwithoutuserdata')
                ) {
                    throw $e;
                }
                $this->clean_up();
                channel::forget_warnings();
                channel::warn('The course could not be restored with user data (' . $e->getMessage()
                    . '): it was restored without them.');
                $this->check(); // Says again what is left out, and where the course goes.
                $this->prepare(false);
                return $this->make(false);
            }
        } catch (\Throwable $e) {
            $why = failure::from($e, 'import_failed', 'restoring the course');
            if (!$this->committed) {
                $this->give_up($why);
            }
            throw $why;
        }
    }

    /**
     * What an attempt has made so far goes.
     */
    private function clean_up(): void {
        global $DB;
        if ($DB->is_transaction_started()) {
            $DB->force_transaction_rollback();
        }
        if (
            class_exists('restore_controller_dbops', false)
                && $DB->get_manager()->table_exists('backup_ids_temp')
        ) {
            \restore_controller_dbops::drop_restore_temp_tables('');
        }
        $row = restores::get($this->in->request->id);
        if ($row) {
            restores::remove_rest($row);
            $DB->set_field(restores::TABLE, 'courseid', null, ['id' => $row->id]);
        }
    }

    /**
     * It failed; where cleaning up fails as well (the database is gone, say) the row stays
     * "importing", and the next attempt or the sweep finds it.
     *
     * @param failure $why
     */
    private function give_up(failure $why): void {
        try {
            $this->clean_up();
            $retry = $why->kind === failure::RETRY ? (int) ($this->in->retry_in ?? 0) : 0;
            restores::fail($this->row, $why, $retry ? time() + intdiv($retry + 999, 1000) : 0);
            \block_navette\event\restore_failed::tell($this->row, $why);
        } catch (\Throwable $e) {
            fwrite(STDERR, 'cleaning up: ' . $e->getMessage() . "\n");
        }
    }

    /**
     * The archive as it came, less the activities that this site lacks, and the contents of the rest.
     *
     * @param bool $users with user data
     */
    private function prepare(bool $users): void {
        $tree = rtrim((string) ($this->in->tree ?? ''), '/');
        if ($tree === '' || $tree[0] !== '/' || !is_dir($tree)) {
            throw new failure(failure::RETRY, 'io', "the unpacked archive \"$tree\" is not there");
        }
        skeleton::put_back($tree);
        if (!empty($this->in->request->leave_out)) {
            // The course server may not have known what is installed here.
            lacking::leave_out($tree, array_keys(\core_component::get_plugin_list('mod')), $users, true, $this->lang());
        }
        $this->contents = [];
        $this->own = null;
        $this->find_contents($tree);
    }

    /**
     * Everything the backup needs must be in what was fetched: nothing is taken from this site's files.
     *
     * @param string $tree
     */
    private function find_contents(string $tree): void {
        $blobs = rtrim((string) ($this->in->blobs ?? ''), '/');
        $missing = [];
        foreach (contents::each($tree) as $file) {
            $sha1 = $file->contenthash;
            if (isset($this->contents[$sha1]) || isset($missing[$sha1])) {
                continue;
            }
            $path = null;
            // A blob's bytes were compared with its name when it was fetched, those of the tree were not.
            $places = ["$blobs/$sha1-$file->filesize" => true, "$tree/files/" . substr($sha1, 0, 2) . "/$sha1" => false];
            foreach ($places as $candidate => $verified) {
                if ($path === null && is_file($candidate) && filesize($candidate) === $file->filesize) {
                    $path = $candidate;
                    break;
                }
            }
            if ($path === null && $sha1 !== contents::EMPTY) {
                $missing[$sha1] = $file->filename;
            } else {
                $this->contents[$sha1] = (object) ['size' => $file->filesize, 'path' => $path,
                    'name' => $file->filename, 'verified' => $verified];
            }
        }
        if (!$missing) {
            return;
        }
        if (($this->in->missing ?? 'fail') !== 'warn') {
            throw failure::reject('archive_corrupt', count($missing) . ' contents that the course needs are not in '
                . 'the archive: ' . implode(', ', array_slice(array_keys($missing), 0, 3)));
        }
        // Archives of an older tool may lack what their site had lost.
        foreach ($missing as $name) {
            channel::warn("The content of the file \"$name\" is not in the archive: the file was left out.");
        }
        contents::leave_out($tree, $missing);
    }

    /**
     * Make the contents rows of our own file area, where Moodle's restore finds them.
     */
    private function stage(): void {
        global $DB;
        // Noted first: a content that comes into the pool without a row, because we are killed just
        // then, is collected by nobody else.
        restores::note_contents($this->row, array_keys($this->contents));
        // The guest's: Moodle plays any file as an H5P package, and trusts it as far as its owner.
        $record = ['contextid' => \context_system::instance()->id, 'component' => 'block_navette',
            'filearea' => restores::AREA, 'itemid' => $this->row->id, 'filepath' => '/', 'userid' => guest_user()->id];
        // Moodle may change a new file by its type: since 4.5 it writes every JPEG anew, without EXIF data.
        // The course's files get their own types afterwards (settle_files).
        $record['mimetype'] = 'application/x-navette';
        $total = array_sum(array_column($this->contents, 'size'));
        $done = 0;
        $pool = new pool();
        $rows = [];
        foreach ($this->contents as $sha1 => $content) {
            channel::progress('contents', $done, $total);
            if ($content->path !== null && $pool->link((string) $sha1, $content)) {
                $rows[] = pool::row($record, (string) $sha1, $content->size);
            } else {
                $this->put($record, (string) $sha1, $content);
            }
            if (count($rows) === self::ROWS) {
                $DB->insert_records('files', $rows);
                $rows = [];
            }
            $done += $content->size;
        }
        if ($rows) {
            $DB->insert_records('files', $rows);
        }
        channel::progress('contents', $total, $total);
    }

    /**
     * One of them.  Two processes that bring the same content at once disturb each other in Moodle's
     * file pool (both write to one temporary name), hence the lock and the second try.
     *
     * @param array $record
     * @param string $sha1
     * @param \stdClass $content
     */
    private function put(array $record, string $sha1, \stdClass $content): void {
        $fs = get_file_storage();
        $record['filename'] = $sha1;
        for ($try = 1;; $try++) {
            $lock = $content->size >= self::LOCKED_SIZE ? site::lock("content-$sha1", 600) : null;
            try {
                $file = $content->path === null ? $fs->create_file_from_string($record, '')
                    : $fs->create_file_from_pathname($record, $content->path);
                break;
            } catch (\file_exception $e) {
                if ($try === self::TRIES) {
                    throw failure::from($e, 'io', "storing the content $sha1");
                }
                usleep(random_int(20000, 200000));
            } finally {
                site::release($lock);
            }
        }
        if ($file->get_contenthash() !== $sha1) {
            throw failure::reject('archive_corrupt', "the content $sha1 is damaged");
        }
    }

    /**
     * The type Moodle gives a file of that name and content.
     *
     * @param string $sha1
     * @param string $name
     * @return string
     */
    private function mimetype(string $sha1, string $name): string {
        $path = $this->contents[$sha1]->path ?? '';
        return (string) \file_storage::mimetype((string) $path, $name === '' ? $sha1 : $name);
    }

    /**
     * The whole of it.
     *
     * @param bool $users with user data
     * @return array
     */
    private function make(bool $users): array {
        channel::check();
        $this->stage();
        $names = $this->restore($users);
        $this->settle_files();
        $this->containment->settle_questions();
        $this->containment->settle_publications();
        $this->containment->references->settle(rtrim($this->in->tree, '/'), $this->lang());
        $enrolled = false;
        if ($this->enrols()) {
            people::enrol(
                (int) $this->row->courseid,
                $this->target->user,
                (string) $this->setting('enrol_role', 'enrollrole')
            );
            $enrolled = true;
        }
        $this->containment->tell_roles();
        $this->containment->tell_h5p();
        $this->row->inventory = inventory::compared(
            (int) $this->row->courseid,
            $this->in->inventory ?? null,
            $names->users,
            $names->whole
        );
        $outcome = $this->commit($names, $enrolled);
        $this->after($outcome);
        return $outcome;
    }

    /**
     * Moodle's restore into a new course.
     *
     * @param bool $users
     * @return \stdClass shortname, fullname, users; whole: nothing of the archive was left out
     */
    private function restore(bool $users): \stdClass {
        global $CFG, $DB;
        require_once($CFG->dirroot . '/backup/util/includes/restore_includes.php');
        $tree = rtrim($this->in->tree, '/');
        contents::say_without_files($tree);
        names::settle_backup($tree);
        references::separate_sites($tree);
        // The unpacked archive is used where it lies, and stays there: it is the caller's.
        $CFG->backuptempdir = dirname($tree);
        $CFG->keeptempdirectoriesonbackup = true;
        $controller = null;
        try {
            $this->create_course();
            $this->containment = new containment((int) $this->row->courseid, containment::owner(
                (string) $this->setting('user_field', 'userfield'),
                (string) ($this->in->request->user ?? '')
            ), new references($tree, (int) $this->row->courseid));
            if ($this->enrols()) {
                $role = (string) $this->setting('enrol_role', 'enrollrole');
                $this->containment->role = people::roles([$role])[$role] ?? 0;
            }
            $controller = new import_controller(
                basename($tree),
                $this->row->courseid,
                \backup::INTERACTIVE_NO,
                \backup::MODE_GENERAL,
                get_admin()->id,
                \backup::TARGET_NEW_COURSE,
                new progress('check')
            );
            $controller->add_logger(new logger(fn($message) => $this->containment->banks->hold_pick($message)));
            if ($controller->get_status() == \backup::STATUS_REQUIRE_CONV) {
                throw failure::reject('archive_corrupt', 'the archive is no backup of Moodle 2 or later');
            }
            $info = $controller->get_info();
            if ($info->type !== \backup::TYPE_1COURSE) {
                throw failure::reject('archive_corrupt', "the archive holds no course but a $info->type");
            }
            $archived = !empty($info->root_settings['users']);
            $users = $users && $archived;
            $names = (object) ['shortname' => $info->original_course_shortname,
                'fullname' => $info->original_course_fullname, 'users' => $users, 'whole' => $users === $archived];
            $this->settings($controller, $users);
            $this->precheck($controller);
            $controller->containment = $this->containment;
            $controller->set_progress(new progress('import'));
            $controller->execute_plan();
            $this->tell_missing($controller->get_results());
            grades::settle((int) $this->row->courseid, $this->lang());
            $mode = $this->in->request->enrolment ?? 'always';
            if ($mode === 'always' || ($mode === 'with-users' && $users)) {
                enrolments::tell_missing($tree, (int) $this->row->courseid);
            }
            return $names;
        } catch (failure $e) {
            throw $e;
        } catch (\Throwable $e) {
            throw failure::from($e, 'import_failed', "Moodle's restore");
        } finally {
            plan::forget($controller);
        }
    }

    /**
     * The course and the note that it is ours come into being in one step.
     */
    private function create_course(): void {
        global $DB;
        $transaction = $DB->start_delegated_transaction();
        $this->row->courseid = \restore_dbops::create_new_course(
            get_string('beingrestored', 'block_navette'),
            'navette-' . $this->row->requestid,
            $this->target->category->id
        );
        $DB->set_field(restores::TABLE, 'courseid', $this->row->courseid, ['id' => $this->row->id]);
        $transaction->allow_commit();
    }

    /**
     * Settings of our own, whatever the site's defaults and locks are, as far as the archive has it.
     *
     * @param \restore_controller $controller
     * @param bool $users
     */
    private function settings(\restore_controller $controller, bool $users): void {
        $modes = ['always' => \backup::ENROL_ALWAYS, 'with-users' => \backup::ENROL_WITHUSERS,
            'manual' => \backup::ENROL_NEVER];
        $mode = $this->in->request->enrolment ?? 'always';
        if (!isset($modes[$mode])) {
            throw failure::reject('bad_message', "there is no enrolment mode \"$mode\"");
        }
        $there = $controller->get_info()->root_settings;
        $wanted = ['users' => $users, 'role_assignments' => $users, 'permissions' => 1, 'activities' => 1, 'blocks' => 1,
            'filters' => 1, 'comments' => $users, 'badges' => 1, 'calendarevents' => 1,
            'userscompletion' => $users, 'logs' => 0, 'grade_histories' => 0, 'groups' => 1, 'competencies' => 1,
            'customfield' => 1, 'contentbankcontent' => 1, 'legacyfiles' => 1,
            // Moodle 4.1 has none, and its backups no files of them, which the restore would miss.
            'xapistate' => $users && !empty($there['xapistate'])];
        foreach ($wanted as $name => $value) {
            $wanted[$name] = (int) ($value && ($there[$name] ?? 1));
        }
        plan::set($controller->get_plan(), $wanted);
        plan::set($controller->get_plan(), ['enrolments' => $modes[$mode]]);
        // Names that nobody takes for the course's: it gets its own when it is whole.
        foreach (
            ['course_shortname' => 'navette-' . $this->row->requestid,
                'course_fullname' => get_string('beingrestored', 'block_navette')] as $name => $value
        ) {
            $setting = $controller->get_plan()->get_setting($name);
            $setting->set_status(\base_setting::NOT_LOCKED);
            $setting->set_value($value);
        }
    }

    /**
     * Moodle's own look at the archive.
     *
     * @param \restore_controller $controller
     */
    private function precheck(\restore_controller $controller): void {
        if ($controller->execute_precheck()) {
            return;
        }
        $results = $controller->get_precheck_results();
        foreach ($this->containment->banks->hold($results['warnings'] ?? []) as $text) {
            channel::warn(self::by_moodle($text));
        }
        if (!empty($results['errors'])) {
            throw failure::reject('import_failed', "Moodle's check before the restore: "
                . html_to_text(implode('; ', $results['errors']), 0, false));
        }
    }

    /**
     * What Moodle says in HTML, as a line.
     *
     * @param string $text
     * @return string
     */
    public static function by_moodle(string $text): string {
        return 'Moodle: ' . html_to_text($text, 0, false);
    }

    /**
     * A content that Moodle did not find although it was there is no warning for us.
     *
     * @param array $results
     */
    private function tell_missing(array $results): void {
        if (!empty($results['file_missing_in_backup'])) {
            throw new failure(failure::RETRY, 'import_failed', 'Moodle did not find the content of some files');
        }
    }

    /**
     * Moodle copies a file's type, and whether it is a mere reference, from whichever row of that
     * content it finds first, which may be a stranger's.  Both become what the archive says.
     */
    private function settle_files(): void {
        global $DB;
        $context = \context_course::instance($this->row->courseid);
        $types = [];
        $own = [];
        $rows = $DB->get_recordset_sql(
            'SELECT f.id, f.contenthash, f.filename, f.mimetype, f.referencefileid
                  FROM {files} f
                  JOIN {context} ctx ON ctx.id = f.contextid
                 WHERE f.filename <> :dot AND (ctx.id = :id OR ' . $DB->sql_like('ctx.path', ':path') . ')',
            ['dot' => '.', 'id' => $context->id, 'path' => $DB->sql_like_escape($context->path) . '/%']
        );
        foreach ($rows as $row) {
            if (!isset($this->contents[$row->contenthash])) {
                continue;
            }
            $type = $this->mimetype($row->contenthash, $row->filename);
            if ($row->mimetype !== $type) {
                $types[$type][] = $row->id;
            }
            if ($row->referencefileid !== null && !$this->is_reference($row)) {
                $own[] = $row->id;
            }
        }
        $rows->close();
        foreach ($types as $type => $ids) {
            $this->set_files('mimetype', $type, $ids);
        }
        $this->set_files('referencefileid', null, $own);
    }

    /**
     * A field of many files.
     *
     * @param string $field
     * @param string|null $value
     * @param array $ids
     */
    private function set_files(string $field, ?string $value, array $ids): void {
        global $DB;
        foreach (array_chunk($ids, self::ROWS) as $some) {
            [$in, $params] = $DB->get_in_or_equal($some);
            $DB->set_field_select('files', $field, $value, "id $in", $params);
        }
    }

    /** @var array|null names of the archive's files with a content of their own, as keys; rarely needed */
    private $own = null;

    /**
     * Is a file a reference in the archive, too?
     *
     * @param \stdClass $row
     * @return bool
     */
    private function is_reference(\stdClass $row): bool {
        if ($this->own === null) {
            $this->own = [];
            foreach (contents::each(rtrim($this->in->tree, '/')) as $file) {
                $this->own[$file->contenthash . '/' . $file->filename] = true;
            }
        }
        return !isset($this->own[$row->contenthash . '/' . $row->filename]);
    }

    /**
     * The moment it becomes a course.  Names are chosen and taken under a lock that is held for this
     * only.
     *
     * @param \stdClass $names
     * @param bool $enrolled
     * @return array
     */
    private function commit(\stdClass $names, bool $enrolled): array {
        global $DB;
        if (!empty($this->in->confirm)) {
            channel::confirm('commit');
        }
        $lock = site::lock('names', 20);
        if (!$lock) {
            throw new failure(failure::RETRY, 'busy', 'other restores take too long to choose their names');
        }
        try {
            [$fullname, $shortname] = names::unused((int) $this->row->courseid, $names->fullname, $names->shortname);
            $this->containment->banks->settle((int) $this->row->courseid, $shortname, $this->lang());
            channel::check();
            $row = $this->row;
            $row->state = restores::RESTORED;
            $row->shortname = names::readable($shortname);
            $row->fullname = names::readable($fullname);
            $row->category = categories::identifier((int) $this->target->category->id)
                ?? (string) $this->target->category->id;
            $row->userdata = (int) $names->users;
            $row->enrolled = (int) $enrolled;
            $row->restoredat = site::now();
            $row->timemodified = time();
            $row->contents = null;
            $row->warnings = json_encode(channel::warnings(), JSON_UNESCAPED_UNICODE);
            $transaction = $DB->start_delegated_transaction();
            $DB->update_record('course', (object) ['id' => $row->courseid, 'fullname' => $fullname,
                'shortname' => $shortname, 'visible' => $this->containment->visible]);
            $this->containment->commit();
            $DB->update_record(restores::TABLE, $row);
            if ($this->only_one()) {
                restores::take($row);
            }
            $transaction->allow_commit();
            $this->committed = true;
        } finally {
            site::release($lock);
        }
        return ['existed' => false] + restores::outcome($row);
    }

    /**
     * What may fail now changes nothing any more.
     *
     * @param array $outcome
     */
    private function after(array $outcome): void {
        try {
            rebuild_course_cache($this->row->courseid, true);
            \cache_helper::purge_by_event('changesincourse');
            restores::remove_contents((int) $this->row->id);
            if (!$this->only_one()) {
                // Nobody looks at it now, but somebody may switch the rule on later.
                restores::take($this->row);
            }
            \block_navette\event\course_restored::tell($this->row);
        } catch (\Throwable $e) {
            fwrite(STDERR, 'after the restore: ' . $e->getMessage() . "\n");
        }
    }
}
