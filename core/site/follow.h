/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Follows the settings of the site's administrator: keys of `restore` that the file does not set
 * are taken from the local Moodle, and updated within NV_FOLLOW_MS. A program that uses them calls
 * nv_follow_once before it starts serving, then nv_follow_start. */
#ifndef NV_SITE_FOLLOW_H
#define NV_SITE_FOLLOW_H

#include <uv.h>

#include "core/site/site.h"

#define NV_FOLLOW_MS 30000u

struct nv_follow;

/* Ask once and wait for the answer, at most some seconds.  Nothing to do where the configuration
 * names no site, or one without settings.  NV_FATAL: this program can never ask it. */
int nv_follow_once(struct nv_config *c, struct nv_err *err);
/* Poll on a thread; changes are applied on the loop. */
struct nv_follow *nv_follow_start(uv_loop_t *loop, struct nv_config *c);
/* Frees itself once its handle is closed; NULL allowed. */
void nv_follow_stop(struct nv_follow *f);

#endif
