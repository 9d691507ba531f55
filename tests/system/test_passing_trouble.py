# SPDX-License-Identifier: GPL-3.0-or-later
"""What passes by itself uses up no attempt: a site that is being upgraded or away, a store that is
away or full. The daemons take no more work meanwhile, say why wherever somebody looks, and go on by
themselves. A failure of one course is tried again, and everybody sees when."""
# one ctest entry per function
import datetime
import os

import pytest
import requests

from harness import api, disk, keys, samples, standin, staging, wait
from harness.fault_proxy import FaultProxy

UPGRADING = "Moodle waits for its upgrade"


@pytest.fixture
def town(make_farm):
    """One attempt only: whatever used one up would fail a request."""
    return make_farm(archiver={"attempts": 1}, worker={"attempts": 1})


def held(daemon):
    """The reason word that /readyz gives; None: ready."""
    answer = requests.get(daemon.url("/readyz"), timeout=5)
    return answer.json()["reason"] if answer.status_code == 503 else None


def wait_held(daemon, reason):
    wait.until(lambda: held(daemon) == reason, lambda: f"{daemon.name} held: {held(daemon)}", 30)
    assert daemon.metric("navette_held", reason=reason) == 1
    assert len(daemon.events("hold.begun")) == 1


def consumers(farm, queue):
    return farm.broker.call("GET", "queues", farm.vhost, queue).get("consumers")


def assert_waits(farm, queue, request, state, reason):
    """The record says it, no attempt is used up, and the message rests in its queue."""
    wait.until(lambda: farm.record(request).get("reason") == reason,
               lambda: f"{reason}: {farm.record(request)}", 30)
    record = farm.record(request)
    assert (record["state"], record["failures"]) == (state, "0"), record
    assert "held" in record and "next_try" not in record, record
    wait.until(lambda: consumers(farm, queue) == 0, f"nobody takes from {queue}", 30)
    wait.until(lambda: farm.broker.depth(farm.vhost, queue) == 1, f"the message in {queue}", 30)


def test_a_course_server_that_is_upgraded_is_waited_for(town):
    moodle = standin.Moodle(town.path("moodle"))
    archiver = town.daemon("archiver")
    archiver.configure({**archiver.config, "site": moodle.section()})
    moodle.trouble("site_upgrading", UPGRADING)
    town.producer()
    archiver.start()
    town.worker()
    request = town.submit("1", by="root")
    queue = f"archive.{town.site}"
    wait_held(archiver, "site_upgrading")
    assert_waits(town, queue, request, "scheduled", "site_upgrading")
    assert town.record(request)["message"] == UPGRADING
    # The urgent ones wait as well, and what is asked for now is not begun.
    urgent = town.submit("2", by="root", now=True)
    wait.until(lambda: town.broker.depth(town.vhost, queue + ".now") == 1, "an urgent one waits")
    root = town.person("root")
    seen = root.request(request)
    assert seen["held"] and not seen["next_try"] and seen["reason"] == "site_upgrading"
    sites = {s["site"]: s for s in root.get("/sites")["sites"]}
    assert sites[town.site]["held"]["reason"] == "site_upgrading", sites
    host = next(w for w in root.get("/workers")["workers"] if w["role"] == "archiver")
    assert host["held"]["message"] == UPGRADING, host
    # It looks again, less and less often, and nothing is exported meanwhile.
    wait.until(lambda: moodle.calls("check") >= 3, "it looks again", 30)
    assert moodle.calls("export") == 1
    moodle.trouble(None)
    for r in (request, urgent):
        town.wait_state(r, "restored", "failed")
        assert town.state(r) == "restored", town.record(r)
        assert town.record(r)["failures"] == "0"
    wait.until(lambda: held(archiver) is None, "ready again", 20)
    assert archiver.metric("navette_held", reason="site_upgrading") == 0
    sites = {s["site"]: s for s in root.get("/sites")["sites"]}
    assert sites[town.site]["held"] is None, sites


