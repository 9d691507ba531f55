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
 * Strings in French.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * @package    block_navette
 * @copyright  2025 The Navette authors
 * @license    https://www.gnu.org/copyleft/gpl.html GNU GPL v3 or later
 */

defined('MOODLE_INTERNAL') || die();

$string['accountnotserved'] = 'Navette ne peut pas distinguer votre compte d’autres comptes de ce site, ou ne sert pas les comptes qui se connectent comme le vôtre. Adressez-vous à un administrateur.';
$string['bankmade'] = 'Ce Moodle conserve les questions utilisées à plusieurs endroits dans des banques de questions, qui sont des activités. Celles du cours ({$a->count}) se trouvent dans sa nouvelle banque de questions « {$a->name} ».';
$string['because_disk_full'] = 'Un disque est plein.';
$string['because_import_failed'] = 'Moodle n’a pas pu restaurer le cours.';
$string['because_timeout'] = 'Cela a pris trop de temps.';
$string['beingrestored'] = '(un cours en cours de restauration)';
$string['event_course_exported'] = 'Cours exporté par Navette';
$string['event_course_restored'] = 'Cours restauré par Navette';
$string['event_restore_failed'] = 'Échec d’une restauration par Navette';
$string['event_user_joined'] = 'Utilisateur inscrit dans un cours restauré';
$string['messageprovider:failed'] = 'Un cours n’a pas pu être restauré';
$string['messageprovider:problem'] = 'Pour les administrateurs : pourquoi un cours n’a pas pu être restauré';
$string['messageprovider:restored'] = 'Un cours a été restauré';
$string['mode_always'] = 'Oui, toujours';
$string['mode_manual'] = 'Non, restaurer les utilisateurs comme inscriptions manuelles';
$string['mode_withusers'] = 'Seulement si les utilisateurs sont inclus';
$string['navette:addinstance'] = 'Ajouter un bloc Navette';
$string['navette:manage'] = 'Gérer les demandes de tout le monde';
$string['navette:myaddinstance'] = 'Ajouter un bloc Navette au tableau de bord';
$string['navette:restoreuserdata'] = 'Choisir si les données utilisateur sont restaurées';
$string['navette:seeexternalcourselink'] = 'Suivre le lien vers le cours sur le serveur de cours';
$string['navette:view'] = 'Voir le bloc et ouvrir Navette';
$string['notconfigured'] = 'Navette n’est pas configuré sur ce site.';
$string['nothingyet'] = 'Vous n’avez encore rapporté aucun cours ici.';
$string['open'] = 'Rapporter mes cours';
$string['pluginname'] = 'Navette';
$string['privacy:navette'] = 'Navette, un programme à côté de ce site qui rapporte des cours de serveurs de cours. Il apprend qui l’ouvre et qui demande un cours.';
$string['privacy:navette:email'] = 'L’adresse de courriel, pour les messages';
$string['privacy:navette:fullname'] = 'Le nom complet';
$string['privacy:navette:lang'] = 'La langue, pour les messages';
$string['privacy:navette:username'] = 'La valeur qui identifie la personne sur les deux sites';
$string['privacy:restores'] = 'Demandes de rapporter un cours ici, et ce qu’elles sont devenues';
$string['privacy:restores:courseid'] = 'Le cours sur ce site';
$string['privacy:restores:enrolled'] = 'Si la personne a été inscrite';
$string['privacy:restores:remotecourse'] = 'Le cours sur le serveur de cours';
$string['privacy:restores:request'] = 'La demande telle qu’elle a été faite, avec le nom, l’adresse de courriel et la langue de la personne';
$string['privacy:restores:site'] = 'Le serveur de cours';
$string['privacy:restores:state'] = 'S’il a été restauré';
$string['privacy:restores:timecreated'] = 'Début de la restauration';
$string['privacy:restores:timemodified'] = 'Dernière modification';
$string['privacy:restores:userdata'] = 'Si les données utilisateur ont suivi';
$string['privacy:restores:userid'] = 'Qui a demandé';
$string['role_both'] = 'Serveur de cours et client';
$string['role_client'] = 'Client';
$string['role_server'] = 'Serveur de cours';
$string['role_unset'] = 'Non configuré';
$string['setting_authmethods'] = 'Méthodes d’authentification';
$string['setting_authmethods_desc'] = 'Seuls les comptes de ces méthodes comptent (noms séparés par des virgules, par exemple cas,ldap), pour qu’un homonyme inscrit de lui-même n’obtienne les cours de personne. Vide : toutes.';
$string['setting_autoenrol_requester'] = 'Inscrire la personne qui demande';
$string['setting_autoenrol_requester_desc'] = 'La personne qui demande est inscrite dans le cours restauré.';
$string['setting_categorytable'] = 'Table des identifiants de catégorie';
$string['setting_categorytable_categoryfield'] = 'Sa colonne avec l’identifiant';
$string['setting_categorytable_categoryfield_desc'] = 'idnumber dans la table course_categories.';
$string['setting_categorytable_desc'] = 'Nom de la table sans préfixe ; course_categories sauf si les identifiants sont ailleurs.';
$string['setting_categorytable_foreignkey'] = 'Sa colonne avec l’id de la catégorie';
$string['setting_categorytable_foreignkey_desc'] = 'id dans la table course_categories.';
$string['setting_checkrequestercapascoursecreate'] = 'Vérifier le droit de créer des cours';
$string['setting_checkrequestercapascoursecreate_desc'] = 'La personne doit avoir moodle/course:create dans la catégorie ; sinon la catégorie par défaut est essayée, et c’est dit.';
$string['setting_defaultcategory'] = 'Catégorie par défaut';
$string['setting_defaultcategory_desc'] = 'Identifiant ou id de la catégorie où les cours sont restaurés. Obligatoire sur un client.';
$string['setting_defaultcategorychecked'] = 'Catégorie d’origine choisie d’avance';
$string['setting_defaultcategorychecked_desc'] = 'Le choix ci-dessus est coché d’avance.';
$string['setting_enrollbutton'] = 'Bouton « M’inscrire »';
$string['setting_enrollbutton_desc'] = 'Qui avait l’un des rôles dans le cours distant peut rejoindre la copie qu’un collègue a restaurée.';
$string['setting_enrollrole'] = 'Rôle d’inscription';
$string['setting_enrollrole_desc'] = 'Nom abrégé du rôle.';
$string['setting_enrolmentmode'] = 'Méthodes d’inscription';
$string['setting_enrolmentmode_desc'] = 'Si les méthodes d’inscription d’un cours suivent, pour qui ne peut pas choisir.';
$string['setting_fallbackwithoutuserdata'] = 'Sans données utilisateur si ce sont elles qui échouent';
$string['setting_fallbackwithoutuserdata_desc'] = 'Une restauration qui échoue avec les données utilisateur est essayée une fois de plus sans elles, et c’est dit.';
$string['setting_includeexternalurlinmail'] = 'Adresse du serveur de cours dans les messages';
$string['setting_includeexternalurlinmail_desc'] = 'Les messages donnent l’adresse, pas seulement le nom.';
$string['setting_launchsecret'] = 'Secret pour la connexion';
$string['setting_launchsecret_desc'] = 'Partagé avec Navette, au moins 32 caractères. « php cli/navette.php setup client » en crée un.';
$string['setting_leaveoutlacking'] = 'Laisser de côté ce que ce site n’a pas';
$string['setting_leaveoutlacking_desc'] = 'Les activités dont ce site n’a pas le plugin sont laissées de côté, et la personne en est informée. Non : un tel cours est refusé. Une activité notée n’est jamais laissée de côté dans un cours avec données utilisateur, car les totaux changeraient.';
$string['setting_memorylimit'] = 'Mémoire pour les grands cours';
$string['setting_memorylimit_desc'] = 'Ce que PHP peut prendre pour une sauvegarde ou une restauration, comme 2048M ou 4G : la limite propre à PHP est relevée jusque-là. Moins de 2 Go, ou toute autre chose, compte pour 2 Go.';
$string['setting_moodle_role'] = 'Rôle de ce site';
$string['setting_moodle_role_desc'] = 'Un serveur de cours donne des cours, un client les reçoit.';
$string['setting_navetteurl'] = 'Adresse de Navette';
$string['setting_navetteurl_desc'] = 'Où mène le bouton du bloc. Vide : pas de bouton.';
$string['setting_onlyoneremoteinstance'] = 'Chaque cours distant une seule fois';
$string['setting_onlyoneremoteinstance_desc'] = 'Un cours qu’un collègue a restauré ne peut pas l’être à nouveau, tant que la copie existe.';
$string['setting_restorecourseinoriginalcategory'] = 'Garder la catégorie d’origine';
$string['setting_restorecourseinoriginalcategory_desc'] = 'On peut choisir qu’un cours aille dans la catégorie de même identifiant.';
$string['setting_restoreuserdata'] = 'Restaurer les données utilisateur';
$string['setting_restoreuserdata_desc'] = 'Pour qui ne peut pas choisir.';
$string['setting_samesite_numbers'] = 'Les sites de même identifiant sont un seul site';
$string['setting_samesite_numbers_desc'] = 'Moodle prend une sauvegarde pour la sienne si le serveur de cours a le même identifiant de site, comme l’a une copie de ce site, et se fie alors aux numéros de cohortes, de cours, de questions, de tags et d’outils qui s’y trouvent. Non : un tel serveur est un autre site, car les mêmes numéros peuvent y désigner autre chose. Oui seulement si les deux sont le même Moodle.';
$string['setting_search_roles'] = 'Rôles';
$string['setting_search_roles_desc'] = 'Noms abrégés, séparés par des virgules. Qui a l’un d’eux dans un cours, sa catégorie ou une catégorie au-dessus peut rapporter le cours.';
$string['setting_userfield'] = 'Ce qui identifie une personne';
$string['setting_userfield_desc'] = 'Le champ du compte qui a la même valeur sur les deux sites.';
$string['setting_warningstoowner'] = 'Dire les avertissements à la personne';
$string['setting_warningstoowner_desc'] = 'Ce dont la restauration de Moodle a averti figure dans le message.';
$string['state_deleted'] = 'Restauré le {$a}, supprimé depuis';
$string['state_failed'] = 'Échec le {$a}';
$string['state_importing'] = 'Restauration en cours';
$string['state_restored'] = 'Restauré le {$a}';
$string['state_waiting'] = 'En attente, prochain essai le {$a}.';
$string['totalsfailed'] = 'Certains totaux du carnet de notes n’ont pas pu être calculés. Veuillez vérifier les calculs dans la configuration du carnet de notes du cours. {$a}';
