/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Folders above an object.
 *
 * nginx with create_full_put_path makes them; other servers answer a PUT with 409 when the folder
 * is missing, and that comes after the body, which cannot be had twice.  So folders are made by
 * MKCOL wherever the server lets us, which is found out once, with a name that nobody else uses:
 * whether a PUT into a missing folder succeeds would say nothing, since another thread or archiver
 * may make that folder at the same moment. */
#include <string.h>

#include "base/id.h"
#include "core/store/webdav.h"

#define KNOWN_MAX 4096u

static bool is_known(struct nv_dav *dav, const char *folder)
{
	bool found = false;
	pthread_mutex_lock(&dav->lock);
	for (size_t i = 0; i < dav->known_len && !found; i++)
		found = strcmp(dav->known[i], folder) == 0;
	pthread_mutex_unlock(&dav->lock);
	return found;
}

static void forget_known(struct nv_dav *dav)
{
	while (dav->known_len)
		free(dav->known[--dav->known_len]);
}

static void remember(struct nv_dav *dav, const char *folder)
{
	pthread_mutex_lock(&dav->lock);
	if (dav->known_len == KNOWN_MAX) /* start anew: MKCOL of a known one does no harm */
		forget_known(dav);
	if (!dav->known)
		dav->known = nv_alloc(KNOWN_MAX * sizeof(char *));
	dav->known[dav->known_len++] = nv_strdup(folder);
	pthread_mutex_unlock(&dav->lock);
}

void nv_dav_folders_forget(struct nv_dav *dav)
{
	pthread_mutex_lock(&dav->lock);
	forget_known(dav);
	dav->folders = NV_DAV_FOLDERS_UNKNOWN;
	pthread_mutex_unlock(&dav->lock);
}

static enum nv_dav_folders folders_state(struct nv_dav *dav)
{
	pthread_mutex_lock(&dav->lock);
	enum nv_dav_folders state = dav->folders;
	pthread_mutex_unlock(&dav->lock);
	return state;
}

/* A request without a body.  *ret_status; -1 where no answer came, or one that tells nothing about
 * the folder. */
static int plain_request(struct nv_dav *dav, const char *verb, const char *key,
			 const struct nv_job *job, int *ret_status, struct nv_err *err)
{
	struct nv_web_call c;
	nv_web_begin(&c, &dav->web, verb, key, job);
	if (strcmp(verb, "HEAD") == 0)
		curl_easy_setopt(c.curl, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(c.curl, CURLOPT_CUSTOMREQUEST, verb);
	int rc = nv_web_perform(&c, NULL, err);
	*ret_status = c.status;
	if (rc == 0 && (c.status == 401 || (c.status >= 500 && c.status != 501)))
		rc = nv_web_refused(&c, err);
	nv_web_end(&c);
	return rc;
}

static bool made(int status)
{
	return status >= 200 && status < 300;
}

/* Does the server do MKCOL for us?  Asked for a folder in one that is not there, so that nothing is
 * made: where MKCOL is understood the answer is 409. */
static int find_out(struct nv_dav *dav, const char *folder, const struct nv_job *job,
		    struct nv_err *err)
{
	char token[NV_TOKEN_SIZE];
	int status = 0;
	int unused = 0;
	nv_token_new(token);
	nv_auto_free char *key = nv_asprintf("%s.probe-%s/", folder, token);
	if (plain_request(dav, "MKCOL", key, job, &status, err) < 0)
		return -1;
	/* Somebody has made the folder meanwhile. */
	if (made(status) && plain_request(dav, "DELETE", key, job, &unused, err) < 0)
		return -1;
	pthread_mutex_lock(&dav->lock);
	dav->folders = made(status) || status == 409 || status == 404 ? NV_DAV_FOLDERS_OURS
								      : NV_DAV_FOLDERS_SERVERS;
	pthread_mutex_unlock(&dav->lock);
	return 0;
}

/* MKCOL from the top. */
static int make_folders(struct nv_dav *dav, const char *folder, const struct nv_job *job,
			struct nv_err *err)
{
	for (const char *slash = strchr(folder, '/'); slash; slash = strchr(slash + 1, '/')) {
		nv_auto_free char *one = nv_strndup(folder, (size_t)(slash - folder) + 1);
		int status = 0;
		if (is_known(dav, one))
			continue;
		if (plain_request(dav, "MKCOL", one, job, &status, err) < 0)
			return -1;
		/* 405: it is there already.  403: above what is ours, it is as well. */
		if (!made(status) && status != 405 && (status != 403 || !slash[1]))
			return nv_fail(err, NV_RETRY,
				       status == 403 ? NV_R_store_denied : NV_R_store_unavailable,
				       "store: MKCOL %s: the server answers %d", one, status);
		remember(dav, one);
	}
	return 0;
}

int nv_dav_folders_for(struct nv_dav *dav, const char *key, const struct nv_job *job,
		       struct nv_err *err)
{
	const char *slash = strrchr(key, '/');
	if (!slash || folders_state(dav) == NV_DAV_FOLDERS_SERVERS)
		return 0;
	nv_auto_free char *folder = nv_strndup(key, (size_t)(slash - key) + 1);
	if (is_known(dav, folder))
		return 0;
	if (folders_state(dav) == NV_DAV_FOLDERS_UNKNOWN) {
		int status = 0;
		if (plain_request(dav, "HEAD", folder, job, &status, err) < 0)
			return -1;
		if (status != 404) {
			remember(dav, folder);
			return 0;
		}
		if (find_out(dav, folder, job, err) < 0)
			return -1;
	}
	if (folders_state(dav) == NV_DAV_FOLDERS_SERVERS)
		return 0;
	return make_folders(dav, folder, job, err);
}
