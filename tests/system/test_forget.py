# SPDX-License-Identifier: GPL-3.0-or-later
"""What ended long ago goes by itself.  Whoever asks to be forgotten is: after it, nothing in Redis holds the name, other people's requests are as they
were, and what has not ended is kept and said to be."""
import os

from harness import api, keys, samples, wait, wire

MANY = 1200
NAME = b"mmy"  # of emmy, "Emmy N."


def holders(redis):
    """Keys that hold the name, in themselves or in what they have."""
    found = []
    for key in redis.scan_iter(count=1000):
        kind = redis.type(key)
        if kind == b"string":
            value = redis.get(key)
        elif kind == b"hash":
            value = redis.hgetall(key)
        elif kind == b"zset":
            value = redis.zrange(key, 0, -1)
        elif kind == b"set":
            value = redis.smembers(key)
        else:
            value = redis.xrange(key)
        if NAME in key or NAME in repr(value).encode():
            found.append(key.decode())
    return sorted(found)


def older(redis, site, who, modified):
    """More than one step looks at: requests that failed long ago, and what was said of them."""
    pipe = redis.pipeline()
    for n in range(MANY):
        request = f"01900000-0000-7000-8000-{n:012d}"
        pipe.hset(f"nv:req:{request}", mapping={"state": "failed", "rev": 1, "user": who, "site": site, "rcourse": "9",
                                                "created": n, "published": 1})
        for index in ("all", f"site:{site}", f"user:{who}", "state:failed"):
            pipe.zadd(f"nv:idx:{index}", {request: n})
        pipe.zadd("nv:idx:modified", {request: modified})
        pipe.zadd(f"nv:course:{site}:9", {request: n})
        pipe.xadd("nv:events", {"kind": "request", "id": request, "user": who if n % 3 else "ada"})
    pipe.execute()


def test_who_asks_is_forgotten(make_farm):
    farm = make_farm(log={"people": False})
    who = "emmy"
    courses = [farm.remote.add(samples.make(farm.path(f"{n}.mbz"), n, blobs=1), teacher=t)
               for n, t in ((1, who), (2, who), (3, who), (4, "ada"))]
    farm.all()
    root, ada = farm.person("root"), farm.person()
    mine = [root.submit(farm.site, course, user=who) for course in courses[:2]]
    hers = ada.submit(farm.site, courses[3])
    for request in (*mine, hers):
        farm.wait_state(request, "restored")
    wait.until(lambda: len(farm.local.mail()) == 3, "all are told", 60)
    farm.roles("archiver")[0].stop()
    waiting = root.submit(farm.site, courses[2], user=who)
    redis = farm.redis.client
    older(redis, farm.site, who, wire.now_ms())
    redis.hset(f"nv:req:{hers}", f"join:{who}", "done")  # as after "enrol me" on ada's course
    before = redis.hgetall(f"nv:req:{hers}")
    assert f"nv:req:{mine[0]}" in holders(redis)

    assert ada.call("DELETE", f"/users/{who}").status_code == 403
    assert root.call("DELETE", f"/users/{who}?dry_run=perhaps").status_code == 422
    assert root.call("DELETE", f"/users/{who}?colour=red").status_code == 422
    dry = root.call("DELETE", f"/users/{who}?dry_run=true").json()
    assert dry == {"user": who, "dry_run": True, "removed": MANY + 2, "kept": 1, "traces": 0}
    assert f"nv:req:{mine[0]}" in holders(redis), "nothing was changed"

    left = farm.path("store", farm.site, farm.client, "archives", mine[1], wire.uuid7())  # as after a failed restore
    os.makedirs(left)
    for name in ("manifest", "skeleton.tar.zst"):
        with open(os.path.join(left, name), "wb") as f:
            f.write(b"hers")

    done = root.call("DELETE", f"/users/{who}").json()
    assert (done["removed"], done["kept"]) == (MANY + 2, 1) and done["traces"] > MANY * 2 // 3
    for request in mine:
        assert root.call("GET", f"/requests/{request}").status_code == 404
        assert list(redis.scan_iter(f"*{request}*", count=1000)) == [f"nv:forgotten:{request}".encode()]
        assert not [k for k in redis.scan_iter("nv:idx:*", _type="zset") if redis.zscore(k, request) is not None]
    assert redis.xlen("nv:events") > MANY // 3 and not redis.exists(f"nv:course:{farm.site}:9")
    worker = farm.roles("worker")[0]
    worker.stop()
    worker.start()  # looks at once, and each minute
    wait.until(lambda: not os.path.exists(os.path.join(left, "manifest")), "the store has let go", 30)
    wait.until(lambda: not redis.exists("nv:unstore"), "nothing is left to do", 30)
    assert farm.state(waiting) == "scheduled"
    assert {k: v for k, v in before.items() if not k.startswith(b"join:")} == redis.hgetall(f"nv:req:{hers}")

    root.post(f"/requests/{waiting}/cancel")
    wait.until(lambda: farm.state(waiting) in ("cancelled", "cancelling"), "cancelled")
    farm.archiver("archiver-2")
    farm.wait_state(waiting, "cancelled")
    keys.write_secret(farm.path("api.password"), api.PASSWORD)
    out = farm.navette("forget", who, api={"url": farm.roles("producer")[0].url("").rstrip("/"), "user": "root",
                                           "password_file": farm.path("api.password")})
    assert "1 requests and" in out and "kept" not in out
    # A message about it that was on its way brings nothing back.
    wish = wire.restore_request(farm.site, courses[2], who, id=waiting)
    late = wire.seal("status.event", {
        "request": wire.seal("restore.request", wish, farm.keys["client"], f"client:{farm.client}"),
        "attempt": wire.uuid7(), "seq": 1, "state": "cancelled", "at": wire.now_ms()}, farm.keys["site"],
        f"site:{farm.site}")
    farm.publish(f"events.{farm.client}", late, exchange=f"from.{farm.site}")
    farm.assert_queues_empty()
    # What ends by itself within minutes: answers of course servers, sessions, presences.
    assert not [k for k in holders(redis) if not k.startswith(("nv:kv:", "nv:present"))]
    assert "dry" not in out
    for d in farm.daemons:
        assert d.events("daemon.started") and NAME.decode() not in d.text(), d.name


def test_what_ended_long_ago_goes(make_farm):
    farm = make_farm(producer={"keep": "1h"})
    farm.archiver()
    producer = farm.producer()
    waiting = farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), 1, blobs=1)))
    redis = farm.redis.client
    an_hour, site = 3600_000, farm.site
    farm.wait_state(waiting, "ready")
    producer.stop()  # or its sweep begins while they are made
    redis.zadd("nv:idx:modified", {waiting: wire.now_ms() - 2 * an_hour})  # old, and not ended
    older(redis, site, "emmy", wire.now_ms() - an_hour - 1)
    producer.start()
    event = wait.until(lambda: producer.events("sweep.removed"), "removed")
    assert event[0]["requests"] == str(MANY)
    assert redis.zrange("nv:idx:all", 0, -1) == [waiting.encode()] == redis.zrange("nv:idx:modified", 0, -1)
    assert not list(redis.scan_iter("nv:req:01900000-*", count=1000)) and not redis.exists("nv:idx:user:emmy")
    farm.worker()
    farm.wait_state(waiting, "restored")
