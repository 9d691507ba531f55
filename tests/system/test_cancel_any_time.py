# SPDX-License-Identifier: GPL-3.0-or-later
"""A request can be withdrawn at any moment before its course is there: it ends cancelled, nothing of
it is left, its person is told once, and it can be asked for again. Once the course is there, it ends
restored."""
import signal
import threading

import pytest

from harness import samples, staging, wait, window
from harness.fault_proxy import FaultProxy


def ask(farm, blobs):
    """48 blobs: a course whose export and import take their time."""
    return farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), 1, blobs, 1_000_000)))


def assert_cancelled(farm, request):
    farm.wait_state(request, "cancelled")
    wait.until(lambda: farm.local.mail(request), "the message")
    farm.assert_queues_empty()
    assert farm.state(request) == "cancelled" and not farm.local.courses()
    assert len(farm.local.mail(request)) == 1


def assert_can_be_asked_for_again(farm, request):
    farm.person().post(f"/requests/{request}/retry")
    farm.wait_state(request, "restored")
    assert farm.local.courses() == [request]
    wait.until(lambda: len(farm.local.mail(request)) == 2, "the second message")
    farm.assert_queues_empty()
    farm.assert_nothing_left()


def test_while_scheduled(make_farm):
    farm = make_farm(archiver=window.closed())
    _, archiver, _ = farm.all()
    request = ask(farm, 1)
    assert farm.person().cancel(request)["state"] == "cancelled"
    wait.until(lambda: archiver.events("request.withdrawn"), "the archiver has heard of it")
    archiver.reconfigure("archiver", **window.opened())
    assert_cancelled(farm, request)
    assert farm.states(request) == ["scheduled", "cancelled"]
    done = wait.until(lambda: archiver.events("export.done"), "the archiver is through with it")
    assert [e["result"] for e in done] == ["cancelled"]
    assert not archiver.events("export.started")
    assert_can_be_asked_for_again(farm, request)


@pytest.fixture
def held(farm):
    """A farm whose store takes no archive to its end until `finish` is set."""
    store = staging.of_farm(farm, tls=False)
    proxy = FaultProxy(store.port)
    farm.finish = threading.Event()
    proxy.add("PUT", "skeleton", hold=farm.finish)
    farm.producer()
    for role in ("archiver", "worker"):
        staging.daemon(farm, role, store, proxy.url, stall_timeout="60s").start()
    yield farm
    farm.finish.set()
    proxy.close()
    store.close()


def test_while_exporting(held):
    request = ask(held, 1)
    held.wait_state(request, "exporting")
    assert held.person().cancel(request)["state"] == "cancelling"
    assert_cancelled(held, request)
    assert held.states(request) == ["scheduled", "exporting", "cancelling", "cancelled"]
    held.finish.set()
    assert_can_be_asked_for_again(held, request)


def test_while_ready(make_farm):
    farm = make_farm(worker=window.closed())
    _, _, worker = farm.all()
    request = ask(farm, 1)
    farm.wait_state(request, "ready")
    assert farm.person().cancel(request)["state"] == "cancelled"
    worker.reconfigure("worker", **window.opened())
    assert_cancelled(farm, request)
    assert not worker.events("restore.started")
    assert_can_be_asked_for_again(farm, request)


def test_while_importing(farm):
    farm.all()
    request = ask(farm, 48)
    farm.wait_state(request, "importing")
    assert farm.person().cancel(request)["state"] == "cancelling"
    assert_cancelled(farm, request)
    assert farm.states(request)[-3:] == ["importing", "cancelling", "cancelled"]
    assert_can_be_asked_for_again(farm, request)


def test_when_the_course_is_there(farm):
    farm.producer()
    farm.archiver()
    worker = farm.worker(NAVETTE_FAULT="site.import.after-commit:stop",
                         NAVETTE_FAULT_ONCE=farm.path("once"))
    request = ask(farm, 1)
    wait.until(worker.paused, "the worker asleep after the commit")
    assert farm.person().cancel(request)["state"] == "cancelling"
    worker.signal(signal.SIGCONT)
    farm.assert_restored_once()
    assert farm.states(request)[-2:] == ["cancelling", "restored"]
    assert farm.person().call("POST", f"/requests/{request}/cancel").status_code == 409
