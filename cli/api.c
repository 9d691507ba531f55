/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/api.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/json.h"
#include "cli/api_stream.h"

#define ANSWER_MAX ((size_t)64 * 1024 * 1024)
#define CONNECT_TIMEOUT_MS 10000L
#define CALL_TIMEOUT_MS 60000L
#define TRIES 3u

struct cli_api {
	struct cli *c;
	const struct nv_config *config;
	CURL *curl;
	char *url;	 /* without a slash at the end */
	char *bearer;	 /* the header's value; NULL: not signed in */
	json_t *problem; /* of the last refusal; NULL: none */
	struct nv_buf answer;
	char text[CURL_ERROR_SIZE];
};

/* --- one exchange --- */

static struct curl_slist *make_headers(const struct cli_api *a, const struct cli_call *call)
{
	struct curl_slist *list = curl_slist_append(NULL, "Accept: application/json");
	list = curl_slist_append(list, "Expect:");
	if (call->body)
		list = curl_slist_append(list, "Content-Type: application/json");
	if (a->bearer)
		list = curl_slist_append(list, a->bearer);
	if (call->idempotency_key) {
		nv_auto_free char *h = nv_asprintf("Idempotency-Key: %s", call->idempotency_key);
		list = curl_slist_append(list, h);
	}
	return list;
}

