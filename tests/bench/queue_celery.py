# SPDX-License-Identifier: GPL-3.0-or-later
"""The same two hops by Celery, for queue_path.py: a task that is an export's place, one that is a restore's, and the
status that people see written into Redis at each change, with a stream of the changes, as Navette does."""
import os

import celery
import redis

app = celery.Celery("bench", broker=os.environ.get("BENCH_BROKER", "amqp://"))
app.conf.update(
    task_acks_late=True, task_reject_on_worker_lost=True, task_ignore_result=True, task_default_delivery_mode="persistent",
    broker_transport_options={"confirm_publish": True}, worker_prefetch_multiplier=32, broker_pool_limit=10,
    task_serializer="msgpack", accept_content=["msgpack"], worker_hijack_root_logger=False,
    task_routes={"bench.archive": {"queue": "archive"}, "bench.restore": {"queue": "restore"}})
_store = redis.Redis(unix_socket_path=os.environ.get("BENCH_REDIS", ""))


def state(request, word, **more):
    """One round trip: the record and the stream."""
    with _store.pipeline(transaction=True) as p:
        p.hset(f"bench:{request}", mapping={"state": word, **more})
        p.xadd("bench:events", {"id": request, "state": word}, maxlen=100000, approximate=True)
        p.execute()


@app.task(name="bench.archive")
def archive(request, body):
    # Not "exporting": Navette does not say it either of what takes so little.
    state(request, "ready")  # before the other process may have restored it
    restore.apply_async((request, body))


@app.task(name="bench.restore")
def restore(request, body):
    state(request, "importing")
    state(request, "restored", course=request)


def submit(request, body):
    state(request, "scheduled")
    archive.apply_async((request, body))
