# SPDX-License-Identifier: GPL-3.0-or-later
"""`navette doctor`: each of its findings is brought about by its cause. The broker is a real node of its own, Redis a
real one as well; what no real server can be brought to say in a moment is said by one of a few lines."""
import contextlib
import email.utils
import hmac
import http.server
import json
import os
import re
import shutil
import socket
import socketserver
import subprocess
import threading
import time

import pytest
from cli_test import Broker, run, run_json, write

NAVETTE = os.environ["NAVETTE_BIN"]
SOURCE = os.environ["NAVETTE_SOURCE"]
AMQP = os.environ["NAVETTE_TEST_AMQP_PORT"]
MANAGEMENT = os.environ["NAVETTE_TEST_MGMT_PORT"]
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
NOBODY = 65534
SITE_KEY = "ed25519:" + "A" * 43 + "="


def doctor(config, **env):
    return run_json("doctor", "-c", str(config), status=None, **env)["findings"]


def only(findings, *ids):
    """Those with these ids, each of which is there; in the order of ids."""
    chosen = [[f for f in findings if f["id"] == name] for name in ids]
    assert all(chosen), (ids, [f["id"] + ": " + f["text"] for f in findings if f["area"] != "versions"])
    return [f[0] for f in chosen]


def absent(findings, *ids):
    assert not [f for f in findings if f["id"] in ids], findings


@pytest.fixture(name="broker")
def make_broker(tmp_path):
    b = Broker(tmp_path)
    yield b
    b.connection.close()


def ctl(*args):
    subprocess.run([os.environ["NAVETTE_TEST_BROKER"], "--ctl", os.environ["NAVETTE_TEST_BROKER_DIR"], *args],
                   check=True, capture_output=True, timeout=60)


# --- what doctor can say ---

def test_every_finding_has_a_test_that_names_it():
    with open(os.path.join(SOURCE, "cli", "doctor.h"), encoding="utf-8") as f:
        ids = re.findall(r"^\tX\((\w+), (?:GOOD|WARNING|BAD)\)", f.read(), re.M)
    assert len(ids) > 80 and len(set(ids)) == len(ids)
    with open(__file__, encoding="utf-8") as f:
        text = f.read()
    assert [name for name in ids if f'"{name}"' not in text] == []


def test_each_finding_that_is_not_good_has_a_way_out_and_the_exit_status_tells(tmp_path):
    doc = run_json("doctor", "-c", str(tmp_path / "none"), status=1)
    assert doc["ok"] is False and doc["failed"] == 1
    assert {"id", "status", "area", "text", "way_out"} == set(doc["findings"][0])
    for f in doc["findings"]:
        assert bool(f["way_out"]) == (f["status"] != "ok")
    text = run("doctor", "-c", str(tmp_path / "none"), status=1).stdout
    assert "→ write one, starting from navette config example" in text and "Failed: 1 " in text
    assert "Nothing failed" in run("doctor", "-c", write(tmp_path / "empty.yaml", "log:\n  level: info\n")).stdout


# --- the producer's folder, and what it measures ---

PRODUCER = f"sites:\n  - name: lastyear\n    public_key: \"{SITE_KEY}\"\nproducer:\n  accounts_file: /nonexistent/accounts.json\n"


def test_where_accepted_requests_are_kept(tmp_path):
    config = write(tmp_path / "p.yaml", PRODUCER)
    lost, = only(doctor(config, STATE_DIRECTORY=str(tmp_path / "none")), "spool_missing")
    assert "producer.work_dir" in lost["way_out"]
    (tmp_path / "state").mkdir()
    kept = doctor(config, STATE_DIRECTORY=str(tmp_path / "state"))
    assert str(tmp_path / "state") in only(kept, "spool_ok")[0]["text"]
    absent(kept, "spool_missing")


