/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers: JSON, and errors as problem documents. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "producer/answer.h"
#include "producer/app.h"

#define RETRY_AFTER_S 5u /* what is away or taken may be there again */

/* --- errors --- */

int nv_api_err(struct nv_err *err, unsigned status, enum nv_reason reason, const char *fmt, ...)
{
	char text[sizeof err->msg];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	nv_fail(err, NV_REJECT, reason, "%s", text);
	err->code = (int)status;
	return -1;
}

unsigned nv_api_status(const struct nv_err *err)
{
	if (err->kind == NV_REJECT && err->code >= 400 && err->code <= 599)
		return (unsigned)err->code;
	switch (err->reason) {
	case NV_R_bad_message:
		return 422;
	case NV_R_denied:
	case NV_R_role_missing:
	case NV_R_unknown_user:
	case NV_R_policy:
		return 403;
	case NV_R_not_found:
	case NV_R_course_missing:
		return 404;
	case NV_R_conflict:
	case NV_R_already_restored:
		return 409;
	case NV_R_status_unavailable:
	case NV_R_broker_unavailable:
	case NV_R_unroutable:
	case NV_R_busy:
	case NV_R_disk_full:
	case NV_R_io:
		return 503;
	case NV_R_timeout:
		return 504;
	default:
		return 500;
	}
}

int nv_api_number(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *ret,
		  struct nv_err *err)
{
	size_t len = strlen(text);
	uint64_t n = strtoull(text, NULL, 10);
	if (!len || len > 9 || strspn(text, "0123456789") != len || n < min || n > max)
		return nv_api_err(err, 422, NV_R_bad_message,
				  "%s: not a whole number from %llu to %llu", name,
				  (unsigned long long)min, (unsigned long long)max);
	*ret = n;
	return 0;
}

void nv_api_fail(struct nv_http_request *r, const struct nv_err *err)
{
	nv_api_fail_for(r, err, RETRY_AFTER_S);
}

void nv_api_fail_for(struct nv_http_request *r, const struct nv_err *err, uint64_t seconds)
{
	unsigned status = nv_api_status(err);
	nv_auto_free char *after = nv_asprintf("%llu", (unsigned long long)seconds);
	if (status == 503 || status == 429)
		nv_http_add_header(r, "Retry-After", after);
	if (status == 401)
		nv_http_add_header(r, "WWW-Authenticate", "Bearer realm=\"navette\"");
	nv_http_problem(r, status, err->reason, "%s", err->msg);
}

json_t *nv_api_problem(const struct nv_err *err)
{
	char type[64];
	snprintf(type, sizeof type, "about:blank#%s", nv_reason_word(err->reason));
	return json_pack("{s:s, s:s, s:i, s:o, s:s}", "type", type, "title",
			 nv_reason_text(err->reason), "status", (int)nv_api_status(err), "detail",
			 nv_api_text(err->msg), "reason", nv_reason_word(err->reason));
}

/* --- JSON --- */

json_t *nv_api_text(const char *s)
{
	json_t *v = s ? json_string(s) : NULL;
	return v ? v : json_null();
}

json_t *nv_api_time(uint64_t ms)
{
	char text[25];
	if (!ms)
		return json_null();
	nv_time_iso(ms, text);
	return json_string(text);
}

json_t *nv_api_time_to_come(uint64_t ms)
{
	return nv_api_time(ms > nv_now_ms() ? ms : 0);
}

void nv_api_json(struct nv_http_request *r, unsigned status, json_t *o)
{
	nv_auto_free char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	nv_http_reply(r, status, "application/json", text, strlen(text));
}

/* --- the log --- */

const char *nv_api_path_to_log(const struct nv_http_request *r)
{
	const char *pattern = nv_http_pattern(r);
	bool named = pattern && strstr(pattern, "{user}");
	return named && !nv_log_people() ? pattern : nv_http_path(r);
}

void nv_api_refused(struct app *app, const struct nv_http_request *r, const char *why,
		    const char *user)
{
	nv_metric_add(app->m.refused, why, 1);
	NV_LOG(NV_WARN, "api.refused", NV_S("why", why), NV_P("user", user),
	       NV_S("method", nv_http_method(r)), NV_S("path", nv_api_path_to_log(r)),
	       NV_S("peer", nv_http_peer(r)));
}
