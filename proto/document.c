/* SPDX-License-Identifier: GPL-3.0-or-later */
/* proto/README.md: what people must know is written here, what the tables know comes from them. */
#include <string.h>

#include "proto/envelope.h"
#include "proto/messages.h"

static const char intro[] =
	"<!-- Made from the tables by nv_proto_document; a test compares. Do not edit by hand:\n"
	"     NAVETTE_UPDATE=1 tells the test (unit.test_proto) to write it anew. -->\n"
	"# Messages\n"
	"\n"
	"What the producer, the archivers and the restore workers say to each other through the\n"
	"message broker. Each message is one table of fields in [messages.h](messages.h); the C\n"
	"struct, the encoder, the strict decoder and this page come from that table, so they "
	"cannot\n"
	"drift apart. Which exchange and queue a message travels through is decided in\n"
	"[broker-config](../broker-config) and nowhere else.\n"
	"\n";

static const char envelope[] =
	"## Envelope\n"
	"\n"
	"Every message travels as one [msgpack](https://github.com/msgpack/msgpack/blob/master/"
	"spec.md)\n"
	"map with string keys:\n"
	"\n"
	"| key | type | meaning |\n"
	"|---|---|---|\n"
	"| `v` | uint | version of the envelope: 1 |\n"
	"| `kind` | str | the message, one of the words below |\n"
	"| `from` | str | who speaks: `client:<name>` or `site:<name>` |\n"
	"| `mid` | str | UUIDv7 of this message; a redelivery keeps it, a new message has a new "
	"one "
	"|\n"
	"| `issued` | uint | when it was signed, ms since the epoch |\n"
	"| `expires` | uint | from when on nobody acts on it any more, ms since the epoch |\n"
	"| `body` | bin | the message: a msgpack map with the fields below |\n"
	"| `signature` | bin | 64 bytes, Ed25519 (RFC 8032) |\n"
	"\n"
	"The signature is made with the key of `from` over the eleven bytes `navette-v1` NUL,\n"
	"followed by the msgpack array `[v, kind, from, mid, issued, expires, body]`, `body` "
	"being\n"
	"the bin as it stands in the envelope. Every value has msgpack's shortest form (whole\n"
	"numbers from 0 in an unsigned one), so that these bytes are the same for everybody.\n"
	"\n"
	"Who speaks is taken from the verified key, never from a body. A client signs what it\n"
	"asks, a site signs what it delivers; the other one's signature is not accepted for it. A\n"
	"`restore.request` travels on inside the messages about it, byte for byte as the client\n"
	"signed it, so that each receiver can verify it and a lost status database can be "
	"rebuilt;\n"
	"there its `expires` no longer counts, since it was accepted in time.\n"
	"\n"
	"Keys: `navette keys new FILE` writes a secret key (one line, `ed25519-secret:` and the\n"
	"base64 of the 32-byte seed, mode 0600; refused when group or others may read it) and\n"
	"shows the public key (`ed25519:` and the base64 of its 32 bytes), which goes into the\n"
	"configuration of those who shall trust it. A name may have two public keys while a new\n"
	"one replaces an old one.\n"
	"\n";

static const char strictness[] =
	"The decoder is strict. Each of these is an error that names the field, as in\n"
	"`restore.request.plugins[3].name: missing`:\n"
	"\n"
	"- a required field that is missing, and a known field given twice;\n"
	"- a value of another type, out of its limit, or not in its shortest form;\n"
	"- a word that is not in an enum's list;\n"
	"- a string that is not UTF-8 (RFC 3629) or holds a NUL;\n"
	"- bytes behind the end, and a length or a count that goes beyond it.\n"
	"\n"
	"Unknown fields are passed over, whatever they hold. The decoder allocates only for what "
	"is\n"
	"really there (a count is compared with the rest of the input first), and nesting, "
	"however\n"
	"deep, costs it nothing.\n"
	"\n";

