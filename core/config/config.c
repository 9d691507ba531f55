/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading the configuration file: libyaml's document, walked by the table. */
#include "core/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#include "base/fs.h"
#include "core/config/config_table.h"

#define FILE_MAX ((size_t)1024 * 1024)
#define SHOWN_MAX 60

/* One mapping of the file and the rows that say what may be in it. */
struct map {
	struct nv_cfg_load *load;
	yaml_document_t *doc;
	const char *prefix; /* "broker", "clients[1]" */
	const struct nv_cfg_field *rows;
	size_t len;
	struct nv_cfg_given *given; /* as rows */
	void *base;
};

void nv_cfg_mistake(struct nv_cfg_load *l, size_t line, const char *key, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	nv_buf_printf(l->mistakes, "%s:%zu: %s%s%s\n", l->path, line ? line : 1, key,
		      *key ? ": " : "", text);
}

static size_t line_of(const yaml_node_t *node)
{
	return node->start_mark.line + 1;
}

static const char *text_of(const yaml_node_t *node)
{
	return (const char *)node->data.scalar.value;
}

/* `key:` with nothing behind, "~" and "null" are YAML's ways to say: no value. */
static bool is_null(const yaml_node_t *node)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};

	if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return false;
	for (size_t i = 0; i < NV_ARRAY_LEN(words); i++)
		if (strcmp(text_of(node), words[i]) == 0)
			return true;
	return false;
}

/* How a wrong value is named: quoted and short.  An address may hold a password: not shown then. */
static void describe(const struct nv_cfg_field *f, const yaml_node_t *node, struct nv_buf *out)
{
	const char *text;

	if (node->type != YAML_SCALAR_NODE) {
		nv_buf_puts(out, node->type == YAML_SEQUENCE_NODE ? "a list" : "a mapping");
	} else if (is_null(node)) {
		nv_buf_puts(out, "an empty value");
	} else {
		text = text_of(node);
		if (f->type == NV_CFG_URL && strchr(text, '@'))
			nv_buf_puts(out, "the address given");
		else
			nv_buf_printf(out, "\"%.*s%s\"", SHOWN_MAX, text,
				      strlen(text) > SHOWN_MAX ? "..." : "");
	}
}

static void wrong_value(const struct map *m, size_t row, const yaml_node_t *node, size_t line)
{
	const struct nv_cfg_field *f = &m->rows[row];
	nv_auto_free char *key = nv_asprintf("%s.%s", m->prefix, f->key);
	nv_auto_buf struct nv_buf what = {0};
	nv_auto_buf struct nv_buf allowed = {0};

	describe(f, node, &what);
	nv_cfg_allowed(f, &allowed);
	m->given[row].state = NV_CFG_BAD;
	nv_cfg_mistake(m->load, line, key, "%s is not %s%s", (char *)what.data,
		       f->list && node->type == YAML_MAPPING_NODE ? "a list of which each is " : "",
		       (char *)allowed.data);
}

/* A program reads only the secrets it uses: a host's programs run as different users.  The command
 * is also run by people who may not read them all, and does without those. */
static void take_secret(struct map *m, size_t row, const yaml_node_t *node, size_t line)
{
	const struct nv_cfg_field *f = &m->rows[row];
	nv_auto_free char *key = nv_asprintf("%s.%s", m->prefix, f->key);
	nv_auto_buf struct nv_buf allowed = {0};
	nv_auto_buf struct nv_buf why = {0};
	const char *path = text_of(node);
	const char *secret;

	if (path[0] != '/' || strlen(path) != node->data.scalar.length) {
		wrong_value(m, row, node, line);
		return;
	}
	if (!(m->load->roles & f->used) || getenv(f->env))
		return;
	if (m->load->roles == NV_ROLE_CLI && access(path, R_OK) < 0 && errno == EACCES)
		return;
	secret = nv_read_secret(&m->load->config->arena, path, &why);
	if (secret) {
		memcpy((char *)m->base + f->offset, &secret, sizeof secret);
		return;
	}
	m->given[row].state = NV_CFG_BAD;
	nv_cfg_allowed(f, &allowed);
	nv_cfg_mistake(m->load, line, key, "%s %s; allowed is %s", path, (char *)why.data,
		       (char *)allowed.data);
}

