# SPDX-License-Identifier: GPL-3.0-or-later
"""After a campaign: every request, course, archive, mail, queue and file is looked at. What is wrong is a list of
sentences; what an emptied Redis may forget (README) is counted apart."""
import collections

from harness import mbz, wait

FINAL = ("restored", "failed", "cancelled")
SETTLED = 420  # seconds for all that is open to end, and for mails that wait for their next try
COLLECTED = 300  # seconds for archivers that have just started to collect garbage among thousands of objects


def judge(town, crowd):
    town.well()
    wrong = []
    states = _ends(town, crowd, wrong)
    courses = _courses(town, crowd, states, wrong)
    mails = _mails(town, crowd, states, wrong)
    copies = _queues(town, wrong)
    _leftovers(town, wrong)
    if not courses:
        wrong.append("not one course was restored: the campaign shows nothing")
    for sentence in wrong[:40]:
        print(f"WRONG: {sentence}")
    return {"requests": len(crowd.asked), "restored": states.count("restored"), "cancelled": states.count("cancelled"),
            "failed as they must": len(crowd.impossible), "archives compared": courses, **mails,
            "submissions to be tried again": crowd.refused, "copies that wait for a clock": copies,
            "Redis emptied": len(town.emptied_at), "wrong": wrong}


class States(dict):
    def count(self, state):
        return sum(1 for s in self.values() if s == state)


def _ends(town, crowd, wrong):
    farm = town.farm

    def open_ones():
        return [r for r in crowd.asked if farm.state(r) not in FINAL and not _forgotten(town, crowd, r)]
    try:
        wait.until(lambda: not open_ones(), "all requests ended", SETTLED, 1)
    except AssertionError:
        for r in open_ones():
            wrong.append(f"request {r} (course {crowd.asked[r]}) never ended: {farm.record(r)}")
    states = States({r: farm.state(r) for r in crowd.asked})
    for r, state in states.items():
        if r in crowd.impossible:
            if state not in ("failed", None):
                wrong.append(f"request {r} of somebody unknown is {state}")
        elif state == "failed":
            wrong.append(f"request {r} failed: {farm.record(r)}")
        elif state == "cancelled" and r not in crowd.wanted_cancelled:
            wrong.append(f"request {r} was cancelled by nobody")
    return states


def _forgotten(town, crowd, request):
    """What failed or was cancelled before Redis was emptied has no record any more; it has no course either."""
    return bool(town.emptied_at) and town.farm.state(request) is None and \
        (request in crowd.impossible or request in crowd.wanted_cancelled)


def _courses(town, crowd, states, wrong):
    farm = town.farm
    there = set(farm.local.courses())
    restored = {r for r, s in states.items() if s == "restored"}
    for r in sorted(restored - there):
        wrong.append(f"request {r} is restored and has no course")
    for r in sorted(there - restored):
        wrong.append(f"request {r} is {states.get(r)} and has a course")
    twice = [c for c, n in collections.Counter(crowd.asked[r] for r in restored).items() if n > 1]
    if twice:
        wrong.append(f"restored twice: {twice}")
    for r in sorted(restored & there):
        try:
            mbz.assert_same(farm.remote.sources[crowd.asked[r]], farm.local.archive(r))
        except AssertionError as e:
            wrong.append(f"request {r}: {e}")
    return len(restored & there)


def _mails(town, crowd, states, wrong):
    """By mail at least once, always under one id; by the site exactly once."""
    farm = town.farm
    ended = [r for r, s in states.items() if s == "restored"]

    def by_mail():
        ids = collections.defaultdict(list)
        with town.sink.lock:
            for recipients, message in town.sink.mails:
                if recipients == ["ada@example.org"]:
                    ids[message["Message-ID"].strip("<>").split(".")[0]].append(message["Message-ID"])
        return ids

    def told():
        farm._age_notices()
        for notice in farm.redis.client.zrange("nv:notices:waiting", 0, -1):
            farm.redis.client.zadd("nv:notices:waiting", {notice: 1}, xx=True)
        ids = by_mail()
        return all(ids.get(r) and farm.local.mail(r) for r in ended)
    try:
        wait.until(told, "everybody told", SETTLED, 1)
    except AssertionError:
        pass  # named below
    ids, copies = by_mail(), 0
    for r in ended:
        if not ids.get(r) or not farm.local.mail(r):
            wrong.append(f"nobody was told of request {r}: mail {ids.get(r)}, site {farm.local.mail(r)}")
            continue
        if len(set(ids[r])) != 1:
            wrong.append(f"request {r} was told under several ids: {sorted(set(ids[r]))}")
        if len(farm.local.mail(r)) != 1:
            wrong.append(f"request {r} was told {len(farm.local.mail(r))} times by the site")
        copies += len(ids[r]) - 1
    for r in ids:
        if states.get(r) == "cancelled" and any(".cancelled." not in i for i in ids[r]):
            wrong.append(f"request {r} is cancelled and was told as {set(ids[r])}: {farm.record(r)}")
    return {"people told": len(ended), "mails that came again under the same id": copies}


def _queues(town, wrong):
    """Nothing waits anywhere but what was signed when a clock was ahead: such a request was sent again and has ended,
    and the old copy goes round once a minute until the time has come that it says.  How many do."""
    broker, farm = town.broker, town.farm
    held = {f"retry.{owner}.1m" for owner in (farm.site, farm.client)} if town.clock_was_wrong else set()

    def waiting():
        return {q["name"]: q["messages"] for q in broker.call("GET", "queues", farm.vhost)
                if q.get("messages") and not q["name"].startswith(("events.", "dead."))}
    try:
        wait.until(lambda: waiting().keys() <= held, "queues empty", 120, 1)
    except AssertionError:
        wrong.append(f"left in queues: {waiting()}")
    return sum(n for name, n in waiting().items() if name in held)


def _leftovers(town, wrong):
    try:
        town.farm.assert_nothing_left(COLLECTED)
    except AssertionError as e:
        wrong.append(str(e))
    try:
        town.check()
    except AssertionError as e:
        wrong.append(str(e))
