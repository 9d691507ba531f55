# SPDX-License-Identifier: GPL-3.0-or-later
"""The API below the administrator's pages: every answer is as described, says what is so, and no
teacher gets one."""
import concurrent.futures
import contextlib
import datetime
import os
import socket
import threading

import pytest
import requests

from harness import keys, samples, wait
from harness.description import Description, described
from harness.sites import VERSION

HOST = socket.gethostname()
NOBODY = "01a20479-65f4-7708-81db-6a6aba136e37"
LETTER = "0" * 32


def set_broker(d, **changes):
    d.configure({**d.config, "broker": {**d.config["broker"], **changes}})


def monitored(farm):
    """A producer that asks the management interface as a user who may only look."""
    user = f"monitor-{farm.vhost}"
    farm.broker.call("PUT", "users", user, body={"password": "looking", "tags": "monitoring"})
    farm.broker.call("PUT", "permissions", farm.vhost, user,
                     body={"configure": "^$", "write": "^$", "read": "^$"})
    d = farm.daemon("producer")
    set_broker(d, management_url=f"http://{user}@127.0.0.1:{farm.broker.management}",
               management_password_file=keys.write_secret(farm.path("monitor.password"), "looking"))
    return d.start()


def people(farm):
    farm.description = Description()
    return [described(farm.person(u), farm.description) for u in ("ada", "emmy", "root")]


@pytest.fixture
def town(make_farm):
    farm = make_farm(producer={"catalog_ttl": "1h"})
    monitored(farm)
    farm.people = people(farm)
    return farm


def made(farm, n, teacher="ada"):
    return farm.remote.add(samples.make(farm.path("made.mbz"), n, 1), teacher)


def known(town, *whose):
    """Their courses are known, and nobody exports any."""
    archiver = town.archiver()
    for who in whose:
        assert who.get("/courses")["sites"][0]["status"] == "ok"
    archiver.stop()
    return archiver


def eventually(ask, good, what, timeout=30):
    """What ask() tells, once good says so."""
    answers = []

    def look():
        answers.append(ask())
        return good(answers[-1])
    wait.until(look, lambda: f"{what}: {answers[-1]}", timeout, 0.2)
    return answers[-1]


ADMINS = [("GET", "/sites"), ("GET", "/workers"), ("GET", "/queues"), ("GET", "/dead"),
          ("POST", f"/dead/{LETTER}/requeue"), ("DELETE", f"/dead/{LETTER}"),
          ("GET", "/stats/steps"), ("POST", "/requests/check")]


def test_a_teacher_is_refused_everywhere(town):
    ada, _, root = town.people
    producer = town.roles("producer")[0]
    ada.get("/session")
    before = producer.metric("navette_refused_total", reason="rights") or 0
    for method, path in ADMINS:
        answer = ada.call(method, path)
        assert answer.status_code == 403, (path, answer.text)
        assert requests.request(method, producer.url("/api/v1" + path),
                                timeout=20).status_code == 401
    assert producer.metric("navette_refused_total", reason="rights") == before + len(ADMINS)
    refused = [e for e in producer.events("api.refused") if e.get("user") == "ada"]
    assert {e["path"] for e in refused} == {"/api/v1" + path for _, path in ADMINS}
    # And the one who may gets an answer from each.
    for method, path in ADMINS:
        assert root.call(method, path).status_code in (200, 404, 415), path