static void take_list(struct map *m, size_t row, const yaml_node_t *node, size_t line)
{
	const struct nv_cfg_field *f = &m->rows[row];
	struct nv_arena *a = &m->load->config->arena;
	size_t *count;
	const char ***list = nv_cfg_list(f, m->base, &count);
	const yaml_node_item_t *first = NULL;
	size_t len = 1;

	if (node->type == YAML_SEQUENCE_NODE) {
		first = node->data.sequence.items.start;
		len = (size_t)(node->data.sequence.items.top - first);
	}
	if (len == 0) { /* as good as not given: the default holds */
		m->given[row].state = NV_CFG_ABSENT;
		return;
	}
	*list = nv_arena_alloc(a, len * sizeof **list);
	*count = 0;
	for (size_t i = 0; i < len; i++) {
		const yaml_node_t *item = first ? yaml_document_get_node(m->doc, first[i]) : node;

		if (item->type != YAML_SCALAR_NODE || is_null(item) ||
		    nv_cfg_parse(f, a, text_of(item), item->data.scalar.length,
				 (void *)&(*list)[*count]) < 0)
			wrong_value(m, row, item, is_null(item) ? line : line_of(item));
		else
			(*count)++;
	}
}

static void take_value(struct map *m, size_t row, const yaml_node_t *node, size_t key_line)
{
	const struct nv_cfg_field *f = &m->rows[row];
	size_t line = is_null(node) ? key_line : line_of(node);

	bool fits = !is_null(node) &&
		    (f->list ? node->type != YAML_MAPPING_NODE : node->type == YAML_SCALAR_NODE);

	m->given[row] = (struct nv_cfg_given){NV_CFG_GOOD, line};
	if (fits && f->list) {
		take_list(m, row, node, line);
		return;
	}
	if (fits && f->type == NV_CFG_SECRET) {
		take_secret(m, row, node, line);
		return;
	}
	if (!fits || nv_cfg_parse(f, &m->load->config->arena, text_of(node),
				  node->data.scalar.length, (char *)m->base + f->offset) < 0)
		wrong_value(m, row, node, line);
}

/* Letters to change, add or leave out to get from a to b.  A beginning or an end left out is what
 * people do most (password for password_file): it counts little. */
static size_t distance(const char *a, const char *b)
{
	size_t row[64];
	size_t la = strlen(a);
	size_t lb = strnlen(b, NV_ARRAY_LEN(row) - 1);

	if (la >= 3 && la < lb && (memcmp(a, b, la) == 0 || memcmp(a, b + lb - la, la) == 0))
		return 1;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < lb; j++) {
			size_t best = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (diagonal + 1 < best)
				best = diagonal + 1;
			row[j + 1] = best;
		}
	}
	return row[lb];
}

static void unknown_key(const struct map *m, const yaml_node_t *node)
{
	nv_auto_free char *key = nv_asprintf("%s.%.*s", m->prefix, SHOWN_MAX, text_of(node));
	const char *nearest = NULL;
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < m->len; i++) {
		size_t d = distance(text_of(node), m->rows[i].key);

		if (d < best) {
			best = d;
			nearest = m->rows[i].key;
		}
	}
	nv_cfg_mistake(m->load, line_of(node), key, "there is no such key; the nearest is %s.%s",
		       m->rows[0].section, nearest);
}

static void unknown_section(struct nv_cfg_load *l, const yaml_node_t *node)
{
	nv_auto_free char *key = nv_asprintf("%.*s", SHOWN_MAX, text_of(node));
	const char *nearest = NULL;
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < nv_cfg_sections_len; i++) {
		size_t d = distance(text_of(node), nv_cfg_sections[i].name);

		if (d < best) {
			best = d;
			nearest = nv_cfg_sections[i].name;
		}
	}
	nv_cfg_mistake(l, line_of(node), key, "there is no such section; the nearest is %s",
		       nearest);
}

static void report_missing(const struct map *m, unsigned roles, size_t line)
{
	for (size_t i = 0; i < m->len; i++) {
		const struct nv_cfg_field *f = &m->rows[i];
		nv_auto_free char *key = nv_asprintf("%s.%s", m->prefix, f->key);
		nv_auto_buf struct nv_buf who = {0};
		nv_auto_buf struct nv_buf allowed = {0};

		if (!(f->required & roles) || m->given[i].state != NV_CFG_ABSENT)
			continue;
		nv_cfg_roles_text(f->required & roles, &who);
		nv_cfg_allowed(f, &allowed);
		nv_cfg_mistake(m->load, line, key, "is missing, needed by %s: %s%s",
			       (char *)who.data, f->list ? "one or more, each " : "",
			       (char *)allowed.data);
	}
}

static void walk_map(struct map *m, const yaml_node_t *node)
{
	for (yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *key = yaml_document_get_node(m->doc, p->key);
		const yaml_node_t *value = yaml_document_get_node(m->doc, p->value);
		size_t row = 0;

		if (key->type != YAML_SCALAR_NODE) {
			nv_cfg_mistake(m->load, line_of(key), m->prefix, "a key must be a word");
			continue;
		}
		while (row < m->len && strcmp(text_of(key), m->rows[row].key) != 0)
			row++;
		if (row == m->len) {
			unknown_key(m, key);
		} else if (m->given[row].line) {
			nv_auto_free char *name = nv_asprintf("%s.%s", m->prefix, text_of(key));

			nv_cfg_mistake(m->load, line_of(key), name,
				       "is there twice, first on line %zu", m->given[row].line);
		} else {
			take_value(m, row, value, line_of(key));
		}
	}
}

