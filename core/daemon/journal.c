/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/daemon/journal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/log.h"
#include "base/mem.h"

#define SD_JOURNAL_SUPPRESS_LOCATION /* log.c's, each time */
#include <systemd/sd-journal.h>

#define ENTRIES_MAX 64u
#define NAME_MAX_LEN 64u /* the journal takes no longer ones */

struct entry {
	struct nv_buf texts[ENTRIES_MAX];
	size_t len;
};

static void add(struct entry *e, const char *name, const char *value)
{
	if (e->len == ENTRIES_MAX)
		return;
	nv_buf_printf(&e->texts[e->len], "%s=", name);
	nv_buf_puts(&e->texts[e->len++], value);
}

static void add_pair(void *arg, const char *key, const char *value)
{
	char name[NAME_MAX_LEN + 1] = "NAVETTE_";
	size_t n = strlen(name);
	for (; *key && n < NAME_MAX_LEN; key++)
		name[n++] = isalnum((unsigned char)*key) ? (char)toupper((unsigned char)*key) : '_';
	name[n] = '\0';
	add(arg, name, value);
}

static void send(const struct nv_log_entry *line)
{
	static const char *const priorities[] = {
		[NV_DEBUG] = "7", [NV_INFO] = "6", [NV_WARN] = "4", [NV_ERROR] = "3"};
	struct entry e = {.len = 0};
	struct iovec parts[ENTRIES_MAX];
	nv_auto_free char *identifier = nv_asprintf("navette-%s", line->svc);
	add(&e, "MESSAGE", line->text + strlen("event="));
	add(&e, "PRIORITY", priorities[line->level]);
	add(&e, "SYSLOG_IDENTIFIER", identifier);
	add(&e, "NAVETTE_EVENT", line->event);
	for (unsigned i = 0; i < line->count; i++)
		nv_log_values(&line->fields[i], add_pair, &e);
	for (size_t i = 0; i < e.len; i++)
		parts[i] = (struct iovec){e.texts[i].data, e.texts[i].len};
	sd_journal_sendv(parts, (int)e.len); /* as with a line: nowhere to say that it failed */
	for (size_t i = 0; i < e.len; i++)
		nv_buf_fini(&e.texts[i]);
}

bool nv_journal_use(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	if (!stream || fstat(2, &st) < 0)
		return false;
	nv_auto_free char *ours = nv_asprintf("%llu:%llu", (unsigned long long)st.st_dev,
					      (unsigned long long)st.st_ino);
	if (strcmp(stream, ours) != 0)
		return false;
	nv_log_set_sink(send);
	return true;
}
