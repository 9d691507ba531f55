#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How quick is GET /api/v1/requests? Writes records straight into the farm's Redis (default 10,000),
through the same script as the producer does, and times the call in each order.

    NAVETTE_BUILD=build/bench /usr/bin/python3 tests/bench/list_requests.py [RECORDS]"""
import os
import statistics
import sys
import tempfile
import time

import msgpack

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "system")]
import measure  # noqa: E402  pylint: disable=wrong-import-position
from harness import wire  # noqa: E402  pylint: disable=wrong-import-position
from harness.farm import Farm  # noqa: E402  pylint: disable=wrong-import-position
from harness.rabbit import Broker  # noqa: E402  pylint: disable=wrong-import-position
from harness.samples import SOURCE  # noqa: E402  pylint: disable=wrong-import-position

QUERIES = ["", "offset=9900", "state=scheduled", "state=scheduled,failed", "sort=modified",
           "sort=-user", "sort=course&state=cancelled", "text=course%20499", "person=er%2017",
           "text=no%20such", "person=user&sort=course&offset=5000"]


def fill(farm, count):
    client = farm.redis.client
    script = client.script_load(create_script())
    for n in range(count):
        body = wire.restore_request(farm.site, str(n), f"user{n % 500}",
                                    user_name=f"User {n % 500}", fullname=f"Course {n} of études",
                                    shortname=f"C{n}")
        ms = int(body["id"].replace("-", "")[:12], 16)
        client.evalsha(script, 0, body["id"], 1, farm.site, str(n), body["user"], ms,
                       msgpack.packb(body), "0")
    for n, key in enumerate(client.scan_iter("nv:req:*", count=1000)):
        if n % 4 == 0:  # as cancel.lua leaves them
            id_ = key.decode()[7:]
            score = client.zscore("nv:idx:all", id_)
            client.hset(key, "state", "cancelled")
            client.zrem("nv:idx:state:scheduled", id_)
            client.zadd("nv:idx:state:cancelled", {id_: score})
    client.delete("nv:idx:unpublished")  # nothing is to be sent


def create_script():
    lua = os.path.join(SOURCE, "core", "status", "lua")
    parts = ["#!lua flags=allow-oom\nlocal MAY = {} local FINAL = {}\n"]
    for name in ("common", "create"):
        with open(os.path.join(lua, name + ".lua"), encoding="utf-8") as f:
            parts.append(f.read())
    return "".join(parts)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    with tempfile.TemporaryDirectory(dir=measure.place()) as folder:
        broker = Broker(os.path.join(folder, "broker"), SOURCE).start()
        farm = Farm(os.path.join(folder, "farm"), broker)
        try:
            fill(farm, count)
            farm.producer()
            root = farm.person("root")
            root.get("/session")
            for query in QUERIES:
                took = []
                for _ in range(10):
                    begin = time.perf_counter()
                    answer = root.get(f"/requests?limit=50&{query}")
                    took.append((time.perf_counter() - begin) * 1000)
                print(f"{statistics.median(took):7.1f} ms median {max(took):7.1f} ms most "
                      f"{answer['total']:6d} found  {query}")
        finally:
            farm.close(failed=False)
            broker.close()


if __name__ == "__main__":
    measure.end_with_children()
    main()
