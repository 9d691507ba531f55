# SPDX-License-Identifier: GPL-3.0-or-later
"""What the campaign disturbs: a farm (tests/system/harness) of several daemons of each role, with a WebDAV store
behind a proxy, a mail server, and work folders on small disks of their own where the caller is root."""
import os
import subprocess
import time

from harness import farm as farms
from harness import ports, staging, wait
from harness.disk import Disk
from harness.fault_proxy import FaultProxy
from harness.rabbit import Broker
from harness.samples import SOURCE
from harness.smtp import Sink

ROLES = {"producer": 2, "archiver": 3, "worker": 3}
DISK = "192m"
# Delays before a retry are at most this long: an hour's campaign sees what takes a day elsewhere. With it
# go more attempts, so that a request has as many chances in time as with the delays of real life.
RETRY_MS = 1500
ATTEMPTS = 25


class Town:
    def __init__(self, folder):
        self.folder, self.began = folder, time.monotonic()
        self.sink, self.disks, self.emptied_at = Sink(), {}, []
        self.clock_was_wrong = False
        self.clocks = {side: os.path.join(folder, f"{side}.clock") for side in ("server", "client")}
        for side in self.clocks:
            self.set_clock(side, 0)
        self.broker = Broker(os.path.join(folder, "broker"), SOURCE).start()
        notify = {"smtp_url": f"smtp://127.0.0.1:{self.sink.port}", "mail_from": "navette@this-year.example.org",
                  "admins": ["ops@example.org"], "digest_after": 100}
        self.farm = farms.Farm(os.path.join(folder, "farm"), self.broker, RETRY_MS,
                               archiver={"slots": 3, "attempts": ATTEMPTS},
                               worker={"slots": 3, "attempts": ATTEMPTS})
        self.staging = staging.of_farm(self.farm, tls=False)
        self.proxy = FaultProxy(self.staging.port)
        for role, count in ROLES.items():
            for n in range(1, count + 1):
                self._add(role, f"{role}-{n}", notify)
        self.broker.settle()

    def _add(self, role, name, notify):
        farm = self.farm
        if role == "producer":
            d = farm.daemon(role, name)
            config = {**d.config}
            # The same place after each restart: people and monitors know it.
            config["producer"] = {**config["producer"], "listen": f"127.0.0.1:{ports.free()}"}
        else:
            d = staging.daemon(farm, role, self.staging, self.proxy.url, name)
            config = {**d.config}
        if role == "worker":
            config["notify"] = notify
        if os.getuid() == 0:
            self.disks[name] = Disk(config[role]["work_dir"], DISK)
        d.configure(config)
        d.env = {"NAVETTE_FAULT_CLOCK": self.clocks["server" if role == "archiver" else "client"]}
        d.may_die = True  # the campaign looks itself, see check()

    def start(self):
        for d in self.farm.daemons:
            d.start()

    def set_clock(self, side, minutes):
        """So many ahead; of all daemons on that side, at once."""
        self.clock_was_wrong |= minutes != 0
        with open(self.clocks[side] + ".new", "w", encoding="ascii") as f:
            f.write(f"{minutes * 60_000}\n")
        os.rename(self.clocks[side] + ".new", self.clocks[side])

    # --- an emptied Redis ---

    def empty_redis(self):
        self.farm.redis.client.flushall()
        self.emptied_at.append(time.time() * 1000)

    # --- life ---

    def say(self, text):
        print(f"{time.monotonic() - self.began:7.1f} {text}", flush=True)

    @staticmethod
    def rest(seconds):
        time.sleep(seconds)  # the moments are what is random here

    def mend(self):
        """Every daemon that has ended is started again, as a service manager does."""
        for d in self.farm.daemons:
            if d.child is not None and not d.running():
                d.wait_end()
            if d.child is None:
                d.start(ready=False)

    def check(self):
        """A sanitizer's finding ends the campaign at once."""
        for d in self.farm.daemons:
            broken = d.broken()
            assert not broken, f"{d.name}:\n{broken}"

    def well(self, timeout=180):
        """Everything runs and says that it is ready."""
        def ready():
            self.mend()
            return all(d.ready() for d in self.farm.daemons)
        wait.until(ready, lambda: "all daemons ready; not: " + ", ".join(
            d.name for d in self.farm.daemons if not d.ready()), timeout, 0.5)

    def close(self):
        for d in self.farm.daemons:
            d.kill()
        for disk in self.disks.values():
            disk.close()
        self.proxy.close()
        self.staging.close()
        self.sink.close()
        self.farm.redis.close()
        self.broker.close()
