# SPDX-License-Identifier: GPL-3.0-or-later
"""People are told by mail, once, in their language; administrators hear of failures."""
import re
import signal
import threading

import pytest

from harness import samples, wait
from harness.smtp import Certificate, Sink

ADMINS = ["root@example.org", "ops@example.org"]
PAGE = "https://navette.this-year.example.org"


@pytest.fixture
def sink():
    s = Sink()
    yield s
    s.close()


def make(make_farm, sink, **notify):
    return make_farm(notify={"smtp_url": f"smtp://127.0.0.1:{sink.port}",
                             "mail_from": "navette@this-year.example.org", "admins": ADMINS,
                             **notify})


def configured(farm, name="worker"):
    """The harness merges settings into the sections that a daemon has; notify is a new one."""
    d = farm.daemon("worker", name)
    d.configure({**d.config, "notify": farm.settings["notify"], "producer": {"base_url": PAGE}})
    return d


def ask(farm, number, user, **changes):
    course = farm.remote.add(samples.make(farm.path(f"m{number}.mbz"), number, 1), "ada")
    return farm.ask(course, user=user, mail=f"{user or 'nobody'}{number}@example.org", **changes)


def ask_what_fails(farm, number, **changes):
    """A teacher on the course server whom the client does not know."""
    stranger = f"mallory{number}"
    farm.remote.add_user(stranger)
    course = farm.remote.add(samples.make(farm.path(f"m{number}.mbz"), number, 1), stranger)
    return farm.ask(course, **{"user": stranger, "mail": f"{stranger}@example.org",
                               "fullname": f"Course {number}", **changes})


def text_of(message):
    return message.get_body(("plain",)).get_content()


def html_of(message):
    return message.get_body(("html",)).get_content()


def test_success_and_failure_arrive_once_in_the_users_language(make_farm, sink):
    farm = make(make_farm, sink)
    farm.archiver()
    configured(farm).start()
    configured(farm, "worker-2").start()
    good = [ask(farm, n, "ada", lang="fr" if n % 2 else "en", user_name="Ada Ł.")
            for n in range(1, 7)]
    bad = ask_what_fails(farm, 7, lang="fr", user_name="Mallory M.")
    for request in good:
        farm.wait_state(request, "restored")
    farm.wait_state(bad, "failed")
    sink.wait_count(len(good) + 1 + len(ADMINS))
    # What would come a second time comes now: nothing is left to be told.
    wait.until(lambda: farm.redis.client.xlen("nv:notices") == 0, "all notices done", 20)
    assert len(sink.mails) == len(good) + 1 + len(ADMINS)
    for n in range(1, 7):
        mail, = sink.to(f"ada{n}@example.org")
        assert mail["From"] == "navette@this-year.example.org" and mail["Date"]
        french = n % 2 == 1
        assert mail["Subject"] == (f"Cours restauré : Course {n}" if french
                                   else f"Course restored: Course {n}")
        text = text_of(mail)
        assert ("Bonjour Ada Ł.," if french else "Hello Ada Ł.,") in text
        assert (f"« Course {n} »" if french else f'"Course {n}"') in text
        assert re.fullmatch(rf"<{good[n - 1]}\.1\.restored\.mail0@this-year\.example\.org>",
                            mail["Message-ID"])
    mail, = sink.to("mallory7@example.org")
    assert mail["Subject"] == "Cours non restauré : Course 7"
    assert "Vous n’avez pas de compte sur cette plateforme" in text_of(mail)
    assert f"Vos cours et vos demandes : {PAGE}" in text_of(mail)
    assert bad not in text_of(mail), "details are for administrators"
    for n, admin in enumerate(ADMINS):
        mail, = sink.to(admin)
        text = text_of(mail)
        assert mail["Subject"] == "Course not restored: Course 7"
        assert bad in text and "unknown_user" in text and "mallory" in text
        finished = farm.record(bad)["finished"]
        assert mail["Message-ID"] == f"<{bad}.1.failed.{finished}.mail1.{n}@this-year.example.org>"
    # And through the site, once each.
    for request in good:
        assert len(farm.local.mail(request)) == 1


