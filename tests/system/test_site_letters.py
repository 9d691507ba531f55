# SPDX-License-Identifier: GPL-3.0-or-later
"""Dead letters of a course server: the client's administrators see and settle those of their own
requests, and no others; the letters of a settled request leave by themselves; an archiver that does not
know such questions is never sent one."""
import json
import threading
import time

import pika
import pytest

from harness import keys, samples, wait, wire
from harness.description import Description, described

OTHER = "other-year"


def ask_for(farm, course):
    """An administrator's request for a course; its id."""
    return farm.person("root").post("/requests", {"site": farm.site, "course": course, "user": "ada"})[
        "results"][0]["id"]


def failed(farm, course):
    """A request for a course that is not there; its id."""
    request = ask_for(farm, course)
    farm.wait_state(request, "failed")
    wait.until(lambda: farm.broker.depth(farm.vhost, f"dead.{farm.site}"), "its letter")
    return request


def listed(farm):
    return farm.person("root").get(f"/dead?site={farm.site}")


def depth(farm):
    return farm.broker.depth(farm.vhost, f"dead.{farm.site}")


def settle(farm, method, letter, root=None):
    path = f"/dead/{letter}" + ("/requeue" if method == "POST" else "")
    return (root or farm.person("root")).call(method, f"{path}?site={farm.site}")


def bury(farm, body, reason="export_failed", queue=None):
    """Into the course server's dead queue, as its archiver would put it there."""
    farm.publish(f"dead.{farm.site}", body, f"self.{farm.site}", headers={
        "nv-queue": queue or f"archive.{farm.site}", "nv-reason": reason, "nv-error": "made by the test",
        "nv-host": "somewhere", "nv-at": str(wire.now_ms())})


def bury_many(farm, bodies):
    """As bury, over one connection; each a millisecond after the other."""
    now = wire.now_ms()
    with farm.broker.connect(farm.vhost) as c:
        channel = c.channel()
        for n, body in enumerate(bodies):
            channel.basic_publish(f"self.{farm.site}", f"dead.{farm.site}", body, pika.BasicProperties(
                delivery_mode=2, headers={"nv-queue": f"archive.{farm.site}", "nv-reason": "export_failed",
                                          "nv-at": str(now + n)}))


def spy(farm, exchange, key):
    """A queue that gets a copy of what goes to another."""
    with farm.broker.connect(farm.vhost) as c:
        channel = c.channel()
        channel.queue_declare("spy", durable=True)
        channel.queue_bind("spy", exchange, key)


def spied(farm):
    return [body for _, body in farm.broker.look(farm.vhost, "spy")]


def test_letters_are_seen_put_back_and_thrown_away(farm):
    _, archiver, _ = farm.all()
    root = described(farm.person("root"), Description())
    before = root.get("/dead")
    assert root.get(f"/dead?site={farm.site}") == {"letters": [], "more": False, "others": 0,
                                                   "site": farm.site}
    first = failed(farm, "1")
    letter, = root.get(f"/dead?site={farm.site}")["letters"]
    assert (letter["request"], letter["kind"], letter["reason"], letter["site"], letter["n"]) == \
        (first, "restore.request", "course_missing", farm.site, 1)
    assert letter["queue"] == f"archive.{farm.site}" and letter["host"] and letter["since"]
    assert root.get("/dead") == before == {"letters": [], "more": False}
    farm.requests[first] = farm.remote.add(samples.make(farm.path("made.mbz"), 1))
    done = settle(farm, "POST", letter["id"], root)
    assert done.status_code == 200 and done.json()["done"] == "requeued", done.text
    farm.wait_state(first, "restored")
    assert root.get(f"/dead?site={farm.site}")["letters"] == []
    second = failed(farm, "99")
    letter, = root.get(f"/dead?site={farm.site}")["letters"]
    done = settle(farm, "DELETE", letter["id"], root)
    assert done.json()["letter"]["request"] == second
    assert depth(farm) == 0
    for method in ("POST", "DELETE"):
        assert settle(farm, method, letter["id"], root).status_code == 404
    assert [(e["what"], e["by"]) for e in archiver.events("dead.settled")] == \
        [("requeue", "root"), ("discard", "root")]
    assert len(farm.roles("producer")[0].events("dead.settled")) == 2
    assert farm.local.courses() == [first]


def test_only_administrators_and_only_of_known_course_servers(farm):
    farm.producer()
    ada, root = farm.person("ada"), farm.person("root")
    for method, path in (("GET", "/dead"), ("DELETE", f"/dead/{'0' * 32}"),
                         ("POST", f"/dead/{'0' * 32}/requeue")):
        assert ada.call(method, f"{path}?site={farm.site}").status_code == 403
        assert root.call(method, f"{path}?site=nobody").status_code == 422