static const char versions[] =
	"## Versions\n"
	"\n"
	"This is version 1. Peers are upgraded one by one, so within a version:\n"
	"\n"
	"- An unknown extra field is ignored. A new **optional** field may be added at any time;\n"
	"  its absence must mean what was meant before there was such a field.\n"
	"- A new **required** field is never added, and an optional one never becomes required.\n"
	"- A field is never removed, renamed, or given another type or meaning. A limit is never\n"
	"  lowered below what peers may send; raising one counts as a new word does.\n"
	"- A new word in an enum, and a new message, are refused by older peers (`bad_message`, "
	"into\n"
	"  the dead queue, from where they can be requeued after the upgrade): receivers are\n"
	"  upgraded before senders.\n"
	"- A new message from a client to a course server goes only to one that has named its "
	"kind\n"
	"  in `catalog.reply.kinds`, so that client and course server may be upgraded in either\n"
	"  order. The other way round a new message is only an answer to a new question: who has\n"
	"  asked understands it. While several archivers (or producers) of one owner are being\n"
	"  upgraded, one that is still old may get such a question (or answer): it ends in the "
	"dead\n"
	"  queue, whoever asked hears nothing and asks again. So questions of this sort must be\n"
	"  worth nothing once they are old, and harmless when they are asked twice.\n"
	"- Anything else needs version 2, which a version 1 peer refuses with `unknown_version`\n"
	"  before it looks at anything else. The text at the head of the signed bytes changes\n"
	"  with it, so that no signature is good for both.\n"
	"\n";

static const char errors[] =
	"## Errors\n"
	"\n"
	"An envelope that is refused goes to the dead queue with one of these reasons; none of\n"
	"them goes away by trying again:\n"
	"\n"
	"| reason | when |\n"
	"|---|---|\n"
	"| `bad_message` | not msgpack, too large, a field that breaks its rules, an unknown kind, "
	"or a kind that does not belong on this queue |\n"
	"| `unknown_version` | `v` is not 1 |\n"
	"| `unsigned_message` | no signature, or one that the key of `from` did not make over this "
	"content |\n"
	"| `untrusted` | no key of `from` is configured here, or a client signed what only a site "
	"signs (and the other way round) |\n"
	"| `expired` | `expires` is past, and not only by a clock that is ahead |\n"
	"\n"
	"What was signed more than that in the future is no such error but held, with the reason\n"
	"`clock`: it comes again each minute until its time has come. So is a restore.request, an\n"
	"archive.ready or an enrol.request that has expired by the receiver's clock alone, until\n"
	"that is right. Questions, answers, cancels and status events are not held: ids,\n"
	"revisions and numbers say what of them is news.\n"
	"\n"
	"`reason` in status.event is one of all the words below. A word that a program does not\n"
	"know, from a newer peer, counts as `internal`.\n"
	"\n"
	"| reason | in plain words |\n"
	"|---|---|\n";

static const char field_types[] =
	"## Fields\n"
	"\n"
	"| type | on the wire |\n"
	"|---|---|\n"
	"| bool | bool |\n"
	"| uint | unsigned whole number up to the limit |\n"
	"| str | UTF-8 without NUL, up to the limit in bytes |\n"
	"| bin | bin, up to the limit in bytes |\n"
	"| uuid | str: a UUIDv7 (RFC 9562), 36 characters, lower case |\n"
	"| name | str: a client's or a site's name, `[a-z0-9][a-z0-9-]{0,31}` |\n"
	"| enum | str: one of the words given |\n"
	"| strs | array of str, limits on items and on each one's bytes |\n"
	"| list | array of maps, each with the fields of the record named |\n"
	"\n"
	"An optional field that is absent reads as 0, false, the empty list, or no text at all.\n"
	"\n";

