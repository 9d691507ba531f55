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
 * Links to activities that were left out. A backup writes them as $@WIKIVIEWBYID*12@$, which only the plugin itself could
 * make a link again: they lead to the course where it came from.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class links {
    /** A link in a backup: plugin and kind in capitals, then numbers. */
    const TOKEN = '~\$@([A-Z0-9_]+)\*([0-9*]+)@\$~';

    /** @var string the site it came from, as XML */
    private $wwwroot;

    /** @var int the course's id there */
    private $course;

    /** @var string[] modules that were left out, by their names in capitals */
    private $lacking = [];

    /** @var string[] names of all modules in capitals, the longest first */
    private $all = [];

    /**
     * Constructor.
     *
     * @param \DOMDocument $backup
     * @param string[] $lacking modules that are left out
     * @param string[] $has the other ones
     */
    public function __construct(\DOMDocument $backup, array $lacking, array $has) {
        $information = skeleton::find($backup, '//information')[0] ?? null;
        $wwwroot = $information ? skeleton::field($information, 'original_wwwroot') : '';
        $this->wwwroot = preg_match('~^https?://[^\s"\'<>]+$~D', $wwwroot) ? htmlspecialchars($wwwroot, ENT_XML1) : '';
        $this->course = $information ? (int) skeleton::field($information, 'original_course_id') : 0;
        foreach ($lacking as $module) {
            $this->lacking[strtoupper($module)] = $module;
        }
        $this->all = array_unique(array_map('strtoupper', array_merge($lacking, $has)));
        usort($this->all, fn($a, $b) => strlen($b) - strlen($a));
    }

    /**
     * Change them everywhere, and tell where there were some.
     *
     * @param skeleton $files
     * @param string[] $titles what people call a folder of the backup, by its name
     */
    public function lead_home(skeleton $files, array $titles): void {
        $told = [];
        foreach ($this->wwwroot === '' ? [] : skeleton::files($files->tree, '.xml') as $path) {
            $name = substr($path, strlen($files->tree) + 1);
            $folder = preg_match('~^((activities|sections)/\w+|course)/~', $name, $found) ? $found[1] : $name;
            if ((isset($titles[$folder]) || $name === 'questions.xml') && $this->is_in($path)) {
                $files->change_lines($name, [$this, 'change']);
                $told[$titles[$folder] ?? 'The question bank'] = true;
            }
        }
        foreach (array_keys($told) as $title) {
            channel::warn("$title links to activities that were left out: these links lead to the course they came from.");
        }
    }

    /**
     * Does a file have some?
     *
     * @param string $path
     * @return bool
     */
    private function is_in(string $path): bool {
        $in = fopen($path, 'rb');
        $found = false;
        while ($in && !$found && ($line = fgets($in)) !== false) {
            $found = strpos($line, '$@') !== false && $this->change($line) !== $line;
        }
        if ($in) {
            fclose($in);
        }
        return $found;
    }

    /**
     * A line with links that lead somewhere.
     *
     * @param string $line
     * @return string
     */
    public function change(string $line): string {
        return preg_replace_callback(self::TOKEN, function ($found) {
            foreach ($this->all as $capitals) {
                if (strpos($found[1], $capitals) === 0) {
                    if (!isset($this->lacking[$capitals])) {
                        return $found[0];
                    }
                    $where = substr($found[1], strlen($capitals)) === 'VIEWBYID' ? 'view.php?id=' . (int) $found[2]
                        : "index.php?id=$this->course";
                    return "$this->wwwroot/mod/{$this->lacking[$capitals]}/$where";
                }
            }
            return $found[0];
        }, $line) ?? $line;
    }
}
