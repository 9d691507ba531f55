/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Values: parsing, and descriptions of the allowed ones. */
#include "core/config/config_table.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <sodium.h>

#include "base/address.h"
#include "base/fs.h"

struct unit {
	const char *name;
	uint64_t factor;
};
/* Largest first: values are shown in the largest that fits without rest. */
static const struct unit times[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000},
				    {"s", 1000},     {"ms", 1},	     {NULL, 0}};
static const struct unit sizes[] = {{"TiB", 1ull << 40},
				    {"GiB", 1ull << 30},
				    {"MiB", 1ull << 20},
				    {"KiB", 1ull << 10},
				    {"", 1},
				    {"B", 1},
				    {"TB", 1000000000000},
				    {"GB", 1000000000},
				    {"MB", 1000000},
				    {"kB", 1000},
				    {"KB", 1000},
				    {NULL, 0}};

/* Digits only, no sign; *ret_end at what follows. */
static int parse_digits(const char *text, uint64_t *ret, const char **ret_end)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -1;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	*ret_end = end;
	return errno ? -1 : 0;
}

static int parse_units(const char *text, const struct unit *units, uint64_t *ret)
{
	const char *end;
	uint64_t n;

	if (!text || parse_digits(text, &n, &end) < 0)
		return -1;
	for (; units->name; units++)
		if (strcmp(end, units->name) == 0)
			return __builtin_mul_overflow(n, units->factor, ret) ? -1 : 0;
	return -1;
}

int nv_parse_duration(const char *text, uint64_t *ret_ms)
{
	return parse_units(text, times, ret_ms);
}

int nv_parse_size(const char *text, uint64_t *ret_bytes)
{
	return parse_units(text, sizes, ret_bytes);
}

static void put_units(struct nv_buf *out, uint64_t n, const struct unit *units, const char *zero)
{
	if (n == 0) {
		nv_buf_puts(out, zero);
		return;
	}
	while (n % units->factor)
		units++;
	nv_buf_printf(out, "%" PRIu64 "%s", n / units->factor, units->name);
}

static int parse_number(const char *text, uint64_t *ret)
{
	const char *end;

	return parse_digits(text, ret, &end) < 0 || *end ? -1 : 0;
}

static int parse_bool(const char *text, uint64_t *ret)
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};

	for (unsigned i = 0; i < NV_ARRAY_LEN(words); i++) {
		if (strcasecmp(text, words[i]) == 0) {
			*ret = i & 1;
			return 0;
		}
	}
	return -1;
}

static int find_word(const char *text, const char *const *words, uint64_t *ret)
{
	for (uint64_t i = 0; words[i]; i++) {
		if (strcmp(text, words[i]) == 0) {
			*ret = i;
			return 0;
		}
	}
	return -1;
}

static void store_uint(void *dest, size_t size, uint64_t n)
{
	uint8_t n8 = (uint8_t)n;
	uint16_t n16 = (uint16_t)n;
	uint32_t n32 = (uint32_t)n;

	switch (size) {
	case 1:
		memcpy(dest, &n8, size);
		break;
	case 2:
		memcpy(dest, &n16, size);
		break;
	case 4:
		memcpy(dest, &n32, size);
		break;
	default:
		memcpy(dest, &n, sizeof n);
		break;
	}
}

/* host:port; IPv6 in brackets.  port 0 lets the system choose: tests use it. */
static bool is_listen(const char *text)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;

	if (!colon || colon == text || parse_number(colon + 1, &port) < 0 || port > 65535)
		return false;
	if (text[0] == '[')
		return colon[-1] == ']' && colon - text > 2;
	return memchr(text, ':', (size_t)(colon - text)) == NULL;
}

/* What stands between the host and the path: nothing, or a colon and a number. */
static int read_port(const char *p, const char *end, uint16_t *ret)
{
	unsigned long port = 0;

	if (p == end || (*p == ':' && p + 1 == end))
		return 0;
	if (*p++ != ':')
		return -1;
	for (; p < end && *p >= '0' && *p <= '9' && port <= UINT16_MAX; p++)
		port = port * 10 + (unsigned long)(*p - '0');
	if (p < end || port == 0 || port > UINT16_MAX)
		return -1;
	*ret = (uint16_t)port;
	return 0;
}

int nv_cfg_url_split(const char *text, struct nv_cfg_url *ret)
{
	const char *p = strstr(text, "://");
	const char *end;
	const char *at;
	size_t len;

	*ret = (struct nv_cfg_url){0};
	if (!p || p == text || (size_t)(p - text) >= sizeof ret->scheme)
		return -1;
	memcpy(ret->scheme, text, (size_t)(p - text));
	p += 3;
	end = p + strcspn(p, "/?#");
	at = memrchr(p, '@', (size_t)(end - p));
	if (at) {
		ret->has_password = memchr(p, ':', (size_t)(at - p)) != NULL;
		p = at + 1;
	}
	bool bracket = *p == '[';
	p += bracket;
	len = strcspn(p, bracket ? "]" : ":/?#");
	if (len == 0 || len >= sizeof ret->host || (bracket && p + len >= end))
		return -1;
	memcpy(ret->host, p, len);
	return read_port(p + len + bracket, end, &ret->port);
}

