/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <unistd.h>

#include "core/bus/bus_internal.h"

void nv_bus_queue_init(struct nv_bus_queue *q)
{
	*q = (struct nv_bus_queue){.wake_fd = -1};
	q->tail = &q->head;
	pthread_mutex_init(&q->lock, NULL);
}

void nv_bus_queue_fini(struct nv_bus_queue *q)
{
	if (q->wake_fd >= 0)
		close(q->wake_fd);
	pthread_mutex_destroy(&q->lock);
}

struct nv_bus_item *nv_bus_item_new(enum nv_bus_what what)
{
	struct nv_bus_item *i = nv_alloc(sizeof *i);
	i->what = what;
	return i;
}

void nv_bus_item_free(struct nv_bus_item *i)
{
	if (!i)
		return;
	free(i->err);
	free(i);
}

void nv_bus_queue_put(struct nv_bus_queue *q, struct nv_bus_item *i)
{
	i->next = NULL;
	pthread_mutex_lock(&q->lock);
	*q->tail = i;
	q->tail = &i->next;
	pthread_mutex_unlock(&q->lock);
	if (q->wake)
		uv_async_send(q->wake);
	if (q->wake_fd >= 0) {
		uint64_t one = 1;
		/* Only a counter that is already full fails, and then the side is awake. */
		ssize_t n = write(q->wake_fd, &one, sizeof one);
		(void)n;
	}
}

struct nv_bus_item *nv_bus_queue_take(struct nv_bus_queue *q)
{
	pthread_mutex_lock(&q->lock);
	struct nv_bus_item *all = q->head;
	q->head = NULL;
	q->tail = &q->head;
	pthread_mutex_unlock(&q->lock);
	return all;
}
