/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers and errors: JSON, problem documents (RFC 9457), refusals. */
#ifndef NV_PRODUCER_ANSWER_H
#define NV_PRODUCER_ANSWER_H

#include "producer/app.h"

/* Fill *err, to be answered with this HTTP status; returns -1. */
int nv_api_err(struct nv_err *err, unsigned status, enum nv_reason reason, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
unsigned nv_api_status(const struct nv_err *err);
void nv_api_fail(struct nv_http_request *r, const struct nv_err *err);
/* The same with the value of Retry-After (429 and 503). */
void nv_api_fail_for(struct nv_http_request *r, const struct nv_err *err, uint64_t seconds);
json_t *nv_api_problem(const struct nv_err *err);			 /* as part of an answer */
void nv_api_json(struct nv_http_request *r, unsigned status, json_t *o); /* takes o */
json_t *nv_api_text(const char *s);					 /* NULL: null */
json_t *nv_api_time_to_come(uint64_t ms); /* null when that is past, or 0 */
json_t *nv_api_time(uint64_t ms);	  /* 0: null */
/* A query parameter's whole number; 422 in *err. */
int nv_api_number(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *ret,
		  struct nv_err *err);
/* The path of a request, or its pattern where people's names are not to be logged. */
const char *nv_api_path_to_log(const struct nv_http_request *r);
/* Log and count a refusal. why: label of the metric. */
void nv_api_refused(struct app *app, const struct nv_http_request *r, const char *why,
		    const char *user);

#endif