def test_requests_are_found_and_sorted(town):
    ada, emmy, root = town.people
    courses = [made(town, n) for n in (1, 2, 3)]
    other = made(town, 4, "emmy")
    known(town, ada, emmy)
    ids = [ada.submit(town.site, c) for c in courses] + [emmy.submit(town.site, other)]

    def found(who, query):
        return [r["id"] for r in who.get(f"/requests?{query}")["requests"]]
    assert found(root, "person=EMMY+n") == [ids[3]]
    assert found(root, "person=da") == ids[2::-1]
    assert found(root, f"text={ids[1]}") == [ids[1]]
    name = root.request(ids[2])["fullname"]
    assert ids[2] in found(root, f"text={requests.utils.quote(name.upper())}")
    assert found(root, "text=no+such+course") == []
    assert found(root, "sort=created") == ids
    assert found(root, "sort=-created&limit=2") == ids[:1:-1]
    assert found(root, "sort=user")[-1] == ids[3], "Ada before Emmy"
    assert found(root, "sort=-user")[0] == ids[3]
    root.patch(f"/requests/{ids[1]}", {"category": "science"})
    assert found(root, "sort=-modified")[0] == ids[1]
    names = [r["fullname"] or r["course"] for r in root.get("/requests?sort=course")["requests"]]
    assert names == sorted(names, key=str.lower)
    # A teacher sorts and finds among her own.
    assert found(ada, "sort=created&text=a") == [i for i in ids[:3] if i in found(ada, "text=a")]
    assert found(ada, "person=emmy") == []
    for query in ("sort=colour", "text=", "person=", "text=" + "x" * 256):
        assert root.call("GET", f"/requests?{query}").status_code == 422, query


def test_an_administrator_mends_a_request(town):
    ada, emmy, root = town.people
    course = made(town, 1)
    archiver = known(town, ada)
    request = ada.submit(town.site, course)
    path = f"/requests/{request}"
    assert root.patch(path, {"category": "science", "user_data": True, "enrolment": "with-users"})
    now = root.request(request)
    assert (now["category"], now["user_data"], now["enrolment"], now["rev"]) == \
        ("science", True, "with-users", 2)
    assert ada.call("PATCH", path, json={"category": "arts"}).status_code == 403
    assert emmy.call("PATCH", path, json={"state": "cancelled"}).status_code == 404
    for body, status in (({"state": "restored"}, 422), ({"state": "failed"}, 422),
                         ({"state": "cancelled", "user_data": False}, 422),
                         ({"state": "cancelled", "rev": 1}, 409), ({"rev": 2}, 422)):
        assert root.call("PATCH", path, json=body).status_code == status, body
    assert root.patch(path, {"state": "cancelled", "rev": 2})["state"] == "cancelled"
    assert root.call("PATCH", path, json={"user_data": False}).status_code == 409
    # Asked for again, otherwise.
    again = root.patch(path, {"state": "scheduled", "category": None, "user_data": False,
                              "enrolment": "manual"})
    assert (again["state"], again["rev"], again["category"], again["user_data"]) == \
        ("scheduled", 3, None, False)
    archiver.start()
    town.worker()
    town.wait_state(request, "restored")
    assert root.call("PATCH", path, json={"state": "scheduled"}).status_code == 409


def site_of(town):
    return town.people[2].get("/sites")["sites"][0]


def test_sites_tell_what_is_known_of_them(town):
    ada, _, root = town.people
    course = made(town, 1)
    site = site_of(town)
    assert (site["site"], site["last_seen"], site["last_answer"]) == (town.site, None, None)
    assert eventually(lambda: site_of(town), lambda s: s["up"] is False, "known to be down")
    archiver = town.archiver()
    ada.get("/courses")
    site = eventually(lambda: site_of(town), lambda s: s["up"] and s["open"], "up")
    assert site["last_answer"]["status"] == "ok" and site["last_seen"]
    assert site["moodle_version"] == VERSION
    archiver.stop()
    root.submit(town.site, course)
    assert site_of(town)["requests"]["scheduled"] == 1
    eventually(lambda: site_of(town), lambda s: s["up"] is False, "down again")


