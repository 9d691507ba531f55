# SPDX-License-Identifier: GPL-3.0-or-later
"""What was accepted while the broker was away is on the producer's disk: it outlives a Redis that is
emptied and a producer that is killed, each alone and together."""
# one ctest entry per function
import contextlib
import fcntl
import os
import threading
from concurrent import futures

from harness import api, disk, samples, wait


def spooled(farm, name="producer"):
    """The files of what a producer keeps: <request>.<revision>."""
    return sorted(n for n in os.listdir(farm.path("work", name, ".spool")) if not n.endswith(".tmp"))


def submit(farm, producer, course):
    """An administrator's request for ada: a teacher's needs the course server's answer."""
    root = api.Api(lambda: producer.url(""), "root")
    return root.call("POST", "/requests", json={"site": farm.site, "course": course, "user": "ada"})


def accept_unpublished(farm, producer, number):
    course = farm.remote.add(samples.make(farm.path("made.mbz"), number))
    answer = submit(farm, producer, course)
    result = answer.json()["results"][0]
    assert (answer.status_code, result["published"]) == (202, False), answer.text
    farm.requests[result["id"]] = course
    return result["id"]


@contextlib.contextmanager
def broker_away(farm, *daemons):
    farm.broker.kill()
    try:
        wait.until(lambda: all(d.events("broker.down") for d in daemons), "they have noticed")
        yield
    finally:
        farm.broker.start()


def test_outlives_an_emptied_redis_and_a_killed_producer(farm):
    first, _, _ = farm.all()
    second = farm.producer("second")
    with broker_away(farm, first, second):
        requests = [accept_unpublished(farm, p, i) for i, p in enumerate((first, second, first))]
        assert spooled(farm) == sorted(f"{r}.1" for r in (requests[0], requests[2]))
        assert spooled(farm, "second") == [f"{requests[1]}.1"]
        # The records come back by themselves, with the broker still away …
        farm.redis.client.flushall()
        wait.until(lambda: all(farm.state(r) == "scheduled" for r in requests), "the records are back")
        assert "had lost this request" in str(farm.redis.client.xrange(f"nv:log:{requests[0]}"))
        # … and with the next start.
        for producer in (first, second):
            producer.kill()
        farm.redis.client.flushall()
        for producer in (first, second):
            producer.start(ready=False)
    farm.assert_restored_once()
    wait.until(lambda: not spooled(farm) and not spooled(farm, "second"), "nothing is kept any more")
    wait.until(lambda: first.metric("navette_spooled_requests") == 0, "and the metric says so")


def test_a_change_and_a_cancel_count_also_for_what_is_kept(farm):
    producer, _, _ = farm.all()
    with broker_away(farm, producer):
        root = farm.person("root")
        kept, changed, cancelled = (accept_unpublished(farm, producer, i) for i in range(3))
        root.cancel(cancelled)
        assert root.patch(f"/requests/{changed}", {"user_data": False})["rev"] == 2
        assert f"{changed}.2" in spooled(farm)
        assert f"{cancelled}.1" not in spooled(farm)
        farm.redis.client.flushall()
    del farm.requests[cancelled]
    farm.assert_restored_once()
    assert farm.record(changed)["rev"] == "2" and farm.record(kept)["rev"] == "1"
    assert farm.state(cancelled) is None
    wait.until(lambda: not spooled(farm), "nothing is kept any more")


def test_what_cannot_be_kept_is_not_accepted(farm):
    """503, no sweep sends it all the same, and the course may be asked for again."""
    broken, unset, by_systemd = (farm.daemon("producer", name) for name in ("producer", "unset", "state"))
    for producer in (unset, by_systemd):
        del producer.config["producer"]["work_dir"]
        producer.configure(producer.config)
    broken.start()
    unset.start()
    by_systemd.start(STATE_DIRECTORY=f"{farm.path('other')}:{farm.path('work', 'state')}")
    assert unset.events("spool.missing") and not by_systemd.events("spool.missing")
    spool = farm.path("work", "producer", ".spool")
    os.rmdir(spool)
    with open(spool, "w", encoding="utf-8"):
        pass
    course = farm.remote.add(samples.make(farm.path("made.mbz"), 1))
    with broker_away(farm, broken, unset, by_systemd):
        answer = submit(farm, unset, course)
        assert (answer.status_code, answer.json()["reason"]) == (503, "broker_unavailable")
        assert "producer.work_dir" in answer.json()["detail"]
        assert int(answer.headers["Retry-After"]) > 0
        assert not farm.redis.client.keys("nv:req:*"), "no record of what was refused"
        answer = submit(farm, broken, course)
        assert (answer.status_code, answer.json()["reason"]) == (503, "io"), answer.text
        assert broken.events("spool.unwritten")
        assert not farm.redis.client.keys("nv:req:*"), "no record of what was refused"
        answer = submit(farm, broken, course)
        assert (answer.status_code, answer.json()["reason"]) == (503, "io"), "refused, not asked for already"
        request = accept_unpublished(farm, by_systemd, 2)
        assert spooled(farm, "state") == [f"{request}.1"]


