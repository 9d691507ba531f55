# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that come one after the other while something happens to what they need."""
import re
import threading
import time

import redis

from . import samples, wait

REQUESTS = 100
MADE_BEFORE = 100  # courses, so that submitting takes no time


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
        self._made = [self._course(n) for n in range(1, min(most, MADE_BEFORE) + 1)]
        self.thread = threading.Thread(target=self._run, args=(most,), daemon=True)
        self.thread.start()

    def _course(self, n):
        return self.farm.remote.add(samples.make(self.farm.path(f"{n}.mbz"), n, blobs=8, blob_size=250_000))

    def _run(self, most):
        for n in range(1, most + 1):
            course = self._made[n - 1] if n <= len(self._made) else self._course(n)
            self.refused += submit(self.farm, course)
            if self._over.wait(0.02):  # the load: some dozens a second; nothing waits for it
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
        """Until all that were in flight at `since` are restored; what is told is the longest time without one."""
        began = last = time.monotonic()
        ended = set(self.ended())
        flying = set(self.farm.requests) - ended
        pause, open_ = 0.0, set(flying)
        while open_:
            more = open_ & set(self.ended())
            now = time.monotonic()
            if more or now - last > pause:
                pause, last = max(pause, now - last), now if more else last
            open_ -= more
            assert now - began < 120, f"{since}: {len(open_)} of {len(flying)} are not restored after 120 s"
            time.sleep(0.02)
        print(f"{since}: {len(flying)} requests in flight, all restored {time.monotonic() - began:.1f} s later, at most "
              f"{pause:.1f} s without one; {self.refused} submissions to be tried again")

    def finish(self):
        self.thread.join()
        self.farm.wait_all("restored")
        self.farm.assert_restored_once()
