# SPDX-License-Identifier: GPL-3.0-or-later
"""A teacher sees, changes and cancels own requests only, and brings no course that is not theirs;
who is refused is told why, and it is logged and counted."""
import json
import os

import pytest
import requests

from harness import api, keys, samples, sites, wait, wire

NAMES = ("ada", "emmy", "root")


@pytest.fixture
def farm(make_farm):
    f = make_farm()
    f.producer()
    f.archiver()
    return f


def made(farm, n, teacher="ada"):
    return farm.remote.add(samples.make(farm.path("made.mbz"), n, 1), teacher)


def producer(farm):
    return farm.roles("producer")[0]


def url(farm, path):
    return producer(farm).url("/api/v1" + path)


def assert_refused(farm, why, act, status):
    """act() gets this answer, the log says it, /metrics counts it."""
    counted = producer(farm).metric("navette_refused_total", reason=why)
    logged = len(producer(farm).events("api.refused"))
    answer = act()
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert problem["status"] == status and problem["reason"] and problem["detail"]
    assert producer(farm).metric("navette_refused_total", reason=why) == counted + 1
    lines = producer(farm).events("api.refused")[logged:]
    assert [line["why"] for line in lines] == [why]
    return problem


def test_only_own_requests_are_seen_changed_and_cancelled(farm):
    ada, emmy, root = (farm.person(n) for n in NAMES)
    mine = ada.submit(farm.site, made(farm, 1))
    theirs = emmy.submit(farm.site, made(farm, 2, "emmy"))
    for who, own, other in ((ada, mine, theirs), (emmy, theirs, mine)):
        assert [r["id"] for r in who.get("/requests")["requests"]] == [own]
        assert who.request(own)["user"] == who.user
        for method, path, more in (("GET", "", {}), ("PATCH", "", {"json": {"user_data": False}}),
                                   ("POST", "/cancel", {}), ("POST", "/retry", {})):
            answer = who.call(method, f"/requests/{other}{path}", **more)
            # As if it were not there.
            nowhere = who.call(method, f"/requests/{wire.uuid7()}{path}", **more)
            assert answer.status_code == nowhere.status_code == 404
            assert answer.json()["reason"] == nowhere.json()["reason"] == "not_found"
        assert who.call("POST", f"/requests/{other}/run-now").status_code in (403, 404)
        assert who.call("GET", "/requests?user=" + ("emmy" if who is ada else "ada")
                        ).status_code == 403
        assert who.call("GET", "/courses?user=root").status_code == 403
    assert {r["id"] for r in root.get("/requests")["requests"]} == {mine, theirs}
    farm.wait_state(mine, "ready", "exporting")
    assert ada.cancel(mine)["state"] in ("cancelling", "cancelled")
    assert emmy.request(theirs)["state"] in ("scheduled", "exporting", "ready")


def test_only_own_courses_are_brought_and_only_with_ones_rights(farm):
    ada, emmy, root = (farm.person(n) for n in NAMES)
    mine, hers = made(farm, 1), made(farm, 2, "emmy")

    def submit(who, **body):
        return lambda: who.call("POST", "/requests", json={"site": farm.site, **body})

    assert_refused(farm, "rights", submit(ada, course=hers), 403)
    assert_refused(farm, "rights", submit(ada, course="99"), 403)
    for more in ({"user": "emmy"}, {"user": "root"}, {"category": "SCI"}, {"now": True}):
        assert_refused(farm, "rights", submit(ada, course=mine, **more), 403)
    # User data only for those who may choose: ada may, emmy no longer.
    accounts = producer(farm).config["producer"]["accounts_file"]
    with open(accounts, encoding="utf-8") as f:
        people = json.load(f)
    for person in people["accounts"]:
        if person["username"] == "emmy":
            person["capabilities"] = []
    with open(accounts + ".new", "w", encoding="utf-8") as f:
        json.dump(people, f)
    producer(farm).stop()
    os.rename(accounts + ".new", accounts)
    producer(farm).start()
    emmy.sign_in()
    assert_refused(farm, "rights", submit(emmy, course=hers, user_data=True), 403)
    assert not root.get("/requests")["total"], "something came of it"
    assert farm.broker.depth(farm.vhost, f"archive.{farm.site}") == 0
    assert submit(ada, course=mine, user_data=True)().status_code == 202
    kept = submit(emmy, course=hers)()
    assert kept.status_code == 202 and kept.json()["results"][0]["request"]["user_data"] is False


