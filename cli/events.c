/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The producer's live events: one connection that stays open (server-sent events, see
 * https://html.spec.whatwg.org/multipage/server-sent-events.html). */
#include <curl/curl.h>
#include <string.h>

#include "base/json.h"
#include "cli/api.h"
#include "cli/api_stream.h"

#define SILENCE_MS 45000u /* a comment comes every 15 s */
#define LINE_MAX_BYTES ((size_t)1024 * 1024)

struct stream {
	struct cli_events *e;
	CURL *curl;
	struct nv_buf line, data; /* of the event that is being read */
	char *name, *id;
	struct nv_buf problem; /* an answer that is no stream */
	uint64_t heard;	       /* nv_mono_ms */
	bool opened, ended;    /* a callback wants no more */
};

static void set_text(char **text, const char *value)
{
	free(*text);
	*text = nv_strdup(value);
}

static void dispatch(struct stream *s)
{
	if (s->id)
		set_text(&s->e->last_id, s->id);
	if (s->data.len) {
		json_t *data = nv_json_parse(s->data.data, s->data.len, NULL);
		s->ended = s->e->event_cb(s->e->arg, s->name ? s->name : "message", data) != 0;
		json_decref(data);
	}
	s->data.len = 0;
	set_text(&s->name, NULL);
	set_text(&s->id, NULL);
}

static void read_line(struct stream *s, char *line)
{
	char *value = line + strcspn(line, ":");
	if (*value) {
		*value++ = '\0';
		value += *value == ' ';
	}
	if (strcmp(line, "event") == 0)
		set_text(&s->name, value);
	else if (strcmp(line, "id") == 0)
		set_text(&s->id, value);
	else if (strcmp(line, "data") == 0)
		nv_buf_printf(&s->data, "%s%s", s->data.len ? "\n" : "", value);
}

static void take(struct stream *s, char c)
{
	if (c == '\r')
		return;
	if (c != '\n') {
		nv_buf_put(&s->line, &c, 1);
	} else if (s->line.len == 0) {
		dispatch(s);
	} else {
		read_line(s, (char *)s->line.data);
		s->line.len = 0;
	}
}

static size_t take_cb(char *data, size_t size, size_t n, void *arg)
{
	struct stream *s = arg;
	long status = 0;
	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	s->heard = nv_mono_ms();
	if (status != 200) {
		if (s->problem.len + size * n < LINE_MAX_BYTES)
			nv_buf_put(&s->problem, data, size * n);
		return size * n;
	}
	if (!s->opened) {
		s->opened = true;
		s->ended = s->e->open_cb(s->e->arg) != 0;
	}
	for (size_t i = 0; i < size * n && !s->ended; i++)
		take(s, data[i]);
	return s->ended || s->line.len + s->data.len > LINE_MAX_BYTES ? 0 : size * n;
}

static int tick_cb(void *arg, curl_off_t dl, curl_off_t dn, curl_off_t ul, curl_off_t un)
{
	struct stream *s = arg;
	(void)dl;
	(void)dn;
	(void)ul;
	(void)un;
	if (!s->ended)
		s->ended = s->e->tick_cb(s->e->arg) != 0;
	return s->ended || nv_mono_ms() - s->heard > SILENCE_MS;
}

static struct curl_slist *make_headers(const char *bearer, const char *last_id)
{
	struct curl_slist *list = curl_slist_append(NULL, "Accept: text/event-stream");
	nv_auto_free char *last = last_id ? nv_asprintf("Last-Event-ID: %s", last_id) : NULL;
	if (bearer)
		list = curl_slist_append(list, bearer);
	return last ? curl_slist_append(list, last) : list;
}

/* What came of it: as nv_cli_api_events. */
static int judge(struct stream *s, const char *url, CURLcode rc, const char *text,
		 struct nv_err *err)
{
	long status = 0;
	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	if (s->ended)
		return 1;
	if (s->opened)
		return 0;
	if (status == 0 || status == 200)
		return nv_fail(err, NV_RETRY, NV_R_io, "the producer at %s cannot be reached: %s",
			       url, *text ? text : curl_easy_strerror(rc));
	json_t *doc = s->problem.len ? nv_json_parse(s->problem.data, s->problem.len, NULL) : NULL;
	const char *detail = nv_cli_text(doc, "detail");
	/* A session that was forgotten is renewed by the next call. */
	nv_fail(err, status == 401 || status == 429 || status >= 500 ? NV_RETRY : NV_REJECT,
		NV_R_io, "live events of %s: HTTP status %ld%s%s", url, status, detail ? ": " : "",
		detail ? detail : "");
	err->code = (int)status;
	json_decref(doc);
	return -1;
}

int nv_cli_api_events(struct cli_api *a, struct cli_events *e, struct nv_err *err)
{
	struct stream s = {.e = e, .curl = nv_cli_api_dup(a), .heard = nv_mono_ms()};
	struct curl_slist *headers = make_headers(nv_cli_api_bearer(a), e->last_id);
	nv_auto_free char *url = nv_asprintf("%s/api/v1/events", nv_cli_api_url(a));
	char text[CURL_ERROR_SIZE] = "";
	curl_easy_setopt(s.curl, CURLOPT_URL, url);
	curl_easy_setopt(s.curl, CURLOPT_CUSTOMREQUEST, NULL); /* of the call before */
	curl_easy_setopt(s.curl, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(s.curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(s.curl, CURLOPT_TIMEOUT_MS, 0L);
	curl_easy_setopt(s.curl, CURLOPT_ERRORBUFFER, text);
	curl_easy_setopt(s.curl, CURLOPT_WRITEFUNCTION, take_cb);
	curl_easy_setopt(s.curl, CURLOPT_WRITEDATA, &s);
	curl_easy_setopt(s.curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(s.curl, CURLOPT_XFERINFOFUNCTION, tick_cb);
	curl_easy_setopt(s.curl, CURLOPT_XFERINFODATA, &s);
	CURLcode rc = curl_easy_perform(s.curl);
	int end = judge(&s, nv_cli_api_url(a), rc, text, err);
	curl_easy_cleanup(s.curl);
	curl_slist_free_all(headers);
	nv_buf_fini(&s.line);
	nv_buf_fini(&s.data);
	nv_buf_fini(&s.problem);
	free(s.name);
	free(s.id);
	return end;
}
