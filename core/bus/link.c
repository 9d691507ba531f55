/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One connection to the broker of a daemon, and where librabbitmq's errors get their meaning there;
 * for the blocking calls of the command and of threads: sync_client.c, where what the broker
 * refuses concerns the one thing that was asked. */
#include "core/bus/bus_internal.h"

#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/id.h"

#define FRAME_MAX 131072
#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt" /* librabbitmq loads none by itself */

/* --- addresses --- */

/* ret points into *ret_text, which the caller frees. */
static int parse_uri(const char *uri, char **ret_text, struct amqp_connection_info *ret,
		     struct nv_err *err)
{
	*ret_text = nv_strdup(uri);
	amqp_default_connection_info(ret);
	if (amqp_parse_url(*ret_text, ret) != AMQP_STATUS_OK)
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "broker: an address is not of the form "
			       "amqps://user@host:port/vhost");
	if (!*ret->vhost) {
		static char root[] = "/";
		ret->vhost = root;
	}
	return 0;
}

static int check_uri(const struct nv_config *config, const char *uri, struct nv_err *err)
{
	nv_auto_free char *text = NULL;
	struct amqp_connection_info info;
	if (parse_uri(uri, &text, &info, err))
		return -1;
	if (!info.ssl && !nv_host_is_loopback(info.host) && !config->broker.allow_plain)
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "broker: amqp:// to %s is not encrypted: use amqps:// (or set "
			       "broker.allow_plain)",
			       info.host);
	return 0;
}

int nv_link_init(struct nv_link *l, const struct nv_config *config, const char *name,
		 struct nv_err *err)
{
	if (!config->broker.uris_len)
		return nv_fail(err, NV_FATAL, NV_R_config, "broker: no address is configured");
	for (size_t i = 0; i < config->broker.uris_len; i++)
		if (check_uri(config, config->broker.uris[i], err))
			return -1;
	*l = (struct nv_link){.config = config, .name = nv_strdup(name), .fd = -1};
	pthread_mutex_init(&l->fd_lock, NULL);
	atomic_init(&l->busy_until, 0);
	return 0;
}

void nv_link_fini(struct nv_link *l)
{
	nv_link_close(l, false);
	pthread_mutex_destroy(&l->fd_lock);
	free(l->name);
	free(l->user);
}

/* --- errors --- */

int nv_link_status(int status, const char *what, struct nv_err *err)
{
	enum nv_err_kind kind = NV_RETRY;
	enum nv_reason reason = NV_R_broker_unavailable;
	switch (status) {
	case AMQP_STATUS_OK:
		return 0;
	case AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED:
	case AMQP_STATUS_SSL_PEER_VERIFY_FAILED:
		kind = NV_FATAL;
		reason = NV_R_untrusted;
		break;
	case AMQP_STATUS_BROKER_UNSUPPORTED_SASL_METHOD:
	case AMQP_STATUS_INCOMPATIBLE_AMQP_VERSION:
		kind = NV_FATAL;
		reason = NV_R_config;
		break;
	default:
		break;
	}
	nv_fail(err, kind, reason, "broker: %s: %s", what, amqp_error_string2(status));
	if (err)
		err->code = status;
	return -1;
}

/* Maps a reply code of AMQP 0-9-1 to an error. */
static void fail_code(struct nv_err *err, uint16_t code, amqp_bytes_t text, const char *what)
{
	enum nv_err_kind kind = NV_RETRY;
	enum nv_reason reason = NV_R_broker_unavailable;
	const char *hint = "";
	switch (code) {
	case AMQP_ACCESS_REFUSED:
		kind = NV_FATAL;
		reason = NV_R_denied;
		hint = " (check the user, its password, and its permissions with `navette broker "
		       "check`)";
		break;
	case AMQP_NOT_FOUND:
		kind = NV_FATAL;
		reason = NV_R_unroutable;
		hint = " (`navette broker apply` creates what is missing)";
		break;
	case AMQP_NOT_ALLOWED: /* no such virtual host, or not for this user */
		kind = NV_FATAL;
		reason = NV_R_config;
		hint = " (`navette broker apply` creates what is missing)";
		break;
	default:
		break;
	}
	nv_fail(err, kind, reason, "broker: %s: %.*s%s", what, (int)text.len,
		text.len ? (const char *)text.bytes : "", hint);
	if (err)
		err->code = code;
}

