/* SPDX-License-Identifier: GPL-3.0-or-later */
/* doctor: checks this installation and says how to fix it. Here: the checks of this machine.
 * */
#include "cli/doctor.h"

#include <amqp.h>
#include <archive.h>
#include <curl/curl.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/fs.h"
#include "core/accounts/accounts.h"
#include "proto/envelope.h"

#define LOW_DISK (1ull << 30)
#define CLOCK_WARNING_MS 30000

/* --- findings --- */

static const char *const health_words[] = {"ok", "warning", "failed"};

static const struct {
	const char *id;
	enum cli_health health;
} findings[] = {
#define X(name, health) [CLI_F_##name] = {#name, CLI_##health},
	CLI_FINDINGS(X)
#undef X
};

void nv_cli_found(struct nv_cli_doctor *d, enum cli_finding finding, const char *area,
		  const char *way_out, const char *fmt, ...)
{
	enum cli_health health = findings[finding].health;
	char text[600];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	d->counts[health]++;
	if (health == CLI_GOOD)
		way_out = NULL;
	json_array_append_new(d->findings,
			      json_pack("{s:s, s:s, s:s, s:o, s:o}", "id", findings[finding].id,
					"status", health_words[health], "area", area, "text",
					nv_cli_string(text), "way_out", nv_cli_string(way_out)));
	if (d->c->json)
		return;
	nv_auto_free char *clean = nv_cli_clean(text);
	printf("%-8s %-14s %s\n", health_words[health], area, clean);
	if (way_out)
		printf("%-8s %-14s → %s\n", "", "", way_out);
	fflush(stdout);
}

void nv_cli_found_clock(struct nv_cli_doctor *d, const char *who, int64_t ahead_ms)
{
	int64_t off = ahead_ms < 0 ? -ahead_ms : ahead_ms;
	enum cli_finding finding = off >= (int64_t)NV_CLOCK_SKEW_MS ? CLI_F_clock_wrong
				   : off >= CLOCK_WARNING_MS	    ? CLI_F_clock_off
								    : CLI_F_clock_ok;
	if (off < 2000)
		nv_cli_found(d, finding, "clock", NULL, "%s has the same time", who);
	else
		nv_cli_found(d, finding, "clock",
			     "synchronise the clocks of both machines by NTP (timedatectl set-ntp "
			     "true); messages from a clock more than five minutes ahead are held",
			     "%s is %" PRId64 " s %s", who, off / 1000,
			     ahead_ms > 0 ? "ahead of us" : "behind us");
}

int nv_cli_version_compare(const char *a, const char *b)
{
	while (*a || *b) {
		char *end_a, *end_b;
		unsigned long x = strtoul(a, &end_a, 10);
		unsigned long y = strtoul(b, &end_b, 10);
		if (x != y)
			return x < y ? -1 : 1;
		if ((*end_a && *end_a != '.') || (*end_b && *end_b != '.'))
			return 0;
		a = *end_a ? end_a + 1 : end_a;
		b = *end_b ? end_b + 1 : end_b;
	}
	return 0;
}

/* --- configuration --- */

/* The programs whose sections are filled in. */
static unsigned roles_of(const struct nv_config *c)
{
	return (c->producer.accounts_file ? NV_ROLE_PRODUCER : 0u) |
	       (c->archiver.work_dir ? NV_ROLE_ARCHIVER : 0u) |
	       (c->worker.work_dir ? NV_ROLE_WORKER : 0u);
}

static void report_mistakes(struct nv_cli_doctor *d, struct nv_buf *mistakes)
{
	char *rest = (char *)mistakes->data;
	for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
		if (*line && strstr(line, " cannot be read ("))
			nv_cli_found(d, CLI_F_config_file_missing, "configuration",
				     "create that file: one line, mode 0600, owned by the daemons' "
				     "user; or name another file",
				     "%s", line);
		else if (*line)
			nv_cli_found(d, CLI_F_config_mistake, "configuration",
				     "correct that line; navette config example explains every key",
				     "%s", line);
	}
}

