/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "broker-config/admin_internal.h"

char *nv_broker_vhost(const struct nv_broker_settings *broker)
{
	CURLU *u = curl_url();
	char *path = NULL;
	char *vhost = NULL;
	if (u && broker->uris_len &&
	    !curl_url_set(u, CURLUPART_URL, broker->uris[0], CURLU_NON_SUPPORT_SCHEME) &&
	    !curl_url_get(u, CURLUPART_PATH, &path, CURLU_URLDECODE) && path[0] == '/' && path[1])
		vhost = nv_strdup(path + 1);
	curl_free(path);
	curl_url_cleanup(u);
	return vhost ? vhost : nv_strdup("/");
}
