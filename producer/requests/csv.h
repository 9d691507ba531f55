/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A list of requests as CSV (RFC 4180 and the variants of spreadsheets: separated by comma,
 * semicolon or tab, lines ended by CRLF, LF or CR, with or without a byte order mark).
 *
 * The first line names the columns, each at most once: site, course, user, keep_category, category,
 * user_data, enrolment, now.  An empty cell counts as absent. */
#ifndef NV_PRODUCER_REQUESTS_CSV_H
#define NV_PRODUCER_REQUESTS_CSV_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

#define CSV_ROWS_MAX 1000u

struct csv {
	/* As in a JSON body: objects, with values of the right type if the cell could be converted;
	 * for an invalid row, a text with the error. */
	json_t *requests;
	unsigned lines[CSV_ROWS_MAX]; /* of the file, from 1, in which each begins */
};

/* 422 in *err: not CSV, or not ours.  The caller frees ret->requests. */
int nv_csv_read(const char *text, size_t len, struct csv *ret, struct nv_err *err);

#endif
