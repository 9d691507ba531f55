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
 * The table of restores: which request has which course.
 *
 * A row is "importing" while its course is being made, "restored" once it is whole, "failed" when
 * nothing came of it.  The row and its course change together: a course that a row in state
 * importing names is half made and belongs to whoever holds the lock of the request.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class restores {
    /** Name of the table. */
    const TABLE = 'block_navette_restores';

    /** Name of the table of remote courses that are taken. */
    const TAKEN = 'block_navette_taken';

    /** File area of contents on their way into a course; itemid is the row's id. */
    const AREA = 'contents';

    /** Seconds after which a half-written copy in the file pool is nobody's any more. */
    const STILL = 10;

    /** The course is being made. */
    const IMPORTING = 'importing';

    /** The course is whole. */
    const RESTORED = 'restored';

    /** Nothing came of it. */
    const FAILED = 'failed';

    /**
     * The row of a request.
     *
     * @param string $requestid
     * @return \stdClass|null
     */
    public static function get(string $requestid): ?\stdClass {
        global $DB;
        return $DB->get_record(self::TABLE, ['requestid' => $requestid]) ?: null;
    }

    /**
     * Is there such a course?
     *
     * @param int|null $courseid
     * @return bool
     */
    public static function course_exists(?int $courseid): bool {
        global $DB;
        return $courseid && $DB->record_exists('course', ['id' => $courseid]);
    }

    /**
     * What a finished row says, as the import said it.
     *
     * @param \stdClass $row
     * @return array
     */
    public static function outcome(\stdClass $row): array {
        return ['course' => (string) $row->courseid, 'url' => site::course_url((int) $row->courseid),
            'shortname' => $row->shortname, 'fullname' => $row->fullname, 'category' => $row->category,
            'user_data' => (bool) $row->userdata, 'existed' => true, 'enrolled' => (bool) $row->enrolled,
            'at' => (int) $row->restoredat, 'warnings' => json_decode((string) $row->warnings) ?: []]
            + ((array) json_decode((string) ($row->inventory ?? '')));
    }

    /**
     * Begin: a row in state importing, without a course.
     *
     * @param \stdClass $in the import
     * @param \stdClass|null $user the requester
     * @param \stdClass|null $row of an earlier attempt
     * @return \stdClass
     */
    public static function begin(\stdClass $in, ?\stdClass $user, ?\stdClass $row): \stdClass {
        global $DB;
        $new = (object) [
            'requestid' => $in->request->id, 'site' => $in->site, 'remotecourse' => (string) $in->request->course,
            'courseid' => null, 'userid' => $user->id ?? null, 'state' => self::IMPORTING, 'userdata' => 0,
            'enrolled' => 0, 'shortname' => (string) ($in->request->shortname ?? ''),
            'fullname' => (string) ($in->request->fullname ?? ''), 'category' => '', 'warnings' => '[]', 'inventory' => null,
            'reason' => '', 'message' => '', 'restoredat' => 0, 'nexttry' => 0,
            'request' => json_encode($in->request, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES),
            'timemodified' => time(),
        ];
        $new->shortname = \core_text::substr($new->shortname, 0, 255);
        if ($row) {
            $new->id = $row->id;
            $DB->update_record(self::TABLE, $new);
        } else {
            $new->timecreated = time();
            $new->id = $DB->insert_record(self::TABLE, $new);
        }
        return $new;
    }

    /**
     * Nothing came of it.
     *
     * @param \stdClass $row
     * @param failure $why
     * @param int $nexttry when it is tried again, at the earliest; 0: it is not
     */
    public static function fail(\stdClass $row, failure $why, int $nexttry = 0): void {
        global $DB;
        $DB->update_record(self::TABLE, (object) ['id' => $row->id, 'state' => self::FAILED, 'courseid' => null,
            'contents' => null, 'reason' => $why->reason, 'message' => $why->getMessage(),
            'warnings' => json_encode(channel::warnings(), JSON_UNESCAPED_UNICODE), 'nexttry' => $nexttry,
            'timemodified' => time()]);
    }

    /**
     * Remove what a half-made restore has: its course and the contents on their way.  Only for the
     * holder of the request's lock.
     *
     * @param \stdClass $row
     */
    public static function remove_rest(\stdClass $row): void {
        global $CFG, $DB;
        require_once($CFG->dirroot . '/course/lib.php');
        if ($row->state === self::IMPORTING && self::course_exists((int) $row->courseid)) {
            // A half-made course may lack what deleting asks for; a second try then finds less to do.
            \core_php_time_limit::raise();
            // Nobody wants a half-made course back: no copy of it for the recycle bin.
            $CFG->forced_plugin_settings['tool_recyclebin']['categorybinenable'] = 0;
            $CFG->forced_plugin_settings['tool_recyclebin']['coursebinenable'] = 0;
            if (!\context_course::instance($row->courseid, IGNORE_MISSING)) {
                $DB->delete_records('course', ['id' => $row->courseid]);
            } else {
                self::delete_half_made((int) $row->courseid);
            }
            fix_course_sortorder();
        }
        self::remove_contents((int) $row->id);
        // Moodle keeps what some row still names.
        foreach (json_decode((string) ($row->contents ?? '')) ?: [] as $sha1) {
            get_file_storage()->get_file_system()->remove_file($sha1);
            self::remove_half_copy((string) $sha1);
        }
    }

    /**
     * Delete a course whose restore was interrupted anywhere.
     *
     * @param int $courseid
     */
    private static function delete_half_made(int $courseid): void {
        $doing = "the half-made course $courseid of an earlier attempt cannot be deleted";
        try {
            self::join_activities($courseid);
            containment::remove($courseid);
            if (!delete_course($courseid, false)) {
                throw new failure(failure::RETRY, 'import_failed', $doing);
            }
        } catch (\Throwable $e) {
            throw failure::from($e, 'import_failed', $doing);
        }
    }

    /**
     * A restore writes an activity's row, then into its course module which row that is.  Between the two
     * the activity has no course module, and deleting some (an assignment) wants one.
     *
     * @param int $courseid
     */
    private static function join_activities(int $courseid): void {
        global $DB;
        foreach ($DB->get_records_menu('modules', null, '', 'id, name') as $id => $name) {
            if (!$DB->get_manager()->table_exists($name)) {
                continue;
            }
            $alone = $DB->get_fieldset_sql(
                "SELECT m.id
                   FROM {" . $name . "} m
              LEFT JOIN {course_modules} cm ON cm.instance = m.id AND cm.module = :module
                  WHERE m.course = :course AND cm.id IS NULL",
                ['module' => $id, 'course' => $courseid]
            );
            foreach ($alone as $instance) {
                $half = ['course' => $courseid, 'module' => $id, 'instance' => 0];
                $cm = $DB->get_field('course_modules', 'id', $half, IGNORE_MULTIPLE);
                if ($cm) {
                    $DB->set_field('course_modules', 'instance', $instance, ['id' => $cm]);
                } else {
                    $DB->delete_records($name, ['id' => $instance]);
                }
            }
        }
    }

    /**
     * Moodle copies a content to a temporary name in its file pool, which nobody collects when the
     * copying process is killed.  One of a content that our row notes, which no process of ours is
     * copying and which nobody has written to for a while, is ours.
     *
     * @param string $sha1
     */
    private static function remove_half_copy(string $sha1): void {
        global $CFG;
        $pool = $CFG->filedir ?? $CFG->dataroot . '/filedir';
        $path = "$pool/" . substr($sha1, 0, 2) . '/' . substr($sha1, 2, 2) . "/$sha1.tmp";
        clearstatcache();
        if (!preg_match('/^[0-9a-f]{40}$/D', $sha1) || !is_file($path) || time() - filemtime($path) < self::STILL) {
            return;
        }
        $lock = site::lock("content-$sha1");
        if ($lock) {
            @unlink($path);
            site::release($lock);
        }
    }

    /**
     * Note which contents are on their way.
     *
     * @param \stdClass $row
     * @param string[] $hashes
     */
    public static function note_contents(\stdClass $row, array $hashes): void {
        global $DB;
        $DB->set_field(self::TABLE, 'contents', json_encode(array_map('strval', $hashes)), ['id' => $row->id]);
    }

    /**
     * Remove the contents on their way into a course.
     *
     * @param int $rowid
     */
    public static function remove_contents(int $rowid): void {
        global $DB;
        $area = ['contextid' => \context_system::instance()->id, 'component' => 'block_navette',
            'filearea' => self::AREA, 'itemid' => $rowid];
        // What a course has taken stays in the pool whatever becomes of our rows: they go in one step.  The
        // others, usually none, go Moodle's way, their contents with them.
        $alone = $DB->get_fieldset_sql('SELECT f.id
                  FROM {files} f
             LEFT JOIN {files} o ON o.contenthash = f.contenthash AND NOT (o.contextid = f.contextid
                       AND o.component = f.component AND o.filearea = f.filearea AND o.itemid = f.itemid)
                 WHERE f.contextid = :contextid AND f.component = :component AND f.filearea = :filearea
                       AND f.itemid = :itemid AND o.id IS NULL', $area);
        foreach ($alone as $id) {
            $file = get_file_storage()->get_file_by_id($id);
            if ($file) {
                $file->delete();
            }
        }
        $DB->delete_records('files', $area);
    }

    /**
     * The request whose course holds this remote course.
     *
     * @param string $site
     * @param string $remotecourse
     * @return string|null null: it is free
     */
    public static function holder(string $site, string $remotecourse): ?string {
        global $DB;
        $sql = 'SELECT r.requestid
                  FROM {block_navette_taken} t
                  JOIN {block_navette_restores} r ON r.requestid = t.requestid
                  JOIN {course} c ON c.id = r.courseid
                 WHERE t.site = :site AND t.remotecourse = :course AND r.state = :state';
        return $DB->get_field_sql($sql, ['site' => $site, 'course' => $remotecourse, 'state' => self::RESTORED]) ?: null;
    }

    /**
     * Hold a remote course for a request; whose course is gone holds nothing.
     *
     * @param \stdClass $row of the request
     */
    public static function take(\stdClass $row): void {
        global $DB;
        $known = $DB->get_record(self::TAKEN, ['site' => $row->site, 'remotecourse' => $row->remotecourse]);
        if (!$known) {
            $DB->insert_record(self::TAKEN, (object) ['site' => $row->site, 'remotecourse' => $row->remotecourse,
                'requestid' => $row->requestid]);
        } else if ($known->requestid !== $row->requestid && self::holder($row->site, $row->remotecourse) === null) {
            $DB->set_field(self::TAKEN, 'requestid', $row->requestid, ['id' => $known->id]);
        }
    }

    /**
     * Everything that was restored, a line each; courses deleted since last.
     *
     * @return array
     */
    public static function history(): array {
        global $DB;
        $count = 0;
        foreach (['IS NOT NULL', 'IS NULL'] as $there) {
            $rows = $DB->get_recordset_sql("SELECT r.*
                      FROM {block_navette_restores} r
                 LEFT JOIN {course} c ON c.id = r.courseid
                     WHERE r.state = :state AND c.id $there
                  ORDER BY r.id", ['state' => self::RESTORED]);
            foreach ($rows as $row) {
                channel::write(['restore' => ['site' => $row->site, 'request' => json_decode($row->request),
                    'outcome' => self::outcome($row), 'deleted' => $there === 'IS NULL']]);
                $count++;
            }
            $rows->close();
        }
        return ['count' => $count];
    }

    /**
     * Remove what crashed attempts left and nobody holds.
     *
     * @return array
     */
    public static function sweep(): array {
        global $DB;
        $swept = 0;
        $failure = null;
        foreach ($DB->get_records(self::TABLE, ['state' => self::IMPORTING], 'id', 'id, requestid') as $row) {
            $lock = site::lock("request-$row->requestid");
            if (!$lock) {
                continue;
            }
            try {
                // Looked at again: it was not ours a moment ago.
                $row = $DB->get_record(self::TABLE, ['id' => $row->id, 'state' => self::IMPORTING]);
                if ($row) {
                    self::remove_rest($row);
                    self::fail($row, new failure(failure::RETRY, 'import_failed', 'the restore broke off'));
                    $swept++;
                }
            } catch (\Throwable $e) {
                // What cannot be removed now does not keep the others; a stop or a dead database does.
                if ($DB->is_transaction_started()) {
                    $DB->force_transaction_rollback();
                }
                $failure = failure::from($e, 'import_failed', 'sweep');
                if ($failure->kind !== failure::RETRY) {
                    throw $failure;
                }
            } finally {
                site::release($lock);
            }
        }
        // Contents whose restore is over.
        $items = $DB->get_fieldset_sql(
            "SELECT DISTINCT f.itemid
                  FROM {files} f
             LEFT JOIN {block_navette_restores} r ON r.id = f.itemid AND r.state = :state
                 WHERE f.contextid = :context AND f.component = 'block_navette' AND f.filearea = :area
                       AND r.id IS NULL",
            ['state' => self::IMPORTING, 'context' => \context_system::instance()->id, 'area' => self::AREA]
        );
        foreach ($items as $item) {
            $row = $DB->get_record(self::TABLE, ['id' => $item]);
            $lock = $row ? site::lock("request-$row->requestid") : null;
            if (!$row || $lock) {
                self::remove_contents((int) $item);
                $swept++;
            }
            site::release($lock);
        }
        // Rows that hold nothing, and notices so old that nobody delivers them again.
        $free = $DB->get_fieldset_sql('SELECT t.id
                  FROM {block_navette_taken} t
             LEFT JOIN {block_navette_restores} r ON r.requestid = t.requestid
             LEFT JOIN {course} c ON c.id = r.courseid
                 WHERE c.id IS NULL');
        foreach ($free as $id) {
            $DB->delete_records(self::TAKEN, ['id' => $id]);
        }
        $DB->delete_records_select('block_navette_notices', 'timecreated < ?', [time() - 180 * DAYSECS]);
        if ($failure) {
            throw $failure;
        }
        return ['swept' => $swept];
    }
}
