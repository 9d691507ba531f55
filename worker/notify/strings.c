/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker/notify/strings.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static const char *const words[NV_LANG_COUNT] = {"en", "fr"};

enum nv_lang nv_lang_from(const char *tag, enum nv_lang fallback)
{
	for (unsigned i = 0; tag && i < NV_LANG_COUNT; i++)
		if (strncasecmp(tag, words[i], 2) == 0 &&
		    (tag[2] == '\0' || tag[2] == '_' || tag[2] == '-'))
			return (enum nv_lang)i;
	return fallback;
}

const char *nv_lang_word(enum nv_lang lang)
{
	return words[lang];
}

const char *nv_lang_colon(enum nv_lang lang)
{
	return lang == NV_LANG_fr ? " : " : ": ";
}

/* Tables of sentences, one a row; clang-format would scatter them. */
/* clang-format off */
static const struct {
	const char *subject, *opening;
} events[NV_LANG_COUNT][NV_TE_COUNT] = {
	[NV_LANG_en] = {
		[NV_TE_restored] =
			{"Course restored: {course}",
			 "The course \"{course}\" from {site} has been restored on this platform."},
		[NV_TE_remarks] =
			{"Course restored, with remarks: {course}",
			 "The course \"{course}\" from {site} has been restored on this platform, "
			 "but not quite as it was: please read the remarks below and look at what "
			 "they name."},
		[NV_TE_failed] =
			{"Course not restored: {course}",
			 "The course \"{course}\" from {site} could not be restored."},
		[NV_TE_cancelled] =
			{"Restore cancelled: {course}",
			 "The restore of the course \"{course}\" from {site} was cancelled."},
		[NV_TE_problem] =
			{"Course not restored: {course}",
			 "The course \"{course}\" from {site} could not be restored."},
		[NV_TE_digest] =
			{"{number} courses not restored",
			 "{number} more courses could not be restored since {time}. They are "
			 "listed together here, so that you do not get a message for each. Those "
			 "who asked for them have been told."},
		[NV_TE_digest_one] =
			{"{number} course not restored",
			 "{number} more course could not be restored since {time}. Who asked for "
			 "it has been told."},
	},
	[NV_LANG_fr] = {
		[NV_TE_restored] =
			{"Cours restauré : {course}",
			 "Le cours « {course} » de {site} a été restauré sur cette plateforme."},
		[NV_TE_remarks] =
			{"Cours restauré, avec des remarques : {course}",
			 "Le cours « {course} » de {site} a été restauré sur cette plateforme, "
			 "mais pas tout à fait tel qu'il était : lisez les remarques ci-dessous et "
			 "vérifiez ce qu'elles citent."},
		[NV_TE_failed] =
			{"Cours non restauré : {course}",
			 "Le cours « {course} » de {site} n'a pas pu être restauré."},
		[NV_TE_cancelled] =
			{"Restauration annulée : {course}",
			 "La restauration du cours « {course} » de {site} a été annulée."},
		[NV_TE_problem] =
			{"Cours non restauré : {course}",
			 "Le cours « {course} » de {site} n'a pas pu être restauré."},
		[NV_TE_digest] =
			{"{number} cours non restaurés",
			 "{number} autres cours n'ont pas pu être restaurés depuis {time}. Ils "
			 "sont réunis ici pour vous épargner un message pour chacun. Ceux qui les "
			 "ont demandés ont été prévenus."},
		[NV_TE_digest_one] =
			{"{number} cours non restauré",
			 "{number} autre cours n'a pas pu être restauré depuis {time}. La personne "
			 "qui l'a demandé a été prévenue."},
	},
};

static const struct {
	const char *kind;
	const char *words[NV_LANG_COUNT];
} kinds[] = {
	{"section", {"Sections", "Sections"}},
	{"activity", {"Activities", "Activités"}},
	{"question", {"Questions", "Questions"}},
	{"file", {"Files", "Fichiers"}},
	{"person", {"Enrolled people", "Personnes inscrites"}},
	{"grade", {"Grades", "Notes"}},
	{"completion", {"Completed activities", "Activités achevées"}},
};

