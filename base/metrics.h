/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Metrics in Prometheus's text format 0.0.4.  Registered once at start, updated from any thread,
 * written out by /metrics.  Names follow Prometheus's rules: navette_<what>_<unit>[_total]. */
#ifndef NV_METRICS_H
#define NV_METRICS_H

#include <stdint.h>

#include "base/mem.h"

struct nv_metric; /* opaque; lives as long as the process's registry */

/* label: the one label name of this metric, or NULL.  Series are made at first use of a value; at
 * most 64 a metric, later values count under "other". */
struct nv_metric *nv_counter(const char *name, const char *help, const char *label);
struct nv_metric *nv_gauge(const char *name, const char *help, const char *label);
/* Seconds, buckets 0.005 … 600. */
struct nv_metric *nv_histogram(const char *name, const char *help, const char *label);

/* value: the label's value, NULL where the metric has no label.  m NULL: nothing happens. */
void nv_metric_add(struct nv_metric *m, const char *value, double amount);
void nv_metric_set(struct nv_metric *m, const char *value, double amount);
void nv_metric_observe(struct nv_metric *m, const char *value, double seconds);

/* Creates series with these values (NULL-terminated) at 0: Prometheus does not count the appearance
 * of a series as an increase. */
void nv_metric_begin(struct nv_metric *m, const char *const *values);

void nv_metrics_write(struct nv_buf *out);
void nv_metrics_fini(void);

#endif