int nv_config_address(const char *url, char host[256], uint16_t *port, uint16_t usual)
{
	struct nv_cfg_url u;

	if (nv_cfg_url_split(url, &u) < 0)
		return -1;
	memcpy(host, u.host, sizeof u.host);
	*port = u.port ? u.port : usual;
	return 0;
}

static bool is_url(const char *text, const char *const *schemes)
{
	struct nv_cfg_url url;
	uint64_t unused;

	if (text[strcspn(text, " \\\"<>")])
		return false;
	return nv_cfg_url_split(text, &url) == 0 && !url.has_password &&
	       find_word(url.scheme, schemes, &unused) == 0;
}

static bool is_address(const char *text)
{
	const char *at = strchr(text, '@');

	return at && at != text && at[1] && !strchr(at + 1, '@') && !text[strcspn(text, " <>,;\"")];
}

static bool is_zone(const char *text)
{
	nv_auto_free char *path = nv_asprintf("/usr/share/zoneinfo/%s", text);
	nv_auto_file FILE *f = NULL;
	char magic[4];

	if (!nv_path_is_safe(text))
		return false;
	f = fopen(path, "rbe");
	return f && fread(magic, 1, sizeof magic, f) == sizeof magic &&
	       memcmp(magic, "TZif", sizeof magic) == 0;
}