def broken(spool):
    """What is kept stays, and nothing can be added."""
    os.rename(spool, spool + ".away")
    with open(spool, "w", encoding="utf-8"):
        pass


def mended(spool):
    os.unlink(spool)
    os.rename(spool + ".away", spool)


def test_a_change_that_cannot_be_kept_is_not_made(farm):
    """503 says that nothing has changed, and that is so: of what waits, and of what had failed."""
    producer = farm.producer()
    root = farm.person("root")
    sent, failed = (farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), i)), by="root") for i in (1, 2))
    root.cancel(failed)
    before = {r: root.request(r) for r in (sent, failed)}
    spool = farm.path("work", "producer", ".spool")
    with broker_away(farm, producer):
        broken(spool)
        for answer in (root.call("PATCH", f"/requests/{sent}", json={"user_data": False}),
                       root.call("POST", f"/requests/{sent}/run-now"),
                       root.call("POST", f"/requests/{failed}/retry")):
            assert (answer.status_code, answer.json()["reason"]) == (503, "io"), answer.text
            assert "nothing has changed" in answer.json()["detail"], answer.text
        for r, was in before.items():
            now = root.request(r)
            assert {**now, "modified": None} == {**was, "modified": None}
        mended(spool)
        assert root.patch(f"/requests/{sent}", {"user_data": False})["rev"] == 2
        assert spooled(farm) == [f"{sent}.2"]
    farm.archiver()
    farm.worker()
    farm.wait_state(sent, "restored")
    assert farm.record(sent)["rev"] == "2" and farm.state(failed) == "cancelled"


