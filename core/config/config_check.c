/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What cannot be seen in one value alone: names given twice, keys that need one another, and plain
 * connections to other machines.  A key that was wrong already is not named a second time. */
#include "base/address.h"
#include "core/config/config_table.h"

#include <string.h>

void nv_cfg_roles_text(unsigned roles, struct nv_buf *out)
{
	static const char *const names[] = {"producer", "archiver", "worker", "command"};
	bool first = true;

	for (unsigned i = 0; i < NV_ARRAY_LEN(names); i++) {
		if (!(roles & 1u << i))
			continue;
		roles &= ~(1u << i);
		nv_buf_printf(out, "%sthe %s", first ? "" : roles ? ", " : " and ", names[i]);
		first = false;
	}
}

static const struct nv_cfg_given *given(const struct nv_cfg_load *l, const char *section,
					const char *key)
{
	for (size_t i = 0; i < nv_cfg_fields_len; i++)
		if (strcmp(nv_cfg_fields[i].section, section) == 0 &&
		    strcmp(nv_cfg_fields[i].key, key) == 0)
			return &l->fields[i];
	abort(); /* the row was renamed and this file forgotten */
}

static size_t section_line(const struct nv_cfg_load *l, const char *name)
{
	for (size_t i = 0; i < nv_cfg_sections_len; i++)
		if (strcmp(nv_cfg_sections[i].name, name) == 0)
			return l->sections[i].line;
	return 0;
}

/* A connection that others on the way could read or change. */
static void check_plain(struct nv_cfg_load *l, const char *section, const char *key,
			const char *text, bool allowed, const char *allow_key)
{
	const struct nv_cfg_given *g = given(l, section, key);
	nv_auto_free char *name = nv_asprintf("%s.%s", section, key);
	struct nv_cfg_url url;
	size_t len;

	if (!text || !*text || allowed || g->state == NV_CFG_BAD ||
	    given(l, section, allow_key)->state == NV_CFG_BAD || nv_cfg_url_split(text, &url) < 0)
		return;
	len = strlen(url.scheme);
	if (url.scheme[len - 1] == 's' || nv_host_is_loopback(url.host))
		return;
	nv_cfg_mistake(l, g->line, name,
		       "%s:// to %s is not encrypted; allowed is %ss://, this machine, or %s.%s: "
		       "yes",
		       url.scheme, url.host, url.scheme, section, allow_key);
}

static void check_connections(struct nv_cfg_load *l)
{
	const struct nv_config *c = l->config;
	const struct nv_cfg_given *host = given(l, "redis", "host");

	for (size_t i = 0; i < c->broker.uris_len; i++)
		check_plain(l, "broker", "uris", c->broker.uris[i], c->broker.allow_plain,
			    "allow_plain");
	check_plain(l, "broker", "management_url", c->broker.management_url, c->broker.allow_plain,
		    "allow_plain");
	check_plain(l, "store", "url", c->store.url, c->store.allow_plain, "allow_plain");
	check_plain(l, "site", "url", c->site.url, c->site.allow_plain, "allow_plain");
	for (size_t i = 0; i < c->redis.sentinels_len; i++)
		check_plain(l, "redis", "sentinels", c->redis.sentinels[i], c->redis.allow_remote,
			    "allow_remote");
	if (!c->redis.sentinels_len && !c->redis.socket && !c->redis.allow_remote &&
	    !nv_host_is_loopback(c->redis.host) &&
	    given(l, "redis", "socket")->state != NV_CFG_BAD &&
	    given(l, "redis", "allow_remote")->state != NV_CFG_BAD)
		nv_cfg_mistake(l, host->line, "redis.host",
			       "the connection to %s is not encrypted; allowed is this machine, or "
			       "redis.allow_remote: yes",
			       c->redis.host);
}

/* Both or none. */
static void check_pair(struct nv_cfg_load *l, const char *section, const char *one,
		       const char *other)
{
	const struct nv_cfg_given *a = given(l, section, one);
	const struct nv_cfg_given *b = given(l, section, other);
	bool second = a->state == NV_CFG_ABSENT;
	nv_auto_free char *key = nv_asprintf("%s.%s", section, second ? one : other);

	if ((second ? b : a)->state != NV_CFG_GOOD || (second ? a : b)->state != NV_CFG_ABSENT)
		return;
	nv_cfg_mistake(l, second ? b->line : a->line, key, "is missing, needed by %s.%s", section,
		       second ? other : one);
}