def test_passwords_are_not_guessed(farm):
    """Wrong ones are refused and, after some, even the right one for a while; a name that does not
    exist is answered as one that does."""
    def sign_in(user, password):
        return requests.post(url(farm, "/session"), timeout=20,
                             json={"username": user, "password": password})
    first = assert_refused(farm, "password", lambda: sign_in("ada", "wrong"), 401)
    other = assert_refused(farm, "password", lambda: sign_in("nobody", "wrong"), 401)
    assert first == other
    answer = None
    for _ in range(15):
        answer = sign_in("ada", "wrong")
        if answer.status_code == 429:
            break
    counter = max(farm.redis.client.keys("nv:kv:throttle:pair:*"), key=lambda k: int(farm.redis.client.get(k)))
    left = farm.redis.client.ttl(counter)
    assert answer.status_code == 429 and left <= int(answer.headers["Retry-After"]) <= left + 5, left
    assert_refused(farm, "throttled", lambda: sign_in("ada", api.PASSWORD), 429)
    assert "wrong" not in producer(farm).text() and api.PASSWORD not in producer(farm).text()


def test_nobody_is_locked_out_by_somebody_else_and_nobody_guesses_without_end(farm):
    def sign_in(address, user="ada", password=api.PASSWORD):
        return requests.post(url(farm, "/session"), timeout=20, headers={"X-Forwarded-For": address},
                             json={"username": user, "password": password}).status_code

    def guess(address, times=10, user="ada"):
        return [sign_in(address, user, "wrong") for _ in range(times)]

    # Only who guesses is kept out, whatever stands before the address that the proxy itself saw.
    assert guess("192.0.2.1", 11) == [401] * 10 + [429]
    assert sign_in("192.0.2.1") == sign_in("192.0.2.2, 192.0.2.1") == 429
    assert sign_in("192.0.2.1", "emmy") == sign_in("192.0.2.2") == 201
    # A network of IPv6 is one address.
    assert guess("2001:db8:0:1::1", 5) + guess("2001:db8:0:1:ffff::2", 6) == [401] * 10 + [429]
    assert sign_in("2001:db8:0:2::1") == 201
    # From everywhere at once: an end, but not where ada has signed in before.
    for last in range(10, 18):
        assert guess(f"192.0.2.{last}") == [401] * 10
    assert sign_in("192.0.2.30") == 429 and sign_in("192.0.2.2") == 201
    assert guess("192.0.2.2", 11) == [401] * 10 + [429], "no end for who is known"
    assert sign_in("192.0.2.30", "emmy") == 201, "another account"
    # One address, whatever the names.
    farm.redis.client.set("nv:kv:throttle:address:192.0.2.99", 299, ex=300)
    assert sign_in("192.0.2.99", "root") == 201
    assert guess("192.0.2.99", 2, "nobody") == [401, 429]
    assert sign_in("192.0.2.99", "emmy") == 429 and sign_in("192.0.2.99", "root") == 201
    # Counted for minutes; who is known, for months; nobody's name or way is in the keys.
    counted = farm.redis.client.keys("nv:kv:throttle:*")
    assert counted and all(0 < farm.redis.client.ttl(k) <= 300 for k in counted)
    known = farm.redis.client.keys("nv:kv:known:*")
    assert known and all(len(k) == len("nv:kv:known:") + 64 for k in known)
    assert all(farm.redis.client.ttl(k) > 86 * 86400 for k in known)


def test_a_session_that_ended_is_none(farm):
    ada = farm.person("ada")
    ada.sign_in()

    def look(token):
        return lambda: requests.get(url(farm, "/session"), timeout=20,
                                    headers={"Authorization": f"Bearer {token}"})
    assert look(ada.token)().status_code == 200
    for token in ("", "x", "0" * 64, ada.token[:-1], ada.token + "0"):
        assert look(token)().status_code == 401, token
    gone = ada.token
    assert ada.call("DELETE", "/session").status_code == 204
    assert look(gone)().status_code == 401
    # By time: its life in Redis is over.
    ada.sign_in()
    sessions = farm.redis.client.keys("nv:kv:session*")
    assert sessions and all(farm.redis.client.ttl(k) > 0 for k in sessions)
    for k in sessions:
        farm.redis.client.pexpire(k, 1)
    wait.until(lambda: not farm.redis.client.exists(*sessions), "the end of the session", 10)
    assert look(ada.token)().status_code == 401


