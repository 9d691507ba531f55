/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A site: one Moodle (or a substitute) behind one interface.
 *
 * Implementations in this folder: folder, moodle, seed-ws. All calls block and are made on a job's
 * thread; several may run at once, in several processes on several machines that share the site.
 *
 * One request, one course: nv_site_import holds a lock of the site named by the request id for its
 * whole life, looks first whether the request already has a course (and then returns that one), and
 * makes the course and the row "request ↔ course" appear in one step.  A second attempt meanwhile
 * gets NV_HOLD/busy.  A failed import leaves nothing behind.
 *
 * Log lines for administrators go to nv_job_log as they arise. The caller logs each warning of a
 * result once, so a site needs to log warnings itself only before a point where it may fail. */
#ifndef NV_SITE_H
#define NV_SITE_H

#include "core/archive/archive.h"
#include "proto/messages.h"

struct nv_site;

struct nv_site *nv_site_open(const struct nv_config *config, struct nv_err *err);
void nv_site_close(struct nv_site *s);		       /* NULL allowed */
const char *nv_site_describe(const struct nv_site *s); /* for logs and doctor */

/* The site's own Moodle version number and plugins (0 and empty where not known). */
int nv_site_versions(struct nv_site *s, uint64_t *ret_version, struct nv_list *ret_plugins,
		     struct nv_arena *arena, struct nv_err *err);

/* Is it usable now? Cheap; -1 with NV_HOLD and site_upgrading (it is being upgraded or waits for
 * its upgrade), disk_full or site_unavailable: conditions that concern the whole site. */
int nv_site_probe(struct nv_site *s, const struct nv_job *job, struct nv_err *err);

/* Reads the site's settings for restores into *io, the texts in the arena. A site without settings
 * leaves *io unchanged. */
int nv_site_settings(struct nv_site *s, struct nv_config_restore *io, struct nv_arena *arena,
		     struct nv_err *err);

/* Settings of a Moodle that must match those of other machines; for doctor. */
struct nv_site_facts {
	const char *role;	 /* "", "server", "client", "both"; NULL: not known, as all below */
	const char *issuer;	 /* its address, as in the tokens of its button */
	const char *producer;	 /* where its button leads */
	const char *fingerprint; /* of the launch secret, see nv_launch_fingerprint; "": none */
	struct nv_strs search_roles_unknown; /* roles that this Moodle does not have */
	const char *enrol_role_unknown;
};
/* All NULL where the site has no such settings, or its plugin is older. */
int nv_site_facts(struct nv_site *s, struct nv_site_facts *ret, struct nv_arena *arena,
		  struct nv_err *err);
/* A fingerprint that two machines can compare without revealing the secret. */
#define NV_LAUNCH_FINGERPRINT 17u /* with the NUL */
void nv_launch_fingerprint(const char *secret, char ret[NV_LAUNCH_FINGERPRINT]);

/* --- source side (archiver) --- */

/* Courses in which q->user holds one of q->roles, in the course, its category or any above.
 * An unknown user is a status of the reply, not an error. */
int nv_site_catalog(struct nv_site *s, const struct nv_catalog_request *q,
		    struct nv_catalog_reply *ret, struct nv_arena *arena, struct nv_err *err);

/* Check that the request may be served (course exists: course_missing; role still held:
 * role_missing; versions and plugins: version_older, plugin_missing; policy: policy), then feed the
 * backup's entries to the sink.  policy NULL: everything allowed.  ret: shortname, fullname,
 * category, moodle_version, user_data, needs, inventory; all in the arena. */
int nv_site_export(struct nv_site *s, const struct nv_restore_request *q,
		   const struct nv_config_client *policy, const struct nv_archive_limits *limits,
		   const struct nv_sink *to, const struct nv_job *job, struct nv_manifest *ret,
		   struct nv_strs *ret_warnings, struct nv_arena *arena, struct nv_err *err);

/* --- client side (worker) --- */

struct nv_import {
	const struct nv_restore_request *request;
	const struct nv_config *config; /* section restore */
	const char *site;		/* the course server, from the verified key */
	const char *category;		/* identifier of the course's category there; may be NULL */
	uint64_t moodle_version;	/* of the archive, 0: not known */
	uint64_t retry_in; /* ms until the next attempt if this one fails; 0: there is none */
	const struct nv_list *needs; /* struct nv_plugin; NULL: not known */
};
struct nv_imported {
	char *course; /* the new course's id */
	char *url;    /* its address, may be NULL */
	char *shortname;
	char *fullname;
	char *category; /* identifier of the category it came into */
	bool user_data; /* whether user data came along */
	bool existed;	/* the request already had its course */
	bool enrolled;	/* the requester was enrolled */
	uint64_t at;	/* when the course was made, ms since the epoch */
	struct nv_strs warnings;
	bool compared;		    /* with what the course server counted */
	struct nv_list differences; /* struct nv_difference: what did not arrive */
};

/* Would the import be refused (plugins, category, capability, course taken by a colleague, disk)?
 * Cheap; called before anything is fetched. bytes: of the archive, unpacked. *ret_existed: the
 * request already has its course, see nv_site_find; nothing else was checked. */