def test_a_mail_is_text_and_html_and_names_in_it_stay_names(make_farm, sink):
    farm = make(make_farm, sink, admins=["root@example.org"], lang="fr")
    farm.archiver()
    configured(farm).start()
    name = "<script>alert(1)</script> & \u202eعربي 😀 " + "x" * 200
    bad = ask_what_fails(farm, 1, lang="fr_ca", fullname=name, user_name='"><img src=x>')
    other = ask_what_fails(farm, 2, lang="de")
    farm.wait_state(bad, "failed")
    farm.wait_state(other, "failed")
    sink.wait_count(4)
    mail, = sink.to("mallory1@example.org")
    assert mail.get_content_type() == "multipart/alternative"
    parts = [(p.get_content_type(), p.get_content_charset()) for p in mail.iter_parts()]
    assert parts == [("text/plain", "utf-8"), ("text/html", "utf-8")]
    assert mail["MIME-Version"] == "1.0" and mail["Content-Language"] == "fr"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Id"] == "Navette <navette.this-year.example.org>"
    assert not mail.defects and len(mail["Subject"]) < 200
    assert name in text_of(mail) and name.startswith(mail["Subject"].partition(" : ")[2][:40])
    html = html_of(mail)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; " in html and '<html lang="fr">' in html
    assert "<script" not in html and "<img" not in html
    assert f'<a href="{PAGE}">' in html
    # A language that there is not, and nobody's: the one that is set.
    mail, = sink.to("mallory2@example.org")
    assert mail["Subject"] == "Cours non restauré : Course 2"
    for mail in sink.to("root@example.org"):
        assert "L’utilisateur n’a pas de compte" in text_of(mail)
        assert re.search(rf"\n\s*Voir la demande : {PAGE}/#request=({bad}|{other})\s",
                         text_of(mail))


def test_a_mail_whose_fate_is_unknown_comes_again_under_the_same_id(make_farm, sink):
    """The server takes it and falls silent, then refuses for a while: nobody is told less than once,
    and a mail program sees that two are one."""
    farm = make(make_farm, sink, notify_site=False, admins=[])
    sink.answers += ["", "451 try again later"]
    farm.archiver()
    configured(farm).start()
    request = ask(farm, 1, "ada")
    farm.wait_state(request, "restored")
    sink.wait_count(2)
    wait.until(lambda: farm.redis.client.xlen("nv:notices") == 0, "the notice done", 20)
    first, second = sink.to("ada1@example.org")
    assert first["Message-ID"] == second["Message-ID"]
    assert text_of(first) == text_of(second)
    assert not farm.local.mail(request)


def test_a_server_that_does_not_say_goodbye_holds_nothing_up(make_farm, sink):
    """libcurl alone would wait two minutes, and another notifier takes a notice after one."""
    farm = make(make_farm, sink, notify_site=False)
    sink.goodbye = threading.Event()
    farm.archiver()
    worker = configured(farm).start()
    bad = ask_what_fails(farm, 1)
    farm.wait_state(bad, "failed")
    try:
        wait.until(lambda: farm.redis.client.xlen("nv:notices") == 0, "the notice done", 50)
        assert len(sink.mails) == 3
        assert worker.metric("navette_worker_notices_total", result="sent") == 3
        worker.stop()
    finally:
        sink.goodbye.set()


def dead(farm, *args):
    return farm.navette("dead", *args, broker={
        "uris": [f"amqp://guest@127.0.0.1:{farm.broker.amqp}/{farm.vhost}"],
        "password_file": farm.path("admin.password"),
        "clients": [farm.client], "sites": [farm.site]})


def test_what_is_put_back_and_fails_again_is_told_again(make_farm, sink):
    """The revision stays the same: the second failure is another one all the same. A letter of which
    nobody knows whether it arrived still comes again under its own id."""
    farm = make(make_farm, sink)
    sink.answers += [""]  # to the first letter: taken, then silence
    farm.producer()
    farm.archiver()
    configured(farm).start()
    bad = farm.ask("99", mail="ada@example.org")  # there is no such course
    farm.wait_state(bad, "failed")
    first = farm.record(bad)["finished"]
    sink.wait_count(4)
    wait.until(lambda: farm.redis.client.xlen("nv:notices") == 0, "the notice done", 20)
    people = ["ada@example.org", *ADMINS]
    assert sorted(len(sink.to(p)) for p in people) == [1, 1, 2]
    queue = f"dead.{farm.site}"
    wait.until(lambda: farm.broker.depth(farm.vhost, queue) == 1, "the dead letter")
    dead(farm, "requeue", "1", "--queue", queue)
    sink.wait_count(7)
    wait.until(lambda: farm.redis.client.xlen("nv:notices") == 0, "the second notice done", 20)
    second = farm.record(bad)["finished"]
    assert first != second and farm.states(bad).count("failed") == 2
    for to, person in zip(("mail0", "mail1.0", "mail1.1"), people):
        ids = {m["Message-ID"] for m in sink.to(person)}
        assert ids == {f"<{bad}.1.failed.{at}.{to}@this-year.example.org>"
                       for at in (first, second)}
    assert len(sink.mails) == 7
    # And through the site, which drops what it has had.
    assert [n for n in farm.local.mail(bad) if "site0" in n] == [
        f"{bad}.1.failed.{at}.site0.txt" for at in (first, second)]


