/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker/restore/known_plugins.h"

#include <pthread.h>
#include <string.h>

#include "base/id.h"

#define LASTS_MS 600000u
#define MOST 2000u /* more than a Moodle has plugins: begin anew */

struct plugin {
	char *name;
	uint64_t until; /* nv_mono_ms */
	bool there;	/* false: a course was accepted whose request leaves out what is lacking */
};

struct known_plugins {
	pthread_mutex_t mutex;
	struct plugin *plugins;
	size_t len;
};

struct known_plugins *nv_known_plugins_new(void)
{
	struct known_plugins *a = nv_alloc(sizeof *a);
	pthread_mutex_init(&a->mutex, NULL);
	return a;
}

static void forget(struct known_plugins *a)
{
	for (size_t i = 0; i < a->len; i++)
		free(a->plugins[i].name);
	a->len = 0;
}

void nv_known_plugins_free(struct known_plugins *a)
{
	if (!a)
		return;
	forget(a);
	free(a->plugins);
	pthread_mutex_destroy(&a->mutex);
	free(a);
}

static struct plugin *find(const struct known_plugins *a, const char *name)
{
	for (size_t i = 0; i < a->len; i++)
		if (strcmp(a->plugins[i].name, name) == 0)
			return &a->plugins[i];
	return NULL;
}

bool nv_known_plugins_all(struct known_plugins *a, const struct nv_list *needs, bool leave_out)
{
	const struct nv_plugin *n = needs->items;
	uint64_t now = nv_mono_ms();
	bool all = true;
	pthread_mutex_lock(&a->mutex);
	for (size_t i = 0; all && i < needs->len; i++) {
		const struct plugin *p = find(a, n[i].name);
		all = p && p->until > now && (p->there || leave_out);
	}
	pthread_mutex_unlock(&a->mutex);
	return all;
}

void nv_known_plugins_add(struct known_plugins *a, const struct nv_list *needs, bool leave_out)
{
	const struct nv_plugin *n = needs->items;
	uint64_t now = nv_mono_ms();
	pthread_mutex_lock(&a->mutex);
	if (a->len + needs->len > MOST)
		forget(a);
	a->plugins = nv_realloc(a->plugins, (a->len + needs->len + 1) * sizeof *a->plugins);
	for (size_t i = 0; i < needs->len; i++) {
		struct plugin *p = find(a, n[i].name);
		if (!p) {
			p = &a->plugins[a->len++];
			*p = (struct plugin){.name = nv_strdup(n[i].name)};
		}
		if (leave_out && p->there && p->until > now)
			continue; /* that says more */
		p->there = !leave_out;
		p->until = now + LASTS_MS;
	}
	pthread_mutex_unlock(&a->mutex);
}
