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
 * Makes an RSS feed for everybody one of the requester's own.
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
     * The block, with its feeds. Moodle gives those that nobody has yet to an administrator.
     *
     * @param array $data
     */
    public function process_block($data) {
        global $DB;
        $data = (object) $data;
        $feeds = $data->rss_client['feeds']['feed'] ?? [];
        foreach (array_keys($feeds) as $key) {
            $data->rss_client['feeds']['feed'][$key] = ['shared' => 0] + (array) $feeds[$key];
        }
        $last = (int) $DB->get_field_sql('SELECT MAX(id) FROM {block_rss_client}');
        parent::process_block($data);
        foreach ($feeds as $feed) {
            $DB->set_field_select(
                'block_rss_client',
                'userid',
                $this->containment->owner,
                'id > :last AND userid = :admin AND shared = 0 AND url = :url',
                ['last' => $last, 'admin' => $this->task->get_userid(), 'url' => ((array) $feed)['url']]
            );
        }
    }
}