int nv_link_channel_closed(struct nv_link *l, amqp_channel_t channel, const amqp_channel_close_t *m,
			   const char *what, struct nv_err *err)
{
	amqp_channel_close_ok_t ok = {0};
	fail_code(err, m->reply_code, m->reply_text, what);
	if (amqp_send_method(l->conn, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok))
		return -1; /* the next call reports the error of the connection */
	return 1;
}

int nv_link_connection_closed(struct nv_link *l, const amqp_connection_close_t *m,
			      struct nv_err *err)
{
	amqp_connection_close_ok_t ok = {0};
	fail_code(err, m->reply_code, m->reply_text, "the broker closed the connection");
	amqp_send_method(l->conn, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
	return -1;
}

static int reply_error(struct nv_link *l, amqp_channel_t channel, amqp_rpc_reply_t r,
		       const char *what, struct nv_err *err)
{
	switch (r.reply_type) {
	case AMQP_RESPONSE_NORMAL:
		return 0;
	case AMQP_RESPONSE_SERVER_EXCEPTION:
		if (r.reply.id == AMQP_CHANNEL_CLOSE_METHOD)
			return nv_link_channel_closed(l, channel, r.reply.decoded, what, err);
		if (r.reply.id == AMQP_CONNECTION_CLOSE_METHOD)
			return nv_link_connection_closed(l, r.reply.decoded, err);
		return nv_fail(err, NV_RETRY, NV_R_broker_unavailable,
			       "broker: %s: unexpected method 0x%08X", what, r.reply.id);
	case AMQP_RESPONSE_LIBRARY_EXCEPTION:
		return nv_link_status(r.library_error, what, err);
	case AMQP_RESPONSE_NONE:
	default:
		return nv_fail(err, NV_RETRY, NV_R_broker_unavailable,
			       "broker: %s: the connection ended", what);
	}
}

int nv_link_reply(struct nv_link *l, amqp_channel_t channel, const char *what, struct nv_err *err)
{
	return reply_error(l, channel, amqp_get_rpc_reply(l->conn), what, err);
}

/* --- the watchdog --- */

void nv_link_enter(struct nv_link *l)
{
	/* Twice the deadline of a call: the library's own time limits come first where it has
	 * any. */
	atomic_store(&l->busy_until, nv_mono_ms() + 2 * l->config->broker.timeout);
}

void nv_link_leave(struct nv_link *l)
{
	atomic_store(&l->busy_until, 0);
}

void nv_link_watch(struct nv_link *l)
{
	uint64_t until = atomic_load(&l->busy_until);
	if (until && nv_mono_ms() >= until)
		nv_link_cut(l);
}

void nv_link_cut(struct nv_link *l)
{
	if (!atomic_load(&l->busy_until))
		return;
	pthread_mutex_lock(&l->fd_lock);
	if (l->fd >= 0)
		shutdown(l->fd, SHUT_RDWR);
	pthread_mutex_unlock(&l->fd_lock);
}

static void publish_fd(struct nv_link *l, int fd)
{
	pthread_mutex_lock(&l->fd_lock);
	l->fd = fd;
	pthread_mutex_unlock(&l->fd_lock);
}

/* --- opening --- */

static int tls_socket(struct nv_link *l, amqp_socket_t **ret, struct nv_err *err)
{
	const struct nv_config *c = l->config;
	const char *ca = c->broker.ca_file ? c->broker.ca_file : SYSTEM_CA;
	amqp_socket_t *s = amqp_ssl_socket_new(l->conn);
	if (!s)
		return nv_fail(err, NV_RETRY, NV_R_broker_unavailable, "broker: no TLS socket");
	amqp_ssl_socket_set_verify_peer(s, 1);
	amqp_ssl_socket_set_verify_hostname(s, 1);
	if (amqp_ssl_socket_set_ssl_versions(s, AMQP_TLSv1_2, AMQP_TLSvLATEST))
		return nv_fail(err, NV_FATAL, NV_R_config, "broker: TLS 1.2 is not available");
	if (amqp_ssl_socket_set_cacert(s, ca))
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "broker: %s cannot be read as a list of CA certificates", ca);
	if (c->broker.cert_file &&
	    amqp_ssl_socket_set_key(s, c->broker.cert_file, c->broker.cert_key_file))
		return nv_fail(err, NV_FATAL, NV_R_config,
			       "broker: %s and %s are not a certificate and its key",
			       c->broker.cert_file,
			       c->broker.cert_key_file ? c->broker.cert_key_file : "(none)");
	*ret = s;
	return 0;
}

