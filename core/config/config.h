/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Configuration: one YAML file, read with libyaml through one table (config.c), checked completely
 * before anything starts.
 *
 * Every mistake is one line that names file, line, key and what is allowed:
 *   /etc/navette/navette.yaml:14: archiver.slots: "many" is not a whole number from 1 to 64
 * and all mistakes of a file are reported, not only the first.  An unknown or doubled key is a
 * mistake too (with the nearest known key named).  A secret is given as `*_file` (a file that holds
 * nothing else; refused when others may read it) or by the environment variable that the table
 * names; secrets are never logged or shown.
 *
 * One file per host; a program requires only the sections that it uses (enum nv_role). The table
 * generates the commented example (`navette config example`), which a test compares with
 * deploy/navette.yaml.example.
 *
 * Life cycle: nv_config_load → const struct nv_config, borrowed by everybody → nv_config_free.  On
 * SIGHUP the file is read again; keys marked reloadable take effect, changes of others are logged
 * as "needs a restart". */
#ifndef NV_CONFIG_H
#define NV_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker-config/settings.h"

enum nv_role {
	NV_ROLE_PRODUCER = 1 << 0,
	NV_ROLE_ARCHIVER = 1 << 1,
	NV_ROLE_WORKER = 1 << 2,
	NV_ROLE_CLI = 1 << 3, /* checks existing sections, requires none */
};

/* One client this course server serves (section `clients`, archiver). */
struct nv_config_client {
	const char *name;
	const char *public_key; /* "ed25519:<base64>", see proto/keys.h */
	bool user_data;		/* may have courses with user data; default no */
	bool without_user; /* may ask without a user (an administrator's restore); default no */
	const char **categories; /* idnumbers of the categories it may restore from; empty: all */
	size_t categories_len;
};

/* One course server this client asks (section `sites`, producer and worker). */
struct nv_config_site {
	const char *name;
	const char *label; /* shown to people; default the name */
	const char *url;   /* its address, shown in mail if wanted; may be NULL */
	const char *public_key;
	const char **search_roles; /* role short names that let a user bring a course; none:
				      nv_config_search_roles */
	size_t search_roles_len;
};

/* Rules for restores, for worker and producer (section `restore`). Each key but lease is also a
 * setting of block_navette (names below). The file takes precedence; a key missing there is taken
 * from the site's setting if the site can be asked (nv_config_adopt), otherwise its default
 * applies. */
struct nv_config_restore {
	bool only_one;		/* onlyoneremoteinstance */
	bool user_data;		/* restoreuserdata: the site-wide setting */
	bool leave_out;		/* leaveoutlacking: what the client has no plugin for */
	uint8_t enrolment;	/* enum nv_enrolment, the mode of those who may not choose */
	bool original_category; /* restorecourseinoriginalcategory */
	bool original_category_checked; /* defaultcategorychecked */
	const char *default_category;	/* defaultcategory; may be NULL */
	bool check_course_create;	/* checkrequestercapascoursecreate */
	bool enrol_requester;		/* autoenrol_requester */
	bool enrol_button;		/* enrollbutton */
	const char *enrol_role;		/* enrollrole */
	bool warnings_to_owner;		/* warningstoowner */
	bool url_in_mail;		/* includeexternalurlinmail */
	const char *user_field;		/* userfield: username, idnumber, email */
	uint64_t lease;			/* of a claim that is not renewed */
	/* search_roles, for sites that name none; no key of the section. */
	const char **search_roles;
	size_t search_roles_len;
};

/* Times are milliseconds, sizes bytes; in the file they are written "30s", "2h", "64MiB". */
struct nv_config {
	const char *path; /* the file this came from */

	struct {
		enum nv_level level; /* debug info warn error; reloadable */
		bool people;	     /* with their names and addresses; reloadable */
	} log;

	/* Who we are: the client's name (producer, worker) or the site's (archiver). */
	struct {
		const char *client;
		const char *site;
		const char *key_file; /* Ed25519 secret key made by `navette keys new` */
	} identity;

	struct nv_broker_settings broker;

