# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of a course is lost in silence: what the course server counted and the restored course
lacks is told to the requester, on the page's record and in the log; a course that needs a plugin
which the client lacks is refused by the client, too, before anything is fetched."""
import os

import pytest

from harness import keys, samples, staging, wait
from harness.api import PASSWORD
from harness.fault_proxy import FaultProxy

WIKIS = [{"kind": "activity", "type": "wiki", "count": 2},
         {"kind": "activity", "type": "quiz", "count": 1},
         {"kind": "file", "type": "mod_wiki", "count": 9}]  # the client's folder counts no files
LOST = [{"kind": "activity", "type": "wiki", "had": 2, "has": 0}]


def letters(farm):
    folder = os.path.join(farm.local.path, "mail")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return "".join(open(os.path.join(folder, n), encoding="utf-8").read() for n in names)


@pytest.fixture(name="town")
def make_town(make_farm):
    """A farm whose worker reaches the store through a proxy, which counts."""
    farm = make_farm(restore={"warnings_to_owner": False})
    farm.staging = staging.of_farm(farm, tls=False)
    farm.proxy = FaultProxy(farm.staging.port)
    farm.producer()
    staging.daemon(farm, "archiver", farm.staging).start()
    farm.start_worker = lambda: staging.daemon(farm, "worker", farm.staging, farm.proxy.url).start()
    yield farm
    for d in farm.daemons:
        if d.running():
            d.stop()
    farm.proxy.close()
    farm.staging.close()


def test_what_did_not_arrive_is_told_to_everybody(town):
    town.start_worker()
    source = samples.make(town.path("made.mbz"), 1, activities=["quiz"])
    request = town.submit(town.remote.add(source, inventory=WIKIS))
    whole = town.submit(town.remote.add(samples.make(town.path("whole.mbz"), 2, activities=["quiz"])))
    town.wait_all("restored")
    assert town.person().get(f"/requests/{request}")["restored"]["differences"] == LOST
    assert town.person().get(f"/requests/{whole}")["restored"]["differences"] == []
    # What the course server said of its export is told, too.
    assert "holds user data although none were asked for" in town.record(whole)["warnings"]
    wait.until(lambda: letters(town).count('The course "') > 1, lambda: letters(town))
    # Whether warnings go to the requester or not.
    assert letters(town).count("Not everything has arrived.") == 1
    assert "Activities (wiki): 2 before, 0 now" in letters(town)
    log = [(line["level"], line["text"]) for line in town.person("root").get(f"/requests/{request}/log")["lines"]]
    assert ("warn", "activity wiki: the course had 2, the restored one has 0") in log
    log = [line["text"] for line in town.person("root").get(f"/requests/{whole}/log")["lines"]]
    assert "everything that the course server counted has arrived" in log
    api = {"url": town.roles("producer")[0].url("/"), "user": "root",
           "password_file": keys.write_secret(town.path("root.password"), PASSWORD)}
    assert "Lost:     activity wiki: the course had 2, the restored one has 0\n" in \
        town.navette("show", request, api=api)
    # History from the site knows it, too.
    town.redis.client.flushall()
    wait.until(lambda: town.record(request).get("differences") == "activity wiki 2 0\n",
               lambda: town.record(request))


def test_a_missing_plugin_is_refused_before_anything_is_fetched(town):
    """The archiver does not know what the client has: the producer has no site to ask."""
    town.local.plugins("mod_quiz", "mod_forum")
    town.start_worker()
    lacking = town.submit(town.remote.add(samples.make(town.path("1.mbz"), 1, activities=["quiz", "wiki"])))
    town.wait_state(lacking, "failed")
    assert town.record(lacking)["reason"] == "plugin_missing"
    assert "mod_wiki" in town.record(lacking)["message"]
    assert not town.proxy.requests("GET", "/archives/") + town.proxy.requests("GET", "/blobs/")
    assert town.local.courses() == []
    wait.until(lambda: "could not be restored" in letters(town), lambda: letters(town))
    # What the site had once is refused when it is gone, however small the archive is.
    good = town.submit(town.remote.add(samples.make(town.path("2.mbz"), 2, activities=["forum"])))
    town.wait_state(good, "restored")
    town.local.plugins("mod_quiz")
    gone = town.submit(town.remote.add(samples.make(town.path("3.mbz"), 3, activities=["forum"])))
    town.wait_state(gone, "failed")
    assert town.record(gone)["reason"] == "plugin_missing"
    assert town.local.courses() == [good]
