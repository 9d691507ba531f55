# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever comes from Moodle's button is signed in as the token says, once; every other token is
refused in plain words, logged and counted, and starts nothing."""
import base64
import hashlib
import hmac
import json
import re
import secrets
import time

import msgpack
import pytest
import requests

from harness import description, keys, samples, wait

SECRET = "an example of a secret that is long enough"
MOODLE = "https://moodle.example.org"
ALL = ["seeexternalcourselink", "restoreuserdata", "manage"]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(claims, header=None, secret=SECRET, digest=hashlib.sha256):
    """Written out, so that no library keeps us from what is wrong."""
    body = ".".join(b64(json.dumps(part).encode())
                    for part in ({"alg": "HS256", "typ": "JWT"} if header is None else header,
                                 claims))
    return body + "." + b64(hmac.new(secret.encode(), body.encode(), digest).digest())


class Town:
    def __init__(self, farm):
        self.farm = farm
        self.description = description.Description()
        self.server = farm.daemon("producer")
        keys.write_secret(farm.path("launch.secret"), SECRET)
        self.base_url = "https://navette.example.org"
        self.server.configure({
            **self.server.config,
            "producer": {**self.server.config["producer"], "base_url": self.base_url,
                         "catalog_ttl": "1h"},
            "launch": {"secret_file": farm.path("launch.secret"), "issuer": MOODLE, "leeway": "5s"}})
        self.server.start()

    def claims(self, **changes):
        now = int(time.time())
        whole = {"iss": MOODLE, "aud": self.base_url, "iat": now, "exp": now + 60,
                 "jti": secrets.token_hex(16), "sub": "ada", "name": "Ada <b>L.</b>",
                 "email": "ada@example.org", "lang": "fr", "caps": [], **changes}
        return {k: v for k, v in whole.items() if v is not None}

    def launch(self, token, method="GET", browser=None, **headers):
        """headers: Accept_Language for Accept-Language."""
        more = {"params": {"token": token}} if method == "GET" else {"data": {"token": token}}
        answer = (browser or requests).request(
            method, self.server.url("/launch"), timeout=20, allow_redirects=False,
            headers={k.replace("_", "-"): v for k, v in headers.items()}, **more)
        if not answer.headers.get("Content-Type", "").startswith("text/html"):
            self.description.check(method, "/launch", answer)
        return answer

    def enter(self, browser=None, method="GET", **changes):
        """Signed in: the session's cookie as a header, and what the session is."""
        answer = self.launch(forge(self.claims(**changes)), method, browser)
        assert answer.status_code == 303 and answer.headers["Location"] == "/", answer.text
        cookie = answer.headers["Set-Cookie"]
        for part in ("HttpOnly", "SameSite=Lax", "Secure", "Path=/"):
            assert part in cookie
        cookie = {"Cookie": cookie.split(";")[0]}
        return cookie, self.session(cookie).json()

    def session(self, cookie):
        return self.call("GET", "/session", cookie)

    def call(self, method, path, cookie, **more):
        headers = {**cookie, **more.pop("headers", {})}
        answer = requests.request(method, self.server.url("/api/v1" + path), headers=headers,
                                  timeout=20, **more)
        self.description.check(method, "/api/v1" + path.split("?")[0], answer)
        return answer

    def assert_refused(self, token, why, method="GET"):
        counted = self.server.metric("navette_refused_total", reason="launch")
        logged = len(self.server.events("launch.refused"))
        answer = self.launch(token, method, Accept="text/html")
        assert answer.status_code == 403, (why, answer.status_code, answer.text)
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "You are not signed in" in answer.text and f'href="{MOODLE}"' in answer.text
        assert self.server.metric("navette_refused_total", reason="launch") == counted + 1
        lines = self.server.events("launch.refused")[logged:]
        assert [line["why"] for line in lines] == [why]
        assert not self.farm.redis.client.keys("nv:kv:session*")


@pytest.fixture
def town(make_farm):
    return Town(make_farm())


