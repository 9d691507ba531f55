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

namespace block_navette\local\contained;

/**
 * Makes an RSS feed for everybody one of the requester's own. Until the course is whole it is nobody's, under the negative
 * number of the course, so that it can be removed with it.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class rss_step extends \restore_rss_client_block_structure_step {
    use step;

    /**
     * The block, with its feeds. Moodle would give those that nobody has yet to an administrator.
     *
     * @param array $data
     */
    public function process_block($data) {
        global $DB;
        if (!$this->task->get_blockid()) {
            return;
        }
        $feeds = [];
        foreach (((array) $data)['rss_client']['feeds']['feed'] ?? [] as $feed) {
            $feed = (object) $feed;
            $known = $DB->get_records_select(
                'block_rss_client',
                'url = :url AND (shared = 1 OR userid = :owner OR userid = :course)',
                ['url' => $feed->url, 'owner' => $this->containment->owner, 'course' => -$this->get_courseid()],
                'id',
                'id',
                0,
                1
            );
            if (!$known) {
                $feed->userid = -$this->get_courseid();
                $feed->shared = 0;
            }
            $feeds[] = $known ? key($known) : $DB->insert_record('block_rss_client', $feed);
        }
        $block = ['id' => $this->task->get_blockid()];
        $config = unserialize_object(base64_decode((string) $DB->get_field('block_instances', 'configdata', $block)));
        $config->rssid = $feeds;
        $DB->set_field('block_instances', 'configdata', base64_encode(serialize($config)), $block);
    }
}
