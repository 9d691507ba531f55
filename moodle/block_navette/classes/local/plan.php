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
 * What backup and restore plans of Moodle have in common for us.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class plan {
    /**
     * Set what the plan has, also where the site's administrator locked it: the requester's rights
     * are checked by us.
     *
     * @param \base_plan $plan
     * @param array $values
     */
    public static function set(\base_plan $plan, array $values): void {
        foreach ($values as $name => $value) {
            if (!$plan->setting_exists($name)) {
                continue;
            }
            $setting = $plan->get_setting($name);
            if ((int) $setting->get_value() === (int) $value) {
                continue;
            }
            if ($setting->get_status() !== \base_setting::NOT_LOCKED) {
                $setting->set_status(\base_setting::NOT_LOCKED);
            }
            $setting->set_value(is_bool($value) ? (int) $value : $value);
        }
    }

    /**
     * Let the backup end with its folder instead of an archive.  Where Moodle keeps its tasks
     * otherwise than we know, it packs: slower, and the caller removes what comes of it.
     *
     * @param \backup_plan $plan
     */
    public static function without_packing(\backup_plan $plan): void {
        if (!property_exists(\base_plan::class, 'tasks')) {
            return;
        }
        $property = new \ReflectionProperty(\base_plan::class, 'tasks');
        $property->setAccessible(true);
        $tasks = $property->getValue($plan);
        if (get_class(end($tasks)) !== \backup_final_task::class) {
            return;
        }
        array_pop($tasks);
        $property->setValue($plan, $tasks);
        $plan->add_task(new final_task('final_task'));
    }

    /**
     * Nothing of a run stays in Moodle's tables.
     *
     * @param \base_controller|null $controller
     */
    public static function forget(?\base_controller $controller): void {
        global $DB;
        if (!$controller) {
            return;
        }
        $id = $controller instanceof \restore_controller ? $controller->get_restoreid() : $controller->get_backupid();
        try {
            $DB->delete_records('backup_logs', ['backupid' => $id]);
            $DB->delete_records('backup_controllers', ['backupid' => $id]);
            $controller->destroy();
        } catch (\Throwable $e) {
            // Moodle's own cron removes them after a month.
            debugging($e->getMessage(), DEBUG_NORMAL);
        }
    }
}
