# SPDX-License-Identifier: GPL-3.0-or-later
"""Each request keeps its log, for administrators: every attempt with its host, every failure with its
reason, every warning of both sites, in order, and nothing twice however often it is told."""
import json
import re
import signal
import socket
import subprocess

import pytest
import requests

from harness import daemon, keys, samples, staging, wait
from harness.api import PASSWORD
from harness.fault_proxy import FaultProxy

HOST = socket.gethostname()


@pytest.fixture(name="rig")
def make_rig(farm):
    """A farm whose archiver reaches the store through a proxy."""
    farm.staging = staging.of_farm(farm, tls=False)
    farm.proxy = FaultProxy(farm.staging.port)
    yield farm
    for d in farm.daemons:
        if d.running():
            d.stop()
    farm.proxy.close()
    farm.staging.close()


def start(rig, **env):
    """env: of the daemon with this role."""
    d = {"producer": rig.daemon("producer"),
         "archiver": staging.daemon(rig, "archiver", rig.staging, rig.proxy.url),
         "worker": staging.daemon(rig, "worker", rig.staging)}
    for role, one in d.items():
        one.start(**env.get(role, {}))
    return d


def course(rig, number=1):
    return rig.remote.add(samples.make(rig.path(f"made-{number}.mbz"), number))


def lines(rig, request):
    return rig.person("root").get(f"/requests/{request}/log")["lines"]


def assert_in_order(log, *wanted):
    """wanted: (from, level, beginning of the text); others may stand between."""
    at = 0
    for who, level, text in wanted:
        while at < len(log) and not ((log[at]["from"], log[at]["level"]) == (who, level) and
                                     re.match(text, log[at]["text"])):
            at += 1
        assert at < len(log), f"no {(who, level, text)} after what precedes it in\n" + \
            "\n".join(f"{x['from']} {x['level']} {x['text']}" for x in log)
        at += 1


def assert_once(log):
    """No line stands there twice; the attempts' and workers' lines name what they are about."""
    texts = [(x["at"], x["from"], x["text"]) for x in log]
    assert len(set(texts)) == len(texts), texts
    begun = [x["text"] for x in log if re.match("export attempt .* begins", x["text"])]
    assert len(set(begun)) == len(begun), begun


def test_a_failure_then_a_success_show_both_attempts_in_order(rig):
    rig.proxy.add("PUT", "/blobs/", times=1, status=507)
    start(rig)
    request = rig.submit(course(rig), by="root", user="ada", category="NOPE")
    rig.wait_state(request, "restored")
    log = lines(rig, request)
    old, new = f"archiver {HOST}", f"worker {HOST}"
    assert_in_order(
        log,
        ("producer", "info", r"scheduled \(revision 1\)"),
        (old, "info", "export attempt .* begins, 0 failed before"),
        (old, "info", "export attempt .* ends after .* s: failed, to be tried again"),
        (old, "warn", "scheduled: store_.*507"),
        (old, "info", "export attempt .* begins, 1 failed before"),
        (old, "warn", "This archive holds user data although none were asked for"),
        (old, "info", "export attempt .* ends after .* s: the archive is in the store"))
    # The archive.ready may be faster than the event that tells of it.
    assert_in_order(
        log,
        (new, "info", "importing"),
        (new, "info", "the archive is here"),
        (new, "warn", "There is no category with the identifier"),
        (new, "info", f"restored: course {request}"))
    attempts = [re.match("export attempt (.*) begins", x["text"]) for x in log]
    assert len({m[1] for m in attempts if m}) == 2
    assert_once(log)
    # What people are told stays as it was.
    told = rig.person("root").get(f"/requests/{request}")["restored"]["warnings"]
    assert sum(t in [x["text"] for x in log] for t in told) == len(told) >= 1


def test_only_administrators_read_it(rig):
    start(rig)
    request = rig.submit(course(rig))
    rig.wait_state(request, "restored")
    path = f"/requests/{request}/log"
    assert rig.person("ada").call("GET", path).status_code == 403, "the request is hers"
    assert rig.person("emmy").call("GET", path).status_code == 403
    base = rig.roles("producer")[0].url("/api/v1")
    assert requests.get(base + path, timeout=20).status_code == 401
    root = rig.person("root")
    assert root.get(path)["lines"]
    nobody = "01a20479-65f4-7708-81db-6a6aba136e37"
    assert root.call("GET", f"/requests/{nobody}/log").status_code == 404


def test_the_command_shows_it(rig):
    start(rig)
    request = rig.submit(course(rig))
    rig.wait_state(request, "restored")
    password = keys.write_secret(rig.path("root.password"), PASSWORD)
    api = {"url": rig.roles("producer")[0].url("/"), "user": "root", "password_file": password}
    assert json.loads(rig.navette("show", request, "--log", "--json", api=api)) == \
        rig.person("root").get(f"/requests/{request}/log")
    text = rig.navette("show", request, "--log", api=api).splitlines()
    assert len(text) == len(lines(rig, request))
    assert re.match(r"20\d\d-.*Z  info   producer: scheduled \(revision 1\)$", text[0])
    config = daemon.write_configuration(rig.path("teacher.yaml"), {"api": {**api, "user": "ada"}})
    refused = subprocess.run(
        [f"{daemon.BUILD}/bin/navette", "show", request, "--log", "-c", config],
        capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1 and not refused.stdout
    assert "only administrators" in refused.stderr


def test_the_command_asks_again_without_user_data(rig):
    start(rig)
    rig.local.may_create(False)
    request = rig.person("root").submit(rig.site, course(rig), user="ada", user_data=True)
    rig.wait_state(request, "failed")
    rig.local.may_create(True)
    password = keys.write_secret(rig.path("root.password"), PASSWORD)
    api = {"url": rig.roles("producer")[0].url("/"), "user": "root", "password_file": password}
    rig.navette("retry", request, "--without-user-data", api=api)
    rig.wait_state(request, "restored")
    assert rig.person("root").get(f"/requests/{request}")["user_data"] is False


@pytest.mark.parametrize("role, point", [
    ("producer", "producer.before-ack"),   # the event is written, and comes again
    ("archiver", "archiver.before-ack"),   # the last event is confirmed, the request comes again
    ("worker", "worker.after-status"),     # the outcome is written, archive.ready comes again
])
def test_what_is_delivered_again_is_not_told_twice(rig, role, point):
    daemons = start(rig, **{role: {"NAVETTE_FAULT": point,
                                   "NAVETTE_FAULT_ONCE": rig.path("once")}})
    dying = daemons[role]
    dying.may_die = True
    request = rig.ask(course(rig))  # by wire: the keeper's first message is the event
    assert dying.wait_end() == -signal.SIGKILL
    dying.may_die = False
    dying.start()
    rig.wait_state(request, "restored")
    rig.assert_queues_empty()
    wait.until(lambda: "the archive is in the store" in str(lines(rig, request)), "the last event")
    log = lines(rig, request)
    assert_once(log)
    ends = [x for x in log if x["text"].startswith("restored: ")]
    assert len(ends) == 1, log


def test_an_operator_finds_no_secret_in_it(rig):
    start(rig)
    request = rig.submit(course(rig))
    rig.wait_state(request, "restored")
    raw = str(rig.redis.client.xrange(f"nv:log:{request}"))
    secrets = [PASSWORD, rig.person("root").token, rig.person("ada").token,
               *rig.staging.passwords.values()]
    assert not [s for s in secrets if s and s in raw]
    token = rig.redis.client.hget(f"nv:req:{request}", "last_token").decode()
    assert token and token not in raw