def test_the_course_servers_clocks_are_read_where_the_producer_serves_its_measurements(tmp_path):
    found = doctor(write(tmp_path / "p.yaml", PRODUCER))
    assert "producer.metrics_listen" in only(found, "clocks_unserved")[0]["way_out"]

    class Metrics(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/metrics" else 404)
            self.end_headers()
            self.wfile.write(b'navette_clock_skew_seconds{peer="lastyear"} 600\n')

        def log_message(self, *args):
            pass
    server = http.server.HTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        here = f"  metrics_listen: 127.0.0.1:{server.server_address[1]}\n"
        found = doctor(write(tmp_path / "m.yaml", PRODUCER + here))
    finally:
        server.shutdown()
        server.server_close()
    absent(found, "clocks_unserved")
    assert "lastyear, as its messages show, is" in only(found, "clock_wrong")[0]["text"]


# --- this machine ---

def test_configuration(tmp_path):
    missing, = only(doctor(tmp_path / "none.yaml"), "config_missing")
    assert "config example" in missing["way_out"] and "that line" not in missing["way_out"]
    good = write(tmp_path / "good.yaml", "log:\n  level: info\n")
    only(doctor(good), "config_ok")
    mistake, = only(doctor(write(tmp_path / "bad.yaml", "lgo: {}\n")), "config_mistake")
    assert "bad.yaml:1" in mistake["text"] and "that line" in mistake["way_out"]
    secret, = only(doctor(write(tmp_path / "secret.yaml", "identity:\n  client: c\n  key_file: /none/k\nbroker:\n"
                                "  uris: amqp://u@127.0.0.1:1/v\n  password_file: /none/password\n"
                                f"producer:\n  accounts_file: {tmp_path}/a\n")), "config_file_missing")
    assert "/none/password" in secret["text"] and "create that file" in secret["way_out"]


@NEEDS_ROOT
def test_a_configuration_that_may_not_be_read(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    write(folder / "c.yaml", "log:\n  level: info\n")
    # As somebody who may run the program and not look into that folder.
    program = shutil.copy(NAVETTE, "/tmp/navette-doctor-test-" + str(os.getpid()))
    try:
        done = subprocess.run([program, "doctor", "--json", "-c", str(folder / "c.yaml")], user=NOBODY, group=NOBODY,
                              extra_groups=[], cwd="/", capture_output=True, text=True, timeout=60, check=False)
    finally:
        os.unlink(program)
    unreadable, = only(json.loads(done.stdout)["findings"], "config_unreadable")
    assert "root" in unreadable["way_out"]


def test_key(tmp_path):
    key = tmp_path / "key"
    config = write(tmp_path / "c.yaml", f"identity:\n  client: c\n  key_file: {key}\n")
    missing, = only(doctor(config), "key_missing")
    assert "keys new" in missing["way_out"]
    run("keys", "new", str(key))
    only(doctor(config), "key_ok")
    key.chmod(0o644)
    bad, = only(doctor(config), "key_bad")
    assert "chmod 600" in bad["text"] and "create one" not in bad["way_out"]


def test_accounts(tmp_path):
    accounts = tmp_path / "accounts"
    config = write(tmp_path / "c.yaml", f"producer:\n  accounts_file: {accounts}\n")
    only(doctor(config), "accounts_missing")
    run("account", "add", "anna", "-c", config, stdin="correct horse\n")
    only(doctor(config), "accounts_ok")
    run("account", "remove", "anna", "-c", config)
    only(doctor(config), "accounts_none")
    accounts.write_text("{")
    bad, = only(doctor(config), "accounts_bad")
    assert "account add" not in bad["way_out"]


def lies(**what):
    return {"LD_PRELOAD": os.environ["NAVETTE_LIES"], "ASAN_OPTIONS": "verify_asan_link_order=0", **what}


def test_libraries_and_the_kernels_clock(tmp_path):
    config = write(tmp_path / "c.yaml", "log:\n  level: info\n")
    only(doctor(config, **lies()), "library_ok", "ntp_ok")
    old, lost = only(doctor(config, **lies(LIE_OLD_LIBRARY="1", LIE_CLOCK_LOST="1")), "library_old", "ntp_lost")
    assert "librabbitmq 0.10.0, needed is 0.11.0" == old["text"] and "ntp" in lost["way_out"]


def test_disk(tmp_path):
    work = tmp_path / "work"
    work.mkdir(mode=0o750)
    config = write(tmp_path / "c.yaml", f"store:\n  max_archive: 10GiB\nworker:\n  work_dir: {work}\n"
                   f"site:\n  type: folder\n  path: {tmp_path}/none\n")
    findings = doctor(config, **lies())
    only(findings, "disk_ok", "disk_unknown")
    only(doctor(config, **lies(LIE_ROOM=str(2 << 30))), "disk_low")
    full, = only(doctor(config, **lies(LIE_ROOM=str(1 << 20))), "disk_full")
    assert "free some space" in full["way_out"]


def test_work_dir(tmp_path):
    work = tmp_path / "work"
    config = write(tmp_path / "c.yaml", f"worker:\n  work_dir: {work}\n")
    only(doctor(config), "work_dir_missing")
    work.mkdir(mode=0o750)
    work.chmod(0o750)
    only(doctor(config), "work_dir_ok")
    work.chmod(0o755)
    only(doctor(config), "work_dir_open")


def passable(path):
    """By the daemons' user, too."""
    while path != path.parent and path.stat().st_uid == os.geteuid():
        path.chmod(path.stat().st_mode | 0o011)
        path = path.parent


@NEEDS_ROOT
def test_root_looks_as_the_daemons_user_and_leaves_nothing_of_its_own(tmp_path):
    passable(tmp_path)
    key, work, store, site = (tmp_path / n for n in ("key", "work", "store", "site"))
    run("keys", "new", str(key))
    run("site", "create", str(site), "--name", "c", "--teacher", "t")
    for folder in (work, store, store / ".tmp"):
        folder.mkdir()
    for path in (key, work, store, store / ".tmp"):
        os.chown(path, NOBODY, NOBODY)
    work.chmod(0o750)
    config = write(tmp_path / "c.yaml", f"identity:\n  client: c\n  key_file: {key}\n"
                   f"worker:\n  work_dir: {work}\nsite:\n  type: folder\n  path: {site}\n"
                   f"sites:\n  - name: lastyear\n    public_key: \"{SITE_KEY}\"\n"
                   f"store:\n  type: directory\n  path: {store}\n", 0o644)
    findings = doctor(config)
    only(findings, "user_taken", "work_dir_ok", "store_ok")
    for top, folders, files in os.walk(tmp_path):
        if top.startswith((str(work), str(store))):
            assert all(os.stat(os.path.join(top, n)).st_uid == NOBODY for n in folders + files), top
    # What root could write to, and they could not.
    os.chown(work, 0, 0)
    for top, folders, files in os.walk(site):
        for name in folders + files:
            os.chmod(os.path.join(top, name), 0o755)
    site.chmod(0o755)
    shutil.rmtree(store)
    store.mkdir()
    denied, refused = only(doctor(config), "work_dir_denied", "store_denied")
    assert "belongs to root: nobody may not" in denied["text"] and "-o nobody" in denied["way_out"]
    assert "store.password_file" not in refused["way_out"]
    os.chown(key, 54321, 54321)
    nameless, = only(doctor(config), "user_refused")
    assert "no such user" in nameless["text"]


@NEEDS_ROOT
def test_a_folder_site_that_the_worker_may_only_read(tmp_path):
    passable(tmp_path)
    site = tmp_path / "site"
    run("site", "create", str(site), "--name", "c", "--teacher", "t")
    write(tmp_path / "key", "")
    os.chown(tmp_path / "key", NOBODY, NOBODY)
    work = tmp_path / "work"
    work.mkdir()
    for top, folders, files in os.walk(site):
        for name in folders + files:
            os.chmod(os.path.join(top, name), 0o777)
    config = write(tmp_path / "c.yaml", f"identity:\n  key_file: {tmp_path}/key\nworker:\n  work_dir: {work}\n"
                   f"site:\n  type: folder\n  path: {site}\n", 0o644)
    site.chmod(0o755)
    only(doctor(config), "site_read_only")


# --- the site ---

FACTS = {"issuer": "https://moodle.example.org", "launch_fingerprint": "", "search_roles_unknown": [],
         "enrol_role_unknown": None}
SETTINGS = {"moodle_role": "client", "navetteurl": "https://navette.example.org", "facts": FACTS}


def doctor_of_a_moodle(tmp_path, check=None, settings=None, more="", versions=None, **env):
    """What it finds about a Moodle whose script answers so."""
    script = tmp_path / "moodle" / "blocks" / "navette" / "cli" / "navette.php"
    script.parent.mkdir(parents=True, exist_ok=True)
    write(tmp_path / "moodle" / "config.php", "")
    answers = {"check": check or {"result": {"version": 2024100705, "plugin": 1}},
               "settings": {"result": settings or SETTINGS},
               "versions": versions or {"result": {"version": 2024100705, "plugins": []}}}
    write(script, "case $1 in\n" + "".join(f"{name}) cat <<'X'\n{json.dumps(answer)}\nX\n;;\n"
                                           for name, answer in answers.items()) + "esac\n")
    php = tmp_path / "php"
    write(php, '#!/bin/sh\nwhile [ "${1#-d}" != "$1" ]; do shift; done\nexec /bin/sh "$@"\n')
    php.chmod(0o755)
    return doctor(write(tmp_path / "m.yaml", more + "site:\n  type: moodle\n  user: \"\"\n"
                        f"  path: {tmp_path}/moodle\n  php: {php}\n"), **env)


def test_a_moodle_that_cannot_be_worked_with(tmp_path):
    only(doctor_of_a_moodle(tmp_path), "site_ok")
    for reason, name, text, way_out in (
            ("site_upgrading", "site_upgrading", "Moodle waits for its upgrade", "php admin/cli/upgrade.php"),
            ("site_upgrading", "site_upgrading", "the plugin is copied but not installed", "php admin/cli/upgrade.php"),
            ("disk_full", "site_disk_full", "/moodledata: the disk is full", "free some space"),
            ("site_unavailable", "site_unavailable", "Moodle cannot be started", "courses wait until then")):
        error = {"error": {"kind": "retry", "reason": reason, "message": text}}
        bad, = only(doctor_of_a_moodle(tmp_path, error), name)
        assert (bad["status"], bad["text"]) == ("failed", text) and way_out in bad["way_out"], bad
    old = {"error": {"kind": "reject", "reason": "bad_message", "message": "usage"}}
    only(doctor_of_a_moodle(tmp_path, old), "site_ok")  # it does not know the question


def test_hints_fit_what_is_wrong_with_a_site(tmp_path):
    away = {"error": {"kind": "retry", "reason": "site_unavailable", "message": "the database is away"}}
    found, = only(doctor_of_a_moodle(tmp_path, versions=away), "site_unavailable")
    assert "database" in found["way_out"] and "site create" not in found["way_out"]
    config = write(tmp_path / "none.yaml", f"site:\n  type: moodle\n  user: \"\"\n  path: {tmp_path}/none\n  php: /bin/sh\n")
    found, = only(doctor(config), "site_config")
    assert "site.path" in found["way_out"] and "site create" not in found["way_out"]
    config = write(tmp_path / "dir.yaml", f"site:\n  type: folder\n  path: {tmp_path}/none\n")
    found, = only(doctor(config), "site_config")
    assert "site create" in found["way_out"]


def test_nothing_is_made_in_the_daemons_folder(tmp_path):
    work = tmp_path / "work"
    work.mkdir(mode=0o750)
    only(doctor_of_a_moodle(tmp_path, more=f"worker:\n  work_dir: {work}\n"), "site_ok")
    assert os.listdir(work) == []


def test_a_moodle_whose_settings_cannot_be_right(tmp_path):
    def found(settings, who="client: c"):
        return doctor_of_a_moodle(tmp_path, settings=SETTINGS | settings, more=f"identity:\n  {who}\n")
    only(found({}), "moodle_settings_ok")
    wrong, = only(found({"moodle_role": "server"}), "moodle_role_wrong")
    assert "setup client" in wrong["way_out"]
    wrong, = only(found({}, "site: s"), "moodle_role_wrong")
    assert "setup server" in wrong["way_out"]
    only(found({"moodle_role": "both"}, "site: s"), "moodle_settings_ok")
    only(found({"moodle_role": ""}), "moodle_role_unset")
    role, enrol = only(found({"facts": FACTS | {"search_roles_unknown": ["editingtaecher"], "enrol_role_unknown": "x"}}),
                       "search_role_unknown", "enrol_role_unknown")
    assert "editingtaecher" in role["text"] and "enrollrole" in enrol["way_out"]
    only(found({"facts": None}), "moodle_settings_unknown")


def test_the_buttons_secret_issuer_and_address_are_compared(tmp_path):
    secret = "s" * 32
    write(tmp_path / "secret", secret + "\n")
    # As the plugin makes it (PROTOCOL.md, settings).
    fingerprint = hmac.new(secret.encode(), b"navette launch secret", "sha256").hexdigest()[:16]

    run("keys", "new", str(tmp_path / "key"))
    run("account", "add", "a", "-c", write(tmp_path / "a.yaml", f"producer:\n  accounts_file: {tmp_path}/accounts\n"),
        stdin="correct horse\n")
    producer = (f"identity:\n  client: c\n  key_file: {tmp_path}/key\nbroker:\n  uris: amqp://guest@127.0.0.1:1/v\n"
                f"  password_file: {tmp_path}/secret\nredis:\n  socket: {tmp_path}/none\nproducer:\n"
                f"  accounts_file: {tmp_path}/accounts\n  base_url: https://navette.example.org/\nsites:\n"
                f"  - name: lastyear\n    public_key: \"{SITE_KEY}\"\nstore:\n  type: directory\n  path: {tmp_path}/s\n")
    launch_section = f"launch:\n  secret_file: {tmp_path}/secret\n  issuer: https://moodle.example.org\n"

    def found(facts, launch=True, **settings):
        more = producer + (launch_section if launch else "")
        return doctor_of_a_moodle(tmp_path, settings=SETTINGS | {"facts": FACTS | facts} | settings, more=more)
    good = found({"launch_fingerprint": fingerprint})
    only(good, "launch_ok")
    absent(good, "launch_unchecked")
    wrong, = only(found({"launch_fingerprint": "0123456789abcdef"}), "launch_secret_wrong")
    assert "launchsecret" in wrong["way_out"] and secret not in json.dumps(wrong)
    only(found({}), "launch_secret_wrong")
    wrong, = only(found({"launch_fingerprint": fingerprint, "issuer": "http://moodle.example.org"}),
                  "launch_issuer_wrong")
    assert "http://moodle.example.org" in wrong["text"]
    only(found({"launch_fingerprint": fingerprint}, navetteurl="https://other.example.org"), "launch_address_wrong")
    only(found({}, launch=False), "launch_no_secret")
    beside, = only(found({"launch_fingerprint": fingerprint}, launch=False), "launch_beside")
    assert fingerprint in beside["text"]
    # No Moodle here: said, with what to compare.
    config = write(tmp_path / "p.yaml", producer + launch_section)
    unchecked, = only(doctor(config), "launch_unchecked")
    assert fingerprint in unchecked["text"] and secret not in json.dumps(unchecked)


# --- the broker ---

def test_a_broker_as_it_should_be(broker):
    findings = doctor(broker.admin)
    only(findings, "broker_ok", "broker_version_ok", "queues_ok", "topology_ok", "alarms_none")
    assert not [f for f in findings if f["area"] == "broker" and f["status"] != "ok"]
    missing, = only(doctor(broker.config), "management_missing")
    assert "alarms" in missing["text"] and "monitoring" in missing["way_out"]


def test_a_broker_that_cannot_be_reached_or_refuses(broker, tmp_path):
    def found(old, new):
        return doctor(write(tmp_path / "other.yaml", broker.text.replace(old, new)))
    only(found(f":{AMQP}/", ":1/"), "broker_unreachable")
    only(found("amqp://guest@", "amqp://nobody@"), "broker_denied")
    uris = f"amqp://guest@127.0.0.1:{AMQP}/{broker.vhost}"
    tls = f"amqps://guest@localhost:{os.environ['NAVETTE_TEST_AMQPS_PORT']}/{broker.vhost}"
    ca = os.path.join(os.environ["NAVETTE_TEST_BROKER_DIR"], "tls", "other-ca.pem")
    only(found(uris, f"{tls}\n  ca_file: {ca}"), "broker_untrusted")
    plain, = only(found(uris, f"amqp://guest@0.0.0.0:{AMQP}/{broker.vhost}\n  allow_plain: true"), "broker_plain")
    assert "amqps" in plain["way_out"]


@contextlib.contextmanager
def serving(handler):
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def test_an_old_broker(broker, tmp_path):
    version = subprocess.run([os.environ["NAVETTE_TEST_BROKER"], "--ctl", os.environ["NAVETTE_TEST_BROKER_DIR"], "version"],
                             check=True, capture_output=True, text=True, timeout=60).stdout.split()[-1].encode()

    class Between(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.create_connection(("127.0.0.1", int(AMQP))) as there:
                threading.Thread(target=self.copy, args=(self.request, there), daemon=True).start()
                self.copy(there, self.request)

        @staticmethod
        def copy(a, b):
            with contextlib.suppress(OSError):
                while block := a.recv(65536):
                    b.sendall(block.replace(version, b"3.9.".ljust(len(version), b"0")))

    with serving(Between) as port:
        old, = only(doctor(write(tmp_path / "old.yaml", broker.text.replace(f":{AMQP}/", f":{port}/"))),
                    "broker_version_old")
    assert "3.10" in old["way_out"]


def test_what_is_missing_on_the_broker(broker):
    broker.channel.queue_unbind(broker.restore, f"self.{broker.client}", broker.restore)
    only(doctor(broker.admin), "topology_differs", "queues_ok")
    broker.channel.queue_delete(broker.restore)
    missing, = only(doctor(broker.admin), "queue_missing")
    assert broker.restore in missing["text"] and "broker apply" in missing["way_out"]


def test_the_monitoring_user_is_enough(broker, tmp_path):
    user = "mon" + broker.client
    write(tmp_path / "mon", "secret\n")
    text = (broker.text.replace(f"management_password_file: {tmp_path}/guest", f"management_password_file: {tmp_path}/mon")
            + f"  management_url: http://{user}@127.0.0.1:{MANAGEMENT}\n")
    config = write(tmp_path / "mon.yaml", text)
    only(doctor(config), "management_denied")
    ctl("add_user", user, "secret")
    ctl("set_user_tags", user, "management")
    only(doctor(config), "alarms_unknown")
    ctl("set_user_tags", user, "monitoring")
    findings = doctor(config)
    part, _, _ = only(findings, "topology_part", "alarms_none", "queues_ok")
    assert "permissions" in part["text"]
    absent(findings, "topology_ok")
    assert not [f for f in findings if f["area"] == "broker" and f["status"] != "ok"]
    assert "not checked" in run("broker", "check", "-c", config).stdout
    write(tmp_path / "away.yaml", text.replace(f":{MANAGEMENT}\n", ":1\n"))
    only(doctor(tmp_path / "away.yaml"), "management_unreachable")


def test_a_broker_under_an_alarm(broker):
    def until_there(name):
        end = time.monotonic() + 30
        while not [f for f in doctor(broker.admin) if f["id"] == name]:
            assert time.monotonic() < end, name
    for name, on, off in (("alarm_memory", ("set_vm_memory_high_watermark", "0.00001"),
                           ("set_vm_memory_high_watermark", "0.8")),
                          ("alarm_disk", ("set_disk_free_limit", "900GB"), ("set_disk_free_limit", "50MB"))):
        try:
            ctl(*on)
            until_there(name)
        finally:
            ctl(*off)
        until_there("alarms_none")


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    routes = {}

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        status, body, headers = self.reply()
        self.send_response_only(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reply(self):
        raise NotImplementedError

    do_GET = do_PUT = do_HEAD = do_DELETE = do_MKCOL = do_PROPFIND = do_MOVE = answer

    def log_message(self, *_):
        pass


def test_a_node_of_a_cluster_that_is_down(broker, tmp_path):
    class Management(Quiet):
        def reply(self):
            if self.path == "/api/nodes":
                return 200, json.dumps([{"name": "rabbit@b", "running": False}]).encode(), {}
            return (200, b"{}", {}) if self.path == "/api/whoami" else (401, b"{}", {})
    with serving(Management) as port:
        config = write(tmp_path / "x.yaml", broker.text + f"  management_url: http://guest@127.0.0.1:{port}\n")
        down, = only(doctor(config), "node_down")
    assert "rabbit@b" in down["text"]


# --- Redis ---

@pytest.fixture(name="redis", scope="module")
def start_redis(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redis")
    sock = str(folder / "s")
    with subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", sock, "--dir", str(folder), "--appendonly",
                           "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"],
                          stdout=subprocess.DEVNULL) as child:
        end = time.monotonic() + 30
        while "PONG" not in redis_cli(sock, "PING"):
            assert time.monotonic() < end
        yield sock
        child.kill()


def redis_cli(sock, *args):
    return subprocess.run(["redis-cli", "-s", sock, *args], capture_output=True, text=True, timeout=30, check=False).stdout


def redis_config(tmp_path, sock, more=""):
    return write(tmp_path / "r.yaml", f"redis:\n  socket: {sock}\n{more}")


def test_a_redis_as_it_should_be(redis, tmp_path):
    only(doctor(redis_config(tmp_path, redis)), "redis_ok", "redis_version_ok", "redis_setting_ok", "redis_writes",
         "clock_ok")
    assert "nv:doctor" not in redis_cli(redis, "KEYS", "*")
    only(doctor(redis_config(tmp_path, tmp_path / "none")), "redis_unreachable")


def test_a_redis_set_wrongly(redis, tmp_path):
    config = redis_config(tmp_path, redis)
    try:
        redis_cli(redis, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        redis_cli(redis, "CONFIG", "SET", "appendfsync", "everysec")
        only(doctor(config), "redis_setting_wrong", "redis_setting_risky")
    finally:
        redis_cli(redis, "CONFIG", "SET", "maxmemory-policy", "noeviction")
        redis_cli(redis, "CONFIG", "SET", "appendfsync", "always")
    write(tmp_path / "password", "secret\n")
    user = f"  user: doctor\n  password_file: {tmp_path}/password\n"
    only(doctor(redis_config(tmp_path, redis, user)), "redis_denied")
    redis_cli(redis, "ACL", "SETUSER", "doctor", "on", ">secret", "~nv:*", "+@all", "-config")
    only(doctor(redis_config(tmp_path, redis, user)), "redis_setting_unknown", "redis_writes")
    redis_cli(redis, "ACL", "SETUSER", "doctor", "-set")
    only(doctor(redis_config(tmp_path, redis, user)), "redis_write_denied")
    redis_cli(redis, "ACL", "DELUSER", "doctor")


@pytest.mark.parametrize("name,on,off,way_out", [
    ("redis_replica", ("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE"), "replica"),
    ("redis_no_replicas", ("CONFIG", "SET", "min-replicas-to-write", "1"),
     ("CONFIG", "SET", "min-replicas-to-write", "0"), "min-replicas"),
    ("redis_memory", ("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0"), "maxmemory")])
def test_a_redis_that_refuses_writes(redis, tmp_path, name, on, off, way_out):
    redis_cli(redis, *on)
    try:
        found, = only(doctor(redis_config(tmp_path, redis)), name)
        assert way_out in found["way_out"]
    finally:
        redis_cli(redis, *off)
    only(doctor(redis_config(tmp_path, redis)), "redis_writes")


@contextlib.contextmanager
def redis_that_says(**words):
    """By command, in lower case; raw RESP."""
    class Resp(socketserver.StreamRequestHandler):
        def handle(self):
            while line := self.rfile.readline():
                parts = []
                for _ in range(int(line[1:])):
                    parts.append(self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2].decode())
                self.wfile.write(words.get(parts[0].lower(), "+OK\r\n").encode())
    with serving(Resp) as port:
        yield port


def bulk(*texts):
    return f"*{len(texts)}\r\n" + "".join(f"${len(t)}\r\n{t}\r\n" for t in texts)


def test_a_redis_that_says_odd_things(tmp_path):
    def found(**words):
        with redis_that_says(**words) as port:
            return doctor(write(tmp_path / "r.yaml", f"redis:\n  host: 127.0.0.1\n  port: {port}\n"
                                f"producer:\n  accounts_file: {tmp_path}/a\n"))
    loading, = only(found(ping="-LOADING Redis is loading\r\n"), "redis_loading")
    assert "moment" in loading["way_out"]
    text = "redis_version:6.0.16\r\n"
    only(found(info=f"${len(text)}\r\n{text}\r\n"), "redis_version_old")
    disk, = only(found(set="-MISCONF Redis is configured to save RDB snapshots, but\r\n"), "redis_disk")
    assert "disk" in disk["way_out"]
    only(found(set="-ERR something new\r\n"), "redis_write_refused")
    only(found(time=bulk(str(int(time.time()) - 60), "0")), "clock_off")
    wrong, = only(found(time=bulk(str(int(time.time()) + 900), "0")), "clock_wrong")
    assert "ahead of us" in wrong["text"]


def test_sentinels(tmp_path):
    def found(*ports):
        return doctor(write(tmp_path / "s.yaml", "redis:\n  master: m\n  sentinels: ["
                            + ", ".join(f"redis://127.0.0.1:{p}" for p in ports) + "]\n"))
    with redis_that_says(sentinel=bulk("127.0.0.1", "1")) as one, \
            redis_that_says(sentinel=bulk("127.0.0.1", "2")) as other, redis_that_says(sentinel="*-1\r\n") as none:
        only(found(one, other, none), "sentinel_ok", "sentinel_differs", "sentinel_away", "redis_unreachable")
        only(found(none), "sentinel_none")


# --- the store ---

def store_config(tmp_path, store):
    return write(tmp_path / "store.yaml", "identity:\n  client: c\nsites:\n  - name: lastyear\n"
                 f"    public_key: \"{SITE_KEY}\"\nstore:\n{store}")


def test_a_store_in_a_folder(tmp_path):
    (tmp_path / "store").mkdir()
    config = store_config(tmp_path, f"  type: directory\n  path: {tmp_path}/store\n")
    # It may be a file system that is not mounted: one that is empty is one that nobody has written to.
    empty, = only(doctor(config), "store_empty")
    assert empty["status"] == "warning" and not list((tmp_path / "store").iterdir())
    (tmp_path / "store" / ".tmp").mkdir()
    only(doctor(config), "store_open", "store_ok")
    assert not [f for _, _, files in os.walk(tmp_path / "store") for f in files]
    temporary, = only(doctor(config, TMPDIR=str(tmp_path / "none")), "tmp_unwritable")
    assert "TMPDIR" in temporary["way_out"]
    only(doctor(store_config(tmp_path, f"  type: directory\n  path: {tmp_path}/none\n")), "store_missing")
    assert not (tmp_path / "none").exists()
    only(doctor(store_config(tmp_path, "  type: webdav\n  url: https://127.0.0.1:1/?x=y\n")), "store_config")


class WebDav(Quiet):
    def answer(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.headers.replace_header("Content-Length", "0") if self.headers.get("Content-Length") else None
        super().answer()

    do_GET = do_PUT = do_HEAD = do_DELETE = do_MKCOL = do_PROPFIND = do_MOVE = answer


@pytest.mark.parametrize("status,name", [(403, "store_denied"), (507, "store_full"), (500, "store_unavailable"),
                                         (None, "store_unlisted")])
def test_a_store_behind_webdav(tmp_path, status, name):
    objects = {}

    class Dav(WebDav):
        def reply(self):
            if self.command == "PUT" and not status:
                objects[self.path] = self.body
                return 201, b"", {}
            if self.command in ("PUT", "MKCOL"):
                return status or 201, b"", {}
            if self.command == "DELETE":
                return 204, b"", {}
            if self.command in ("GET", "HEAD") and self.path in objects:
                return 200, objects[self.path], {}
            return (405 if self.command == "PROPFIND" else 404 if not self.path.endswith("/") else 403), b"", {}
    with serving(Dav) as port:
        found, = only(doctor(store_config(tmp_path, f"  type: webdav\n  url: http://127.0.0.1:{port}\n")), name)
    if name == "store_unlisted":
        assert "PROPFIND" in found["way_out"]


@pytest.mark.parametrize("left", (False, True))
def test_the_trial_file_is_removed_or_its_removal_is_what_is_told(tmp_path, left):
    """A store that takes, lists and gives, and lets nobody delete, would fill."""
    objects, asked = {}, []

    class Dav(WebDav):
        def reply(self):
            asked.append((self.command, self.path))
            if self.command == "PUT":
                objects[self.path] = self.body
                return 201, b"", {}
            if self.command == "DELETE" and not left:
                objects.pop(self.path, None)
                return 204, b"", {}
            if self.command in ("GET", "HEAD") and self.path in objects:
                return 200, objects[self.path], {}
            if self.command == "GET" and self.path.endswith("/"):
                names = {p.removeprefix(self.path) for p in objects if p.startswith(self.path)}
                return 200, json.dumps([{"name": n, "type": "file", "size": 24, "mtime":
                                         "Sun, 22 Nov 2026 17:08:00 GMT"} for n in names if "/" not in n]).encode(), {}
            return {"MKCOL": 201, "DELETE": 403, "PROPFIND": 405}.get(self.command, 404), b"", {}
    with serving(Dav) as port:
        found, = only(doctor(store_config(tmp_path, f"  type: webdav\n  url: http://127.0.0.1:{port}\n")),
                      "store_denied" if left else "store_ok")
    (trial,) = {path for command, path in asked if command == "PUT"}
    assert trial.startswith("/lastyear/c/probes/") and ("DELETE", trial) in asked, asked
    assert objects.keys() == ({trial} if left else set())
    assert not left or "delete" in found["text"], found


# --- the daemons ---

def test_daemons(tmp_path):
    class Daemon(Quiet):
        said = (200, b"ready\n")

        def reply(self):
            return *self.said, {"Date": email.utils.formatdate(usegmt=True)}
    with serving(Daemon) as port:
        config = write(tmp_path / "d.yaml", f"api:\n  url: http://127.0.0.1:{port}/\n")
        only(doctor(config), "daemon_ready", "clock_ok")
        Daemon.said = (503, json.dumps({"detail": "the broker is away"}).encode())
        away, = only(doctor(config), "daemon_not_ready")
        assert "the broker is away" in away["text"]
        # Another web server there is no producer that is ready.
        for said in ((200, b"<html>Welcome</html>"), (404, b"not found"), (502, b"Bad Gateway")):
            Daemon.said = said
            only(doctor(config), "daemon_other")
    only(doctor(config), "daemon_away")
