/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Moodle's settings for restores, by their names in block_navette. */
#include <ctype.h>
#include <sodium.h>
#include <stddef.h>
#include <string.h>

#include "core/site/moodle/moodle_internal.h"

#define ROLES_MAX 32u /* as restore.request allows */

static const struct {
	const char *name;
	size_t offset;
} flags[] = {
	{"onlyoneremoteinstance", offsetof(struct nv_config_restore, only_one)},
	{"restoreuserdata", offsetof(struct nv_config_restore, user_data)},
	{"leaveoutlacking", offsetof(struct nv_config_restore, leave_out)},
	{"restorecourseinoriginalcategory", offsetof(struct nv_config_restore, original_category)},
	{"defaultcategorychecked", offsetof(struct nv_config_restore, original_category_checked)},
	{"checkrequestercapascoursecreate",
	 offsetof(struct nv_config_restore, check_course_create)},
	{"autoenrol_requester", offsetof(struct nv_config_restore, enrol_requester)},
	{"enrollbutton", offsetof(struct nv_config_restore, enrol_button)},
	{"warningstoowner", offsetof(struct nv_config_restore, warnings_to_owner)},
	{"includeexternalurlinmail", offsetof(struct nv_config_restore, url_in_mail)},
};

static const struct {
	const char *name;
	size_t offset;
} texts[] = {
	{"defaultcategory", offsetof(struct nv_config_restore, default_category)},
	{"enrollrole", offsetof(struct nv_config_restore, enrol_role)},
	{"userfield", offsetof(struct nv_config_restore, user_field)},
};

/* "editingteacher, manager" */
static void read_roles(char *text, struct nv_config_restore *io, struct nv_arena *arena)
{
	const char **roles = nv_arena_alloc(arena, ROLES_MAX * sizeof *roles);
	size_t len = 0;
	for (char *one; text && len < ROLES_MAX && (one = strsep(&text, ",")) != NULL;) {
		while (isspace((unsigned char)*one))
			one++;
		size_t n = strlen(one);
		while (n && isspace((unsigned char)one[n - 1]))
			n--;
		if (n)
			roles[len++] = nv_arena_strndup(arena, one, n);
	}
	io->search_roles = roles;
	io->search_roles_len = len;
}

static void read_enrolment(const char *word, struct nv_config_restore *io)
{
	for (uint8_t i = 0; word && nv_enrolment_words[i]; i++)
		if (strcmp(nv_enrolment_words[i], word) == 0)
			io->enrolment = i;
}

static int ask(struct nv_site *base, json_t **ret_result, struct nv_err *err)
{
	const struct nv_moodle *s = nv_moodle(base);
	struct nv_moodle_call call = {
		.operation = "settings",
		.timeout = s->timeout,
		.reason = NV_R_internal,
	};
	return nv_moodle_ask(s, &call, ret_result, err);
}

int nv_moodle_settings(struct nv_site *base, struct nv_config_restore *io, struct nv_arena *arena,
		       struct nv_err *err)
{
	nv_auto_json json_t *result = NULL;
	if (ask(base, &result, err) < 0)
		return -1;
	for (size_t i = 0; i < NV_ARRAY_LEN(flags); i++) {
		const json_t *value = json_object_get(result, flags[i].name);
		if (json_is_boolean(value))
			*(bool *)((char *)io + flags[i].offset) = json_is_true(value);
	}
	for (size_t i = 0; i < NV_ARRAY_LEN(texts); i++) {
		char *value = nv_moodle_text(result, texts[i].name, arena);
		if (value && *value)
			memcpy((char *)io + texts[i].offset, &value, sizeof value);
	}
	read_enrolment(json_string_value(json_object_get(result, "enrolmentmode")), io);
	read_roles(nv_moodle_text(result, "search_roles", arena), io, arena);
	return 0;
}

/* --- settings that must match those of other machines --- */

/* settings::fingerprint of the plugin makes the same. */
void nv_launch_fingerprint(const char *secret, char ret[NV_LAUNCH_FINGERPRINT])
{
	static const char subject[] = "navette launch secret";
	uint8_t mac[crypto_auth_hmacsha256_BYTES];
	crypto_auth_hmacsha256_state state;
	crypto_auth_hmacsha256_init(&state, (const uint8_t *)secret, strlen(secret));
	crypto_auth_hmacsha256_update(&state, (const uint8_t *)subject, sizeof subject - 1);
	crypto_auth_hmacsha256_final(&state, mac);
	sodium_memzero(&state, sizeof state);
	sodium_bin2hex(ret, NV_LAUNCH_FINGERPRINT, mac, NV_LAUNCH_FINGERPRINT / 2);
}

int nv_moodle_facts(struct nv_site *base, struct nv_site_facts *ret, struct nv_arena *arena,
		    struct nv_err *err)
{
	nv_auto_json json_t *result = NULL;
	*ret = (struct nv_site_facts){0};
	if (ask(base, &result, err) < 0)
		return -1;
	const json_t *facts = json_object_get(result, "facts");
	if (!json_is_object(facts))
		return 0;
	const json_t *unknown = json_object_get(facts, "search_roles_unknown");
	size_t len = json_array_size(unknown) < ROLES_MAX ? json_array_size(unknown) : ROLES_MAX;
	char **roles = nv_arena_alloc(arena, (len + 1) * sizeof *roles);
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		const char *role = json_string_value(json_array_get(unknown, i));
		if (role)
			roles[n++] = nv_arena_strdup(arena, role);
	}
	*ret = (struct nv_site_facts){
		.role = nv_moodle_text(result, "moodle_role", arena),
		.issuer = nv_moodle_text(facts, "issuer", arena),
		.producer = nv_moodle_text(result, "navetteurl", arena),
		.fingerprint = nv_moodle_text(facts, "launch_fingerprint", arena),
		.search_roles_unknown = {roles, n},
		.enrol_role_unknown = nv_moodle_text(facts, "enrol_role_unknown", arena),
	};
	return 0;
}