static const char *const phrases[NV_LANG_COUNT][NV_P_COUNT] = {
	[NV_LANG_en] = {
		[NV_P_hello] = "Hello {name},",
		[NV_P_hello_nobody] = "Hello,",
		[NV_P_open_course] = "Open the course",
		[NV_P_number] = "Its number here is {number}.",
		[NV_P_remote] = "The platform it comes from",
		[NV_P_page] = "Your courses and requests",
		[NV_P_request] = "See the request",
		[NV_P_with_data] = "User data came along.",
		[NV_P_without_data] = "It was restored without user data.",
		[NV_P_enrolled] = "You are enrolled in it.",
		[NV_P_remarks] = "Remarks of the restore:",
		[NV_P_losses] = "Not everything has arrived. This is missing:",
		[NV_P_loss] = "{kind}: {had} before, {has} now",
		[NV_P_loss_of_type] = "{kind} ({type}): {had} before, {has} now",
		[NV_P_unchanged] = "Nothing was changed on this platform.",
		[NV_P_told] = "The administrators have been told.",
		[NV_P_ask_again] = "You can ask for the course again at any time.",
		[NV_P_admin] = "For administrators:",
		[NV_P_row_request] = "request",
		[NV_P_row_requester] = "requester",
		[NV_P_row_course] = "course",
		[NV_P_row_site] = "course server",
		[NV_P_row_state] = "state",
		[NV_P_row_failures] = "attempts that failed",
		[NV_P_row_reason] = "reason",
		[NV_P_row_details] = "details",
		[NV_P_row_host] = "host",
		[NV_P_by_reason] = "By reason:",
		[NV_P_reason_count] = "{number} × {reason}",
		[NV_P_digest_rows] = "The courses:",
		[NV_P_digest_row] = "{course}, from {site}, asked for by {user}: {reason}",
		[NV_P_digest_row_nobody] = "{course}, from {site}: {reason}",
		[NV_P_digest_more] = "And {number} more.",
	},
	[NV_LANG_fr] = {
		[NV_P_hello] = "Bonjour {name},",
		[NV_P_hello_nobody] = "Bonjour,",
		[NV_P_open_course] = "Ouvrir le cours",
		[NV_P_number] = "Son numéro ici est le {number}.",
		[NV_P_remote] = "La plateforme d'où il vient",
		[NV_P_page] = "Vos cours et vos demandes",
		[NV_P_request] = "Voir la demande",
		[NV_P_with_data] = "Les données des utilisateurs ont été reprises.",
		[NV_P_without_data] = "Il a été restauré sans données d'utilisateurs.",
		[NV_P_enrolled] = "Vous y êtes inscrit.",
		[NV_P_remarks] = "Remarques de la restauration :",
		[NV_P_losses] = "Tout n'est pas arrivé. Il manque :",
		[NV_P_loss] = "{kind} : {had} avant, {has} maintenant",
		[NV_P_loss_of_type] = "{kind} ({type}) : {had} avant, {has} maintenant",
		[NV_P_unchanged] = "Rien n'a été modifié sur cette plateforme.",
		[NV_P_told] = "Les administrateurs ont été prévenus.",
		[NV_P_ask_again] = "Vous pouvez redemander le cours à tout moment.",
		[NV_P_admin] = "Pour les administrateurs :",
		[NV_P_row_request] = "demande",
		[NV_P_row_requester] = "demandeur",
		[NV_P_row_course] = "cours",
		[NV_P_row_site] = "serveur de cours",
		[NV_P_row_state] = "état",
		[NV_P_row_failures] = "essais échoués",
		[NV_P_row_reason] = "raison",
		[NV_P_row_details] = "détails",
		[NV_P_row_host] = "machine",
		[NV_P_by_reason] = "Par raison :",
		[NV_P_reason_count] = "{number} × {reason}",
		[NV_P_digest_rows] = "Les cours :",
		[NV_P_digest_row] = "{course}, de {site}, demandé par {user} : {reason}",
		[NV_P_digest_row_nobody] = "{course}, de {site} : {reason}",
		[NV_P_digest_more] = "Et {number} de plus.",
	},
};

/* What somebody else must mend, and what may pass by itself. */
#define EN_ADMIN "This is for an administrator to mend; ask again afterwards."
#define EN_LATER "This may pass: try again later. If it stays, tell your administrator."
#define FR_ADMIN "C'est à un administrateur d'y remédier ; redemandez le cours ensuite."
#define FR_LATER \
	"Cela peut passer : réessayez plus tard. Si cela dure, prévenez votre administrateur."

