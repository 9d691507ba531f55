/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The local accounts as the file has them now: a change takes effect with the next request, so that
 * whoever is removed or demoted is so at once. */
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "producer/app.h"
#include "producer/session/people.h"

struct people {
	const char *path;
	struct nv_accounts accounts;
	struct stat seen;
};

static bool changed(const struct stat *a, const struct stat *b)
{
	return a->st_ino != b->st_ino || a->st_dev != b->st_dev || a->st_size != b->st_size ||
	       a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

struct people *nv_people_new(struct app *app, struct nv_err *err)
{
	struct people *p = nv_alloc(sizeof *p);
	p->path = app->config->producer.accounts_file;
	stat(p->path, &p->seen);
	if (nv_accounts_load(p->path, &p->accounts, err) < 0) {
		free(p);
		return NULL;
	}
	return p;
}

void nv_people_free(struct people *p)
{
	if (!p)
		return;
	nv_accounts_fini(&p->accounts);
	free(p);
}

/* What was good stays when the new file is not. */
static void refresh(struct people *p)
{
	struct stat now = {0};
	if (stat(p->path, &now) == 0 && !changed(&now, &p->seen))
		return;
	struct nv_accounts fresh;
	struct nv_err err;
	bool first = changed(&now, &p->seen);
	p->seen = now;
	if (nv_accounts_load(p->path, &fresh, &err) < 0) {
		if (first)
			NV_LOG(NV_ERROR, "accounts.refused", NV_E(&err));
		return;
	}
	nv_accounts_fini(&p->accounts);
	p->accounts = fresh;
	NV_LOG(NV_INFO, "accounts.read", NV_S("file", p->path), NV_U("accounts", fresh.len));
}

const struct nv_account *nv_people_find(struct app *app, const char *username)
{
	refresh(app->people);
	return nv_accounts_find(&app->people->accounts, username);
}

const char *nv_people_identity(const struct app *app, const struct nv_account *a)
{
	const char *field = app->config->restore.user_field;
	return field && strcmp(field, "email") == 0 && a->mail ? a->mail : a->username;
}

const struct nv_account *nv_people_find_identity(struct app *app, const char *identity)
{
	const struct nv_accounts *all = &app->people->accounts;
	refresh(app->people);
	for (size_t i = 0; i < all->len; i++)
		if (strcmp(nv_people_identity(app, &all->items[i]), identity) == 0)
			return &all->items[i];
	return NULL;
}