static void check_store(struct nv_cfg_load *l)
{
	const struct nv_config *c = l->config;
	static const struct {
		const char *word, *needs[5];
	} types[] = {
		[NV_STORE_DIRECTORY] = {"directory", {"path"}},
		[NV_STORE_WEBDAV] = {"webdav", {"url"}},
		[NV_STORE_S3] = {"s3", {"url", "bucket", "user", "password_file"}},
	};
	const struct nv_cfg_given *type = given(l, "store", "type");

	check_pair(l, "store", "cert_file", "cert_key_file");
	if (type->state != NV_CFG_GOOD ||
	    !(l->roles & (NV_ROLE_ARCHIVER | NV_ROLE_WORKER | NV_ROLE_PRODUCER)))
		return;
	for (const char *const *key = types[c->store.type].needs; *key; key++) {
		nv_auto_free char *name = nv_asprintf("store.%s", *key);
		if (given(l, "store", *key)->state == NV_CFG_ABSENT)
			nv_cfg_mistake(l, type->line, name,
				       "is missing, needed by a store of type %s",
				       types[c->store.type].word);
	}
}

static void need_of_site(struct nv_cfg_load *l, const char *key, const char *type)
{
	nv_auto_free char *name = nv_asprintf("site.%s", key);

	if (given(l, "site", key)->state == NV_CFG_ABSENT)
		nv_cfg_mistake(l, given(l, "site", "type")->line, name,
			       "is missing, needed by a site of type %s", type);
}

/* The older block gives courses away and takes none, and knows people by their user name. */
static void check_seed_ws(struct nv_cfg_load *l)
{
	const struct nv_config *c = l->config;
	size_t line = given(l, "site", "type")->line;

	if (l->roles & NV_ROLE_WORKER)
		nv_cfg_mistake(
			l, line, "site.type",
			"\"seed-ws\" is for an archiver; courses are restored into a site of "
			"type folder or moodle");
	if (!(l->roles & NV_ROLE_ARCHIVER))
		return;
	need_of_site(l, "url", "seed-ws");
	if (!c->site.token && given(l, "site", "token_file")->state == NV_CFG_ABSENT)
		nv_cfg_mistake(
			l, line, "site.token_file",
			"is missing, needed by a site of type seed-ws (or NAVETTE_SITE_TOKEN "
			"in the environment)");
	if (strcmp(c->restore.user_field, "username") != 0 &&
	    given(l, "restore", "user_field")->state == NV_CFG_GOOD)
		nv_cfg_mistake(
			l, given(l, "restore", "user_field")->line, "restore.user_field",
			"\"%s\" cannot be asked of a site of type seed-ws; allowed is username",
			c->restore.user_field);
}

static void check_site(struct nv_cfg_load *l)
{
	static const char *const names[] = {"folder", "moodle"};
	enum nv_site_type type = l->config->site.type;

	if (given(l, "site", "type")->state != NV_CFG_GOOD ||
	    !(l->roles & (NV_ROLE_ARCHIVER | NV_ROLE_WORKER)))
		return;
	if (type == NV_SITE_SEED_WS)
		check_seed_ws(l);
	else
		need_of_site(l, "path", names[type]);
}

/* A Moodle has a setting of its own for it. */
static void check_default_category(struct nv_cfg_load *l)
{
	if (!(l->roles & NV_ROLE_WORKER) || l->config->site.type != NV_SITE_FOLDER ||
	    given(l, "site", "type")->state == NV_CFG_BAD ||
	    given(l, "restore", "default_category")->state != NV_CFG_ABSENT)
		return;
	nv_cfg_mistake(l, section_line(l, "restore"), "restore.default_category",
		       "is missing, needed by a site of type folder");
}

