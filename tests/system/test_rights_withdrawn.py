# SPDX-License-Identifier: GPL-3.0-or-later
"""A right that was withdrawn is gone: with the next request where an account says it, within
producer.rights_max_age where Moodle does; and with the next heartbeat for who holds an event stream
open, which says so and ends."""
# one ctest entry per function
import hashlib
import json
import threading
import time

import pytest
import requests

from harness import wait
from harness.beside import Beside
from test_launch import ALL, MOODLE, Town, forge

AGE = 1  # seconds; the shortest there is
RENEWAL = MOODLE + "/blocks/navette/launch.php?instance=7"


class Beneath(Town):
    """A producer with a Moodle beside it, or without."""

    def __init__(self, farm, asks=True, age=AGE):
        super().__init__(farm)
        self.moodle = Beside(farm.path("beside")) if asks else None
        self.server.stop()
        site = {"site": self.moodle.section()} if asks else {}
        self.server.configure({**self.server.config, **site, "producer": {
            **self.server.config["producer"], "rights_max_age": f"{age}s"}})
        self.server.start()

    def come(self, user, caps=(), block=7):
        if self.moodle:
            self.moodle.say(**{user: list(caps)})
        return self.enter(sub=user, caps=list(caps), block=block)[0]

    def status(self, cookie):
        return self.session(cookie).status_code

    def admin(self, cookie):
        return self.session(cookie).json()["user"]["admin"]

    def grow_old(self, by):
        """Everything that was said of rights so far was said so many seconds earlier."""
        client = self.farm.redis.client
        for key in client.keys("nv:kv:session*"):
            kept = json.loads(client.get(key))
            kept["moodle"]["checked"] -= by * 1000
            client.set(key, json.dumps(kept), keepttl=True)
        self.server.stop()  # what it remembers is forgotten
        self.server.start()


@pytest.fixture
def town(make_farm):
    return Beneath(make_farm())


def test_capabilities_that_moodle_withdrew_end_within_the_time_that_is_set(town):
    boss = town.come("boss", ALL)
    ada = town.come("ada", ["restoreuserdata"])
    assert town.admin(boss) and town.session(ada).json()["options"]["choose_user_data"]
    assert town.call("GET", "/sites", boss).status_code == 200
    town.moodle.say(boss=[], ada=[])
    began = time.monotonic()
    wait.until(lambda: not town.admin(boss), "no administrator any more", 20)
    wait.until(lambda: not town.session(ada).json()["options"]["choose_user_data"], "no choice", 20)
    assert time.monotonic() - began < 15
    assert town.call("GET", "/sites", boss).status_code == 403
    assert town.call("GET", "/requests", boss).status_code == 200
    # And the other way round.
    town.moodle.say(boss=ALL)
    wait.until(lambda: town.admin(boss), "an administrator again", 20)
    assert {one for q in town.moodle.questions() for one in q} == {("boss", 7), ("ada", 7)}


def test_an_account_that_moodle_serves_no_longer_has_no_session(town):
    gone, other = town.come("ada"), town.come("emmy")
    town.moodle.say(ada=None)
    wait.until(lambda: town.status(gone) == 401, "the end", 20)
    assert town.status(other) == 200
    assert town.server.metric("navette_refused_total", reason="withdrawn") == 1
    assert len(town.farm.redis.client.keys("nv:kv:session*")) == 1, "it is kept"
    # The account is there again: the old session is not, a new one is.
    again = town.come("ada")
    assert town.status(gone) == 401 and town.status(again) == 200


def test_moodle_is_asked_about_all_who_wait_at_once_and_not_at_every_request(make_farm):
    town = Beneath(make_farm(), age=600)
    people = [f"person{n}" for n in range(12)]
    cookies = [town.come(user) for user in people]
    assert [town.status(c) for c in cookies] == [200] * 12
    assert not town.moodle.questions(), "what was just said was asked again"
    town.grow_old(601)
    answers = []
    threads = [threading.Thread(target=lambda c=c: answers.append(town.status(c)))
               for c in cookies * 3]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == [200] * 36
    asked = [one for q in town.moodle.questions() for one in q]
    assert sorted(asked) == sorted((p, 7) for p in people), "each once"
    assert len(town.moodle.questions()) < 12
    # The token of a new launch is newer than what Moodle said last.
    town.moodle.say(person0=[])
    boss = town.enter(sub="person0", caps=["manage"], block=7)[0]
    assert town.admin(boss)


