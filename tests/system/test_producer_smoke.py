# SPDX-License-Identifier: GPL-3.0-or-later
"""The producer's HTTP API on real servers: sign-in, courses, submit, show, change, cancel, live
events; and every answer is what openapi.yaml says."""
import json
import os
import re
import subprocess
import threading

import jsonschema
import pytest
import requests
import yaml

from harness import daemon, samples, wait
from harness.samples import SOURCE

PASSWORD = "correct horse"

with open(os.path.join(SOURCE, "producer", "openapi.yaml"), encoding="utf-8") as f:
    API = yaml.safe_load(f)


def resolve(node):
    while "$ref" in node:
        target = API
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def check(answer, method, path):
    """The answer is one that the description names for this route."""
    for pattern, item in API["paths"].items():
        regex = re.sub(r"\{[a-z]+\}", "[^/]+", pattern)
        if re.fullmatch(regex, path) and method.lower() in item:
            break
    else:
        assert answer.status_code in (404, 405)
        return
    described = item[method.lower()]["responses"]
    assert str(answer.status_code) in described, f"{method} {path}: {answer.status_code} {answer.text}"
    content = resolve(described[str(answer.status_code)]).get("content", {})
    kind = answer.headers.get("Content-Type", "").split(";")[0]
    assert not content or kind in content, f"{method} {path}: {kind}"
    if content and "json" in kind:
        schema = {**content[kind]["schema"], "components": API["components"]}
        jsonschema.validate(answer.json(), schema, cls=jsonschema.Draft202012Validator)


class Api:
    def __init__(self, base, token=None):
        self.base, self.token = base, token

    def call(self, method, path, body=None, headers=None, **more):
        headers = dict(headers or {})
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        answer = requests.request(method, self.base + path, json=body, headers=headers, timeout=30,
                                  **more)
        check(answer, method, path.split("?")[0])
        return answer

    def sign_in(self, username, password=PASSWORD):
        answer = self.call("POST", "/api/v1/session", {"username": username, "password": password})
        assert answer.status_code == 201, answer.text
        self.token = answer.json()["token"]
        return answer.json()


class Reader(threading.Thread):
    """An event stream, read until the producer ends it."""

    def __init__(self, api, last=None):
        super().__init__(daemon=True)
        headers = {"Authorization": f"Bearer {api.token}"}
        if last:
            headers["Last-Event-ID"] = last
        self.answer = requests.get(api.base + "/api/v1/events", stream=True, timeout=60,
                                   headers=headers)
        assert self.answer.status_code == 200
        self.events = []
        self.start()

    def run(self):
        event = {}
        try:
            for line in self.answer.iter_lines(chunk_size=1, decode_unicode=True):
                if not line and "event" in event:
                    self.events.append(event)
                    event = {}
                elif ": " in line:
                    key, value = line.split(": ", 1)
                    event[key] = json.loads(value) if key == "data" else value
        except (requests.RequestException, AttributeError, ValueError):
            pass

    def states(self, request):
        return [e["data"]["state"] for e in self.events
                if e["event"] == "request" and e["data"]["id"] == request and e["data"]["state"]]