def test_workers_and_archivers_show_what_they_do(town):
    _, _, root = town.people
    assert root.get("/workers")["workers"] == []
    worker = town.worker()
    mine = eventually(lambda: root.get("/workers")["workers"], bool, "a worker")[0]
    assert (mine["role"], mine["owner"], mine["host"], mine["pids"], mine["alive"]) == \
        ("worker", town.client, HOST, [worker.child.pid], True)
    assert mine["jobs"] == [] and mine["heartbeat"] >= mine["since"]
    archiver = town.archiver()
    both = eventually(lambda: root.get("/workers")["workers"],
                      lambda w: len(w) == 2 and w[1]["pids"], "an archiver")
    assert (both[1]["role"], both[1]["owner"], both[1]["host"], both[1]["alive"]) == \
        ("archiver", town.site, HOST, True)
    assert both[1]["pids"] == [archiver.child.pid]
    assert both[1]["heartbeat"] is None, "it has said nothing yet"
    request = root.submit(town.site, made(town, 1))
    town.wait_state(request, "restored")
    both = eventually(lambda: root.get("/workers")["workers"],
                      lambda w: w[1]["heartbeat"], "its event")
    worker.stop()
    assert [w["role"] for w in root.get("/workers")["workers"]] == ["archiver"]


def test_queues_are_as_the_broker_says(town):
    _, _, root = town.people

    def queue(name):
        return next(q for q in root.get("/queues")["queues"] if q["queue"] == name)
    archive = f"archive.{town.site}"
    eventually(lambda: queue(archive), lambda q: q["exists"] and not q["consumers"], "the queue")
    for n in (1, 2):
        root.submit(town.site, made(town, n))
    waiting = eventually(lambda: queue(archive), lambda q: q["ready"] == 2, "two wait")
    assert waiting["unacknowledged"] == 0 and waiting["owner"] == town.site
    names = {q["queue"] for q in root.get("/queues")["queues"]}
    assert {f"restore.{town.client}", f"events.{town.client}", f"dead.{town.client}", archive,
            f"dead.{town.site}"} <= names
    town.archiver()
    town.worker()
    eventually(lambda: queue(archive), lambda q: q["consumers"] == 1 and q["ready"] == 0, "served")


def test_without_the_management_interface_the_rest_is_told(make_farm):
    farm = make_farm()
    farm.producer()
    _, _, root = people(farm)
    answer = root.call("GET", "/queues")
    assert answer.status_code == 501 and "management_url" in answer.json()["detail"]
    sites = root.get("/sites")
    assert sites["broker_seen"] is False and sites["sites"][0]["up"] is None
    assert root.get("/workers") == {"workers": [], "broker_seen": False}


def test_a_management_interface_that_is_away_is_a_clear_problem(make_farm):
    farm = make_farm()
    d = farm.daemon("producer")
    with socket.socket() as s:  # nobody listens here
        s.bind(("127.0.0.1", 0))
        set_broker(d, management_url=f"http://m@127.0.0.1:{s.getsockname()[1]}")
        d.start()
        _, _, root = people(farm)
        answer = root.call("GET", "/queues")
        assert answer.status_code == 503 and answer.json()["reason"] == "broker_unavailable"
        assert "127.0.0.1" in answer.json()["detail"] and "Retry-After" in answer.headers
        assert root.get("/sites")["broker_seen"] is False
    # Or the password is wrong: that is ours to mend, not a right that the asker lacks.
    d.stop()
    set_broker(d, management_url=f"http://guest@127.0.0.1:{farm.broker.management}",
               management_password_file=keys.write_secret(farm.path("wrong"), "no"))
    d.start()
    answer = root.call("GET", "/queues")
    assert answer.status_code == 503 and "401" in answer.json()["detail"]


def test_a_management_interface_that_never_answers_outlives_no_producer(make_farm):
    """Who asked has been answered for by then, when what they asked comes to its end."""
    farm = make_farm()
    d = farm.daemon("producer")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(8)
        s.settimeout(30)
        set_broker(d, management_url=f"http://m@127.0.0.1:{s.getsockname()[1]}", timeout="8s")
        d.start()
        root = farm.person("root")
        root.get("/session")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(root.call, "GET", "/workers")
            with s.accept()[0]:
                d.stop()
                assert asked.result().status_code == 503
    assert not d.broken(), d.tail()