static void walk_item(struct nv_cfg_load *l, yaml_document_t *doc, const struct nv_cfg_section *s,
		      size_t number, const yaml_node_t *node, void *base)
{
	nv_auto_free char *prefix = nv_asprintf("%s[%zu]", s->name, number);
	struct nv_cfg_given given[NV_CFG_ITEM_FIELDS_MAX] = {0};
	struct map m = {l, doc, prefix, s->items, s->items_len, given, base};

	nv_cfg_defaults(s->items, s->items_len, &l->config->arena, base);
	if (node->type != YAML_MAPPING_NODE) {
		nv_cfg_mistake(l, line_of(node), prefix, "is not a mapping with a name");
		return;
	}
	walk_map(&m, node);
	report_missing(&m, ~0u, line_of(node));
}

static void walk_items(struct nv_cfg_load *l, yaml_document_t *doc, const struct nv_cfg_section *s,
		       const yaml_node_t *node)
{
	const yaml_node_item_t *first = node->data.sequence.items.start;
	size_t len = (size_t)(node->data.sequence.items.top - first);
	char *items = nv_arena_alloc(&l->config->arena, len * s->item_size);

	memcpy((char *)l->config + s->offset, &(void *){items}, sizeof(void *));
	memcpy((char *)l->config + s->len_offset, &len, sizeof len);
	for (size_t i = 0; i < len; i++)
		walk_item(l, doc, s, i + 1, yaml_document_get_node(doc, first[i]),
			  items + i * s->item_size);
}

static void walk_section(struct nv_cfg_load *l, yaml_document_t *doc, size_t number,
			 const yaml_node_t *node)
{
	const struct nv_cfg_section *s = &nv_cfg_sections[number];
	struct map m = {.load = l, .doc = doc, .prefix = s->name, .base = l->config};
	yaml_node_type_t wanted = s->items ? YAML_SEQUENCE_NODE : YAML_MAPPING_NODE;

	if (is_null(node))
		return;
	if (node->type != wanted) {
		l->sections[number].state = NV_CFG_BAD;
		nv_cfg_mistake(l, line_of(node), s->name, "is not %s",
			       s->items ? "a list of mappings" : "a mapping of keys to values");
		return;
	}
	if (s->items) {
		walk_items(l, doc, s, node);
		return;
	}
	m.rows = nv_cfg_rows(s, &m.len);
	m.given = l->fields + (m.rows - nv_cfg_fields);
	walk_map(&m, node);
}

static void walk_root(struct nv_cfg_load *l, yaml_document_t *doc, const yaml_node_t *root)
{
	if (!root || is_null(root))
		return;
	if (root->type != YAML_MAPPING_NODE) {
		nv_cfg_mistake(l, line_of(root), "", "the file is not a mapping of sections");
		return;
	}
	for (yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *key = yaml_document_get_node(doc, p->key);
		size_t i = 0;

		if (key->type != YAML_SCALAR_NODE) {
			nv_cfg_mistake(l, line_of(key), "", "a section must be a word");
			continue;
		}
		while (i < nv_cfg_sections_len &&
		       strcmp(text_of(key), nv_cfg_sections[i].name) != 0)
			i++;
		if (i == nv_cfg_sections_len) {
			unknown_section(l, key);
		} else if (l->sections[i].line) {
			nv_cfg_mistake(l, line_of(key), text_of(key),
				       "is there twice, first on line %zu", l->sections[i].line);
		} else {
			l->sections[i] = (struct nv_cfg_given){NV_CFG_GOOD, line_of(key)};
			walk_section(l, doc, i, yaml_document_get_node(doc, p->value));
		}
	}
}

/* Keys that are missing, section by section; those of a section that was no mapping are not named
 * on top of that. */
static void check_missing(struct nv_cfg_load *l)
{
	for (size_t i = 0; i < nv_cfg_sections_len; i++) {
		const struct nv_cfg_section *s = &nv_cfg_sections[i];
		struct map m = {.load = l, .prefix = s->name};
		nv_auto_buf struct nv_buf who = {0};
		size_t len;

		if (l->sections[i].state == NV_CFG_BAD)
			continue;
		if (!s->items) {
			m.rows = nv_cfg_rows(s, &m.len);
			m.given = l->fields + (m.rows - nv_cfg_fields);
			report_missing(&m, l->roles, l->sections[i].line);
			continue;
		}
		memcpy(&len, (char *)l->config + s->len_offset, sizeof len);
		if (len > 0 || !(s->required & l->roles))
			continue;
		nv_cfg_roles_text(s->required & l->roles, &who);
		nv_cfg_mistake(l, l->sections[i].line, s->name,
			       "is missing, needed by %s: a list of one or more", (char *)who.data);
	}
}