@pytest.fixture(name="served")
def served_farm(make_farm):
    farm = make_farm()
    accounts = farm.path("accounts.json")

    def producer_sections(_name):
        return {**farm._client_sections(), "producer": {
            "metrics_listen": "localhost:0",
            "listen": "127.0.0.1:0", "accounts_file": accounts, "base_url": "http://127.0.0.1",
            "work_dir": farm.path("work", "producer"), "sweep_after": "2s",
            "catalog_timeout": "20s"}}
    farm._producer_sections = producer_sections
    config = farm.config("producer", "producer")
    config["restore"]["only_one"] = True
    path = daemon.write_configuration(farm.path("accounts.yaml"), config)
    for user, extra in (("ada", []), ("emmy", []), ("root", ["--admin"])):
        done = subprocess.run(
            [os.path.join(daemon.BUILD, "bin", "navette"), "account", "add", user, "-c", path,
             "--name", user.title(), *extra], input=PASSWORD + "\n", text=True,
            capture_output=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
    farm.daemon("producer").start()
    return farm


def test_producer_smoke(served):
    farm = served
    producer = farm.daemons[0]
    courses = [farm.remote.add(samples.make(farm.path("made.mbz"), i)) for i in range(3)]
    other = farm.remote.add(samples.make(farm.path("made.mbz"), 9), teacher="emmy")
    archiver = farm.archiver()
    ada, emmy, root = (Api(producer.url("")) for _ in range(3))

    # nobody
    assert ada.call("GET", "/api/v1/requests").status_code == 401
    assert ada.call("POST", "/api/v1/session",
                    {"username": "ada", "password": "wrong"}).status_code == 401
    assert ada.call("POST", "/api/v1/session",
                    {"username": "nobody", "password": "wrong"}).status_code == 401
    assert ada.call("POST", "/api/v1/session", {"user": "ada"}).json()["detail"].startswith("user:")
    assets = re.findall(r'"(/assets/[^"]+)"', ada.call("GET", "/").text)
    for path in ("/", *assets, "/api/v1/openapi.yaml", "/healthz", "/readyz"):
        answer = ada.call("GET", path)
        assert answer.status_code == 200
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert ada.call("GET", "/api/v1/nothing").status_code == 404
    for api, user in ((ada, "ada"), (emmy, "emmy"), (root, "root")):
        assert api.sign_in(user)["user"]["username"] == user
    assert not ada.call("GET", "/api/v1/session").json()["user"]["admin"]

    # courses
    listed = ada.call("GET", "/api/v1/courses").json()
    assert listed["sites"][0]["status"] == "ok", listed
    assert {c["course"] for c in listed["sites"][0]["courses"]} == set(courses)
    assert root.call("GET", "/api/v1/courses").json()["sites"][0]["status"] == "unknown-user"
    assert ada.call("GET", "/api/v1/courses?user=emmy").status_code == 403

    # submit
    reader = Reader(ada)
    emmys = Reader(emmy)
    wish = {"site": farm.site, "course": courses[0]}
    answer = ada.call("POST", "/api/v1/requests", {"requests": [
        wish, {"site": farm.site, "course": other}, {"site": "nowhere", "course": "1"},
        {"site": farm.site, "course": courses[1], "user_data": True}]},
        headers={"Idempotency-Key": "k1"})
    results = answer.json()["results"]
    assert [r["status"] for r in results] == [202, 403, 422, 403], results
    first = results[0]["id"]
    assert results[0]["published"]
    again = ada.call("POST", "/api/v1/requests", {"requests": [
        wish, {"site": farm.site, "course": other}, {"site": "nowhere", "course": "1"},
        {"course": courses[1], "site": farm.site, "user_data": True}]},
        headers={"Idempotency-Key": "k1"})
    assert again.json() == answer.json()
    assert ada.call("POST", "/api/v1/requests", wish,
                    headers={"Idempotency-Key": "k1"}).status_code == 422
    assert ada.call("POST", "/api/v1/requests", wish).status_code == 409
    bad = ada.call("POST", "/api/v1/requests", {"requests": [wish, {**wish, "colour": "red"}]})
    assert bad.status_code == 422 and bad.json()["detail"] == "requests[1].colour: unknown field"

    # others
    assert emmy.call("GET", f"/api/v1/requests/{first}").status_code == 404
    assert emmy.call("POST", f"/api/v1/requests/{first}/cancel").status_code == 404
    assert emmy.call("GET", "/api/v1/requests").json()["total"] == 0
    assert root.call("GET", f"/api/v1/requests/{first}").status_code == 200
    assert root.call("GET", "/api/v1/requests?state=scheduled,exporting,ready&limit=5"
                     ).json()["total"] == 1
    assert ada.call("GET", "/api/v1/requests?colour=red").status_code == 422

    # the site's news become events
    wait.until(lambda: "ready" in reader.states(first), lambda: f"events: {reader.events}", 30)
    assert reader.states(first)[0] == "scheduled"
    assert not emmys.events
    last = reader.events[0]["id"]
    caught_up = Reader(ada, last)
    wait.until(lambda: "ready" in caught_up.states(first), "what was missed", 10)
    assert ada.call("GET", f"/api/v1/requests/{first}").json()["state"] == "ready"
    site = ada.call("GET", "/api/v1/courses?refresh=true").json()["sites"][0]
    assert site["status"] == "ok", site
    holder = {c["course"]: c for c in site["courses"]}
    assert holder[courses[0]]["holder"]["mine"] and not holder[courses[0]]["available"]
    assert holder[courses[1]]["available"]

    # change, cancel, retry, run now, on one that nobody serves
    archiver.stop()
    answer = root.call("POST", "/api/v1/requests", {"site": farm.site, "course": courses[2],
                                                    "user": "ada"})
    second = answer.json()["results"][0]["id"]
    path = f"/api/v1/requests/{second}"
    assert ada.call("GET", path).json()["by"] == "root"
    assert ada.call("PATCH", path, {"category": "SCI"}).status_code == 403
    changed = root.call("PATCH", path, {"category": "SCI", "rev": 1}).json()
    assert changed["rev"] == 2 and changed["category"] == "SCI" and changed["published"]
    assert root.call("PATCH", path, {"category": None, "rev": 1}).status_code == 409
    assert ada.call("POST", path + "/run-now").status_code == 403
    assert root.call("POST", path + "/run-now").json()["now"]
    assert ada.call("POST", path + "/cancel").json()["state"] == "cancelled"
    assert ada.call("POST", path + "/retry").json()["state"] == "scheduled"
    assert ada.call("POST", path + "/enrolments").status_code == 409

    # CSRF: a cookie alone changes nothing
    browser = requests.Session()
    signed = browser.post(ada.base + "/api/v1/session", json={"username": "ada",
                                                              "password": PASSWORD})
    assert "HttpOnly" in signed.headers["Set-Cookie"]
    assert browser.get(ada.base + "/api/v1/session").status_code == 200
    token = {"X-Navette-CSRF": signed.json()["csrf"]}
    assert browser.post(ada.base + path + "/cancel").status_code == 403
    assert browser.post(ada.base + path + "/cancel", headers={
        **token, "Origin": "https://evil.example"}).status_code == 403
    assert browser.post(ada.base + path + "/cancel", headers=token).status_code == 200
    assert producer.metric("navette_refused_total", reason="csrf") == 2
    assert browser.delete(ada.base + "/api/v1/session", headers=token).status_code == 204
    assert ada.call("DELETE", "/api/v1/session").status_code == 204
    assert ada.call("GET", "/api/v1/session").status_code == 401

    # too large, too often
    big = requests.post(ada.base + "/api/v1/session", data=b"x" * (2 << 20), timeout=30)
    assert big.status_code == 413
    for _ in range(12):
        answer = emmy.call("POST", "/api/v1/session", {"username": "root", "password": "guess"})
    assert answer.status_code == 429


def test_producer_without_servers(served):
    farm = served
    producer = farm.daemons[0]
    courses = [farm.remote.add(samples.make(farm.path("made.mbz"), i)) for i in range(2)]
    ada, root = Api(producer.url("")), Api(producer.url(""))
    ada.sign_in("ada")
    root.sign_in("root")
    farm.redis.stop()
    wait.until(lambda: ada.call("GET", "/api/v1/requests").status_code == 503, "503", 20)
    assert ada.call("GET", "/api/v1/requests").headers["Retry-After"]
    assert ada.call("GET", "/readyz").status_code == 503
    farm.redis.start()
    wait.until(lambda: ada.call("GET", "/api/v1/requests").status_code == 200, "Redis is back", 30)
    # nobody is there on the course server
    sites = ada.call("GET", "/api/v1/courses").json()["sites"]
    assert sites[0]["status"] == "unreachable" and not sites[0]["courses"]
    farm.broker.kill()
    try:
        wait.until(lambda: ada.call("GET", "/readyz").status_code == 503, "broker away", 30)
        answer = root.call("POST", "/api/v1/requests",
                           {"site": farm.site, "course": courses[0], "user": "ada"})
        result = answer.json()["results"][0]
        assert result["status"] == 202 and not result["published"]
    finally:
        farm.broker.start()
    wait.until(lambda: root.call("GET", f"/api/v1/requests/{result['id']}").json()["published"],
               "the sweep has published it", 60)
    wait.until(lambda: farm.broker.depth(farm.vhost, f"archive.{farm.site}") == 1, "its message", 30)


def test_enrol_me(served):
    """A colleague who taught the course, too, joins the copy; somebody else cannot tell it is there."""
    farm = served
    course = farm.remote.add(samples.make(farm.path("made.mbz"), 1))
    farm.remote._roles.append({"user": "emmy", "role": "editingteacher", "course": int(course)})
    farm.remote._save()
    private = farm.remote.add(samples.make(farm.path("made.mbz"), 2))
    farm.archiver()
    farm.worker()
    ada, emmy = Api(farm.daemons[0].url("")), Api(farm.daemons[0].url(""))
    ada.sign_in("ada")
    emmy.sign_in("emmy")
    ids = [ada.call("POST", "/api/v1/requests", {"site": farm.site, "course": c}
                    ).json()["results"][0]["id"] for c in (course, private)]
    for i in ids:
        wait.until(lambda i=i: ada.call("GET", f"/api/v1/requests/{i}").json()["state"] == "restored",
                   "restored", 60)
    restored = ada.call("GET", f"/api/v1/requests/{ids[0]}").json()["restored"]
    assert restored["course"] and not restored["deleted"]
    holder = emmy.call("GET", "/api/v1/courses").json()["sites"][0]["courses"][0]["holder"]
    assert holder["id"] == ids[0] and holder["can_join"] and not holder["mine"]
    assert holder["user_name"] == "Ada"
    assert emmy.call("POST", f"/api/v1/requests/{ids[1]}/enrolments").status_code == 404
    assert emmy.call("POST", f"/api/v1/requests/{ids[0]}/enrolments").json()["state"] == "pending"
    wait.until(lambda: emmy.call("POST", f"/api/v1/requests/{ids[0]}/enrolments"
                                 ).json()["state"] == "joined", "joined", 30)
    assert ada.call("GET", f"/api/v1/requests/{ids[0]}").json()["joined"] == ["emmy"]


def test_a_start_that_fails_ends(served):
    """An address that is taken: one line, status 1, nothing left running."""
    farm = served
    taken = farm.daemons[0].url("").removeprefix("http://")
    config = farm.config("producer", "second")
    config["producer"]["listen"] = taken
    path = daemon.write_configuration(farm.path("second.yaml"), config)
    done = subprocess.run([os.path.join(daemon.BUILD, "bin", "navette-producer"), "-c", path],
                          env={**os.environ, **daemon.SANITIZERS}, capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert f"listen on {taken}" in done.stderr


def test_a_stop_with_answers_in_flight(served):
    """Who waits is told, nothing is used after it was freed, and it does not take long."""
    farm = served
    producer = farm.daemons[0]
    course = farm.remote.add(samples.make(farm.path("made.mbz"), 1))
    ada = Api(producer.url(""))
    ada.sign_in("ada")
    Reader(ada)
    answers = []

    def ask(*args):
        try:
            answers.append(ada.call(*args).status_code)
        except requests.RequestException as e:
            answers.append(type(e).__name__)
    asked = [("GET", "/api/v1/courses"),
             ("POST", "/api/v1/requests", {"site": farm.site, "course": course})]
    asked += [("POST", "/api/v1/session", {"username": u, "password": PASSWORD})
              for u in ("ada", "emmy", "root", "x", "y", "z")]
    threads = [threading.Thread(target=ask, args=a) for a in asked]
    for t in threads:
        t.start()
    wait.until(lambda: farm.broker.depth(farm.vhost, f"catalog.{farm.site}"), "the question", 30)
    producer.stop(timeout=20)
    for t in threads:
        t.join(30)
    assert len(answers) == len(asked) and answers.count(503) >= 2, answers
