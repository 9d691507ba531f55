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
 * Where a restored course goes, and who may make it there.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class target {
    /** @var \stdClass category: id, name, path */
    public $category;

    /** @var \stdClass|null the requester; null: an administrator asks */
    public $user = null;

    /**
     * Choose.
     *
     * @param \stdClass $in the import: request, settings, category
     * @return self
     */
    public static function choose(\stdClass $in): self {
        global $SITE;
        $settings = $in->settings ?? null;
        $check = (bool) site::setting($settings, 'check_course_create', 'checkrequestercapascoursecreate');
        $enrol = (bool) site::setting($settings, 'enrol_requester', 'autoenrol_requester');
        $default = (string) site::setting($settings, 'default_category', 'defaultcategory');
        $user = (string) ($in->request->user ?? '');
        $target = new self();
        $fallback = categories::find($default, true);
        $wanted = self::wanted($in);
        if ($user !== '' && ($check || $enrol)) {
            $target->user = people::find((string) site::setting($settings, 'user_field', 'userfield'), $user);
        }
        $target->category = $wanted ?? $fallback;
        if (!$target->category) {
            throw failure::reject('category_missing', $default === ''
                ? "the default category: none is set on $SITE->shortname (setting defaultcategory of block_navette)"
                : "the default category: there is no category \"$default\" on $SITE->shortname");
        }
        if (!$target->user || !$check || self::may_create($target->user, $target->category)) {
            return $target;
        }
        if (!$fallback || !self::may_create($target->user, $fallback)) {
            throw failure::reject('capability_missing', 'the requester may create courses neither in the category "'
                . $target->category->name . '" nor in the default category');
        }
        self::warn('The requester may not create courses in the category', $target->category->name);
        $target->category = $fallback;
        return $target;
    }

    /**
     * The category that was asked for; null: the default.
     *
     * @param \stdClass $in
     * @return \stdClass|null
     */
    private static function wanted(\stdClass $in): ?\stdClass {
        $original = (string) ($in->category ?? '');
        $asked = (string) ($in->request->category ?? '');
        if (!empty($in->request->keep_category)) {
            $kept = categories::find($original, false);
            if ($original === '') {
                channel::warn("The course's category has no identifier on the course server: "
                    . 'the course was restored into the default category.');
            } else if (!$kept) {
                self::warn('There is no category with the original identifier', $original);
            }
            return $kept;
        }
        $found = categories::find($asked, true);
        if ($asked !== '' && !$found) {
            self::warn('There is no category with the identifier', $asked);
        }
        return $found;
    }

    /**
     * May somebody create courses there?
     *
     * @param \stdClass $user
     * @param \stdClass $category
     * @return bool
     */
    private static function may_create(\stdClass $user, \stdClass $category): bool {
        return has_capability('moodle/course:create', \context_coursecat::instance($category->id), $user->id);
    }

    /**
     * It is not as wanted.
     *
     * @param string $why
     * @param string $identifier
     */
    private static function warn(string $why, string $identifier): void {
        channel::warn("$why \"$identifier\": the course was restored into the default category.");
    }
}
