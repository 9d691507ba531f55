/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "core/bus/sync_client.h"

#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#define FRAME_MAX 131072
#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt" /* librabbitmq loads none by itself */

static int fail_code(uint16_t code, amqp_bytes_t text, const char *what, struct nv_err *err)
{
	enum nv_reason reason = NV_R_broker_unavailable;
	if (code == AMQP_ACCESS_REFUSED)
		reason = NV_R_denied;
	if (code == AMQP_NOT_FOUND)
		reason = NV_R_unroutable;
	if (code == AMQP_NOT_ALLOWED)
		reason = NV_R_config;
	nv_fail(err, reason == NV_R_broker_unavailable ? NV_RETRY : NV_REJECT, reason,
		"broker: %s: %.*s", what, (int)text.len, text.len ? (const char *)text.bytes : "");
	if (err)
		err->code = code;
	return -1;
}

int nv_amqp_reply(amqp_rpc_reply_t r, const char *what, struct nv_err *err)
{
	if (r.reply_type == AMQP_RESPONSE_NORMAL)
		return 0;
	if (r.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
		bool tls = r.library_error == AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED ||
			   r.library_error == AMQP_STATUS_SSL_PEER_VERIFY_FAILED;
		return nv_fail(err, tls ? NV_REJECT : NV_RETRY,
			       tls ? NV_R_untrusted : NV_R_broker_unavailable, "broker: %s: %s",
			       what, amqp_error_string2(r.library_error));
	}
	if (r.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
	    r.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
		const amqp_channel_close_t *m = r.reply.decoded;
		return fail_code(m->reply_code, m->reply_text, what, err);
	}
	if (r.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION &&
	    r.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
		const amqp_connection_close_t *m = r.reply.decoded;
		return fail_code(m->reply_code, m->reply_text, what, err);
	}
	return nv_fail(err, NV_RETRY, NV_R_broker_unavailable, "broker: %s: the connection ended",
		       what);
}

/* --- opening --- */

static int tls_socket(struct nv_amqp *m, const struct nv_config *c, amqp_socket_t **ret,
		      struct nv_err *err)
{
	const char *ca = c->broker.ca_file ? c->broker.ca_file : SYSTEM_CA;
	amqp_socket_t *s = amqp_ssl_socket_new(m->conn);
	if (!s)
		return nv_fail(err, NV_RETRY, NV_R_broker_unavailable, "broker: no TLS socket");
	amqp_ssl_socket_set_verify_peer(s, 1);
	amqp_ssl_socket_set_verify_hostname(s, 1);
	if (amqp_ssl_socket_set_ssl_versions(s, AMQP_TLSv1_2, AMQP_TLSvLATEST))
		return nv_fail(err, NV_REJECT, NV_R_config, "broker: TLS 1.2 is not available");
	if (amqp_ssl_socket_set_cacert(s, ca))
		return nv_fail(err, NV_REJECT, NV_R_config,
			       "broker: %s cannot be read as a list of CA certificates", ca);
	if (c->broker.cert_file &&
	    amqp_ssl_socket_set_key(s, c->broker.cert_file, c->broker.cert_key_file))
		return nv_fail(err, NV_REJECT, NV_R_config, "broker: %s and its key cannot be used",
			       c->broker.cert_file);
	*ret = s;
	return 0;
}

