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
     * @param \stdClass $in id, user (none: the administrators), user_field, lang, subject, text, html, url, provider
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
        $sent = false;
        foreach ($people as $person) {
            $key = hash('sha256', $user === '' ? "$id/$person->id" : $id);
            $sent = self::send_once($key, $in, $provider, $person) || $sent;
        }
        return ['sent' => $sent];
    }

    /**
     * To one person, unless it was sent before.
     *
     * @param string $key of the message to this person
     * @param \stdClass $in
     * @param string $provider
     * @param \stdClass $person
     * @return bool false: it was
     */
    private static function send_once(string $key, \stdClass $in, string $provider, \stdClass $person): bool {
        global $DB;
        // The row and the message are one transaction, so that a crash leaves both or neither.
        $transaction = $DB->start_delegated_transaction();
        try {
            $DB->insert_record('block_navette_notices', (object) ['noticeid' => $key, 'timecreated' => time()]);
        } catch (\dml_write_exception $e) {
            $DB->force_transaction_rollback();
            if ($DB->record_exists('block_navette_notices', ['noticeid' => $key])) {
                return false;
            }
            throw $e;
        }
        self::send($in, $provider, $person);
        try {
            $transaction->allow_commit();
        } catch (\moodle_exception $e) {
            // Once it is there, Moodle hands it on, by mail for one; what fails then does not make
            // it come again, and must not keep it from others.
            if (!$DB->record_exists('block_navette_notices', ['noticeid' => $key])) {
                throw $e;
            }
            fwrite(STDERR, "handing on a message to $person->username: " . $e->getMessage() . "\n");
        }
        return true;
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
        // It was made with care already; Moodle looks over it as over anybody's.
        $html = (string) ($in->html ?? '');
        $message->fullmessagehtml = $html === '' ? text_to_html(s($text), false, true, true)
            : clean_text($html, FORMAT_HTML);
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