def test_another_web_site_cannot_act_for_somebody(farm):
    """The cookie alone changes nothing: the token in a header is needed, and the origin must be ours."""
    browser = requests.Session()
    signed = browser.post(url(farm, "/session"), timeout=20,
                          json={"username": "ada", "password": api.PASSWORD})
    cookie = signed.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite" in cookie
    request = farm.person("ada").submit(farm.site, made(farm, 1))
    token = {"X-Navette-CSRF": signed.json()["csrf"]}

    def cancel(**headers):
        return lambda: browser.post(url(farm, f"/requests/{request}/cancel"), timeout=20,
                                    headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert_refused(farm, "csrf", cancel(), 403)
    assert_refused(farm, "csrf", cancel(**{"X-Navette-CSRF": "0" * len(token["X-Navette-CSRF"])}),
                   403)
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"},
                    {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}):
        assert_refused(farm, "csrf", cancel(**token, **headers), 403)
    # Nor sign it in as another.
    assert_refused(farm, "csrf", lambda: browser.post(
        url(farm, "/session"), json={"username": "emmy", "password": api.PASSWORD}, timeout=20,
        headers={"Origin": "https://evil.example"}), 403)
    assert farm.state(request) not in ("cancelled", "cancelling")
    good = cancel(**token, Origin=producer(farm).url(""), Sec_Fetch_Site="same-origin")()
    assert good.status_code == 200


def test_bodies_that_are_none_change_nothing(farm):
    ada = farm.person("ada")
    course = made(farm, 1)
    json_type = {"Content-Type": "application/json"}
    whole = {"site": farm.site, "course": course}
    for data, status, field in (
            (b"{", 400, ""), (b"", 400, ""), (b"\xff\xfe", 400, ""), (b"[1]", 422, ""),
            (b'{"site": "x", "site": "y"}', (400, 422), ""),
            (b"[" * 100_000, (400, 413), ""),
            (json.dumps({**whole, "colour": "red"}).encode(), 422, "colour"),
            (json.dumps({**whole, "course": 1}).encode(), 422, "course"),
            (json.dumps({**whole, "user_data": "yes"}).encode(), 422, "user_data"),
            (json.dumps({"site": farm.site}).encode(), 422, "course"),
            (b"x" * (2 << 20), 413, "")):
        answer = ada.call("POST", "/requests", data=data, headers=dict(json_type))
        statuses = status if isinstance(status, tuple) else (status,)
        assert answer.status_code in statuses, (data[:60], answer.text)
        assert field in answer.json()["detail"], answer.text
    assert ada.call("POST", "/requests", data=json.dumps(whole).encode(),
                    headers={"Content-Type": "text/plain"}).status_code == 415
    assert ada.get("/requests")["total"] == 0
    refused = producer(farm).events("http.refused")
    assert {"400", "413", "415", "422"} <= {e.get("status") for e in refused}
    for code in ("400", "413", "415", "422"):
        assert producer(farm).metric("navette_http_requests_total", code=code) >= 1


def test_without_redis_people_are_told_to_come_back(farm):
    ada = farm.person("ada")
    ada.sign_in()
    farm.redis.stop()
    headers = {"Authorization": f"Bearer {ada.token}"}
    wait.until(lambda: requests.get(url(farm, "/requests"), headers=headers,
                                    timeout=20).status_code == 503, "503", 20)
    for method, path in (("GET", "/requests"), ("GET", "/courses"), ("POST", "/requests"),
                         ("GET", "/events"), ("GET", "/session")):
        answer = requests.request(method, url(farm, path), headers=headers, timeout=20)
        assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0, (method, path)
    answer = ada.sign_in_answer()
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    farm.redis.start()
    wait.until(lambda: producer(farm).ready(), "ready again", 20)
    assert ada.get("/requests")["total"] == 0