/* The variable goes before the file, also where no file is named. */
static void take_environment(struct nv_cfg_load *l)
{
	for (size_t i = 0; i < nv_cfg_fields_len; i++) {
		const struct nv_cfg_field *f = &nv_cfg_fields[i];
		const char *text = f->env ? getenv(f->env) : NULL;

		if (!text || !(f->used & l->roles))
			continue;
		text = nv_arena_strdup(&l->config->arena, text);
		memcpy((char *)l->config + f->offset, &text, sizeof text);
	}
}

/* A file is one document; false when libyaml cannot read it. */
static void parse_file(struct nv_cfg_load *l, const struct nv_buf *text)
{
	yaml_parser_t parser;
	yaml_document_t doc;

	if (!yaml_parser_initialize(&parser))
		abort(); /* no memory */
	yaml_parser_set_input_string(&parser, text->data, text->len);
	if (!yaml_parser_load(&parser, &doc)) {
		nv_cfg_mistake(l, parser.problem_mark.line + 1, "", "not valid YAML: %s%s%s",
			       parser.context ? parser.context : "", parser.context ? ", " : "",
			       parser.problem ? parser.problem : "unknown problem");
		yaml_parser_delete(&parser);
		return;
	}
	walk_root(l, &doc, yaml_document_get_root_node(&doc));
	yaml_document_delete(&doc);
	if (!yaml_parser_load(&parser, &doc)) {
		nv_cfg_mistake(l, parser.problem_mark.line + 1, "", "not valid YAML: %s",
			       parser.problem ? parser.problem : "unknown problem");
	} else {
		const yaml_node_t *more = yaml_document_get_root_node(&doc);

		if (more)
			nv_cfg_mistake(l, line_of(more), "", "a second document in the file");
		yaml_document_delete(&doc);
	}
	yaml_parser_delete(&parser);
}

static void note_given(struct nv_cfg_load *l)
{
	bool *given = nv_arena_alloc(&l->config->arena, nv_cfg_fields_len * sizeof *given);

	for (size_t i = 0; i < nv_cfg_fields_len; i++)
		given[i] = l->fields[i].state == NV_CFG_GOOD;
	l->config->given = given;
}

struct nv_config *nv_config_load(const char *path, unsigned roles, struct nv_buf *ret_mistakes)
{
	struct nv_config *c = nv_alloc(sizeof *c);
	nv_auto_free struct nv_cfg_given *fields = nv_alloc(nv_cfg_fields_len * sizeof *fields);
	nv_auto_free struct nv_cfg_given *sections =
		nv_alloc(nv_cfg_sections_len * sizeof *sections);
	nv_auto_buf struct nv_buf text = {0};
	nv_auto_buf struct nv_buf mistakes = {0};
	struct nv_cfg_load l = {c, path, roles, &mistakes, fields, sections};
	struct nv_err err;

	c->path = nv_arena_strdup(&c->arena, path);
	nv_cfg_defaults(nv_cfg_fields, nv_cfg_fields_len, &c->arena, c);
	if (nv_read_file(path, FILE_MAX, &text, &err) < 0) {
		nv_buf_printf(&mistakes, "%s: %s\n", path, err.msg);
	} else {
		parse_file(&l, &text);
		take_environment(&l);
		check_missing(&l);
		nv_cfg_check(&l);
	}
	if (mistakes.len > 0) {
		nv_buf_put(ret_mistakes, mistakes.data, mistakes.len);
		nv_config_free(c);
		return NULL;
	}
	note_given(&l);
	return c;
}

void nv_config_free(struct nv_config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < nv_cfg_fields_len; i++) {
		char *secret;

		if (nv_cfg_fields[i].type != NV_CFG_SECRET)
			continue;
		memcpy(&secret, (char *)c + nv_cfg_fields[i].offset, sizeof secret);
		if (secret)
			explicit_bzero(secret, strlen(secret));
	}
	nv_arena_fini(&c->arena);
	free(c);
}

const struct nv_config_client *nv_config_client(const struct nv_config *c, const char *name)
{
	for (size_t i = 0; name && i < c->clients_len; i++)
		if (strcmp(c->clients[i].name, name) == 0)
			return &c->clients[i];
	return NULL;
}

const struct nv_config_site *nv_config_site(const struct nv_config *c, const char *name)
{
	for (size_t i = 0; name && i < c->sites_len; i++)
		if (strcmp(c->sites[i].name, name) == 0)
			return &c->sites[i];
	return NULL;
}