def test_the_letters_of_others_are_neither_seen_nor_settled(farm):
    farm.producer()
    archiver = farm.daemon("archiver")
    theirs = keys.Key()
    archiver.config["clients"].append({"name": OTHER, "public_key": theirs.public})
    archiver.configure(archiver.config)
    archiver.start()
    wish = wire.restore_request(farm.site, "1", "ada")
    bury(farm, wire.seal("restore.request", wish, theirs, f"client:{OTHER}"))
    # Somebody else's signature, our name on it.
    bury(farm, wire.seal("restore.request", wish, theirs, f"client:{farm.client}"), "unsigned_message")
    bury(farm, b"nonsense", "bad_message")
    wait.until(lambda: depth(farm) == 3, "three letters")
    assert listed(farm) == {"letters": [], "more": False, "others": 3, "site": farm.site}
    shown = json.loads(farm.navette("dead", "list", "--json", "--queue", f"dead.{farm.site}",
                                    broker=farm.operator()))["messages"]
    assert len({x["id"] for x in shown}) == 3
    for letter in shown:
        for method in ("POST", "DELETE"):
            assert settle(farm, method, letter["id"]).status_code == 404
    wait.until(lambda: depth(farm) == 3, "all still there")
    # The other client, by wire: it sees one, and may have just that one.
    spy(farm, f"from.{farm.site}", f"events.{OTHER}")

    def ask(what, **more):
        question = {"id": wire.uuid7(), "what": what, **more}
        farm.publish(f"catalog.{farm.site}", wire.seal("letters.request", question, theirs, f"client:{OTHER}"))

        def answer():
            bodies = [wire.open_envelope(x)[1] for x in spied(farm)]
            return next((b for b in bodies if b["id"] == question["id"]), None)
        return wait.until(answer, f"an answer to {what}")
    own, = ask("list")["letters"]
    assert own["request"] == wish["id"] and own["reason"] == "export_failed"
    for letter in shown:
        if letter["id"] != own["id"]:
            assert ask("discard", letter=letter["id"])["reason"] == "not_found"
    assert "reason" not in ask("discard", letter=own["id"])
    wait.until(lambda: depth(farm) == 2, "two are left")


def test_many_letters_of_others_do_not_hide_ones_own(farm):
    """Nor do many questions of another client keep one from them."""
    farm.producer()
    archiver = farm.daemon("archiver")
    theirs = keys.Key()
    archiver.config["clients"].append({"name": OTHER, "public_key": theirs.public})
    archiver.configure(archiver.config)
    archiver.start()
    many = 1001
    bury_many(farm, [b"nonsense %d" % n for n in range(many)])
    ours = wire.restore_request(farm.site, "1", "ada")
    bury(farm, wire.seal("restore.request", ours, farm.keys["client"], f"client:{farm.client}"))
    wait.until(lambda: depth(farm) == many + 1, "all letters")
    answer = listed(farm)
    assert ([x["request"] for x in answer["letters"]], answer["more"], answer["others"]) == \
        ([ours["id"]], False, many)
    spy(farm, f"from.{farm.site}", f"events.{OTHER}")
    questions = [{"id": wire.uuid7(), "what": "list"} for _ in range(4)]
    questions.append({"id": wire.uuid7(), "what": "discard", "letter": "none"})
    with farm.broker.connect(farm.vhost) as c:
        channel = c.channel()
        for question in questions:
            channel.basic_publish(f"self.{farm.site}", f"catalog.{farm.site}", wire.seal(
                "letters.request", question, theirs, f"client:{OTHER}"), pika.BasicProperties(delivery_mode=2))
    assert [x["request"] for x in listed(farm)["letters"]] == [ours["id"]]
    bodies = wait.until(lambda: (found := spied(farm)) and len(found) == len(questions) and found, "all answers")
    reasons = {b["id"]: b.get("reason") for b in (wire.open_envelope(x)[1] for x in bodies)}
    assert {reasons[q["id"]] for q in questions[:4]} == {None, "busy"}
    assert reasons[questions[4]["id"]] == "not_found"


