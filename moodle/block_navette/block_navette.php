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

/**
 * The block: own restores and the way to Navette.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class block_navette extends block_base {
    /**
     * Title.
     */
    public function init() {
        $this->title = get_string('pluginname', 'block_navette');
    }

    /**
     * Where it may stand.
     *
     * @return bool[]
     */
    public function applicable_formats() {
        return ['my' => true, 'site-index' => true, 'course-view' => true, 'mod' => false];
    }

    /**
     * There is a settings page.
     *
     * @return bool
     */
    public function has_config() {
        return true;
    }

    /**
     * The last own restores and the button.
     *
     * @return stdClass|null
     */
    public function get_content() {
        global $DB, $OUTPUT, $USER;
        if ($this->content !== null) {
            return $this->content;
        }
        $this->content = (object) ['text' => '', 'footer' => ''];
        if (!isloggedin() || isguestuser() || !has_capability('block/navette:view', $this->context)) {
            return $this->content;
        }
        $rows = $DB->get_records(
            'block_navette_restores',
            ['userid' => $USER->id],
            'timemodified DESC, id DESC',
            'id, courseid, state, shortname, fullname, remotecourse, restoredat, timemodified, reason, nexttry',
            0,
            5
        );
        $items = [];
        foreach ($rows as $row) {
            $items[] = $this->item($row);
        }
        $this->content->text = $items ? html_writer::alist($items, ['class' => 'list-unstyled'])
            : html_writer::tag('p', get_string('nothingyet', 'block_navette'));
        if ((string) get_config('block_navette', 'navetteurl') !== '') {
            $url = new moodle_url('/blocks/navette/launch.php', ['instance' => $this->instance->id]);
            $this->content->footer = $OUTPUT->single_button($url, get_string('open', 'block_navette'), 'post');
        }
        return $this->content;
    }

    /**
     * One restore.
     *
     * @param stdClass $row
     * @return string
     */
    private function item(stdClass $row): string {
        global $DB;
        $state = $row->state;
        $name = $row->fullname !== '' ? $row->fullname : $row->remotecourse;
        // Noted as people read it, where Moodle would take "<L2>" for a tag.
        $name = format_string(\block_navette\local\names::storable($name), true, ['context' => context_system::instance()]);
        if ($state === 'restored' && !$DB->record_exists('course', ['id' => $row->courseid])) {
            $state = 'deleted';
        } else if ($state === 'restored') {
            $name = html_writer::link(new moodle_url('/course/view.php', ['id' => $row->courseid]), $name);
        }
        $at = $row->timemodified;
        // Long past: it was withdrawn meanwhile, or has failed for good elsewhere.
        if ($state === 'failed' && $row->nexttry + DAYSECS > time()) {
            $state = 'waiting';
            $at = $row->nexttry;
        }
        $text = get_string("state_$state", 'block_navette', userdate($at, get_string('strftimedatetimeshort', 'langconfig')));
        if ($state === 'waiting' && get_string_manager()->string_exists("because_$row->reason", 'block_navette')) {
            $text .= ' ' . get_string("because_$row->reason", 'block_navette');
        }
        return $name . html_writer::div($text, 'text-muted small');
    }
}
