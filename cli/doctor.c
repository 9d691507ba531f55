/* SPDX-License-Identifier: GPL-3.0-or-later */
/* doctor: what is wrong with this installation, and how to mend it.  Here: what this machine says.
 */
#include "cli/doctor.h"

#include <amqp.h>
#include <archive.h>
#include <curl/curl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#include "core/accounts/accounts.h"
#include "core/base/fs.h"
#include "core/site/site.h"
#include "proto/envelope.h"

#define LOW_DISK (1ull << 30)
#define CLOCK_WARNING_MS 30000

/* --- findings --- */

static const char *const health_words[] = {"ok", "warning", "failed"};

void cli_found(struct cli_doctor *d, enum cli_health health, const char *area, const char *way_out,
	       const char *fmt, ...)
{
	char text[600];
	va_list args;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	d->counts[health]++;
	if (health == CLI_GOOD)
		way_out = NULL;
	json_array_append_new(d->findings,
			      json_pack("{s:s, s:s, s:o, s:o}", "status", health_words[health],
					"area", area, "text", cli_string(text), "way_out",
					cli_string(way_out)));
	if (d->c->json)
		return;
	nv_auto_free char *clean = cli_clean(text);
	printf("%-8s %-14s %s\n", health_words[health], area, clean);
	if (way_out)
		printf("%-8s %-14s → %s\n", "", "", way_out);
	fflush(stdout);
}

void cli_found_clock(struct cli_doctor *d, const char *who, int64_t ahead_ms)
{
	int64_t off = ahead_ms < 0 ? -ahead_ms : ahead_ms;
	enum cli_health health = off >= (int64_t)NV_CLOCK_SKEW_MS ? CLI_BAD
				 : off >= CLOCK_WARNING_MS	  ? CLI_WARNING
								  : CLI_GOOD;
	if (off < 2000)
		cli_found(d, health, "clock", NULL, "%s has the same time", who);
	else
		cli_found(d, health, "clock",
			  "set the clocks of both machines by NTP (timedatectl set-ntp true); "
			  "messages from a clock five minutes ahead are refused",
			  "%s is %" PRId64 " s %s", who, off / 1000,
			  ahead_ms > 0 ? "ahead of us" : "behind us");
}

int cli_version_compare(const char *a, const char *b)
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

static void report_mistakes(struct cli_doctor *d, struct nv_buf *mistakes)
{
	char *rest = (char *)mistakes->data;
	for (char *line; (line = strsep(&rest, "\n")) != NULL;)
		if (*line)
			cli_found(d, CLI_BAD, "configuration",
				  "correct that line; navette config example explains every key",
				  "%s", line);
}

/* false: nothing more can be looked at. */
static bool check_configuration(struct cli_doctor *d)
{
	nv_auto_buf struct nv_buf mistakes = {0};
	nv_auto_buf struct nv_buf more = {0};
	d->c->config = nv_config_load(d->c->config_path, NV_ROLE_CLI, &mistakes);
	d->config = d->c->config;
	if (!d->config) {
		report_mistakes(d, &mistakes);
		return false;
	}
	d->roles = roles_of(d->config);
	struct nv_config *full = nv_config_load(d->c->config_path, d->roles, &more);
	if (full)
		cli_found(d, CLI_GOOD, "configuration", NULL, "%s%s%s%s", d->config->path,
			  d->roles & NV_ROLE_PRODUCER ? ", producer" : "",
			  d->roles & NV_ROLE_ARCHIVER ? ", archiver" : "",
			  d->roles & NV_ROLE_WORKER ? ", worker" : "");
	else
		report_mistakes(d, &more);
	nv_config_free(full);
	return true;
}

static void check_key(struct cli_doctor *d)
{
	const struct nv_config *c = d->config;
	struct nv_identity me;
	struct nv_err err = {0};
	char public_key[NV_PUBLIC_KEY_TEXT];
	bool client = c->identity.client != NULL;
	const char *name = client ? c->identity.client : c->identity.site;
	if (!c->identity.key_file || !name)
		return;
	if (nv_identity_load(c->identity.key_file, client ? 'c' : 's', name, &me, &err) < 0) {
		cli_found(d, CLI_BAD, "key",
			  "make one: navette keys new FILE; it must belong to the daemon's user, "
			  "mode 0600",
			  "%s", err.msg);
		return;
	}
	nv_identity_public(&me, public_key);
	nv_identity_wipe(&me);
	cli_found(d, CLI_GOOD, "key", NULL, "%s (the other side must know it as this)", public_key);
}

