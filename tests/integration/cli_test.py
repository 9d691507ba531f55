# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `navette` as people call it: usage, keys, configuration, accounts, sites, archives,
queues and dead letters on a real broker, requests against a producer made of a few answers."""
import http.server
import json
import os
import stat
import subprocess
import tarfile
import threading
import uuid

import pika
import pytest

NAVETTE = os.environ["NAVETTE_BIN"]
SOURCE = os.environ["NAVETTE_SOURCE"]
SAMPLES = os.path.join(SOURCE, "tests", "samples")
ID = ["01a20480-651f-7144-91fb-e39c2e1cf16%d" % n for n in range(10)]


def run(*args, status=0, stdin="", **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("NAVETTE_")}
    done = subprocess.run([NAVETTE, *args], input=stdin, capture_output=True, text=True,
                          timeout=60, env={**clean, "TZ": "UTC", **env}, check=False)
    assert status is None or done.returncode == status, (args, done.returncode, done.stdout, done.stderr)
    return done


def run_json(*args, status=0, **env):
    return json.loads(run(*args, "--json", status=status, **env).stdout)


def write(path, text, mode=0o600):
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


# --- usage ---

def commands():
    return run_json("help")["commands"]


def test_every_command_has_help():
    overview = run("help").stdout
    for c in commands():
        assert c["command"] in overview
        text = run(*c["command"].split(), "--help").stdout
        assert text.startswith(f"navette {c['command']}: {c['help']}")
        assert "--json" in text and "usage:" in text
        assert run_json(*c["command"].split(), "--help")["command"] == c["command"]


@pytest.mark.parametrize("args", [
    (), ("nonsense",), ("keys",), ("keys", "nonsense"), ("keys", "new"),
    ("keys", "new", "a", "b"), ("list", "--nonsense"), ("list", "--state"),
    ("list", "--all=yes"), ("show", "not-an-id"), ("watch", "not-an-id"), ("watch",),
    ("submit", "site"), ("submit", "site", "1", "--user", "u", "--no-user"),
    ("dead", "show", "0"), ("dead", "show", "x"), ("dead", "show", "abcdef0"),
    ("dead", "discard", "0123456g"), ("dead", "requeue"),
    ("dead", "requeue", "1", "--all"), ("site", "create", "dir"),
    ("config", "check", "--role", "pope"), ("mbz", "x")])
def test_wrong_usage_is_status_2_and_says_where_help_is(args, tmp_path):
    config = write(tmp_path / "c.yaml", "store:\n  type: directory\n  path: /tmp\n")
    done = run(*args, status=2, NAVETTE_CONFIG=config)
    assert done.stdout == "" and "See: navette" in done.stderr
    done = run("--json", *args, status=2, NAVETTE_CONFIG=config)
    error = json.loads(done.stdout)["error"]
    assert error["reason"] == "usage" and error["message"] and done.stderr == ""


def test_options_stand_anywhere():
    assert run("--json", "keys", "--help").returncode == 0
    assert json.loads(run("--version", "--json").stdout)["version"]
    assert run("config", "--json", "example").stdout.startswith("{")


# --- keys, configuration, accounts, sites ---

def test_a_key_is_made_once_and_shown(tmp_path):
    path = str(tmp_path / "key")
    public = run("keys", "new", path).stdout.strip()
    assert public.startswith("ed25519:")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert run_json("keys", "show", path)["public_key"] == public
    before = open(path, encoding="ascii").read()
    assert run_json("keys", "new", path, status=1)["error"]["reason"]
    assert open(path, encoding="ascii").read() == before
    os.chmod(path, 0o644)
    assert path in run("keys", "show", path, status=1).stderr


def test_every_mistake_of_a_configuration_is_named(tmp_path):
    path = write(tmp_path / "c.yaml", "archiver:\n  slots: many\nlgo:\n  level: info\n")
    done = run("config", "check", path, status=1)
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"{path}:2: archiver.slots:") and f"{path}:3:" in lines[1]
    assert run_json("config", "check", path, status=1)["mistakes"] == lines
    path = write(tmp_path / "good.yaml", "log:\n  level: info\n")
    assert "no mistakes" in run("config", "check", path).stdout
    assert run_json("config", "check", "-c", path)["ok"] is True
    needs = run_json("config", "check", path, "--role", "worker", status=1)["mistakes"]
    assert any("identity.client" in m for m in needs)
    # Every other command says the same.
    broken = write(tmp_path / "broken.yaml", "lgo: {}\n")
    assert run_json("list", "-c", broken, status=1)["error"]["reason"] == "config"


def test_the_example_is_the_one_in_deploy():
    with open(os.path.join(SOURCE, "deploy", "navette.yaml.example"), encoding="utf-8") as f:
        assert run("config", "example").stdout == f.read()


def test_accounts_come_change_and_go(tmp_path):
    config = write(tmp_path / "c.yaml", f"producer:\n  accounts_file: {tmp_path}/accounts\n")
    run("account", "add", "anna", "--name", "Anna B", "--mail", "a@example.org", "--lang", "fr",
        "--capability", "can_restore_user_datas", "-c", config, stdin="correct horse\n")
    secret = write(tmp_path / "secret", "battery staple\n")
    run("account", "add", "root", "--admin", "--password-file", secret, "-c", config)
    accounts = run_json("account", "list", "-c", config)["accounts"]
    assert [(a["username"], a["admin"]) for a in accounts] == [("anna", False), ("root", True)]
    assert accounts[0]["capabilities"] == ["can_restore_user_datas"]
    assert "correct" not in (tmp_path / "accounts").read_text()
    assert "battery" not in run("account", "list", "-c", config).stdout
    before = (tmp_path / "accounts").read_text()
    run("account", "passwd", "anna", "-c", config, stdin="another one\n")
    assert (tmp_path / "accounts").read_text() != before
    run("account", "add", "anna", "-c", config, stdin="correct horse\n", status=1)
    run("account", "passwd", "nobody", "-c", config, stdin="correct horse\n", status=1)
    assert "password" in run("account", "passwd", "anna", "-c", config, status=1).stderr
    run("account", "remove", "anna", "-c", config)
    assert len(run_json("account", "list", "-c", config)["accounts"]) == 1


def test_a_site_is_made_of_archives(tmp_path):
    folder = str(tmp_path / "site")
    done = run_json("site", "create", folder, "--name", "lastyear", "--teacher", "t", "--courses",
                    SAMPLES)
    assert done["category"] == "courses" and done["damaged"] == []
    assert len(os.listdir(os.path.join(folder, "backups"))) == 5
    run("site", "create", folder, "--name", "lastyear", "--teacher", "t", status=1)
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "no\x1b archive.mbz").write_bytes(b"PK\x03\x04 and no more")
    done = run("site", "create", str(tmp_path / "other"), "--name", "other", "--teacher", "t", "--courses", str(bad))
    assert "no  archive.mbz is damaged: " in done.stderr and "cut off" in done.stderr
    assert run_json("site", "delete-course", folder, ID[0],
                    status=1)["error"]["reason"] == "course_missing"


# --- archives ---

def test_inspect_tells_what_is_in_each_sample():
    users = {"files.tgz.mbz": False, "xs-nousers.tgz.mbz": False, "xs-users.tgz.mbz": True,
             "xs-users.zip.mbz": True, "s-users-nofiles.tgz.mbz": True}
    for name, has_users in users.items():
        doc = run_json("inspect", os.path.join(SAMPLES, name))
        assert doc["users"] is has_users and doc["form"] == name.split(".")[1]
        assert doc["entries"] > 50 and doc["packed"] == os.path.getsize(
            os.path.join(SAMPLES, name))
        assert "mod_page" in doc["plugins"]
    assert "User data:" in run("inspect", os.path.join(SAMPLES, "xs-users.tgz.mbz")).stdout
    assert run_json("inspect", __file__, status=1)["error"]["reason"] == "archive_corrupt"
    run("inspect", "/nonexistent", status=1)


def tree(path):
    with tarfile.open(path) as t:
        return {m.name.rstrip("/"): t.extractfile(m).read() if m.isfile() else None for m in t
                if m.name != ".ARCHIVE_INDEX"}


def test_mbz_gives_back_what_was_archived(tmp_path):
    sample = os.path.join(SAMPLES, "files.tgz.mbz")
    config = write(tmp_path / "c.yaml",
                   f"identity:\n  client: main\nstore:\n  type: directory\n"
                   f"  path: {tmp_path}/store\n")
    (tmp_path / "store").mkdir()
    place = ["lastyear", "main", ID[0]]
    for attempt in (ID[2], ID[1]):
        subprocess.run([os.environ["NAVETTE_CLI_ARCHIVE"], config, sample, *place, attempt,
                        str(tmp_path / attempt)], check=True)
    assert "--site" in run("mbz", ID[0], "-c", config, status=2).stderr
    out = str(tmp_path / "out.mbz")
    doc = run_json("mbz", ID[0], "--site", "lastyear", "-o", out, "-c", config)
    assert doc["attempt"] == ID[2] and doc["file"] == out
    assert tree(out) == tree(sample)
    assert run("mbz", ID[0], "--site", "lastyear", "-o", out, "-c", config, status=1).stderr
    assert not [f for f in os.listdir(tmp_path) if f.endswith(".work")]
    done = subprocess.run([NAVETTE, "mbz", ID[0], "--site", "lastyear", "-c", config],
                          cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("A-B--1-.mbz:") and (tmp_path / "A-B--1-.mbz").exists()
    assert run_json("mbz", ID[5], "--site", "lastyear", "-c", config,
                    status=1)["error"]["reason"] == "not_found"
    # A damaged object is told, and nothing is left.
    skeleton = tmp_path / "store" / "lastyear" / "main" / "archives" / ID[0] / ID[2]
    with open(skeleton / "skeleton.tar.zst", "r+b") as f:
        f.seek(100)
        f.write(b"damaged")
    bad = str(tmp_path / "bad.mbz")
    assert run_json("mbz", ID[0], "--site", "lastyear", "-o", bad, "-c", config,
                    status=1)["error"]["reason"] == "store_corrupt"
    assert not os.path.exists(bad)


# --- queues and dead letters ---

class Broker:
    def __init__(self, folder):
        self.vhost = "v" + uuid.uuid4().hex[:8]
        self.client = "c" + uuid.uuid4().hex[:8]
        port = os.environ["NAVETTE_TEST_AMQP_PORT"]
        uri = f"amqp://guest@127.0.0.1:{port}/{self.vhost}"
        write(folder / "guest", "guest\n")
        management = f"http://guest@127.0.0.1:{os.environ['NAVETTE_TEST_MGMT_PORT']}"
        self.text = (f"identity:\n  client: {self.client}\nbroker:\n  uris: {uri}\n"
                     f"  password_file: {folder}/guest\n  clients: [{self.client}]\n"
                     f"  credentials_dir: {folder}/credentials\n"
                     f"  management_password_file: {folder}/guest\n")
        self.config = write(folder / "amqp.yaml", self.text)
        self.admin = write(folder / "admin.yaml", self.text + f"  management_url: {management}\n")
        run("broker", "apply", "-c", self.admin)
        self.connection = pika.BlockingConnection(pika.ConnectionParameters(
            "127.0.0.1", int(port), self.vhost))
        self.channel = self.connection.channel()
        self.dead = f"dead.{self.client}"
        self.restore = f"restore.{self.client}"
        self.buried = 0

    def bury(self, body, queue=None, **headers):
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        self.channel.basic_publish(
            f"self.{self.client}", self.dead, body,
            pika.BasicProperties(delivery_mode=2, message_id="m", headers={
                "nv-queue": queue or self.restore, "nv-at": str(1795372163848 + self.buried), **headers}))
        self.buried += 1

    def get(self, queue):
        return self.channel.basic_get(queue, auto_ack=True)


@pytest.fixture(name="broker")
def make_broker(tmp_path):
    b = Broker(tmp_path)
    yield b
    b.connection.close()


def ours(properties):
    """Without what quorum queues add."""
    return {k: v for k, v in properties.headers.items() if k != "x-delivery-count"}


def listed(broker):
    return run_json("dead", "list", "-c", broker.config)["messages"]


def test_queues_are_counted_with_and_without_management(broker):
    broker.bury(b"x", nv_reason="internal")
    for config in (broker.config, broker.admin):
        queues = {q["queue"]: q for q in run_json("queues", "-c", config)["queues"]}
        assert len(queues) == 9 and all(q["exists"] for q in queues.values())
        if config == broker.config:
            assert queues[broker.dead]["ready"] == 1
            assert queues[broker.dead]["unacked"] is None
    broker.channel.queue_delete(broker.restore)
    for config in (broker.config, broker.admin):
        doc = run_json("queues", "-c", config, status=1)
        assert [q["queue"] for q in doc["queues"] if not q["exists"]] == [broker.restore]
    assert "broker apply" in run("queues", "-c", broker.config, status=1).stderr
    assert broker.restore in run("broker", "check", "-c", broker.admin, status=1).stdout
    run("broker", "apply", "-c", broker.admin)
    assert run_json("broker", "check", "-c", broker.admin)["ok"] is True


def test_looking_at_dead_letters_leaves_them_where_they_are(broker):
    for i in range(5):
        broker.bury(b"letter %d" % i, nv_reason="bad_message", nv_error=f"error {i}\x1b[31m",
                    nv_attempt="3")
    for _ in range(3):
        letters = listed(broker)
        assert [x["error"] for x in letters] == [f"error {i}\x1b[31m" for i in range(5)]
    assert letters[0]["queue"] == broker.restore and letters[0]["attempts"] == 3
    assert letters[0]["reason"] == "bad_message" and letters[0]["size"] == 8
    assert letters[0]["at"] == "2026-11-22T18:29:23.848Z"
    text = run("dead", "list", "-c", broker.config).stdout
    assert "\x1b" not in text and "error 4" in text
    assert run_json("dead", "show", "3", "-c", broker.config)["error"].startswith("error 2")
    assert "there is no number 6" in run("dead", "show", "6", "-c", broker.config,
                                         status=1).stderr


def test_one_dead_letter_is_requeued_or_discarded_and_no_other(broker):
    for i in range(4):
        broker.bury(b"letter %d" % i, nv_attempt="5", nv_reason="internal", nv_holds="2")
    run("dead", "discard", "1", "-c", broker.config)
    assert "requeued" in run("dead", "requeue", "2", "-c", broker.config).stdout
    method, properties, body = broker.get(broker.restore)
    assert body == b"letter 2" and method.routing_key == broker.restore
    assert ours(properties) == {"nv-requeued": "1"} and properties.message_id == "m"
    assert properties.delivery_mode == 2 and properties.user_id == "guest"
    assert [x["n"] for x in listed(broker)] == [1, 2]
    assert sorted(broker.get(broker.dead)[2] for _ in range(2)) == [b"letter 1", b"letter 3"]


def test_a_dead_letter_is_named_by_the_beginning_of_its_id(broker):
    """Numbers change when letters come or go, also while somebody reads the list; ids do not."""
    for i in range(4):
        broker.bury(b"letter %d" % i, nv_reason="internal")
    ids = [x["id"] for x in listed(broker)]
    assert all(len(x) == 32 for x in ids)
    assert ids[2][:12] in run("dead", "list", "-c", broker.config).stdout
    assert run_json("dead", "show", ids[2][:8], "-c", broker.config)["n"] == 3
    run("dead", "discard", "1", "-c", broker.config)
    assert "requeued" in run("dead", "requeue", ids[2][:8], "-c", broker.config).stdout
    assert broker.get(broker.restore)[2] == b"letter 2"
    run("dead", "discard", ids[3], "-c", broker.config)
    for name in (ids[3], ids[0][:8]):
        gone = run_json("dead", "discard", name, "-c", broker.config, status=1)
        assert gone["error"]["reason"] == "not_found"
    assert [x["id"] for x in listed(broker)] == [ids[1]]
    # The same bytes, given up at the same time: one of the two goes.
    broker.buried = 1
    broker.bury(b"letter 1", nv_reason="internal")
    assert [x["id"] for x in listed(broker)] == [ids[1], ids[1]]
    run("dead", "discard", ids[1][:8], "-c", broker.config)
    assert [x["id"] for x in listed(broker)] == [ids[1]]


def test_all_dead_letters_are_requeued_but_those_that_cannot_be(broker):
    broker.bury(b"good", nv_requeued="1")
    broker.bury(b"lost", queue="no.such.queue")
    broker.bury(b"good too")
    done = run_json("dead", "requeue", "--all", "-c", broker.config, status=1)
    assert done["requeued"] == 2 and "no.such.queue" in done["failed"][0]
    assert ours(broker.get(broker.restore)[1]) == {"nv-requeued": "2"}
    assert len(listed(broker)) == 1
    assert run_json("dead", "requeue", "1", "-c", broker.config,
                    status=1)["error"]["reason"] == "unroutable"
    assert len(listed(broker)) == 1


def test_a_broker_that_is_away_or_refuses_is_named(broker, tmp_path):
    away = write(tmp_path / "away.yaml", broker.text.replace(
        os.environ["NAVETTE_TEST_AMQP_PORT"], "1"))
    assert run_json("queues", "-c", away, status=1)["error"]["reason"] == "broker_unavailable"
    write(tmp_path / "guest", "wrong\n")
    assert run_json("dead", "list", "-c", broker.config, status=1)["error"]["reason"] == "denied"


# --- requests, against a producer made of a few answers ---

def request_document(i, state, **more):
    return {"id": ID[i], "rev": 1, "site": "lastyear", "site_label": "Last year", "course": str(i),
            "shortname": f"C{i}", "fullname": f"Course {i}\x1b[2J", "user": "t", "state": state,
            "step": None, "done": 0, "total": 0, "reason": None, "message": None,
            "published": True, "created": "2026-11-22T18:29:23.848Z", "restored": None, **more}


class Producer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, doc):
        body = json.dumps(doc).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def serve(self):
        state = self.server.state
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.loads(body) if body else None
        state["seen"].append((self.command, self.path, body,
                              self.headers.get("Idempotency-Key")))
        if self.path == "/api/v1/session" and self.command == "POST":
            good = body == {"username": "t", "password": "geheim"}
            state["token"] = f"token-{len(state['seen'])}"
            problem = {"type": "about:blank", "title": "no", "status": 401, "reason": "denied",
                       "detail": "wrong name or password"}
            return self.answer(201 if good else 401, {"token": state["token"], "user": {}}
                               if good else problem)
        if self.headers.get("Authorization") != f"Bearer {state['token']}":
            return self.answer(401, {"title": "sign in", "status": 401, "reason": "denied"})
        if (self.command, self.path) == ("GET", "/api/v1/events"):
            return self.stream()
        answers = state["answers"].get((self.command, self.path.split("?")[0]), [])
        status, doc = answers.pop(0) if len(answers) > 1 else answers[0] if answers else (404, {
            "type": "about:blank", "title": "not found", "status": 404, "reason": "not_found"})
        if doc == "forget":
            state["token"] = None
            return self.serve_again(body)
        return self.answer(status, doc)

    def serve_again(self, _body):
        return self.answer(401, {"title": "sign in", "status": 401, "reason": "denied"})

    def stream(self):
        """What the test has put there for one connection, after which it breaks; held open when there
        is nothing."""
        state = self.server.state
        state["last_ids"].append(self.headers.get("Last-Event-ID"))
        self.close_connection = True
        pieces = state["streams"].pop(0) if state["streams"] else None
        if isinstance(pieces, int):
            return self.answer(pieces, {"title": "no", "status": pieces})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"retry: 3000\n\n")
        for piece in pieces or []:
            self.wfile.write(piece.encode())
            self.wfile.flush()
        try:
            while pieces is None and not self.server.over.wait(0.2):
                self.wfile.write(b":\n\n")
        except OSError:
            pass  # the reader has gone
        return None

    do_GET = do_POST = do_DELETE = serve

    def log_message(self, *_args):
        pass


class Api:
    def __init__(self, folder):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Producer)
        self.server.daemon_threads = True
        self.server.over = threading.Event()
        self.server.state = self.state = {"seen": [], "answers": {}, "token": None,
                                          "streams": [], "last_ids": []}
        write(folder / "password", "geheim\n")
        self.config = write(folder / "api.yaml",
                            f"api:\n  url: http://127.0.0.1:{self.server.server_port}/\n"
                            f"  user: t\n  password_file: {folder}/password\n")
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def on(self, method, path, *answers):
        self.state["answers"][(method, "/api/v1" + path)] = list(answers)

    def bodies(self, method, path):
        return [b for m, p, b, _ in self.state["seen"] if (m, p) == (method, "/api/v1" + path)]


@pytest.fixture(name="api")
def make_api(tmp_path):
    a = Api(tmp_path)
    yield a
    a.server.over.set()
    a.server.shutdown()
    a.server.server_close()


def test_the_command_signs_in_and_out(api, tmp_path):
    api.on("GET", "/requests", (200, {"requests": [], "total": 0, "offset": 0, "limit": 50}))
    assert run_json("list", "-c", api.config) == {"requests": [], "total": 0}
    assert [m for m, p, _, _ in api.state["seen"] if p.endswith("/session")] == ["POST", "DELETE"]
    write(tmp_path / "password", "wrong\n")
    error = run_json("list", "-c", api.config, status=1)["error"]
    assert error["reason"] == "denied" and "wrong name or password" in error["message"]
    empty = write(tmp_path / "e.yaml", "api:\n  url: http://127.0.0.1:1\n")
    assert "api.user" in run("list", "-c", empty, status=1).stderr


def test_a_forgotten_session_is_renewed(api):
    api.on("GET", f"/requests/{ID[1]}", (200, "forget"), (200, request_document(1, "restored")))
    assert run_json("show", ID[1], "-c", api.config)["state"] == "restored"
    assert len(api.bodies("POST", "/session")) == 2


def test_the_log_is_shown_as_it_came_and_to_nobody_s_harm(api):
    doc = {"dropped": 7, "lines": [
        {"at": "2026-11-22T17:08:00.123Z", "from": "archiver old", "level": "warn",
         "text": "Moodle: \x1b[31mred"},
        {"at": "2026-11-22T17:08:01.000Z", "from": "producer", "level": "error", "text": "failed"}]}
    api.on("GET", f"/requests/{ID[1]}/log", (200, doc))
    assert run_json("show", ID[1], "--log", "-c", api.config) == doc
    text = run("show", "--log", ID[1], "-c", api.config).stdout
    assert text.splitlines() == [
        "(7 older lines were dropped)",
        "2026-11-22T17:08:00.123Z  warn   archiver old: Moodle:  [31mred",
        "2026-11-22T17:08:01.000Z  error  producer: failed"]
    api.on("GET", f"/requests/{ID[1]}/log", (403, {
        "type": "about:blank", "title": "no", "status": 403, "reason": "denied",
        "detail": "only administrators may do this"}))
    assert "only administrators" in run("show", ID[1], "--log", "-c", api.config, status=1).stderr
    run("show", "not-an-id", "--log", "-c", api.config, status=2)


def test_submit_says_what_became_of_each_course(api):
    problem = {"type": "about:blank", "title": "Conflict", "status": 409, "detail": "by Ada",
               "reason": "already_restored"}
    api.on("POST", "/requests", (202, {"results": [
        {"status": 202, "id": ID[1], "published": True, "request": request_document(1, "scheduled")},
        {"status": 409, "problem": problem}]}))
    done = run("submit", "lastyear", "1", "2", "--user-data", "--enrolment", "manual", "--user",
               "ada", "-c", api.config, status=1)
    assert ID[1] in done.stdout and "course 2: by Ada" in done.stderr and "\x1b" not in done.stdout
    item = {"site": "lastyear", "course": "1", "source": "command", "user": "ada",
            "user_data": True, "enrolment": "manual"}
    assert api.bodies("POST", "/requests") == [{"requests": [item, {**item, "course": "2"}]}]
    assert [k for m, p, _, k in api.state["seen"] if p.endswith("/requests")][0]
    # One alone that is refused is the whole answer.
    api.on("POST", "/requests", (409, problem))
    doc = run_json("submit", "lastyear", "2", "--no-user", "-c", api.config, status=1)
    assert doc["results"][0]["problem"]["reason"] == "already_restored"
    assert api.bodies("POST", "/requests")[-1]["requests"][0]["user"] is None


def course(n, state=None, **holder):
    return {"course": str(n), "shortname": f"C{n}", "fullname": f"Course {n}", "size": 1,
            "available": state in (None, "failed"),
            "holder": {"id": ID[n], "state": state, "mine": True, **holder} if state else None}


def event(number, n, state=None, name="request", **more):
    data = {"id": ID[n], "state": state, "rev": 1, "step": None, "done": 0, "total": 0,
            "reason": None, "message": None, **more}
    return f"id: {number}-0\nevent: {name}\ndata: {json.dumps(data)}\n\n"


def test_a_damaged_course_is_listed_as_damaged(api):
    bad = {**course(2), "available": False, "damaged": "course 2: archive: b.mbz: it is cut off"}
    api.on("GET", "/courses", (200, {"user": "t", "sites": [
        {"site": "lastyear", "status": "ok", "error": None, "courses": [course(1), bad]}]}))
    lines = run("courses", "-c", api.config).stdout.splitlines()
    assert lines[-1].endswith("damaged: course 2: archive: b.mbz: it is cut off") and "damaged" not in lines[-2]


def test_submit_all_waits_for_what_is_held_and_asks_for_the_rest(api):
    api.on("GET", "/courses", (200, {"user": "t", "sites": [
        {"site": "lastyear", "status": "ok", "error": None, "courses": [
            course(1), course(2, "restored"), course(3, "failed"), course(4, "importing")]}]}))
    api.on("POST", "/requests", (202, {"results": [
        {"status": 202, "id": ID[n], "published": True, "request": request_document(n, "scheduled")}
        for n in (1, 3)]}))
    for n in (1, 2, 3, 4):
        api.on("GET", f"/requests/{ID[n]}", (200, request_document(n, "importing", step="import")),
               (200, request_document(n, "restored")))
    api.state["streams"] = [[event(n, n, "restored") for n in (1, 2, 3, 4)]]
    done = run("submit", "lastyear", "--all", "--wait", "-c", api.config)
    assert "4 of 4 restored" in done.stdout
    assert [p for m, p, *_ in api.state["seen"] if "/courses" in p] == ["/api/v1/courses?refresh=true"], \
        "a list that is kept may lack new courses"
    assert [r["course"] for r in api.bodies("POST", "/requests")[0]["requests"]] == ["1", "3"]
    assert "lastyear" in run("courses", "-c", api.config).stdout
    assert "no such course server" in run("submit", "other", "--all", "-c", api.config,
                                          status=1).stderr


def test_one_long_name_does_not_make_all_rows_wide(api):
    long = "Ä" * 1500
    api.on("GET", "/courses", (200, {"user": "t", "sites": [
        {"site": "lastyear", "status": "ok", "error": None,
         "courses": [course(1), {**course(2), "shortname": long}]}]}))
    lines = run("courses", "-c", api.config).stdout.splitlines()
    assert max(map(len, lines)) < 200 and "Ä" * 59 + "…  " in lines[2]
    assert long in json.dumps(run_json("courses", "-c", api.config), ensure_ascii=False)


def test_watch_ends_with_0_only_if_all_are_restored(api):
    busy = (503, {"title": "later", "status": 503, "reason": "status_unavailable"})
    api.on("GET", f"/requests/{ID[1]}", (200, request_document(1, "exporting", step="upload")),
           busy, (200, request_document(1, "restored")))
    api.state["streams"] = [[event(1, 1, "restored")]]
    api.on("GET", f"/requests/{ID[2]}", (200, request_document(
        2, "failed", reason="store_full", message="the staging store is full")))
    done = run("watch", ID[1], ID[2], "-c", api.config, status=1)
    lines = done.stdout.splitlines()
    assert f"{ID[1]}  C1  exporting, upload" in lines and f"{ID[1]}  C1  restored" in lines
    assert f"{ID[2]}  C2  failed: the staging store is full" in lines
    assert lines[-1].startswith("1 of 2 restored")
    assert "\x1b" not in done.stdout
    doc = run_json("watch", ID[1], "-c", api.config)
    assert doc["ok"] is True and doc["requests"][0]["state"] == "restored"
    api.on("GET", f"/requests/{ID[3]}", (200, request_document(3, "scheduled")))
    api.state["streams"] = []
    doc = run_json("watch", ID[3], "--timeout", "1s", "-c", api.config, status=1)
    assert doc["error"]["reason"] == "timeout"
    assert run_json("watch", ID[4], "-c", api.config, status=1)["error"]["reason"] == "not_found"


def test_watch_hears_the_events_instead_of_asking(api):
    api.on("GET", f"/requests/{ID[1]}", (200, request_document(1, "scheduled")),
           (200, request_document(1, "restored")))
    first = event(11, 1, "exporting", step="export", done=1, total=2)
    half = event(12, 1, None, step="upload", done=1, total=2)
    api.state["streams"] = [
        # cut in the middle of an event, which therefore was not heard
        [first[:20], first[20:], ": a comment\n\n", half[:30]],
        503,
        [half, event(13, 2, "failed"), event(14, 1, "ready")],
        [event(15, 1, "restored")]]
    done = run("watch", ID[1], "-c", api.config)
    lines = [line.split("  ")[2] for line in done.stdout.splitlines() if line.startswith(ID[1])]
    assert lines == ["scheduled", "exporting, export", "exporting, upload", "ready", "restored"]
    assert api.state["last_ids"] == [None, "11-0", "11-0", "14-0"]
    # Read at the beginning and at the end, never in between.
    assert len(api.bodies("GET", f"/requests/{ID[1]}")) == 2


def test_watch_reads_anew_what_it_cannot_catch_up_with(api):
    api.on("GET", f"/requests/{ID[1]}", (200, request_document(1, "scheduled")),
           (200, request_document(1, "importing", step="fetch")),
           (200, request_document(1, "restored")))
    api.state["streams"] = [[event(1, 2, "ready")], ["event: reset\ndata: {}\n\n"],
                            [event(9, 1, "restored")]]
    assert "importing, fetch" in run("watch", ID[1], "-c", api.config).stdout
    # A session that was forgotten is renewed.
    api.on("GET", f"/requests/{ID[2]}", (200, request_document(2, "scheduled")),
           (200, "forget"), (200, request_document(2, "restored")))
    api.state["streams"] = [[], 401]
    assert "restored" in run("watch", ID[2], "-c", api.config).stdout


def test_list_pages_through_all(api):
    def page(numbers):
        return (200, {"requests": [request_document(n, "restored") for n in numbers], "total": 5,
                      "offset": 0, "limit": 3})
    api.on("GET", "/requests", page([1, 2, 3]), page([4, 5]))
    assert len(run_json("list", "--all", "-c", api.config)["requests"]) == 5
    api.on("GET", "/requests", page([1, 2, 3]))
    done = run("list", "--state", "restored,failed", "--course", "a b&c", "-c", api.config)
    assert "newest 3 of 5" in done.stdout
    assert any("state=restored%2Cfailed&course=a%20b%26c" in p
               for _, p, _, _ in api.state["seen"])


def test_cancel_retry_and_now_act_on_the_request(api):
    for word, path in (("cancel", "cancel"), ("retry", "retry"), ("now", "run-now")):
        api.on("POST", f"/requests/{ID[1]}/{path}", (200, request_document(1, "scheduled")))
        assert ID[1] in run(word, ID[1], "-c", api.config).stdout
        api.on("POST", f"/requests/{ID[1]}/{path}", (409, {
            "type": "about:blank", "title": "Conflict", "status": 409, "reason": "conflict",
            "detail": "it is restored"}))
        error = run_json(word, ID[1], "-c", api.config, status=1)["error"]
        assert error["reason"] == "conflict" and error["problem"]["status"] == 409
