# SPDX-License-Identifier: GPL-3.0-or-later
"""Outside the time window nothing starts, "run now" does; when the window opens, the rest follows."""
import datetime

from harness import samples, wait, window

QUIET = 3  # seconds in which nothing may happen


def times_of_opening(farm):
    return [site["opens"] for site in farm.person("ada").get("/courses?refresh=true")["sites"]]


def hours_until(time):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (datetime.datetime.fromisoformat(time) - now).total_seconds() / 3600


def test_window(make_farm):
    farm = make_farm(archiver=window.closed(), worker=window.closed())
    _, archiver, worker = farm.all()
    first, second = (farm.submit(farm.remote.add(samples.make(farm.path("made.mbz"), i)))
                     for i in (1, 2))

    def untouched(request):
        return farm.state(request) == "scheduled"
    wait.stays(lambda: untouched(first) and untouched(second), "something has started", QUIET)
    assert times_of_opening(farm) == [opens := farm.person("root").get("/sites")["sites"][0]["opens"]]
    assert 7 < hours_until(opens) <= 8, "as the archiver says, whose window it is"
    assert not archiver.events("export.started")

    refused = farm.person("ada").call("POST", f"/requests/{first}/run-now")
    assert refused.status_code == 403, "only administrators may"
    farm.person("root").post(f"/requests/{first}/run-now")
    farm.wait_state(first, "restored")  # through both closed windows
    wait.stays(lambda: untouched(second), "the other one has started, too", QUIET)

    archiver.reconfigure("archiver", **window.opened())
    farm.wait_state(second, "ready")
    assert times_of_opening(farm) == [None]
    wait.stays(lambda: farm.state(second) == "ready", "the worker has started", QUIET)
    worker.reconfigure("worker", **window.opened())
    farm.assert_restored_once()
    farm.assert_nothing_left()