	struct {
		const char *socket; /* unix socket, or */
		const char *host;
		uint16_t port;
		const char *user;
		const char *password; /* password_file or NAVETTE_REDIS_PASSWORD */
		uint16_t db;
		uint64_t timeout;
		bool allow_remote;	/* TCP to another machine (hiredis 0.14 speaks no TLS) */
		const char **sentinels; /* redis://host:port; then they say where it is */
		size_t sentinels_len;
		const char *master; /* what they call it */
	} redis;

	struct {
		enum { NV_STORE_DIRECTORY, NV_STORE_WEBDAV, NV_STORE_S3 } type;
		const char *path; /* directory */
		const char *url;  /* webdav; s3: the endpoint */
		/* Of s3: */
		const char *bucket;
		const char *region;
		const char *prefix; /* above all keys; NULL: none */
		enum { NV_S3_BY_PATH, NV_S3_BY_HOST } addressing;
		const char *session_token; /* session_token_file or NAVETTE_STORE_SESSION_TOKEN */
		const char *encryption;	   /* NULL: as the bucket has it */
		/* Of both: */
		const char *user;
		const char *password; /* password_file or NAVETTE_STORE_PASSWORD */
		const char *ca_file;
		const char *cert_file;
		const char *cert_key_file;
		bool allow_plain;
		uint64_t connect_timeout;
		uint64_t stall_timeout;	 /* a transfer without progress for so long is aborted */
		uint64_t transfers;	 /* of one job at once */
		uint64_t blob_threshold; /* files of at least so many bytes become objects */
		uint64_t max_archive;	 /* limits against bombs: bytes, entries, ratio */
		uint64_t max_entries;
		uint64_t max_ratio;
		uint64_t keep;	/* archives that nobody restored */
		uint64_t grace; /* the collector leaves younger objects alone */
	} store;

	struct {
		enum nv_site_type { NV_SITE_FOLDER, NV_SITE_MOODLE, NV_SITE_SEED_WS } type;
		const char *path; /* folder: the folder; moodle: where config.php is */
		/* Of a moodle only: */
		const char *php;  /* the interpreter; default /usr/bin/php */
		const char *user; /* runs the scripts; "": our own user, another needs root */
		uint64_t timeout; /* of one short operation; exports and imports have the job's
				     deadline */
		/* Of a seed-ws only (archiver): */
		const char *url;   /* the Moodle's address */
		const char *token; /* token_file or NAVETTE_SITE_TOKEN */
		const char *ca_file;
		bool allow_plain;
		uint64_t backup_timeout; /* of the web request in which a backup is made */
	} site;

	/* archiver: and worker: */
	struct nv_config_jobs {
		const char *work_dir;
		uint64_t slots;		 /* jobs at once */
		uint64_t ahead;		 /* worker: archives fetched while they are written */
		struct nv_window window; /* `window`, `timezone`; reloadable */
		uint64_t job_timeout;
		uint64_t attempts;     /* before a request is rejected */
		const char *listen;    /* host:port of /metrics, /healthz, /readyz; "" : none */
		uint64_t stop_timeout; /* graceful stop: jobs may finish within this */
	} archiver, worker;

	struct nv_config_restore restore;

	struct {
		bool notify_site;     /* notify through the site (Moodle messages) */
		const char *smtp_url; /* smtp(s)://host:port; "": no mail */
		const char *smtp_user;
		const char *smtp_password; /* smtp_password_file or NAVETTE_SMTP_PASSWORD */
		const char *smtp_ca_file;
		enum nv_smtp_tls {
			NV_SMTP_TLS_AUTO, /* in a loaded configuration one of the others */
			NV_SMTP_TLS_REQUIRED,
			NV_SMTP_TLS_OPTIONAL,
			NV_SMTP_TLS_OFF,
		} smtp_tls; /* of smtp:// (STARTTLS); smtps:// is encrypted anyway */
		const char *mail_from;
		const char **admins; /* mail addresses notified of failures */
		size_t admins_len;
		uint64_t give_up_after; /* an undeliverable notice is retried for so long */
		uint64_t digest_after;	/* failures reported individually within digest_window */
		uint64_t digest_window; /* others are reported together, once in this time */
		const char *lang;	/* en, fr: for people whose language is unknown */
	} notify;