def test_an_address_that_is_refused_does_not_hold_up_the_others(make_farm, sink):
    farm = make(make_farm, sink)
    sink.answers += ["550 no such person"]
    farm.archiver()
    worker = configured(farm).start()
    first = ask(farm, 1, "ada")
    farm.wait_state(first, "restored")
    wait.until(lambda: worker.events("notice.refused"), "a refusal")
    second = ask(farm, 2, "ada")
    sink.wait_count(1)
    assert sink.to("ada2@example.org") and not sink.to("ada1@example.org")
    farm.wait_state(second, "restored")
    assert "550" in worker.events("notice.refused")[0]["err"]


def test_what_was_asked_without_a_person_tells_administrators_only(make_farm, sink):
    farm = make(make_farm, sink)
    farm.archiver()
    configured(farm).start()
    good = ask(farm, 1, None)
    farm.wait_state(good, "restored", "failed")
    assert farm.state(good) == "restored", farm.record(good)
    bad = farm.ask("99", user=None)
    del farm.requests[bad]
    again = ask(farm, 2, "ada")
    sink.wait_count(1)
    farm.wait_state(again, "restored")
    assert {r for recipients, _ in sink.mails for r in recipients} == {"ada2@example.org"}


# --- trouble that passes, and trouble that does not ---

def wake(farm):
    """What waits for its next try is due now; an entry that nobody can read wakes the notifiers."""
    waiting = farm.redis.client.zrange("nv:notices:waiting", 0, -1)
    for notice in waiting:
        farm.redis.client.zadd("nv:notices:waiting", {notice: 1}, xx=True)
    farm.redis.client.xadd("nv:notices", {"nobody": "reads this"})


def wait_tries(farm, worker, request, tries):
    def delayed():
        return any(e["req"] == request and int(e["tries"]) >= tries
                   for e in worker.events("notice.delayed"))
    wait.until(delayed, f"try {tries} of {request}", 30)


def test_a_mail_server_away_for_a_night_loses_nothing(make_farm, sink):
    """More tries than were ever made at once, a killed worker in the middle, and meanwhile others
    hear through the site what became of their requests."""
    farm = make(make_farm, sink, admins=[])
    farm.archiver()
    worker = configured(farm).start()
    sink.close()
    first = ask(farm, 1, "ada")
    farm.wait_state(first, "restored")
    for tries in range(1, 5):
        wait_tries(farm, worker, first, tries)
        wake(farm)
    worker.kill()
    worker.start()
    second = ask(farm, 2, "ada")
    farm.wait_state(second, "restored")
    wait.until(lambda: farm.local.mail(second), "the site's message")
    for tries in range(5, 8):
        wake(farm)
        wait_tries(farm, worker, first, tries)
    assert not sink.mails and not worker.events("notice.dropped")
    sink.open()

    def all_told():
        wake(farm)
        return len(sink.mails) >= 2
    wait.until(all_told, lambda: f"two mails, not {sink.mails}", 60, 0.5)
    wait.until(lambda: farm.redis.client.zcard("nv:notices:waiting") == 0, "nothing waits")
    assert len(sink.to("ada1@example.org")) == len(sink.to("ada2@example.org")) == 1
    for request in (first, second):
        assert len(farm.local.mail(request)) == 1


def test_what_cannot_be_told_is_given_up_after_its_time_and_said(make_farm, sink):
    farm = make(make_farm, sink, admins=[], give_up_after="3s")
    sink.close()
    farm.archiver()
    worker = configured(farm).start()
    request = ask(farm, 1, "ada")
    farm.wait_state(request, "restored")
    wait.until(lambda: worker.events("notice.dropped"), "the end of it")
    dropped, = worker.events("notice.dropped")
    assert dropped["level"] == "error" and dropped["req"] == request and dropped["to"] == "mail0"
    assert "ada1@example.org" in dropped["err"]
    assert worker.events("notice.delayed"), "it was not tried again"
    assert worker.metric("navette_worker_notices_total", result="dropped") == 1
    wait.until(lambda: farm.redis.client.xlen("nv:notices") == 0, "nothing kept")
    assert farm.redis.client.zcard("nv:notices:waiting") == 0
    assert len(farm.local.mail(request)) == 1


