/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What doctor found, and its checks: doctor.c looks at this machine, doctor_net.c at the servers.
 */
#ifndef NV_CLI_DOCTOR_H
#define NV_CLI_DOCTOR_H

#include "cli/cli.h"

enum cli_health { CLI_GOOD, CLI_WARNING, CLI_BAD };

struct cli_doctor {
	struct cli *c;
	const struct nv_config *config;
	unsigned roles; /* enum nv_role of the sections that are filled in */
	json_t *findings;
	size_t counts[3];
};

/* One line: what was looked at, what was found, and (where it is not good) the way out. */
void cli_found(struct cli_doctor *d, enum cli_health health, const char *area, const char *way_out,
	       const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The clock of `who` is so far from ours. */
void cli_found_clock(struct cli_doctor *d, const char *who, int64_t ahead_ms);
/* -1, 0 or 1: a before, same as or after b, as dotted versions. */
int cli_version_compare(const char *a, const char *b);

void cli_doctor_broker(struct cli_doctor *d);
void cli_doctor_redis(struct cli_doctor *d);
void cli_doctor_store(struct cli_doctor *d);
void cli_doctor_api(struct cli_doctor *d);

#endif
