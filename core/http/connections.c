/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The connections from acceptance to end: what each is waiting for, its deadline, and the person or
 * address it counts for.
 *
 * A connection waiting for a request is cheap to lose: its client reconnects.  So when there are
 * too many, of one address, of one person or in total, the longest waiting one is closed for a new
 * one, and slow clients only compete with each other.  Connections count for the peer's address
 * until their request is known to be a person's.  Those of a trusted proxy do not count while they
 * wait, and count for the real peer during a request. */
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include "core/http/http_internal.h"

/* How long the kernel may try to bring data to a peer that does not confirm it. */
#define UNCONFIRMED_MS 60000u
#define IDLE_MS 60000u

/* --- lists --- */

static struct nv_conn_list *list_of(struct nv_http_conn *c)
{
	struct nv_http *h = c->http;
	return c->phase == NV_CONN_WAITING ? &h->waiting
	       : c->phase == NV_CONN_BUSY  ? &h->busy
					   : &h->shut;
}

static void append(struct nv_http_conn *c)
{
	struct nv_conn_list *list = list_of(c);
	c->next = NULL;
	c->prev = list->last;
	if (list->last)
		list->last->next = c;
	else
		list->first = c;
	list->last = c;
	list->len++;
}

static void take_out(struct nv_http_conn *c)
{
	struct nv_conn_list *list = list_of(c);
	if (c->prev)
		c->prev->next = c->next;
	else
		list->first = c->next;
	if (c->next)
		c->next->prev = c->prev;
	else
		list->last = c->prev;
	list->len--;
}

void nv_conn_move(struct nv_http_conn *c, enum nv_conn_phase phase, const char *step,
		  uint64_t within)
{
	if (c->phase == NV_CONN_SHUT)
		return;
	take_out(c);
	c->phase = phase;
	c->step = step;
	c->deadline = within ? uv_now(c->http->loop) + within : 0;
	append(c);
}

static void shut(struct nv_http_conn *c, const char *why)
{
	struct nv_http *h = c->http;
	if (c->phase == NV_CONN_SHUT)
		return;
	nv_conn_move(c, NV_CONN_SHUT, "", 0);
	shutdown(c->fd, SHUT_RDWR);
	if (h->on_shut_cb)
		h->on_shut_cb(h->arg, why);
}

void nv_conn_check_deadlines(struct nv_http *h)
{
	uint64_t now = uv_now(h->loop);
	struct nv_conn_list *lists[] = {&h->waiting, &h->busy};
	for (size_t i = 0; i < NV_ARRAY_LEN(lists); i++) {
		struct nv_http_conn *next;
		for (struct nv_http_conn *c = lists[i]->first; c; c = next) {
			next = c->next;
			if (c->deadline && c->deadline <= now)
				shut(c, c->step);
		}
	}
}

/* --- for whom it counts --- */

/* Keep addresses and people apart. */
#define ADDRESS 'a'
#define PERSON 'p'

struct nv_tally_entry {
	unsigned count;
	size_t bodies; /* nv_conn_bodies */
	size_t len;
	uint8_t key[];
};

static int compare_entries(const void *a, const void *b)
{
	const struct nv_tally_entry *x = a;
	const struct nv_tally_entry *y = b;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(x->key, y->key, x->len);
}

static void uncount(struct nv_http_conn *c)
{
	struct nv_tally_entry *e = c->counted;
	c->counted = NULL;
	if (!e || --e->count)
		return;
	tdelete(e, &c->http->tally, compare_entries);
	free(e);
}

static void count(struct nv_http_conn *c, char kind, const void *key, size_t len)
{
	struct nv_tally_entry *e = nv_alloc(sizeof *e + 1 + len);
	e->len = 1 + len;
	e->key[0] = (uint8_t)kind;
	memcpy(e->key + 1, key, len);
	struct nv_tally_entry **found = tsearch(e, &c->http->tally, compare_entries);
	if (!found)
		abort();
	if (*found != e)
		free(e);
	(*found)->count++;
	uncount(c);
	c->counted = *found;
}