/* false: there is no file, or none that we may read. */
static bool configuration_readable(struct nv_cli_doctor *d, const char *path)
{
	if (access(path, R_OK) == 0)
		return true;
	if (errno == EACCES)
		nv_cli_found(d, CLI_F_config_unreadable, "configuration",
			     "run this as root, or as the user the daemons run as", "%s: %s", path,
			     strerrordesc_np(errno));
	else
		nv_cli_found(d, CLI_F_config_missing, "configuration",
			     "write one, starting from navette config example; -c FILE or "
			     "NAVETTE_CONFIG name another file",
			     "%s: %s", path, strerrordesc_np(errno));
	return false;
}

/* false: nothing more can be checked. */
static bool load_configuration(struct nv_cli_doctor *d)
{
	nv_auto_buf struct nv_buf mistakes = {0};
	if (!configuration_readable(d, d->c->config_path))
		return false;
	d->c->config = nv_config_load(d->c->config_path, NV_ROLE_CLI, &mistakes);
	d->config = d->c->config;
	if (!d->config) {
		report_mistakes(d, &mistakes);
		return false;
	}
	d->roles = roles_of(d->config);
	return true;
}

/* What the daemons would say of it. */
static void check_configuration(struct nv_cli_doctor *d)
{
	nv_auto_buf struct nv_buf mistakes = {0};
	if (!configuration_readable(d, d->c->config_path))
		return;
	d->full = nv_config_load(d->c->config_path, d->roles, &mistakes);
	if (d->full)
		nv_cli_found(d, CLI_F_config_ok, "configuration", NULL, "%s%s%s%s", d->config->path,
			     d->roles & NV_ROLE_PRODUCER ? ", producer" : "",
			     d->roles & NV_ROLE_ARCHIVER ? ", archiver" : "",
			     d->roles & NV_ROLE_WORKER ? ", worker" : "");
	else
		report_mistakes(d, &mistakes);
}

/* --- the user to check as --- */

/* The daemons' user: their key must be their own. */
static bool daemons_user(const struct nv_config *c, uid_t *ret, const char **ret_of)
{
	const char *const paths[] = {c->identity.key_file, c->archiver.work_dir,
				     c->worker.work_dir};
	for (size_t i = 0; i < NV_ARRAY_LEN(paths); i++) {
		struct stat st;
		if (!paths[i] || stat(paths[i], &st) < 0)
			continue;
		*ret = st.st_uid;
		*ret_of = paths[i];
		return true;
	}
	return false;
}

/* Root could read everything and would own the files it makes: continue as the daemons' user. */
static void become_daemons_user(struct nv_cli_doctor *d)
{
	uid_t uid = 0;
	const char *of = NULL;
	if (geteuid() != 0 || !daemons_user(d->config, &uid, &of) || uid == 0)
		return;
	const struct passwd *user = getpwuid(uid);
	if (user && initgroups(user->pw_name, user->pw_gid) == 0 && setgid(user->pw_gid) == 0 &&
	    setuid(uid) == 0)
		nv_cli_found(d, CLI_F_user_taken, "user", NULL, "checking as %s, the owner of %s",
			     user->pw_name, of);
	else
		nv_cli_found(d, CLI_F_user_refused, "user",
			     "give that file to the user the daemons run as (chown navette:)",
			     "%s belongs to user %u: %s", of, (unsigned)uid,
			     user ? strerrordesc_np(errno) : "there is no such user");
}

/* --- key and accounts --- */

static void check_key(struct nv_cli_doctor *d)
{
	const struct nv_config *c = d->config;
	struct nv_identity me;
	struct nv_err err = {0};
	char public_key[NV_PUBLIC_KEY_TEXT];
	bool client = c->identity.client != NULL;
	const char *name = client ? c->identity.client : c->identity.site;
	if (!c->identity.key_file || !name)
		return;
	if (nv_identity_load(c->identity.key_file, client ? 'c' : 's', name, &me, &err) == 0) {
		nv_identity_public(&me, public_key);
		nv_identity_wipe(&me);
		nv_cli_found(d, CLI_F_key_ok, "key", NULL,
			     "%s (the other side must have the same public key)", public_key);
	} else if (access(c->identity.key_file, F_OK) < 0 && errno == ENOENT) {
		nv_cli_found(
			d, CLI_F_key_missing, "key",
			"create one: navette keys new FILE; it must belong to the daemons' user",
			"%s", err.msg);
	} else {
		nv_cli_found(d, CLI_F_key_bad, "key",
			     "it must belong to the daemons' user, with mode 0600, and be a file "
			     "made by navette keys new: restore it from the backup, since the "
			     "other side would not know a new key",
			     "%s", err.msg);
	}
}

