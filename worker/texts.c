/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker/texts.h"

#include <string.h>

/* The phrases of one language; the order of the arguments is the same in all. */
struct phrases {
	const char *hello, *hello_nobody;
	const char *restored_subject, *restored, *where, *new_course, *with_data, *without_data;
	const char *enrolled, *warnings;
	const char *failed_subject, *failed, *why, *failed_help;
	const char *cancelled_subject, *cancelled;
	const char *admin;
};

static const struct phrases english = {
	.hello = "Hello %s,\n\n",
	.hello_nobody = "Hello,\n\n",
	.restored_subject = "Course restored: %s",
	.restored = "the course \"%s\" from %s has been restored.\n",
	.where = "Its address there: %s\n",
	.new_course = "You find it here: %s\n",
	.with_data = "User data came along.\n",
	.without_data = "It was restored without user data.\n",
	.enrolled = "You are enrolled in it.\n",
	.warnings = "\nThe restore said:\n",
	.failed_subject = "Course not restored: %s",
	.failed = "the course \"%s\" from %s could not be restored.\n",
	.why = "The reason: %s.\n",
	.failed_help =
		"Nothing was changed on this platform. You can try again from the page where "
		"you asked for it; the administrators have been told.\n",
	.cancelled_subject = "Restore cancelled: %s",
	.cancelled =
		"the restore of the course \"%s\" from %s was cancelled. Nothing was changed.\n",
	.admin = "\nFor administrators\n  request: %s\n  requester: %s\n  course: %s on %s\n"
		 "  state: %s\n  attempts that failed: %llu\n  reason: %s\n  details: %s\n  host: "
		 "%s\n",
};

static const struct phrases french = {
	.hello = "Bonjour %s,\n\n",
	.hello_nobody = "Bonjour,\n\n",
	.restored_subject = "Cours restauré : %s",
	.restored = "le cours « %s » de %s a été restauré.\n",
	.where = "Son adresse d'origine : %s\n",
	.new_course = "Vous le trouvez ici : %s\n",
	.with_data = "Les données des utilisateurs ont été reprises.\n",
	.without_data = "Il a été restauré sans données d'utilisateurs.\n",
	.enrolled = "Vous y êtes inscrit.\n",
	.warnings = "\nRemarques de la restauration :\n",
	.failed_subject = "Cours non restauré : %s",
	.failed = "le cours « %s » de %s n'a pas pu être restauré.\n",
	.why = "La raison : %s.\n",
	.failed_help = "Rien n'a été modifié sur cette plateforme. Vous pouvez réessayer depuis la "
		       "page de votre demande ; les administrateurs ont été prévenus.\n",
	.cancelled_subject = "Restauration annulée : %s",
	.cancelled = "la restauration du cours « %s » de %s a été annulée. Rien n'a été modifié.\n",
	.admin = "\nPour les administrateurs\n  demande : %s\n  demandeur : %s\n  cours : %s sur "
		 "%s\n"
		 "  état : %s\n  essais échoués : %llu\n  raison : %s\n  détails : %s\n  machine : "
		 "%s\n",
};

/* The reasons people meet most, in French; the others stay as they are. */
static const char *reason_in_french(enum nv_reason reason)
{
	switch (reason) {
	case NV_R_course_missing:
		return "le cours n'existe plus";
	case NV_R_role_missing:
		return "vous n'avez plus de rôle d'enseignant dans ce cours";
	case NV_R_unknown_user:
		return "vous n'avez pas de compte sur cette plateforme";
	case NV_R_policy:
		return "le serveur de cours ne l'autorise pas";
	case NV_R_already_restored:
		return "ce cours a déjà été restauré";
	case NV_R_category_missing:
		return "aucune catégorie ne peut recevoir ce cours";
	case NV_R_capability_missing:
		return "vous n'avez pas le droit de créer un cours à cet endroit";
	case NV_R_version_older:
		return "cette plateforme est plus ancienne que celle du cours";
	case NV_R_plugin_missing:
		return "il manque sur cette plateforme un module que ce cours utilise";
	case NV_R_archive_corrupt:
		return "l'archive du cours est endommagée";
	case NV_R_archive_too_large:
		return "l'archive du cours dépasse les limites";
	case NV_R_attempts_exhausted:
		return "trop d'essais ont échoué";
	case NV_R_unroutable:
		return "le serveur de cours n'est pas relié à la file des demandes";
	case NV_R_untrusted:
		return "le serveur de cours a répondu avec une clé à laquelle cette plateforme ne "
		       "se "
		       "fie pas";
	default:
		return nv_reason_text(reason);
	}
}

static const char *course_name(const struct nv_status_record *r)
{
	if (r->course_fullname)
		return r->course_fullname;
	if (r->request.fullname)
		return r->request.fullname;
	return r->request.course;
}

static const char *reason_of(const struct nv_status_record *r, bool is_french)
{
	enum nv_reason reason = r->reason ? nv_reason_from(r->reason) : NV_R_internal;
	return is_french ? reason_in_french(reason) : nv_reason_text(reason);
}

/* The phrases are ours, never anybody's input. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static void say_restored(const struct nv_text_facts *f, const struct phrases *p, struct nv_buf *out)
{
	const struct nv_status_record *r = f->record;
	nv_buf_printf(out, p->restored, course_name(r), f->site_label);
	if (f->site_url)
		nv_buf_printf(out, p->where, f->site_url);
	nv_buf_printf(out, p->new_course, r->course_url ? r->course_url : r->course);
	nv_buf_puts(out, r->course_user_data ? p->with_data : p->without_data);
	if (r->enrolled)
		nv_buf_puts(out, p->enrolled);
	if (f->warnings && r->warnings.len) {
		nv_buf_puts(out, p->warnings);
		for (size_t i = 0; i < r->warnings.len; i++)
			nv_buf_printf(out, "  - %s\n", r->warnings.items[i]);
	}
}

static void say_admin(const struct nv_status_record *r, const struct phrases *p, struct nv_buf *out)
{
	nv_buf_printf(out, p->admin, r->request.id, r->request.user ? r->request.user : "-",
		      r->request.course, r->request.site, nv_state_word(r->state),
		      (unsigned long long)r->failures, r->reason ? r->reason : "-",
		      r->message ? r->message : "-", r->host ? r->host : "-");
}

void nv_texts(const struct nv_text_facts *f, const char *lang, struct nv_buf *ret_subject,
	      struct nv_buf *ret_text)
{
	const struct nv_status_record *r = f->record;
	bool is_french = lang && strncmp(lang, "fr", 2) == 0;
	const struct phrases *p = is_french ? &french : &english;
	if (r->request.user_name && !f->for_admin)
		nv_buf_printf(ret_text, p->hello, r->request.user_name);
	else
		nv_buf_puts(ret_text, p->hello_nobody);
	if (r->state == NV_ST_restored) {
		nv_buf_printf(ret_subject, p->restored_subject, course_name(r));
		say_restored(f, p, ret_text);
	} else if (r->state == NV_ST_cancelled) {
		nv_buf_printf(ret_subject, p->cancelled_subject, course_name(r));
		nv_buf_printf(ret_text, p->cancelled, course_name(r), f->site_label);
	} else {
		nv_buf_printf(ret_subject, p->failed_subject, course_name(r));
		nv_buf_printf(ret_text, p->failed, course_name(r), f->site_label);
		nv_buf_printf(ret_text, p->why, reason_of(r, is_french));
		if (!f->for_admin)
			nv_buf_puts(ret_text, p->failed_help);
	}
	if (f->for_admin)
		say_admin(r, p, ret_text);
}

#pragma GCC diagnostic pop
