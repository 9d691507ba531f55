/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Local accounts: a JSON file, read by the producer, changed by `navette account`.
 *
 *   {"accounts": [{"username": "anna", "name": "Anna Berg", "mail": "anna@example.org",
 *     "lang": "fr", "admin": false, "capabilities": ["can_restore_user_datas"],
 *     "password": "$argon2id$…"}]}
 *
 * Strict: an unknown field, a wrong type, a doubled user name are errors that name the account and
 * the field.  A change takes the file's lock (<path>.lock), reads it anew, and replaces it whole.
 */
#ifndef NV_ACCOUNTS_H
#define NV_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

#define NV_USERNAME_MAX 100u /* characters of [A-Za-z0-9._@+-] */
#define NV_PASSWORD_MIN 8u   /* bytes */
#define NV_PASSWORD_MAX 256u

/* Capabilities that an account may have. */
#define NV_CAP_USER_DATA "can_restore_user_datas"
#define NV_CAP_COURSE_LINK "can_see_external_course_link"

struct nv_account {
	char *username;
	char *name; /* full name; NULL: none, as the next two */
	char *mail;
	char *lang; /* "fr" */
	bool admin;
	char **capabilities;
	size_t capabilities_len;
	char *password; /* argon2id, as crypto_pwhash_str writes it */
};
struct nv_accounts {
	struct nv_account *items;
	size_t len;
	struct nv_arena arena;
};

bool nv_username_valid(const char *s);
/* NV_FATAL/config with the file, account and field named; then *ret needs no fini. */
int nv_accounts_load(const char *path, struct nv_accounts *ret, struct nv_err *err);
/* NULL: no such account. */
const struct nv_account *nv_accounts_find(const struct nv_accounts *a, const char *username);
bool nv_account_may(const struct nv_account *a, const char *capability); /* admins may all */
void nv_accounts_fini(struct nv_accounts *a);

/* Blocks for some tenths of a second and needs 64 MiB: not on a loop. hash NULL (no such account):
 * false, after the same time. */
bool nv_password_verify(const char *hash, const char *password);

/* --- for the operator's command; all block --- */

/* password: plain.  Makes the file (mode 0600) when it is missing.  NV_REJECT/conflict when the
 * name is taken, bad_message for an invalid field. */
int nv_account_add(const char *path, const struct nv_account *a, const char *password,
		   struct nv_err *err);
/* NV_REJECT/not_found when there is no such account. */
int nv_account_remove(const char *path, const char *username, struct nv_err *err);
int nv_account_passwd(const char *path, const char *username, const char *password,
		      struct nv_err *err);

#endif
