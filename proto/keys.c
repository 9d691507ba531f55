/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "proto/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

#define SECRET_PREFIX "ed25519-secret:"
#define PUBLIC_PREFIX "ed25519:"
#define BASE64_LEN 44u /* of 32 bytes */
#define SECRET_TEXT_LEN (sizeof(SECRET_PREFIX) - 1 + BASE64_LEN)

_Static_assert(sizeof(PUBLIC_PREFIX) + BASE64_LEN == NV_PUBLIC_KEY_TEXT, "public key text");
_Static_assert(crypto_sign_SEEDBYTES == 32 && crypto_sign_SECRETKEYBYTES == 64, "Ed25519");

static int ready(struct nv_err *err)
{
	if (sodium_init() < 0)
		return nv_fail(err, NV_FATAL, NV_R_internal, "keys: libsodium does not start");
	return 0;
}

/* prefix + base64 of exactly 32 bytes, and nothing else. */
static int parse_key(const char *text, size_t len, const char *prefix, uint8_t ret[32])
{
	size_t prefix_len = strlen(prefix);
	size_t bytes;
	const char *end;

	if (len != prefix_len + BASE64_LEN || memcmp(text, prefix, prefix_len) != 0)
		return -1;
	if (sodium_base642bin(ret, 32, text + prefix_len, BASE64_LEN, NULL, &bytes, &end,
			      sodium_base64_VARIANT_ORIGINAL))
		return -1;
	return bytes == 32 && end == text + len ? 0 : -1;
}

static void public_text(const uint8_t key[32], char ret[NV_PUBLIC_KEY_TEXT])
{
	memcpy(ret, PUBLIC_PREFIX, sizeof(PUBLIC_PREFIX));
	sodium_bin2base64(ret + sizeof(PUBLIC_PREFIX) - 1, BASE64_LEN + 1, key, 32,
			  sodium_base64_VARIANT_ORIGINAL);
}

/* Writes the line to a new file; a partly written one is removed. */
static int write_new(const char *path, const char *line, size_t len, struct nv_err *err)
{
	nv_auto_free char *copy = nv_strdup(path);
	nv_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 && errno == EEXIST)
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "keys: %s exists already and is not overwritten", path);
	if (fd < 0)
		return nv_fail_errno(err, errno, NV_FATAL, NV_R_config, "keys: create %s", path);
	if (nv_write_all(fd, line, len, err)) {
		nv_err_prefix(err, "keys: write %s", path);
		goto fail;
	}
	if (fchmod(fd, 0600) || fsync(fd)) {
		nv_fail_errno(err, errno, NV_FATAL, NV_R_io, "keys: write %s", path);
		goto fail;
	}
	if (nv_fsync_dir(dirname(copy), err))
		goto fail;
	return 0;
fail:
	unlink(path);
	return -1;
}

int nv_keys_new(const char *path, char ret_public[NV_PUBLIC_KEY_TEXT], struct nv_err *err)
{
	char line[SECRET_TEXT_LEN + 2] = SECRET_PREFIX;
	uint8_t seed[crypto_sign_SEEDBYTES];
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	uint8_t key[crypto_sign_PUBLICKEYBYTES];
	int result;

	if (ready(err))
		return -1;
	randombytes_buf(seed, sizeof seed);
	crypto_sign_seed_keypair(key, secret, seed);
	sodium_bin2base64(line + sizeof(SECRET_PREFIX) - 1, BASE64_LEN + 1, seed, sizeof seed,
			  sodium_base64_VARIANT_ORIGINAL);
	line[SECRET_TEXT_LEN] = '\n';
	result = write_new(path, line, SECRET_TEXT_LEN + 1, err);
	if (!result)
		public_text(key, ret_public);
	sodium_memzero(seed, sizeof seed);
	sodium_memzero(secret, sizeof secret);
	sodium_memzero(line, sizeof line);
	return result;
}

/* Read at most size bytes of a file only its owner may read. */
static int read_private(const char *path, char *ret, size_t size, size_t *ret_len,
			struct nv_err *err)
{
	/* Non-blocking, so that a FIFO in place of the key is an error and not a hang. */
	nv_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		return nv_fail_errno(err, errno, NV_FATAL, NV_R_config, "keys: open %s", path);
	if (!S_ISREG(st.st_mode))
		return nv_fail(err, NV_FATAL, NV_R_config, "keys: %s is not a file", path);
	if (st.st_mode & 077)
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "keys: %s is open to group or others (mode %04o): chmod 600 it",
			       path, (unsigned)st.st_mode & 07777u);
	n = read(fd, ret, size);
	if (n < 0)
		return nv_fail_errno(err, errno, NV_FATAL, NV_R_config, "keys: read %s", path);
	*ret_len = (size_t)n;
	return 0;
}

int nv_identity_load(const char *path, char signer, const char *name, struct nv_identity *ret,
		     struct nv_err *err)
{
	char text[SECRET_TEXT_LEN + 2];
	uint8_t seed[crypto_sign_SEEDBYTES];
	uint8_t key[crypto_sign_PUBLICKEYBYTES];
	size_t len = 0;
	int result = -1;

	memset(ret, 0, sizeof *ret);
	if ((signer != 'c' && signer != 's') || !nv_name_valid(name))
		return nv_fail(err, NV_FATAL, NV_R_config, "keys: \"%s\" cannot be a name", name);
	if (ready(err) || read_private(path, text, sizeof text, &len, err))
		return -1;
	if (len == SECRET_TEXT_LEN + 1 && text[SECRET_TEXT_LEN] == '\n')
		len--;
	if (parse_key(text, len, SECRET_PREFIX, seed)) {
		/* Nothing of its content: it may be nearly a key. */
		nv_fail(err, NV_FATAL, NV_R_config,
			"keys: %s is not one line \"" SECRET_PREFIX "<base64 of 32 bytes>\"", path);
	} else {
		crypto_sign_seed_keypair(key, ret->secret, seed);
		ret->signer = signer;
		memcpy(ret->name, name, strlen(name) + 1);
		result = 0;
	}
	sodium_memzero(text, sizeof text);
	sodium_memzero(seed, sizeof seed);
	return result;
}

void nv_identity_public(const struct nv_identity *me, char ret_public[NV_PUBLIC_KEY_TEXT])
{
	public_text(me->secret + 32, ret_public);
}

void nv_identity_wipe(struct nv_identity *me)
{
	sodium_memzero(me, sizeof *me);
}

int nv_keyring_add(struct nv_keyring *ring, char signer, const char *name, const char *text,
		   struct nv_err *err)
{
	struct nv_trusted one = {.signer = signer};

	if (ready(err))
		return -1;
	if ((signer != 'c' && signer != 's') || !nv_name_valid(name))
		return nv_fail(err, NV_REJECT, NV_R_config, "keys: \"%s\" cannot be a name", name);
	/* The second test refuses points of small order, for which anybody can make signatures. */
	if (parse_key(text, strlen(text), PUBLIC_PREFIX, one.key) ||
	    !crypto_core_ed25519_is_valid_point(one.key))
		return nv_fail(err, NV_REJECT, NV_R_config,
			       "keys: the public key of %s is not \"" PUBLIC_PREFIX
			       "<base64 of 32 bytes>\"",
			       name);
	memcpy(one.name, name, strlen(name) + 1);
	ring->items = nv_realloc(ring->items, (ring->len + 1) * sizeof *ring->items);
	ring->items[ring->len++] = one;
	return 0;
}

void nv_keyring_fini(struct nv_keyring *ring)
{
	free(ring->items);
	*ring = (struct nv_keyring){0};
}
