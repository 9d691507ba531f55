# SPDX-License-Identifier: GPL-3.0-or-later
"""What Moodle itself restores travels, however it was packed, whatever the daemons' environment; what is
damaged is listed as damaged, and whoever asks for it is told so."""
import os

from harness import odd, samples, wait


def test_archives_of_other_packers_travel(farm):
    folder = farm.path("odd")
    os.makedirs(folder)
    archives = odd.readable(folder)
    made = farm.path("made")
    os.makedirs(made)
    # A site made of them all must be one that an archiver can serve.
    for number, (path, _) in enumerate(archives.values()):
        os.link(path, os.path.join(made, f"{number}.mbz"))
    farm.navette("site", "create", farm.path("site"), "--name", "made", "--teacher", "ada", "--courses", made)
    archiver = farm.daemon("archiver")
    archiver.configure({**archiver.config, "site": {"type": "folder", "path": farm.path("site")}})
    for daemon in (archiver, farm.daemon("producer"), farm.daemon("worker")):
        daemon.start(LC_ALL="C")
    for number, (_, plain) in enumerate(archives.values(), 1):
        farm.remote.sources[str(number)] = plain  # to compare with
        farm.submit(str(number))
    farm.assert_restored_once()


def test_a_damaged_backup_is_listed_and_a_request_for_it_says_so(farm):
    farm.all()
    good = farm.remote.add(samples.make(farm.path("good.mbz"), 1))
    bad = farm.remote.add(odd.cut_off(farm.path("bad.mbz")))
    ada = farm.person("ada")

    def course(number):
        return next(c for c in ada.get("/courses?refresh=true")["sites"][0]["courses"] if c["course"] == number)

    assert course(good)["damaged"] is None and course(good)["available"]
    shown = course(bad)
    assert shown["fullname"] == f"{bad}.mbz" and not shown["available"]
    assert "it is cut off" in shown["damaged"]
    answer = ada.call("POST", "/requests", json={"site": farm.site, "course": bad})
    assert answer.status_code == 409, answer.text
    problem = answer.json()
    assert problem["reason"] == "archive_corrupt" and "is damaged: " in problem["detail"]
    assert "it is cut off" in problem["detail"]
    # An administrator's request is not held against the list: the archiver says it.
    request = farm.ask(bad, user=None)
    farm.wait_state(request, "failed")
    record = farm.record(request)
    assert record["reason"] == "archive_corrupt" and "it is cut off" in record["message"]
    # Somebody puts a good one in its place.
    os.replace(samples.make(farm.path("mended.mbz"), 2), farm.remote.sources[bad])
    wait.until(lambda: course(bad)["damaged"] is None, "the good file to be found")
    farm.wait_state(farm.submit(bad), "restored")
