# SPDX-License-Identifier: GPL-3.0-or-later
"""No client can keep others out of the producer: slow ones, bodies from nobody, and more than it has room for."""
import contextlib
import resource
import socket
import threading
import time

import pytest
import requests

from harness import wait

SLOW = 1300
BODIES = 400
MIB = 1 << 20


@pytest.fixture
def town(make_farm):
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    farm = make_farm()
    farm.server = farm.daemon("producer")
    return farm


def start(town, **producer):
    server = town.server
    section = server.config["producer"]
    # Measurements where people come, so that they count among the probes here.
    server.configure({**server.config, "producer": {**section, "metrics_listen": section["listen"], **producer}})
    server.start()
    town.port = int(server.url("").rsplit(":", 1)[1])
    return server


def connect(town, text=b"", address="127.0.0.1"):
    s = socket.create_connection(("127.0.0.1", town.port), timeout=20, source_address=(address, 0))
    s.sendall(text)
    return s


def answer(s):
    """Everything until the end."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while piece := s.recv(65536):
            got += piece
    s.close()
    return got.decode(errors="replace")


def assert_served(town, server):
    """The probes and somebody who signs in and works, all of it soon."""
    began = time.monotonic()
    for probe in ("/healthz", "/readyz", "/metrics"):
        assert requests.get(server.url(probe), timeout=10).status_code == 200
    ada = town.person("ada")
    ada.sign_in()
    assert ada.get("/requests")["total"] == 0
    reader = ada.follow()
    reader.stop()
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("trusted", [["127.0.0.0/8"], ["192.0.2.1"]],
                         ids=["as a proxy", "as anybody"])
def test_slow_clients_keep_nobody_out(town, trusted):
    server = start(town, trusted_proxies=trusted, max_connections=1200, max_per_address=500,
                   header_timeout="6s")
    slow = []
    for i in range(SLOW):
        slow.append(connect(town, (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ")[i % 3]))
    assert_served(town, server)
    assert server.metric("navette_http_shut_total", why="crowded") > 0 or trusted == ["127.0.0.0/8"]
    # However the bytes trickle in: 6 s for the headers, and they are gone.
    stop = threading.Event()

    def trickle():
        while not stop.wait(1):
            for s in slow[-50:]:
                with contextlib.suppress(OSError):
                    s.sendall(b"x")

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        wait.until(lambda: server.metric("navette_http_shut_total", why="headers") +
                   server.metric("navette_http_shut_total", why="crowded") >= SLOW, "all closed", 40)
    finally:
        stop.set()
        thread.join()
    for s in slow:
        s.close()
    assert_served(town, server)


def memory(server):
    """Bytes that it holds."""
    with open(f"/proc/{server.child.pid}/smaps_rollup", encoding="ascii") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Rss:")) * 1024


def test_bodies_of_nobody_are_not_kept(town):
    """400 of 1 MiB at once, all but their last byte sent."""
    server = start(town, trusted_proxies=["192.0.2.1"])
    assert_served(town, server)
    before = memory(server)
    block = b" " * (MIB - 1)
    senders = []
    for path in ("/api/v1/requests", "/api/v1/session", "/launch", "/api/v1/requests/check"):
        for _ in range(BODIES // 4):
            s = connect(town, f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                              f"Content-Length: {MIB}\r\n\r\n".encode())
            with contextlib.suppress(OSError):
                s.sendall(block)
            senders.append(s)
    grown = memory(server) - before
    assert grown < 100 * MIB, f"{grown / MIB:.0f} MiB for {BODIES} bodies"
    assert_served(town, server)
    with contextlib.suppress(OSError):
        senders[0].sendall(b" ")
        assert " 401 " in answer(senders[0]).split("\r\n")[0]
    for s in senders:
        s.close()


def test_a_full_producer_says_so_and_serves_probes(town):
    """Event streams of many people fill it; each person has only so many."""
    server = start(town, max_connections=16, max_streams=9)
    readers = [[town.person(who).follow() for _ in range(8)] for who in ("ada", "emmy")]
    for _ in range(200):  # and some that say nothing
        connect(town)
    refused = requests.get(server.url("/api/v1/session"), timeout=10)
    assert refused.status_code == 503 and int(refused.headers["Retry-After"]) > 0
    assert refused.json()["reason"] == "busy"
    for probe in ("/healthz", "/readyz", "/metrics"):
        assert requests.get(server.url(probe), timeout=10).status_code == 200
    readers[1].pop().stop()  # who leaves makes room at once, though nothing was sent to them

    def served():
        return requests.get(server.url("/"), timeout=10).status_code == 200
    wait.until(served, "room again", 10)
    for some in readers:
        for reader in some:
            reader.stop()
    wait.until(lambda: server.metric("navette_event_readers") == 0, "all gone", 10)


def test_event_streams_of_one_person_are_limited(town):
    server = start(town, max_streams=3)
    ada = town.person("ada")
    readers = [ada.follow() for _ in range(3)]
    refused = ada.call("GET", "/events")
    assert refused.status_code == 429 and int(refused.headers["Retry-After"]) > 0
    assert ada.call("HEAD", "/events").status_code == 429, "a page must ask this way"
    town.person("emmy").follow().stop()
    readers.pop().stop()
    wait.until(lambda: server.metric("navette_event_readers") == 2, "one left", 10)
    for _ in range(3):  # it opens none
        head = ada.call("HEAD", "/events")
        assert (head.status_code, head.headers.get("Content-Length")) == (200, "0")
    readers.append(ada.follow())
    for reader in readers:
        reader.stop()


def test_behind_a_proxy_each_address_counts_for_itself(town):
    server = start(town, trusted_proxies=["127.0.0.2"], max_per_address=8, catalog_timeout="5s")

    def begin(person, proxy="127.0.0.2"):
        """A sign-in whose body does not come: nobody's, and busy."""
        return connect(town, f"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {person}\r\n"
                             "Content-Length: 10\r\n\r\n".encode(), proxy)

    def ask(person, proxy="127.0.0.2"):
        return answer(connect(town, f"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {person}\r\n"
                                    "Connection: close\r\n\r\n".encode(), proxy)).split("\r\n")[0]

    held = [begin("198.51.100.1") for _ in range(8)]
    wait.until(lambda: " 429 " in ask("198.51.100.1"), "that address is full", 10)
    assert " 200 " in ask("198.51.100.2")
    assert " 429 " in ask("203.0.113.1, 198.51.100.1"), "the last counts: the proxy has seen it"
    # No proxy of ours: what it says is not believed, its own address counts.
    assert " 200 " in ask("198.51.100.1", "127.0.0.3")
    lines = server.events("http.refused")
    assert {line["peer"] for line in lines if line["status"] == "429"} == {"198.51.100.1"}
    for s in held:
        s.close()
    wait.until(lambda: " 200 " in ask("198.51.100.1"), "room again", 10)