def test_dead_letters_are_shown_requeued_and_discarded(town):
    _, _, root = town.people
    assert root.get("/dead") == {"letters": [], "more": False}
    # A request that fails for good once: its archive.ready ends in the client's dead queue.
    queue = f"restore.{town.client}"
    town.publish(queue, b"nonsense", exchange=f"self.{town.client}")
    course = made(town, 1)
    town.archiver()
    request = root.submit(town.site, course, category="x" * 200)
    wait.until(lambda: town.broker.depth(town.vhost, queue) == 2, "archive.ready", 60)
    worker = town.worker()
    town.wait_state(request, "restored", "failed")
    letters = eventually(lambda: root.get("/dead")["letters"], lambda x: len(x) >= 1, "a letter")
    bad = next(x for x in letters if x["kind"] is None)
    assert (bad["reason"], bad["queue"], bad["host"], bad["request"]) == \
        ("bad_message", queue, HOST, None)
    assert bad["size"] == len(b"nonsense") and bad["since"]
    # Looking takes nothing away, and the command sees the same.
    assert [x["id"] for x in root.get("/dead")["letters"]] == [x["id"] for x in letters]
    worker.stop()
    done = root.post(f"/dead/{bad['id']}/requeue")
    assert done["done"] == "requeued" and done["letter"]["id"] == bad["id"]
    assert town.broker.depth(town.vhost, queue) == 1
    assert root.call("POST", f"/dead/{bad['id']}/requeue").status_code == 404
    worker.start()
    back = eventually(lambda: root.get("/dead")["letters"],
                      lambda x: any(y["kind"] is None for y in x), "back again")
    bad = next(x for x in back if x["kind"] is None)
    gone = root.call("DELETE", f"/dead/{bad['id']}")
    assert gone.status_code == 200 and gone.json()["done"] == "discarded"
    assert all(x["kind"] for x in root.get("/dead")["letters"])
    assert root.call("DELETE", f"/dead/{bad['id']}").status_code == 404
    events = town.roles("producer")[0].events("dead.settled")
    assert [(e["what"], e["by"]) for e in events] == [("requeued", "root"), ("discarded", "root")]


def test_a_letter_about_a_request_names_it(town):
    _, _, root = town.people
    course = made(town, 1)
    request = root.submit(town.site, course)
    body = town.broker.look(town.vhost, f"archive.{town.site}")
    town.publish(f"restore.{town.client}", body[0][1], exchange=f"self.{town.client}")
    town.worker()  # takes archive.ready and enrol.request only
    letter = eventually(lambda: root.get("/dead")["letters"], bool, "the letter")[0]
    assert (letter["request"], letter["kind"]) == (request, "restore.request")


class Relay:
    """In front of the broker. What comes from it stops for good where a text ends, for whoever it
    was sent to, as long as there is such a text."""

    def __init__(self, port):
        self.port, self.stop_after = port, None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.own = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near = self.listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self.port))
                for pair in ((near, far, False), (far, near, True)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source, sink, brokers):
        silent = False
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                text = self.stop_after if brokers else None
                if not silent and text and text in data:
                    silent = True
                    sink.sendall(data[:data.index(text) + len(text)])
                elif not silent:
                    sink.sendall(data)
        for s in (source, sink):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()