def test_a_held_request_that_has_to_wait_on_says_why_no_longer(town):
    """It passes while the time window is closed, or the request is withdrawn: no word of it stays."""
    moodle = standin.Moodle(town.path("moodle"))
    archiver = town.daemon("archiver")
    archiver.configure({**archiver.config, "site": moodle.section()})
    moodle.trouble("site_unavailable", "no database")
    town.producer()
    archiver.start()
    request = town.submit("1", by="root")
    assert_waits(town, f"archive.{town.site}", request, "scheduled", "site_unavailable")
    now = datetime.datetime.now()
    begin = now + datetime.timedelta(hours=2)
    archiver.reconfigure("archiver", window=f"{begin:%H:%M}-{begin + datetime.timedelta(hours=1):%H:%M}")
    moodle.trouble(None)
    wait.until(lambda: "held" not in town.record(request), lambda: town.record(request), 30)
    record = town.record(request)
    assert record["state"] == "scheduled" and "reason" not in record, record
    assert held(archiver) is None and consumers(town, f"archive.{town.site}") == 0
    root = town.person("root")
    wait.until(lambda: root.get("/sites")["sites"][0]["held"] is None, "no word on the page", 20)


def test_a_site_that_says_nothing_is_away(town):
    """PHP ends without a word (a broken config.php, no PHP at all): the site is away, not the course
    at fault."""
    moodle = standin.Moodle(town.path("moodle"))
    archiver = town.daemon("archiver")
    archiver.configure({**archiver.config, "site": moodle.section()})
    town.producer()
    archiver.start()
    town.worker()
    os.rename(moodle.path + "/php", moodle.path + "/php.away")
    request = town.submit("1", by="root")
    wait_held(archiver, "site_unavailable")
    assert_waits(town, f"archive.{town.site}", request, "scheduled", "site_unavailable")
    os.rename(moodle.path + "/php.away", moodle.path + "/php")
    moodle.trouble("", printed="PHP Parse error: syntax error in config.php")
    wait.until(lambda: moodle.calls("check") >= 1, "it looks again", 30)
    moodle.trouble(None)
    town.wait_state(request, "restored")


def test_a_folder_of_backups_that_is_away_is_waited_for(town):
    source = samples.make(town.path("made.mbz"), 1, 1, 1000)
    course = town.remote.add(source)
    town.producer()
    archiver = town.archiver()
    town.worker()
    backups = town.remote.path + "/backups"
    os.rename(backups, backups + ".away")
    request = town.submit(course, by="root")
    wait_held(archiver, "site_unavailable")
    assert_waits(town, f"archive.{town.site}", request, "scheduled", "site_unavailable")
    os.rename(backups + ".away", backups)
    town.wait_state(request, "restored")


def test_a_client_that_is_away_is_waited_for(town):
    source = samples.make(town.path("made.mbz"), 1, 1, 1000)
    course = town.remote.add(source)
    town.producer()
    town.archiver()
    worker = town.worker()
    site = town.local.path + "/site.json"
    os.rename(site, site + ".away")
    request = town.submit(course, by="root")
    wait_held(worker, "site_unavailable")
    assert_waits(town, f"restore.{town.client}", request, "ready", "site_unavailable")
    root = town.person("root")
    def on_page():
        return next(w for w in root.get("/workers")["workers"] if w["role"] == "worker")["held"]
    assert wait.until(on_page, "on the administrators' page", 20)["reason"] == "site_unavailable"
    os.rename(site + ".away", site)
    town.wait_state(request, "restored")
    assert town.record(request)["failures"] == "0"
    wait.until(lambda: not on_page(), "no word on the page", 20)


def test_a_night_without_the_store_fails_no_course(town):
    store = staging.of_farm(town, tls=False)
    archiver, worker = (staging.daemon(town, role, store) for role in ("archiver", "worker"))
    town.producer()
    archiver.start()
    first = town.submit(town.remote.add(samples.make(town.path("1.mbz"), 1, 1, 100_000)), by="root")
    town.wait_state(first, "ready")
    store.close()
    worker.start(ready=False)
    wait.until(lambda: worker.events("monitor.listening"), "the worker listens")
    second = town.submit(town.remote.add(samples.make(town.path("2.mbz"), 2, 1, 100_000)), by="root")
    for daemon in (archiver, worker):
        wait_held(daemon, "store_unavailable")
    assert_waits(town, f"restore.{town.client}", first, "ready", "store_unavailable")
    assert_waits(town, f"archive.{town.site}", second, "scheduled", "store_unavailable")
    store.start()
    for request in (first, second):
        town.wait_state(request, "restored", "failed")
        assert town.state(request) == "restored", town.record(request)
        assert town.record(request)["failures"] == "0"


