#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What grows with the number of requests, of files, and with an archive's size, and what must not.

    NAVETTE_BUILD=build/bench /usr/bin/python3 tests/bench/scale.py [--requests 100,1000,10000] [--files 100,1000,10000]
        [--sizes 10,100,1000] [--memory /dev/shm] [--no-save]
    (10^5 requests, 10^5 files and 10,000 MB: name them; about an hour)

requests: so many are outstanding, archiver stopped: seconds each to submit (POST, four connections), memory of
producer, Redis and RabbitMQ, how long pages of requests take, and the command `navette queues`; then archiver and worker start:
seconds each until all are restored (embedded sites); first where the files are on a disk, then where they are in
memory.  files: an archive of so many files of 70 KB, each an object of its
own, into a store that is a folder and back: seconds a file, memory.  sizes: an archive of one file of so many MB: memory
of the sending and of the fetching side.  Writes results/scale.json."""
import argparse
import http.client
import json
import os
import shutil
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "system")]
# pylint: disable=wrong-import-position
import measure  # noqa: E402
from harness import samples  # noqa: E402
from harness.api import Api  # noqa: E402
from harness.farm import Farm  # noqa: E402
from harness.rabbit import Broker  # noqa: E402
from transfer import Directory, fresh, make, navette  # noqa: E402

SENDERS = 4


def rss(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:")) / 1024


def submit_all(farm, course, count):
    def send(n):
        api = Api(lambda: farm.roles("producer")[0].url(""), "ada")
        api.sign_in()
        connection = http.client.HTTPConnection(farm.roles("producer")[0].url("").split("//")[1])
        for _ in range(n):
            connection.request("POST", "/api/v1/requests", json.dumps({"site": farm.site, "course": course}),
                               {"Authorization": f"Bearer {api.token}", "Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status < 300, answer.read()
            answer.read()
        connection.close()

    threads = [threading.Thread(target=send, args=(count // SENDERS,)) for _ in range(SENDERS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def median_ms(ask, times=9):
    took = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        took.append(1000 * (time.perf_counter() - began))
    return round(sorted(took)[times // 2], 1)


def looks(farm):
    """What people see of it, in milliseconds, the median of nine: a teacher's first page; an administrator's, searched
    for a word that all have, and sorted by person; the command `navette queues`."""
    ada, root = farm.person("ada"), farm.person("root")
    pages = {"first_page": (ada, "/requests?limit=50"), "search": (root, "/requests?limit=50&text=made"),
             "by_person": (root, "/requests?limit=50&sort=user")}
    out = {f"{name}_ms": median_ms(lambda who=who, path=path: who.get(path)) for name, (who, path) in pages.items()}
    out["queues_command_ms"] = median_ms(lambda: farm.navette("queues", broker=farm.operator()))
    return out


def outstanding(broker, folder, count):
    slots = {"slots": 8}
    farm = Farm(os.path.join(folder, f"farm-{count}"), broker, log={"level": "info"}, archiver=slots, worker=slots,
                producer={"catalog_ttl": "1h"}, restore={"only_one": False})
    try:
        course = farm.remote.add(samples.make(farm.path("made.mbz"), 1, blobs=0))
        producer, archiver, _ = farm.all()
        farm.wait_state(farm.submit(course), "restored")
        archiver.stop()
        beam = int(broker.ctl("eval", "os:getpid().").strip().strip('"'))
        before = {"producer": rss(producer.child.pid), "redis": rss(farm.redis.child.pid), "rabbitmq": rss(beam)}
        began = time.perf_counter()
        submit_all(farm, course, count)
        out = {"submit_ms_each": round(1000 * (time.perf_counter() - began) / count, 2), **looks(farm)}
        out["rss_grew_mib"] = {"producer": round(rss(producer.child.pid) - before["producer"], 1),
                               "redis": round(rss(farm.redis.child.pid) - before["redis"], 1),
                               "rabbitmq": round(rss(beam) - before["rabbitmq"], 1)}
        began = time.perf_counter()
        archiver.start()
        client, limit = farm.redis.client, 60 + count / 5
        while client.zcard("nv:idx:state:restored") < count // SENDERS * SENDERS + 1:
            assert time.perf_counter() - began < limit, "not restored"
            time.sleep(0.02)
        out["restore_ms_each"] = round(1000 * (time.perf_counter() - began) / count, 2)
        out["rss_mib"] = {d.role: round(rss(d.child.pid), 1) for d in farm.daemons}
        return out
    finally:
        farm.close(failed=False)
        shutil.rmtree(farm.folder, ignore_errors=True)


def requests(folder, counts):
    """What is measured of so many requests, files in that folder."""
    place, out = tempfile.mkdtemp(prefix="nvs-", dir=folder), {}
    broker = Broker(os.path.join(place, "broker"), samples.SOURCE).start()
    try:
        for count in counts:
            out[str(count)] = outstanding(broker, place, count)
            print("requests", folder, count, out[str(count)], flush=True)
    finally:
        broker.close()
        shutil.rmtree(place, ignore_errors=True)
    return {"file_system": measure.file_system(folder), "requests": out}


def archive(folder, count, size):
    files = os.path.join(folder, "files")
    make(files, count, size)
    store = Directory(fresh(os.path.join(folder, "store-side")))
    out = navette(store, files, folder)
    for name in ("files", "back", "store-side", "work"):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    return out


def numbers(text):
    return [int(n) for n in text.split(",") if n]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", default="100,1000,10000")
    parser.add_argument("--files", default="100,1000,10000")
    parser.add_argument("--sizes", default="10,100,1000")
    parser.add_argument("--memory", default="/dev/shm", help="a folder in memory; \"\": do without")
    parser.add_argument("--no-save", action="store_true")
    chosen = parser.parse_args()
    document = {"benchmark": "scale", "machine": measure.machine(**measure.versions()), "files": {}, "sizes_mb": {}}
    document |= requests(measure.place(), numbers(chosen.requests))
    if chosen.memory:
        document["in_memory"] = requests(chosen.memory, numbers(chosen.requests))
    folder = tempfile.mkdtemp(prefix="nvs-", dir=measure.place())
    try:
        for count in numbers(chosen.files):
            found = archive(folder, count, 70_000)
            document["files"][str(count)] = {way: {"ms_each": round(1000 * f["seconds"] / count, 3), "rss_mib": f["rss_mib"]}
                                             for way, f in found.items()}
            print("files", count, document["files"][str(count)], flush=True)
        for size in numbers(chosen.sizes):
            found = archive(folder, 1, size * 1_000_000)
            document["sizes_mb"][str(size)] = {way: {"seconds": f["seconds"], "rss_mib": f["rss_mib"]}
                                               for way, f in found.items()}
            print("MB", size, document["sizes_mb"][str(size)], flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not chosen.no_save:
        print(measure.save("scale", document))


if __name__ == "__main__":
    measure.end_with_children()
    main()