static const struct nv_reason_words reasons[NV_LANG_COUNT][NV_R_COUNT] = {
	[NV_LANG_en] = {
		[NV_R_none] = {"No reason is known.", EN_LATER, NULL},
		[NV_R_internal] = {"Something went wrong in Navette.", EN_LATER, NULL},
		[NV_R_config] = {"Navette is not set up correctly.", EN_ADMIN, NULL},
		[NV_R_bad_message] = {"One side did not understand the other.", EN_ADMIN, NULL},
		[NV_R_unknown_version] =
			{"The two sides have versions of Navette that do not fit together.",
			 EN_ADMIN, NULL},
		[NV_R_unsigned_message] =
			{"It could not be verified where the request or the answer to it comes "
			 "from.", EN_ADMIN, NULL},
		[NV_R_untrusted] =
			{"The course server answered with a key that this platform does not trust.",
			 EN_ADMIN, NULL},
		[NV_R_expired] =
			{"The request waited too long.",
			 "Ask for the course again.", NULL},
		[NV_R_replayed] =
			{"The request was handled before.",
			 "Look for the course on the page; if it is not there, ask for it again.",
			 NULL},
		[NV_R_policy] =
			{"The course server does not give this course away in this form.",
			 "Try without user data; if that does not help, ask your administrator.",
			 NULL},
		[NV_R_unknown_user] =
			{"You have no account on this platform, or none that is known there by the "
			 "same name.",
			 "Ask your administrator which account is yours.",
			 "The requester has no account on one of the platforms, or not by the same "
			 "name."},
		[NV_R_role_missing] =
			{"You do not teach this course on the platform it comes from.",
			 "Ask its teachers to give you a role in it, or to bring it themselves.",
			 "The requester holds none of the required roles in the course."},
		[NV_R_course_missing] =
			{"The course does not exist any more on the platform it comes from.",
			 "Look whether another course is the one you want.", NULL},
		[NV_R_category_missing] =
			{"There is no category on this platform that the course could be put into.",
			 EN_ADMIN, NULL},
		[NV_R_capability_missing] =
			{"You may not create courses in the category that the course belongs to.",
			 "Ask your administrator for that right, or ask for the course without its "
			 "category.",
			 "The requester may not create courses in the category that the course "
			 "belongs to."},
		[NV_R_already_restored] =
			{"The course was restored already, or is being restored.",
			 "Look for it on the page: there you can open it or enrol in it.", NULL},
		[NV_R_version_older] =
			{"This platform's Moodle is older than the one the course comes from.",
			 EN_ADMIN, NULL},
		[NV_R_plugin_missing] =
			{"The course uses an activity that this platform does not have.",
			 "Ask your administrator to install it, or take it out of the course and "
			 "ask again.", NULL},
		[NV_R_archive_corrupt] =
			{"The copy of the course was damaged.",
			 "Try again: a new copy will be made.", NULL},
		[NV_R_archive_unsafe] =
			{"The copy of the course holds something that is refused for safety.",
			 EN_ADMIN, NULL},
		[NV_R_archive_too_large] =
			{"The course is larger than what is allowed.",
			 "Remove large files from it, or ask your administrator for a higher "
			 "limit.", NULL},
		[NV_R_store_unavailable] =
			{"The store between the two platforms could not be reached.", EN_LATER,
			 NULL},
		[NV_R_store_full] =
			{"The store between the two platforms is full.", EN_ADMIN, NULL},
		[NV_R_store_denied] =
			{"The store between the two platforms refuses Navette's password.",
			 EN_ADMIN, NULL},
		[NV_R_store_missing] =
			{"Part of the course got lost on its way.",
			 "Try again: it will be sent anew.", NULL},
		[NV_R_store_corrupt] =
			{"Part of the course was damaged on its way.",
			 "Try again: it will be sent anew.", NULL},
		[NV_R_disk_full] = {"A disk is full.", EN_ADMIN, NULL},
		[NV_R_site_upgrading] = {"The platform was being upgraded.", EN_LATER, NULL},
		[NV_R_clock] = {"The clocks of the two platforms differed.", EN_LATER, NULL},
		[NV_R_site_unavailable] = {"The platform could not be used.", EN_LATER, NULL},
		[NV_R_io] = {"A file could not be read or written.", EN_ADMIN, NULL},
		[NV_R_broker_unavailable] =
			{"The message broker between the two platforms could not be reached.",
			 EN_LATER, NULL},
		[NV_R_unroutable] =
			{"The course server is not connected to this platform.", EN_ADMIN, NULL},
		[NV_R_status_unavailable] =
			{"Navette's database could not be reached.", EN_LATER, NULL},
		[NV_R_claim_lost] =
			{"Another worker took the request over.",
			 "Look at the page for what became of it.", NULL},
		[NV_R_busy] =
			{"Somebody else was at work on it.",
			 "Try again in some minutes.", NULL},
		[NV_R_timeout] =
			{"It took too long.",
			 "Try again when less is going on; if it is a very large course, tell your "
			 "administrator.", NULL},
		[NV_R_cancelled] =
			{"The request was cancelled.",
			 "Ask again if you still want the course.", NULL},
		[NV_R_attempts_exhausted] = {"It failed too many times.", EN_ADMIN, NULL},
		[NV_R_export_failed] =
			{"The Moodle that the course comes from could not back it up.",
			 "Try again; if it fails again, tell your administrator.", NULL},
		[NV_R_import_failed] =
			{"This platform's Moodle could not restore the course.",
			 "Try again; if it fails again, tell your administrator.", NULL},
		[NV_R_conflict] =
			{"The request was changed meanwhile.",
			 "Look at the page for how it stands.", NULL},
		[NV_R_site_unknown] = {"There is no such course server.", EN_ADMIN, NULL},
		[NV_R_not_found] =
			{"Something that belongs to the request does not exist any more.",
			 "Ask for the course again.", NULL},
		[NV_R_denied] =
			{"You are not allowed to do this.",
			 "Ask your administrator.",
			 "The requester is not allowed to do this."},
	},
	[NV_LANG_fr] = {
		[NV_R_none] = {"Aucune raison n'est connue.", FR_LATER, NULL},
		[NV_R_internal] = {"Quelque chose s'est mal passé dans Navette.", FR_LATER, NULL},
		[NV_R_config] = {"Navette est mal configurée.", FR_ADMIN, NULL},
		[NV_R_bad_message] = {"Un côté n'a pas compris l'autre.", FR_ADMIN, NULL},
		[NV_R_unknown_version] =
			{"Les deux côtés ont des versions de Navette qui ne vont pas ensemble.",
			 FR_ADMIN, NULL},
		[NV_R_unsigned_message] =
			{"L'origine de la demande ou de sa réponse n'a pas pu être vérifiée.",
			 FR_ADMIN, NULL},
		[NV_R_untrusted] =
			{"Le serveur de cours a répondu avec une clé à laquelle cette plateforme "
			 "ne se fie pas.", FR_ADMIN, NULL},
		[NV_R_expired] =
			{"La demande a attendu trop longtemps.",
			 "Redemandez le cours.", NULL},
		[NV_R_replayed] =
			{"La demande a déjà été traitée.",
			 "Cherchez le cours sur la page ; s'il n'y est pas, redemandez-le.", NULL},
		[NV_R_policy] =
			{"Le serveur de cours ne donne pas ce cours sous cette forme.",
			 "Essayez sans les données des utilisateurs ; si cela ne suffit pas, "
			 "demandez à votre administrateur.", NULL},
		[NV_R_unknown_user] =
			{"Vous n'avez pas de compte sur cette plateforme, ou pas sous le même nom.",
			 "Demandez à votre administrateur quel compte est le vôtre.",
			 "Le demandeur n'a pas de compte sur l'une des plateformes, ou pas sous le "
			 "même nom."},
		[NV_R_role_missing] =
			{"Vous n'êtes pas enseignant de ce cours sur la plateforme d'où il vient.",
			 "Demandez à ses enseignants de vous y donner un rôle, ou de le faire "
			 "venir eux-mêmes.",
			 "Le demandeur n'a dans le cours aucun des rôles requis."},
		[NV_R_course_missing] =
			{"Le cours n'existe plus sur la plateforme d'où il vient.",
			 "Voyez si un autre cours est celui que vous voulez.", NULL},
		[NV_R_category_missing] =
			{"Il n'y a sur cette plateforme aucune catégorie où mettre le cours.",
			 FR_ADMIN, NULL},
		[NV_R_capability_missing] =
			{"Vous n'avez pas le droit de créer des cours dans la catégorie de ce "
			 "cours.",
			 "Demandez ce droit à votre administrateur, ou demandez le cours sans sa "
			 "catégorie.",
			 "Le demandeur n'a pas le droit de créer des cours dans la catégorie de ce "
			 "cours."},
		[NV_R_already_restored] =
			{"Le cours a déjà été restauré, ou est en train de l'être.",
			 "Cherchez-le sur la page : vous pouvez l'y ouvrir ou vous y inscrire.",
			 NULL},
		[NV_R_version_older] =
			{"Le Moodle de cette plateforme est plus ancien que celui d'où vient le "
			 "cours.", FR_ADMIN, NULL},
		[NV_R_plugin_missing] =
			{"Le cours utilise une activité que cette plateforme n'a pas.",
			 "Demandez à votre administrateur de l'installer, ou retirez-la du cours "
			 "et redemandez-le.", NULL},
		[NV_R_archive_corrupt] =
			{"La copie du cours était endommagée.",
			 "Réessayez : une nouvelle copie sera faite.", NULL},
		[NV_R_archive_unsafe] =
			{"La copie du cours contient quelque chose qui est refusé par sécurité.",
			 FR_ADMIN, NULL},
		[NV_R_archive_too_large] =
			{"Le cours est plus volumineux que ce qui est permis.",
			 "Retirez-en de gros fichiers, ou demandez à votre administrateur une "
			 "limite plus haute.", NULL},
		[NV_R_store_unavailable] =
			{"Le dépôt entre les deux plateformes était injoignable.", FR_LATER, NULL},
		[NV_R_store_full] =
			{"Le dépôt entre les deux plateformes est plein.", FR_ADMIN, NULL},
		[NV_R_store_denied] =
			{"Le dépôt entre les deux plateformes refuse le mot de passe de Navette.",
			 FR_ADMIN, NULL},
		[NV_R_store_missing] =
			{"Une partie du cours s'est perdue en chemin.",
			 "Réessayez : elle sera renvoyée.", NULL},
		[NV_R_store_corrupt] =
			{"Une partie du cours a été endommagée en chemin.",
			 "Réessayez : elle sera renvoyée.", NULL},
		[NV_R_disk_full] = {"Un disque est plein.", FR_ADMIN, NULL},
		[NV_R_site_upgrading] =
			{"La plateforme était en cours de mise à jour.", FR_LATER, NULL},
		[NV_R_clock] = {"Les horloges des deux plateformes différaient.", FR_LATER, NULL},
		[NV_R_site_unavailable] =
			{"La plateforme ne pouvait pas être utilisée.", FR_LATER, NULL},
		[NV_R_io] = {"Un fichier n'a pas pu être lu ou écrit.", FR_ADMIN, NULL},
		[NV_R_broker_unavailable] =
			{"La messagerie entre les deux plateformes était injoignable.", FR_LATER,
			 NULL},
		[NV_R_unroutable] =
			{"Le serveur de cours n'est pas relié à cette plateforme.", FR_ADMIN, NULL},
		[NV_R_status_unavailable] =
			{"La base de données de Navette était injoignable.", FR_LATER, NULL},
		[NV_R_claim_lost] =
			{"Un autre processus a repris la demande.",
			 "Voyez sur la page ce qu'elle est devenue.", NULL},
		[NV_R_busy] =
			{"Un autre processus y travaillait.",
			 "Réessayez dans quelques minutes.", NULL},
		[NV_R_timeout] =
			{"Cela a pris trop de temps.",
			 "Réessayez à un moment plus calme ; si le cours est très volumineux, "
			 "prévenez votre administrateur.", NULL},
		[NV_R_cancelled] =
			{"La demande a été annulée.",
			 "Redemandez le cours si vous le voulez toujours.", NULL},
		[NV_R_attempts_exhausted] = {"Trop d'essais ont échoué.", FR_ADMIN, NULL},
		[NV_R_export_failed] =
			{"Le Moodle d'où vient le cours n'a pas pu le sauvegarder.",
			 "Réessayez ; en cas de nouvel échec, prévenez votre administrateur.",
			 NULL},
		[NV_R_import_failed] =
			{"Le Moodle de cette plateforme n'a pas pu restaurer le cours.",
			 "Réessayez ; en cas de nouvel échec, prévenez votre administrateur.",
			 NULL},
		[NV_R_conflict] =
			{"La demande a été modifiée entre-temps.",
			 "Voyez sur la page où elle en est.", NULL},
		[NV_R_site_unknown] = {"Ce serveur de cours n'existe pas.", FR_ADMIN, NULL},
		[NV_R_not_found] =
			{"Quelque chose qui appartient à la demande n'existe plus.",
			 "Redemandez le cours.", NULL},
		[NV_R_denied] =
			{"Vous n'avez pas le droit de faire cela.",
			 "Demandez à votre administrateur.",
			 "Le demandeur n'a pas le droit de faire cela."},
	},
};
/* clang-format on */

const char *nv_event_subject(enum nv_lang lang, enum nv_string_event event)
{
	return events[lang][event].subject;
}

const char *nv_event_opening(enum nv_lang lang, enum nv_string_event event)
{
	return events[lang][event].opening;
}

const char *nv_kind_words(enum nv_lang lang, const char *kind)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (strcmp(kinds[i].kind, kind) == 0)
			return kinds[i].words[lang];
	return kind;
}

const char *nv_phrase(enum nv_lang lang, enum nv_phrase phrase)
{
	return phrases[lang][phrase];
}

const struct nv_reason_words *nv_reason_words(enum nv_lang lang, enum nv_reason reason)
{
	return &reasons[lang][reason];
}
