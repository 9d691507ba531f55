# SPDX-License-Identifier: GPL-3.0-or-later
"""While the store has a request's archive, who may see the request gets it as a file that any Moodle
restores; nothing is left of having put it together."""
import os
import socket
import time

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
    assert ada.request(town.failed)["archive"] is True
    never = town.ask("99")  # no such course: it fails before there is an archive
    town.wait_state(never, "failed")
    assert ada.request(never)["archive"] is False
    assert ada.call("HEAD", place(never)).status_code == 404
    del town.requests[never]
    archiver = town.roles("archiver")[0]
    archiver.reconfigure("archiver", **window.closed())
    waiting = town.submit(town.remote.add(samples.make(town.path("made.mbz"), 2, blobs=1)))
    answer = ada.call("GET", place(waiting))
    assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")
    town.local.may_create(True)
    archiver.reconfigure("archiver", **window.opened())
    town.wait_state(waiting, "restored")
    wait.until(lambda: ada.call("HEAD", place(waiting)).status_code == 404, "removed once restored")
    assert ada.request(waiting)["archive"] is False


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


def restart(town, **producer):
    server = town.roles("producer")[0]
    server.stop()
    server.configure({**server.config, "producer": {**server.config["producer"], **producer}})
    server.start()
    return server


def begin(person, request, received=4096):
    """Ask for the archive and read nothing of it. received: bytes that the kernel may take in."""
    person.get("/session")
    host, port = person.base().removeprefix("http://").split(":")
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)
    s.settimeout(30)
    s.connect((host, int(port)))
    s.sendall(f"GET /api/v1{place(request)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
              f"Authorization: Bearer {person.token}\r\n\r\n".encode())
    return s


def held(server):
    """Bytes of files without a name that this process keeps."""
    total, folder = 0, f"/proc/{server.child.pid}/fd"
    for fd in os.listdir(folder):
        try:
            if os.readlink(f"{folder}/{fd}").endswith("archive.mbz (deleted)"):
                total += os.stat(f"{folder}/{fd}").st_size
        except OSError:
            pass
    return total


@pytest.fixture
def large(town):
    """A failed request whose archive is too large for the buffers of a connection."""
    source = samples.make(town.path("large.mbz"), 7, blobs=3, blob_size=4_000_000)  # 12 MB
    request = town.submit(town.remote.add(source))
    town.wait_state(request, "failed")
    town.large = source
    return request


def test_unread_downloads_do_not_fill_the_disk(town, large):
    ada, emmy, root = town.people
    server = restart(town, max_downloads=3, max_downloads_per_person=2)
    open_ones = []

    def downloads():
        return server.metric("navette_downloads")

    def holds(n):
        wait.until(lambda: len(left(town)) == 0 and downloads() == n and
                   (n == 0) == (held(server) == 0), f"{n} downloads", 20)

    for _ in range(2):
        open_ones.append(begin(ada, large))
        wait.until(lambda: downloads() == len(open_ones), "begun", 20)
    for method in ("GET", "HEAD"):
        for _ in range(5):
            refused = ada.call(method, place(large))
            assert refused.status_code == 429 and int(refused.headers["Retry-After"]) > 0
            assert refused.headers["X-Navette-Reason"] == "busy"
    assert "downloading 2 archives already" in ada.call("GET", place(large)).json()["detail"]
    open_ones.append(begin(root, large))
    wait.until(lambda: downloads() == 3, "begun", 20)
    refused = root.call("GET", place(large))
    assert refused.status_code == 503 and int(refused.headers["Retry-After"]) > 0
    assert "many people" in refused.json()["detail"]
    holds(3)
    assert held(server) <= 3 * 13_000_000
    # Whoever leaves frees the disk at once.
    for s in open_ones:
        s.close()
    holds(0)
    s = begin(ada, large, 65536)
    assert s.recv(12) == b"HTTP/1.1 200"
    s.close()
    # Also before there is anything to read.
    for _ in range(10):
        begin(ada, large).close()
        wait.until(lambda: downloads() < 2, "room for another", 20)
    holds(0)


def test_who_reads_too_slowly_is_cut_off_and_who_is_merely_slow_is_not(town, large, tmp_path):
    ada = town.people[0]
    server = restart(town, body_timeout="2s", min_rate="2MiB")
    size = os.path.getsize(town.large)
    unread = begin(ada, large)
    slow = begin(ada, large, 65536)
    began, got = time.monotonic(), b""
    while piece := slow.recv(65536):
        got += piece
        # 3 MB a second, a little more than it must be
        time.sleep(max(0, len(got) / 3_000_000 - (time.monotonic() - began)))
    head, _, content = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200") and abs(len(content) - size) < size / 2
    (tmp_path / "got.mbz").write_bytes(content)
    mbz.assert_same(town.large, tmp_path / "got.mbz")
    wait.until(lambda: server.metric("navette_http_shut_total", why="answer") == 1, "cut off", 20)
    wait.until(lambda: held(server) == 0, "nothing held", 10)
    unread.close()
    slow.close()


def test_what_has_no_room_is_refused_before_it_is_fetched(town):
    ada = town.people[0]
    server = restart(town, work_reserve="9TiB")
    for method in ("HEAD", "GET"):
        refused = ada.call(method, place(town.failed))
        assert refused.status_code == 507
        assert refused.headers["X-Navette-Reason"] == "disk_full"
    assert "not enough disk space" in ada.call("GET", place(town.failed)).json()["detail"]
    assert left(town) == [] and server.metric("navette_downloads") == 0


def test_who_has_not_set_it_up_offers_none(town):
    ada = town.people[0]
    producer = town.roles("producer")[0]
    producer.stop()
    del producer.config["producer"]["work_dir"]
    producer.configure(producer.config)
    producer.start()
    assert ada.sign_in()["options"]["download"] is False
    assert ada.call("GET", place(town.failed)).status_code == 404
