/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The signed envelope every message travels in.
 *
 * On the wire: a msgpack map {v, kind, from, mid, issued, expires, body, signature}.
 *   v          uint, 1
 *   kind       str, see NV_MESSAGES
 *   from       str, "client:<name>" or "site:<name>"
 *   mid        str, UUIDv7 of this message (a redelivery keeps it, a new message has a new one)
 *   issued     uint, ms since the epoch
 *   expires    uint, ms since the epoch
 *   body       bin, the message's record
 *   signature  bin of 64 bytes, Ed25519 (RFC 8032) by the key of `from` over
 *              "navette-v1" NUL + the msgpack array [v, kind, from, mid, issued, expires, body]
 *
 * Each value has msgpack's shortest form, so that an envelope has one form only.
 *
 * The receiver takes the sender from the verified key, never from a body.  Envelopes larger than
 * NV_ENVELOPE_MAX are refused before they are parsed. */
#ifndef NV_PROTO_ENVELOPE_H
#define NV_PROTO_ENVELOPE_H

#include "proto/keys.h"
#include "proto/messages.h"

#define NV_PROTO_VERSION 1u
#define NV_ENVELOPE_MAX (8388608u + 4096u)
#define NV_CLOCK_SKEW_MS \
	300000u		       /* tolerated clock difference: issued may lie so far in the future */
#define NV_CLOCK_WARN_MS 30000 /* clock differences from here on are reported */

struct nv_envelope {
	enum nv_kind kind;
	char signer;		    /* 'c' or 's' */
	char from[NV_NAME_MAX + 1]; /* the verified name */
	char mid[NV_UUID_SIZE];
	uint64_t issued;
	uint64_t expires;
	union {
		struct nv_restore_request restore_request;
		struct nv_cancel_request cancel_request;
		struct nv_catalog_request catalog_request;
		struct nv_catalog_reply catalog_reply;
		struct nv_status_event status_event;
		struct nv_archive_ready archive_ready;
		struct nv_archive_opened archive_opened;
		struct nv_enrol_request enrol_request;
		struct nv_letters_request letters_request;
		struct nv_letters_reply letters_reply;
	} body;
	struct nv_arena arena; /* owns what body points to */
};

/* Encode, sign and append to out.  A new mid is made; ret_mid may be NULL. */
int nv_envelope_seal(enum nv_kind kind, const void *body, const struct nv_identity *me,
		     uint64_t ttl_ms, struct nv_buf *out, char ret_mid[NV_UUID_SIZE],
		     struct nv_err *err);

/* Verify and decode.  keys: whom we trust.  want: a mask of 1u << NV_KIND_… that may come here.
 * now_ms 0: ignore expires (for the request inside another message, which was accepted in time).
 * Errors are NV_REJECT: bad_message, unknown_version, unsigned_message, untrusted, expired; or
 * NV_HOLD/clock: valid, but signed in the future, so one of the two clocks is wrong.  On error *ret
 * needs no fini. */
int nv_envelope_open(const void *data, size_t len, const struct nv_keyring *keys, unsigned want,
		     uint64_t now_ms, struct nv_envelope *ret, struct nv_err *err);
void nv_envelope_fini(struct nv_envelope *e);

/* The restore.request inside a message that could NOT be verified (body field "request").  Only the
 * request itself is verified, by our own signature; the sender and all other fields of the message
 * remain unverified. */
int nv_envelope_open_inside(const void *data, size_t len, const struct nv_keyring *own,
			    struct nv_envelope *ret, struct nv_err *err);

/* Read kind and mid WITHOUT verifying anything, as far as possible: for logs and the listing of
 * dead letters only, never for a decision. Unreadable parts become ""; only printable ASCII is
 * returned.  ret_mid holds NV_UUID_SIZE bytes.  0 when both were read, else -1. */
int nv_envelope_peek(const void *data, size_t len, char *ret_kind, size_t kind_size, char *ret_mid);

#endif