static void check_accounts(struct cli_doctor *d)
{
	struct nv_accounts a;
	struct nv_err err = {0};
	if (!d->config->producer.accounts_file)
		return;
	if (nv_accounts_load(d->config->producer.accounts_file, &a, &err) < 0) {
		cli_found(d, CLI_BAD, "accounts", "make one: navette account add USER --admin",
			  "%s", err.msg);
		return;
	}
	cli_found(d, a.len ? CLI_GOOD : CLI_WARNING, "accounts",
		  "make one: navette account add USER --admin", "%zu local accounts", a.len);
	nv_accounts_fini(&a);
}

/* --- libraries --- */

static void check_version(struct cli_doctor *d, const char *name, const char *have,
			  const char *minimum, const char *package)
{
	nv_auto_free char *way_out = nv_asprintf("apt-get install %s", package);
	bool old = cli_version_compare(have, minimum) < 0;
	cli_found(d, old ? CLI_BAD : CLI_GOOD, "versions", way_out, "%s %s%s%s", name, have,
		  old ? ", needed is " : "", old ? minimum : "");
}

static void check_libraries(struct cli_doctor *d)
{
	char archive[32];
	int n = archive_version_number();
	snprintf(archive, sizeof(archive), "%d.%d.%d", n / 1000000, n / 1000 % 1000, n % 1000);
	check_version(d, "librabbitmq", amqp_version(), "0.11.0", "librabbitmq4");
	check_version(d, "libcurl", curl_version_info(CURLVERSION_NOW)->version, "7.88",
		      "libcurl4");
	check_version(d, "libarchive", archive, "3.6", "libarchive13");
	check_version(d, "libsodium", sodium_version_string(), "1.0.18", "libsodium23");
	check_version(d, "jansson", jansson_version_str(), "2.14", "libjansson4");
}

/* --- clock, disk, folders --- */

static void check_clock(struct cli_doctor *d)
{
	struct timex t = {0};
	if (adjtimex(&t) < 0)
		return; /* not allowed to ask */
	bool lost = t.status & STA_UNSYNC;
	cli_found(d, lost ? CLI_WARNING : CLI_GOOD, "clock", "timedatectl set-ntp true",
		  lost ? "this machine's clock is not kept by NTP, as far as the kernel knows"
		       : "this machine's clock is kept by NTP");
}

static void check_disk(struct cli_doctor *d, const char *what, const char *path)
{
	uint64_t room = 0;
	struct nv_err err = {0};
	if (nv_disk_free(path, &room, &err) < 0) {
		cli_found(d, CLI_BAD, "disk", "see that the folder is there", "%s", err.msg);
		return;
	}
	enum cli_health health = room < LOW_DISK		       ? CLI_BAD
				 : room < d->config->store.max_archive ? CLI_WARNING
								       : CLI_GOOD;
	nv_auto_free char *text = cli_size(room);
	nv_auto_free char *most = cli_size(d->config->store.max_archive);
	cli_found(d, health, "disk",
		  "make room, or lower store.max_archive to what is there at most",
		  "%s: %s free%s%s%s", path, text,
		  health == CLI_GOOD ? "" : "; a course may take up to ",
		  health == CLI_GOOD ? "" : most, what);
}

static void check_work_dir(struct cli_doctor *d, const char *daemon, const char *path)
{
	struct stat st;
	if (!path)
		return;
	nv_auto_free char *way_out =
		nv_asprintf("as root: install -d -m 0750 -o navette -g navette %s", path);
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		cli_found(d, CLI_BAD, daemon, way_out, "work_dir %s is not there", path);
		return;
	}
	if (access(path, R_OK | W_OK | X_OK) < 0)
		cli_found(d, CLI_BAD, daemon, way_out, "work_dir %s: user %u may not write there",
			  path, (unsigned)geteuid());
	else if (st.st_mode & S_IRWXO)
		cli_found(d, CLI_WARNING, daemon, way_out,
			  "work_dir %s may be read by everybody (mode %03o)", path,
			  (unsigned)(st.st_mode & 0777));
	else
		cli_found(d, CLI_GOOD, daemon, NULL, "work_dir %s", path);
	check_disk(d, "", path);
}

