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
 * Everything Navette asks of this Moodle: php navette.php OPERATION, JSON in, JSON lines out.
 *
 * The contract stands in PROTOCOL.md.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */

use block_navette\local\channel;
use block_navette\local\failure;

// Moodle's configuration comes later on purpose: an answer must be possible when it cannot be read.
// phpcs:disable moodle.Files.MoodleInternal.MoodleInternalGlobalState
define('CLI_SCRIPT', true);

// These two need nothing of Moodle, and must be there when Moodle cannot be loaded.
require(__DIR__ . '/../classes/local/failure.php');
require(__DIR__ . '/../classes/local/channel.php');
channel::open();

$operations = ['versions', 'check', 'settings', 'catalog', 'export', 'preflight', 'contents', 'import', 'find', 'history',
    'sweep', 'enrol', 'notify', 'rights', 'adopt', 'setup'];
$operation = $argv[1] ?? '';
if (!in_array($operation, $operations, true)) {
    exit(channel::error(failure::reject('bad_message', 'usage: php navette.php OPERATION [ROLE] < JSON; operations: '
        . implode(', ', $operations))));
}
$in = null;
if (!in_array($operation, ['versions', 'check', 'settings', 'history', 'sweep'], true) && !($operation === 'setup' && isset($argv[2]))) {
    // One line, so that answers to questions may follow.
    $in = json_decode((string) fgets(STDIN), false, 64);
    if (!$in instanceof stdClass) {
        exit(channel::error(failure::reject('bad_message', 'the first line of the input must be a JSON object')));
    }
    if (in_array($operation, ['export', 'preflight', 'import'], true) && !(($in->request ?? null) instanceof stdClass)) {
        exit(channel::error(failure::reject('bad_message', 'request is missing')));
    }
} else if ($operation === 'setup') {
    $in = (object) ['role' => $argv[2]];
}

if ($operation === 'check') {
    // Moodle would end us where an upgrade runs, and the answer is just that.
    define('NO_UPGRADE_CHECK', true);
}
require(__DIR__ . '/../../../config.php');
require_once($CFG->libdir . '/clilib.php');

channel::loaded();
channel::catch_signals();
channel::watch_disk();

/**
 * Run an operation.
 *
 * @param string $operation
 * @param stdClass|null $in
 * @return array
 */
function block_navette_run(string $operation, ?stdClass $in): array {
    if ($operation === 'check') {
        return \block_navette\local\site::check();
    }
    // The requester's rights are checked by us; Moodle's own work is done as an administrator.
    \core\session\manager::set_user(get_admin());
    if ($in && (string) ($in->user_field ?? '') === '') {
        $in->user_field = \block_navette\local\settings::get('userfield');
    }
    switch ($operation) {
        case 'versions':
            return \block_navette\local\site::versions();
        case 'settings':
            return \block_navette\local\settings::all();
        case 'catalog':
            return \block_navette\local\catalog::run($in);
        case 'export':
            \block_navette\local\site::check_ready();
            \block_navette\local\site::raise_memory();
            return \block_navette\local\export::run($in);
        case 'preflight':
            return \block_navette\local\import::preflight($in);
        case 'contents':
            return (new \block_navette\local\pool())->tell((array) ($in->contents ?? []));
        case 'import':
            \block_navette\local\site::raise_memory();
            return \block_navette\local\import::run($in);
        case 'find':
            $row = \block_navette\local\restores::get((string) ($in->id ?? ''));
            return $row && $row->state === 'restored'
                && \block_navette\local\restores::course_exists((int) $row->courseid)
                ? \block_navette\local\restores::outcome($row) : ['course' => null];
        case 'history':
            return \block_navette\local\restores::history();
        case 'sweep':
            return \block_navette\local\restores::sweep();
        case 'enrol':
            return \block_navette\local\enrolment::run($in);
        case 'notify':
            return \block_navette\local\notice::run($in);
        case 'rights':
            return \block_navette\local\rights::run($in);
        case 'adopt':
            return \block_navette\local\adopt::run($in);
        default:
            return \block_navette\local\setup::run($in);
    }
}

try {
    channel::result(block_navette_run($operation, $in));
} catch (\Throwable $e) {
    $reasons = ['export' => 'export_failed', 'import' => 'import_failed'];
    // A refusal is expected, and the caller has it already; only what nobody foresaw deserves a trace.
    for ($cause = $e; $cause instanceof failure; $cause = $cause->getPrevious()) {
        continue;
    }
    if ($cause) {
        fwrite(STDERR, get_class($cause) . ' at ' . $cause->getFile() . ':' . $cause->getLine() . ': '
            . $cause->getMessage() . "\n" . $cause->getTraceAsString() . "\n");
    }
    exit(channel::error(failure::from($e, $reasons[$operation] ?? 'internal', $operation)));
}
