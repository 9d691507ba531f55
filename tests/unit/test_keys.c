/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Key files and the text of public keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "proto/keys.h"

struct fixture {
	char dir[64];
	char path[96];
};

static int setup(void **state)
{
	struct fixture *f = nv_alloc(sizeof *f);

	snprintf(f->dir, sizeof f->dir, "/tmp/navette-keys-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof f->path, "%s/key", f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	nv_remove_tree(f->dir, NULL);
	free(f);
	return 0;
}

static void a_new_key_is_for_its_owner_only_and_can_be_loaded(void **state)
{
	const struct fixture *f = *state;
	char made[NV_PUBLIC_KEY_TEXT];
	char loaded[NV_PUBLIC_KEY_TEXT];
	struct nv_identity me;
	struct nv_err err = {0};
	struct stat st;
	mode_t old = umask(0);

	assert_int_equal(nv_keys_new(f->path, made, &err), 0);
	umask(old);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	if (nv_identity_load(f->path, 's', "last-year", &me, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(me.signer, 's');
	assert_string_equal(me.name, "last-year");
	nv_identity_public(&me, loaded);
	assert_string_equal(made, loaded);
	nv_identity_wipe(&me);
	for (size_t i = 0; i < sizeof me; i++)
		assert_int_equal(((const uint8_t *)&me)[i], 0);
}

static void two_new_keys_differ(void **state)
{
	const struct fixture *f = *state;
	char other[128];
	char a[NV_PUBLIC_KEY_TEXT];
	char b[NV_PUBLIC_KEY_TEXT];

	snprintf(other, sizeof other, "%s2", f->path);
	assert_int_equal(nv_keys_new(f->path, a, NULL), 0);
	assert_int_equal(nv_keys_new(other, b, NULL), 0);
	assert_string_not_equal(a, b);
}

static void an_existing_file_is_not_overwritten(void **state)
{
	const struct fixture *f = *state;
	nv_auto_buf struct nv_buf b = {0};
	char text[NV_PUBLIC_KEY_TEXT];
	char link[128];
	struct nv_err err = {0};

	assert_int_equal(nv_write_file(f->path, "mine", 4, 0600, NULL), 0);
	assert_int_equal(nv_keys_new(f->path, text, &err), -1);
	assert_int_equal(err.kind, NV_FATAL);
	assert_int_equal(err.reason, NV_R_config);
	assert_non_null(strstr(err.msg, "exists already"));
	assert_int_equal(nv_read_file(f->path, 100, &b, NULL), 0);
	assert_string_equal((char *)b.data, "mine");
	/* Nor through a link that leads nowhere yet. */
	snprintf(link, sizeof link, "%s/link", f->dir);
	assert_int_equal(symlink("elsewhere", link), 0);
	assert_int_equal(nv_keys_new(link, text, &err), -1);
}

static void a_folder_that_is_missing_is_an_error(void **state)
{
	const struct fixture *f = *state;
	char path[128];
	char text[NV_PUBLIC_KEY_TEXT];
	struct nv_identity me;
	struct nv_err err = {0};

	snprintf(path, sizeof path, "%s/no/key", f->dir);
	assert_int_equal(nv_keys_new(path, text, &err), -1);
	assert_non_null(strstr(err.msg, path));
	assert_int_equal(nv_identity_load(path, 'c', "a", &me, &err), -1);
	assert_int_equal(err.kind, NV_FATAL);
	assert_non_null(strstr(err.msg, path));
}

static void a_key_that_others_may_read_is_refused(void **state)
{
	const struct fixture *f = *state;
	static const mode_t modes[] = {0640, 0604, 0660, 0666, 0610};
	char text[NV_PUBLIC_KEY_TEXT];
	struct nv_identity me;

	assert_int_equal(nv_keys_new(f->path, text, NULL), 0);
	for (size_t i = 0; i < NV_ARRAY_LEN(modes); i++) {
		struct nv_err err = {0};

		assert_int_equal(chmod(f->path, modes[i]), 0);
		assert_int_equal(nv_identity_load(f->path, 'c', "a", &me, &err), -1);
		assert_int_equal(err.kind, NV_FATAL);
		assert_int_equal(err.reason, NV_R_config);
		assert_non_null(strstr(err.msg, "chmod 600"));
	}
	assert_int_equal(chmod(f->path, 0400), 0);
	assert_int_equal(nv_identity_load(f->path, 'c', "a", &me, NULL), 0);
}

#define SEED "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static void a_file_of_wrong_text_is_refused_and_not_repeated(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"ed25519-secret:",
		"ed25519-secret:\n",
		"ed25519:" SEED "\n",
		SEED "\n",
		"ed25519-secret:" SEED "\n\n",
		"ed25519-secret:" SEED " \n",
		" ed25519-secret:" SEED "\n",
		"ed25519-secret: " SEED "\n",
		"ed25519-secret:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n",
		"ed25519-secret:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n",
		"ed25519-secret:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==\n",
		"ed25519-secret:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g\n",
		"ed25519-secret:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGx-dHh8=\n",
	};
	const struct fixture *f = *state;
	struct nv_identity me;

	for (size_t i = 0; i < NV_ARRAY_LEN(texts); i++) {
		struct nv_err err = {0};

		assert_int_equal(nv_write_file(f->path, texts[i], strlen(texts[i]), 0600, NULL), 0);
		if (nv_identity_load(f->path, 'c', "a", &me, &err) == 0)
			fail_msg("accepted: %s", texts[i]);
		assert_int_equal(err.kind, NV_FATAL);
		assert_int_equal(err.reason, NV_R_config);
		assert_null(strstr(err.msg, "AAECAwQF"));
	}
	assert_int_equal(nv_write_file(f->path, "ed25519-secret:" SEED, 59, 0600, NULL), 0);
	assert_int_equal(nv_identity_load(f->path, 'c', "a", &me, NULL), 0);
}

static void what_is_not_a_file_is_refused(void **state)
{
	const struct fixture *f = *state;
	struct nv_identity me;
	struct nv_err err = {0};

	assert_int_equal(mkfifo(f->path, 0600), 0);
	assert_int_equal(nv_identity_load(f->path, 'c', "a", &me, &err), -1);
	assert_non_null(strstr(err.msg, "is not a file"));
	assert_int_equal(nv_identity_load(f->dir, 'c', "a", &me, &err), -1);
	assert_non_null(strstr(err.msg, "is not a file"));
}

static void an_identity_needs_a_name(void **state)
{
	const struct fixture *f = *state;
	char text[NV_PUBLIC_KEY_TEXT];
	struct nv_identity me;
	struct nv_err err = {0};

	assert_int_equal(nv_keys_new(f->path, text, NULL), 0);
	assert_int_equal(nv_identity_load(f->path, 'c', "No Name", &me, &err), -1);
	assert_int_equal(err.reason, NV_R_config);
	assert_int_equal(nv_identity_load(f->path, 'x', "a", &me, &err), -1);
	assert_int_equal(err.reason, NV_R_config);
}

/* The public key of SEED, from RFC 8032's algorithm as PyNaCl computes it. */
#define PUBLIC "ed25519:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="

static void the_public_key_of_a_known_seed_is_right(void **state)
{
	const struct fixture *f = *state;
	char text[NV_PUBLIC_KEY_TEXT];
	struct nv_identity me;

	assert_int_equal(nv_write_file(f->path, "ed25519-secret:" SEED "\n", 60, 0600, NULL), 0);
	assert_int_equal(nv_identity_load(f->path, 'c', "a", &me, NULL), 0);
	nv_identity_public(&me, text);
	assert_string_equal(text, PUBLIC);
}

static void a_wrong_public_key_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"ed25519:",
		"ed25519-secret:" SEED,
		PUBLIC " ",
		PUBLIC "\n",
		"Ed25519:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
		"ed25519:A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
		"ed25519:A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg",
		/* points of small order */
		"ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
		"ed25519:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	};
	struct nv_keyring ring = {0};

	(void)state;
	for (size_t i = 0; i < NV_ARRAY_LEN(texts); i++) {
		struct nv_err err = {0};

		if (nv_keyring_add(&ring, 'c', "this-year", texts[i], &err) == 0)
			fail_msg("accepted: %s", texts[i]);
		assert_int_equal(err.kind, NV_REJECT);
		assert_int_equal(err.reason, NV_R_config);
		assert_non_null(strstr(err.msg, "this-year"));
	}
	assert_int_equal(nv_keyring_add(&ring, 'c', "No Name", PUBLIC, NULL), -1);
	assert_int_equal(nv_keyring_add(&ring, 'x', "a", PUBLIC, NULL), -1);
	assert_int_equal(ring.len, 0);
	assert_int_equal(nv_keyring_add(&ring, 'c', "this-year", PUBLIC, NULL), 0);
	assert_int_equal(nv_keyring_add(&ring, 's', "last-year", PUBLIC, NULL), 0);
	assert_int_equal(ring.len, 2);
	assert_string_equal(ring.items[1].name, "last-year");
	nv_keyring_fini(&ring);
	assert_int_equal(ring.len, 0);
}

#define EACH_IN_ITS_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_IN_ITS_FOLDER(a_new_key_is_for_its_owner_only_and_can_be_loaded),
		EACH_IN_ITS_FOLDER(two_new_keys_differ),
		EACH_IN_ITS_FOLDER(an_existing_file_is_not_overwritten),
		EACH_IN_ITS_FOLDER(a_folder_that_is_missing_is_an_error),
		EACH_IN_ITS_FOLDER(a_key_that_others_may_read_is_refused),
		EACH_IN_ITS_FOLDER(a_file_of_wrong_text_is_refused_and_not_repeated),
		EACH_IN_ITS_FOLDER(what_is_not_a_file_is_refused),
		EACH_IN_ITS_FOLDER(an_identity_needs_a_name),
		EACH_IN_ITS_FOLDER(the_public_key_of_a_known_seed_is_right),
		cmocka_unit_test(a_wrong_public_key_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