def test_a_dead_letter_that_stops_half_way_holds_up_nobody(make_farm):
    farm = make_farm()
    d = farm.daemon("producer")
    with contextlib.closing(Relay(farm.broker.amqp)) as relay:
        set_broker(d, heartbeat="2s", timeout="2s",
                   uris=[u.replace(f":{farm.broker.amqp}/", f":{relay.own}/")
                         for u in d.config["broker"]["uris"]])
        d.start()
        _, _, root = people(farm)
        farm.publish(f"dead.{farm.client}", b"half of it" + b"." * 1000,
                     exchange=f"self.{farm.client}")
        letter = eventually(lambda: root.get("/dead")["letters"], bool, "the letter")[0]
        relay.stop_after = b"half of it"
        for method, path in (("GET", "/dead"), ("DELETE", f"/dead/{letter['id']}")):
            answer = root.call(method, path)
            assert answer.status_code == 503, answer.text
            assert answer.json()["reason"] == "broker_unavailable"
        relay.stop_after = None
        eventually(lambda: root.call("DELETE", f"/dead/{letter['id']}").status_code,
                   lambda status: status == 200, "discarded")
        assert root.get("/dead")["letters"] == []


def test_where_time_goes_adds_up(town):
    _, _, root = town.people
    none = root.get("/stats/steps")
    assert none["requests"] == [] and none["steps"]["import"]["mean"] is None
    requested = [root.submit(town.site, made(town, n)) for n in (1, 2)]
    town.archiver()
    town.worker()
    for request in requested:
        town.wait_state(request, "restored")
    told = root.get("/stats/steps?last=10")
    assert {r["id"] for r in told["requests"]} == set(requested)
    for one in told["requests"]:
        r = root.request(one["id"])
        whole = datetime.datetime.fromisoformat(r["finished"][:-1]) - \
            datetime.datetime.fromisoformat(r["created"][:-1])
        assert abs(sum(one["ms"].values()) - whole.total_seconds() * 1000) <= 50, one
        assert one["ms"]["import"] > 0, one
    assert len(root.get("/stats/steps?last=1")["requests"]) == 1
    step = told["steps"]["queued"]
    assert step["median"] <= step["p90"] <= step["most"] and step["mean"] <= step["most"]
    for query in ("last=0", "last=1001", "more=1"):
        assert root.call("GET", f"/stats/steps?{query}").status_code == 422
    assert os.path.isdir(town.folder)


CSV = """\ufeffSite;Course;User;User_data\r
{site};{a};ada;oui\r
{site};{b};ada;perhaps\r
\r
{site};{a};emmy;\r
{site};{c};ada;;\r
nowhere;1;;\r
{site};{d};"em""my";\r
{site};{e};;non\r
"""


def test_a_list_is_checked_and_then_submitted(town):
    _, _, root = town.people
    courses = [made(town, n) for n in (1, 2, 3, 4, 5)]
    taken = root.submit(town.site, courses[2])
    archiver = town.archiver()
    text = CSV.format(site=town.site, **dict(zip("abcde", courses))).encode()
    kind = {"Content-Type": "text/csv; charset=utf-8"}
    checked = root.call("POST", "/requests/check", data=text, headers=dict(kind)).json()
    assert [(r["line"], r["status"]) for r in checked["results"]] == \
        [(2, 200), (3, 422), (5, 409), (6, 409), (7, 422), (8, 403), (9, 200)], checked
    good, _, double, held = checked["results"][:4]
    assert (good["course"], good["user"], good["checked"]) == (courses[0], "ada", "course-server")
    assert good["fullname"] and checked["good"] == 2
    assert "line 2" in double["problem"]["detail"]
    assert held["problem"]["reason"] == "already_restored"
    assert checked["results"][5]["problem"]["reason"] == "unknown_user"
    assert checked["results"][6]["checked"] == "rules", "nobody's: nobody is asked"
    # A refused row still says what it asked for, as far as it could be read.
    assert [(r["site"], r["course"]) for r in checked["results"][1:4]] == \
        [(town.site, c) for c in (courses[1], courses[0], courses[2])], checked
    unknown, = root.post("/requests/check", {"requests": [
        {"site": "elsewhere", "course": "1", "user": "ada"}]})["results"]
    assert (unknown["problem"]["reason"], unknown["site"], unknown["course"], unknown["user"]) == \
        ("site_unknown", "elsewhere", "1", "ada")
    assert root.get("/requests")["total"] == 1, "nothing was submitted"
    # The same as JSON; a row of a wrong type is that row's.
    rows = root.post("/requests/check", {"requests": [
        {"site": town.site, "course": courses[0], "user": "ada"}, {"site": 1}, 7]})
    assert [r["status"] for r in rows["results"]] == [200, 422, 422]
    assert not any("line" in r for r in rows["results"])
    # A course server that is away is no fault of the row.
    archiver.stop()
    away = root.post("/requests/check", {"requests": [
        {"site": town.site, "course": courses[0], "user": "somebody"}]})
    assert away["results"][0]["checked"] == "rules"
    # Submitted, twice with one key: once. What a course server says comes later.
    kind["Idempotency-Key"] = "a list"
    first = root.call("POST", "/requests", data=text, headers=dict(kind))
    assert first.status_code == 202
    assert [(r["line"], r["status"]) for r in first.json()["results"]] == \
        [(2, 202), (3, 422), (5, 409), (6, 409), (7, 422), (8, 202), (9, 202)]
    assert first.json()["results"][0]["request"]["source"] == "csv"
    assert first.json()["results"][0]["request"]["user_data"] is True
    again = root.call("POST", "/requests", data=text, headers=dict(kind))
    assert again.json() == first.json() and root.get("/requests")["total"] == 4
    assert taken in [r["id"] for r in root.get("/requests")["requests"]]
    for body in (b"", b"colour\nred\n", b'site,course\n"old,1\n', b"site,course\n" + b"a,1\n" * 1001):
        answer = root.call("POST", "/requests/check", data=body,
                           headers={"Content-Type": "text/csv"})
        assert answer.status_code == 422, body[:50]