static void check_notify(struct nv_cfg_load *l)
{
	struct nv_config *c = l->config;
	const struct nv_cfg_given *url = given(l, "notify", "smtp_url");
	struct nv_cfg_url to;

	if (*c->notify.smtp_url && given(l, "notify", "mail_from")->state == NV_CFG_ABSENT)
		nv_cfg_mistake(l, url->line, "notify.mail_from",
			       "is missing, needed by notify.smtp_url");
	/* A mail server on this machine has seldom a certificate for its address. */
	if (c->notify.smtp_tls == NV_SMTP_TLS_AUTO && *c->notify.smtp_url &&
	    url->state != NV_CFG_BAD && nv_cfg_url_split(c->notify.smtp_url, &to) == 0)
		c->notify.smtp_tls =
			nv_host_is_loopback(to.host) ? NV_SMTP_TLS_OFF : NV_SMTP_TLS_REQUIRED;
}

/* A token read in transit could be used to sign in. */
static void check_launch_plain(struct nv_cfg_load *l)
{
	const struct nv_cfg_given *g = given(l, "producer", "base_url");
	struct nv_cfg_url url;

	if (g->state != NV_CFG_GOOD || nv_cfg_url_split(l->config->producer.base_url, &url) < 0 ||
	    strcmp(url.scheme, "https") == 0 || nv_host_is_loopback(url.host))
		return;
	nv_cfg_mistake(l, g->line, "producer.base_url",
		       "%s:// to %s is not encrypted; allowed with launch.secret_file is "
		       "https://, or this machine",
		       url.scheme, url.host);
}

/* Without an address of its own a producer could not tell that a token is meant for it. */
static void check_launch(struct nv_cfg_load *l)
{
	const struct nv_config *c = l->config;
	const struct nv_cfg_given *secret = given(l, "launch", "secret_file");

	if (!c->launch.secret)
		return;
	if (strlen(c->launch.secret) < 32)
		nv_cfg_mistake(l, secret->line, "launch.secret_file",
			       "holds %zu bytes; allowed is 32 or more", strlen(c->launch.secret));
	if (given(l, "launch", "issuer")->state == NV_CFG_ABSENT)
		nv_cfg_mistake(l, secret->line, "launch.issuer",
			       "is missing, needed by launch.secret_file");
	if (given(l, "producer", "base_url")->state == NV_CFG_ABSENT)
		nv_cfg_mistake(l, secret->line, "producer.base_url",
			       "is missing, needed by launch.secret_file");
	check_launch_plain(l);
}

static void check_doubled_texts(struct nv_cfg_load *l, const char *key, const char **list,
				size_t len)
{
	nv_auto_free char *name = nv_asprintf("broker.%s", key);

	for (size_t i = 0; i < len; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(list[i], list[j]) == 0)
				nv_cfg_mistake(l, given(l, "broker", key)->line, name,
					       "\"%s\" is there twice; allowed is each name once",
					       list[i]);
}

/* Items of clients and sites begin with their name. */
static void check_doubled_items(struct nv_cfg_load *l, const char *section,
				const char *const *names, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		nv_auto_free char *key = nv_asprintf("%s[%zu].name", section, i + 1);

		for (size_t j = 0; names[i] && j < i; j++)
			if (names[j] && strcmp(names[i], names[j]) == 0)
				nv_cfg_mistake(l, section_line(l, section), key,
					       "\"%s\" is there twice; allowed is each name once",
					       names[i]);
	}
}

static void check_names(struct nv_cfg_load *l)
{
	struct nv_config *c = l->config;
	const char **names =
		nv_arena_alloc(&c->arena, (c->clients_len + c->sites_len) * sizeof *names);

	for (size_t i = 0; i < c->clients_len; i++)
		names[i] = c->clients[i].name;
	check_doubled_items(l, "clients", names, c->clients_len);
	for (size_t i = 0; i < c->sites_len; i++) {
		names[i] = c->sites[i].name;
		if (!c->sites[i].label)
			c->sites[i].label = c->sites[i].name;
	}
	check_doubled_items(l, "sites", names, c->sites_len);
	check_doubled_texts(l, "clients", c->broker.clients, c->broker.clients_len);
	check_doubled_texts(l, "sites", c->broker.sites, c->broker.sites_len);
}

void nv_cfg_check(struct nv_cfg_load *l)
{
	check_connections(l);
	check_pair(l, "broker", "cert_file", "cert_key_file");
	check_store(l);
	check_site(l);
	check_default_category(l);
	check_notify(l);
	check_launch(l);
	check_names(l);
}