/* What is sent and not taken: the library waits for ever, the kernel ends the connection. */
static void limit_sending(struct nv_amqp *m, const struct nv_config *c)
{
	unsigned ms = (unsigned)(2 * c->broker.timeout);
	setsockopt(amqp_get_sockfd(m->conn), IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

static int open_socket(struct nv_amqp *m, const struct nv_config *c,
		       const struct amqp_connection_info *info, struct nv_err *err)
{
	struct timeval tv = {.tv_sec = (time_t)(c->broker.timeout / 1000),
			     .tv_usec = (suseconds_t)(c->broker.timeout % 1000) * 1000};
	amqp_socket_t *s = NULL;
	m->tls = info->ssl;
	if (info->ssl && tls_socket(m, c, &s, err) < 0)
		return -1;
	if (!info->ssl)
		s = amqp_tcp_socket_new(m->conn);
	if (!s)
		return nv_fail(err, NV_RETRY, NV_R_broker_unavailable, "broker: no socket");
	amqp_set_handshake_timeout(m->conn, &tv);
	amqp_set_rpc_timeout(m->conn, &tv);
	int status = amqp_socket_open_noblock(s, info->host, info->port, &tv);
	amqp_rpc_reply_t r = {.reply_type = status ? AMQP_RESPONSE_LIBRARY_EXCEPTION
						   : AMQP_RESPONSE_NORMAL,
			      .library_error = status};
	nv_auto_free char *what = nv_asprintf("connecting to %s", m->where);
	if (!status)
		limit_sending(m, c);
	return nv_amqp_reply(r, what, err);
}

/* What does not come: a message that has begun is read without any time limit but that of the
 * heartbeats, of which two may be missing. */
static int heartbeat_s(const struct nv_config *c)
{
	int s = (int)((c->broker.heartbeat + 999) / 1000);
	return s ? s : 1;
}

static int open_channel(struct nv_amqp *m, struct nv_err *err)
{
	amqp_channel_open(m->conn, NV_AMQP_CHANNEL);
	return nv_amqp_reply(amqp_get_rpc_reply(m->conn), "opening a channel", err);
}

int nv_amqp_reopen(struct nv_amqp *m, struct nv_err *err)
{
	amqp_channel_close_ok_t ok = {0};
	amqp_send_method(m->conn, NV_AMQP_CHANNEL, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
	return open_channel(m, err);
}

static int log_in(struct nv_amqp *m, const struct nv_config *c,
		  const struct amqp_connection_info *info, const char *name, struct nv_err *err)
{
	amqp_table_entry_t entries[] = {
		{.key = amqp_cstring_bytes("connection_name"),
		 .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(name)}},
	};
	amqp_table_t properties = {.num_entries = 1, .entries = entries};
	nv_auto_free char *what = nv_asprintf("logging in at %s as %s", m->where, info->user);
	amqp_rpc_reply_t r = amqp_login_with_properties(
		m->conn, *info->vhost ? info->vhost : "/", 0, FRAME_MAX, heartbeat_s(c),
		&properties, AMQP_SASL_METHOD_PLAIN, info->user,
		c->broker.password ? c->broker.password : info->password);
	if (nv_amqp_reply(r, what, err) < 0)
		return -1;
	return open_channel(m, err);
}

static struct nv_amqp *try_uri(const struct nv_config *c, const char *uri, const char *name,
			       struct nv_err *err)
{
	struct amqp_connection_info info;
	nv_auto_free char *text = nv_strdup(uri);
	amqp_default_connection_info(&info);
	if (amqp_parse_url(text, &info) != AMQP_STATUS_OK) {
		nv_fail(err, NV_REJECT, NV_R_config, "broker: %s is no address of a broker", uri);
		return NULL;
	}
	struct nv_amqp *m = nv_alloc(sizeof *m);
	m->conn = amqp_new_connection();
	m->user = nv_strdup(info.user);
	m->where = nv_asprintf("%s:%d", info.host, info.port);
	if (open_socket(m, c, &info, err) == 0 && log_in(m, c, &info, name, err) == 0)
		return m;
	nv_amqp_close(m);
	return NULL;
}

struct nv_amqp *nv_amqp_open(const struct nv_config *config, const char *name, struct nv_err *err)
{
	struct nv_amqp *m = NULL;
	nv_fail(err, NV_REJECT, NV_R_config, "%s: broker.uris is not set", config->path);
	for (size_t i = 0; i < config->broker.uris_len && !m; i++)
		m = try_uri(config, config->broker.uris[i], name, err);
	return m;
}

void nv_amqp_close(struct nv_amqp *m)
{
	if (!m)
		return;
	if (m->conn) {
		amqp_connection_close(m->conn, AMQP_REPLY_SUCCESS);
		amqp_destroy_connection(m->conn);
	}
	free(m->user);
	free(m->where);
	free(m);
}

int nv_amqp_queue(struct nv_amqp *m, const char *name, struct nv_amqp_queue_state *ret,
		  struct nv_err *err)
{
	const amqp_queue_declare_ok_t *ok = amqp_queue_declare(
		m->conn, NV_AMQP_CHANNEL, amqp_cstring_bytes(name), 1, 0, 0, 0, amqp_empty_table);
	nv_auto_free char *what = nv_asprintf("looking at queue %s", name);
	*ret = (struct nv_amqp_queue_state){0};
	if (nv_amqp_reply(amqp_get_rpc_reply(m->conn), what, err) < 0)
		return -1;
	ret->ready = ok ? ok->message_count : 0;
	ret->consumers = ok ? ok->consumer_count : 0;
	amqp_maybe_release_buffers(m->conn);
	return 0;
}
