/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keys new, keys show. */
#include "cli/cli.h"

#include <stdio.h>

#include "proto/keys.h"

static int print_key(struct cli *c, const char *public_key)
{
	if (c->json)
		return nv_cli_document(c,
				       json_pack("{s:s, s:o}", "public_key", public_key, "file",
						 nv_cli_string(c->args[0])),
				       CLI_OK);
	puts(public_key);
	return CLI_OK;
}

int nv_cli_keys_new(struct cli *c)
{
	char public_key[NV_PUBLIC_KEY_TEXT];
	struct nv_err err = {0};
	if (nv_keys_new(c->args[0], public_key, &err) < 0)
		return nv_cli_fail(c, &err);
	return print_key(c, public_key);
}

int nv_cli_keys_show(struct cli *c)
{
	char public_key[NV_PUBLIC_KEY_TEXT];
	struct nv_identity me;
	struct nv_err err = {0};
	/* The name does not matter: only the key is shown. */
	if (nv_identity_load(c->args[0], 'c', "show", &me, &err) < 0)
		return nv_cli_fail(c, &err);
	nv_identity_public(&me, public_key);
	nv_identity_wipe(&me);
	return print_key(c, public_key);
}