def test_who_was_told_is_not_told_again_for_the_sake_of_another(make_farm, sink):
    """One administrator's mailbox is full for a while."""
    farm = make(make_farm, sink)
    sink.recipients[ADMINS[0]] = "452 mailbox full"
    farm.archiver()
    worker = configured(farm).start()
    bad = ask_what_fails(farm, 1)
    farm.wait_state(bad, "failed")
    for tries in range(1, 4):
        wait_tries(farm, worker, bad, tries)
        wake(farm)
    assert len(sink.to(ADMINS[1])) == len(sink.to("mallory1@example.org")) == 1
    sink.recipients.clear()

    def told():
        wake(farm)
        return sink.to(ADMINS[0])
    wait.until(told, "the first administrator", 30, 0.5)
    wait.until(lambda: farm.redis.client.zcard("nv:notices:waiting") == 0, "nothing waits")
    assert len(sink.mails) == 3


def test_a_recipient_refused_is_final_a_sender_refused_is_not(make_farm, sink):
    farm = make(make_farm, sink, admins=[], notify_site=False)
    sink.recipients["ada1@example.org"] = "550 no such user"
    farm.archiver()
    worker = configured(farm).start()
    first = ask(farm, 1, "ada")
    farm.wait_state(first, "restored")
    wait.until(lambda: worker.events("notice.refused"), "the refusal")
    refused, = worker.events("notice.refused")
    assert "550" in refused["err"] and refused["to"] == "mail0"
    assert sink.asked == ["ada1@example.org"] and not worker.events("notice.delayed")
    sink.sender_answer = "550 who are you?"
    second = ask(farm, 2, "ada")
    farm.wait_state(second, "restored")
    wait_tries(farm, worker, second, 1)
    assert "550" in worker.events("notice.delayed")[-1]["err"]
    sink.sender_answer = ""
    sink.wait_count(1)
    assert sink.to("ada2@example.org")


class Gate(dict):
    """As a sink's recipients: the server is silent at the first one, until it is opened."""
    def __init__(self):
        super().__init__()
        self.reached, self.opened = threading.Event(), threading.Event()

    def __contains__(self, address):
        self.reached.set()
        self.opened.wait(30)
        return super().__contains__(address)


@pytest.mark.parametrize("refused", [{}, {ADMINS[0]: "452 mailbox full"}])
def test_a_worker_that_stops_while_it_tells_people_says_whom_it_told(make_farm, sink, refused):
    farm = make(make_farm, sink)
    sink.recipients = gate = Gate()
    gate.update(refused)
    farm.archiver()
    worker = configured(farm).start()
    bad = ask_what_fails(farm, 1)
    farm.wait_state(bad, "failed")
    assert gate.reached.wait(30), "no mail"
    worker.signal(signal.SIGTERM)
    wait.until(lambda: worker.events("daemon.stopping"), "the stop")
    gate.opened.set()
    assert worker.wait_end() == 0, worker.tail()
    sent = len(sink.mails)
    assert sent == 3 - len(refused)
    assert farm.redis.client.xlen("nv:notices") == 0, "told, and not said so"
    assert farm.redis.client.zcard("nv:notices:waiting") == len(refused)
    gate.clear()
    worker.start()
    wake(farm)
    wait_nothing_to_tell(farm)
    assert len(sink.mails) == 3


def test_a_letter_taken_from_a_worker_that_dies_comes_again_under_the_same_id(make_farm, sink):
    farm = make(make_farm, sink, admins=[], notify_site=False)
    said = threading.Event()
    sink.answers += [said]
    farm.archiver()
    worker = configured(farm).start()
    request = ask(farm, 1, "ada")
    farm.wait_state(request, "restored")
    sink.wait_count(1)
    worker.kill()
    said.set()
    worker.start()
    wait_nothing_to_tell(farm)
    first, second = sink.to("ada1@example.org")
    assert first["Message-ID"] == second["Message-ID"]
    assert text_of(first) == text_of(second)


# --- many failures at once ---

def digests(farm, sink, admin):
    """(those told alone, the digests): requests by message, each message once."""
    alone, together = [], []
    for mail in sink.to(admin):
        found = re.findall(r"#request=(\S+)", text_of(mail))
        assert set(found) == set(re.findall(r"#request=([^\"]+)\"", html_of(mail)))
        (together if "digest" in mail["Message-ID"] else alone).append(found)
        assert set(found) <= set(farm.requests)
    assert all(len(a) == 1 for a in alone)
    return [a for a, in alone], together


