#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Courses from a real Moodle that has only the older block: the archiver asks it over HTTPS, by a
certificate of our own authority, and the worker restores into the other site of the pair.

    MOODLE_DIR=/path/to/moodle test_seed.py [pytest's options]

The tree must hold blocks/my_external_backup_restore_courses; a pair of one's own (NAVETTE_PAIR) must
be made with --seed-plugin.  Without them nothing is tested: that is said, and the exit code is 77.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import gate

SEED = "my_external_backup_restore_courses"


def missing():
    """Why nothing can be tested, or None."""
    if os.environ.get("NAVETTE_PAIR"):
        state = json.loads((pathlib.Path(os.environ["NAVETTE_PAIR"]) / "pair.json").read_text())
        return None if state["seed_plugin"] else "the pair was made without --seed-plugin"
    if gate.missing():
        return gate.missing()
    tree = pathlib.Path(os.environ["MOODLE_DIR"])
    return None if (tree / "blocks" / SEED).exists() else f"{tree} has no blocks/{SEED}"


if __name__ == "__main__":
    gate.leave_if(missing())

import pytest  # noqa: E402

from harness import api, ports, processes, wait  # noqa: E402
from test_daemons import (  # noqa: E402, F401
    LONG, MoodleFarm, broker, enrolled, restored, restored_by_moodle)
from test_scripts import differences, pair  # noqa: E402, F401

pytestmark = gate.mark(missing())

FAST, SLOW = "fast", "slow"  # ports of the front
RATE = 1 << 20  # bytes a second on the slow one
api.PEOPLE["onlyclient"] = {"capabilities": [], "name": "onlyclient", "lang": "en"}


# --- the course server's side, as the older block's administrator sets it up ---

class Seed:
    """The older block's web service on the pair's server."""

    def __init__(self, pair):  # noqa: F811
        self.pair = pair
        self.token = self.make_token()

    def make_token(self):
        """What the block's own cli/install_server.php does, where it runs on this Moodle at all."""
        return self.pair.code("lastyear", f"""
            require_once($CFG->libdir . '/clilib.php');
            require_once($CFG->libdir . '/externallib.php');
            require_once($CFG->dirroot . '/blocks/{SEED}/locallib.php');
            $DB->delete_records('external_tokens');
            set_config('enablewebservices', 1);
            set_config('webserviceprotocols', 'rest');
            set_config('search_roles', 'editingteacher', 'block_{SEED}');
            echo "\\n", block_{SEED}_tools::install_webservice_moodle_server();
            """).split()[-1]

    def withdraw(self):
        self.pair.code("lastyear", "$DB->delete_records('external_tokens');")


@pytest.fixture
def seed(pair):  # noqa: F811
    return Seed(pair)


# --- TLS in front of it ---

class Front:
    """nginx with a certificate of our own authority; Moodle behind it believes it is asked as ever."""

    def __init__(self, folder, moodle_port):
        self.dir, self.moodle_port = pathlib.Path(folder), moodle_port
        self.ca, self.other = str(self.dir / "ca.pem"), str(self.dir / "other.pem")
        self.ports = {}
        self._certificates()
        self._start()

    def _openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, cwd=self.dir, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE)

    def _certificates(self):
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        for name in ("ca", "other"):
            self._openssl("req", "-x509", *new, "-keyout", f"{name}.key", "-out", f"{name}.pem",
                          "-days", "2", "-subj", f"/CN=Navette {name}")
        (self.dir / "server.ext").write_text("subjectAltName=IP:127.0.0.1\n")
        self._openssl("req", *new, "-keyout", "server.key", "-out", "server.csr", "-subj",
                      "/CN=server")
        self._openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                      "-CAcreateserial", "-out", "server.pem", "-days", "2", "-extfile",
                      "server.ext")

    def _configuration(self):
        servers = "".join(f"""
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate server.pem; ssl_certificate_key server.key;
        {'' if name == FAST else f'limit_rate {RATE};'}
        location / {{
            proxy_pass http://127.0.0.1:{self.moodle_port};
            proxy_set_header Host 127.0.0.1:{self.moodle_port};
            proxy_read_timeout 300;
        }}
    }}""" for name, port in self.ports.items())
        temp = "".join(f"    {kind}_temp_path {self.dir}/{kind};\n"
                       for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        return (f"daemon off; master_process off; pid {self.dir}/nginx.pid;\n"
                f"error_log {self.dir}/error.log;\nevents {{ worker_connections 256; }}\n"
                f"http {{\n    log_format whole '$request $status $http_range $http_referer';\n"
                f"    access_log {self.dir}/access.log whole;\n{temp}{servers}\n}}\n")

    def _start(self):
        self.ports = {FAST: ports.free(), SLOW: ports.free()}
        (self.dir / "nginx.conf").write_text(self._configuration())
        self.child = processes.start(
            ["/usr/sbin/nginx", "-e", f"{self.dir}/error.log", "-p", str(self.dir), "-c",
             f"{self.dir}/nginx.conf"], f"{self.dir}/nginx.out")
        wait.until(lambda: self.child.poll() is not None or all(
            map(ports.listening, self.ports.values())), "nginx", 20)
        if self.child.poll() is None:
            return
        processes.reap(self.child, 1)
        raise AssertionError((self.dir / "error.log").read_text())

    def url(self, speed):
        return f"https://127.0.0.1:{self.ports[speed]}"

    def asked(self):
        return (self.dir / "access.log").read_text()

    def close(self):
        self.child.send_signal(signal.SIGTERM)
        processes.reap(self.child, 20)


@pytest.fixture(scope="module")
def front(pair):  # noqa: F811
    with tempfile.TemporaryDirectory(prefix="nv-front-") as folder:
        f = Front(folder, pair.sites["lastyear"]["port"])
        try:
            yield f
        finally:
            f.close()


# --- the farm ---

class SeedFarm(MoodleFarm):
    """A MoodleFarm whose archiver stands on some machine, with an address and a token."""

    def __init__(self, folder, broker, pair, front, token, **settings):  # noqa: F811
        self.front, self.speed, self.ca = front, FAST, front.ca
        self.token = token
        super().__init__(folder, broker, pair, **settings)

    def config(self, role, name):
        config = super().config(role, name)
        if role == "archiver":
            config["site"] = {"type": "seed-ws", "url": self.front.url(self.speed),
                              "token_file": self._token_file(), "ca_file": self.ca}
        return config

    def _token_file(self):
        path = self.path("site.token")
        if not os.path.exists(path):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as f:
                f.write(self.token + "\n")
        return path

    def seen(self, user="teacher1"):
        """What the user is told of the site's courses."""
        site, = self.person(user).get("/courses?refresh=true")["sites"]
        return site

    def assert_token_nowhere(self):
        assert self.token not in self.front.asked()
        for path in pathlib.Path(self.folder).rglob("*"):
            if path.is_file() and path.name != "site.token":
                assert self.token.encode() not in path.read_bytes(), path


@pytest.fixture
def farm(pair, broker, front, seed, request):  # noqa: F811
    folder = tempfile.mkdtemp(prefix="farm-", dir=pathlib.Path(broker.folder).parent)
    os.chmod(folder, 0o711)
    failures = request.session.testsfailed
    f = SeedFarm(folder, broker, pair, front, seed.token,
                 restore={"default_category": "DEF", "only_one": True},
                 producer={"catalog_ttl": "0s"}, archiver={"attempts": 2})
    failed = True
    try:
        f.all()
        yield f
        f.assert_token_nowhere()
        failed = request.session.testsfailed > failures
    finally:
        f.close(failed)


def archiver_with(farm, **site):
    """The archiver again, with other settings of its site."""
    archiver = farm.roles("archiver")[0]
    archiver.stop()
    archiver.configure({**archiver.config, "site": {**archiver.config["site"], **site}})
    return archiver.start()


def downloading(farm):
    """Bytes of archives that are on their way."""
    work = pathlib.Path(farm.roles("archiver")[0].config["archiver"]["work_dir"])
    return sum(p.stat().st_size for p in work.glob("seed-*/course.mbz"))


# --- what is promised ---

@pytest.mark.parametrize("course,users", [("EMPTY", False), ("S", False), ("HAND", False),
                                          ("HAND", True)])
def test_a_teachers_course_comes_as_moodle_itself_would_bring_it(farm, course, users):
    by_moodle = restored_by_moodle(farm.pair, course, users)
    before = farm.pair.traces("thisyear")
    with restored(farm, course, user_data=users) as (_, made):
        assert differences(by_moodle, farm.pair.describe("thisyear", made)) == {}
        assert "teacher1" in enrolled(farm, made)
        after = farm.pair.traces("thisyear")
        assert after == before | {"courses": before["courses"] + 1}
    assert "get_user_backup_course_webservice.php HTTP" in farm.front.asked()
    assert downloading(farm) == 0


def test_the_catalog_names_courses_the_unknown_and_what_is_wrong(farm, seed):
    site = farm.seen()
    assert site["status"] == "ok", site
    assert {"HAND", "EMPTY"} <= {c["shortname"] for c in site["courses"]}
    assert farm.seen("onlyclient")["status"] == "unknown-user"
    archiver_with(farm, ca_file=farm.front.other)
    site = farm.seen()
    assert site["status"] == "error" and "certificate" in site["error"], site
    archiver_with(farm, ca_file=farm.ca)
    seed.withdraw()
    site = farm.seen()
    assert site["status"] == "error" and "token" in site["error"], site


def test_requests_that_cannot_be_served_end_with_the_reason(farm, seed):
    course, root = str(farm.pair.courses["EMPTY"]), farm.person("root")

    def ask(user="teacher1", which=course, **more):
        return farm.ask(which, user, user_data=False, **more)

    farm.refused(root.submit(farm.site, course, user="onlyclient", user_data=False), "unknown_user")
    farm.refused(ask("teacher2"), "role_missing")
    farm.refused(ask(which="99999"), "course_missing")
    farm.refused(ask(moodle_version=2022112800), "version_older")
    farm.refused(ask(which=farm.pair.courses["HAND"],
                     plugins=[{"name": "mod_nothing", "version": 1}]), "plugin_missing")
    assert not any(pathlib.Path(farm.path("store")).rglob("blobs/*/*"))
    archiver_with(farm, ca_file=farm.front.other)
    # That is no fault of the course: it waits, says so, and goes on.
    waiting = ask()
    wait.until(lambda: "certificate" in farm.record(waiting).get("message", ""), lambda: farm.record(waiting))
    assert farm.record(waiting)["reason"] == "site_unavailable" and farm.record(waiting)["failures"] == "0"
    archiver_with(farm, ca_file=farm.ca)
    farm.pair.delete(farm.course(waiting))
    seed.withdraw()
    farm.refused(ask(), "denied")


def test_an_administrator_may_ask_without_a_user(farm):
    request = farm.ask(farm.pair.courses["EMPTY"], None, user_data=False)
    made = farm.course(request)
    try:
        assert enrolled(farm, made) == []
    finally:
        farm.pair.delete(made)


def test_courses_asked_for_at_once_come_each_as_it_is(farm):
    """Moodle keeps the older block's backups without user data under one name, in one place."""
    names = ("S", "HAND", "EMPTY")
    by_moodle = {name: restored_by_moodle(farm.pair, name, False) for name in names}
    archiver = farm.roles("archiver")[0]
    archiver.stop()
    archiver.configure({**archiver.config,
                        "archiver": {**archiver.config["archiver"], "slots": 4, "attempts": 1}})
    # By wire: the producer would ask the archiver first.
    requests = {name: farm.ask(farm.pair.courses[name], "teacher1", user_data=False)
                for name in names}
    archiver.start()
    made = {}
    try:
        for name, request in requests.items():
            made[name] = farm.course(request)
            assert differences(by_moodle[name], farm.pair.describe("thisyear", made[name])) == {}
    finally:
        for course in made.values():
            farm.pair.delete(course)


def test_an_archiver_killed_during_the_download_brings_one_course(farm):
    whole = restored_by_moodle(farm.pair, "S", False)
    before = farm.pair.traces("thisyear")
    archiver = archiver_with(farm, url=farm.front.url(SLOW))
    request = farm.submit(farm.pair.courses["S"], by="teacher1", user_data=False)
    wait.until(lambda: downloading(farm) > RATE // 2,
               lambda: f"a download: {farm.record(request)}", LONG, 0.02)
    archiver.kill()
    archiver.configure({**archiver.config,
                        "site": {**archiver.config["site"], "url": farm.front.url(FAST)}})
    archiver.start()
    made = farm.course(request)
    try:
        assert differences(whole, farm.pair.describe("thisyear", made)) == {}
        after = farm.pair.traces("thisyear")
        assert after == before | {"courses": before["courses"] + 1}
    finally:
        farm.pair.delete(made)
    farm.assert_nothing_left()


def test_a_request_withdrawn_during_the_download_brings_nothing(farm):
    courses = farm.pair.count("thisyear", "{course}")
    archiver_with(farm, url=farm.front.url(SLOW))
    request = farm.submit(farm.pair.courses["S"], by="teacher1", user_data=False)
    wait.until(lambda: downloading(farm) > 0, lambda: f"a download: {farm.record(request)}", LONG,
               0.02)
    farm.person("teacher1").cancel(request)
    farm.wait_state(request, "cancelled", "restored", "failed", timeout=LONG)
    assert farm.state(request) == "cancelled", farm.record(request)
    wait.until(lambda: downloading(farm) == 0, "the end of the download", 30)
    assert farm.pair.count("thisyear", "{course}") == courses


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