def test_a_change_of_which_nobody_knows_whether_it_was_undone(farm):
    """Redis stands still when it is to be undone: the answer says neither that it has changed nor that it has not."""
    producer = farm.producer()
    root = farm.person("root")
    request = farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), 1)), by="root", user="ada")
    spool = farm.path("work", "producer", ".spool")
    with broker_away(farm, producer), futures.ThreadPoolExecutor(1) as pool, \
            open(spool + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = pool.submit(root.call, "PATCH", f"/requests/{request}", json={"user_data": False})
        wait.until(lambda: farm.record(request)["rev"] == "2", "it has changed, and is to be kept")
        broken(spool)
        with farm.redis.stands_still():
            fcntl.flock(lock, fcntl.LOCK_UN)
            answer = answer.result()
        assert answer.status_code == 503 and "is not known whether the request has changed" in answer.text, answer.text
        mended(spool)
        assert not producer.events("request.undone") and producer.events("request.not_undone")
        wait.until(lambda: root.call("GET", f"/requests/{request}").status_code == 200, "Redis is back")
    farm.archiver()
    farm.worker()
    farm.wait_state(request, "restored")  # at whichever revision it is
    farm.assert_restored_once()


def test_a_file_that_cannot_be_removed_sends_nothing_twice(farm):
    """The disk of what is kept has become read-only: the broker has the request, and the file stays for a while."""
    producer = farm.daemon("producer")
    volume = disk.small(os.path.dirname(farm.path("work", "producer", ".spool")))
    try:
        producer.start()
        farm.archiver()
        farm.worker()
        with broker_away(farm, producer):
            request = accept_unpublished(farm, producer, 1)
            volume.read_only(True)
        farm.wait_state(request, "restored")
        wait.until(lambda: len(producer.events("spool.unremoved")) >= 2, "it is tried at each look")
        assert spooled(farm) == [f"{request}.1"]
        volume.read_only(False)
        wait.until(lambda: not spooled(farm), "it goes when it can")
        farm.assert_restored_once()
        assert farm.record(request)["rev"] == "1"
    finally:
        producer.stop()
        volume.close()


def test_producers_of_one_folder_wait_for_each_other(farm):
    """What another is about to keep, and may take away again, is not taken for kept."""
    producer = farm.producer()
    root = api.Api(lambda: producer.url(""), "root")
    root.get("/sites")  # signed in

    def post():
        return root.call("POST", "/requests", headers={"Idempotency-Key": "the same"},
                         json={"site": farm.site, "course": "1", "user": "ada"})
    with broker_away(farm, producer), futures.ThreadPoolExecutor(2) as pool, \
            open(farm.path("work", "producer", ".spool.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answers = [pool.submit(post)]
        key = wait.until(lambda: farm.redis.client.keys("nv:req:*"), "the record")[0].decode()
        name = key.removeprefix("nv:req:") + ".1"
        path = farm.path("work", "producer", ".spool", name)
        with open(path, "w", encoding="utf-8"):
            pass
        answers.append(pool.submit(post))
        wait.until(lambda: farm.redis.client.hget(key, "asks") == b"2", "both have asked")
        wait.until(lambda: len(producer.events("request.created")) == 2, "and are at the disk")
        os.unlink(path)
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert [a.result().status_code for a in answers] == [202, 202]
        assert spooled(farm) == [name] and os.path.getsize(path) > 0


def test_asked_for_twice_at_once_while_the_disk_fails_now_and_then(farm):
    """One request at most; and it is there, also without Redis, if anybody was told so."""
    producer = farm.producer()
    root = api.Api(lambda: producer.url(""), "root")
    root.get("/sites")  # signed in
    spool = farm.path("work", "producer", ".spool")
    stop = threading.Event()

    def fail_now_and_then():
        while not stop.is_set():
            broken(spool)
            mended(spool)

    def post(n):
        return root.call("POST", "/requests", headers={"Idempotency-Key": f"key {n}"},
                         json={"site": farm.site, "course": str(n), "user": "ada"})
    with broker_away(farm, producer), futures.ThreadPoolExecutor(5) as pool:
        failing = pool.submit(fail_now_and_then)
        answers = [list(pool.map(post, [n] * 4)) for n in range(100)]
        stop.set()
        failing.result()
        told = set()
        for same in answers:
            ids = {r["id"] for a in same if a.status_code == 202 for r in a.json()["results"]}
            assert {a.status_code for a in same} <= {202, 503} and len(ids) <= 1, [a.text for a in same]
            told |= ids
        refused = sum(a.status_code == 503 for same in answers for a in same)
        assert told and refused, (len(told), refused)
        assert sorted(spooled(farm)) == sorted(f"{r}.1" for r in told)
        records = {k.decode().removeprefix("nv:req:") for k in farm.redis.client.keys("nv:req:*")}
        assert records == told


def test_a_read_error_that_passes_loses_nothing(farm):
    """Only what was read and is no request is put aside."""
    producer, _, _ = farm.all()
    with broker_away(farm, producer):
        request = accept_unpublished(farm, producer, 1)
        path = farm.path("work", "producer", ".spool", f"{request}.1")
        os.rename(path, farm.path("meanwhile"))
        os.symlink(path, path)  # ELOOP
        wait.until(lambda: producer.events("spool.unread") or producer.events("spool.unreadable"), "it was read")
        assert spooled(farm) == [f"{request}.1"] and not producer.events("spool.unreadable")
        os.rename(farm.path("meanwhile"), path)
        farm.redis.client.flushall()
        wait.until(lambda: farm.state(request) == "scheduled", "the record is back")
        damaged = farm.path("work", "producer", ".spool", f"{request}.2")
        with open(damaged, "w", encoding="utf-8") as f:
            f.write("no request")
        wait.until(lambda: os.path.exists(f"{damaged}.unreadable"), "what is damaged is put aside")
    farm.assert_restored_once()


def test_the_same_request_many_times_at_once_is_kept_once(farm):
    """While the disk is busy with a long list, they come to be written together."""
    producer = farm.producer()
    root = api.Api(lambda: producer.url(""), "root")
    root.get("/sites")  # signed in

    def post(courses, key):
        return root.call("POST", "/requests", headers={"Idempotency-Key": key}, json={
            "requests": [{"site": farm.site, "course": str(c), "user": "ada"} for c in courses]})
    with broker_away(farm, producer), futures.ThreadPoolExecutor(9) as pool:
        long = pool.submit(post, range(1000, 1800), "long")
        wait.until(lambda: os.listdir(farm.path("work", "producer", ".spool")), "it is being written", every=0.001)
        answers = list(pool.map(post, [[1]] * 8, ["short"] * 8))
        results = [r for a in (*answers, long.result()) for r in a.json()["results"]]
        assert {r["status"] for r in results} == {202}
        assert len({a.json()["results"][0]["id"] for a in answers}) == 1
        assert not producer.events("spool.unwritten") and len(spooled(farm)) == 801


def test_a_key_that_goes_between_two_questions_is_no_other_body(farm):
    """As with a Redis that is emptied just then: what was there when the key was taken is gone when it is read."""
    producer = farm.producer()
    root = api.Api(lambda: producer.url(""), "root")
    root.get("/sites")  # signed in
    over = threading.Event()

    def forget():
        while not over.is_set():
            farm.redis.client.delete(*(farm.redis.client.keys("*idempotency:*") or ["nothing"]))
    with broker_away(farm, producer), futures.ThreadPoolExecutor(5) as pool:
        forgetting = pool.submit(forget)
        try:
            answers = list(pool.map(lambda _: root.call("POST", "/requests", headers={"Idempotency-Key": "k"}, json={
                "site": farm.site, "course": "no-such", "user": None}), range(400)))
        finally:
            over.set()
        forgetting.result()
    assert {a.status_code for a in answers} & {422, 500} == set(), {a.status_code: a.text for a in answers}