def test_the_button_signs_in_as_the_token_says(town):
    _, session = town.enter()
    assert session["user"] == {"username": "ada", "name": "Ada <b>L.</b>", "mail": "ada@example.org",
                               "lang": "fr", "admin": False, "capabilities": []}
    assert session["home"] == MOODLE and not session["options"]["choose_user_data"]
    cookie, session = town.enter(caps=["restoreuserdata"], method="POST", name=None, email=None)
    assert session["options"]["choose_user_data"] and session["options"]["choose_enrolment"]
    assert session["user"]["capabilities"] == ["can_restore_user_datas"]
    assert session["user"]["name"] is None
    # Signing out ends it.
    assert town.call("DELETE", "/session", cookie).status_code == 403
    assert town.call("DELETE", "/session", cookie,
                     headers={"X-Navette-CSRF": session["csrf"]}).status_code == 204
    assert town.session(cookie).status_code == 401
    # A slash at the end of an address is no other address.
    town.enter(aud=town.base_url + "/")


def test_every_other_token_is_refused(town):
    now = int(time.time())
    good = town.claims()
    for why, token in (
            ("expired", forge(town.claims(iat=now - 120, exp=now - 60))),
            ("future", forge(town.claims(iat=now + 60, exp=now + 100))),
            ("audience", forge(town.claims(aud="https://other.example.org"))),
            ("audience", forge(town.claims(aud=None))),
            ("issuer", forge(town.claims(iss="https://evil.example.org"))),
            ("issuer", forge(town.claims(iss=None))),
            ("claims", forge(town.claims(jti=None))),
            ("claims", forge(town.claims(jti="short"))),
            ("claims", forge(town.claims(sub=None))),
            ("claims", forge(town.claims(sub=""))),
            ("claims", forge(town.claims(sub="a\nb"))),
            ("claims", forge(town.claims(sub=7))),
            ("claims", forge(town.claims(exp=None))),
            ("claims", forge(town.claims(iat=None))),
            ("claims", forge(town.claims(exp="soon"))),
            ("claims", forge(town.claims(exp=now + 86400))),
            ("claims", forge(town.claims(exp=2**63 - 1))),
            ("claims", forge(town.claims(caps=None))),
            ("claims", forge(town.claims(caps="manage"))),
            ("claims", forge(town.claims(nbf=now))),
            ("claims", forge(town.claims(block=0))),
            ("claims", forge(town.claims(block="7"))),
            ("signature", forge(good, secret="another secret that is long enough too")),
            ("signature", forge(good)[:-4] + "AAAA"),
            ("signature", ".".join([forge(good).split(".")[0],
                                    forge(town.claims(caps=ALL)).split(".")[1],
                                    forge(good).split(".")[2]])),
            ("algorithm", forge(good, {"alg": "HS512", "typ": "JWT"}, digest=hashlib.sha512)),
            ("algorithm", forge(good, {"alg": "HS384"}, digest=hashlib.sha384)),
            ("algorithm", forge(good, {"alg": "none"})),
            ("form", forge(good, {"alg": "none"}).rsplit(".", 1)[0] + "."),
            ("form", forge(good, {"alg": "HS256", "crit": ["exp"]})),
            ("form", forge(good, {"alg": "HS256", "zip": "DEF"})),
            ("form", forge(good, {"alg": "HS256", "cty": "JWT"})),
            ("form", forge(good) + "="), ("form", forge(good).replace(".", "=.", 1)),
            ("form", "x"), ("form", "a.b.c"), ("form", "." * 9000)):
        town.assert_refused(token, why)
    for token in (forge(good, {"alg": "none"}), forge(good, {"alg": "RS256"}),
                  forge(good, {"alg": "None"}), forge(good, {})):
        answer = town.launch(token)
        assert answer.status_code == 403, token
    # A key that the token brings along is not looked at.
    own = "the attacker's own key, long enough, for sure"
    jwk = {"kty": "oct", "k": b64(own.encode())}
    for header in ({"alg": "HS256", "jwk": jwk}, {"alg": "HS256", "jku": "http://127.0.0.1:1/k"},
                   {"alg": "HS256", "kid": "../../dev/null"}):
        answer = town.launch(forge(good, header, secret=own))
        assert answer.status_code == 403, header
    answer = town.launch("")
    assert answer.status_code == 403
    assert not town.farm.redis.client.keys("nv:kv:launch*"), "a refused token was remembered"
    assert SECRET not in town.server.text() and good["jti"] not in town.server.text()
    # The same claims, rightly signed, are good.
    assert town.launch(forge(good)).status_code == 303


