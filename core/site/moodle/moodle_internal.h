/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by the files of the moodle site and their test only.
 *
 * A call is one child process: `<site.php> … navette.php <operation>`, a JSON object on its
 * standard input, JSON lines on its standard output (the block's PROTOCOL.md).  The child does not
 * outlive the call: the calling thread waits for it, sends SIGTERM to its process group when the
 * job must end, then SIGKILL, and always reaps it; the kernel kills it when we die. */
#ifndef NV_SITE_MOODLE_MOODLE_INTERNAL_H
#define NV_SITE_MOODLE_MOODLE_INTERNAL_H

#include <sys/types.h>

#include "core/site/record_json.h"
#include "core/site/site.h"

/* The user that the children run as. */
struct nv_moodle_user {
	bool other; /* another than we are */
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	size_t groups_len;
	char *name;
	char *home;
};

struct nv_moodle {
	struct nv_site base; /* first */
	char *path;	     /* where config.php is */
	char *script;	     /* navette.php */
	char *php;
	struct nv_moodle_user user;
	char *export_dir;  /* exports get folders of their own below it */
	char *import_dir;  /* parent of imported folders; NULL: not known */
	char *cache_dir;   /* compiled scripts, the children's own; NULL: none */
	char *user_field;  /* what identifies a user where the caller does not say; NULL: Moodle's
			      own setting */
	uint64_t timeout;  /* of a short operation, ms */
	uint64_t grace;	   /* from SIGTERM to SIGKILL, ms */
	uint64_t verified; /* contents from this size on are hashed by the receiver */
};

static inline struct nv_moodle *nv_moodle(struct nv_site *s)
{
	return (struct nv_moodle *)s;
}

/* --- the child (moodle_child.c) --- */

struct nv_moodle_child {
	pid_t pid; /* and its process group */
	int pidfd; /* readable once it has ended; -1: the kernel has none */
	int in;	   /* a socket, so that writing to a dead child raises no signal */
	int out;
	int err; /* all three do not block */
};
/* tmp: TMPDIR of the child; NULL: none.  NV_RETRY/config when it cannot be started. */
int nv_moodle_spawn(const struct nv_moodle *s, const char *operation, const char *tmp,
		    struct nv_moodle_child *ret, struct nv_err *err);
/* Look up the user ("": our own); NV_FATAL/config when we may not switch to it. */
int nv_moodle_user_find(const char *user, struct nv_moodle_user *ret, struct nv_err *err);
void nv_moodle_user_fini(struct nv_moodle_user *u);
/* Switches this thread to the children's user for opening files (and back), so that a path named by
 * a child is not opened with rights that the child lacks. */
void nv_moodle_as_user(const struct nv_moodle *s, bool on);

/* --- a call (moodle_call.c) --- */

struct nv_moodle_call {
	const char *operation;
	const char *req;     /* request id for the log; may be NULL */
	const json_t *input; /* borrowed; NULL: the operation reads none */
	const char *tmp;
	const struct nv_job *job; /* may be NULL */
	uint64_t timeout;	  /* ms, 0: the job's deadline alone */
	bool confirms;		  /* the child asks again before it commits */
	enum nv_reason reason;	  /* of an end without an answer */
	/* Every line but confirm, result and error; -1 ends the call.  NULL: left alone. */
	int (*line_cb)(void *arg, const char *key, const json_t *value, struct nv_err *err);
	void *arg;
};
/* *ret_result owned (may be NULL: not wanted). */
int nv_moodle_ask(const struct nv_moodle *s, const struct nv_moodle_call *call, json_t **ret_result,
		  struct nv_err *err);

/* --- JSON and our structs (moodle_json.c) --- */

/* A text that may be absent or null; a number counts as text. */
char *nv_moodle_text(const json_t *object, const char *key, struct nv_arena *arena);
uint64_t nv_moodle_uint(const json_t *object, const char *key);
/* At most max bytes of text, not cutting a character. */
char *nv_moodle_cut(const char *text, size_t max, struct nv_arena *arena);
/* A record with its texts cut to what the messages allow. */
int nv_moodle_record(const struct nv_record *r, const json_t *from, void *ret,
		     struct nv_arena *arena, struct nv_err *err);
/* A list of such records, at most max; other items are skipped. */
void nv_moodle_list(const struct nv_record *r, const json_t *from, size_t max, struct nv_list *ret,
		    struct nv_arena *arena);
/* The record type of a list's items. */
const struct nv_record *nv_moodle_items(const struct nv_record *r, const char *list);
/* Warnings: at most 100 of 500 bytes, as the messages allow. */
void nv_moodle_warn(struct nv_strs *to, const char *text, struct nv_arena *arena);
void nv_moodle_outcome(const json_t *from, struct nv_imported *ret, struct nv_arena *arena);
json_t *nv_moodle_policy(const struct nv_config_client *policy);
json_t *nv_moodle_import_json(const struct nv_import *in, uint64_t bytes, uint64_t version);

/* --- folders (moodle_files.c) --- */

/* A folder for one export: <export_dir>/moodle-<token>/ with a lock as in core/daemon's work
 * folders, so that their sweep also finds leftovers of crashes; and out/ for the child. */
struct nv_moodle_folder {
	char *path;
	char *out;
	int lock;
};
int nv_moodle_folder_make(const struct nv_moodle *s, struct nv_moodle_folder *ret,
			  struct nv_err *err);
void nv_moodle_folder_remove(struct nv_moodle_folder *f);
/* If the children run as another user: give them ownership of a tree; let them pass through a
 * folder. */
int nv_moodle_give(const struct nv_moodle *s, const char *path, struct nv_err *err);
int nv_moodle_let_through(const struct nv_moodle *s, const char *path, struct nv_err *err);

/* A content of the course and its path on this machine. */
struct nv_moodle_content {
	char sha1[NV_SHA1_HEX];
	uint64_t size;
	char *path;
};
/* Feeds one content as the entry files/<aa>/<sha1>; by several threads if the sink allows it. */
int nv_moodle_feed_content(const struct nv_moodle *s, const struct nv_moodle_content *c,
			   const struct nv_sink *to, const struct nv_job *job, struct nv_err *err);
/* The skeleton's folders and files in the order of their names, the folders of all contents, and
 * those contents that are smaller than s->verified; sorts contents. */
int nv_moodle_feed(const struct nv_moodle *s, const char *skeleton,
		   struct nv_moodle_content *contents, size_t contents_len,
		   const struct nv_sink *to, const struct nv_job *job, struct nv_err *err);

/* --- larger operations (moodle_export.c, moodle_import.c, moodle_reuse.c, moodle_settings.c,
 * moodle_rights.c) ---
 * */

int nv_moodle_export(struct nv_site *base, const struct nv_restore_request *q,
		     const struct nv_config_client *policy, const struct nv_archive_limits *limits,
		     const struct nv_sink *to, const struct nv_job *job, struct nv_manifest *ret,
		     struct nv_strs *ret_warnings, struct nv_arena *arena, struct nv_err *err);
int nv_moodle_settings(struct nv_site *base, struct nv_config_restore *io, struct nv_arena *arena,
		       struct nv_err *err);
int nv_moodle_facts(struct nv_site *base, struct nv_site_facts *ret, struct nv_arena *arena,
		    struct nv_err *err);
int nv_moodle_rights(struct nv_site *base, struct nv_person_rights *io, size_t len,
		     const struct nv_job *job, struct nv_err *err);
int nv_moodle_preflight(struct nv_site *base, const struct nv_import *in, uint64_t bytes,
			bool *ret_existed, struct nv_err *err);
int nv_moodle_reuse(struct nv_site *base, const char *request_id, const struct nv_reuse *reuse,
		    const struct nv_job *job, struct nv_err *err);
int nv_moodle_import(struct nv_site *base, const struct nv_import *in,
		     const struct nv_fetched *from, const struct nv_job *job,
		     struct nv_imported *ret, struct nv_arena *arena, struct nv_err *err);

#endif