/* Close the one that waits longest, this one aside; of: of those that count there, NULL: of all. */
static bool close_one(struct nv_http_conn *but, const struct nv_tally_entry *of)
{
	struct nv_http_conn *c = but->http->waiting.first;
	while (c && (c == but || (of && c->counted != of)))
		c = c->next;
	if (!c)
		return false;
	shut(c, "crowded");
	uncount(c);
	return true;
}

static bool fits(struct nv_http_conn *c, unsigned max)
{
	return !max || !c->counted || c->counted->count <= max || close_one(c, c->counted);
}

static void count_for(struct nv_http_conn *c, const struct nv_address *a)
{
	struct nv_address subscriber = nv_address_subscriber(a);
	count(c, ADDRESS, subscriber.bytes, sizeof subscriber.bytes);
}

bool nv_conn_count_address(struct nv_http_conn *c, const struct nv_address *own)
{
	if (c->counted && c->counted->key[0] == PERSON)
		return true; /* as an earlier request on it was */
	if (c->proxy && !nv_proxies_have(&c->http->proxies, own))
		count_for(c, own);
	return fits(c, c->http->max_per_address);
}

bool nv_conn_count_person(struct nv_http_conn *c, const char *person)
{
	count(c, PERSON, person, strlen(person));
	return fits(c, c->http->max_per_person);
}

size_t *nv_conn_bodies(const struct nv_http_conn *c)
{
	return c->counted ? &c->counted->bodies : NULL;
}

/* --- life --- */

struct nv_http_conn *nv_conn_of(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info->socket_context;
}

void nv_conn_started(struct nv_http *h, struct MHD_Connection *conn, void **socket_context)
{
	struct nv_http_conn *c = nv_alloc(sizeof *c);
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	unsigned unconfirmed = UNCONFIRMED_MS;
	*socket_context = c;
	c->http = h;
	nv_address_of(info->client_addr, &c->peer);
	c->fd = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	c->step = "headers";
	c->deadline = uv_now(h->loop) + h->header_timeout;
	append(c);
	setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unconfirmed, sizeof unconfirmed);
	c->proxy = nv_proxies_have(&h->proxies, &c->peer);
	if (!c->proxy) {
		count_for(c, &c->peer);
		fits(c, h->max_per_address);
	}
	if (h->waiting.len + h->busy.len > h->max_connections + NV_HTTP_SPARE)
		close_one(c, NULL);
}

void nv_conn_closed(struct nv_http_conn *c)
{
	take_out(c);
	uncount(c);
	free(c);
}

void nv_conn_end_request(struct nv_http_conn *c)
{
	c->request = NULL;
	if (c->proxy)
		uncount(c);
	nv_conn_move(c, NV_CONN_WAITING, "headers", IDLE_MS + c->http->header_timeout);
}

/* --- readers that leave while they are made to wait --- */

void nv_conn_watch(struct nv_http_request *r)
{
	struct epoll_event ev = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = r->c};
	if (r->watched || !r->c)
		return;
	r->watched = epoll_ctl(r->http->watch_fd, EPOLL_CTL_ADD, r->c->fd, &ev) == 0;
}

void nv_conn_unwatch(struct nv_http_request *r)
{
	if (r->watched)
		epoll_ctl(r->http->watch_fd, EPOLL_CTL_DEL, r->c->fd, NULL);
	r->watched = false;
}

void nv_conn_look(struct nv_http *h)
{
	struct epoll_event events[64];
	int n = epoll_wait(h->watch_fd, events, NV_ARRAY_LEN(events), 0);
	for (int i = 0; i < n; i++) {
		const struct nv_http_conn *c = events[i].data.ptr;
		nv_http_drop(c->request);
	}
}