def wait_nothing_to_tell(farm, waiting=0):
    def told():
        farm._age_notices()
        return (farm.redis.client.xlen("nv:notices") == 0
                and farm.redis.client.zcard("nv:notices:waiting") == waiting)
    wait.until(told, lambda: f"nothing but {waiting} digests to tell: "
               f"{farm.redis.client.zrange('nv:notices:waiting', 0, -1)}", 60)


def fail(farm, numbers):
    requests = [ask_what_fails(farm, n) for n in numbers]
    for request in requests:
        farm.wait_state(request, "failed")
    return requests


def test_many_failures_reach_administrators_in_one_message(make_farm, sink):
    """Two workers, one of them killed while failures are collected; nothing is lost or doubled."""
    farm = make(make_farm, sink, notify_site=False, digest_window="1h")
    farm.archiver()
    workers = [configured(farm).start(), configured(farm, "worker-2").start()]
    bad = fail(farm, range(1, 8))
    wait_nothing_to_tell(farm, waiting=1)  # a letter on its way would come a second time
    workers[0].kill()
    bad += fail(farm, range(8, 13))
    wait_nothing_to_tell(farm, waiting=1)
    for admin in ADMINS:
        alone, together = digests(farm, sink, admin)
        assert len(alone) == len(set(alone)) == 5 and not together
    workers[0].start()
    workers[1].kill()
    wake(farm)
    sink.wait_count(12 + 2 * 5 + 2)
    wait_nothing_to_tell(farm)
    for n in range(1, 13):
        assert len(sink.to(f"mallory{n}@example.org")) == 1, "people hear of their own"
    for admin in ADMINS:
        alone, (rest,) = digests(farm, sink, admin)
        assert len(rest) == 7 and sorted(alone + rest) == sorted(bad)
        digest = sink.to(admin)[-1]
        assert digest["Subject"] == "7 courses not restored"
        assert "7 × The user has no account" in text_of(digest)
        assert re.search(r"\n  - Course \d+, from .+, asked for by mallory\d+: ", text_of(digest))
    assert len(sink.mails) == 12 + 2 * 5 + 2


def test_a_digest_that_cannot_be_sent_stays_as_it_is(make_farm, sink):
    """What fails while it waits for its next try goes into another; a killed worker takes neither
    with it."""
    farm = make(make_farm, sink, notify_site=False, digest_window="1h", digest_after=2,
                admins=ADMINS[:1])
    farm.archiver()
    worker = configured(farm).start()
    bad = fail(farm, range(1, 6))
    wait_nothing_to_tell(farm, waiting=1)
    sink.recipients[ADMINS[0]] = "452 mailbox full"
    wake(farm)
    wait.until(lambda: worker.events("notice.delayed"), "a digest put back")
    wait_nothing_to_tell(farm, waiting=1)
    bad += fail(farm, range(6, 8))
    wait_nothing_to_tell(farm, waiting=2)
    worker.kill()
    sink.recipients.clear()
    worker.start()
    wake(farm)
    sink.wait_count(7 + 2 + 2)
    wait_nothing_to_tell(farm)
    alone, together = digests(farm, sink, ADMINS[0])
    assert len(alone) == 2
    assert sorted(map(len, together)) == [2, 3]
    assert sorted(alone + together[0] + together[1]) == sorted(bad)
    assert len({m["Message-ID"] for _, m in sink.mails}) == len(sink.mails) == 11


@pytest.mark.parametrize("offered,smtp_tls,trusted,says", [
    (True, "required", True, None),
    (True, "required", False, "certificate"),
    (True, "optional", True, None),
    (False, "required", True, "offers no STARTTLS"),
    (False, "optional", True, None),
    (True, "off", False, None),
])
def test_starttls_is_what_the_configuration_says(make_farm, tmp_path, offered, smtp_tls, trusted,
                                                 says):
    certificate = Certificate(str(tmp_path / "tls"))
    sink = Sink(tls=certificate if offered else None)
    try:
        farm = make(make_farm, sink, admins=[], notify_site=False, smtp_tls=smtp_tls,
                    **({"smtp_ca_file": certificate.path} if trusted else {}))
        farm.archiver()
        worker = configured(farm).start()
        request = ask(farm, 1, "ada")
        farm.wait_state(request, "restored")
        if says:
            wait_tries(farm, worker, request, 1)
            delayed = worker.events("notice.delayed")[0]
            assert says in delayed["err"] and not sink.asked, "an address went out in the clear"
        else:
            sink.wait_count(1)
            assert sink.encrypted == [offered and smtp_tls != "off"]
    finally:
        sink.close()