int nv_site_preflight(struct nv_site *s, const struct nv_import *in, uint64_t bytes,
		      bool *ret_existed, struct nv_err *err);
/* Avoids fetching contents that the site already has: blobs of the manifest whose SHA-256 matches a
 * local file are hard-linked into the folder blobs, as <sha1>-<size>. No effect where links are
 * impossible. */
struct nv_reuse {
	const struct nv_manifest *manifest;
	const char *blobs;
	struct nv_hash_cache *known; /* NULL: none */
};
int nv_site_reuse(struct nv_site *s, const char *request_id, const struct nv_reuse *reuse,
		  const struct nv_job *job, struct nv_err *err);
/* ret's strings in the arena.  With config->restore.only_one, a course of the same site and remote
 * id that another request restored and that still exists: NV_REJECT/already_restored. */
int nv_site_import(struct nv_site *s, const struct nv_import *in, const struct nv_fetched *from,
		   const struct nv_job *job, struct nv_imported *ret, struct nv_arena *arena,
		   struct nv_err *err);
/* The course a request already has: 0 with ret->course NULL when none. */
int nv_site_find(struct nv_site *s, const char *request_id, struct nv_imported *ret,
		 struct nv_arena *arena, struct nv_err *err);

/* NV_REJECT/course_missing when the course was deleted; enrolling twice is fine. role NULL: the
 * role set by the site's administrator. */
int nv_site_enrol(struct nv_site *s, const char *course, const char *user, const char *role,
		  struct nv_err *err);

/* Kinds of notices: people choose for each kind how they are notified. */
enum nv_notice_kind {
	NV_NOTICE_restored,
	NV_NOTICE_failed,  /* or cancelled */
	NV_NOTICE_problem, /* for administrators, with the details */
};
extern const char *const nv_notice_words[];
struct nv_notice {
	enum nv_notice_kind kind;
	const char *id;	  /* stable: the same notice is delivered once */
	const char *user; /* recipient on the site; NULL: its administrators (where it has any) */
	const char *lang; /* of the texts; may be NULL */
	const char *subject;
	const char *text; /* plain */
	const char *html; /* the same, a page's body; NULL: text only */
	const char *url;  /* may be NULL */
};
/* NV_REJECT: undeliverable (unknown_user). */
int nv_site_notify(struct nv_site *s, const struct nv_notice *n, struct nv_err *err);

/* The present rights of a user who came through Moodle's button. */
struct nv_person_rights {
	const char *user; /* as the button's token named them */
	uint64_t block;	  /* the block's instance; 0: not known */
	/* the answer */
	bool served; /* false: the account no longer exists, or may not use that block */
	bool manage;
	bool user_data;
	bool link;
};
#define NV_RIGHTS_MAX 500u /* people in one question */
/* Can the configured site be asked? A folder site has no capabilities. */
bool nv_site_tells_rights(const struct nv_config *config);
int nv_site_rights(struct nv_site *s, struct nv_person_rights *io, size_t len,
		   const struct nv_job *job, struct nv_err *err);

/* The site's history of restores, to rebuild finished records after a loss of Redis. cb gets the
 * request and its outcome; deleted: the course was deleted since. */
typedef int (*nv_site_history_cb)(void *arg, const struct nv_restore_request *request,
				  const struct nv_imported *outcome, bool deleted);
int nv_site_history(struct nv_site *s, nv_site_history_cb cb, void *arg, struct nv_err *err);

/* Remove leftovers of crashed attempts that are not locked. */
int nv_site_sweep(struct nv_site *s, struct nv_err *err);

/* The implementations' table. */
struct nv_site_ops {
	const char *type;
	struct nv_site *(*open)(const struct nv_config *config, struct nv_err *err);
	void (*close)(struct nv_site *s);
	__typeof__(nv_site_versions) *versions;
	__typeof__(nv_site_probe) *probe;	/* its errors need not be classified */
	__typeof__(nv_site_settings) *settings; /* NULL: it has none */
	__typeof__(nv_site_facts) *facts;	/* NULL: it has none */
	__typeof__(nv_site_catalog) *catalog;
	__typeof__(nv_site_export) *export;
	__typeof__(nv_site_preflight) *preflight;
	__typeof__(nv_site_reuse) *reuse; /* NULL: it has none to give */
	__typeof__(nv_site_import) *import;
	__typeof__(nv_site_find) *find;
	__typeof__(nv_site_enrol) *enrol;
	__typeof__(nv_site_notify) *notify;
	__typeof__(nv_site_rights) *rights; /* NULL: it has none */
	__typeof__(nv_site_history) *history;
	__typeof__(nv_site_sweep) *sweep;
};
/* First member of every implementation's struct. */
struct nv_site {
	const struct nv_site_ops *ops;
	char *describe;
};
extern const struct nv_site_ops nv_site_folder_ops;
extern const struct nv_site_ops nv_site_moodle_ops;
extern const struct nv_site_ops nv_site_seed_ws_ops;

#endif
