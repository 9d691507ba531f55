#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What do many open event streams cost one producer, and how soon does an event reach all of them?

    NAVETTE_BUILD=build/bench /usr/bin/python3 tests/bench/event_streams.py [STREAMS [EVENTS]]

Opens the streams (default 1,000, of an administrator, who hears of everything), submits requests (default 20)
one after the other by the API, and measures from the beginning of each call until each reader has its event.
One process reads all streams, so its own work is in the figures.  Writes results/event_streams.json."""
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "system")]
import measure  # noqa: E402  pylint: disable=wrong-import-position
from harness.farm import Farm  # noqa: E402  pylint: disable=wrong-import-position
from harness.rabbit import Broker  # noqa: E402  pylint: disable=wrong-import-position
from harness.samples import SOURCE  # noqa: E402  pylint: disable=wrong-import-position

PATIENCE = 30  # seconds for an event to reach all


def memory(pid, field):
    """MiB"""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(field)) / 1024


class Readers:
    def __init__(self, port, token):
        self.port, self.token = port, token
        self.tasks, self.arrived = [], {}  # a request's id → when each reader had it
        self.all_there = None

    async def _read(self, opened):
        stream, out = await asyncio.open_connection("127.0.0.1", self.port)
        out.write(f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
                  f"Authorization: Bearer {self.token}\r\n\r\n".encode())
        status = await stream.readline()
        assert b" 200 " in status, status
        while await stream.readline() != b"retry: 3000\n":
            pass
        opened()
        while line := await stream.readline():
            if line.startswith(b'data: {"') and b'"state":"scheduled"' in line:
                self._note(json.loads(line[6:])["id"])
        raise AssertionError("the producer has closed a stream")

    def _note(self, request):
        times = self.arrived.setdefault(request, [])
        times.append(time.perf_counter())
        if len(times) == len(self.tasks):
            self.all_there.set()

    async def open(self, count):
        left, done = count, asyncio.Event()

        def opened():
            nonlocal left
            left -= 1
            if not left:
                done.set()
        self.all_there = asyncio.Event()
        for _ in range(count):
            self.tasks.append(asyncio.create_task(self._read(opened)))
            await asyncio.sleep(0)
        await self._unless_one_fails(done)

    async def _unless_one_fails(self, event):
        waiting = asyncio.create_task(event.wait())
        await asyncio.wait([waiting, *self.tasks], timeout=PATIENCE,
                           return_when=asyncio.FIRST_COMPLETED)
        for task in self.tasks:
            if task.done():
                task.result()
        assert event.is_set(), "not all readers have it"

    async def hear(self, submit):
        """Seconds from the call's beginning to each reader."""
        self.all_there.clear()
        begin = time.perf_counter()
        request = await asyncio.to_thread(submit)
        await self._unless_one_fails(self.all_there)
        return [t - begin for t in self.arrived[request]]

    def close(self):
        for task in self.tasks:
            task.cancel()


async def measured(farm, producer, count, events):
    root = farm.person("root")
    root.get("/session")
    before = memory(producer.child.pid, "VmRSS")
    readers = Readers(int(producer.url("").rsplit(":", 1)[1]), root.token)
    await readers.open(count)
    took = []
    for n in range(events):
        took += await readers.hear(lambda n=n: farm.submit(str(n), by="root"))
    figures = {"streams": count, "events": events, "rss_before_mib": before,
               "rss_mib": memory(producer.child.pid, "VmRSS"),
               "rss_peak_mib": memory(producer.child.pid, "VmHWM"),
               "median_ms": statistics.median(took) * 1000,
               "p95_ms": statistics.quantiles(took, n=20)[-1] * 1000, "most_ms": max(took) * 1000}
    readers.close()
    return {k: round(v, 1) for k, v in figures.items()}


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    events = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, 1024), max(hard, wanted)))
    with tempfile.TemporaryDirectory(dir=measure.place()) as folder:
        broker = Broker(os.path.join(folder, "broker"), SOURCE).start()
        farm = Farm(os.path.join(folder, "farm"), broker)
        try:
            producer = farm.daemon("producer")
            # All are one person's here, which the default does not allow.
            producer.configure({**producer.config, "producer": {
                **producer.config["producer"], "max_streams": count, "max_per_person": count + 10}})
            figures = asyncio.run(measured(farm, producer.start(), count, events))
        finally:
            farm.close(failed=False)
            broker.close()
    for name, value in figures.items():
        print(f"{name:16} {value:10}")
    http = subprocess.run(["pkg-config", "--modversion", "libmicrohttpd"], capture_output=True, text=True, check=False)
    measure.save("event_streams", {"benchmark": "event_streams", "figures": figures, "machine": measure.machine(
        **measure.versions(), libmicrohttpd=http.stdout.strip())})


if __name__ == "__main__":
    measure.end_with_children()
    main()
