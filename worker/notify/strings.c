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
			 "mais pas tout à fait tel qu’il était : lisez les remarques ci-dessous et "
			 "vérifiez ce qu’elles citent."},
		[NV_TE_failed] =
			{"Cours non restauré : {course}",
			 "Le cours « {course} » de {site} n’a pas pu être restauré."},
		[NV_TE_cancelled] =
			{"Restauration annulée : {course}",
			 "La restauration du cours « {course} » de {site} a été annulée."},
		[NV_TE_problem] =
			{"Cours non restauré : {course}",
			 "Le cours « {course} » de {site} n’a pas pu être restauré."},
		[NV_TE_digest] =
			{"{number} cours non restaurés",
			 "{number} autres cours n’ont pas pu être restaurés depuis {time}. Ils "
			 "sont réunis ici pour vous épargner un message pour chacun. Ceux qui les "
			 "ont demandés ont été prévenus."},
		[NV_TE_digest_one] =
			{"{number} cours non restauré",
			 "{number} autre cours n’a pas pu être restauré depuis {time}. La personne "
			 "qui l’a demandé a été prévenue."},
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
		[NV_P_remote] = "La plateforme d’où il vient",
		[NV_P_page] = "Vos cours et vos demandes",
		[NV_P_request] = "Voir la demande",
		[NV_P_with_data] = "Les données des utilisateurs ont été reprises.",
		[NV_P_without_data] = "Il a été restauré sans données d’utilisateurs.",
		[NV_P_enrolled] = "Vous y êtes inscrit.",
		[NV_P_remarks] = "Remarques de la restauration :",
		[NV_P_losses] = "Tout n’est pas arrivé. Il manque :",
		[NV_P_loss] = "{kind} : {had} avant, {has} maintenant",
		[NV_P_loss_of_type] = "{kind} ({type}) : {had} avant, {has} maintenant",
		[NV_P_unchanged] = "Rien n’a été modifié sur cette plateforme.",
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
/* clang-format on */

static const struct nv_reason_words reasons[NV_LANG_COUNT][NV_R_COUNT] = {
#define X(lang, word, why, to_do, other) [NV_LANG_##lang][NV_R_##word] = {why, to_do, other},
	NV_REASON_STRINGS(X)
#undef X
};

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