static bool is_public_key(const char *text)
{
	static const char prefix[] = "ed25519:";
	uint8_t key[32];
	size_t len = 0;

	if (strncmp(text, prefix, sizeof prefix - 1) != 0)
		return false;
	text += sizeof prefix - 1;
	return strlen(text) == 44 &&
	       sodium_base642bin(key, sizeof key, text, 44, NULL, &len, NULL,
				 sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       len == sizeof key;
}

static int parse_uint(const struct nv_cfg_field *f, const char *text, void *dest)
{
	uint64_t n = 0;
	int rc = -1;

	if (f->type == NV_CFG_BOOL)
		rc = parse_bool(text, &n);
	else if (f->type == NV_CFG_WORD)
		rc = find_word(text, f->words, &n) == 0 ||
				     (f->old_words && find_word(text, f->old_words, &n) == 0)
			     ? 0
			     : -1;
	else if (f->type == NV_CFG_NUMBER)
		rc = parse_number(text, &n);
	else if (f->type == NV_CFG_DURATION)
		rc = nv_parse_duration(text, &n);
	else if (f->type == NV_CFG_SIZE)
		rc = nv_parse_size(text, &n);
	if (rc < 0)
		return -1;
	if (f->type != NV_CFG_BOOL && f->type != NV_CFG_WORD && (n < f->min || n > f->max))
		return -1;
	store_uint(dest, f->size, n);
	return 0;
}

static bool is_text_ok(const struct nv_cfg_field *f, const char *text)
{
	struct nv_network network;
	uint64_t unused;

	switch (f->type) {
	case NV_CFG_TEXT:
		return true;
	case NV_CFG_PATH:
	case NV_CFG_SECRET:
		return text[0] == '/';
	case NV_CFG_NAME:
		return nv_name_valid(text);
	case NV_CFG_LISTEN:
		return is_listen(text);
	case NV_CFG_URL:
		return is_url(text, f->words);
	case NV_CFG_ADDRESS:
		return is_address(text);
	case NV_CFG_NETWORK:
		return nv_network_parse(text, &network) == 0;
	case NV_CFG_ZONE:
		return is_zone(text);
	case NV_CFG_KEY:
		return is_public_key(text);
	case NV_CFG_CHOICE:
		return find_word(text, f->words, &unused) == 0;
	default:
		return false;
	}
}

int nv_cfg_parse(const struct nv_cfg_field *f, struct nv_arena *a, const char *text, size_t len,
		 void *dest)
{
	const char *copy;

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return -1;
	if (f->type <= NV_CFG_WORD)
		return parse_uint(f, text, dest);
	if (f->type == NV_CFG_WINDOW) {
		struct nv_window *w = dest;
		struct nv_window fresh;

		if (nv_window_parse(text, &fresh) < 0)
			return -1;
		fresh.zone = w->zone;
		*w = fresh;
		return 0;
	}
	if (len == 0 ? !f->empty_ok : !is_text_ok(f, text))
		return -1;
	copy = nv_arena_strndup(a, text, len);
	memcpy(dest, &copy, sizeof copy); /* a const char * member */
	return 0;
}

static void put_words(struct nv_buf *out, const char *const *words, const char *before,
		      const char *behind, const char *last)
{
	for (size_t i = 0; words[i]; i++)
		nv_buf_printf(out, "%s%s%s%s",
			      i == 0	     ? ""
			      : words[i + 1] ? ", "
					     : last,
			      before, words[i], behind);
}

static void put_range(const struct nv_cfg_field *f, struct nv_buf *out)
{
	if (f->type == NV_CFG_NUMBER) {
		nv_buf_printf(out, "a whole number from %" PRIu64 " to %" PRIu64, f->min, f->max);
		return;
	}
	nv_buf_puts(out, f->type == NV_CFG_DURATION ? "a time from " : "a size from ");
	put_units(out, f->min, f->type == NV_CFG_DURATION ? times : sizes,
		  f->type == NV_CFG_DURATION ? "0s" : "0");
	nv_buf_puts(out, " to ");
	put_units(out, f->max, f->type == NV_CFG_DURATION ? times : sizes, "0");
	nv_buf_puts(out, f->type == NV_CFG_DURATION ? " (such as 500ms, 90s, 5m, 2h, 30d)"
						    : " (such as 512, 64KiB, 20GiB)");
}

void nv_cfg_allowed(const struct nv_cfg_field *f, struct nv_buf *out)
{
	static const char *const fixed[] = {
		[NV_CFG_BOOL] = "yes or no",
		[NV_CFG_TEXT] = "a text of one line",
		[NV_CFG_PATH] = "an absolute path",
		[NV_CFG_NAME] = "a name (a-z, 0-9 and -, at most 32, not beginning with -)",
		[NV_CFG_LISTEN] = "host:port",
		[NV_CFG_ADDRESS] = "a mail address",
		[NV_CFG_NETWORK] = "an IP address or a network (such as 10.0.0.0/8)",
		[NV_CFG_WINDOW] = "HH:MM-HH:MM",
		[NV_CFG_ZONE] = "a time zone below /usr/share/zoneinfo/ (such as Europe/Paris)",
		[NV_CFG_KEY] = "a public key (ed25519: and 44 characters of base64)",
		[NV_CFG_SECRET] = "the absolute path of a file (mode 0600) with just the secret",
	};

	switch (f->type) {
	case NV_CFG_NUMBER:
	case NV_CFG_DURATION:
	case NV_CFG_SIZE:
		put_range(f, out);
		break;
	case NV_CFG_WORD:
	case NV_CFG_CHOICE:
		if (f->words[1])
			nv_buf_puts(out, "one of ");
		put_words(out, f->words, "", "", ", ");
		break;
	case NV_CFG_URL:
		nv_buf_puts(out, "an address with ");
		put_words(out, f->words, "", "://", " or ");
		nv_buf_puts(out, ", a host and no password");
		break;
	default:
		nv_buf_puts(out, fixed[f->type]);
		break;
	}
	if (f->empty_ok)
		nv_buf_puts(out, " or \"\"");
}

const char ***nv_cfg_list(const struct nv_cfg_field *f, void *base, size_t **ret_len)
{
	*ret_len = (size_t *)(void *)((char *)base + f->len_offset);
	return (const char ***)(void *)((char *)base + f->offset);
}

/* "x", or "[x, y]" */
static int parse_default_list(const struct nv_cfg_field *f, struct nv_arena *a, const char *text,
			      void *base)
{
	size_t *count;
	const char ***list = nv_cfg_list(f, base, &count);
	size_t max = 1;

	for (const char *p = text; *p; p++)
		max += *p == ',';
	*list = nv_arena_alloc(a, max * sizeof **list);
	*count = 0;
	for (text += strspn(text, "["); *text; text += strspn(text, "\", ]")) {
		size_t len = strcspn(text, "\", ]");
		nv_auto_free char *item = nv_strndup(text, len);

		if (*count == max || nv_cfg_parse(f, a, item, len, (void *)&(*list)[*count]) < 0)
			return -1;
		(*count)++;
		text += len;
	}
	return 0;
}

void nv_cfg_defaults(const struct nv_cfg_field *f, size_t len, struct nv_arena *a, void *base)
{
	for (; len > 0; f++, len--) {
		const char *text = f->fallback;
		void *dest = (char *)base + f->offset;
		int rc;

		if (!text)
			continue;
		if (strcmp(text, "\"\"") == 0)
			text = "";
		rc = f->list ? parse_default_list(f, a, text, base)
			     : nv_cfg_parse(f, a, text, strlen(text), dest);
		if (rc < 0)
			abort(); /* the table contradicts itself; a test sees to it */
	}
}