def test_a_store_that_is_not_mounted_is_waited_for_and_not_made(town):
    folder = town.path("store")
    os.rename(folder, folder + ".away")
    town.producer()
    archiver = town.archiver()
    request = town.submit(town.remote.add(samples.make(town.path("1.mbz"), 1, 1, 100_000)), by="root")
    wait_held(archiver, "store_unavailable")
    assert_waits(town, f"archive.{town.site}", request, "scheduled", "store_unavailable")
    assert "mount it" in town.record(request)["message"] and not os.path.exists(folder)
    os.rename(folder + ".away", folder)
    town.worker()
    town.wait_state(request, "restored", "failed")
    assert (town.state(request), town.record(request)["failures"]) == ("restored", "0"), town.record(request)


def test_credentials_that_the_store_refuses_fail_no_course(town):
    """Somebody has changed a password there: an administrator's matter."""
    store = staging.of_farm(town, tls=False)
    archiver, worker = (staging.daemon(town, role, store) for role in ("archiver", "worker"))
    town.producer()
    archiver.start()
    first = town.submit(town.remote.add(samples.make(town.path("1.mbz"), 1, 1, 100_000)), by="root")
    town.wait_state(first, "ready")
    store.admit({user: "another" for user in store.passwords})
    worker.start(ready=False)
    wait.until(lambda: worker.events("monitor.listening"), "the worker listens")
    second = town.submit(town.remote.add(samples.make(town.path("2.mbz"), 2, 1, 100_000)), by="root")
    for daemon in (archiver, worker):
        wait_held(daemon, "store_denied")
    assert_waits(town, f"restore.{town.client}", first, "ready", "store_denied")
    assert_waits(town, f"archive.{town.site}", second, "scheduled", "store_denied")
    store.admit(store.passwords)
    for request in (first, second):
        town.wait_state(request, "restored", "failed")
        assert (town.state(request), town.record(request)["failures"]) == ("restored", "0"), town.record(request)
    store.close()


def test_an_outage_that_is_over_at_once_fails_no_course(town):
    """The store refuses one request of an export and one of a restore, and is well when somebody looks."""
    store = staging.of_farm(town, tls=False)
    proxies = {role: FaultProxy(store.port) for role in ("archiver", "worker")}
    for role, proxy in proxies.items():
        staging.daemon(town, role, store, proxy.url).start()
    town.producer()
    faults = (proxies["archiver"].add("PUT", "/blobs/", status=503), proxies["worker"].add("GET", "/blobs/", status=503))
    request = town.submit(town.remote.add(samples.make(town.path("1.mbz"), 1, 1, 100_000)), by="root")
    town.wait_state(request, "restored", "failed")
    assert (town.state(request), town.record(request)["failures"]) == ("restored", "0"), town.record(request)
    assert [f.used for f in faults] == [1, 1]
    for d in town.roles("archiver") + town.roles("worker"):
        d.stop()
    for proxy in proxies.values():
        proxy.close()
    store.close()


def test_an_outage_that_one_course_brings_about_ends(town):
    """It is believed three times, and then it is the course's."""
    store = staging.of_farm(town, tls=False)
    proxy = FaultProxy(store.port)
    archiver = staging.daemon(town, "archiver", store, proxy.url).start()
    town.producer()
    fault = proxy.add("PUT", "/blobs/", times=99, status=500)
    request = town.submit(town.remote.add(samples.make(town.path("1.mbz"), 1, 1, 100_000)), by="root")
    town.wait_state(request, "failed")
    assert fault.used == 4 and town.record(request)["reason"] == "store_unavailable", (fault.used, town.record(request))
    archiver.stop()
    proxy.close()
    store.close()


@pytest.fixture
def small_disk():
    """Called with a daemon: its work_dir becomes a file system of 24 MiB, or of another size."""
    made = []

    def make(d, size="24m"):
        made.append(disk.small(d.config[d.role]["work_dir"], size))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("role", ("archiver", "worker"))
