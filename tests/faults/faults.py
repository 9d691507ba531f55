# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of the campaign. Each begins, stays a while, and ends with all as it was; two that touch the same thing
never come together."""
import os
import re
import signal

import redis
import requests

from harness.samples import SOURCE


class Fault:
    name = "?"
    touches = "?"  # the thing that only one fault at a time has

    def __init__(self, town, rng):
        self.town, self.rng = town, rng

    def describe(self):
        return self.name

    def begin(self):
        raise NotImplementedError

    def end(self):
        pass


# --- daemons ---

class OfDaemon(Fault):
    roles = ("producer", "archiver", "worker")

    def __init__(self, town, rng):
        super().__init__(town, rng)
        self.daemon = rng.choice([d for d in town.farm.daemons if d.role in self.roles])
        self.touches = self.daemon.name

    def describe(self):
        return f"{self.name} {self.daemon.name}"


class Kill(OfDaemon):
    name = "daemon.kill"

    def begin(self):
        self.daemon.kill()


class Stop(OfDaemon):
    """SIGTERM, and started again when it has ended."""
    name = "daemon.stop"

    def begin(self):
        if self.daemon.running():
            self.daemon.signal(signal.SIGTERM)


class Pause(OfDaemon):
    """As a machine that stands still: longer than a lease at times."""
    name = "daemon.pause"

    def begin(self):
        if self.daemon.running():
            self.daemon.signal(signal.SIGSTOP)

    def end(self):
        if self.daemon.running():
            self.daemon.signal(signal.SIGCONT)


def _points():
    found = set()
    for folder in ("archiver", "worker", "producer", "core"):
        for top, _, names in os.walk(os.path.join(SOURCE, folder)):
            for name in names:
                if name.endswith(".c"):
                    with open(os.path.join(top, name), encoding="utf-8") as f:
                        found |= set(re.findall(r'\bnv_fault\("([^"]+)"\)', f.read()))
    return sorted(found)


PASSED_BY = {"producer": "producer", "archiver": "archiver", "archive": "archiver", "worker": "worker", "site": "worker"}


class CrashPoint(OfDaemon):
    """It dies between two steps, once."""
    name = "daemon.crash_point"

    def __init__(self, town, rng):
        super().__init__(town, rng)
        self.point = rng.choice([p for p in _points() if PASSED_BY[p.split(".")[0]] == self.daemon.role])

    def describe(self):
        return f"{self.name} {self.daemon.name} {self.point}"

    def begin(self):
        self.daemon.kill()
        once = os.path.join(self.town.folder, "once")
        if os.path.exists(once):
            os.unlink(once)
        self.daemon.start(ready=False, NAVETTE_FAULT=self.point, NAVETTE_FAULT_ONCE=once)


class Clock(Fault):
    """The course server's clock, or the client's, is minutes off."""
    name, touches = "clock.wrong", "clock"

    def __init__(self, town, rng):
        super().__init__(town, rng)
        self.side = rng.choice(sorted(town.clocks))
        self.minutes = rng.choice((-40, -10, 10, 40))

    def describe(self):
        return f"{self.name} {self.side} {self.minutes:+} min"

    def begin(self):
        self.town.set_clock(self.side, self.minutes)

    def end(self):
        self.town.set_clock(self.side, 0)


# --- the broker ---

class BrokerKill(Fault):
    name, touches = "broker.kill", "broker"

    def begin(self):
        self.town.broker.kill()

    def end(self):
        self.town.broker.start()


class BrokerPause(Fault):
    name, touches = "broker.pause", "broker"

    def _signal(self, number):
        pid = self.town.broker._pid()
        os.kill(pid, number)

    def begin(self):
        self._signal(signal.SIGSTOP)

    def end(self):
        self._signal(signal.SIGCONT)


class BrokerBlocks(Fault):
    """A memory alarm: nobody may publish."""
    name, touches = "broker.alarm", "broker"

    def begin(self):
        self.town.broker.ctl("set_vm_memory_high_watermark", "absolute", "1MB")

    def end(self):
        self.town.broker.ctl("set_vm_memory_high_watermark", "0.6")


class BrokerDrops(Fault):
    """Every connection is closed."""
    name, touches = "broker.disconnect", "broker"

    def begin(self):
        try:
            for connection in self.town.broker.get("/connections"):
                requests.delete(self.town.broker.url("connections", connection["name"]),
                                auth=("guest", "guest"), timeout=5)
        except (requests.RequestException, ValueError, TypeError):
            pass  # it is away itself


# --- Redis ---

class RedisKill(Fault):
    name, touches = "redis.kill", "redis"

    def begin(self):
        self.town.farm.redis.kill()

    def end(self):
        self.town.farm.redis.start()


class RedisPause(Fault):
    name, touches = "redis.pause", "redis"

    def begin(self):
        os.kill(self.town.farm.redis.child.pid, signal.SIGSTOP)

    def end(self):
        os.kill(self.town.farm.redis.child.pid, signal.SIGCONT)


class RedisReadOnly(Fault):
    """It refuses writes, as without a replica that it should have."""
    name, touches = "redis.refuses", "redis"

    def begin(self):
        self.town.farm.redis.client.config_set("min-replicas-to-write", 1)

    def end(self):
        self.town.farm.redis.client.config_set("min-replicas-to-write", 0)


class RedisEmptied(Fault):
    """What it may forget is counted apart: Town.emptied_at has the moments."""
    name, touches = "redis.emptied", "redis"

    def begin(self):
        try:
            self.town.empty_redis()
        except redis.RedisError:
            pass


# --- the store ---

class StoreAway(Fault):
    name, touches = "store.away", "store"

    def begin(self):
        self.town.staging.close()

    def end(self):
        self.town.staging.start()


class StoreFails(Fault):
    """Some of its next answers are refusals, cut off, damaged or unfinished."""
    name, touches = "store.faults", "proxy"

    def begin(self):
        kinds = [("PUT", {"status": 507}), ("PUT", {"status": 500}), ("PUT", {"cut_up": 20_000}),
                 ("PUT", {"flip_up": True}), ("GET", {"status": 503}), ("GET", {"cut_down": 3_000}),
                 ("GET", {"flip": True}), ("GET", {"stall": True}), ("HEAD", {"status": 500})]
        self.added = []
        for method, what in self.rng.sample(kinds, 3):
            self.added.append(self.town.proxy.add(method, ".", self.rng.randint(1, 4), **what))

    def end(self):
        for fault in self.added:
            fault.times = 0


# --- mail, disks ---

class MailAway(Fault):
    name, touches = "mail.away", "mail"

    def begin(self):
        self.town.sink.close()

    def end(self):
        self.town.sink.open()


class MailUnsure(Fault):
    """Some letters are taken, and the connection breaks before the server says so; some are put off."""
    name, touches = "mail.unsure", "mail"

    def begin(self):
        self.town.sink.answers += [self.rng.choice(("", "451 later")) for _ in range(3)]


class DiskFull(Fault):
    name = "disk.full"

    def __init__(self, town, rng):
        super().__init__(town, rng)
        self.disk = rng.choice(sorted(town.disks))
        self.touches = f"disk of {self.disk}"

    def describe(self):
        return f"{self.name} {self.disk}"

    def begin(self):
        self.town.disks[self.disk].fill()

    def end(self):
        self.town.disks[self.disk].free()


ALWAYS = [Kill, Kill, Stop, Pause, CrashPoint, CrashPoint, Clock, BrokerKill, BrokerPause, BrokerBlocks, BrokerDrops,
          RedisKill, RedisPause, RedisReadOnly, RedisEmptied, StoreAway, StoreFails, StoreFails, MailAway, MailUnsure]


def choose(town, rng, count):
    kinds = ALWAYS + ([DiskFull, DiskFull] if town.disks else [])
    chosen = []
    while len(chosen) < count:
        fault = rng.choice(kinds)(town, rng)
        if fault.touches not in {f.touches for f in chosen}:
            chosen.append(fault)
    return chosen
