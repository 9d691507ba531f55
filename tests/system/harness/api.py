# SPDX-License-Identifier: GPL-3.0-or-later
"""The producer's HTTP API (producer/openapi.yaml), as a program of somebody's would use it."""
import http.client
import json
import socket
import threading

import nacl.pwhash
import requests

PASSWORD = "correct horse battery"
# user name → what the account has besides
PEOPLE = {"ada": {"capabilities": ["can_restore_user_datas"], "mail": "ada@example.org",
                  "name": "Ada L.", "lang": "en"},
          "emmy": {"capabilities": ["can_restore_user_datas"], "name": "Emmy N."},
          "root": {"admin": True, "capabilities": []}}


def write_accounts(path):
    """The cheapest argon2id there is: each sign-in computes it once more."""
    kdf = nacl.pwhash.argon2id
    hashed = kdf.str(PASSWORD.encode(), kdf.OPSLIMIT_MIN, kdf.MEMLIMIT_MIN).decode()
    accounts = [{"username": name, **more, "password": hashed} for name, more in PEOPLE.items()]
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"accounts": accounts}, f)
    return path


class Api:
    """Somebody signed in. base: a function, since a restarted producer has another port."""

    def __init__(self, base, user, password=PASSWORD):
        self.base, self.user, self.password = base, user, password
        self.token = None

    def sign_in_answer(self):
        return requests.post(self.base() + "/api/v1/session", timeout=20,
                             json={"username": self.user, "password": self.password})

    def sign_in(self):
        session = self._good(self.sign_in_answer())
        self.token = session["token"]
        return session

    def call(self, method, path, **more):
        """The answer, whatever it is. Signs in when nobody is, or when Redis forgot the session."""
        if self.token is None:
            self.sign_in()
        for _ in range(2):
            r = requests.request(method, self.base() + "/api/v1" + path, timeout=30,
                                 headers={"Authorization": f"Bearer {self.token}",
                                          **more.pop("headers", {})}, **more)
            if r.status_code != 401:
                break
            self.sign_in()
        return r

    def get(self, path):
        return self._good(self.call("GET", path))

    def post(self, path, body=None, **more):
        return self._good(self.call("POST", path, json=body, **more))

    def patch(self, path, body):
        return self._good(self.call("PATCH", path, json=body))

    @staticmethod
    def _good(r):
        assert r.ok, f"{r.request.method} {r.url}: {r.status_code} {r.text}"
        return r.json()

    # --- what people do ---

    def submit(self, site, course, key=None, **options):
        """The new request's id. With a key the same may be asked again."""
        return self.post("/requests", {"site": site, "course": str(course), **options},
                         headers={"Idempotency-Key": key} if key else {})["results"][0]["id"]

    def request(self, request):
        return self.get(f"/requests/{request}")

    def cancel(self, request):
        return self.post(f"/requests/{request}/cancel")

    def follow(self):
        return Follower(self)


class Follower:
    """A reader of the live events, on a thread; ends with stop()."""

    def __init__(self, api):
        api.get("/session")  # so that a session that was forgotten is noticed here
        self.events = []  # (name, data)
        connection = http.client.HTTPConnection(api.base().removeprefix("http://"), timeout=60)
        connection.request("GET", "/api/v1/events",
                           headers={"Authorization": f"Bearer {api.token}"})
        self._socket = connection.sock
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        self._thread = threading.Thread(target=self._read, args=(answer,), daemon=True)
        self._thread.start()

    def _read(self, answer):
        event = {}
        try:
            for line in map(bytes.decode, answer):
                key, _, value = line.rstrip("\n").partition(": ")
                if value and key:
                    event[key] = value
                elif not line.strip() and "data" in event:
                    self.events.append((event.get("event"), json.loads(event["data"])))
                    event = {}
        except (OSError, http.client.HTTPException):
            pass  # stopped

    def states(self, request):
        """The states that were told of this request, in order."""
        return [data["state"] for name, data in list(self.events)
                if name == "request" and data["id"] == request and data.get("state")]

    def stop(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._socket.close()
