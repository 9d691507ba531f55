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
 * The signed way from Moodle to Navette: a token of one minute, for one use (its id is remembered there).
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class launch {
    /** Seconds a token is good for. */
    const TTL = 60;

    /** Capabilities the pages ask for. */
    const CAPABILITIES = ['seeexternalcourselink', 'restoreuserdata', 'manage'];

    /**
     * Where to go with a fresh token.
     *
     * @param \stdClass $user
     * @param int $block the block's instance whose button was used
     * @return \moodle_url
     */
    public static function url(\stdClass $user, int $block): \moodle_url {
        $base = rtrim((string) get_config('block_navette', 'navetteurl'), '/');
        if ($base === '') {
            throw new \moodle_exception('notconfigured', 'block_navette');
        }
        return new \moodle_url("$base/launch", ['token' => self::token($user, $block, $base)]);
    }

    /**
     * A JSON web token (HS256).
     *
     * @param \stdClass $user
     * @param int $block
     * @param string $audience
     * @return string
     */
    public static function token(\stdClass $user, int $block, string $audience): string {
        global $CFG;
        $secret = (string) get_config('block_navette', 'launchsecret');
        if (strlen($secret) < 32) {
            throw new \moodle_exception('notconfigured', 'block_navette');
        }
        $field = settings::get('userfield');
        $name = (string) $user->$field;
        // Whoever the restores would not take for this user gets no token for that name.
        if (array_column(people::matches($field, $name), 'id') != [$user->id]) {
            throw new \moodle_exception('accountnotserved', 'block_navette');
        }
        $claims = ['iss' => $CFG->wwwroot, 'aud' => $audience, 'iat' => time(), 'exp' => time() + self::TTL,
            'jti' => bin2hex(random_bytes(16)), 'sub' => $name, 'name' => fullname($user),
            'email' => $user->email, 'lang' => current_language(), 'caps' => self::capabilities($user),
            'block' => $block];
        $body = self::encode(json_encode(['alg' => 'HS256', 'typ' => 'JWT'])) . '.'
            . self::encode(json_encode($claims, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES));
        return $body . '.' . self::encode(hash_hmac('sha256', $body, $secret, true));
    }

    /**
     * Which of the capabilities somebody holds.
     *
     * @param \stdClass $user
     * @return string[]
     */
    public static function capabilities(\stdClass $user): array {
        return array_values(array_filter(
            self::CAPABILITIES,
            fn($name) => has_capability("block/navette:$name", \context_system::instance(), $user)
        ));
    }

    /**
     * Base64 as in addresses.
     *
     * @param string $bytes
     * @return string
     */
    private static function encode(string $bytes): string {
        return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    }
}
