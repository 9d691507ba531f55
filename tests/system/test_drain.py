# SPDX-License-Identifier: GPL-3.0-or-later
# ctest timeout 900
"""A worker is told to stop while it restores a course of 1 GiB, while it fetches and while it imports: it ends the
restore where there is time, and hands it back where there is none; never both, and the course is there once. Long: only
with NAVETTE_NIGHTLY=1 (tests/run --all)."""
import os
import signal
import time

from harness import big, daemon, nightly, wait

pytestmark = nightly.only


def is_at(farm, worker, moment, request):
    if moment == "fetch":
        return any(e["req"] == request for e in worker.events("restore.started", whole=False))
    return any(name.startswith(request) for name in os.listdir(os.path.join(farm.local.path, "tmp")))


def told_to_stop_at(farm, worker, moment, stop_timeout, course):
    worker.configure({**worker.config, "worker": {**worker.config["worker"], "stop_timeout": stop_timeout}})
    worker.start()
    request = farm.ask(course)
    wait.until(lambda: is_at(farm, worker, moment, request), f"the {moment} of {request}", 120, 0.005)
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert worker.wait_end(120) == 0, worker.tail()
    took = time.monotonic() - began
    result, = [e["result"] for e in worker.events("restore.done", whole=False)]
    print(f"told to stop in the {moment} with stop_timeout {stop_timeout}: {result} after {took:.1f} s")
    return request, result


def test_1_gib_is_finished_or_handed_back_never_both(make_farm, monkeypatch):
    farm = make_farm(restore={"only_one": False})
    monkeypatch.setattr(daemon, "BUILD", big.release_build())
    expected = big.make(farm.path("big.mbz"), farm.folder, 16)
    course = farm.remote.add(farm.path("big.mbz"))
    farm.archiver()
    worker = farm.daemon("worker")
    for moment in ("fetch", "import"):
        for stop_timeout, wanted in (("0s", "returned"), ("5m", "restored")):
            request, result = told_to_stop_at(farm, worker, moment, stop_timeout, course)
            assert result == wanted
            assert (request in farm.local.courses()) == (result == "restored")
            assert farm.state(request) == ("ready" if result == "returned" else "restored")
            if result == "returned":
                worker.start()
                farm.wait_state(request, "restored", timeout=120)
                worker.stop()
    assert sorted(farm.requests) == farm.local.courses()
    done = [e["req"] for e in worker.events("restore.done") if e["result"] == "restored"]
    assert sorted(done) == sorted(farm.requests), "each once"
    for request in farm.requests:
        assert big.hashes_of(farm.local.archive(request)) == expected
