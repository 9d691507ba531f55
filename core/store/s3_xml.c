/* SPDX-License-Identifier: GPL-3.0-or-later */
/* S3's documents. */
#include <string.h>
#include <time.h>

#include "base/xml.h"
#include "core/store/s3.h"

#define NAMES_MAX 4u

/* --- one text --- */

struct looking {
	const char *name;
	char *found;
};

static bool look_at(void *arg, const char *const *names, unsigned depth, const char *text)
{
	struct looking *l = arg;
	if (strcmp(names[depth - 1], l->name) != 0)
		return false;
	l->found = nv_strdup(text);
	return true;
}

char *nv_s3_text(const void *xml, size_t len, const char *name)
{
	struct looking l = {.name = name};
	nv_xml_walk(xml, len, look_at, &l);
	return l.found;
}

/* --- a list --- */

struct telling {
	const char *item;
	const char *const *names;
	int (*cb)(void *arg, const char *const *values);
	void *arg;
	int rc;
	char *values[NAMES_MAX]; /* of the item that is being read */
};

static void forget(struct telling *t)
{
	for (size_t i = 0; i < NAMES_MAX; i++) {
		free(t->values[i]);
		t->values[i] = NULL;
	}
}

static bool tell(void *arg, const char *const *names, unsigned depth, const char *text)
{
	struct telling *t = arg;
	if (strcmp(names[depth - 1], t->item) == 0) {
		t->rc = t->cb(t->arg, (const char *const *)t->values);
		forget(t);
		return t->rc != 0;
	}
	if (depth < 2 || strcmp(names[depth - 2], t->item) != 0)
		return false;
	for (size_t i = 0; i < NAMES_MAX && t->names[i]; i++)
		if (!t->values[i] && strcmp(names[depth - 1], t->names[i]) == 0)
			t->values[i] = nv_strdup(text);
	return false;
}

int nv_s3_each(const void *xml, size_t len, const char *item, const char *const *names,
	       int (*cb)(void *arg, const char *const *values), void *arg, struct nv_err *err)
{
	struct telling t = {.item = item, .names = names, .cb = cb, .arg = arg};
	struct nv_xml *x = nv_xml_new(NV_S3_ANSWER_MAX, tell, &t);
	nv_xml_feed(x, xml, len);
	enum nv_xml_state state = nv_xml_end(x);
	if (state == NV_XML_BROKEN || state == NV_XML_REFUSED)
		t.rc = nv_fail(err, NV_RETRY, NV_R_store_unavailable,
			       "store: the server's answer %s", nv_xml_why(x));
	nv_xml_free(x);
	forget(&t);
	return t.rc < 0 ? -1 : 0;
}

uint64_t nv_s3_time(const char *text)
{
	struct tm tm = {0};
	if (!text || !strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
		return 0;
	time_t at = timegm(&tm);
	return at > 0 ? (uint64_t)at * 1000 : 0;
}
