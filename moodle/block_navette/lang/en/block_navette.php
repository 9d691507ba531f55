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
 * Strings in English.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */

defined('MOODLE_INTERNAL') || die();

$string['accountnotserved'] = 'Navette cannot tell your account from others of this site, or may not serve accounts that sign in as yours does. Ask an administrator.';
$string['bankmade'] = 'This Moodle keeps questions that are used in several places in question banks, which are activities. Those of the course ({$a->count}) are in its new question bank “{$a->name}”.';
$string['because_disk_full'] = 'A disk is full.';
$string['because_import_failed'] = 'Moodle could not restore the course.';
$string['because_timeout'] = 'It took too long.';
$string['beingrestored'] = '(a course that is being restored)';
$string['event_course_exported'] = 'Course exported by Navette';
$string['event_course_restored'] = 'Course restored by Navette';
$string['event_restore_failed'] = 'Restore by Navette failed';
$string['event_user_joined'] = 'User joined a restored course';
$string['messageprovider:failed'] = 'A course could not be restored';
$string['messageprovider:problem'] = 'For administrators: why a course could not be restored';
$string['messageprovider:restored'] = 'A course was restored';
$string['mode_always'] = 'Yes, always';
$string['mode_manual'] = 'No, restore users as manual enrolments';
$string['mode_withusers'] = 'Only if users are included';
$string['navette:addinstance'] = 'Add a Navette block';
$string['navette:manage'] = 'Manage everybody’s requests';
$string['navette:myaddinstance'] = 'Add a Navette block to the dashboard';
$string['navette:restoreuserdata'] = 'Choose whether user data are restored';
$string['navette:seeexternalcourselink'] = 'Follow the link to the course on the course server';
$string['navette:view'] = 'See the block and open Navette';
$string['notconfigured'] = 'Navette is not set up on this site.';
$string['nothingyet'] = 'You have not brought any course here yet.';
$string['open'] = 'Bring my courses';
$string['pluginname'] = 'Navette';
$string['privacy:navette'] = 'Navette, a program beside this site that brings courses from course servers. It is told who opens it and who asks for a course.';
$string['privacy:navette:email'] = 'The mail address, for messages';
$string['privacy:navette:fullname'] = 'The full name';
$string['privacy:navette:lang'] = 'The language, for messages';
$string['privacy:navette:username'] = 'The value that identifies the user on both sites';
$string['privacy:restores'] = 'Requests to bring a course here, and what came of them';
$string['privacy:restores:courseid'] = 'The course on this site';
$string['privacy:restores:enrolled'] = 'Whether the requester was enrolled';
$string['privacy:restores:remotecourse'] = 'The course on the course server';
$string['privacy:restores:request'] = 'The request as it was made, with name, mail address and language of the requester';
$string['privacy:restores:site'] = 'The course server';
$string['privacy:restores:state'] = 'Whether it was restored';
$string['privacy:restores:timecreated'] = 'When the restore began';
$string['privacy:restores:timemodified'] = 'When it last changed';
$string['privacy:restores:userdata'] = 'Whether user data came along';
$string['privacy:restores:userid'] = 'Who asked';
$string['role_both'] = 'Course server and client';
$string['role_client'] = 'Client';
$string['role_server'] = 'Course server';
$string['role_unset'] = 'Not set up';
$string['setting_authmethods'] = 'Authentication methods';
$string['setting_authmethods_desc'] = 'Only accounts of these methods count (names separated by commas, for example cas,ldap), so that a self-registered namesake gets nobody’s courses. Empty: all.';
$string['setting_autoenrol_requester'] = 'Enrol the requester';
$string['setting_autoenrol_requester_desc'] = 'The requester is enrolled in the restored course.';
$string['setting_categorytable'] = 'Table with category identifiers';
$string['setting_categorytable_categoryfield'] = 'Its column with the identifier';
$string['setting_categorytable_categoryfield_desc'] = 'idnumber in the table course_categories.';
$string['setting_categorytable_desc'] = 'Name of the table without prefix; course_categories unless identifiers stand elsewhere.';
$string['setting_categorytable_foreignkey'] = 'Its column with the category’s id';
$string['setting_categorytable_foreignkey_desc'] = 'id in the table course_categories.';
$string['setting_checkrequestercapascoursecreate'] = 'Check the right to create courses';
$string['setting_checkrequestercapascoursecreate_desc'] = 'The requester must hold moodle/course:create in the category; else the default category is tried, and that is said.';
$string['setting_defaultcategory'] = 'Default category';
$string['setting_defaultcategory_desc'] = 'Identifier or id of the category that courses are restored into. Required on a client.';
$string['setting_defaultcategorychecked'] = 'Original category chosen beforehand';
$string['setting_defaultcategorychecked_desc'] = 'The choice above is ticked beforehand.';
$string['setting_enrollbutton'] = 'Button “Enrol me”';
$string['setting_enrollbutton_desc'] = 'Who held one of the roles in the remote course may join the copy that a colleague restored.';
$string['setting_enrollrole'] = 'Role to enrol with';
$string['setting_enrollrole_desc'] = 'Short name of the role.';
$string['setting_enrolmentmode'] = 'Enrolment methods';
$string['setting_enrolmentmode_desc'] = 'Whether a course’s enrolment methods come along, for those who may not choose.';
$string['setting_fallbackwithoutuserdata'] = 'Without user data when they are what fails';
$string['setting_fallbackwithoutuserdata_desc'] = 'A restore that fails with user data is tried once more without them, and that is said.';
$string['setting_includeexternalurlinmail'] = 'Address of the course server in messages';
$string['setting_includeexternalurlinmail_desc'] = 'Messages name the address, not only the name.';
$string['setting_launchsecret'] = 'Secret for signing in';
$string['setting_launchsecret_desc'] = 'Shared with Navette, at least 32 characters. “php cli/navette.php setup client” makes one.';
$string['setting_leaveoutlacking'] = 'Leave out what this site lacks';
$string['setting_leaveoutlacking_desc'] = 'Activities for which this site has no plugin are left out of a restored course, and the requester is told. No: such a course is refused. A graded activity is never left out of a course with user data, since everybody’s totals would change.';
$string['setting_memorylimit'] = 'Memory for large courses';
$string['setting_memorylimit_desc'] = 'What PHP may take for one backup or restore, as 2048M or 4G: the limit of PHP’s own is raised to this. Less than 2 GB, and anything else, counts as 2 GB.';
$string['setting_moodle_role'] = 'Role of this site';
$string['setting_moodle_role_desc'] = 'A course server gives courses away, a client takes them.';
$string['setting_navetteurl'] = 'Address of Navette';
$string['setting_navetteurl_desc'] = 'Where the block’s button leads. Empty: no button.';
$string['setting_onlyoneremoteinstance'] = 'Each remote course only once';
$string['setting_onlyoneremoteinstance_desc'] = 'A course that a colleague restored can’t be restored again, as long as the copy exists.';
$string['setting_restorecourseinoriginalcategory'] = 'Keep the original category';
$string['setting_restorecourseinoriginalcategory_desc'] = 'People may choose that a course comes into the category with the same identifier.';
$string['setting_restoreuserdata'] = 'Restore user data';
$string['setting_restoreuserdata_desc'] = 'For those who may not choose.';
$string['setting_samesite_numbers'] = 'Sites with the same identifier are one site';
$string['setting_samesite_numbers_desc'] = 'Moodle takes a backup for its own where the course server has the same site identifier, as a copy of this site has, and then trusts the numbers of cohorts, courses, questions, tags and tools in it. No: such a course server is another site, since the same numbers may stand for other things there. Yes only where both are the same Moodle.';
$string['setting_search_roles'] = 'Roles';
$string['setting_search_roles_desc'] = 'Short names, separated by commas. Who holds one of them in a course, its category or any category above may bring the course.';
$string['setting_userfield'] = 'What identifies a user';
$string['setting_userfield_desc'] = 'The account field that has the same value on both sites.';
$string['setting_warningstoowner'] = 'Tell warnings to the requester';
$string['setting_warningstoowner_desc'] = 'What Moodle’s restore warned of stands in the message.';
$string['state_deleted'] = 'Restored on {$a}, deleted since';
$string['state_failed'] = 'Failed on {$a}';
$string['state_importing'] = 'Being restored';
$string['state_restored'] = 'Restored on {$a}';
$string['state_waiting'] = 'Waits, next try on {$a}.';
$string['totalsfailed'] = 'Some totals of the gradebook could not be computed. Please look at the calculations in the gradebook setup of the course. {$a}';
