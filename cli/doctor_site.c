/* SPDX-License-Identifier: GPL-3.0-or-later */
/* doctor: the local site, and whether its settings match ours. */
#include "cli/doctor.h"

#include <string.h>
#include <unistd.h>

#include "core/site/site.h"

/* --- can it be worked with? --- */

static const char *way_out_of_config(const struct nv_config *c)
{
	switch (c->site.type) {
	case NV_SITE_SEED_WS:
		return "see docs/moodle.md, \"A course server that has only the older block\": "
		       "address, token, authorities";
	case NV_SITE_MOODLE:
		return "check that site.path is Moodle's folder, with the plugin block_navette in "
		       "it, that site.php is there, and that site.user may be used";
	case NV_SITE_FOLDER:
		break;
	}
	return "check that site.path is the right folder and readable; navette site create makes a "
	       "new one";
}

static void site_failed(struct nv_cli_doctor *d, const struct nv_err *err)
{
	enum nv_site_type type = d->config->site.type;
	if (err->reason == NV_R_site_upgrading)
		nv_cli_found(
			d, CLI_F_site_upgrading, "site",
			"in Moodle's folder, as the web server's user: php admin/cli/upgrade.php",
			"%s", err->msg);
	else if (err->reason == NV_R_disk_full)
		nv_cli_found(d, CLI_F_site_disk_full, "site",
			     "free some space; courses wait until then", "%s", err->msg);
	else if (type == NV_SITE_FOLDER || err->reason == NV_R_config)
		nv_cli_found(d, CLI_F_site_config, "site", way_out_of_config(d->config), "%s",
			     err->msg);
	else
		nv_cli_found(d, CLI_F_site_unavailable, "site",
			     type == NV_SITE_MOODLE
				     ? "check that Moodle's database runs and is right in its "
				       "config.php; courses wait until then"
				     : "check that this Moodle answers at site.url; courses wait "
				       "until then",
			     "%s", err->msg);
}

/* --- do its settings fit ours? --- */

static bool same_address(const char *a, const char *b)
{
	size_t a_len = a ? strlen(a) : 0;
	size_t b_len = b ? strlen(b) : 0;
	while (a_len && a[a_len - 1] == '/')
		a_len--;
	while (b_len && b[b_len - 1] == '/')
		b_len--;
	return a_len == b_len && a_len && memcmp(a, b, a_len) == 0;
}

static void check_role(struct nv_cli_doctor *d, const struct nv_site_facts *facts)
{
	bool client = d->config->identity.client != NULL;
	const char *want = client ? "client" : "server";
	nv_auto_free char *way_out = nv_asprintf(
		"as the web server's user: php blocks/navette/cli/navette.php setup %s", want);
	if (!client && !d->config->identity.site)
		return;
	if (!*facts->role)
		nv_cli_found(d, CLI_F_moodle_role_unset, "moodle", way_out,
			     "the block's setting moodle_role is empty");
	else if (strcmp(facts->role, want) != 0 && strcmp(facts->role, "both") != 0)
		nv_cli_found(d, CLI_F_moodle_role_wrong, "moodle", way_out,
			     "its setting moodle_role is %s; these daemons need a %s", facts->role,
			     want);
	else
		nv_cli_found(d, CLI_F_moodle_settings_ok, "moodle", NULL, "it is set as %s",
			     facts->role);
}

static void check_roles_named(struct nv_cli_doctor *d, const struct nv_site_facts *facts)
{
	for (size_t i = 0; i < facts->search_roles_unknown.len; i++)
		nv_cli_found(
			d, CLI_F_search_role_unknown, "moodle",
			"correct the block's setting search_roles (short names of roles); it is "
			"right all the same where the course servers have that role",
			"search_roles names %s, and this Moodle has no such role",
			facts->search_roles_unknown.items[i]);
	if (facts->enrol_role_unknown)
		nv_cli_found(d, CLI_F_enrol_role_unknown, "moodle",
			     "correct the block's setting enrollrole (the short name of a role): "
			     "nobody is enrolled meanwhile",
			     "enrollrole is \"%s\", and this Moodle has no such role",
			     facts->enrol_role_unknown);
}

/* Only the producer reads its secret; NULL: this file has none, or mistakes. */
static const char *launch_secret(const struct nv_cli_doctor *d)
{
	return d->full ? d->full->launch.secret : NULL;
}

