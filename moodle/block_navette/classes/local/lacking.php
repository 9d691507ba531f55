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
    /** What a backup writes for NULL. */
    const NOTHING = '$@NULL@$';

    /** @var string the unpacked backup */
    private $tree;

    /** @var bool the tree is used again, so that each file is kept as it was */
    private $kept;

    /** @var string[] names of the activities that leave, by course module id */
    private $modules = [];

    /** @var string[] the same by id of their grade items */
    private $items = [];

    /**
     * Do it.
     *
     * @param string $tree the unpacked backup
     * @param string[] $has names of the modules that the receiving site has
     * @param bool $users with user data: then what is graded cannot be left out
     * @param bool $kept the next attempt gets the same tree
     */
    public static function leave_out(string $tree, array $has, bool $users, bool $kept): void {
        $self = new self();
        $self->tree = $tree;
        $self->kept = $kept;
        $backup = $self->open('moodle_backup.xml');
        if (!$backup) {
            throw failure::reject('archive_corrupt', 'the archive has no moodle_backup.xml');
        }
        $self->activities($backup, array_flip($has), $users);
        if ($self->modules) {
            $self->write($backup, 'moodle_backup.xml');
            $self->conditions($backup);
            $self->completion();
            $self->badges();
            $self->calculations();
        }
    }

    /**
     * The error of a graded activity that cannot be left out.
     *
     * @param string $name the activity's
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
        $folders = [];
        foreach ($this->find($backup, '//contents/activities/activity') as $node) {
            $module = $this->field($node, 'modulename');
            $folder = $this->field($node, 'directory');
            if (isset($has[$module]) || !preg_match('~^activities/(\w+)$~D', $folder, $found)) {
                continue;
            }
            $name = $this->field($node, 'title');
            $this->items += $this->grade_items($folder, $name, $users ? $module : null);
            $this->modules[(int) $this->field($node, 'moduleid')] = $name;
            $folders[$found[1]] = true;
            $node->parentNode->removeChild($node);
            channel::warn("\"$name\" was left out: the receiving site has no activity of the type $module.");
        }
        foreach ($folders ? $this->find($backup, '//settings/setting[activity]') : [] as $node) {
            if (isset($folders[$this->field($node, 'activity')])) {
                $node->parentNode->removeChild($node);
            }
        }
        foreach ($this->kept ? [] : array_keys($folders) as $folder) {
            remove_dir("$this->tree/activities/$folder");
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
        $grades = $this->open("$folder/grades.xml");
        foreach ($grades ? $this->find($grades, '//grade_item') : [] as $item) {
            if ($module !== null && in_array($this->field($item, 'gradetype'), ['1', '2'], true)) {
                throw self::graded($name, $module);
            }
            $items[(int) $item->getAttribute('id')] = $name;
        }
        return $items;
    }

    /**
     * Conditions of activities and sections that name what is left out.
     *
     * @param \DOMDocument $backup
     */
    private function conditions(\DOMDocument $backup): void {
        foreach (['activity' => ['module.xml', 'availability'], 'section' => ['section.xml', 'availabilityjson']] as $kind => $where) {
            foreach ($this->find($backup, "//contents/*/{$kind}[directory]") as $node) {
                $folder = $this->field($node, 'directory');
                if (!preg_match('~^(activities|sections)/\w+$~D', $folder)) {
                    continue;
                }
                $file = "$folder/$where[0]";
                $xml = $this->open($file);
                $changed = false;
                foreach ($xml ? $this->find($xml, "/*/$where[1]") : [] as $field) {
                    $changed = $this->condition($field, $kind, $this->field($node, 'title')) || $changed;
                }
                if ($changed) {
                    $this->write($xml, $file);
                }
            }
        }
    }

    /**
     * One of them.
     *
     * @param \DOMElement $field
     * @param string $kind activity or section
     * @param string $title of what is restricted
     * @return bool changed
     */
    private function condition(\DOMElement $field, string $kind, string $title): bool {
        $tree = json_decode($field->textContent);
        $gone = [];
        if (!is_object($tree) || !is_array($tree->c ?? null)) {
            return false;
        }
        $left = $this->without($tree, $gone);
        foreach (array_unique($gone) as $name) {
            $what = $kind === 'section' ? "The section \"$title\"" : "\"$title\"";
            channel::warn("$what is no longer restricted by \"$name\", which was left out.");
        }
        if ($gone) {
            $field->textContent = $left ? json_encode($left, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES)
                : self::NOTHING;
        }
        return (bool) $gone;
    }

    /**
     * A tree of conditions (core_availability\tree) less those that name what is left out. showc has an
     * element for each of c.
     *
     * @param \stdClass $tree
     * @param string[] $gone filled with the names
     * @return \stdClass|null null: nothing is left of it
     */
    private function without(\stdClass $tree, array &$gone): ?\stdClass {
        $conditions = $shown = [];
        foreach ($tree->c as $i => $one) {
            $name = null;
            if (is_object($one) && is_array($one->c ?? null)) {
                $one = $this->without($one, $gone);
            } else if (is_object($one) && ($one->type ?? '') === 'completion') {
                $name = $this->modules[(int) ($one->cm ?? 0)] ?? null;
            } else if (is_object($one) && ($one->type ?? '') === 'grade') {
                $name = $this->items[(int) ($one->id ?? 0)] ?? null;
            }
            if ($name !== null) {
                $gone[] = $name;
            } else if ($one !== null) {
                $conditions[] = $one;
                $shown[] = $tree->showc[$i] ?? true;
            }
        }
        $tree->c = $conditions;
        if (isset($tree->showc)) {
            $tree->showc = $shown;
        }
        return $conditions ? $tree : null;
    }

    /**
     * Criteria of course completion. Moodle would skip them, and say so to nobody.
     */
    private function completion(): void {
        $xml = $this->open('completion.xml');
        $changed = false;
        foreach ($xml ? $this->find($xml, '/*/course_completion_criteria') : [] as $node) {
            $name = $this->modules[(int) $this->field($node, 'moduleinstance')] ?? null;
            if ($name !== null) {
                $node->parentNode->removeChild($node);
                channel::warn("Course completion no longer asks for \"$name\", which was left out.");
                $changed = true;
            }
        }
        if ($changed) {
            $this->write($xml, 'completion.xml');
        }
    }

    /**
     * Criteria of badges. Moodle would make criteria of an activity without a number.
     */
    private function badges(): void {
        $xml = $this->open('badges.xml');
        $changed = false;
        foreach ($xml ? $this->find($xml, '//badge[criteria]') : [] as $badge) {
            $gone = [];
            foreach ($this->find($badge, 'criteria/criterion/parameters/parameter') as $parameter) {
                $of = explode('_', $this->field($parameter, 'name')) + ['', ''];
                $name = $this->field($parameter, 'criteriatype') === '1' ? $this->modules[(int) $of[1]] ?? null : null;
                if ($name === null) {
                    continue;
                }
                $gone[$name] = true;
                $all = $parameter->parentNode;
                $all->removeChild($parameter);
                if (!$this->find($all, 'parameter')) {
                    $all->parentNode->parentNode->removeChild($all->parentNode);
                }
            }
            $changed = $changed || $gone;
            $this->tell_badge($badge, array_keys($gone));
        }
        if ($changed) {
            $this->write($xml, 'badges.xml');
        }
    }

    /**
     * What became of a badge.
     *
     * @param \DOMElement $badge
     * @param string[] $gone activities that it asked for
     */
    private function tell_badge(\DOMElement $badge, array $gone): void {
        $title = $this->field($badge, 'name');
        foreach ($gone as $name) {
            channel::warn("The badge \"$title\" no longer asks for \"$name\", which was left out.");
        }
        // The criterion of type 0 only says how many of the others must be met.
        if ($gone && !$this->find($badge, "criteria/criterion[criteriatype != '0']")) {
            foreach ($this->find($badge, 'criteria/criterion') as $rest) {
                $rest->parentNode->removeChild($rest);
            }
            channel::warn("The badge \"$title\" asks for nothing any more: it cannot be earned until it gets a criterion.");
        }
    }

    /**
     * Calculations of grades that use what is left out: Moodle would keep a number that is another item's here.
     */
    private function calculations(): void {
        $xml = $this->open('gradebook.xml');
        $changed = false;
        foreach ($xml ? $this->find($xml, '//grade_item') : [] as $item) {
            preg_match_all('/##gi(\d+)##/', $this->field($item, 'calculation'), $used);
            $names = array_unique(array_intersect_key($this->items, array_flip($used[1])));
            if ($names) {
                $title = $this->field($item, 'itemname');
                $title = $title === self::NOTHING ? $this->field($item, 'itemtype') : $title;
                channel::warn("The calculation of the grade \"$title\" was removed: it uses \"" . implode('", "', $names)
                    . '", which was left out.');
                $this->find($item, 'calculation')[0]->textContent = self::NOTHING;
                $changed = true;
            }
        }
        if ($changed) {
            $this->write($xml, 'gradebook.xml');
        }
    }

    /**
     * Nodes of a document or below a node, in an array that may be changed meanwhile.
     *
     * @param \DOMNode $from
     * @param string $path
     * @return \DOMElement[]
     */
    private function find(\DOMNode $from, string $path): array {
        $xpath = new \DOMXPath($from instanceof \DOMDocument ? $from : $from->ownerDocument);
        return iterator_to_array($xpath->query($path, $from), false);
    }

    /**
     * The text of a child.
     *
     * @param \DOMElement $node
     * @param string $name
     * @return string '' where there is none
     */
    private function field(\DOMElement $node, string $name): string {
        foreach ($node->childNodes as $child) {
            if ($child->nodeName === $name) {
                return $child->textContent;
            }
        }
        return '';
    }

    /**
     * A file of the backup, as it came.
     *
     * @param string $name
     * @return \DOMDocument|null null: there is none
     */
    private function open(string $name): ?\DOMDocument {
        $path = "$this->tree/$name";
        $path = is_file("$path.whole") ? "$path.whole" : $path;
        if (!is_file($path)) {
            return null;
        }
        $before = libxml_use_internal_errors(true);
        try {
            $xml = new \DOMDocument();
            // No entities, no network: it comes from somebody else. Descriptions may be long.
            if (!$xml->load($path, LIBXML_NONET | LIBXML_COMPACT | LIBXML_PARSEHUGE) || $xml->doctype) {
                throw failure::reject('archive_corrupt', "$name is no proper XML");
            }
            return $xml;
        } finally {
            libxml_clear_errors();
            libxml_use_internal_errors($before);
        }
    }

    /**
     * Write a file of the backup again.
     *
     * @param \DOMDocument $xml
     * @param string $name
     */
    private function write(\DOMDocument $xml, string $name): void {
        $path = "$this->tree/$name";
        if ($this->kept && !is_file("$path.whole") && !copy($path, "$path.whole")) {
            throw new failure(failure::RETRY, 'io', "$path cannot be copied");
        }
        $text = $xml->saveXML();
        if (file_put_contents("$path.part", $text) !== strlen($text) || !rename("$path.part", $path)) {
            throw new failure(failure::RETRY, 'io', "$path cannot be written again");
        }
    }
}
