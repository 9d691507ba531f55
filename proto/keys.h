/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ed25519 keys (libsodium): one key pair a client and one a site.
 *
 * A secret key file is one line "ed25519-secret:<base64 of the 32-byte seed>", mode 0600; a public
 * key is written "ed25519:<base64 of 32 bytes>" in configuration files. */
#ifndef NV_PROTO_KEYS_H
#define NV_PROTO_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"

#define NV_PUBLIC_KEY_TEXT 53u /* "ed25519:" + 44 + NUL */

/* The signer's kind: 'c' for a client, 's' for a site. */
struct nv_identity {
	char signer;
	char name[NV_NAME_MAX + 1];
	uint8_t secret[64]; /* libsodium's form: seed and public key */
};

/* Whom we trust. */
struct nv_keyring {
	struct nv_trusted {
		char signer;
		char name[NV_NAME_MAX + 1];
		uint8_t key[32];
	} * items;
	size_t len;
};

/* Write a new secret key file (refuses to overwrite), and the public key's text. */
int nv_keys_new(const char *path, char ret_public[NV_PUBLIC_KEY_TEXT], struct nv_err *err);
/* Read a secret key file; refused when group or others may read it.  NV_FATAL/config. */
int nv_identity_load(const char *path, char signer, const char *name, struct nv_identity *ret,
		     struct nv_err *err);
void nv_identity_public(const struct nv_identity *me, char ret_public[NV_PUBLIC_KEY_TEXT]);
void nv_identity_wipe(struct nv_identity *me);

/* text: "ed25519:<base64>".  A name may have several keys, while a new one replaces an old one.
 * NV_REJECT/config when it is not one. */
int nv_keyring_add(struct nv_keyring *ring, char signer, const char *name, const char *text,
		   struct nv_err *err);
void nv_keyring_fini(struct nv_keyring *ring);

#endif