static void check_accounts(struct nv_cli_doctor *d)
{
	const char *path = d->config->producer.accounts_file;
	const char *make_one = "make one: navette account add USER --admin";
	struct nv_accounts a;
	struct nv_err err = {0};
	if (!path)
		return;
	if (nv_accounts_load(path, &a, &err) == 0) {
		nv_cli_found(d, a.len ? CLI_F_accounts_ok : CLI_F_accounts_none, "accounts",
			     make_one, "%zu local accounts", a.len);
		nv_accounts_fini(&a);
	} else if (access(path, F_OK) < 0 && errno == ENOENT) {
		nv_cli_found(d, CLI_F_accounts_missing, "accounts", make_one, "%s", err.msg);
	} else {
		nv_cli_found(d, CLI_F_accounts_bad, "accounts",
			     "the producer's user must be able to read it; restore a damaged file "
			     "from the backup",
			     "%s", err.msg);
	}
}

/* --- libraries --- */

static void check_version(struct nv_cli_doctor *d, const char *name, const char *have,
			  const char *minimum, const char *package)
{
	nv_auto_free char *way_out = nv_asprintf("apt-get install %s", package);
	bool old = nv_cli_version_compare(have, minimum) < 0;
	nv_cli_found(d, old ? CLI_F_library_old : CLI_F_library_ok, "versions", way_out,
		     "%s %s%s%s", name, have, old ? ", needed is " : "", old ? minimum : "");
}

static void check_libraries(struct nv_cli_doctor *d)
{
	char archive[32];
	int n = archive_version_number();
	snprintf(archive, sizeof archive, "%d.%d.%d", n / 1000000, n / 1000 % 1000, n % 1000);
	check_version(d, "librabbitmq", amqp_version(), "0.11.0", "librabbitmq4");
	check_version(d, "libcurl", curl_version_info(CURLVERSION_NOW)->version, "7.88",
		      "libcurl4");
	check_version(d, "libarchive", archive, "3.6", "libarchive13");
	check_version(d, "libsodium", sodium_version_string(), "1.0.18", "libsodium23");
	check_version(d, "jansson", jansson_version_str(), "2.14", "libjansson4");
}

/* --- clock, disk, folders --- */

static void check_clock(struct nv_cli_doctor *d)
{
	struct timex t = {0};
	if (adjtimex(&t) < 0)
		return; /* not allowed to ask */
	bool lost = t.status & STA_UNSYNC;
	nv_cli_found(
		d, lost ? CLI_F_ntp_lost : CLI_F_ntp_ok, "clock", "timedatectl set-ntp true",
		lost ? "this machine's clock is not synchronised by NTP, as far as the kernel knows"
		     : "this machine's clock is synchronised by NTP");
}

void nv_cli_found_disk(struct nv_cli_doctor *d, const char *path)
{
	uint64_t room = 0;
	struct nv_err err = {0};
	if (nv_disk_free(path, &room, &err) < 0) {
		nv_cli_found(d, CLI_F_disk_unknown, "disk", "check that the folder exists", "%s",
			     err.msg);
		return;
	}
	enum cli_finding finding = room < LOW_DISK			 ? CLI_F_disk_full
				   : room < d->config->store.max_archive ? CLI_F_disk_low
									 : CLI_F_disk_ok;
	nv_auto_free char *text = nv_cli_size(room);
	nv_auto_free char *most = nv_cli_size(d->config->store.max_archive);
	nv_cli_found(d, finding, "disk", "free some space, or lower store.max_archive",
		     "%s: %s free%s%s", path, text,
		     finding == CLI_F_disk_ok ? "" : "; a course may take up to ",
		     finding == CLI_F_disk_ok ? "" : most);
}

