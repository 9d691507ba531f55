/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics: one lock for the whole registry; with at most a few hundred updates a second that is
 * enough. */
#include "base/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define SERIES_MAX 64u

static const double bounds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,  2.5,
				5,     10,   25,    50,	  100, 150,  300, 600};
#define BUCKETS NV_ARRAY_LEN(bounds)

enum type { COUNTER, GAUGE, HISTOGRAM };

struct series {
	char *value;   /* the label's; NULL where there is no label */
	double number; /* of a histogram the sum */
	uint64_t count;
	uint64_t *buckets; /* of a histogram, not added up */
};

struct nv_metric {
	struct nv_metric *next;
	enum type type;
	char *name;
	char *help;
	char *label;
	struct series series[SERIES_MAX + 1]; /* the last is "other" */
	size_t len;
};

/* The registry, in the order of registration. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct nv_metric *first;
static struct nv_metric **end = &first;

/* The lock must be held.  Room for SERIES_MAX values; later ones share the one called "other". */
static struct series *find_series(struct nv_metric *m, const char *value)
{
	struct series *s;

	value = m->label ? (value ? value : "") : NULL;
	for (size_t i = 0; i < m->len; i++)
		if (!value || strcmp(m->series[i].value, value) == 0)
			return &m->series[i];
	if (m->len >= SERIES_MAX) {
		value = "other";
		if (m->len > SERIES_MAX)
			return &m->series[SERIES_MAX];
	}
	s = &m->series[m->len++];
	s->value = nv_strdup(value);
	if (m->type == HISTOGRAM)
		s->buckets = nv_alloc(BUCKETS * sizeof *s->buckets);
	return s;
}

/* Registering a name again returns the same metric, so that a module may be restarted. */
static struct nv_metric *new_metric(enum type type, const char *name, const char *help,
				    const char *label)
{
	struct nv_metric *m;

	pthread_mutex_lock(&lock);
	for (m = first; m; m = m->next)
		if (strcmp(m->name, name) == 0)
			break;
	if (!m) {
		m = nv_alloc(sizeof *m);
		m->type = type;
		m->name = nv_strdup(name);
		m->help = nv_strdup(help);
		m->label = nv_strdup(label);
		*end = m;
		end = &m->next;
		if (!label) /* shown as 0 before the first event, so that a rate can be taken */
			(void)find_series(m, NULL);
	}
	pthread_mutex_unlock(&lock);
	return m;
}

struct nv_metric *nv_counter(const char *name, const char *help, const char *label)
{
	return new_metric(COUNTER, name, help, label);
}

struct nv_metric *nv_gauge(const char *name, const char *help, const char *label)
{
	return new_metric(GAUGE, name, help, label);
}

struct nv_metric *nv_histogram(const char *name, const char *help, const char *label)
{
	return new_metric(HISTOGRAM, name, help, label);
}

void nv_metric_add(struct nv_metric *m, const char *value, double amount)
{
	if (!m || m->type == HISTOGRAM)
		return;
	pthread_mutex_lock(&lock);
	find_series(m, value)->number += amount;
	pthread_mutex_unlock(&lock);
}

void nv_metric_set(struct nv_metric *m, const char *value, double amount)
{
	if (!m || m->type == HISTOGRAM)
		return;
	pthread_mutex_lock(&lock);
	find_series(m, value)->number = amount;
	pthread_mutex_unlock(&lock);
}

void nv_metric_observe(struct nv_metric *m, const char *value, double seconds)
{
	struct series *s;

	if (!m || m->type != HISTOGRAM)
		return;
	pthread_mutex_lock(&lock);
	s = find_series(m, value);
	s->number += seconds;
	s->count++;
	for (size_t i = 0; i < BUCKETS; i++) {
		if (seconds <= bounds[i]) {
			s->buckets[i]++;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
}

/* The format's escapes: backslash and line feed, in a label's value the quote too. */
static void put_escaped(struct nv_buf *out, const char *s, bool quote)
{
	for (; *s; s++) {
		if (*s == '\n')
			nv_buf_puts(out, "\\n");
		else if (*s == '\\' || (quote && *s == '"'))
			nv_buf_printf(out, "\\%c", *s);
		else
			nv_buf_put(out, s, 1);
	}
}

static void put_number(struct nv_buf *out, double d)
{
	if (isnan(d))
		nv_buf_puts(out, "NaN\n");
	else if (isinf(d))
		nv_buf_puts(out, d > 0 ? "+Inf\n" : "-Inf\n");
	else
		nv_buf_printf(out, "%.15g\n", d);
}

/* name + suffix + labels and a blank; le NULL: no bucket. */
static void put_head(struct nv_buf *out, const struct nv_metric *m, const struct series *s,
		     const char *suffix, const char *le)
{
	nv_buf_printf(out, "%s%s", m->name, suffix);
	if (s->value || le)
		nv_buf_puts(out, "{");
	if (s->value) {
		nv_buf_printf(out, "%s=\"", m->label);
		put_escaped(out, s->value, true);
		nv_buf_puts(out, "\"");
	}
	if (le)
		nv_buf_printf(out, "%sle=\"%s\"", s->value ? "," : "", le);
	if (s->value || le)
		nv_buf_puts(out, "}");
	nv_buf_puts(out, " ");
}

static void put_histogram(struct nv_buf *out, const struct nv_metric *m, const struct series *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < BUCKETS; i++) {
		char le[32];

		sum += s->buckets[i];
		(void)snprintf(le, sizeof le, "%g", bounds[i]);
		put_head(out, m, s, "_bucket", le);
		nv_buf_printf(out, "%" PRIu64 "\n", sum);
	}
	put_head(out, m, s, "_bucket", "+Inf");
	nv_buf_printf(out, "%" PRIu64 "\n", s->count);
	put_head(out, m, s, "_sum", NULL);
	put_number(out, s->number);
	put_head(out, m, s, "_count", NULL);
	nv_buf_printf(out, "%" PRIu64 "\n", s->count);
}

void nv_metric_begin(struct nv_metric *m, const char *const *values)
{
	while (*values)
		nv_metric_add(m, *values++, 0);
}

void nv_metrics_write(struct nv_buf *out)
{
	static const char *const types[] = {
		[COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};

	pthread_mutex_lock(&lock);
	for (const struct nv_metric *m = first; m; m = m->next) {
		nv_buf_printf(out, "# HELP %s ", m->name);
		put_escaped(out, m->help, false);
		nv_buf_printf(out, "\n# TYPE %s %s\n", m->name, types[m->type]);
		for (size_t i = 0; i < m->len; i++) {
			if (m->type == HISTOGRAM) {
				put_histogram(out, m, &m->series[i]);
				continue;
			}
			put_head(out, m, &m->series[i], "", NULL);
			put_number(out, m->series[i].number);
		}
	}
	pthread_mutex_unlock(&lock);
}

void nv_metrics_fini(void)
{
	pthread_mutex_lock(&lock);
	while (first) {
		struct nv_metric *m = first;

		first = m->next;
		for (size_t i = 0; i < m->len; i++) {
			free(m->series[i].value);
			free(m->series[i].buckets);
		}
		free(m->name);
		free(m->help);
		free(m->label);
		free(m);
	}
	end = &first;
	pthread_mutex_unlock(&lock);
}
