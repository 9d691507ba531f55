# SPDX-License-Identifier: GPL-3.0-or-later
"""SIGTERM while jobs run: they are finished, or handed back where the time to stop is too short; the
exit status is 0 and nothing is lost."""
import signal

from harness import samples, wait


def start(make_farm, stop_timeout):
    times = {"stop_timeout": stop_timeout}
    farm = make_farm(archiver=times, worker=times)
    return farm, *farm.all()[1:]


def ask(farm):
    return farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), 1, 24, 1_000_000)))


def stop_during(daemon, event):
    wait.until(lambda: daemon.events(event), f"{daemon.name} at work")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_end() == 0, daemon.tail()


def test_archiver_finishes(make_farm):
    farm, archiver, _ = start(make_farm, "30s")
    ask(farm)
    stop_during(archiver, "export.started")
    assert [e["result"] for e in archiver.events("export.done")] == ["ready"]
    farm.assert_restored_once()
    farm.assert_nothing_left()


def test_archiver_hands_back(make_farm):
    farm, archiver, _ = start(make_farm, "0s")
    ask(farm)
    stop_during(archiver, "export.started")
    assert archiver.events("export.returned") and not archiver.events("export.done")
    wait.until(lambda: farm.broker.depth(farm.vhost, f"archive.{farm.site}") == 1, "handed back")
    archiver.start()
    farm.assert_restored_once()
    farm.assert_nothing_left()


def test_worker_finishes(make_farm):
    farm, _, worker = start(make_farm, "30s")
    request = ask(farm)
    stop_during(worker, "restore.started")
    assert [e["result"] for e in worker.events("restore.done")] == ["restored"]
    assert farm.state(request) == "restored"
    worker.start()  # its person may not have been told yet
    farm.assert_restored_once()
    farm.assert_nothing_left()


def test_worker_hands_back(make_farm):
    farm, _, worker = start(make_farm, "0s")
    request = ask(farm)
    stop_during(worker, "restore.started")
    assert [e["result"] for e in worker.events("restore.done")] == ["returned"]
    assert farm.state(request) == "ready" and not farm.local.courses()
    wait.until(lambda: farm.broker.depth(farm.vhost, f"restore.{farm.client}") == 1, "handed back")
    worker.start()
    farm.assert_restored_once()
    farm.assert_nothing_left()
