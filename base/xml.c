/* SPDX-License-Identifier: GPL-3.0-or-later */
/* XML by libxml2's SAX parser. */
#include "base/xml.h"

#include <libxml/parser.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"

/* Fed at once: libxml2 2.9 compares the attributes of a tag each with each, so a tag must be found
 * too long before it is parsed. */
#define FEED_MAX 4096u

struct nv_xml {
	xmlParserCtxtPtr parser;
	nv_xml_end_cb end_cb;
	void *arg;
	enum nv_xml_state state;
	const char *why;
	uint64_t left;	/* bytes that may still come */
	size_t waiting; /* bytes fed since libxml2 told of anything */
	/* Of libxml2's dictionary, which lives as long as the parser. */
	const char *names[NV_XML_DEPTH_MAX];
	unsigned depth;
	size_t text_len;
	bool text_full;
	char text[NV_XML_TEXT_MAX + 1]; /* of the innermost element */
};

static void stop(struct nv_xml *x, enum nv_xml_state state, const char *why)
{
	if (x->state != NV_XML_READING)
		return;
	x->state = state;
	x->why = why;
	xmlStopParser(x->parser);
}

static void forget_text(struct nv_xml *x)
{
	x->text_len = 0;
	x->text_full = false;
	x->text[0] = '\0';
}

/* Called before libxml2 reads the declarations. */
static void doctype_cb(void *ctx, const xmlChar *name, const xmlChar *external, const xmlChar *sys)
{
	(void)name;
	(void)external;
	(void)sys;
	stop(ctx, NV_XML_REFUSED, "has a document type: refused");
}

static void start_cb(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
		     int namespaces, const xmlChar **declared, int attributes, int defaulted,
		     const xmlChar **values)
{
	struct nv_xml *x = ctx;
	(void)prefix;
	(void)uri;
	(void)namespaces;
	(void)declared;
	(void)attributes;
	(void)defaulted;
	(void)values;
	x->waiting = 0;
	if (x->state != NV_XML_READING)
		return;
	if (x->depth == NV_XML_DEPTH_MAX) {
		stop(x, NV_XML_REFUSED, "is nested too deeply: refused");
		return;
	}
	x->names[x->depth++] = (const char *)name;
	forget_text(x);
}

static void end_cb(void *ctx, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
	struct nv_xml *x = ctx;
	(void)name;
	(void)prefix;
	(void)uri;
	x->waiting = 0;
	if (x->state != NV_XML_READING || x->depth == 0)
		return;
	if (x->end_cb(x->arg, x->names, x->depth, x->text))
		stop(x, NV_XML_STOPPED, "");
	x->depth--;
	forget_text(x);
}

static void text_cb(void *ctx, const xmlChar *text, int len)
{
	struct nv_xml *x = ctx;
	size_t take = len > 0 ? (size_t)len : 0;
	size_t room = NV_XML_TEXT_MAX - x->text_len;
	x->waiting = 0;
	if (x->text_full)
		return;
	if (take > room) {
		x->text_full = true;
		take = room;
		while (take && (text[take] & 0xc0u) == 0x80u)
			take--;
	}
	memcpy(x->text + x->text_len, text, take);
	x->text_len += take;
	x->text[x->text_len] = '\0';
}

static void comment_cb(void *ctx, const xmlChar *text)
{
	struct nv_xml *x = ctx;
	(void)text;
	x->waiting = 0;
}

static void instruction_cb(void *ctx, const xmlChar *target, const xmlChar *data)
{
	struct nv_xml *x = ctx;
	(void)target;
	(void)data;
	x->waiting = 0;
}

static void error_cb(void *ctx, xmlErrorPtr error)
{
	(void)ctx;
	(void)error; /* nv_xml_feed asks for the outcome */
}

static void init_libxml(void)
{
	xmlInitParser();
}

struct nv_xml *nv_xml_new(uint64_t max_bytes, nv_xml_end_cb cb, void *arg)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	xmlSAXHandler sax = {
		.initialized = XML_SAX2_MAGIC,
		.internalSubset = doctype_cb,
		.startElementNs = start_cb,
		.endElementNs = end_cb,
		.characters = text_cb,
		.ignorableWhitespace = text_cb,
		.cdataBlock = text_cb,
		.comment = comment_cb,
		.processingInstruction = instruction_cb,
		.serror = error_cb,
	};
	pthread_once(&once, init_libxml);
	struct nv_xml *x = nv_alloc(sizeof *x);
	x->end_cb = cb;
	x->arg = arg;
	x->left = max_bytes;
	x->parser = xmlCreatePushParserCtxt(&sax, x, NULL, 0, NULL);
	if (!x->parser)
		abort(); /* as nv_alloc */
	/* Never: NOENT, DTDLOAD, DTDATTR, XINCLUDE, HUGE. */
	xmlCtxtUseOptions(x->parser, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
					     XML_PARSE_IGNORE_ENC);
	return x;
}

static void feed_some(struct nv_xml *x, const void *data, size_t len, bool last)
{
	int rc = xmlParseChunk(x->parser, data, (int)len, last);
	if (x->state == NV_XML_READING && (rc != XML_ERR_OK || !x->parser->wellFormed))
		stop(x, NV_XML_BROKEN, "is not well-formed XML");
}

enum nv_xml_state nv_xml_feed(struct nv_xml *x, const void *data, size_t len)
{
	const uint8_t *at = data;
	while (len && x->state == NV_XML_READING) {
		size_t some = len < FEED_MAX ? len : FEED_MAX;
		if (some > x->left) {
			stop(x, NV_XML_REFUSED, "is too large: refused");
			break;
		}
		x->left -= some;
		x->waiting += some;
		feed_some(x, at, some, false);
		if (x->waiting > NV_XML_TOKEN_MAX)
			stop(x, NV_XML_REFUSED, "has a tag or comment that is too long: refused");
		at += some;
		len -= some;
	}
	return x->state;
}

enum nv_xml_state nv_xml_end(struct nv_xml *x)
{
	if (x->state == NV_XML_READING)
		feed_some(x, "", 0, true);
	return x->state;
}

const char *nv_xml_why(const struct nv_xml *x)
{
	return x->why ? x->why : "";
}

void nv_xml_free(struct nv_xml *x)
{
	if (!x)
		return;
	xmlFreeParserCtxt(x->parser);
	free(x);
}

enum nv_xml_state nv_xml_walk(const void *data, size_t len, nv_xml_end_cb cb, void *arg)
{
	struct nv_xml *x = nv_xml_new(UINT64_MAX, cb, arg);
	nv_xml_feed(x, data, len);
	enum nv_xml_state state = nv_xml_end(x);
	nv_xml_free(x);
	return state;
}