static const char *type_word(enum nv_type type)
{
	static const char *const words[] = {
		[NV_T_BOOL] = "bool", [NV_T_UINT] = "uint", [NV_T_STR] = "str",
		[NV_T_BIN] = "bin",   [NV_T_UUID] = "uuid", [NV_T_NAME] = "name",
		[NV_T_ENUM] = "enum", [NV_T_STRS] = "strs", [NV_T_LIST] = "list",
	};

	return words[type];
}

static void put_limit(struct nv_buf *out, const struct nv_field *f)
{
	switch (f->type) {
	case NV_T_BOOL:
	case NV_T_UUID:
	case NV_T_NAME:
		nv_buf_puts(out, "");
		break;
	case NV_T_UINT:
		if (f->max != NV_UNLIMITED)
			nv_buf_printf(out, "%ju", (uintmax_t)f->max);
		else
			nv_buf_puts(out, "2^64 - 1");
		break;
	case NV_T_STR:
	case NV_T_BIN:
		nv_buf_printf(out, "%ju bytes", (uintmax_t)f->max);
		break;
	case NV_T_ENUM:
		for (size_t i = 0; f->names[i]; i++)
			nv_buf_printf(out, "%s`%s`", i > 0 ? ", " : "", f->names[i]);
		break;
	case NV_T_STRS:
		nv_buf_printf(out, "%ju items of %ju bytes", (uintmax_t)f->max_items,
			      (uintmax_t)f->max);
		break;
	case NV_T_LIST:
		nv_buf_printf(out, "%ju items of [%s](#%s)", (uintmax_t)f->max_items, f->sub->name,
			      f->sub->name);
		break;
	}
}

static void put_fields(struct nv_buf *out, const struct nv_record *r)
{
	nv_buf_puts(out, "| field | type | required | limit | meaning |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < r->fields_len; i++) {
		const struct nv_field *f = &r->fields[i];

		nv_buf_printf(out, "| `%s` | %s | %s | ", f->name, type_word(f->type),
			      f->required ? "yes" : "no");
		put_limit(out, f);
		nv_buf_printf(out, " | %s |\n", f->doc);
	}
}

/* The records inside a message, and those inside them. */
static void put_parts(struct nv_buf *out, const struct nv_record *r)
{
	for (size_t i = 0; i < r->fields_len; i++) {
		const struct nv_record *sub = r->fields[i].sub;

		if (!sub)
			continue;
		nv_buf_printf(out, "\n#### %s\n\n%s\n\n", sub->name, sub->doc);
		put_fields(out, sub);
		put_parts(out, sub);
	}
}

void nv_proto_document(struct nv_buf *out)
{
	nv_buf_puts(out, intro);
	nv_buf_puts(out, envelope);
	nv_buf_puts(out, "## Limits\n\n");
	nv_buf_printf(out,
		      "An envelope of more than %u bytes is refused before it is parsed; a body "
		      "has the limit\nof its message. `issued` may lie %u s in the future.\n\n",
		      NV_ENVELOPE_MAX, NV_CLOCK_SKEW_MS / 1000);
	nv_buf_puts(out, strictness);
	nv_buf_puts(out, versions);
	nv_buf_puts(out, errors);
	for (unsigned i = NV_R_none + 1; i < NV_R_COUNT; i++)
		nv_buf_printf(out, "| `%s` | %s |\n", nv_reason_word((enum nv_reason)i),
			      nv_reason_text((enum nv_reason)i));
	nv_buf_puts(out, "\n");
	nv_buf_puts(out, field_types);
	nv_buf_puts(out, "## Messages\n");
	for (unsigned i = 0; i < NV_KIND_COUNT; i++) {
		const struct nv_kind_info *info = nv_kind_info((enum nv_kind)i);

		nv_buf_printf(out, "\n### %s\n\n%s\nSigned by a %s; body of at most %zu bytes.\n\n",
			      info->word, info->doc, info->signer == 'c' ? "client" : "site",
			      info->max_body);
		put_fields(out, info->record);
		put_parts(out, info->record);
	}
}
