/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of configuration keys and its functions. Internal to config*.c and their tests.
 *
 * One row per key, for reading, checking, reloading and the commented example. A new key needs a
 * member in struct nv_config and a row in config_table.c, nothing else. */
#ifndef NV_CONFIG_CONFIG_TABLE_H
#define NV_CONFIG_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/config/config.h"

enum nv_cfg_type {
	NV_CFG_BOOL,
	NV_CFG_NUMBER,	 /* min … max */
	NV_CFG_DURATION, /* min … max, milliseconds */
	NV_CFG_SIZE,	 /* min … max, bytes */
	NV_CFG_WORD,	 /* one of words; stored as its index */
	NV_CFG_CHOICE,	 /* one of words; stored as the word */
	NV_CFG_TEXT,	 /* one line */
	NV_CFG_PATH,	 /* absolute */
	NV_CFG_NAME,	 /* nv_name_valid */
	NV_CFG_LISTEN,	 /* host:port */
	NV_CFG_URL,	 /* one of the schemes in words, a host, no password */
	NV_CFG_ADDRESS,	 /* of mail */
	NV_CFG_NETWORK,	 /* an Internet address, or a network of them */
	NV_CFG_WINDOW,	 /* HH:MM-HH:MM; the member is a struct nv_window, its zone is left alone */
	NV_CFG_ZONE,	 /* a name below /usr/share/zoneinfo */
	NV_CFG_KEY,	 /* a public key */
	NV_CFG_SECRET,	 /* the path of a file; what is in it is stored */
};

struct nv_cfg_field {
	const char *section;
	const char *key;
	enum nv_cfg_type type;
	size_t offset; /* in struct nv_config, or in the item of a list */
	size_t size;   /* of the member, for numbers and words */
	bool list;     /* of texts: const char **, and its length at len_offset */
	size_t len_offset;
	uint64_t min;
	uint64_t max;
	const char *const *words;     /* NULL at the end */
	const char *const *old_words; /* former names of the first of them, still read */
	const char *fallback;	      /* the default, as written in the file; NULL: none */
	const char *sample;	      /* for the example where there is no default */
	bool empty_ok;		      /* "" is allowed */
	unsigned required;	      /* roles (enum nv_role) that require it */
	unsigned used;		      /* of a secret: roles that read it */
	const char *env; /* of a secret: the environment variable that overrides the file */
	bool reloadable;
	const char *doc;
};

struct nv_cfg_section {
	const char *name;
	const char *doc;
	/* A list of maps: its rows, the size of an item, where array and length are. */
	const struct nv_cfg_field *items;
	size_t items_len;
	size_t item_size;
	size_t offset;
	size_t len_offset;
	unsigned required;
};

#define NV_CFG_ITEM_FIELDS_MAX 8u

extern const struct nv_cfg_field nv_cfg_fields[];
extern const size_t nv_cfg_fields_len;
extern const struct nv_cfg_section nv_cfg_sections[];
extern const size_t nv_cfg_sections_len;

/* The rows of a section: they stand together. */
const struct nv_cfg_field *nv_cfg_rows(const struct nv_cfg_section *s, size_t *ret_len);

/* Parse one value, or one item of a list, into dest; texts are copied into the arena. -1 when it is
 * not as nv_cfg_allowed says. Not for secrets. */
int nv_cfg_parse(const struct nv_cfg_field *f, struct nv_arena *a, const char *text, size_t len,
		 void *dest);
/* Describes the allowed values, to follow "is not": "a whole number from 1 to 64". */
void nv_cfg_allowed(const struct nv_cfg_field *f, struct nv_buf *out);
/* Put the defaults of these rows into base. */
void nv_cfg_defaults(const struct nv_cfg_field *f, size_t len, struct nv_arena *a, void *base);
/* Where a list keeps its items and how many. */
const char ***nv_cfg_list(const struct nv_cfg_field *f, void *base, size_t **ret_len);

/* The parts of scheme://user:password@host:port/path, or of host:port without scheme. */
struct nv_cfg_url {
	char scheme[16];
	char host[256];
	uint16_t port; /* 0: none */
	bool has_password;
};
/* -1 when it has no scheme or no host. */
int nv_cfg_url_split(const char *text, struct nv_cfg_url *ret);

/* One reading of a file. */
enum nv_cfg_state { NV_CFG_ABSENT, NV_CFG_GOOD, NV_CFG_BAD };
struct nv_cfg_given {
	enum nv_cfg_state state;
	size_t line; /* from 1 */
};
struct nv_cfg_load {
	struct nv_config *config;
	const char *path;
	unsigned roles;
	struct nv_buf *mistakes;
	struct nv_cfg_given *fields;   /* as nv_cfg_fields */
	struct nv_cfg_given *sections; /* as nv_cfg_sections */
};

/* line 0: unknown.  key: as people write it, with its section. */
void nv_cfg_mistake(struct nv_cfg_load *l, size_t line, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Checks that concern several values; called when everything is read. */
void nv_cfg_check(struct nv_cfg_load *l);
/* "the archiver and the worker" */
void nv_cfg_roles_text(unsigned roles, struct nv_buf *out);

#endif