def test_a_full_disk_is_waited_for(town, small_disk, role):
    full = town.daemon(role)
    room = small_disk(full)
    full.start()
    town.producer()
    _ = town.worker() if role == "archiver" else town.archiver()
    room.fill()
    request = town.submit(town.remote.add(samples.make(town.path("1.mbz"), 1, 1, 100_000)), by="root")
    wait_held(full, "disk_full")
    queue, state = {"archiver": (f"archive.{town.site}", "scheduled"), "worker": (f"restore.{town.client}", "ready")}[role]
    assert_waits(town, queue, request, state, "disk_full")
    room.free()
    town.wait_state(request, "restored", "failed")
    assert (town.state(request), town.record(request)["failures"]) == ("restored", "0"), town.record(request)
    wait.until(lambda: held(full) is None, "ready again", 20)


def test_a_disk_full_of_what_was_fetched_before_makes_room_itself(town, small_disk):
    """What was kept for a next try, whose message rests in the queue while nothing is taken."""
    worker = town.daemon("worker")
    room = small_disk(worker)
    worker.start()
    town.producer()
    town.archiver()
    kept = os.path.join(room.folder, "019aa000-0000-7000-8000-000000000001")
    os.makedirs(kept)
    room.fill(os.path.join(kept, "blob"))
    request = town.submit(town.remote.add(samples.make(town.path("1.mbz"), 1, 1, 100_000)), by="root")
    town.wait_state(request, "restored", "failed")
    assert (town.state(request), town.record(request)["failures"]) == ("restored", "0"), town.record(request)
    assert not os.path.exists(kept) and worker.events("workdir.swept")


def test_a_course_that_fills_the_disk_itself_is_not_waited_for(make_farm, small_disk):
    """What was fetched is not kept for the next try where it leaves too little room for any job: the
    course fails for its own reason, and the worker takes other work."""
    farm = make_farm(worker={"attempts": 2})
    moodle = standin.Moodle(farm.path("moodle"))
    worker = farm.daemon("worker")
    worker.configure({**worker.config, "site": moodle.section()})
    small_disk(worker, "6m")
    moodle.trouble("import_failed", "an activity cannot be restored", only="import")
    worker.start()
    farm.producer()
    farm.archiver()
    request = farm.submit(farm.remote.add(samples.make(farm.path("1.mbz"), 1, 1, 5_800_000)), by="root")
    farm.wait_state(request, "failed")
    assert (farm.record(request)["reason"], farm.record(request)["failures"]) == ("import_failed", "2")
    assert held(worker) is None and not worker.events("hold.begun")


def test_a_failed_attempt_says_when_the_next_one_is(make_farm):
    """One course's own failure, with nothing in the way of others."""
    farm = make_farm(retry_ms=5000, archiver={"attempts": 3}, worker={"attempts": 3})
    moodle = standin.Moodle(farm.path("moodle"))
    archiver = farm.daemon("archiver")
    archiver.configure({**archiver.config, "site": moodle.section()})
    farm.producer()
    archiver.start()
    moodle.trouble("export_failed", "an activity cannot be backed up", only="export")
    request = farm.submit("1", by="root")
    root = farm.person("root")
    seen = wait.until(lambda: (lambda r: r if r["next_try"] else None)(root.request(request)),
                      lambda: root.request(request), 30)
    assert (seen["state"], seen["reason"], seen["failures"]) == ("scheduled", "export_failed", 1)
    assert seen["held"] is None and seen["message"] == "an activity cannot be backed up"
    due = datetime.datetime.fromisoformat(seen["next_try"])
    assert abs((due - datetime.datetime.fromisoformat(seen["modified"])).total_seconds() - 1) < 0.5
    keys.write_secret(farm.path("api.password"), api.PASSWORD)
    shown = farm.navette("show", request, api={
        "url": farm.roles("producer")[0].url(""), "user": "root",
        "password_file": farm.path("api.password")})
    assert "Next try:" in shown, shown
    # Nothing is in the way of others.
    assert held(archiver) is None and not archiver.events("hold.begun")
    moodle.trouble(None)
    farm.wait_state(request, "ready")
    assert root.request(request)["next_try"] is None
