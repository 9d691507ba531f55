/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files compiled into the producer; see embed.cmake. */
#ifndef NV_PRODUCER_ASSETS_H
#define NV_PRODUCER_ASSETS_H

#include <stddef.h>

extern const unsigned char asset_index_html[];
extern const size_t asset_index_html_len;
extern const unsigned char asset_app_js[];
extern const size_t asset_app_js_len;
extern const unsigned char asset_style_css[];
extern const size_t asset_style_css_len;
extern const unsigned char asset_openapi_yaml[];
extern const size_t asset_openapi_yaml_len;

#endif
