# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything is lost but the Moodles, and comes back from what docs/operations.md says to keep: keys,
passwords and accounts, and a snapshot of Redis. Broker and store need no backup."""
import os
import shutil
import stat

from harness import api, keys, samples, wait


def to_keep(farm):
    """Of /etc/navette: what no command makes again as it was."""
    return [f for f in os.listdir(farm.folder) if f.endswith((".key", ".accounts", ".password"))] + ["credentials"]


def move(names, source, target):
    os.makedirs(target, exist_ok=True)
    for name in names:
        os.rename(os.path.join(source, name), os.path.join(target, name))


def credentials(farm):
    found = {}
    for name in os.listdir(farm.path("credentials")):
        with open(farm.path("credentials", name), encoding="ascii") as f:
            found[name] = f.read()
    assert len(found) == 3
    return found


def lose(farm):
    farm.broker.call("DELETE", "vhosts", farm.vhost)
    for user in farm.broker.call("GET", "users"):
        if user["name"].endswith((f".{farm.client}", f".{farm.site}")):
            farm.broker.call("DELETE", "users", user["name"])
    for folder in (farm.path("store"), farm.path("work")):
        shutil.rmtree(folder)
        os.makedirs(folder)


def test_all_is_lost_but_the_moodles(farm):
    producer, archiver, worker = farm.all()
    courses = [farm.remote.add(samples.make(farm.path(f"{n}.mbz"), n, blobs=2)) for n in range(4)]
    finished = farm.submit(courses[0])
    farm.wait_state(finished, "restored")
    worker.stop()
    ready = farm.submit(courses[1])
    farm.wait_state(ready, "ready")
    archiver.stop()
    waiting = [farm.submit(course, by="root", user="ada") for course in courses[2:]]
    snapshot = farm.path("backup", "redis.rdb")
    os.makedirs(farm.path("backup"))
    farm.redis.snapshot(snapshot)
    worker.start()
    farm.wait_state(ready, "restored")  # of which the snapshot does not know
    for d in (producer, worker):
        d.stop()

    kept = to_keep(farm)
    assert stat.S_IMODE(os.stat(farm.path("client.key")).st_mode) & 0o077 == 0
    move(kept, farm.folder, farm.path("backup"))
    lose(farm)
    farm.redis.kill()

    move(kept, farm.path("backup"), farm.folder)
    passwords = credentials(farm)
    farm.make_topology()
    assert credentials(farm) == passwords, "whoever has one goes on with it"
    farm.broker.shorten_delays(farm.vhost, 200)
    farm.redis.start_from(snapshot)
    for d in (producer, archiver, worker):
        d.start()
    assert farm.state(ready) == "ready" and farm.state(finished) == "restored"
    for d in (producer, archiver, worker):
        d.wait_ready()
    ada = farm.person()
    assert ada.call("POST", "/requests/republish").status_code == 403
    keys.write_secret(farm.path("api.password"), api.PASSWORD)
    said = farm.navette("republish", api={"url": producer.url("").rstrip("/"), "user": "root",
                                          "password_file": farm.path("api.password")})
    assert said == "3 requests are published again.\n"
    farm.assert_restored_once()
    assert all(farm.state(r) == "restored" for r in (finished, ready, *waiting))
    wait.until(lambda: not farm.redis.client.zcard("nv:idx:unpublished"), "all went out")
