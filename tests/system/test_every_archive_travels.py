# SPDX-License-Identifier: GPL-3.0-or-later
"""Every archive travels the whole way: asked for over HTTP by a teacher, it ends restored, with the
same entries and bytes, and everybody who may know has been told."""
from harness import samples, wait

FINAL = "restored"


def test_every_archive_travels(farm):
    farm.all()
    follower = farm.person("ada").follow()
    stranger = farm.person("emmy").follow()
    for path in samples.real():
        farm.submit(farm.remote.add(path))
    for blobs in (0, 3):
        farm.submit(farm.remote.add(samples.make(farm.path(f"made-{blobs}.mbz"), 100 + blobs,
                                                 blobs)))
    farm.assert_restored_once()
    for request in farm.requests:
        assert_told(farm, follower, request)
        assert not stranger.states(request), "a stranger was told"
    follower.stop()
    stranger.stop()
    farm.assert_nothing_left()


def assert_told(farm, follower, request):
    # The record, as the API shows it.
    shown = farm.person("ada").request(request)
    assert (shown["state"], shown["user"], shown["site"]) == (FINAL, "ada", farm.site)
    assert shown["restored"]["course"] == request and shown["restored"]["enrolled"]
    assert farm.person("emmy").call("GET", f"/requests/{request}").status_code == 404
    # The events: in Redis, and as they came over the wire. Archiver and worker report by ways of
    # their own, so a quick worker's importing may overtake the archiver's ready, which is then left
    # out; no state follows a later one.
    wait.until(lambda: FINAL in follower.states(request), "the last event", 20)
    states = follower.states(request)
    assert states == farm.states(request)
    assert states[0] == "scheduled" and states[-1] == FINAL and states.count(FINAL) == 1
    assert "importing" in states
    assert len(set(states)) == len(states), f"a state was entered twice: {states}"
    order = ["scheduled", "exporting", "ready", "importing", FINAL]
    assert states == [s for s in order if s in states], f"out of order: {states}"
