/* SPDX-License-Identifier: GPL-3.0-or-later */
/* S3's documents, by libxml2: no entities, no network. */
#include <libxml/xmlreader.h>
#include <string.h>
#include <time.h>

#include "core/store/s3.h"

#define NAMES_MAX 4u
#define OPTIONS (XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING)

static bool is_named(const xmlNode *n, const char *name)
{
	return n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0;
}

/* In document order; names are compared without their namespace. */
static const xmlNode *next_node(const xmlNode *n, const xmlNode *top)
{
	if (n->children)
		return n->children;
	while (n != top && !n->next)
		n = n->parent;
	return n == top ? NULL : n->next;
}

static char *text_of(const xmlNode *n)
{
	xmlChar *text = xmlNodeGetContent(n);
	char *own = nv_strdup((const char *)text);
	xmlFree(text);
	return own;
}

static xmlDoc *parse(const void *xml, size_t len)
{
	return len && len < INT32_MAX ? xmlReadMemory(xml, (int)len, NULL, NULL, OPTIONS) : NULL;
}

char *nv_s3_text(const void *xml, size_t len, const char *name)
{
	xmlDoc *doc = parse(xml, len);
	const xmlNode *top = doc ? xmlDocGetRootElement(doc) : NULL;
	char *found = NULL;
	for (const xmlNode *n = top; n && !found; n = next_node(n, top))
		if (is_named(n, name))
			found = text_of(n);
	xmlFreeDoc(doc);
	return found;
}

static int tell(const xmlNode *item, const char *const *names,
		int (*cb)(void *arg, const char *const *values), void *arg)
{
	char *values[NAMES_MAX] = {0};
	for (const xmlNode *n = item->children; n; n = n->next)
		for (size_t i = 0; i < NAMES_MAX && names[i]; i++)
			if (!values[i] && is_named(n, names[i]))
				values[i] = text_of(n);
	int rc = cb(arg, (const char *const *)values);
	for (size_t i = 0; i < NAMES_MAX; i++)
		free(values[i]);
	return rc;
}

int nv_s3_each(const void *xml, size_t len, const char *item, const char *const *names,
	       int (*cb)(void *arg, const char *const *values), void *arg, struct nv_err *err)
{
	xmlDoc *doc = parse(xml, len);
	const xmlNode *top = doc ? xmlDocGetRootElement(doc) : NULL;
	int rc = 0;
	if (!top)
		rc = nv_fail(err, NV_RETRY, NV_R_store_unavailable,
			     "store: the server's answer is no XML");
	for (const xmlNode *n = top; n && rc == 0; n = next_node(n, top))
		if (is_named(n, item))
			rc = tell(n, names, cb, arg);
	xmlFreeDoc(doc);
	return rc < 0 ? -1 : 0;
}

uint64_t nv_s3_time(const char *text)
{
	struct tm tm = {0};
	if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
		return 0;
	time_t at = timegm(&tm);
	return at > 0 ? (uint64_t)at * 1000 : 0;
}