def test_a_token_is_good_once(town):
    token = forge(town.claims())
    assert town.launch(token).status_code == 303
    town.farm.redis.client.delete(*town.farm.redis.client.keys("nv:kv:session*"))
    town.assert_refused(token, "replayed")
    town.assert_refused(token, "replayed", "POST")
    # Remembered for longer than it could be good, not for ever.
    (key,) = town.farm.redis.client.keys("nv:kv:launch*")
    assert 60 < town.farm.redis.client.ttl(key) <= 130


def test_a_used_token_stays_used_when_redis_has_lost_it(town):
    redis = town.farm.redis.client
    other = town.farm.daemon("producer", "other")
    other.configure({**town.server.config, "producer": {**town.server.config["producer"]}})
    other.start()

    def lose():
        redis.delete(*redis.keys("nv:kv:launch*"), *redis.keys("nv:kv:session*"))

    def refused(server):
        answer = requests.get(server.url("/launch"), params={"token": token}, timeout=20,
                              allow_redirects=False)
        assert answer.status_code == 403 and "replayed" in answer.json()["detail"], answer.text

    token = forge(town.claims())
    assert town.launch(token).status_code == 303
    (told,) = [e for _, e in redis.xrange("nv:events") if e[b"kind"] == b"launched"]
    assert token.encode() not in b"".join(told.values())
    wait.until(lambda: other.events("launch.heard"), "the other producer heard of it", 20)
    lose()
    refused(town.server)
    refused(other)
    # Nor after a restart: the stream is read from its beginning.
    town.server.stop()
    town.server.start()
    lose()
    wait.until(lambda: town.server.events("launch.heard", whole=False), "it hears of it again", 20)
    refused(town.server)
    # Nor in a Redis that has lost everything.
    redis.flushall()
    refused(town.server)
    refused(other)
    assert town.launch(forge(town.claims())).status_code == 303


def test_people_are_told_in_their_language_and_programs_as_problems(town):
    bad = forge(town.claims(iss="https://evil.example.org"))
    french = town.launch(bad, Accept="text/html", Accept_Language="fr-CH,fr;q=0.9").text
    assert "Vous n’êtes pas connecté" in french and '<html lang="fr">' in french
    for path in re.findall(r'(?:href|src)="(/[^"]+)"', french):
        assert requests.get(town.server.url(path), timeout=20).status_code == 200
    problem = town.launch(bad, Accept="application/json").json()
    assert problem["reason"] == "denied" and "issuer" in problem["detail"]


def test_an_earlier_session_of_the_browser_ends(town):
    first, _ = town.enter()
    answer = town.launch(forge(town.claims(sub="emmy")), **first)
    assert answer.status_code == 303
    assert town.session(first).status_code == 401
    second = {"Cookie": answer.headers["Set-Cookie"].split(";")[0]}
    assert town.session(second).json()["user"]["username"] == "emmy"
    # A refused token ends nothing.
    assert town.launch("x", **second).status_code == 403
    assert town.session(second).status_code == 200


def test_another_secret_or_issuer_ends_the_sessions_of_the_old_one(town):
    other, elsewhere = "another secret, as long as the first one", "https://elsewhere.example.org"
    old, _ = town.enter()

    def again(**launch):
        server = town.server
        server.stop()
        server.configure({**server.config, "launch": {**server.config["launch"], **launch}})
        server.start()

    again()
    assert town.session(old).status_code == 200, "a restart alone ends nothing"
    keys.write_secret(town.farm.path("launch.secret"), other)
    again()
    assert town.session(old).status_code == 401
    answer = town.launch(forge(town.claims(), secret=other))
    assert answer.status_code == 303
    new = {"Cookie": answer.headers["Set-Cookie"].split(";")[0]}
    assert town.session(new).status_code == 200
    again(issuer=elsewhere)
    assert town.session(new).status_code == 401
    (first, *_) = town.farm.redis.client.keys("nv:kv:session*")
    assert other.encode() not in town.farm.redis.client.get(first)