def test_a_replay_can_only_be_thrown_away(farm):
    farm.all()
    spy(farm, f"from.{farm.client}", f"archive.{farm.site}")
    request = farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), 1)))
    farm.wait_state(request, "restored")
    copy, = spied(farm)
    farm.publish(f"archive.{farm.site}", copy)
    wait.until(lambda: depth(farm) == 1, "it is refused")
    letter, = listed(farm)["letters"]
    assert (letter["reason"], letter["request"]) == ("replayed", request)
    refused = settle(farm, "POST", letter["id"])
    assert refused.status_code == 409 and "only be discarded" in refused.json()["detail"]
    assert settle(farm, "DELETE", letter["id"]).status_code == 200
    assert depth(farm) == 0


def test_a_letter_leaves_when_another_copy_of_its_message_was_served(farm):
    """The revision was not withdrawn, so that the course server cannot know; the client tells it."""
    farm.all()
    spy(farm, f"from.{farm.client}", f"archive.{farm.site}")
    request, stays = failed(farm, "1"), failed(farm, "99")
    wait.until(lambda: depth(farm) == 2, "two letters")
    copy = next(x for x in spied(farm) if wire.open_envelope(x)[1]["id"] == request)
    farm.requests[request] = farm.remote.add(samples.make(farm.path("made.mbz"), 1))
    farm.publish(f"archive.{farm.site}", copy, headers={"nv-requeued": "1"})
    farm.wait_state(request, "restored")
    producer, = farm.roles("producer")
    removed, = wait.until(lambda: producer.events("dead.removed"), "the letter of what is restored is gone")
    assert [x["request"] for x in listed(farm)["letters"]] == [stays]
    assert (removed["letters"], removed["site"]) == ("1", farm.site)


class MadeArchiver(threading.Thread):
    """Answers questions about courses as the first release does, and notes what it is asked. letters: what
    it says to questions about letters, by their body; without that it does not know of such."""

    def __init__(self, farm, letters=None):
        super().__init__(daemon=True)
        self.farm, self.asked, self.over, self.letters = farm, [], threading.Event(), letters

    def answer(self, kind, question):
        answer = {"id": question["id"], "at": wire.now_ms()}
        if kind == "letters.request":
            more = self.letters(question)
            return more and ("letters.reply", {**answer, "what": question["what"], **more})
        answer |= {"user": question.get("user", "?"), "status": "unknown-user", "courses": []}
        return "catalog.reply", answer | ({"kinds": ["letters.request"]} if self.letters else {})

    def run(self):
        farm = self.farm
        with farm.broker.connect(farm.vhost) as c:
            channel = c.channel()
            for method, _, body in channel.consume(f"catalog.{farm.site}", inactivity_timeout=0.05):
                if self.over.is_set():
                    return
                if method is None:
                    continue
                envelope, question = wire.open_envelope(body)
                self.asked.append((envelope["kind"], question))
                answer = self.answer(envelope["kind"], question)
                if answer:
                    channel.basic_publish(f"from.{farm.site}", f"events.{farm.client}", wire.seal(
                        *answer, farm.keys["site"], f"site:{farm.site}"), pika.BasicProperties(delivery_mode=2))
                channel.basic_ack(method.delivery_tag)

    def stop(self):
        self.over.set()
        self.join()

    def kinds(self):
        return {kind for kind, _ in self.asked}

    def asked_for(self, what):
        """Questions about letters."""
        return [q for kind, q in self.asked if kind == "letters.request" and q["what"] == what]


@pytest.fixture(name="patient")
def make_patient(make_farm):
    """Who does not answer is waited for 3 s."""
    return make_farm(producer={"catalog_timeout": "3s"})


def test_an_archiver_of_the_first_release_is_never_asked(patient):
    farm = patient
    farm.producer()
    old = MadeArchiver(farm)
    old.start()
    for method, path in (("GET", "/dead"), ("DELETE", f"/dead/{'0' * 32}"),
                         ("POST", f"/dead/{'0' * 32}/requeue")):
        refused = farm.person("root").call(method, f"{path}?site={farm.site}")
        assert refused.status_code == 409 and "too old" in refused.json()["detail"], refused.text
    old.stop()
    assert old.kinds() == {"catalog.request"}
    # It is upgraded: nobody needs to be told.
    farm.archiver()
    assert listed(farm)["letters"] == []
    # And is set back: what it said last counts until it answers again.
    farm.roles("archiver")[0].stop()
    old = MadeArchiver(farm)
    old.start()
    farm.person("ada").get("/courses?refresh=true")
    begun = len(old.asked)
    assert farm.person("root").call("GET", f"/dead?site={farm.site}").status_code == 409
    old.stop()
    assert {kind for kind, _ in old.asked[begun:]} == {"catalog.request"}


