/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Findings and checks of doctor: doctor.c checks this machine, doctor_site.c at the site,
 * doctor_redis.c at Redis, doctor_net.c at the other servers.
 * */
#ifndef NV_CLI_DOCTOR_H
#define NV_CLI_DOCTOR_H

#include "cli/cli.h"

enum cli_health { CLI_GOOD, CLI_WARNING, CLI_BAD };

/* All findings: X(name, health).  The name is stable, scripts read it as `id`; for each,
 * tests/integration/doctor_test.py or cli_test.py brings about the cause. */
#define CLI_FINDINGS(X)                     \
	X(config_ok, GOOD)                  \
	X(config_missing, BAD)              \
	X(config_unreadable, BAD)           \
	X(config_file_missing, BAD)         \
	X(config_mistake, BAD)              \
	X(user_taken, GOOD)                 \
	X(user_refused, BAD)                \
	X(key_ok, GOOD)                     \
	X(key_missing, BAD)                 \
	X(key_bad, BAD)                     \
	X(accounts_ok, GOOD)                \
	X(accounts_none, WARNING)           \
	X(accounts_missing, BAD)            \
	X(accounts_bad, BAD)                \
	X(library_ok, GOOD)                 \
	X(library_old, BAD)                 \
	X(ntp_ok, GOOD)                     \
	X(ntp_lost, WARNING)                \
	X(clock_ok, GOOD)                   \
	X(clock_off, WARNING)               \
	X(clock_wrong, BAD)                 \
	X(clocks_unserved, WARNING)         \
	X(disk_ok, GOOD)                    \
	X(disk_low, WARNING)                \
	X(disk_full, BAD)                   \
	X(disk_unknown, BAD)                \
	X(work_dir_ok, GOOD)                \
	X(work_dir_missing, BAD)            \
	X(work_dir_denied, BAD)             \
	X(work_dir_open, WARNING)           \
	X(spool_ok, GOOD)                   \
	X(spool_missing, WARNING)           \
	X(site_ok, GOOD)                    \
	X(site_config, BAD)                 \
	X(site_unavailable, BAD)            \
	X(site_upgrading, BAD)              \
	X(site_disk_full, BAD)              \
	X(site_read_only, BAD)              \
	X(moodle_settings_ok, GOOD)         \
	X(moodle_settings_unknown, WARNING) \
	X(moodle_role_unset, WARNING)       \
	X(moodle_role_wrong, BAD)           \
	X(search_role_unknown, WARNING)     \
	X(enrol_role_unknown, WARNING)      \
	X(launch_ok, GOOD)                  \
	X(launch_unchecked, WARNING)        \
	X(launch_beside, GOOD)              \
	X(launch_no_secret, BAD)            \
	X(launch_secret_wrong, BAD)         \
	X(launch_issuer_wrong, BAD)         \
	X(launch_address_wrong, BAD)        \
	X(broker_ok, GOOD)                  \
	X(broker_plain, WARNING)            \
	X(broker_unreachable, BAD)          \
	X(broker_denied, BAD)               \
	X(broker_untrusted, BAD)            \
	X(broker_version_ok, GOOD)          \
	X(broker_version_old, BAD)          \
	X(queues_ok, GOOD)                  \
	X(queue_missing, BAD)               \
	X(management_missing, WARNING)      \
	X(management_denied, BAD)           \
	X(management_unreachable, BAD)      \
	X(topology_ok, GOOD)                \
	X(topology_part, GOOD)              \
	X(topology_differs, BAD)            \
	X(alarms_none, GOOD)                \
	X(alarms_unknown, WARNING)          \
	X(alarm_memory, BAD)                \
	X(alarm_disk, BAD)                  \
	X(node_down, BAD)                   \
	X(sentinel_ok, GOOD)                \
	X(sentinel_differs, WARNING)        \
	X(sentinel_away, WARNING)           \
	X(sentinel_none, BAD)               \
	X(redis_ok, GOOD)                   \
	X(redis_unreachable, BAD)           \
	X(redis_denied, BAD)                \
	X(redis_loading, BAD)               \
	X(redis_version_ok, GOOD)           \
	X(redis_version_old, BAD)           \
	X(redis_setting_ok, GOOD)           \
	X(redis_setting_unknown, WARNING)   \
	X(redis_setting_risky, WARNING)     \
	X(redis_setting_wrong, BAD)         \
	X(redis_writes, GOOD)               \
	X(redis_replica, BAD)               \
	X(redis_no_replicas, BAD)           \
	X(redis_disk, BAD)                  \
	X(redis_memory, BAD)                \
	X(redis_write_denied, BAD)          \
	X(redis_write_refused, BAD)         \
	X(store_open, GOOD)                 \
	X(store_missing, BAD)               \
	X(store_empty, WARNING)             \
	X(store_config, BAD)                \
	X(store_ok, GOOD)                   \
	X(store_denied, BAD)                \
	X(store_full, BAD)                  \
	X(store_unavailable, BAD)           \
	X(store_unlisted, BAD)              \
	X(tmp_unwritable, BAD)              \
	X(daemon_ready, GOOD)               \
	X(daemon_not_ready, BAD)            \
	X(daemon_away, BAD)                 \
	X(daemon_other, BAD)

enum cli_finding {
#define X(name, health) CLI_F_##name,
	CLI_FINDINGS(X)
#undef X
};

struct nv_cli_doctor {
	struct cli *c;
	const struct nv_config *config;
	struct nv_config *full; /* as the daemons read it; NULL: it has mistakes */
	unsigned roles;		/* enum nv_role of the sections that are filled in */
	json_t *findings;
	size_t counts[3];
};

/* A finding: the object, the result, and (if it is not good) the remedy. */
void nv_cli_found(struct nv_cli_doctor *d, enum cli_finding finding, const char *area,
		  const char *way_out, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* How far the clock of `who` is from ours. */
void nv_cli_found_clock(struct nv_cli_doctor *d, const char *who, int64_t ahead_ms);
/* The room on the disk of path. */
void nv_cli_found_disk(struct nv_cli_doctor *d, const char *path);
/* -1, 0 or 1: a before, same as or after b, as dotted versions. */
int nv_cli_version_compare(const char *a, const char *b);

void nv_cli_doctor_site(struct nv_cli_doctor *d);
void nv_cli_doctor_broker(struct nv_cli_doctor *d);
void nv_cli_doctor_redis(struct nv_cli_doctor *d);
void nv_cli_doctor_store(struct nv_cli_doctor *d);
void nv_cli_doctor_api(struct nv_cli_doctor *d);

#endif
