/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever is said to be XML, reading it ends, within the bounds, and how it is cut into blocks
 * changes nothing about what is told. */
#include <string.h>

#include "base/mem.h"
#include "base/xml.h"
#include "fuzz.h"

static bool tell(void *arg, const char *const *names, unsigned depth, const char *text)
{
	struct nv_buf *told = arg;

	FUZZ_CHECK(depth >= 1 && depth <= NV_XML_DEPTH_MAX && names[depth - 1][0]);
	FUZZ_CHECK(strlen(text) <= NV_XML_TEXT_MAX);
	nv_buf_printf(told, "%u %s=%s;", depth, names[depth - 1], text);
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	nv_auto_buf struct nv_buf whole = {0};
	nv_auto_buf struct nv_buf pieces = {0};
	struct nv_xml *x = nv_xml_new(UINT64_MAX, tell, &pieces);
	enum nv_xml_state state = nv_xml_walk(data, size, tell, &whole);

	for (size_t at = 0, step = 1; at < size; at += step, step = 1 + step * 7 % 13)
		nv_xml_feed(x, data + at, at + step < size ? step : size - at);
	if (state == NV_XML_READING) {
		FUZZ_CHECK(nv_xml_end(x) == state);
		FUZZ_CHECK(whole.len == pieces.len);
		FUZZ_CHECK(!whole.len || memcmp(whole.data, pieces.data, whole.len) == 0);
	} else {
		FUZZ_CHECK(nv_xml_end(x) != NV_XML_READING);
		FUZZ_CHECK(nv_xml_why(x)[0]);
	}
	nv_xml_free(x);
	return 0;
}