def test_a_moodle_that_does_not_answer_changes_no_rights_but_not_for_ever(make_farm):
    town = Beneath(make_farm(), age=600)
    boss = town.come("boss", ALL)
    town.moodle.say(away=True)
    town.grow_old(1800)
    assert town.admin(boss)
    # It is left alone for a while after that.
    assert town.admin(boss) and len(town.moodle.questions()) == 1
    assert len(town.server.events("rights.unanswered", whole=False)) == 1
    town.grow_old(1801)
    answer = town.session(boss)
    assert answer.status_code == 401 and answer.headers["X-Navette-Renew"] == RENEWAL
    town.moodle.say(boss=ALL)
    town.server.stop()
    town.server.start()
    assert town.admin(boss), "Moodle answers again"


def test_without_a_moodle_to_ask_people_come_through_the_button_again(make_farm):
    town = Beneath(make_farm(), asks=False, age=600)
    ada = town.come("ada", ALL)
    older = town.enter(sub="emmy")[0]  # an older block_navette does not tell its block
    assert town.admin(ada)
    town.grow_old(601)
    answer = town.session(ada)
    assert answer.status_code == 401 and answer.headers["X-Navette-Renew"] == RENEWAL
    assert "from Moodle again" in answer.json()["detail"]
    answer = town.session(older)
    assert answer.status_code == 401 and "X-Navette-Renew" not in answer.headers
    assert town.server.metric("navette_refused_total", reason="unconfirmed") == 2
    answer = town.launch(forge(town.claims(block=7)), **ada)
    assert answer.status_code == 303
    assert town.status({"Cookie": answer.headers["Set-Cookie"].split(";")[0]}) == 200


def test_a_session_of_before_the_upgrade_is_as_old_as_it_is(make_farm):
    """Without the time of its token and without a block."""
    town = Beneath(make_farm(), age=600)
    ada = town.come("ada", ALL)
    client = town.farm.redis.client
    (key,) = client.keys("nv:kv:session*")
    kept = json.loads(client.get(key))
    del kept["moodle"]["checked"], kept["moodle"]["block"]
    client.set(key, json.dumps(kept), keepttl=True)
    assert town.admin(ada) and not town.moodle.questions()
    kept["expires"] -= 601_000
    client.set(key, json.dumps(kept), keepttl=True)
    town.moodle.say(ada=[])
    assert not town.admin(ada) and town.moodle.questions() == [[("ada", 0)]]


class Reader:
    """An event stream of whoever has this header; ends by itself."""

    def __init__(self, town, headers):
        self.answer = requests.get(town.server.url("/api/v1/events"), headers=headers, stream=True,
                                   timeout=40)
        assert self.answer.status_code == 200, self.answer.text
        self.lines, self.ended = [], False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.answer.iter_lines(1):
            self.lines.append(line.decode())
        self.ended = True

    def why(self):
        """What the last event said, of a stream that has ended."""
        assert self.ended
        at = self.lines.index("event: close")
        assert self.lines[at:] == ["event: close", self.lines[at + 1], ""], self.lines
        return json.loads(self.lines[at + 1].removeprefix("data: "))["reason"]


def test_an_open_event_stream_ends_when_the_right_to_it_has(make_farm):
    town = Beneath(make_farm())
    people = {name: town.farm.person(name) for name in ("ada", "emmy", "root")}
    headers = {}
    for name, person in people.items():
        person.sign_in()
        headers[name] = {"Authorization": f"Bearer {person.token}"}
    elsewhere = {"Authorization": f"Bearer {people['emmy'].sign_in()['token']}"}
    removed, demoted, signed_out, stays = (Reader(town, h) for h in (
        headers["ada"], headers["root"], headers["emmy"], elsewhere))
    gone, boss, same = (town.come(user, caps) for user, caps in (
        ("gone", []), ("boss", ALL), ("same", ["restoreuserdata"])))
    launched = [Reader(town, cookie) for cookie in (gone, boss, same)]
    # Removed, no administrator any more, signed out at another producer; and in Moodle.
    path = town.server.config["producer"]["accounts_file"]
    with open(path, encoding="utf-8") as f:
        kept = json.load(f)
    kept["accounts"] = [a for a in kept["accounts"] if a["username"] != "ada"]
    for account in kept["accounts"]:
        account.pop("admin", None)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(kept, f)
    town.moodle.say(gone=None, boss=[])
    token = headers["emmy"]["Authorization"].split()[1]
    town.farm.redis.client.delete("nv:kv:session:" + hashlib.sha256(token.encode()).hexdigest())
    ending = [removed, demoted, signed_out, *launched[:2]]
    wait.until(lambda: all(r.ended for r in ending), lambda: [r.lines for r in ending], 40)
    assert [r.why() for r in ending] == ["ended", "rights", "ended", "withdrawn", "rights"]
    assert not stays.ended and not launched[2].ended
    assert len(town.server.events("events.closed")) == 5
    # Signing out ends it at once, and says so, too.
    assert people["emmy"].call("DELETE", "/session").status_code == 204
    wait.until(lambda: stays.ended, "the end", 10)
    assert stays.why() == "ended"