static int open_socket(struct nv_link *l, const struct amqp_connection_info *info,
		       struct nv_err *err)
{
	struct timeval tv = {.tv_sec = (time_t)(l->config->broker.timeout / 1000),
			     .tv_usec = (suseconds_t)(l->config->broker.timeout % 1000) * 1000};
	amqp_socket_t *s = NULL;
	if (info->ssl) {
		if (tls_socket(l, &s, err))
			return -1;
	} else {
		s = amqp_tcp_socket_new(l->conn);
		if (!s)
			return nv_fail(err, NV_RETRY, NV_R_broker_unavailable, "broker: no socket");
	}
	amqp_set_handshake_timeout(l->conn, &tv);
	amqp_set_rpc_timeout(l->conn, &tv);
	int status = amqp_socket_open_noblock(s, info->host, info->port, &tv);
	if (status) {
		nv_auto_free char *what = nv_asprintf("connect to %s:%d", info->host, info->port);
		return nv_link_status(status, what, err);
	}
	int fd = amqp_get_sockfd(l->conn);
	int on = 1;
	unsigned user_timeout = (unsigned)l->config->broker.timeout * 2;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
	/* A peer that acknowledges nothing is given up although the library would wait on. */
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, sizeof user_timeout);
	publish_fd(l, fd);
	return 0;
}

static int login(struct nv_link *l, const struct amqp_connection_info *info, struct nv_err *err)
{
	static const char *const can[] = {
		"publisher_confirms", "consumer_cancel_notify",	      "connection.blocked",
		"basic.nack",	      "authentication_failure_close",
	};
	amqp_table_entry_t capabilities[NV_ARRAY_LEN(can)];
	for (size_t i = 0; i < NV_ARRAY_LEN(can); i++)
		capabilities[i] = (amqp_table_entry_t){
			.key = amqp_cstring_bytes(can[i]),
			.value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = 1},
		};
	amqp_table_entry_t entries[] = {
		{.key = amqp_cstring_bytes("connection_name"),
		 .value = {.kind = AMQP_FIELD_KIND_UTF8,
			   .value.bytes = amqp_cstring_bytes(l->name)}},
		{.key = amqp_cstring_bytes("product"),
		 .value = {.kind = AMQP_FIELD_KIND_UTF8,
			   .value.bytes = amqp_cstring_bytes("Navette " NAVETTE_VERSION)}},
		{.key = amqp_cstring_bytes("capabilities"),
		 .value = {.kind = AMQP_FIELD_KIND_TABLE,
			   .value.table = {.num_entries = NV_ARRAY_LEN(can),
					   .entries = capabilities}}},
	};
	amqp_table_t properties = {.num_entries = NV_ARRAY_LEN(entries), .entries = entries};
	const char *password = l->config->broker.password;
	uint64_t heartbeat = (l->config->broker.heartbeat + 999) / 1000;
	amqp_rpc_reply_t r = amqp_login_with_properties(
		l->conn, info->vhost, 0, FRAME_MAX, heartbeat ? (int)heartbeat : 1, &properties,
		AMQP_SASL_METHOD_PLAIN, info->user, password ? password : info->password);
	nv_auto_free char *what =
		nv_asprintf("log in at %s:%d as %s", info->host, info->port, info->user);
	return reply_error(l, 0, r, what, err) ? -1 : 0;
}

int nv_link_open(struct nv_link *l, struct nv_err *err)
{
	nv_auto_free char *text = NULL;
	struct amqp_connection_info info;
	const char *uri = l->config->broker.uris[l->uri++ % l->config->broker.uris_len];
	if (parse_uri(uri, &text, &info, err))
		return -1;
	l->conn = amqp_new_connection();
	if (!l->conn)
		return nv_fail(err, NV_RETRY, NV_R_broker_unavailable, "broker: out of memory");
	nv_link_enter(l);
	if (open_socket(l, &info, err) || login(l, &info, err)) {
		nv_link_close(l, false);
		return -1;
	}
	free(l->user);
	l->user = nv_strdup(info.user);
	return 0;
}

void nv_link_close(struct nv_link *l, bool polite)
{
	if (!l->conn)
		return;
	nv_link_enter(l);
	if (polite)
		amqp_connection_close(l->conn, AMQP_REPLY_SUCCESS);
	publish_fd(l, -1);
	amqp_destroy_connection(l->conn);
	l->conn = NULL;
	nv_link_leave(l);
}
