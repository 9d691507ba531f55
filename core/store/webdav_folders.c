/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Folders above an object.
 *
 * nginx with create_full_put_path makes them; other servers answer a PUT with 409 when the folder
 * is missing, and that comes after the body, which cannot be had twice.  So it is found out once,
 * with an empty object in the first missing folder, and MKCOL used from then on where it is needed.
 */
#include <string.h>

#include "core/base/id.h"
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

static void remember(struct nv_dav *dav, const char *folder)
{
	pthread_mutex_lock(&dav->lock);
	if (dav->known_len == KNOWN_MAX) /* start anew: MKCOL of a known one does no harm */
		while (dav->known_len)
			free(dav->known[--dav->known_len]);
	if (!dav->known)
		dav->known = nv_alloc(KNOWN_MAX * sizeof(char *));
	dav->known[dav->known_len++] = nv_strdup(folder);
	pthread_mutex_unlock(&dav->lock);
}

static enum nv_dav_folders folders_state(struct nv_dav *dav)
{
	pthread_mutex_lock(&dav->lock);
	enum nv_dav_folders state = dav->folders;
	pthread_mutex_unlock(&dav->lock);
	return state;
}

/* An own verb, without a body.  *ret_status; -1 where no answer came or it says that we may not. */
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
	/* HEAD of a folder is forbidden where listing is off: still an answer. */
	if (rc == 0 &&
	    (c.status >= 500 || c.status == 401 || (c.status == 403 && strcmp(verb, "HEAD") != 0)))
		rc = nv_web_refused(&c, err);
	nv_web_end(&c);
	return rc;
}

static ssize_t nothing_read(void *ctx, void *buf, size_t len, struct nv_err *err)
{
	(void)ctx;
	(void)buf;
	(void)len;
	(void)err;
	return 0;
}

/* Is an empty object accepted in a folder that is not there? */
static int probe(struct nv_dav *dav, const char *folder, const struct nv_job *job,
		 struct nv_err *err)
{
	char token[NV_TOKEN_SIZE];
	nv_token_new(token);
	nv_auto_free char *key = nv_asprintf("%s.probe-%s", folder, token);
	struct nv_expect expect = {.size = 0};
	struct nv_source from = {.read_cb = nothing_read};
	struct nv_intake in;
	struct nv_web_call c;
	nv_intake_init(&in, key, &from, &expect);
	nv_web_begin(&c, &dav->web, "put", key, job);
	struct nv_source body = nv_intake_source(&in);
	nv_web_upload(&c, &body, 0, false);
	int rc = nv_web_perform(&c, NULL, err);
	int status = c.status;
	/* For a missing folder RFC 4918 has 409, nginx says 500: only what surely means something
	 * else is an error here. */
	if (rc == 0 && (status == 401 || status == 403 || status == 503 || status == 507))
		rc = nv_web_refused(&c, err);
	nv_web_end(&c);
	nv_intake_fini(&in);
	if (rc < 0)
		return -1;
	bool made = status >= 200 && status < 300;
	int unused;
	if (made && plain_request(dav, "DELETE", key, job, &unused, err) < 0)
		return -1;
	pthread_mutex_lock(&dav->lock);
	dav->folders = made ? NV_DAV_FOLDERS_MADE : NV_DAV_FOLDERS_WANTED;
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
		/* 405: it is there already */
		if (status != 405 && (status < 200 || status > 299))
			return nv_fail(err, NV_RETRY, NV_R_store_unavailable,
				       "store: MKCOL %s: the server answers %d", one, status);
		remember(dav, one);
	}
	return 0;
}

int nv_dav_folders_for(struct nv_dav *dav, const char *key, const struct nv_job *job,
		       struct nv_err *err)
{
	const char *slash = strrchr(key, '/');
	if (!slash || folders_state(dav) == NV_DAV_FOLDERS_MADE)
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
		if (probe(dav, folder, job, err) < 0)
			return -1;
	}
	if (folders_state(dav) == NV_DAV_FOLDERS_MADE)
		return 0;
	return make_folders(dav, folder, job, err);
}
