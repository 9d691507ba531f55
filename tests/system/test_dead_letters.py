# SPDX-License-Identifier: GPL-3.0-or-later
"""Dead letters leave by themselves when their request is restored, cancelled or asked for again, the
client's and the course server's; others stay."""
from harness import samples, wait, wire


def letters(farm):
    return {x["request"]: x for x in farm.person("root").get("/dead")["letters"]}


def on_the_course_server(farm):
    return farm.broker.depth(farm.vhost, f"dead.{farm.site}")


def test_the_clients(farm):
    farm.all()
    ada, root = farm.person("ada"), farm.person("root")
    farm.local.may_create(False)
    again, stays = (farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), i)))
                    for i in range(2))
    for request in (again, stays):
        farm.wait_state(request, "failed")
    wait.until(lambda: letters(farm).keys() == {again, stays}, lambda: f"both: {letters(farm)}")
    first = letters(farm)[again]["id"]
    # It fails once more: the letter is the new revision's.
    ada.post(f"/requests/{again}/retry")
    wait.until(lambda: letters(farm).keys() == {again, stays} and letters(farm)[again]["id"] != first,
               lambda: f"the new one: {letters(farm)}")
    farm.wait_state(again, "failed")
    farm.local.may_create(True)
    ada.post(f"/requests/{again}/retry")
    farm.wait_state(again, "restored")
    wait.until(lambda: letters(farm).keys() == {stays}, lambda: f"one: {letters(farm)}")
    # Put right by its letter: that is gone with it.
    root.post(f"/dead/{letters(farm)[stays]['id']}/requeue")
    farm.wait_state(stays, "restored")
    wait.until(lambda: not letters(farm), lambda: f"none: {letters(farm)}")
    assert sum(int(e["letters"]) for e in farm.roles("producer")[0].events("dead.removed")) == 2


def test_the_course_servers(make_farm):
    """By the producer's word that a revision is withdrawn: the client may not read that queue. (Its own look,
    test_site_letters.py, does not come in this test.)"""
    farm = make_farm(producer={"sweep_after": "1h"})
    _, archiver, _ = farm.all()
    root = farm.person("root")
    request = root.post("/requests", {"site": farm.site, "course": "1", "user": "ada"})["results"][0]["id"]
    other = root.post("/requests", {"site": farm.site, "course": "99", "user": "ada"})["results"][0]["id"]
    for r in (request, other):
        farm.wait_state(r, "failed")
    wait.until(lambda: on_the_course_server(farm) == 2, "their letters")
    farm.requests[request] = farm.remote.add(samples.make(farm.path("made.mbz"), 1))
    assert farm.requests[request] == "1"
    root.post(f"/requests/{request}/retry")
    farm.wait_state(request, "restored")
    wait.until(lambda: archiver.events("dead.removed"), "the first one's letter is gone")
    wait.until(lambda: on_the_course_server(farm) == 1, "the other stays")


def test_questions_and_answers_that_an_older_daemon_did_not_understand(farm):
    """Beside a producer or an archiver of the first release: nobody waits for them any more."""
    def bury(owner, kind, body, reason, who):
        key = farm.keys["client" if who.startswith("client") else "site"]
        farm.publish(f"dead.{owner}", wire.seal(kind, body, key, who), f"self.{owner}", headers={
            "nv-queue": f"events.{owner}", "nv-reason": reason, "nv-error": "envelope.kind", "nv-at": str(wire.now_ms())})
    question = {"id": wire.uuid7(), "what": "list", "by": "root"}
    answer = {"id": wire.uuid7(), "what": "list", "at": wire.now_ms(), "letters": []}
    for reason in ("bad_message", "delivery_limit"):  # the other: who read it has died of it
        bury(farm.site, "letters.request", question, reason, f"client:{farm.client}")
        bury(farm.client, "letters.reply", answer, reason, f"site:{farm.site}")
    farm.producer()
    wait.until(lambda: farm.broker.depth(farm.vhost, f"dead.{farm.client}") == 1, "the answer is gone")
    request = farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), 1)), by="root")
    farm.archiver()
    farm.wait_state(request, "ready")
    farm.person("root").cancel(request)
    wait.until(lambda: on_the_course_server(farm) == 1, "the question is gone")
    for owner in (farm.client, farm.site):
        (properties, _), = wait.until(lambda o=owner: farm.broker.look(farm.vhost, f"dead.{o}"), "the other")
        assert properties.headers["nv-reason"] == "delivery_limit"