/* The HTTP status, or 0 with *err. */
static long exchange(struct cli_api *a, const struct cli_call *call, struct nv_err *err)
{
	long status = 0;
	nv_auto_free char *url = nv_asprintf("%s%s", a->url, call->path);
	nv_auto_free char *body = call->body ? json_dumps(call->body, JSON_COMPACT) : NULL;
	struct curl_slist *headers = make_headers(a, call);
	a->answer.len = 0;
	a->text[0] = '\0';
	curl_easy_setopt(a->curl, CURLOPT_URL, url);
	curl_easy_setopt(a->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(a->curl, CURLOPT_CUSTOMREQUEST, call->method);
	curl_easy_setopt(a->curl, CURLOPT_POSTFIELDS, body ? body : "");
	if (strcmp(call->method, "GET") == 0)
		curl_easy_setopt(a->curl, CURLOPT_HTTPGET, 1L);
	CURLcode rc = curl_easy_perform(a->curl);
	if (rc == CURLE_OK)
		curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &status);
	else
		nv_fail(err, NV_RETRY, rc == CURLE_OPERATION_TIMEDOUT ? NV_R_timeout : NV_R_io,
			"the producer at %s cannot be reached: %s", a->url,
			a->text[0] ? a->text : curl_easy_strerror(rc));
	curl_easy_setopt(a->curl, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(a->curl, CURLOPT_POSTFIELDS, NULL);
	curl_slist_free_all(headers);
	return status;
}

/* --- its answer --- */

static enum nv_err_kind kind_of(long status)
{
	return status == 429 || status == 502 || status == 503 || status == 504 ? NV_RETRY
										: NV_REJECT;
}

static int refused(struct cli_api *a, const struct cli_call *call, long status, json_t *doc,
		   struct nv_err *err)
{
	const char *detail = nv_cli_text(doc, "detail");
	const char *reason = nv_cli_text(doc, "reason");
	if (!detail)
		detail = nv_cli_text(doc, "title");
	json_decref(a->problem);
	a->problem = detail ? doc : NULL;
	if (detail)
		nv_fail(err, kind_of(status), reason ? nv_reason_from(reason) : NV_R_internal, "%s",
			detail);
	else
		nv_fail(err, kind_of(status), NV_R_internal,
			"%s %s%s was answered with HTTP status %ld", call->method, a->url,
			call->path, status);
	if (!detail)
		json_decref(doc);
	if (err)
		err->code = (int)status;
	return -1;
}

/* The answer as a document, or NULL with *err. */
static json_t *call_once(struct cli_api *a, const struct cli_call *call, struct nv_err *err)
{
	json_error_t where;
	long status = exchange(a, call, err);
	if (!status)
		return NULL;
	json_t *doc =
		a->answer.len ? nv_json_parse(a->answer.data, a->answer.len, &where) : json_null();
	if (status >= 200 && status < 300 && doc)
		return doc;
	if (status >= 200 && status < 300) {
		nv_fail(err, NV_REJECT, NV_R_bad_message,
			"%s%s gave no JSON: is api.url a producer's address?", a->url, call->path);
		return NULL;
	}
	refused(a, call, status, doc, err);
	return NULL;
}

static int sign_in(struct cli_api *a, struct nv_err *err);

json_t *nv_cli_api_call(struct cli_api *a, const struct cli_call *call, struct nv_err *err)
{
	*err = (struct nv_err){0};
	json_t *doc = call_once(a, call, err);
	if (doc || err->code != 401 || !a->bearer)
		return doc;
	/* The session is forgotten: it ended, or the status database was emptied. */
	free(a->bearer);
	a->bearer = NULL;
	return sign_in(a, err) == 0 ? call_once(a, call, err) : NULL;
}

int nv_cli_api_fail(struct cli_api *a, const struct nv_err *err)
{
	if (!a->c->json || !a->problem)
		return nv_cli_fail(a->c, err);
	const char *reason = nv_cli_text(a->problem, "reason");
	return nv_cli_document(a->c,
			       json_pack("{s:{s:s, s:s, s:o, s:O}}", "error", "kind",
					 nv_err_kind_word(err->kind), "reason",
					 reason ? reason : nv_reason_word(err->reason), "message",
					 nv_cli_string(err->msg), "problem", a->problem),
			       CLI_FAILED);
}

/* --- signing in and out --- */

static int sign_in(struct cli_api *a, struct nv_err *err)
{
	json_t *body = json_pack("{s:s, s:s}", "username", a->config->api.user, "password",
				 a->config->api.password);
	if (!body)
		return nv_fail(err, NV_REJECT, NV_R_config,
			       "%s: api.user or its password is not UTF-8", a->config->path);
	struct cli_call call = {.method = "POST", .path = "/api/v1/session", .body = body};
	json_t *session = call_once(a, &call, err);
	json_decref(body);
	if (!session) {
		if (err->code == 401)
			nv_err_prefix(err, "signing in as %s (api.user of %s)", a->config->api.user,
				      a->config->path);
		return -1;
	}
	const char *token = nv_cli_text(session, "token");
	if (token)
		a->bearer = nv_asprintf("Authorization: Bearer %s", token);
	else
		nv_fail(err, NV_REJECT, NV_R_bad_message, "%s: signing in gave no token", a->url);
	json_decref(session);
	return a->bearer ? 0 : -1;
}

static int check_settings(struct cli *c, const struct nv_config *config)
{
	const char *missing = !config->api.url	      ? "api.url"
			      : !config->api.user     ? "api.user"
			      : !config->api.password ? "api.password_file"
						      : NULL;
	if (!missing)
		return 0;
	return nv_cli_failf(c, NV_R_config, "%s: %s is not set; this command needs it",
			    config->path, missing);
}

static void set_up(struct cli_api *a)
{
	const char *url = a->config->api.url;
	size_t len = strlen(url);
	while (len && url[len - 1] == '/')
		len--;
	a->url = nv_strndup(url, len);
	a->answer.max = ANSWER_MAX;
	a->curl = curl_easy_init();
	curl_easy_setopt(a->curl, CURLOPT_ERRORBUFFER, a->text);
	curl_easy_setopt(a->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(a->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(a->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(a->curl, CURLOPT_TIMEOUT_MS, CALL_TIMEOUT_MS);
	curl_easy_setopt(a->curl, CURLOPT_USERAGENT, "navette/" NAVETTE_VERSION);
	curl_easy_setopt(a->curl, CURLOPT_WRITEFUNCTION, nv_buf_write_cb);
	curl_easy_setopt(a->curl, CURLOPT_WRITEDATA, &a->answer);
	if (a->config->api.ca_file)
		curl_easy_setopt(a->curl, CURLOPT_CAINFO, a->config->api.ca_file);
	char host[256];
	uint16_t port;
	if (nv_config_address(a->url, host, &port, 0) == 0 && nv_host_is_loopback(host))
		curl_easy_setopt(a->curl, CURLOPT_PROXY, "");
}

struct cli_api *nv_cli_api_open(struct cli *c)
{
	const struct nv_config *config = nv_cli_config(c);
	struct nv_err err = {0};
	if (!config || check_settings(c, config))
		return NULL;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	struct cli_api *a = nv_alloc(sizeof *a);
	a->c = c;
	a->config = config;
	set_up(a);
	for (unsigned i = 0; i < TRIES; i++)
		if (sign_in(a, &err) == 0)
			return a;
		else if (err.kind != NV_RETRY || err.code == 429)
			break;
	nv_cli_api_fail(a, &err);
	nv_cli_api_close(a);
	return NULL;
}

void nv_cli_api_close(struct cli_api *a)
{
	struct nv_err ignored = {0};
	if (!a)
		return;
	/* Best effort: a session that is left ends by itself. */
	if (a->bearer)
		exchange(a, &(struct cli_call){.method = "DELETE", .path = "/api/v1/session"},
			 &ignored);
	curl_easy_cleanup(a->curl);
	curl_global_cleanup();
	json_decref(a->problem);
	nv_buf_fini(&a->answer);
	free(a->bearer);
	free(a->url);
	free(a);
}

CURL *nv_cli_api_dup(struct cli_api *a)
{
	return curl_easy_duphandle(a->curl);
}

const char *nv_cli_api_bearer(const struct cli_api *a)
{
	return a->bearer;
}

const char *nv_cli_api_url(const struct cli_api *a)
{
	return a->url;
}

char *nv_cli_api_escape(const char *text)
{
	char *e = curl_easy_escape(NULL, text, 0);
	char *copy = nv_strdup(e ? e : "");
	curl_free(e);
	return copy;
}
