/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Untrusted XML: a server's answer, a file of a backup. All XML in Navette is read here.
 *
 * libxml2's SAX parser is fed block by block, and no document is built: memory use is constant.
 * Refused are a document type (and with it all entities but the five of XML itself), nesting deeper
 * than NV_XML_DEPTH_MAX, more than max_bytes, and a tag or comment longer than NV_XML_TOKEN_MAX.
 * Text may be of any length; of an element's text the first NV_XML_TEXT_MAX bytes are told.  UTF-8
 * is assumed whatever the document declares. */
#ifndef NV_XML_H
#define NV_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NV_XML_DEPTH_MAX 200u
#define NV_XML_TEXT_MAX 8192u	/* bytes */
#define NV_XML_TOKEN_MAX 65536u /* bytes */

enum nv_xml_state {
	NV_XML_READING, /* all was well up to here */
	NV_XML_BROKEN,	/* it is not well-formed */
	NV_XML_REFUSED, /* it has a refused construct, see nv_xml_why */
	NV_XML_STOPPED, /* the callback has seen enough */
};

/* An element has ended: names[0 … depth-1] lead to it, without namespaces; text is what stood in it
 * after its last child (all of it, where it has none), never cut within a UTF-8 sequence.  True:
 * nothing more is of interest. */
typedef bool (*nv_xml_end_cb)(void *arg, const char *const *names, unsigned depth,
			      const char *text);

struct nv_xml;
struct nv_xml *nv_xml_new(uint64_t max_bytes, nv_xml_end_cb end_cb, void *arg);
/* The next bytes; after any other state than NV_XML_READING they are not looked at. */
enum nv_xml_state nv_xml_feed(struct nv_xml *x, const void *data, size_t len);
/* No more bytes come; NV_XML_READING: the document was complete. */
enum nv_xml_state nv_xml_end(struct nv_xml *x);
/* What is wrong, for a message: "is not well-formed XML", "has a document type: refused" … */
const char *nv_xml_why(const struct nv_xml *x);
void nv_xml_free(struct nv_xml *x); /* NULL allowed */

/* Feed and end in one. */
enum nv_xml_state nv_xml_walk(const void *data, size_t len, nv_xml_end_cb end_cb, void *arg);

#endif