def test_the_api_enforces_what_the_token_allows(town):
    """Also against a local account of the same name that may do more."""
    farm = town.farm
    farm.remote.add(samples.make(farm.path("made.mbz"), 1, 1))
    farm.archiver()

    def post(cookie, session, **more):
        return town.call("POST", "/requests", cookie, json={"site": farm.site, "course": "1", **more},
                         headers={"X-Navette-CSRF": session["csrf"]})

    def link(cookie):
        (course,) = town.call("GET", "/courses", cookie).json()["sites"][0]["courses"]
        return course["url"]

    def give_address():
        """A folder has none for its courses; a Moodle would have told it."""
        key = f"nv:kv:catalog:{farm.site}:ada"
        kept = farm.redis.client.get(key)
        reply = msgpack.unpackb(kept[8:])
        reply["courses"][0]["url"] = "https://last-year.example.org/course/view.php?id=1"
        farm.redis.client.set(key, kept[:8] + msgpack.packb(reply))

    plain, session = town.enter()
    assert link(plain) is None
    give_address()
    assert link(plain) is None
    for more in ({"user_data": True}, {"enrolment": "manual"}, {"user": "emmy"}, {"now": True}):
        assert post(plain, session, **more).status_code == 403, more
    assert town.call("GET", "/requests?user=emmy", plain).status_code == 403
    linked, _ = town.enter(caps=["seeexternalcourselink"])
    assert link(linked)
    root, root_session = town.enter(sub="root")
    assert not root_session["user"]["admin"]
    assert town.call("GET", "/requests?user=ada", root).status_code == 403
    boss, boss_session = town.enter(sub="boss", caps=["manage"])
    assert boss_session["user"]["admin"] and boss_session["options"]["run_now"]
    assert town.call("GET", "/requests?user=ada", boss).status_code == 200
    teacher, session = town.enter(caps=["restoreuserdata"])
    answer = post(teacher, session, user_data=True)
    assert answer.status_code == 202, answer.text
    request = answer.json()["results"][0]["request"]
    assert (request["user"], request["user_name"]) == ("ada", "Ada <b>L.</b>")


def test_without_redis_nobody_is_taken_in(town):
    town.farm.redis.stop()
    token = forge(town.claims())
    answer = town.launch(token, Accept="text/html")
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    assert "Set-Cookie" not in answer.headers


def test_a_site_without_the_button_says_so(make_farm):
    farm = make_farm()
    farm.producer()
    answer = requests.get(farm.roles("producer")[0].url("/launch?token=x"), timeout=20)
    assert answer.status_code == 404


def test_files_of_the_page_are_kept_and_small(town):
    def get(path, **headers):
        return requests.get(town.server.url(path), timeout=20, stream=True,
                            headers={k.replace("_", "-"): v for k, v in headers.items()})
    page = get("/")
    assert page.headers["Cache-Control"] == "no-cache"
    assert get("/", If_None_Match=page.headers["ETag"]).status_code == 304
    assert get("/", If_None_Match='W/"0"').status_code == 200
    for path in re.findall(r'"(/assets/[^"]+)"', page.text):
        sizes = {}
        for coding in ("identity", "gzip", "br", "br;q=0, gzip;q=0"):
            answer = get(path, Accept_Encoding=coding)
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["Vary"] == "Accept-Encoding"
            wanted = coding if coding in ("gzip", "br") else None
            got = answer.headers.get("Content-Encoding")
            sizes[coding] = len(answer.raw.read(decode_content=False))
            assert got == wanted or sizes[coding] == sizes["identity"], (path, coding)
        assert sizes["br"] <= sizes["gzip"] <= sizes["identity"]
    assert get("/assets/nothing.js").status_code == 404
