/* SPDX-License-Identifier: GPL-3.0-or-later */
/* RabbitMQ's management interface over libcurl: JSON in, JSON out. */
#include <string.h>

#include "base/address.h"
#include "base/json.h"
#include "broker-config/admin_internal.h"

#define ANSWER_MAX 33554432u /* bytes */

char *nv_mgmt_path(const char *const *parts)
{
	struct nv_buf b = {0};
	for (size_t i = 0; parts[i]; i++) {
		/* An empty part would be taken for a missing one (the default exchange is named
		 * ""). */
		char *escaped = curl_easy_escape(NULL, parts[i], 0);
		if (i)
			nv_buf_puts(&b, "/");
		nv_buf_puts(&b, escaped);
		curl_free(escaped);
	}
	return (char *)b.data;
}

/* The user is taken out of the address, so that no error message shows a password. */
static int take_address(struct nv_mgmt *m, CURLU *u, struct nv_err *err)
{
	char *user = NULL;
	char *password = NULL;
	char *url = NULL;
	char *scheme = NULL;
	char *host = NULL;
	const struct nv_broker_settings *broker = m->broker;
	curl_url_get(u, CURLUPART_USER, &user, CURLU_URLDECODE);
	curl_url_get(u, CURLUPART_PASSWORD, &password, CURLU_URLDECODE);
	curl_url_set(u, CURLUPART_USER, NULL, 0);
	curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
	curl_url_get(u, CURLUPART_URL, &url, 0);
	curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
	curl_url_get(u, CURLUPART_HOST, &host, 0);
	m->user = nv_strdup(user ? user : "guest");
	m->password = nv_strdup(broker->management_password ? broker->management_password
				: password		    ? password
							    : "guest");
	m->base = nv_strdup(url ? url : "");
	size_t len = strlen(m->base);
	while (len && m->base[len - 1] == '/')
		m->base[--len] = '\0';
	bool plain = !scheme || strcmp(scheme, "https") != 0;
	bool local = host && nv_host_is_loopback(host);
	curl_free(user);
	curl_free(password);
	curl_free(url);
	curl_free(scheme);
	curl_free(host);
	if (plain && !local && !broker->allow_plain)
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "broker.management_url: %s is not encrypted: use https:// (or set "
			       "broker.allow_plain)",
			       m->base);
	return 0;
}

int nv_mgmt_init(struct nv_mgmt *m, const struct nv_broker_settings *broker, struct nv_err *err)
{
	*m = (struct nv_mgmt){.broker = broker};
	if (!broker->management_url)
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "broker.management_url: missing; it is needed here");
	CURLU *u = curl_url();
	m->curl = curl_easy_init();
	int r = -1;
	if (!u || !m->curl)
		nv_fail(err, NV_RETRY, NV_R_internal, "broker: out of memory");
	else if (curl_url_set(u, CURLUPART_URL, broker->management_url, 0))
		nv_fail(err, NV_FATAL, NV_R_config,
			"broker.management_url: not of the form https://user@host:15672");
	else
		r = take_address(m, u, err);
	curl_url_cleanup(u);
	if (r)
		nv_mgmt_fini(m);
	return r;
}

void nv_mgmt_fini(struct nv_mgmt *m)
{
	curl_easy_cleanup(m->curl);
	free(m->base);
	free(m->user);
	free(m->password);
	*m = (struct nv_mgmt){0};
}

static void set_options(struct nv_mgmt *m, const char *url, const char *method,
			struct curl_slist *headers, const char *body, struct nv_buf *answer)
{
	CURL *h = m->curl;
	curl_easy_reset(h);
	curl_easy_setopt(h, CURLOPT_URL, url);
	curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(h, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
	curl_easy_setopt(h, CURLOPT_USERNAME, m->user);
	curl_easy_setopt(h, CURLOPT_PASSWORD, m->password);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, m->timeout_ms ? m->timeout_ms : 10000L);
	curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, m->timeout_ms ? m->timeout_ms : 60000L);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, nv_buf_write_cb);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, answer);
	if (m->broker->ca_file)
		curl_easy_setopt(h, CURLOPT_CAINFO, m->broker->ca_file);
	if (body)
		curl_easy_setopt(h, CURLOPT_POSTFIELDS, body);
}

/* The broker's own message if there is one: {"error": …, "reason": …}. */
static int refused(const char *method, const char *path, long status, const struct nv_buf *answer,
		   struct nv_err *err)
{
	nv_auto_json json_t *j = nv_json_parse_lax(answer->data, answer->len, NULL);
	const char *reason = json_string_value(json_object_get(j, "reason"));
	const char *hint = status == 401 ? " (check the user and the password of "
					   "broker.management_url; it needs the tag administrator, "
					   "or monitoring where it "
					   "only looks)"
					 : "";
	nv_fail(err, status >= 500 ? NV_RETRY : NV_FATAL,
		status == 401 || status == 403 ? NV_R_denied : NV_R_broker_unavailable,
		"broker: %s /api/%s: HTTP status %ld%s%s%s", method, path, status,
		reason ? ": " : "", reason ? reason : "", hint);
	if (err)
		err->code = (int)status;
	return -1;
}

int nv_mgmt_call(struct nv_mgmt *m, const char *method, const char *path, const json_t *body,
		 json_t **ret, struct nv_err *err)
{
	nv_auto_buf struct nv_buf answer = {.max = ANSWER_MAX};
	nv_auto_free char *url = nv_asprintf("%s/api/%s", m->base, path);
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	long status = 0;
	if (ret)
		*ret = NULL;
	set_options(m, url, method, headers, text, &answer);
	CURLcode code = curl_easy_perform(m->curl);
	curl_easy_getinfo(m->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	free(text);
	if (code)
		return nv_fail(err, NV_RETRY, NV_R_broker_unavailable, "broker: %s %s: %s", method,
			       url, curl_easy_strerror(code));
	if (status == 404)
		return 404;
	if (status < 200 || status > 299)
		return refused(method, path, status, &answer, err);
	if (ret && answer.len) {
		*ret = nv_json_parse_lax(answer.data, answer.len, NULL);
		if (!*ret)
			return nv_fail(err, NV_RETRY, NV_R_broker_unavailable,
				       "broker: %s %s: the answer is not JSON", method, url);
	}
	return (int)status;
}
