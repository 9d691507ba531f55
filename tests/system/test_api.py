# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP API is what producer/openapi.yaml says: the description is a valid one (against OpenAPI's
own meta-schema: tests/openapi/check; here what that leaves open), and every answer here, good or bad,
of every route, is as it describes."""
import http.client
import json
import re
import urllib.parse

import pytest
import requests

from harness import samples, wait, window
from harness.description import METHODS, Description, Validator, described

# OpenAPI 3.1.0: the fields an object may have, and (second) those it must have.
OBJECTS = {
    "root": ({"openapi", "info", "jsonSchemaDialect", "servers", "paths", "webhooks", "components",
              "security", "tags", "externalDocs"}, {"openapi", "info"}),
    "info": ({"title", "summary", "description", "termsOfService", "contact", "license", "version"},
             {"title", "version"}),
    "license": ({"name", "identifier", "url"}, {"name"}),
    "components": ({"schemas", "responses", "parameters", "examples", "requestBodies", "headers",
                    "securitySchemes", "links", "callbacks", "pathItems"}, set()),
    "path": ({"summary", "description", "servers", "parameters", *METHODS}, set()),
    "operation": ({"tags", "summary", "description", "externalDocs", "operationId", "parameters",
                   "requestBody", "responses", "callbacks", "deprecated", "security", "servers"},
                  {"responses"}),
    "parameter": ({"name", "in", "description", "required", "deprecated", "schema", "style",
                   "explode", "example", "examples", "content"}, {"name", "in"}),
    "body": ({"description", "content", "required"}, {"content"}),
    "response": ({"description", "headers", "content", "links"}, {"description"}),
    "header": ({"description", "required", "deprecated", "schema", "example"}, set()),
    "media": ({"schema", "example", "examples", "encoding"}, set()),
    "security": ({"type", "description", "name", "in", "scheme", "bearerFormat", "flows"}, {"type"}),
}


# Served and checked in test_admin_api.py; the last in test_download.py.
ELSEWHERE = {("get", "/api/v1/sites"), ("get", "/api/v1/workers"), ("get", "/api/v1/queues"),
             ("get", "/api/v1/dead"), ("delete", "/api/v1/dead/{letter}"),
             ("post", "/api/v1/dead/{letter}/requeue"), ("get", "/api/v1/stats/steps"),
             ("post", "/api/v1/requests/check"), ("get", "/api/v1/requests/{id}/archive")}


def is_object(kind, node, where):
    may, must = OBJECTS[kind]
    assert isinstance(node, dict), where
    assert node.keys() <= may, f"{where}: {sorted(node.keys() - may)}"
    assert must <= node.keys(), f"{where}: no {sorted(must - node.keys())}"


def refs(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from refs(value)


def test_the_description_is_a_valid_one():
    d = Description()
    api = d.api
    is_object("root", api, "the document")
    assert re.fullmatch(r"3\.1\.\d+", api["openapi"])
    is_object("info", api["info"], "info")
    is_object("license", api["info"]["license"], "license")
    assert len({"identifier", "url"} & api["info"]["license"].keys()) <= 1
    is_object("components", api["components"], "components")
    for ref in set(refs(api)):
        assert ref.startswith("#/components/"), ref
        assert d.resolve({"$ref": ref}) is not None, ref
    named = set(refs(api))
    for part in ("schemas", "responses", "parameters"):
        for name in api["components"][part]:
            assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
            if (part, name) != ("schemas", "Event"):  # spoken of in a text: events are no JSON body
                assert f"#/components/{part}/{name}" in named, f"{part}/{name} is used nowhere"
    for name, schema in api["components"]["schemas"].items():
        Validator.check_schema(schema)
        assert name
    for name, scheme in api["components"]["securitySchemes"].items():
        is_object("security", scheme, name)
    operations, seen = list(d.operations()), set()
    assert len(operations) > 15
    for path, method, item, operation in operations:
        where = f"{method} {path}"
        is_object("path", item, where)
        is_object("operation", operation, where)
        assert operation["operationId"] not in seen, operation["operationId"]
        # An alias of YAML shares its answers, never its name.
        seen.add(operation["operationId"])
        parameters = [d.resolve(p) for p in item.get("parameters", []) +
                      operation.get("parameters", [])]
        for p in parameters:
            is_object("parameter", p, where)
            assert p["in"] in ("query", "header", "path", "cookie"), where
            assert p["in"] != "path" or p.get("required") is True, where
            Validator.check_schema(p["schema"])
        in_path = set(re.findall(r"\{(\w+)\}", path))
        assert in_path == {p["name"] for p in parameters if p["in"] == "path"}, where
        if "requestBody" in operation:
            is_object("body", operation["requestBody"], where)
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d", status), f"{where}: {status!r} is no text of a status"
            response = d.resolve(response)
            is_object("response", response, where)
            for header in response.get("headers", {}).values():
                is_object("header", header, where)
            for kind, media in response.get("content", {}).items():
                assert "/" in kind
                is_object("media", media, where)
                Validator.check_schema(media["schema"])
        for need in operation.get("security", api["security"]):
            assert need.keys() <= api["components"]["securitySchemes"].keys(), where


@pytest.fixture
def town(make_farm):
    """A farm with one of each, and ada, emmy and root, whose answers are all checked."""
    farm = make_farm()
    farm.description = Description()
    farm.producer()
    farm.people = [described(farm.person(u), farm.description) for u in ("ada", "emmy", "root")]
    return farm


def plain(farm, method, path, **more):
    answer = requests.request(method, farm.roles("producer")[0].url(path), timeout=20, **more)
    farm.description.check(method, path, answer)
    return answer


def made(farm, n, teacher="ada"):
    return farm.remote.add(samples.make(farm.path("made.mbz"), n, 1), teacher)


def test_measurements_are_not_told_where_people_come_unless_somebody_wants_it(make_farm):
    farm = make_farm()
    server = farm.daemon("producer")
    with_port = server.config["producer"]

    def configured(**changes):
        server.configure({**server.config, "producer": {
            **{k: v for k, v in with_port.items() if k != "metrics_listen"}, **changes}})
        server.start()
        return requests.get(server.url("/metrics"), timeout=20)

    answer = configured()  # as it was before there was such a key
    assert answer.status_code == 404 and "producer.metrics_listen" in answer.json()["detail"]
    assert "navette_" not in answer.text
    for path in ("/healthz", "/readyz"):
        assert requests.get(server.url(path), timeout=20).status_code == 200
    assert requests.get(server.url("/metrics"), timeout=20).status_code == 404
    (told,) = server.events("metrics.elsewhere")
    assert "producer.metrics_listen" in told["hint"] and not server.events("monitor.listening")
    server.stop()
    assert configured(metrics_listen="localhost:0").status_code == 404
    told = requests.get(server.monitor_url("/metrics"), timeout=20)
    assert told.status_code == 200 and "navette_http_requests_total" in told.text
    assert requests.get(server.monitor_url("/api/v1/session"), timeout=20).status_code == 404
    server.stop()
    told = configured(metrics_listen=with_port["listen"])
    assert told.status_code == 200 and "navette_http_requests_total" in told.text


def test_every_answer_is_as_described(town):
    ada, emmy, root = town.people
    courses = [made(town, n) for n in (1, 2, 3, 4)]
    archiver = town.archiver()
    # What needs nobody to be signed in.
    assets = re.findall(r'"(/assets/[^"]+)"', plain(town, "GET", "/").text)
    assert len(assets) >= 3
    for path in ("/", *assets, "/healthz", "/readyz", "/api/v1/openapi.yaml"):
        assert plain(town, "GET", path).status_code == 200
    assert plain(town, "GET", "/metrics").status_code == 404
    # Nobody, everywhere.
    for path, method, _, operation in town.description.operations():
        if operation.get("security") != []:
            one = path.replace("{id}", "01a20479-65f4-7708-81db-6a6aba136e37")
            assert plain(town, method.upper(), one).status_code == 401, path
    # Signing in.
    session = {"username": "ada", "password": ada.password}
    assert plain(town, "POST", "/api/v1/session", json=session).status_code == 201
    for body, status in ((b"{", 400), (b"[]", 422), (b'{"username":"ada"}', 422),
                         (b'{"username":"ada","password":"x","more":1}', 422),
                         (b'{"username":1,"password":"x"}', 422),
                         (b'{"username":"ada","password":"wrong"}', 401)):
        answer = plain(town, "POST", "/api/v1/session", data=body,
                       headers={"Content-Type": "application/json"})
        assert answer.status_code == status, (body, answer.text)
    assert plain(town, "POST", "/api/v1/session", data=b"{}",
                 headers={"Content-Type": "text/plain"}).status_code == 415
    assert plain(town, "POST", "/api/v1/session", data=b"x" * (2 << 20),
                 headers={"Content-Type": "application/json"}).status_code == 413
    # Courses and requests, by whom it concerns and by others.
    assert ada.get("/session")["user"]["username"] == "ada"
    assert {c["course"] for c in ada.get("/courses")["sites"][0]["courses"]} == set(courses)
    assert ada.get("/requests")["total"] == 0
    assert ada.call("GET", "/courses?user=emmy").status_code == 403
    assert ada.call("GET", "/courses?colour=red").status_code == 422
    first = ada.submit(town.site, courses[0])
    for body, status in (({"site": town.site, "course": courses[0]}, 409),
                         ({"site": town.site, "course": "99"}, 403),
                         ({"site": "nowhere", "course": "1"}, 422),
                         ({"site": town.site}, 422), ({"requests": []}, 422),
                         ({"site": town.site, "course": courses[1], "user": "emmy"}, 403)):
        answer = ada.call("POST", "/requests", json=body)
        assert answer.status_code == status, (body, answer.text)
    many = ada.call("POST", "/requests", json={"requests": [
        {"site": town.site, "course": courses[1]}, {"site": town.site, "course": "99"}]})
    assert many.status_code == 202
    assert [r["status"] for r in many.json()["results"]] == [202, 403]
    one = f"/requests/{first}"
    assert ada.call("GET", one).status_code == 200
    for method, path in (("GET", one), ("PATCH", one), ("POST", one + "/cancel"),
                         ("POST", one + "/retry")):
        more = {"json": {"user_data": False}} if method == "PATCH" else {}
        assert emmy.call(method, path, **more).status_code == 404, (method, path)
    assert ada.call("POST", one + "/run-now").status_code == 403
    assert ada.call("GET", one + "/log").status_code == 403
    assert emmy.call("POST", one + "/enrolments").status_code == 404
    assert ada.call("PATCH", one, json={"colour": "red"}).status_code == 422
    assert ada.call("PATCH", one, json={}).status_code == 422
    assert ada.call("GET", "/requests/nonsense").status_code in (404, 422)
    assert ada.call("DELETE", one).status_code == 405
    assert ada.call("GET", "/nothing").status_code == 404
    town.worker()
    town.wait_state(first, "restored")
    assert ada.call("POST", one + "/cancel").status_code == 409
    assert ada.call("POST", one + "/retry").status_code == 409
    assert ada.get(one)["restored"]["course"] == first
    assert root.get(one + "/log")["lines"]
    # One that nobody serves, changed and withdrawn.
    archiver.stop()
    waiting = root.submit(town.site, courses[2], user="ada")
    one = f"/requests/{waiting}"
    assert root.patch(one, {"category": "SCI", "rev": 1})["rev"] == 2
    assert root.call("PATCH", one, json={"category": None, "rev": 1}).status_code == 409
    assert root.post(one + "/run-now")["now"]
    assert ada.post(one + "/cancel")["state"] == "cancelled"
    assert ada.post(one + "/retry")["state"] == "scheduled"
    assert root.post("/requests/republish") == {"requests": 1}
    site = ada.get("/courses?refresh=true")["sites"][0]
    assert site["status"] in ("unreachable", "ok")
    assert ada.call("DELETE", "/users/emmy").status_code == 403
    assert root.call("DELETE", "/users/emmy?dry_run=2").status_code == 422
    assert root.call("DELETE", "/users/emmy?dry_run=true").json()["removed"] == 0
    # The end.
    assert emmy.call("DELETE", "/session").status_code == 204
    # Redis away: later, everywhere.
    town.redis.stop()
    wait.until(lambda: plain(town, "GET", "/readyz").status_code == 503, "not ready", 20)
    headers = {"Authorization": f"Bearer {ada.token}"}
    for path, method, _, operation in town.description.operations():
        if operation.get("security") != [] and path != "/api/v1/events":
            answer = plain(town, method.upper(), path.replace("{id}", first), headers=headers,
                           **({"json": {"user_data": False}} if method == "patch" else {}))
            assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0, path
    town.redis.start()
    seen = {(m, p) for m, p, s in town.description.seen if s < 300}
    missing = {(m, p) for p, m, _, _ in town.description.operations()} - seen
    assert missing <= {("get", "/api/v1/events"), ("post", "/api/v1/requests/{id}/enrolments"),
                       ("get", "/launch"), ("post", "/launch"), ("get", "/metrics"), *ELSEWHERE}


def test_the_same_key_makes_the_same_requests(town):
    ada, emmy, _ = town.people
    courses = [made(town, n) for n in (1, 2)]
    made(town, 3, "emmy")
    town.archiver()
    body = {"requests": [{"site": town.site, "course": c} for c in courses]}
    key = {"Idempotency-Key": "a key of mine"}
    first = ada.call("POST", "/requests", json=body, headers=key)
    assert first.status_code == 202
    for _ in range(3):
        assert ada.call("POST", "/requests", json=body, headers=dict(key)).json() == first.json()
    # Another body under it; the same key of somebody else; no key.
    other = {"site": town.site, "course": courses[0]}
    assert ada.call("POST", "/requests", json=other, headers=dict(key)).status_code == 422
    assert emmy.call("POST", "/requests", json={"site": town.site, "course": "3"},
                     headers=dict(key)).status_code == 202
    assert ada.call("POST", "/requests", json=other).status_code == 409
    assert ada.get("/requests")["total"] == 2
    assert ada.call("POST", "/requests", json=other,
                    headers={"Idempotency-Key": "x" * 201}).status_code == 422
    # A refusal for now is not kept: asked again, it is served.
    town.redis.stop()
    assert wait.until(lambda: ada_503(town, ada), "503", 20)
    town.redis.start()
    wait.until(lambda: plain(town, "GET", "/readyz").status_code == 200, "ready again", 20)


def test_who_waits_is_told_the_place_in_the_queue(town):
    ada, emmy, root = town.people
    courses = [made(town, n) for n in (1, 2)]
    made(town, 3, "emmy")
    archiver = town.archiver()
    archiver.reconfigure("archiver", **window.closed())  # it tells its courses all the same
    first, second = (ada.submit(town.site, c) for c in courses)
    third = emmy.submit(town.site, "3")

    def places(person):
        """By the list; each request by itself says the same."""
        listed = {r["id"]: r["place"] for r in person.get("/requests")["requests"]}
        assert listed == {i: person.request(i)["place"] for i in listed}
        return listed
    assert places(ada) == {first: 1, second: 2}
    assert places(emmy) == {third: 3}, "others' requests count"
    root.cancel(first)
    assert places(root) == {first: None, second: 1, third: 2}
    archiver.reconfigure("archiver", **window.opened())
    town.wait_state(second, "exporting", "ready")
    assert ada.request(second)["place"] is None


def ada_503(town, ada):
    answer = plain(town, "GET", "/api/v1/requests",
                   headers={"Authorization": f"Bearer {ada.token}"})
    return answer.status_code == 503


def test_pages_of_a_list_hold_each_request_once(town):
    ada, _, root = town.people
    courses = [made(town, n) for n in range(1, 8)]
    town.archiver().stop()
    ids = [root.submit(town.site, c, user="ada") for c in courses]
    pages = [ada.get(f"/requests?offset={n}&limit=3") for n in (0, 3, 6, 9)]
    assert [len(p["requests"]) for p in pages] == [3, 3, 1, 0]
    assert all(p["total"] == 7 and p["limit"] == 3 for p in pages)
    assert [r["id"] for p in pages for r in p["requests"]] == ids[::-1]
    ada.post(f"/requests/{ids[0]}/cancel")
    for query, count in (("state=cancelled", 1), ("state=scheduled", 6),
                         ("state=cancelled,scheduled", 7),
                         (f"site={town.site}&course={courses[2]}", 1),
                         (f"site={town.site}", 7), ("site=nowhere", 0)):
        assert ada.get(f"/requests?{query}")["total"] == count, query
    for query in ("limit=0", "limit=1001", "offset=-1", "limit=x", "state=nonsense",
                  "site=Not+A+Name", "course=1"):
        assert ada.call("GET", f"/requests?{query}").status_code == 422, query


class Stream:
    """The raw stream of events, from a cursor."""

    def __init__(self, api, last=None):
        url = urllib.parse.urlsplit(api.base())
        self.connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
        self.connection.request("GET", "/api/v1/events", headers={
            "Authorization": f"Bearer {api.token}", **({"Last-Event-ID": last} if last else {})})
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200
        assert self.answer.headers["Content-Type"].startswith("text/event-stream")

    def next(self):
        """(id, name, data)"""
        event = {}
        while True:
            line = self.answer.readline().decode()
            assert line, "the stream ended"
            key, _, value = line.rstrip("\n").partition(": ")
            if key and value:
                event[key] = value
            elif not line.strip() and "event" in event:
                return event.get("id"), event["event"], json.loads(event.get("data", "null"))

    def until(self, state):
        found = []
        while not found or found[-1][2].get("state") != state:
            found.append(self.next())
        return found

    def close(self):
        self.connection.close()


def test_a_reader_that_comes_back_misses_nothing(town):
    ada, emmy, _ = town.people
    course = made(town, 1)
    archiver = town.archiver()
    town.worker()
    ada.get("/session"), emmy.get("/session")
    before, others = Stream(ada), Stream(emmy)
    request = ada.submit(town.site, course)
    whole = before.until("restored")
    before.close()
    schema = town.description.api["components"]["schemas"]["Event"]
    for cursor, name, data in whole:
        assert name in ("request", "catalog", "join") and cursor
        if name == "request":
            town.description.validate(schema, data)
            assert data["id"] == request and data["user"] == "ada"
    assert len({cursor for cursor, _, _ in whole}) == len(whole)
    # From each place on, exactly the rest; also from another producer process.
    town.roles("producer")[0].stop()
    town.roles("producer")[0].start()
    for n, (cursor, _, _) in enumerate(whole[:-1]):
        again = Stream(ada, cursor)
        assert again.until("restored") == whole[n + 1:]
        again.close()
    # A place that is too long ago, or never was: read the list anew.
    for cursor in ("0-1", "nonsense"):
        lost = Stream(ada, cursor)
        assert lost.next()[1] == "reset", cursor
        lost.close()
    # Emmy was told nothing of it.
    private = Stream(emmy, whole[0][0])
    mine = made(town, 2, "emmy")
    own = emmy.submit(town.site, mine)
    assert {data["id"] for _, name, data in private.until("restored") if name == "request"} == {own}
    private.close()
    others.close()
    assert archiver.running()
