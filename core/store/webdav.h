/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the WebDAV backend's files: webdav_folders.c makes folders where a server wants that,
 * webdav_list.c lists, webdav.c is the backend. */
#ifndef NV_STORE_WEBDAV_H
#define NV_STORE_WEBDAV_H

#include "core/store/web.h"

/* Does the server make the folders above an object by itself? */
enum nv_dav_folders { NV_DAV_FOLDERS_UNKNOWN, NV_DAV_FOLDERS_MADE, NV_DAV_FOLDERS_WANTED };

struct nv_dav {
	struct nv_web web;
	pthread_mutex_t lock; /* of the rest */
	enum nv_dav_folders folders;
	char **known; /* folders that exist */
	size_t known_len;
};

/* Make sure that the folders above key are there, or that the server makes them. */
int nv_dav_folders_for(struct nv_dav *dav, const char *key, const struct nv_job *job,
		       struct nv_err *err);
int nv_dav_list(void *impl, const char *prefix, nv_store_list_cb cb, void *arg, struct nv_err *err);

#endif