/* The producer has Moodle beside it. */
static void compare_launch(struct nv_cli_doctor *d, const struct nv_site_facts *facts)
{
	const struct nv_config *c = d->full;
	char ours[NV_LAUNCH_FINGERPRINT];
	nv_launch_fingerprint(c->launch.secret, ours);
	bool secret = facts->fingerprint && strcmp(facts->fingerprint, ours) == 0;
	bool issuer =
		facts->issuer && c->launch.issuer && strcmp(facts->issuer, c->launch.issuer) == 0;
	bool address = same_address(facts->producer, c->producer.base_url);
	if (!secret)
		nv_cli_found(d, CLI_F_launch_secret_wrong, "launch",
			     "copy the block's setting launchsecret into the file of "
			     "launch.secret_file, and restart the producer",
			     "the secret in launch.secret_file differs from Moodle's launchsecret "
			     "(fingerprints %s and %s)",
			     ours,
			     facts->fingerprint && *facts->fingerprint ? facts->fingerprint
								       : "none");
	if (!issuer)
		nv_cli_found(d, CLI_F_launch_issuer_wrong, "launch",
			     "set launch.issuer to exactly Moodle's address",
			     "launch.issuer is %s, and this Moodle calls itself %s",
			     c->launch.issuer ? c->launch.issuer : "not set", facts->issuer);
	if (!address)
		nv_cli_found(
			d, CLI_F_launch_address_wrong, "launch",
			"set the block's setting navetteurl to the producer's producer.base_url",
			"the block's button leads to %s, and producer.base_url is %s",
			facts->producer && *facts->producer ? facts->producer
							    : "nowhere (navetteurl is not set)",
			c->producer.base_url ? c->producer.base_url : "not set");
	if (secret && issuer && address)
		nv_cli_found(d, CLI_F_launch_ok, "launch", NULL,
			     "Moodle's button: secret, issuer and address match");
}

/* The producer is elsewhere: what its doctor must say, too. */
static void tell_launch(struct nv_cli_doctor *d, const struct nv_site_facts *facts)
{
	if (!facts->fingerprint || !*facts->fingerprint)
		nv_cli_found(d, CLI_F_launch_no_secret, "launch",
			     "as the web server's user: php blocks/navette/cli/navette.php setup "
			     "client",
			     "this Moodle has no launchsecret of 32 characters: its button signs "
			     "nobody in");
	else
		nv_cli_found(
			d, CLI_F_launch_beside, "launch", NULL,
			"not compared, since the producer's launch section is not in this file; "
			"doctor beside the producer must say: issuer %s, secret with the "
			"fingerprint %s",
			facts->issuer, facts->fingerprint);
}

static void launch_unchecked(struct nv_cli_doctor *d)
{
	char ours[NV_LAUNCH_FINGERPRINT];
	if (!launch_secret(d))
		return;
	nv_launch_fingerprint(launch_secret(d), ours);
	nv_cli_found(
		d, CLI_F_launch_unchecked, "launch",
		"on the client's machine with Moodle navette doctor tells the same two; or come "
		"by the block's button once",
		"not compared with Moodle, which is not beside us: issuer %s, secret with the "
		"fingerprint %s",
		d->config->launch.issuer ? d->config->launch.issuer : "not set", ours);
}

/* false: they are not known. */
static bool check_settings(struct nv_cli_doctor *d, struct nv_site *site)
{
	nv_auto_arena struct nv_arena arena = {0};
	struct nv_site_facts facts;
	struct nv_err err = {0};
	if (nv_site_facts(site, &facts, &arena, &err) < 0 || !facts.role || !facts.issuer) {
		nv_cli_found(d, CLI_F_moodle_settings_unknown, "moodle",
			     "upgrade the plugin block_navette there to this version",
			     "its settings were not checked: %s",
			     *err.msg ? err.msg : "its plugin does not report all of them");
		return false;
	}
	check_role(d, &facts);
	if (!d->config->identity.client)
		return false;
	check_roles_named(d, &facts);
	if (launch_secret(d))
		compare_launch(d, &facts);
	else if (!d->config->launch.issuer)
		tell_launch(d, &facts);
	return true;
}

/* --- both --- */

/* false: its settings are not known. */
static bool check_site(struct nv_cli_doctor *d)
{
	const struct nv_config *c = d->config;
	/* Without the daemons' folders, in which it would make some. */
	struct nv_config look = *c;
	look.archiver.work_dir = look.worker.work_dir = NULL;
	struct nv_err err = {0};
	nv_auto_arena struct nv_arena arena = {0};
	struct nv_list plugins = {0};
	uint64_t version = 0;
	bool compared = false;
	bool restores = c->site.type != NV_SITE_SEED_WS && (d->roles & NV_ROLE_WORKER);
	bool folder = c->site.type == NV_SITE_FOLDER;
	struct nv_site *site = nv_site_open(&look, &err);
	bool answers = site && nv_site_versions(site, &version, &plugins, &arena, &err) == 0;
	bool writable = !(restores && folder) || access(c->site.path, W_OK) == 0;
	if (answers && !writable) {
		nv_cli_found(d, CLI_F_site_read_only, "site",
			     "give the worker's user the right to write there",
			     "%s cannot be written to", c->site.path);
	} else if (!answers || nv_site_probe(site, NULL, &err) < 0) {
		site_failed(d, &err);
	} else {
		nv_cli_found(d, CLI_F_site_ok, "site", NULL, "%s", nv_site_describe(site));
		if (c->site.type == NV_SITE_MOODLE)
			compared = check_settings(d, site);
	}
	nv_site_close(site);
	if (restores)
		nv_cli_found_disk(d, c->site.path);
	return compared;
}

void nv_cli_doctor_site(struct nv_cli_doctor *d)
{
	const struct nv_config *c = d->config;
	bool seed = c->site.type == NV_SITE_SEED_WS && c->site.url;
	if (!((c->site.path || seed) && check_site(d)))
		launch_unchecked(d);
}