def test_a_course_server_that_is_away_is_named(patient):
    farm = patient
    farm.producer()
    begun = time.monotonic()
    away = farm.person("root").call("GET", f"/dead?site={farm.site}")
    assert away.status_code == 504 and "does not answer" in away.json()["detail"], away.text
    assert time.monotonic() - begun < 10
    archiver = farm.archiver()
    assert listed(farm)["letters"] == []
    archiver.stop()
    assert farm.person("root").call("GET", f"/dead?site={farm.site}").status_code == 504


def made_letter(letter, **changes):
    return {"id": letter, "kind": "restore.request", "size": 1, "rev": 1, "request": wire.uuid7(),
            "reason": "export_failed", "since": wire.now_ms(), "attempts": 1, "requeued": 0, **changes}


def test_what_is_no_id_of_a_letter_goes_no_further(patient):
    """A course server's word must not become a path in an administrator's browser."""
    farm = patient
    farm.producer()
    good, bad = "0" * 32, []
    made = MadeArchiver(farm, lambda q: {"letters": [
        *([made_letter(good)] if q["what"] == "list" else []), *(made_letter(x) for x in bad)]})
    made.start()
    root = farm.person("root")
    assert [x["id"] for x in listed(farm)["letters"]] == [good]
    for letter in ("../requests/a/cancel?b=" + "c" * 9, "A" * 32, "a" * 31, "a" * 31 + "/", "\u00e9" * 16):
        bad[:] = [letter]
        for answer in (root.call("GET", f"/dead?site={farm.site}"), settle(farm, "POST", good),
                       settle(farm, "DELETE", good)):
            assert (answer.status_code, answer.json()["reason"]) == (502, "bad_message"), answer.text
    made.stop()


def test_the_tidy_sees_more_letters_than_one_answer_holds(farm):
    farm.all()
    done = farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), 1)))
    farm.wait_state(done, "restored")
    stays = failed(farm, "99")

    def letter(request):
        wish = wire.restore_request(farm.site, "1", "ada", id=request)
        return wire.seal("restore.request", wish, farm.keys["client"], f"client:{farm.client}")
    bury_many(farm, [letter(stays) for _ in range(200)] + [letter(done)])

    # The tidy may be sooner than the listing; the letter of what is restored is the last.
    def seen():
        answer = listed(farm)
        return len(answer["letters"]) == 200 and answer
    answer = wait.until(seen, "all letters")
    assert answer["more"] and {x["request"] for x in answer["letters"]} == {stays}
    removed, = wait.until(lambda: farm.roles("producer")[0].events("dead.removed"), "the last letter is gone")
    assert removed["letters"] == "1"
    wait.until(lambda: depth(farm) == 201, "the others stay")


def settled_there(farm, made, letters):
    """A cancelled request, whose letter the course server says to have: the tidy has heard of it before."""
    made.start()
    farm.producer()
    request = ask_for(farm, "1")
    letters[:] = [made_letter(x * 32, request=request) for x in "012"]
    before = len(by_tidy(made, "list"))
    assert len(listed(farm)["letters"]) == 3
    wait.until(lambda: len(by_tidy(made, "list")) > before, "the tidy has seen them")
    return request


def by_tidy(made, what):
    return [q for q in made.asked_for(what) if "by" not in q]


def test_one_empty_answer_does_not_end_the_tidy(patient):
    """Somebody else may hold the letters just then."""
    farm, letters, held = patient, [], []

    def answer(question):
        return {"letters": [] if question["what"] == "list" and held and held.pop() else
                letters if question["what"] == "list" else [made_letter(question["letter"])]}
    made = MadeArchiver(farm, answer)
    request = settled_there(farm, made, letters)
    held.append(True)
    farm.person("root").post(f"/requests/{request}/cancel")
    wait.until(lambda: len(by_tidy(made, "discard")) >= 3, "it asks once more")
    assert not held
    made.stop()


def test_the_tidy_waits_once_for_a_course_server_that_is_away(patient):
    farm, letters, away = patient, [], []

    def answer(question):
        if question["what"] != "list" or away:
            return None
        return {"letters": letters}
    made = MadeArchiver(farm, answer)
    request = settled_there(farm, made, letters)
    farm.person("root").post(f"/requests/{request}/cancel")
    wait.until(lambda: farm.roles("producer")[0].events("dead.unremoved"), "no answer to the first")
    away.append(True)
    for _ in range(2):  # as long as two more would be waited for
        assert farm.person("root").call("GET", f"/dead?site={farm.site}").status_code == 504
    assert len(by_tidy(made, "discard")) == 1
    made.stop()
