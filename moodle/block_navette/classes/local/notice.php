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
 * Messages to people, through Moodle's messaging.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class notice {
    /**
     * Send one; the same id is delivered once.
     *
     * @param \stdClass $in id, user (none: the administrators), user_field, lang, subject, text, url, provider
     * @return array
     */
    public static function run(\stdClass $in): array {
        global $DB;
        $id = (string) ($in->id ?? '');
        if ($id === '') {
            throw failure::reject('bad_message', 'the notice has no id');
        }
        $provider = $in->provider ?? 'restored';
        if (!in_array($provider, ['restored', 'failed', 'problem'], true)) {
            throw failure::reject('bad_message', "there is no message provider \"$provider\"");
        }
        $user = (string) ($in->user ?? '');
        $people = $user === '' ? get_admins()
            : [people::find((string) (($in->user_field ?? '') ?: 'username'), $user)];
        // The row and the message are one transaction, so that a crash leaves both or neither.
        $transaction = $DB->start_delegated_transaction();
        try {
            $DB->insert_record('block_navette_notices', (object) ['noticeid' => hash('sha256', $id),
                'timecreated' => time()]);
        } catch (\dml_write_exception $e) {
            $DB->force_transaction_rollback();
            if ($DB->record_exists('block_navette_notices', ['noticeid' => hash('sha256', $id)])) {
                return ['sent' => false];
            }
            throw $e;
        }
        foreach ($people as $person) {
            self::send($in, $provider, $person);
        }
        $transaction->allow_commit();
        return ['sent' => true];
    }

    /**
     * To one person.
     *
     * @param \stdClass $in
     * @param string $provider
     * @param \stdClass $person
     */
    private static function send(\stdClass $in, string $provider, \stdClass $person): void {
        $text = (string) ($in->text ?? '');
        $message = new \core\message\message();
        $message->component = 'block_navette';
        $message->name = $provider;
        $message->userfrom = \core_user::get_noreply_user();
        $message->userto = $person;
        $message->subject = (string) ($in->subject ?? '');
        $message->fullmessage = $text;
        $message->fullmessageformat = FORMAT_PLAIN;
        $message->fullmessagehtml = text_to_html(s($text), false, true, true);
        // Only texts of the language the message is written in, where this site has that one.
        $lang = clean_param((string) ($in->lang ?? ''), PARAM_LANG) ?: $person->lang;
        if ($message->subject === '') {
            $message->subject = get_string_manager()->get_string(
                "messageprovider:$provider",
                'block_navette',
                null,
                $lang
            );
        }
        $message->smallmessage = $message->subject;
        $message->notification = 1;
        $message->courseid = SITEID;
        if (!empty($in->url)) {
            $message->contexturl = clean_param($in->url, PARAM_URL);
            $message->contexturlname = get_string_manager()->get_string('entercourse', '', null, $lang);
        }
        if (!message_send($message)) {
            throw new failure(failure::RETRY, 'internal', 'Moodle did not take the message');
        }
    }
}
