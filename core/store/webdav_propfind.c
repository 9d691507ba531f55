/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Listing by PROPFIND (RFC 4918): a multistatus with a response for the folder and for each thing
 * in it.  Whatever the server says, only names directly below the folder that was asked for are
 * taken. */
#include <string.h>

#include "base/xml.h"
#include "core/store/webdav.h"

#define ANSWER_MAX 67108864u /* bytes: some 120,000 files in one folder */

static const char question[] =
	"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
	"<D:propfind xmlns:D=\"DAV:\"><D:prop><D:resourcetype/><D:getcontentlength/>"
	"<D:getlastmodified/></D:prop></D:propfind>\n";

struct reading {
	struct nv_xml *xml;
	struct nv_dav_items *items;
	char *folder;	  /* its path on the server, decoded, with '/' at the end */
	bool folder_seen; /* the folder itself was among the responses */
	/* the response at hand */
	char *href; /* decoded; NULL: none yet */
	struct nv_dav_item item;
};

/* "/a%20b" or "https://host/a%20b" → "/a b"; NULL: not to be understood. */
static char *decoded_path(const char *address)
{
	const char *at = strstr(address, "://");
	if (at && address[0] != '/')
		at = strchr(at + 3, '/');
	else
		at = address;
	if (!at)
		return NULL;
	int len = 0;
	char *plain = curl_easy_unescape(NULL, at, 0, &len);
	char *path = plain && strlen(plain) == (size_t)len ? nv_strdup(plain) : NULL;
	curl_free(plain);
	return path;
}

static void take_response(struct reading *r)
{
	size_t len = strlen(r->folder);
	if (!r->href || strncmp(r->href, r->folder, len - 1) != 0)
		return;
	char *name = r->href + len - 1;
	if (!name[0] || strcmp(name, "/") == 0) { /* some leave the '/' at a folder's end out */
		r->folder_seen = true;
		return;
	}
	if (*name++ != '/')
		return;
	size_t name_len = strcspn(name, "/");
	if (!name_len || (name[name_len] && name[name_len + 1]))
		return; /* deeper than was asked for */
	r->item.name = nv_arena_strndup(&r->items->arena, name, name_len);
	nv_dav_items_add(r->items, &r->item);
}

static bool end_cb(void *arg, const char *const *names, unsigned depth, const char *text)
{
	struct reading *r = arg;
	const char *name = names[depth - 1];
	if (depth < 2 || strcmp(names[0], "multistatus") != 0 || strcmp(names[1], "response") != 0)
		return false;
	if (depth == 2) {
		take_response(r);
		free(r->href);
		r->href = NULL;
		r->item = (struct nv_dav_item){0};
	} else if (depth == 3 && strcmp(name, "href") == 0 && !r->href) {
		r->href = decoded_path(text);
	} else if (depth == 6 && strcmp(name, "collection") == 0) {
		r->item.folder = true;
	} else if (depth == 5 && strcmp(name, "getcontentlength") == 0) {
		r->item.size = strtoull(text, NULL, 10);
	} else if (depth == 5 && strcmp(name, "getlastmodified") == 0) {
		time_t at = curl_getdate(text, NULL);
		r->item.modified_ms = at > 0 ? (uint64_t)at * 1000u : 0;
	}
	return false;
}

static int body_cb(void *ctx, const void *data, size_t len, struct nv_err *err)
{
	struct reading *r = ctx;
	if (nv_xml_feed(r->xml, data, len) == NV_XML_READING)
		return 0;
	return nv_fail(err, NV_RETRY, NV_R_store_unavailable, "store: list: the answer %s",
		       nv_xml_why(r->xml));
}

static int ask(struct nv_dav *dav, const char *folder, struct reading *r, int *ret_status,
	       struct nv_err *err)
{
	struct nv_web_call c;
	nv_web_begin(&c, &dav->web, "list", folder, NULL);
	c.body_cb = body_cb;
	c.body_ctx = r;
	curl_easy_setopt(c.curl, CURLOPT_POSTFIELDS, question);
	curl_easy_setopt(c.curl, CURLOPT_CUSTOMREQUEST, "PROPFIND");
	nv_web_header(&c, "Depth: 1");
	nv_web_header(&c, "Content-Type: application/xml; charset=utf-8");
	nv_web_header(&c, "Expect:");
	int rc = nv_web_perform(&c, NULL, err);
	*ret_status = c.status;
	/* What it does not do, or does for others only, it may do in another way. */
	if (rc == 0 && c.status != 207 && c.status != 404 && c.status != 405 && c.status != 501 &&
	    c.status != 403 && c.status != 400)
		rc = nv_web_refused(&c, err);
	nv_web_end(&c);
	return rc;
}

static int check_answer(const struct reading *r, const char *folder, struct nv_err *err)
{
	if (nv_xml_end(r->xml) != NV_XML_READING)
		return nv_fail(err, NV_RETRY, NV_R_store_unavailable,
			       "store: list %s: the answer %s", folder, nv_xml_why(r->xml));
	if (!r->folder_seen && !r->items->len)
		return nv_fail(err, NV_RETRY, NV_R_store_unavailable,
			       "store: list %s: nothing in the answer lies below %s (does a proxy "
			       "change the paths?)",
			       folder, r->folder);
	return 0;
}

int nv_dav_propfind(struct nv_dav *dav, const char *folder, struct nv_dav_items *ret,
		    int *ret_status, struct nv_err *err)
{
	nv_auto_free char *address = nv_asprintf("%s/%s", dav->web.url, folder);
	struct reading r = {.items = ret, .folder = decoded_path(address)};
	if (!r.folder)
		return nv_fail(err, NV_REJECT, NV_R_config, "store: list %s: no such address",
			       address);
	r.xml = nv_xml_new(ANSWER_MAX, end_cb, &r);
	int rc = ask(dav, folder, &r, ret_status, err);
	if (rc == 0 && *ret_status == 207)
		rc = check_answer(&r, folder, err);
	nv_xml_free(r.xml);
	free(r.href);
	free(r.folder);
	return rc;
}
