# SPDX-License-Identifier: GPL-3.0-or-later
"""Those who ask for courses while the campaign runs: they try again what is refused for now (with the same key, so
that nothing is asked for twice), cancel some, and ask for some that cannot come."""
import os
import threading
import time

import redis
import requests

from harness import samples, wire

PEOPLE = 3           # who ask at the same time
SHAPES = 12          # archives of different sizes, used again and again
CANCELLED = 0.12
IMPOSSIBLE = 0.03


class Crowd:
    def __init__(self, town, rng, outstanding):
        self.town, self.farm, self.rng, self.outstanding = town, town.farm, rng, outstanding
        self.asked = {}        # request → course
        self.impossible = set()  # asked for somebody whom the client does not know
        self.wanted_cancelled = set()  # somebody tried to cancel it, and was not refused
        self.refused = 0         # answers that say: try again
        self._over, self._lock = threading.Event(), threading.Lock()
        self._final, self._token = set(), {}
        self._shapes = [samples.make(os.path.join(town.folder, f"shape-{n}.mbz"), n, n % 5, rng.randint(5, 400) * 1000)
                        for n in range(SHAPES)]
        self.farm.remote.add_user("mallory")
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(PEOPLE)]
        self.broken = None

    def start(self):
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._over.set()
        for thread in self._threads:
            thread.join(180)
            assert not thread.is_alive(), "the crowd does not end"
        if self.broken:
            raise self.broken

    def _run(self):
        try:
            while not self._over.is_set():
                if self._open() < self.outstanding:
                    self._ask()
                self._over.wait(self.rng.uniform(0.05, 0.6))
        except Exception as e:  # pylint: disable=broad-except
            self.broken = e

    def _open(self):
        for request in [r for r in list(self.asked) if r not in self._final]:
            try:
                if self.farm.state(request) in ("restored", "failed", "cancelled"):
                    self._final.add(request)
            except redis.RedisError:
                break
        return len(self.asked) - len(self._final)

    def _ask(self):
        shape = self.rng.choice(self._shapes)
        if self.rng.random() < IMPOSSIBLE:
            self._by_wire(self._course(shape, "mallory"))
            return
        course = self._course(shape, "ada")
        request = self._submit(course, f"{self.rng.getrandbits(64):x}")
        if request:
            self.asked[request] = course
            self.farm.requests[request] = course
            if self.rng.random() < CANCELLED:
                time.sleep(self.rng.choice((0, 0, self.rng.uniform(0, 1))))  # before it starts, or while it runs
                self._cancel(request)

    def _course(self, shape, teacher):
        with self._lock:
            return self.farm.remote.add(shape, teacher)

    def _producers(self):
        found = self.farm.roles("producer")
        self.rng.shuffle(found)
        return found

    def _submit(self, course, key):
        """The request's id, after as many tries as it takes; None: the campaign is over before anybody took it."""
        while True:
            for producer in self._producers():
                try:
                    return self._call(producer, "POST", "/requests", {"site": self.farm.site, "course": course},
                                      {"Idempotency-Key": key})["results"][0]["id"]
                except TryAgain:
                    self.refused += 1
            if self._over.wait(0.3):
                return None

    def _cancel(self, request):
        self.wanted_cancelled.add(request)
        for _ in range(20):
            for producer in self._producers():
                try:
                    self._call(producer, "POST", f"/requests/{request}/cancel")
                    return
                except TryAgain:
                    self.refused += 1
                except Conflict:
                    self.wanted_cancelled.discard(request)  # over already, or not known any more
                    return
            if self._over.wait(0.3):
                return

    def _call(self, producer, method, path, body=None, headers=None):
        base = f"http://{producer.config['producer']['listen']}/api/v1"
        try:
            for _ in range(2):
                token = self._token.get(base)
                if token is None:
                    r = requests.post(base + "/session", timeout=15,
                                      json={"username": "ada", "password": "correct horse battery"})
                    if not r.ok:
                        raise TryAgain(f"{r.status_code} {r.text}")
                    token = self._token[base] = r.json()["token"]
                r = requests.request(method, base + path, json=body, timeout=15,
                                     headers={"Authorization": f"Bearer {token}", **(headers or {})})
                if r.status_code == 401:
                    self._token.pop(base, None)
                    continue
                if r.ok:
                    return r.json()
                if r.status_code == 409 or r.status_code == 404:
                    raise Conflict(r.text)
                # 403: the list of courses was asked for a moment before this course was made
                if r.status_code in (403, 429, 500, 502, 503, 504):
                    raise TryAgain(f"{r.status_code} {r.text}")
                raise AssertionError(f"{method} {path}: {r.status_code} {r.text}")
            raise TryAgain("signed out twice")
        except (requests.RequestException, ValueError) as e:
            raise TryAgain(str(e)) from e

    def _by_wire(self, course):
        """For somebody whom the client does not know; as a producer would publish it."""
        body = wire.restore_request(self.farm.site, course, "mallory")
        sealed = wire.seal("restore.request", body, self.farm.keys["client"], f"client:{self.farm.client}")
        for _ in range(100):
            try:
                self.farm.publish(f"archive.{self.farm.site}", sealed)
                self.impossible.add(body["id"])
                self.asked[body["id"]] = course
                return
            except Exception:  # pylint: disable=broad-except
                # pika has many; whether the broker has it is not known, so it may be there twice
                if self._over.wait(0.5):
                    return


class TryAgain(Exception):
    pass


class Conflict(Exception):
    pass