/* Where the producer keeps what it has accepted while the broker is away. */
static void check_spool(struct cli_doctor *d)
{
	static const char given[] = "/var/lib/navette/producer"; /* by the systemd unit */
	struct stat st;
	if (!(d->roles & NV_ROLE_PRODUCER))
		return;
	if (d->config->producer.work_dir)
		check_work_dir(d, "producer", d->config->producer.work_dir);
	else if (stat(given, &st) == 0 && S_ISDIR(st.st_mode))
		cli_found(d, CLI_GOOD, "producer", NULL,
			  "requests accepted while the broker is away are kept in %s", given);
	else
		cli_found(d, CLI_WARNING, "producer",
			  "set producer.work_dir to a folder of a disk that stays",
			  "while the broker is away requests are refused: there is no folder to "
			  "keep them in");
}

/* --- site --- */

/* It answers: can it be worked with? */
static bool site_serves(struct cli_doctor *d, struct nv_site *site)
{
	struct nv_err err = {0};
	const char *way_out = "see what it says of itself; courses wait until that has passed";
	if (nv_site_probe(site, NULL, &err) == 0)
		return true;
	if (err.reason == NV_R_site_upgrading)
		way_out = "in Moodle's folder, as the web server's user: php admin/cli/upgrade.php";
	else if (err.reason == NV_R_disk_full)
		way_out = "make room; courses wait until there is some";
	cli_found(d, CLI_BAD, "site", way_out, "%s", err.msg);
	return false;
}

static void check_site(struct cli_doctor *d)
{
	const struct nv_config *c = d->config;
	struct nv_err err = {0};
	nv_auto_arena struct nv_arena arena = {0};
	struct nv_list plugins = {0};
	uint64_t version = 0;
	bool seed = c->site.type == NV_SITE_SEED_WS && c->site.url;
	bool restores = !seed && (d->roles & NV_ROLE_WORKER);
	if (!c->site.path && !seed)
		return;
	const char *way_out =
		seed ? "see docs/moodle.md, \"A course server that has only the older block\": "
		       "address, token, authorities"
		     : "see that site.path is the right folder and may be read; a new one is made "
		       "by navette site create";
	struct nv_site *site = nv_site_open(c, &err);
	if (!site || nv_site_versions(site, &version, &plugins, &arena, &err) < 0)
		cli_found(d, CLI_BAD, "site", way_out, "%s", err.msg);
	else if (!site_serves(d, site))
		; /* which has been said */
	else if (restores && access(c->site.path, W_OK) < 0)
		cli_found(d, CLI_BAD, "site", "give the worker's user the right to write there",
			  "%s cannot be written to", c->site.path);
	else
		cli_found(d, CLI_GOOD, "site", NULL, "%s", nv_site_describe(site));
	nv_site_close(site);
	if (restores)
		check_disk(d, "", c->site.path);
}

/* --- all of it --- */

static int summary(struct cli_doctor *d)
{
	int status = d->counts[CLI_BAD] ? CLI_FAILED : CLI_OK;
	if (d->c->json)
		return cli_document(d->c,
				    json_pack("{s:b, s:I, s:I, s:o}", "ok", status == CLI_OK,
					      "failed", (json_int_t)d->counts[CLI_BAD], "warnings",
					      (json_int_t)d->counts[CLI_WARNING], "findings",
					      d->findings),
				    status);
	json_decref(d->findings);
	if (status == CLI_OK)
		printf("Nothing failed (warnings: %zu).\n", d->counts[CLI_WARNING]);
	else
		printf("Failed: %zu (warnings: %zu).\n", d->counts[CLI_BAD],
		       d->counts[CLI_WARNING]);
	return status;
}

int cli_doctor(struct cli *c)
{
	struct cli_doctor d = {.c = c, .findings = json_array()};
	curl_global_init(CURL_GLOBAL_DEFAULT);
	check_libraries(&d);
	check_clock(&d);
	if (check_configuration(&d)) {
		check_key(&d);
		check_accounts(&d);
		check_work_dir(&d, "archiver", d.config->archiver.work_dir);
		check_work_dir(&d, "worker", d.config->worker.work_dir);
		check_spool(&d);
		check_site(&d);
		cli_doctor_broker(&d);
		cli_doctor_redis(&d);
		cli_doctor_store(&d);
		cli_doctor_api(&d);
	}
	curl_global_cleanup();
	return summary(&d);
}