static const char *user_name(uid_t uid)
{
	const struct passwd *user = getpwuid(uid);
	return user ? user->pw_name : "a user without a name";
}

static void check_work_dir(struct nv_cli_doctor *d, const char *daemon, const char *path)
{
	struct stat st;
	if (!path)
		return;
	nv_auto_free char *us = nv_strdup(user_name(geteuid()));
	const char *daemons = geteuid() == 0 ? "navette" : us;
	nv_auto_free char *way_out =
		nv_asprintf("as root: install -d -m 0750 -o %s -g %s %s", daemons, daemons, path);
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		nv_cli_found(d, CLI_F_work_dir_missing, daemon, way_out,
			     "work_dir %s does not exist", path);
		return;
	}
	const char *owner = user_name(st.st_uid);
	if (access(path, R_OK | W_OK | X_OK) < 0)
		nv_cli_found(d, CLI_F_work_dir_denied, daemon, way_out,
			     "work_dir %s belongs to %s: %s may not write there", path, owner, us);
	else if (st.st_mode & S_IRWXO)
		nv_cli_found(d, CLI_F_work_dir_open, daemon, way_out,
			     "work_dir %s may be read by everybody (mode %03o)", path,
			     (unsigned)(st.st_mode & 0777));
	else
		nv_cli_found(d, CLI_F_work_dir_ok, daemon, NULL, "work_dir %s, which belongs to %s",
			     path, owner);
	nv_cli_found_disk(d, path);
}

/* The folder for requests accepted while the broker is away. */
static void check_spool(struct nv_cli_doctor *d)
{
	const char *given = getenv("STATE_DIRECTORY"); /* as in a unit of systemd */
	struct stat st;
	if (!given)
		given = "/var/lib/navette/producer"; /* what ours has */
	if (!(d->roles & NV_ROLE_PRODUCER))
		return;
	if (d->config->producer.work_dir)
		check_work_dir(d, "producer", d->config->producer.work_dir);
	else if (stat(given, &st) == 0 && S_ISDIR(st.st_mode))
		nv_cli_found(d, CLI_F_spool_ok, "producer", NULL,
			     "requests accepted while the broker is away are kept in %s", given);
	else
		nv_cli_found(d, CLI_F_spool_missing, "producer",
			     "set producer.work_dir to a folder on a permanent disk",
			     "while the broker is away requests are refused: there is no folder to "
			     "keep them in");
}

/* --- all of it --- */

static int summary(struct nv_cli_doctor *d)
{
	int status = d->counts[CLI_BAD] ? CLI_FAILED : CLI_OK;
	if (d->c->json)
		return nv_cli_document(d->c,
				       json_pack("{s:b, s:I, s:I, s:o}", "ok", status == CLI_OK,
						 "failed", (json_int_t)d->counts[CLI_BAD],
						 "warnings", (json_int_t)d->counts[CLI_WARNING],
						 "findings", d->findings),
				       status);
	json_decref(d->findings);
	if (status == CLI_OK)
		printf("Nothing failed (warnings: %zu).\n", d->counts[CLI_WARNING]);
	else
		printf("Failed: %zu (warnings: %zu).\n", d->counts[CLI_BAD],
		       d->counts[CLI_WARNING]);
	return status;
}

int nv_cli_doctor(struct cli *c)
{
	struct nv_cli_doctor d = {.c = c, .findings = json_array()};
	curl_global_init(CURL_GLOBAL_DEFAULT);
	check_libraries(&d);
	check_clock(&d);
	if (load_configuration(&d)) {
		become_daemons_user(&d);
		check_configuration(&d);
		check_key(&d);
		check_accounts(&d);
		check_work_dir(&d, "archiver", d.config->archiver.work_dir);
		check_work_dir(&d, "worker", d.config->worker.work_dir);
		check_spool(&d);
		nv_cli_doctor_site(&d);
		nv_cli_doctor_broker(&d);
		nv_cli_doctor_redis(&d);
		nv_cli_doctor_store(&d);
		nv_cli_doctor_api(&d);
	}
	nv_config_free(d.full);
	curl_global_cleanup();
	return summary(&d);
}
