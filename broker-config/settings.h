/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The settings of a broker: its addresses, and the topology to be created. core/config reads the
 * section `broker` of the configuration into this. */
#ifndef NV_BROKER_CONFIG_SETTINGS_H
#define NV_BROKER_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nv_broker_settings {
	const char **uris; /* amqps://user@host:5671/vhost, tried in turn */
	size_t uris_len;
	const char *password; /* password_file or NAVETTE_BROKER_PASSWORD */
	const char *ca_file;  /* default the system's bundle */
	const char *cert_file;
	const char *cert_key_file;
	bool allow_plain; /* amqp:// to another machine than this one */
	uint64_t heartbeat;
	uint64_t timeout;		 /* deadline of every single call */
	uint64_t publish_timeout;	 /* until a confirm must have come, reconnects included */
	const char *management_url;	 /* cli: http(s)://user@host:15672 */
	const char *management_password; /* management_password_file or
					    NAVETTE_BROKER_ADMIN_PASSWORD */
	const char **clients;		 /* cli: the names `broker apply` makes the topology for */
	size_t clients_len;
	const char **sites;
	size_t sites_len;
	const char *credentials_dir; /* cli: where `broker apply` puts made passwords */
	uint64_t replicas;	     /* initial size of quorum queues; default 1 */
};

#endif
