/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shared by the files of the WebDAV backend: webdav_folders.c creates folders where the server
 * requires it, webdav_list.c lists, webdav_propfind.c parses PROPFIND responses, webdav.c is the
 * backend. */
#ifndef NV_STORE_WEBDAV_H
#define NV_STORE_WEBDAV_H

#include "core/store/web.h"

/* Who creates the folders above an object? */
enum nv_dav_folders {
	NV_DAV_FOLDERS_UNKNOWN,
	NV_DAV_FOLDERS_OURS,	/* we do, by MKCOL */
	NV_DAV_FOLDERS_SERVERS, /* the server does, and does not allow MKCOL */
};

/* How are folders listed? */
enum nv_dav_listing {
	NV_DAV_LISTING_UNKNOWN,
	NV_DAV_LISTING_PROPFIND,
	NV_DAV_LISTING_AUTOINDEX, /* nginx's, in JSON: its WebDAV module has no PROPFIND */
};

struct nv_dav {
	struct nv_web web;
	pthread_mutex_t lock; /* of the rest */
	enum nv_dav_folders folders;
	enum nv_dav_listing listing;
	char **known; /* folders that exist */
	size_t known_len;
};

/* Ensure that the folders above key exist, or that the server creates them. */
int nv_dav_folders_for(struct nv_dav *dav, const char *key, const struct nv_job *job,
		       struct nv_err *err);
/* A known folder is gone: probe again. */
void nv_dav_folders_forget(struct nv_dav *dav);
int nv_dav_list(void *impl, const char *prefix, nv_store_list_cb cb, void *arg, struct nv_err *err);

/* The entries of a folder; names in the arena. */
struct nv_dav_item {
	char *name; /* one component, decoded, not checked otherwise */
	bool folder;
	uint64_t size;
	uint64_t modified_ms; /* 0: not known */
};
struct nv_dav_items {
	struct nv_arena arena;
	struct nv_dav_item *items;
	size_t len;
	size_t cap;
};
void nv_dav_items_add(struct nv_dav_items *to, const struct nv_dav_item *item);

/* One folder ("" or ending in '/') by PROPFIND, Depth 1.  *ret_status: 207, 404, or a status that
 * says that PROPFIND is not supported: nothing was read then. -1: no response, or an unusable
 * one. */
int nv_dav_propfind(struct nv_dav *dav, const char *folder, struct nv_dav_items *ret,
		    int *ret_status, struct nv_err *err);

#endif
