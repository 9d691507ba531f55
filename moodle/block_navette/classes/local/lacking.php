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
 * Takes out of an unpacked backup the activities for which the receiving site has no plugin.
 *
 * Moodle's own settings for this, in backup and restore alike, drop the whole gradebook, course completion and
 * every badge's criteria as soon as one activity is left out, and conditions that name it lock what they guard
 * for ever. So the whole course is backed up, and afterwards the activity leaves together with everything
 * that names it: the list of contents, conditions, criteria of completion and of badges, calculations of
 * grades. Each of these is told.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class lacking {
    /** @var skeleton its files */
    private $files;

    /** @var string the language of names that are in several */
    private $lang;

    /** @var string[] names of the activities that leave, by course module id */
    private $modules = [];

    /** @var string[] the same by id of their grade items */
    private $items = [];

    /** @var string[] modules that leave */
    private $types = [];

    /** @var string[] folders of the activities that leave */
    private $folders = [];

    /** @var bool[] contexts of theirs, as keys */
    private $contexts = [];

    /** @var string[] folders of all activities, by course module id */
    private $all = [];

    /** @var int[][]|null by activity or section, then id: the course module with completion before it */
    private $previous = null;

    /**
     * Do it.
     *
     * @param string $tree the unpacked backup
     * @param string[] $has names of the modules that the receiving site has
     * @param bool $users user data are wanted: where the archive has them, what is graded cannot be left out
     * @param bool $kept the next attempt gets the same tree
     * @param string $lang the requester's language
     */
    public static function leave_out(string $tree, array $has, bool $users, bool $kept, string $lang): void {
        $self = new self();
        $self->files = new skeleton($tree, $kept);
        $self->lang = $lang;
        $backup = $self->files->open('moodle_backup.xml');
        if (!$backup) {
            throw failure::reject('archive_corrupt', 'the archive has no moodle_backup.xml');
        }
        foreach ($users ? skeleton::find($backup, "//settings/setting[level='root'][name='users']/value") : [] as $value) {
            $users = $value->textContent === '1';
        }
        $self->activities($backup, array_flip($has), $users);
        if (!$self->modules) {
            return;
        }
        $self->files->keep('moodle_backup.xml'); // Before any other: skeleton::put_back.
        $self->sections($backup);
        $self->files->write($backup, 'moodle_backup.xml');
        $self->conditions($backup);
        $self->completion();
        $self->badges();
        $self->calculations();
        $titles = ['course' => 'The course'];
        foreach (['activity', 'section'] as $kind) {
            foreach (skeleton::find($backup, "//contents/*/{$kind}[directory]") as $node) {
                $titles[skeleton::field($node, 'directory')] = $self->title($node, $kind);
            }
        }
        (new links($backup, $self->types, $has))->lead_home($self->files, $titles);
        if ($self->contexts && is_file("$tree/files.xml")) {
            $self->files->keep('files.xml');
            contents::leave_out($tree, [], $self->contexts);
        }
        foreach ($kept ? [] : $self->folders as $folder) {
            remove_dir("$tree/$folder");
        }
    }

    /**
     * The error of a graded activity that cannot be left out.
     *
     * @param string $name the activity's, for people
     * @param string $module
     * @return failure
     */
    public static function graded(string $name, string $module): failure {
        return failure::reject('plugin_missing', "\"$name\" is graded, and the receiving site lacks its plugin "
            . "mod_$module: without it everybody's totals would change. Ask for the course without user data.");
    }

    /**
     * Find them, and take them off the list of contents.
     *
     * @param \DOMDocument $backup
     * @param array $has modules, as keys
     * @param bool $users
     */
    private function activities(\DOMDocument $backup, array $has, bool $users): void {
        foreach (skeleton::find($backup, '//contents/activities/activity') as $node) {
            $module = skeleton::field($node, 'modulename');
            $folder = skeleton::field($node, 'directory');
            if (!preg_match('~^activities/\w+$~D', $folder)) {
                continue;
            }
            $cm = (int) skeleton::field($node, 'moduleid');
            $this->all[$cm] = $folder;
            if (isset($has[$module]) || !preg_match('~^[a-z][a-z0-9_]*$~D', $module)) {
                continue;
            }
            $name = names::plain(skeleton::field($node, 'title'), $this->lang);
            $this->items += $this->grade_items($folder, $name, $users ? $module : null);
            $this->modules[$cm] = $name;
            $this->types[$module] = $module;
            $this->folders[basename($folder)] = $folder;
            $context = (int) ($this->files->root("$folder/$module.xml")['contextid'] ?? 0);
            $this->contexts += $context ? [$context => true] : [];
            $node->parentNode->removeChild($node);
            channel::warn("\"$name\" was left out: the receiving site has no activity of the type $module.");
        }
        foreach ($this->folders ? skeleton::find($backup, '//settings/setting[activity]') : [] as $node) {
            if (isset($this->folders[skeleton::field($node, 'activity')])) {
                $node->parentNode->removeChild($node);
            }
        }
    }

    /**
     * The grade items of an activity.
     *
     * @param string $folder
     * @param string $name the activity's
     * @param string|null $module refuse where it counts; null: do not
     * @return string[] the activity's name by item id
     */
    private function grade_items(string $folder, string $name, ?string $module): array {
        $items = [];
        $grades = $this->files->open("$folder/grades.xml");
        foreach ($grades ? skeleton::find($grades, '//grade_item') : [] as $item) {
            if ($module !== null && in_array(skeleton::field($item, 'gradetype'), ['1', '2'], true)) {
                throw self::graded($name, $module);
            }
            $items[(int) $item->getAttribute('id')] = $name;
        }
        return $items;
    }

    /**
     * Sections that belong to what is left out become sections of the course: Moodle would restore neither them nor
     * their activities.
     *
     * @param \DOMDocument $backup
     */
    private function sections(\DOMDocument $backup): void {
        foreach (skeleton::find($backup, '//contents/sections/section[parentcmid]') as $node) {
            $name = $this->modules[(int) skeleton::field($node, 'parentcmid')] ?? null;
            $folder = skeleton::field($node, 'directory');
            if ($name === null || !preg_match('~^sections/\w+$~D', $folder)) {
                continue;
            }
            skeleton::set($node, 'parentcmid', '');
            skeleton::set($node, 'modname', '');
            $id = (int) skeleton::field($node, 'sectionid');
            foreach (skeleton::find($backup, "//contents/activities/activity[sectionid='$id']") as $activity) {
                skeleton::set($activity, 'insubsection', '');
            }
            $xml = $this->files->open("$folder/section.xml");
            foreach ($xml ? skeleton::find($xml, '/section') : [] as $section) {
                skeleton::set($section, 'component', skeleton::NOTHING);
                skeleton::set($section, 'itemid', skeleton::NOTHING);
                $this->files->write($xml, "$folder/section.xml");
            }
            channel::warn($this->title($node, 'section') . " stands by itself: it belonged to \"$name\", which was left out.");
        }
    }

    /**
     * What people call an activity or a section.
     *
     * @param \DOMElement $node of the list of contents
     * @param string $kind activity or section
     * @return string
     */
    private function title(\DOMElement $node, string $kind): string {
        $title = '"' . names::plain(skeleton::field($node, 'title'), $this->lang) . '"';
        return $kind === 'section' ? "The section $title" : $title;
    }

    /**
     * Conditions of activities and sections that name what is left out.
     *
     * @param \DOMDocument $backup
     */
    private function conditions(\DOMDocument $backup): void {
        foreach (['activity' => ['module.xml', 'availability'], 'section' => ['section.xml', 'availabilityjson']] as $kind => $where) {
            foreach (skeleton::find($backup, "//contents/*/{$kind}[directory]") as $node) {
                $folder = skeleton::field($node, 'directory');
                if (!preg_match('~^(activities|sections)/\w+$~D', $folder)) {
                    continue;
                }
                $file = "$folder/$where[0]";
                $xml = $this->files->open($file);
                $id = (int) skeleton::field($node, $kind === 'section' ? 'sectionid' : 'moduleid');
                $changed = false;
                foreach ($xml ? skeleton::find($xml, "/*/$where[1]") : [] as $field) {
                    $changed = $this->condition($backup, $field, $kind, $id, $this->title($node, $kind)) || $changed;
                }
                if ($changed) {
                    $this->files->write($xml, $file);
                }
            }
        }
    }

    /**
     * One of them.
     *
     * @param \DOMDocument $backup
     * @param \DOMElement $field
     * @param string $kind activity or section
     * @param int $id its id
     * @param string $title of what is restricted
     * @return bool changed
     */
    private function condition(\DOMDocument $backup, \DOMElement $field, string $kind, int $id, string $title): bool {
        $tree = json_decode($field->textContent);
        if (!is_object($tree) || !is_array($tree->c ?? null)) {
            return false;
        }
        $conditions = new conditions($this->modules, $this->items, fn() => $this->before($backup, $kind, $id));
        $rest = $conditions->rest($tree);
        foreach (['restricted' => 'is no longer restricted by', 'opened' => 'can no longer be opened by'] as $how => $text) {
            foreach (array_keys($conditions->gone[$how]) as $name) {
                channel::warn("$title $text \"$name\", which was left out.");
            }
        }
        if (!array_filter($conditions->gone)) {
            return false;
        }
        $field->textContent = is_object($rest) ? json_encode($rest, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES)
            : skeleton::NOTHING;
        return true;
    }

    /**
     * The activity with completion before an activity or a section, in the order of the course.
     *
     * @param \DOMDocument $backup
     * @param string $kind
     * @param int $id
     * @return string|null its name, where it leaves
     */
    private function before(\DOMDocument $backup, string $kind, int $id): ?string {
        if ($this->previous === null) {
            $this->previous = ['activity' => [], 'section' => []];
            $last = 0;
            foreach ($this->order($backup) as $section => $modules) {
                $this->previous['section'][$section] = $last;
                foreach ($modules as $cm) {
                    $this->previous['activity'][$cm] = $last;
                    $module = isset($this->all[$cm]) ? $this->files->open("{$this->all[$cm]}/module.xml") : null;
                    $completion = $module ? skeleton::field($module->documentElement, 'completion') : '';
                    $last = (int) $completion ? $cm : $last;
                }
            }
        }
        return $this->modules[$this->previous[$kind][$id] ?? 0] ?? null;
    }

    /**
     * The order of the course.
     *
     * @param \DOMDocument $backup
     * @return int[][] course module ids by section id
     */
    private function order(\DOMDocument $backup): array {
        $sections = $numbers = [];
        foreach (skeleton::find($backup, '//contents/sections/section') as $node) {
            $folder = skeleton::field($node, 'directory');
            $xml = preg_match('~^sections/\w+$~D', $folder) ? $this->files->open("$folder/section.xml") : null;
            if ($xml) {
                $id = (int) skeleton::field($node, 'sectionid');
                $numbers[$id] = (int) skeleton::field($xml->documentElement, 'number');
                $sections[$id] = array_map('intval', explode(',', skeleton::field($xml->documentElement, 'sequence')));
            }
        }
        asort($numbers);
        return array_replace($numbers, $sections);
    }

    /**
     * Criteria of course completion. Moodle would skip them, and say so to nobody.
     */
    private function completion(): void {
        if (!$this->files->has('completion.xml', 'moduleinstance', fn($id) => isset($this->modules[(int) $id]))) {
            return;
        }
        $xml = $this->files->open('completion.xml');
        foreach (skeleton::find($xml, '/*/course_completion_criteria') as $node) {
            $name = $this->modules[(int) skeleton::field($node, 'moduleinstance')] ?? null;
            if ($name !== null) {
                $node->parentNode->removeChild($node);
                channel::warn("Course completion no longer asks for \"$name\", which was left out.");
            }
        }
        $this->files->write($xml, 'completion.xml');
    }

    /**
     * The activity that a badge's parameter asks for.
     *
     * @param string $parameter its name, as module_12
     * @return string|null its name, where it leaves
     */
    private function asked(string $parameter): ?string {
        return $this->modules[(int) (explode('_', $parameter)[1] ?? 0)] ?? null;
    }

    /**
     * Criteria of badges. Moodle would make criteria of an activity without a number.
     */
    private function badges(): void {
        if (!$this->files->has('badges.xml', 'name', fn($name) => $this->asked($name) !== null)) {
            return;
        }
        $xml = $this->files->open('badges.xml');
        $changed = false;
        foreach (skeleton::find($xml, '//badge[criteria]') as $badge) {
            $gone = [];
            foreach (skeleton::find($badge, 'criteria/criterion/parameters/parameter') as $parameter) {
                $name = skeleton::field($parameter, 'criteriatype') === '1'
                    ? $this->asked(skeleton::field($parameter, 'name')) : null;
                if ($name === null) {
                    continue;
                }
                $gone[$name] = true;
                $all = $parameter->parentNode;
                $all->removeChild($parameter);
                if (!skeleton::find($all, 'parameter')) {
                    $all->parentNode->parentNode->removeChild($all->parentNode);
                }
            }
            $changed = $changed || $gone;
            $this->tell_badge($badge, array_keys($gone));
        }
        if ($changed) {
            $this->files->write($xml, 'badges.xml');
        }
    }

    /**
     * What became of a badge.
     *
     * @param \DOMElement $badge
     * @param string[] $gone activities that it asked for
     */
    private function tell_badge(\DOMElement $badge, array $gone): void {
        $title = names::plain(skeleton::field($badge, 'name'), $this->lang);
        foreach ($gone as $name) {
            channel::warn("The badge \"$title\" no longer asks for \"$name\", which was left out.");
        }
        // The criterion of type 0 only says how many of the others must be met.
        if ($gone && !skeleton::find($badge, "criteria/criterion[criteriatype != '0']")) {
            foreach (skeleton::find($badge, 'criteria/criterion') as $rest) {
                $rest->parentNode->removeChild($rest);
            }
            channel::warn("The badge \"$title\" asks for nothing any more: it cannot be earned until it gets a criterion.");
        }
    }

    /**
     * The activities that leave whose grades a calculation uses.
     *
     * @param string $calculation
     * @return string[] their names
     */
    private function used(string $calculation): array {
        preg_match_all('/##gi(\d+)##/', $calculation, $used);
        return array_unique(array_intersect_key($this->items, array_flip($used[1])));
    }

    /**
     * Calculations of grades that use what is left out: Moodle would keep a number that is another item's here.
     */
    private function calculations(): void {
        if (!$this->items || !$this->files->has('gradebook.xml', 'calculation', fn($text) => (bool) $this->used($text))) {
            return;
        }
        $xml = $this->files->open('gradebook.xml');
        foreach (skeleton::find($xml, '//grade_item') as $item) {
            $names = $this->used(skeleton::field($item, 'calculation'));
            if ($names) {
                $title = skeleton::field($item, 'itemname');
                $title = $title === skeleton::NOTHING ? skeleton::field($item, 'itemtype') : names::plain($title, $this->lang);
                channel::warn("The calculation of the grade \"$title\" was removed: it uses \"" . implode('", "', $names)
                    . '", which was left out.');
                skeleton::set($item, 'calculation', skeleton::NOTHING);
            }
        }
        $this->files->write($xml, 'gradebook.xml');
    }
}
