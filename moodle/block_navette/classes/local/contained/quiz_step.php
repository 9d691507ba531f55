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

use block_navette\local\references;

/**
 * Restores a quiz for the Safe Exam Browser whose template this site does not have: the template becomes the quiz's own
 * configuration file, instead of a template for everybody. A question that did not come is missing in the quiz, where Moodle
 * would keep its number, which is another question's here.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2026 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */
class quiz_step extends \restore_quiz_activity_structure_step {
    use step;

    /**
     * As Moodle's, but that template is ours to process.
     *
     * @return array
     */
    protected function define_structure() {
        $paths = parent::define_structure();
        foreach ($this->pathelements as $path) {
            if ($path->get_name() === 'quizaccess_seb_template') {
                $path->set_processing_object($this);
            }
        }
        return $paths;
    }

    /**
     * A template, after the quiz and its settings.
     *
     * @param array $data
     */
    public function process_quizaccess_seb_template($data) {
        global $DB;
        $data = (object) $data;
        $settings = ['quizid' => $this->get_new_parentid('quiz')];
        foreach (\quizaccess_seb\template::get_records(['name' => $data->name, 'enabled' => 1]) as $template) {
            if ($template->get('content') === $data->content) {
                $DB->set_field('quizaccess_seb_quizsettings', 'templateid', $template->get('id'), $settings);
                $DB->set_field(
                    'quizaccess_seb_quizsettings',
                    'requiresafeexambrowser',
                    \quizaccess_seb\settings_provider::USE_SEB_TEMPLATE,
                    $settings
                );
                return;
            }
        }
        get_file_storage()->create_file_from_string(['contextid' => $this->task->get_contextid(),
            'component' => 'quizaccess_seb', 'filearea' => 'filemanager_sebconfigfile', 'itemid' => 0, 'filepath' => '/',
            'filename' => 'template.seb', 'userid' => $this->containment->owner], $data->content);
        $DB->set_field('quizaccess_seb_quizsettings', 'templateid', 0, $settings);
        $DB->set_field(
            'quizaccess_seb_quizsettings',
            'requiresafeexambrowser',
            \quizaccess_seb\settings_provider::USE_SEB_UPLOAD_CONFIG,
            $settings
        );
    }

    /**
     * A question of the quiz.
     *
     * @param array $data
     */
    public function process_question_reference($data) {
        if ($this->came('question_bank_entry', (int) ((object) $data)->questionbankentryid)) {
            parent::process_question_reference($data);
        }
    }

    /**
     * A random question.
     *
     * @param array $data
     */
    public function process_question_set_reference($data) {
        if ($this->came('question_category', references::category((string) ((object) $data)->filtercondition))) {
            parent::process_question_set_reference($data);
        }
    }

    /**
     * A tag that a random question must have (of backups before Moodle 4.0).
     *
     * @param array $data
     */
    protected function process_quiz_slot_tags($data) {
        global $DB;
        $slot = ['component' => 'mod_quiz', 'questionarea' => 'slot', 'itemid' => $this->get_new_parentid('quiz_question_instance')];
        if ($DB->record_exists('question_set_references', $slot)) {
            parent::process_quiz_slot_tags($data);
        }
    }

    /**
     * Did it come with the backup, or was it found here?
     *
     * @param string $what
     * @param int $id there
     * @return bool
     */
    private function came(string $what, int $id): bool {
        if ($this->task->is_samesite() || $this->get_mappingid($what, $id)) {
            return true;
        }
        $this->containment->references->lose_question((int) $this->get_new_parentid('quiz'));
        return false;
    }
}
