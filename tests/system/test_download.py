# SPDX-License-Identifier: GPL-3.0-or-later
"""While the store has a request's archive, who may see the request gets it as a file that any Moodle
restores; nothing is left of having put it together."""
import os

import pytest

from harness import mbz, samples, wait, window
from harness.description import Description, described


@pytest.fixture
def town(make_farm):
    """A request of ada's whose restore failed: its archive stays in the store."""
    farm = make_farm()
    producer = farm.daemon("producer")
    producer.configure({**producer.config, "store": farm.config("worker", "worker")["store"],
                        "producer": {**producer.config["producer"], "work_dir": farm.path("downloads")}})
    producer.start()
    farm.archiver()
    farm.worker()
    description = Description()
    farm.people = [described(farm.person(u), description) for u in ("ada", "emmy", "root")]
    farm.local.may_create(False)
    farm.source = samples.make(farm.path("made.mbz"), 1, blobs=3)
    farm.failed = farm.submit(farm.remote.add(farm.source))
    farm.wait_state(farm.failed, "failed")
    return farm


def place(request):
    return f"/requests/{request}/archive"


def left(farm):
    """.spool stays: requests that the broker has not got are kept there."""
    return [n for n in os.listdir(farm.path("downloads")) if not n.startswith(".")]


def test_a_failed_restores_archive_comes_whole_to_who_may_see_it(town, tmp_path):
    ada, emmy, root = town.people
    assert ada.sign_in()["options"]["download"] is True
    for person in (ada, root):
        assert person.call("HEAD", place(town.failed)).status_code == 200
        answer = person.call("GET", place(town.failed))
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == "application/vnd.moodle.backup"
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=\"")
        got = tmp_path / "got.mbz"
        got.write_bytes(answer.content)
        mbz.assert_same(town.source, got)
    assert emmy.call("GET", place(town.failed)).status_code == 404, "another's is not there"
    assert emmy.call("HEAD", place(town.failed)).status_code == 404
    wait.until(lambda: left(town) == [], "nothing left of it")


def test_without_an_archive_it_says_so(town):
    ada = town.people[0]
    archiver = town.roles("archiver")[0]
    archiver.reconfigure("archiver", **window.closed())
    waiting = town.submit(town.remote.add(samples.make(town.path("made.mbz"), 2, blobs=1)))
    answer = ada.call("GET", place(waiting))
    assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")
    town.local.may_create(True)
    archiver.reconfigure("archiver", **window.opened())
    town.wait_state(waiting, "restored")
    wait.until(lambda: ada.call("HEAD", place(waiting)).status_code == 404, "removed once restored")


def test_what_the_store_has_damaged_is_not_given_away(town):
    ada = town.people[0]
    blobs = [os.path.join(folder, name) for folder, _, names in os.walk(town.path("store"))
             for name in names if os.path.basename(os.path.dirname(folder)) == "blobs"]
    with open(blobs[0], "r+b") as f:
        f.write(b"damage")
    answer = ada.call("GET", place(town.failed))
    assert answer.status_code == 503, answer.headers
    assert os.path.basename(blobs[0]) in answer.json()["detail"]
    wait.until(lambda: left(town) == [], "nothing left of it")


def test_what_a_killed_producer_left_is_gone_with_the_next(town):
    producer = town.roles("producer")[0]
    producer.kill()
    os.makedirs(town.path("downloads", "left", "blobs"))
    producer.start()
    assert left(town) == []


def test_who_has_not_set_it_up_offers_none(town):
    ada = town.people[0]
    producer = town.roles("producer")[0]
    producer.stop()
    del producer.config["producer"]["work_dir"]
    producer.configure(producer.config)
    producer.start()
    assert ada.sign_in()["options"]["download"] is False
    assert ada.call("GET", place(town.failed)).status_code == 404
