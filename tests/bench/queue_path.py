#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests of next to nothing go the whole way in a second, how long one takes, and what that costs in
memory: Navette between two embedded sites, and Celery (python3-celery) doing the same hops.

    NAVETTE_BUILD=build/bench /usr/bin/python3 tests/bench/queue_path.py [--rounds N] [--requests N] [--memory /dev/shm]

Navette: POST /requests (four connections) → record in Redis → archive queue → archiver (exports a course of two small
files into a store that is a folder) → restore queue → worker (fetches, verifies, makes the course) → restored.  Every
message is signed and in a quorum queue.  Celery: a task, then another, acks_late, persistent, publisher confirms,
msgpack, two prefork processes, 32 messages prefetched each; each writes what Navette's hop writes in Redis (hash and
stream, one transaction), and no file.  Same RabbitMQ node; a Redis each, appendfsync always.

Each round measures both, in turn, from anew; then all of it once more with everything in a file system in memory (broker,
Redis, store, sites): what the queues and the programs take, without what the disk takes for files and syncs.
Throughput: from the first request sent to the last restored.  Latency: with so many outstanding, the next is sent when
one has ended.  Memory: PSS of all its processes, at the end.
Writes results/queue.json."""
import argparse
import http.client
import json
import os
import queue as queues
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "system")]
# pylint: disable=wrong-import-position
import measure  # noqa: E402
from harness import processes, redis_server, samples, wait  # noqa: E402
from harness.api import Api  # noqa: E402
from harness.farm import Farm  # noqa: E402
from harness.rabbit import Broker  # noqa: E402

SENDERS = 4
LIMIT = 300  # seconds


class Navette:
    stream = "nv:events"

    def __init__(self, folder, broker):
        slots = {"slots": 8}
        self.farm = Farm(folder, broker, log={"level": "info"}, archiver=slots, worker=slots,
                         producer={"catalog_ttl": "10m"}, restore={"only_one": False})
        self.course = self.farm.remote.add(samples.make(self.farm.path("made.mbz"), 1, blobs=0))
        self.farm.all()
        self.server = self.farm.redis
        self.redis = self.server.client
        self.farm.wait_state(self.farm.submit(self.course), "restored")
        self.local = threading.local()

    def submit(self):
        """Over a connection that each sender keeps."""
        local = self.local
        if not hasattr(local, "connection"):
            producer = self.farm.roles("producer")[0]
            api = Api(lambda: producer.url(""), "ada")
            api.sign_in()
            local.connection = http.client.HTTPConnection(producer.url("").split("//")[1])
            local.headers = {"Authorization": f"Bearer {api.token}", "Content-Type": "application/json"}
        local.connection.request("POST", "/api/v1/requests", json.dumps({"site": self.farm.site, "course": self.course}),
                                 local.headers)
        answer = json.loads(local.connection.getresponse().read())
        return answer["results"][0]["id"]

    def pids(self):
        return [d.child.pid for d in self.farm.daemons]

    def close(self):
        self.farm.close(failed=False)


class Celery:
    stream = "bench:events"

    def __init__(self, folder, broker):
        os.makedirs(folder)
        self.server = redis_server.RedisServer(os.path.join(folder, "redis")).start()
        self.redis = self.server.client
        vhost = f"celery-{uuid.uuid4().hex[:8]}"
        broker.make_vhost(vhost)
        os.environ.update(BENCH_BROKER=f"amqp://guest:guest@127.0.0.1:{broker.amqp}/{vhost}",
                          BENCH_REDIS=self.server.socket)
        sys.modules.pop("queue_celery", None)
        import queue_celery
        self.app = queue_celery
        self.child = processes.start(
            ["/usr/bin/python3", "-m", "celery", "-A", "queue_celery", "worker", "-c", "2", "-Q", "archive,restore",
             "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "error"],
            os.path.join(folder, "celery.out"), {**os.environ, "PYTHONPATH": HERE, "C_FORCE_ROOT": "1"}, cwd=HERE)
        first = self.submit()
        wait.until(lambda: self.redis.hget(f"bench:{first}", "state") == b"restored",
                   lambda: f"celery, see {folder}/celery.out", 60)

    def submit(self):
        request = str(uuid.uuid4())
        self.app.submit(request, BODY)
        return request

    def pids(self):
        return measure.family([self.child.pid])

    def close(self):
        self.app.app.close()
        processes.kill(self.child)
        self.server.stop()


BODY = {"course": "1", "user": "ada", "roles": ["editingteacher"], "keep_category": False, "user_data": False,
        "fullname": "Course 1", "mail": "ada@example.org"}  # what a request says, about


class Watcher(threading.Thread):
    """Puts the id of each request that has been restored into a queue."""

    def __init__(self, side):
        super().__init__(daemon=True)
        self.side, self.ended, self.over = side, queues.Queue(), False
        newest = side.redis.xrevrange(side.stream, count=1)
        self.last = newest[0][0] if newest else "0"

    def run(self):
        while not self.over:
            for _, entries in self.side.redis.xread({self.side.stream: self.last}, count=1000, block=200) or []:
                now = time.perf_counter()
                for self.last, fields in entries:
                    state = fields.get(b"state")
                    assert state not in (b"failed", b"cancelled"), fields
                    if state == b"restored":
                        self.ended.put((fields[b"id"].decode(), now))


def drive(side, total, outstanding):
    """(seconds, latencies) of `total` requests with at most so many outstanding."""
    watcher = Watcher(side)
    watcher.start()
    began, sent = {}, queues.Queue()
    room, lock = threading.Semaphore(outstanding), threading.Lock()
    left = [total]

    def send():
        while True:
            room.acquire()  # pylint: disable=consider-using-with
            with lock:
                if not left[0]:
                    return
                left[0] -= 1
            at = time.perf_counter()
            sent.put((side.submit(), at))

    start = time.perf_counter()
    threads = [threading.Thread(target=send, daemon=True) for _ in range(min(SENDERS, outstanding))]
    for t in threads:
        t.start()
    ends, last = {}, start
    while len(ends) < total:
        request, now = watcher.ended.get(timeout=LIMIT)
        ends[request] = last = now
        room.release()
    for _ in threads:
        room.release()
    watcher.over = True
    watcher.join()
    while len(began) < total:
        request, at = sent.get(timeout=LIMIT)
        began[request] = at
    return last - start, sorted(ends[r] - began[r] for r in began)


def pss(pids):
    """MiB"""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
            total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return round(total / 1024, 1)


def one(kind, broker, requests):
    folder = tempfile.mkdtemp(prefix="nvq-")
    side = None
    try:
        side = kind(os.path.join(folder, "side"), broker)
        out = {"latency_ms": {}}
        theirs = [broker.child.pid, side.server.child.pid]
        with measure.Usage(side.pids()) as usage, measure.Usage(theirs) as servers:
            seconds, _ = drive(side, requests, requests)
        out["per_second"] = round(requests / seconds, 1)
        out["cpu_ms_each"] = round(1000 * usage.figures["cpu_s"] / requests, 2)
        out["servers_cpu_ms_each"] = round(1000 * servers.figures["cpu_s"] / requests, 2)  # RabbitMQ's and Redis's
        out["cpu_ms_each_by"] = {name: round(1000 * s / requests, 2) for used in (usage, servers)
                                 for name, s in used.figures["cpu_s_by"].items() if s > 0}
        for outstanding, total in ((1, 50), (100, 400), (1000, 1200)):
            _, took = drive(side, total, outstanding)
            out["latency_ms"][outstanding] = {
                "median": round(1000 * took[len(took) // 2], 1), "p95": round(1000 * took[int(len(took) * .95)], 1),
                "most": round(1000 * took[-1], 1)}
        out["pss_mib"] = pss(side.pids())
        return out
    finally:
        if side:
            side.close()
        shutil.rmtree(folder, ignore_errors=True)


def rounds(chosen, broker):
    """{side: [figures]}"""
    sides = {"navette": Navette, "celery": Celery}
    runs = {name: [] for name in sides}
    for n in range(chosen.rounds):
        names = list(sides)[n % 2:] + list(sides)[:n % 2]
        for name in names:
            runs[name].append(one(sides[name], broker, chosen.requests))
            print(n + 1, name, json.dumps(runs[name][-1]), flush=True)
    return runs


def somewhere(folder, chosen):
    """All that is measured there, and what it comes to."""
    tempfile.tempdir = folder
    place = tempfile.mkdtemp(prefix="nvq-")
    broker = Broker(os.path.join(place, "broker"), samples.SOURCE).start()
    try:
        runs = rounds(chosen, broker)
    finally:
        broker.close()
        shutil.rmtree(place, ignore_errors=True)
        tempfile.tempdir = None
    pairs = list(zip(runs["navette"], runs["celery"]))
    return {"file_system": measure.file_system(folder), "runs": runs,
            "per_second": {name: measure.spread([r["per_second"] for r in found]) for name, found in runs.items()},
            "ratios": {name: measure.spread([a[key] / b[key] for a, b in pairs]) for name, key in (
                ("navette / celery, per second", "per_second"), ("navette / celery, memory", "pss_mib"))}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--memory", default="/dev/shm", help="a folder in memory; \"\": do without")
    parser.add_argument("--no-save", action="store_true")
    chosen = parser.parse_args()
    document = {"benchmark": "queue", "requests": chosen.requests, "machine": measure.machine(
        **measure.versions(), celery=subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "python3-celery"],
                                                    capture_output=True, text=True, check=False).stdout)}
    document |= somewhere(measure.place(), chosen)
    if chosen.memory:
        document["in_memory"] = somewhere(chosen.memory, chosen)
    for o in (document, document.get("in_memory", {})):
        print(o.get("file_system"), json.dumps(o.get("per_second")), json.dumps(o.get("ratios")))
    if not chosen.no_save:
        print(measure.save("queue", document))


if __name__ == "__main__":
    measure.end_with_children()
    main()