def test_what_a_parser_might_choke_on_is_refused(town):
    server = start(town)
    deep = b"[" * 5000
    for body in (deep, b'{"username":' + deep, b'{"username": "a\\u0000b", "password": "x"}',
                 b'{"username": "a\x00b", "password": "x"}', b'{"username": "\xff", "password": "x"}',
                 b'{"username": "\\ud800", "password": "x"}',
                 b'{"username": "a", "username": "b", "password": "x"}', b"\x00", b"",
                 b'{"username": 1e999, "password": "x"}'):
        refused = requests.post(server.url("/api/v1/session"), data=body, timeout=10,
                                headers={"Content-Type": "application/json"})
        assert refused.status_code == 400, (body[:40], refused.text)
    long = requests.post(server.url("/api/v1/session"), data=b" " * 16385, timeout=10,
                         headers={"Content-Type": "application/json"})
    assert long.status_code == 413
    for cookie in ("navette_session=" + "a" * 20000, "navette_session=\"", "=;;=;navette_session",
                   "navette_session=" + "é" * 32):
        refused = answer(connect(town, f"GET /api/v1/session HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n"
                                       "Connection: close\r\n\r\n".encode()))
        assert refused.split(" ")[1] in ("401", "431"), refused
    both = answer(connect(town, b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n"
                                b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"))
    assert both.startswith("HTTP/1.1 400") and both.count("HTTP/1.1") == 1
