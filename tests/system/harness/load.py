# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that come one after the other while something happens to what they need."""
import re
import threading
import time

import redis

from . import samples, wait

REQUESTS = 30


def submit(farm, course):
    """As a person does who is told to try again; how often that was."""
    for refused in range(1000):
        try:
            farm.submit(course)
            return refused
        except AssertionError as refusal:
            assert re.search(": 50[34] ", str(refusal)), refusal
            time.sleep(0.2)
    raise AssertionError("refused for ever")


class Load:
    """most: so many requests, or until enough() is called."""

    def __init__(self, farm, most=REQUESTS):
        self.farm, self.refused, self.seen = farm, 0, []
        self._over = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(most,), daemon=True)
        self.thread.start()

    def _run(self, most):
        for n in range(1, most + 1):
            course = self.farm.remote.add(samples.make(self.farm.path(f"{n}.mbz"), n, blobs=8, blob_size=1_000_000))
            self.refused += submit(self.farm, course)
            if self._over.wait(0.1):  # the load: less than ten a second; nothing waits for it
                return

    def enough(self):
        self._over.set()

    def ended(self):
        try:
            self.seen = [r for r in list(self.farm.requests) if self.farm.state(r) == "restored"]
        except redis.RedisError:
            pass  # it is what is away: what was seen last
        return self.seen

    def in_flight(self):
        return len(self.farm.requests) - len(self.ended())

    def recovered(self, since):
        """Seconds until one that was not restored at `since` is."""
        before, at = set(self.ended()), time.monotonic()
        flying = self.in_flight()
        wait.until(lambda: set(self.ended()) - before, "the next one is restored", 90, 0.02)
        print(f"{since}: {flying} requests in flight, the next restored after {time.monotonic() - at:.1f} s, "
              f"{self.refused} submissions to be tried again")

    def finish(self):
        self.thread.join()
        self.farm.wait_all("restored")
        self.farm.assert_restored_once()