def test_a_course_that_is_newer_than_the_list_that_is_kept_may_be_asked_for(town):
    ada, _, root = town.people
    town.archiver()
    ada.get("/courses")
    new = made(town, 1)
    assert not ada.get("/courses")["sites"][0]["courses"], "the list is kept"
    checked = root.post("/requests/check", {"requests": [{"site": town.site, "course": new, "user": "ada"}]})
    assert checked["results"][0]["status"] == 200, checked
    other = made(town, 2)
    assert town.submit(other)
    refused = ada.call("POST", "/requests", json={"site": town.site, "course": "99"})
    assert (refused.status_code, refused.json()["reason"]) == (403, "role_missing")


def test_lists_that_are_kept_are_told_at_once(town):
    """A page shows what is known while an absent course server is waited for, and asks each by itself."""
    ada = town.people[0]
    made(town, 1)
    site, = ada.get("/courses?wait=false")["sites"]
    assert (site["status"], site["courses"]) == ("not-asked", [])
    archiver = town.archiver()
    assert len(ada.get(f"/courses?site={town.site}")["sites"][0]["courses"]) == 1
    archiver.stop()
    site, = ada.get("/courses?wait=false")["sites"]
    assert (site["status"], len(site["courses"])) == ("ok", 1)
    for query in ("site=elsewhere", "wait=perhaps", "wait=false&refresh=true"):
        assert ada.call("GET", f"/courses?{query}").status_code == 422, query


def test_a_thousand_rows_are_checked_and_submitted(town):
    _, _, root = town.people
    rows = "".join(f"{town.site},{n},user{n % 7}\n" for n in range(1000))
    text = ("site,course,user\n" + rows).encode()
    town.roles("producer")[0].stop()  # nobody answers: each course server is asked in vain once
    d = town.roles("producer")[0]
    d.configure({**d.config, "producer": {**d.config["producer"], "catalog_timeout": "500ms"}})
    d.start()
    checked = root.call("POST", "/requests/check", data=text,
                        headers={"Content-Type": "text/csv"}).json()
    assert checked["good"] == 1000
    done = root.call("POST", "/requests", data=text, headers={"Content-Type": "text/csv"}).json()
    assert {r["status"] for r in done["results"]} == {202}
    assert root.get("/requests?limit=1")["total"] == 1000