	struct nv_config_producer {
		const char *listen;	    /* host:port */
		const char *metrics_listen; /* host:port of /metrics; "": none */
		const char *base_url;	    /* as people's browsers see it */
		const char *accounts_file;
		const char *work_dir;	      /* of downloads; NULL: none are offered */
		const char **trusted_proxies; /* addresses and networks */
		size_t trusted_proxies_len;
		uint64_t session_ttl;
		uint64_t rights_max_age;  /* age of rights confirmed by a Moodle */
		uint64_t catalog_ttl;	  /* how long a catalog answer is kept */
		uint64_t catalog_timeout; /* how long a site may take to answer */
		uint64_t max_body;	  /* bytes of a request body */
		uint64_t max_connections;
		uint64_t max_per_address; /* connections that are not signed in */
		uint64_t max_per_person;  /* of who is */
		uint64_t max_streams;	  /* of events, per person */
		uint64_t header_timeout;
		uint64_t body_timeout;
		uint64_t min_rate; /* minimum bytes/s at which an answer is read */
		uint64_t max_downloads;
		uint64_t max_downloads_per_person;
		uint64_t work_reserve; /* bytes that downloads leave free on work_dir's disk */
		uint64_t sweep_after;  /* a scheduled record unconfirmed for so long is published
					  again */
		uint64_t request_ttl;  /* a request that was not served expires */
		uint64_t keep;	       /* records of finished requests */
		uint64_t unroutable_after; /* a request for which there is no queue fails */
	} producer;

	/* People who come signed in from Moodle's button. */
	struct {
		const char *secret; /* secret_file or NAVETTE_LAUNCH_SECRET; NULL: not offered */
		const char *issuer; /* that Moodle's address */
		uint64_t leeway;    /* of its clock */
	} launch;

	/* The command's way to the producer. */
	struct {
		const char *url;
		const char *user;
		const char *password; /* password_file or NAVETTE_API_PASSWORD */
		const char *ca_file;
	} api;

	struct nv_config_client *clients;
	size_t clients_len;
	struct nv_config_site *sites;
	size_t sites_len;

	const bool *given;     /* the rows of the table that the file sets; NULL: not from a file */
	struct nv_arena arena; /* owns all of the above */
};

/* Read and check.  Returns NULL after putting one line a mistake into ret_mistakes (which is then
 * never empty).  roles: the sections that must be complete. */
struct nv_config *nv_config_load(const char *path, unsigned roles, struct nv_buf *ret_mistakes);
void nv_config_free(struct nv_config *c);

/* Copy the reloadable keys of fresh into c; append one line for each changed key that needs a
 * restart. */
void nv_config_reload(struct nv_config *c, const struct nv_config *fresh, struct nv_buf *ret_notes);

/* Does the file set this key of `restore`? One that is not from a file sets all. */
bool nv_config_restore_given(const struct nv_config *c, const char *key);
/* Unless a request says otherwise, is what the client has no plugin for left out? */
bool nv_config_leaves_out(const struct nv_config *c);
/* Adopt the site's settings for keys that the file does not set; true when something changed. As a
 * reload, on the loop only: no other thread may read such a key. */
bool nv_config_adopt(struct nv_config *c, const struct nv_config_restore *site);

/* scheme://[user@]host[:port]…: host without brackets (at most 255 bytes); the default port if none
 * is given. -1: not such an address. */
int nv_config_address(const char *url, char host[256], uint16_t *port, uint16_t usual);
#define NV_SENTINEL_PORT 26379u

/* The commented example with every key, type, allowed values and default, from the table. */
void nv_config_example(struct nv_buf *out);

/* "90s", "2h", "500ms" → ms; "64MiB", "1GB", "512" → bytes.  -1 when it is neither. */
int nv_parse_duration(const char *text, uint64_t *ret_ms);
int nv_parse_size(const char *text, uint64_t *ret_bytes);

const struct nv_config_client *nv_config_client(const struct nv_config *c, const char *name);
const struct nv_config_site *nv_config_site(const struct nv_config *c, const char *name);
/* The roles that let a user bring a course from this site: its own list, else the common one. */
const char *const *nv_config_search_roles(const struct nv_config *c,
					  const struct nv_config_site *site, size_t *ret_len);

#endif