def two_sites(farm):
    """A producer for two course servers: the farm's and the name of another."""
    other, key = farm.site + "-b", keys.Key()
    key.write(farm.path("other.key"))
    farm.navette("broker", "apply", broker={
        "uris": [f"amqp://guest@127.0.0.1:{farm.broker.amqp}/{farm.vhost}"],
        "management_url": f"http://guest@127.0.0.1:{farm.broker.management}",
        "management_password_file": farm.path("admin.password"), "clients": [farm.client],
        "sites": [farm.site, other], "credentials_dir": farm.path("credentials")})
    server = farm.daemon("producer")
    server.configure({**server.config,
                      "sites": server.config["sites"] + [{"name": other, "label": "The other",
                                                          "public_key": key.public}],
                      "producer": {**server.config["producer"], "catalog_timeout": "2s"}})
    server.start()
    return other


def archiver_of(farm, other, remote):
    second = farm.daemon("archiver", "archiver-b")
    user = f"archiver.{other}"
    second.configure({**second.config,
                      "identity": {"site": other, "key_file": farm.path("other.key")},
                      "broker": {**second.config["broker"], "uris": [
                          f"amqp://{user}@127.0.0.1:{farm.broker.amqp}/{farm.vhost}"],
                          "password_file": farm.path("credentials", f"{user}.password")},
                      "site": {"type": "folder", "path": remote.path}})
    second.start()


def listed(farm):
    return {s["site"]: s for s in farm.person("ada").get("/courses?refresh=true")["sites"]}


def test_a_new_course_of_one_site_asks_no_other_again(make_farm):
    """In one list: what a course server has said stays good when only another is asked afresh."""
    farm = make_farm(producer={"catalog_ttl": "1h"})
    other = two_sites(farm)
    archiver = farm.archiver()
    remote = sites.CourseServer(farm.path("remote-b"))
    archiver_of(farm, other, remote)
    known = made(farm, 1)
    remote.add(samples.make(farm.path("made.mbz"), 2, 1), "ada")
    wait.until(lambda: {s["status"] for s in listed(farm).values()} == {"ok"}, lambda: f"both are kept: {listed(farm)}")
    archiver.stop()
    new = remote.add(samples.make(farm.path("made.mbz"), 3, 1), "ada")
    answer = farm.person("ada").call("POST", "/requests", json={"requests": [
        {"site": farm.site, "course": known}, {"site": other, "course": new},
        {"site": other, "course": "987654"}]})
    assert [r["status"] for r in answer.json()["results"]] == [202, 202, 403], answer.text


def test_a_site_that_fails_is_named_and_the_others_are_listed(make_farm):
    """Two course servers: one does not know the user or is not there, the other's courses come."""
    farm = make_farm()
    other = two_sites(farm)
    farm.archiver()
    course = made(farm, 1)

    def both():
        return listed(farm)
    found = both()
    assert found[other]["status"] == "unreachable" and found[other]["label"] == "The other"
    assert [c["course"] for c in found[farm.site]["courses"]] == [course]
    # There now, but without her.
    remote = sites.CourseServer(farm.path("remote-b"))
    remote._users = [u for u in remote._users if u["username"] != "ada"]
    remote._save()
    archiver_of(farm, other, remote)
    wait.until(lambda: both()[other]["status"] == "unknown-user", both, 30)
    found = both()
    assert not found[other]["courses"]
    assert [c["course"] for c in found[farm.site]["courses"]] == [course]


def test_only_a_teacher_of_the_course_joins_the_copy(farm):
    farm.worker()
    shared, private = made(farm, 1), made(farm, 2)
    farm.remote._roles.append({"user": "emmy", "role": "editingteacher", "course": int(shared)})
    farm.remote._roles.append({"user": "emmy", "role": "student", "course": int(private)})
    farm.remote._save()
    ada, emmy = farm.person("ada"), farm.person("emmy")
    both = [ada.submit(farm.site, c) for c in (shared, private)]
    for request in both:
        farm.wait_state(request, "restored")
    assert emmy.call("POST", f"/requests/{both[1]}/enrolments").status_code == 404
    assert emmy.call("POST", f"/requests/{both[0]}/enrolments").status_code == 202
    wait.until(lambda: "emmy" in ada.request(both[0])["joined"], "emmy joins", 30)
    assert not ada.request(both[1])["joined"]
    enrolled = json.dumps(farm.local.course(both[0]))
    assert "emmy" in enrolled and "emmy" not in json.dumps(farm.local.course(both[1]))
