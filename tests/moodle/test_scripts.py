#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""block_navette's script on two real Moodle sites: what it answers, and what is in Moodle then.

    MOODLE_DIR=/path/to/moodle test_scripts.py [pytest's options]

Without MOODLE_DIR nothing is tested: that is said, and the exit code is 77.  NAVETTE_PAIR names a
pair that runs already (tests/moodle/pair up); it is used and left, and nobody else may use it
meanwhile.  Otherwise one is stood up in a temporary folder and removed.  NAVETTE_DB picks mariadb
(default) or pgsql.
"""
import base64
import collections
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import gate
from gate import HERE

if __name__ == "__main__":
    gate.leave_if(gate.missing())

import pytest  # noqa: E402
import requests  # noqa: E402

from harness import chance  # noqa: E402

pytestmark = gate.mark(gate.missing())

EXIT = {"retry": 75, "hold": 76, "reject": 65, "cancelled": 77, "fatal": 70}
EMPTY = "da39a3ee5e6b4b0d3255bfef95601890afd80709"


def uuid7() -> str:
    value = (int(time.time() * 1000) << 80) | random.getrandbits(80)
    value = value & ~(0xF << 76) | 7 << 76
    return str(uuid.UUID(int=value & ~(3 << 62) | 2 << 62))


class Reply:
    """What a script said."""

    def __init__(self, code: int, out: str, err: str):
        self.code, self.err = code, err
        self.lines = [json.loads(line) for line in out.splitlines()]

    def all(self, key: str) -> list:
        return [line[key] for line in self.lines if key in line]

    @property
    def result(self) -> dict:
        assert self.code == 0, (self.code, self.lines[-1:], self.err[-2000:])
        assert list(self.lines[-1]) == ["result"]
        return self.lines[-1]["result"]

    @property
    def error(self) -> tuple[str, str]:
        assert list(self.lines[-1]) == ["error"], (self.lines[-1], self.err[-2000:])
        error = self.lines[-1]["error"]
        assert self.code == EXIT[error["kind"]] and error["message"], self.err[-1500:]
        return error["kind"], error["reason"]

    @property
    def warnings(self) -> list[str]:
        return self.all("warning")


class Pair:
    def __init__(self, state: dict, work: pathlib.Path):
        self.state, self.work = state, work
        self.sites = state["sites"]
        self.courses = self.sites["lastyear"]["fixture"]["courses"]
        self.exports: dict = {}
        self.always = {}  # fields of each request
        self.began = int(time.time())
        user = state["user"]
        self.drop = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"] \
            if os.getuid() == 0 else []
        for site in self.sites.values():
            for name in ("compare", "plain"):
                shutil.copy(HERE / f"{name}.php", f"{site['moodle']}/navette_{name}.php")

    # --- running things ---

    def php(self, site: str, script: str, *args) -> str:
        where = self.sites[site]["root" if script.startswith("admin/") else "moodle"]
        done = subprocess.run([*self.drop, "php", script, *map(str, args)], text=True, capture_output=True, cwd=where)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    def code(self, site: str, text: str, constant: str = "CLI_SCRIPT") -> str:
        """A few lines of PHP inside a site; constant: one more that is defined before Moodle is loaded."""
        path = self.work / "code.php"
        more = f" define('{constant}', true);" if constant != "CLI_SCRIPT" else ""
        path.write_text(f"<?php define('CLI_SCRIPT', true);{more} require '{self.sites[site]['moodle']}"
                        f"/config.php';\n{text}\n")
        path.chmod(0o644)
        return self.php(site, str(path))

    def start(self, site: str, operation: str, message: dict | None) -> subprocess.Popen:
        process = subprocess.Popen(
            [*self.drop, "php", self.sites[site]["navette"], operation], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if message is not None:
            process.stdin.write(json.dumps(message) + "\n")
            process.stdin.flush()
        return process

    @staticmethod
    def finish(process: subprocess.Popen, said: str = "") -> Reply:
        out, err = process.communicate(timeout=300)
        return Reply(process.returncode, said + out, err)

    def run(self, site: str, operation: str, message: dict | None = None) -> Reply:
        return self.finish(self.start(site, operation, message))

    def query(self, site: str, sql: str) -> list[list[str]]:
        db = self.state["db"]
        sql = sql.replace("{", db["prefix"]).replace("}", "")
        if db["type"] == "mariadb":
            command = ["mariadb", "--no-defaults", "-N", "-B", "-h127.0.0.1", f"-P{db['port']}",
                       f"-u{db['user']}", f"-p{db['password']}", site]
        else:
            command = ["psql", "-qAtX", "-F\t", "-h", "127.0.0.1", "-p", str(db["port"]), "-U",
                       db["user"], "-d", site]
        out = subprocess.run(command, input=sql, text=True, capture_output=True, check=True).stdout
        return [line.split("\t") for line in out.splitlines()]

    def count(self, site: str, sql: str) -> int:
        return int(self.query(site, f"SELECT COUNT(*) FROM {sql}")[0][0])

    def config(self, site: str, name: str, value: str) -> None:
        self.php(site, "admin/cli/cfg.php", "--component=block_navette", f"--name={name}",
                 f"--set={value}")

    @contextlib.contextmanager
    def setting(self, site: str, name: str, value: str, default: str):
        self.config(site, name, value)
        try:
            yield
        finally:
            self.config(site, name, default)

    @contextlib.contextmanager
    def button(self, address: str):
        """The block on the client's front page, leading to a Navette at this address; its id."""
        self.run("thisyear", "setup", {"role": "client"})
        where = "'blockname' => 'navette', 'parentcontextid' => SYSCONTEXTID"
        gone = ("require_once($CFG->libdir . '/blocklib.php'); foreach ($DB->get_records("
                f"'block_instances', [{where}]) as $block) {{ blocks_delete_instance($block); }}")
        try:
            with self.setting("thisyear", "navetteurl", address, ""):
                yield self.code(
                    "thisyear", f"{gone} $id = $DB->insert_record('block_instances', (object) [{where}, "
                    "'showinsubcontexts' => 0, 'requiredbytheme' => 0, 'pagetypepattern' => "
                    "'site-index', 'defaultregion' => 'side-pre', 'defaultweight' => 0, "
                    "'timecreated' => 1, 'timemodified' => 1]); context_block::instance($id); echo $id;"
                ).split()[-1]
        finally:
            self.code("thisyear", gone)

    def launch_secret(self) -> str:
        return self.query("thisyear", "SELECT value FROM {config_plugins} WHERE plugin = "
                          "'block_navette' AND name = 'launchsecret'")[0][0]

    # --- course server to client ---

    def folder(self, name: str) -> pathlib.Path:
        path = pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=self.work))
        path.chmod(0o777)
        return path

    def request(self, course: str, **more) -> dict:
        return {"id": uuid7(), "rev": 1, "site": "lastyear", "course": str(self.courses[course]),
                "user": "teacher1", "source": "page", "keep_category": False, "user_data": False,
                "enrolment": "always", "now": False, "roles": ["editingteacher"],
                "requested": int(time.time() * 1000)} | self.always | more

    def export(self, course: str, users: bool = False) -> dict:
        """Exported once a session; the answer, with the folder as an import wants it."""
        if (course, users) not in self.exports:
            work = self.folder(f"export-{course}")
            reply = self.run("lastyear", "export", {
                "request": self.request(course, user_data=users), "work_dir": str(work)})
            result = reply.result
            (work / "blobs").mkdir()
            for file in reply.all("file"):
                shutil.copy(file["path"], work / "blobs" / f"{file['sha1']}-{file['size']}")
            shutil.move(result["skeleton"], work / "tree")
            if os.getuid() == 0:
                subprocess.run(["chown", "-R", f"{self.state['user']}:", work], check=True)
            self.exports[course, users] = result | {"dir": work, "files": reply.all("file")}
        return self.exports[course, users]

    def message(self, course: str, users: bool = False, settings: dict | None = None,
                request: dict | None = None, **more) -> dict:
        about = self.export(course, users)
        return {"request": self.request(course, user_data=users) | (request or {}),
                "site": "lastyear", "category": about["category"],
                "moodle_version": int(about["moodle_version"]), "bytes": about["bytes"],
                "tree": str(about["dir"] / "tree"), "blobs": str(about["dir"] / "blobs"),
                "settings": {"default_category": "DEF", "only_one": False} | (settings or {})} | more

    def bring(self, course: str, users: bool = False, **more) -> dict:
        return self.run("thisyear", "import", self.message(course, users, **more)).result

    # --- looking ---

    def describe(self, site: str, course) -> dict:
        return json.loads(self.php(site, "navette_compare.php", course, self.began))

    def delete(self, course) -> None:
        self.code("thisyear", "require_once($CFG->dirroot . '/course/lib.php');"
                  "$CFG->forced_plugin_settings['tool_recyclebin']['categorybinenable'] = 0;"
                  f"delete_course({course}, false); fix_course_sortorder();")

    def traces(self, site: str) -> dict:
        """What a run may leave behind somewhere."""
        data = pathlib.Path(self.sites[site]["data"])
        temp = [str(p.relative_to(data)) for p in (data / "temp").glob("backup/*")]
        known = {row[0] for row in self.query(site, "SELECT DISTINCT contenthash FROM {files}")}
        pool = [p.name for p in (data / "filedir").glob("??/??/*")]
        return {"courses": self.count(site, "{course}"), "temp": temp,
                "orphans": sorted(set(pool) - known - {EMPTY}),
                "bin": self.count(site, "{tool_recyclebin_category}"),
                "controllers": self.count(site, "{backup_controllers}"),
                "logs": self.count(site, "{backup_logs}"),
                "backups": self.count(site, "{files} WHERE component = 'backup' AND filename <> '.'"),
                "contents": self.count(site, "{files} WHERE component = 'block_navette'"),
                "importing": self.count(site, "{block_navette_restores} WHERE state = 'importing'")}


@contextlib.contextmanager
def standing_pair():
    """The pair that NAVETTE_PAIR names, or one that is stood up and taken down."""
    work = pathlib.Path(tempfile.mkdtemp(prefix="navette-moodle-", dir=os.environ.get("NAVETTE_TMP", "/tmp")))
    work.chmod(0o755)
    own = None
    if "NAVETTE_PAIR" not in os.environ:
        own = work / "pair"
        tree = pathlib.Path(os.environ["MOODLE_DIR"])
        seed = (tree / "blocks/my_external_backup_restore_courses").exists()
        subprocess.run([HERE / "pair", "up", tree, "--dir", own, "--db",
                        os.environ.get("NAVETTE_DB", "mariadb"), *["--seed-plugin"] * seed],
                       check=True, stdout=subprocess.DEVNULL)
    place = own or os.environ["NAVETTE_PAIR"]
    try:
        env = subprocess.run([HERE / "pair", "env", "--dir", place], check=True,
                             capture_output=True, text=True).stdout
        p = Pair(json.loads(env), work)
        # What an earlier run left would hold its remote courses and names.
        p.run("thisyear", "sweep")
        for restore in p.run("thisyear", "history").all("restore"):
            if not restore["deleted"]:
                p.delete(restore["outcome"]["course"])
        yield p
    finally:
        if own:
            subprocess.run([HERE / "pair", "down", "--dir", own], check=True)
        shutil.rmtree(work, ignore_errors=True)


@pytest.fixture(scope="session")
def pair():
    with standing_pair() as p:
        yield p


# --- versions, catalog ---

def test_versions_name_moodle_and_its_plugins(pair):
    result = pair.run("thisyear", "versions").result
    assert result["version"] // 100000000 == 20
    names = {plugin["name"] for plugin in result["plugins"]}
    assert {"mod_quiz", "block_navette", "format_topics", "qtype_essay"} <= names


def test_unknown_operations_and_broken_input_are_refused(pair):
    assert pair.run("thisyear", "destroy").error == ("reject", "bad_message")
    process = pair.start("thisyear", "find", None)
    process.stdin.write("not json\n")
    process.stdin.flush()
    assert pair.finish(process).error == ("reject", "bad_message")


def ask(pair, user, roles=("editingteacher",), field="username"):
    return pair.run("lastyear", "catalog", {"id": uuid7(), "user": user, "user_field": field,
                                            "roles": list(roles)})


def names(reply):
    return {course["shortname"] for course in reply.all("course")}


def test_catalog_lists_courses_by_role_in_the_course(pair):
    reply = ask(pair, "teacher1")
    assert names(reply) == {"XS1", "S1", "HAND", "EMPTY", "FULL"} and reply.result["status"] == "ok"
    hand = next(c for c in reply.all("course") if c["shortname"] == "HAND")
    assert hand["category"] == "SCI-BIO" and hand["role"] == "editingteacher"
    assert hand["course"] == str(pair.courses["HAND"]) and hand["started"] == 1735689600000


def test_catalog_lists_courses_by_role_in_a_parent_category(pair):
    assert names(ask(pair, "teacher2")) == {"XS1", "HAND"}
    assert names(ask(pair, "manager1", ["manager"])) == {"S1"}
    assert names(ask(pair, "student1")) == set()
    assert names(ask(pair, "teacher1", ["no-such-role"])) == set()


def test_catalog_matches_people_by_the_field_that_is_asked(pair):
    assert names(ask(pair, "TEACHER1@example.org", field="email")) == {"XS1", "S1", "HAND", "EMPTY", "FULL"}
    assert names(ask(pair, "id-teacher2", field="idnumber")) == {"XS1", "HAND"}
    assert ask(pair, "twins@example.org", field="email").result["status"] == "error"
    assert ask(pair, "nobody").result["status"] == "unknown-user"
    with pair.setting("lastyear", "authmethods", "cas,ldap", ""):
        assert ask(pair, "teacher1").result["status"] == "unknown-user"


def test_catalog_takes_identifiers_from_a_table_of_the_administrators_choice(pair):
    with pair.setting("lastyear", "categorytable_categoryfield", "name", "idnumber"):
        assert {c["category"] for c in ask(pair, "teacher2").all("course")} == {"Biology"}
    with pair.setting("lastyear", "categorytable", "nowhere", "course_categories"):
        assert ask(pair, "teacher2").error == ("reject", "config")
    with pair.setting("lastyear", "categorytable", "user; DROP", "course_categories"):
        assert ask(pair, "teacher2").error == ("reject", "config")


def test_a_site_in_maintenance_mode_serves_all_the_same(pair):
    pair.php("lastyear", "admin/cli/maintenance.php", "--enable")
    try:
        assert names(ask(pair, "teacher2")) == {"XS1", "HAND"}
        work = pair.folder("maintenance")
        assert pair.run("lastyear", "export", {"request": pair.request("EMPTY"),
                                               "work_dir": str(work)}).result["shortname"] == "EMPTY"
    finally:
        pair.php("lastyear", "admin/cli/maintenance.php", "--disable")


# --- export ---

def check(pair, course="HAND", policy=None, **request):
    return pair.run("lastyear", "export", {
        "request": pair.request(course, **request), "policy": policy, "check_only": True})


def test_export_refuses_before_it_works(pair):
    assert check(pair, course="HAND", user="student1").error == ("reject", "role_missing")
    assert check(pair, user="nobody").error == ("reject", "unknown_user")
    for course in ("99999", "1", "x", ""):
        request = pair.request("HAND") | {"course": course}
        reply = pair.run("lastyear", "export", {"request": request, "check_only": True})
        assert reply.error == ("reject", "course_missing")
    assert check(pair, moodle_version=2022112800).error == ("reject", "version_older")
    assert check(pair, moodle_version=2099010100).code == 0


def test_a_course_of_a_newer_moodle_is_refused_before_it_is_exported(pair):
    """The other way round, the client being the course server."""
    older, newer = (pair.run(site, "versions").result["version"] for site in ("lastyear", "thisyear"))
    made = pair.bring("EMPTY")
    request = pair.request("EMPTY", user=None, moodle_version=older) | {"course": made["course"]}
    reply = pair.run("thisyear", "export", {"request": request, "check_only": True})
    pair.delete(made["course"])
    if older == newer:
        assert reply.code == 0
        return
    assert reply.error == ("reject", "version_older")
    message = reply.lines[-1]["error"]["message"]
    assert re.search(rf"the client has Moodle \d\.\d \(version {older}\)", message), message
    assert re.search(rf"comes from Moodle \d\.\d \(version {newer}\), which is newer", message), message


def test_export_names_the_plugin_the_client_lacks(pair):
    plugins = pair.run("thisyear", "versions").result["plugins"]
    assert check(pair, plugins=plugins).code == 0
    for missing in ("mod_quiz", "qtype_essay", "format_topics"):
        reply = check(pair, plugins=[p for p in plugins if p["name"] != missing])
        assert reply.error == ("reject", "plugin_missing")
        assert missing in reply.lines[-1]["error"]["message"]
    reply = check(pair, plugins=[p for p in plugins if p["name"] != "block_html"])
    assert reply.code == 0 and "block_html" in reply.warnings[0]


def test_export_keeps_to_the_policy(pair):
    policy = {"name": "thisyear", "user_data": False, "without_user": False, "categories": []}
    assert check(pair, policy=policy).code == 0
    assert check(pair, policy=policy, user=None).error == ("reject", "policy")
    assert check(pair, policy=policy | {"without_user": True}, user=None).code == 0
    assert check(pair, policy=policy, user_data=True).error == ("reject", "policy")
    assert check(pair, policy=policy | {"user_data": True}, user_data=True).code == 0
    assert check(pair, policy=policy | {"categories": ["SCI"]}).code == 0
    assert check(pair, "S", policy=policy | {"categories": ["SCI"]}).error == ("reject", "policy")


def test_a_role_in_a_parent_category_is_enough_until_it_is_withdrawn(pair):
    assert check(pair, user="teacher2").code == 0
    change = ("$u = $DB->get_field('user', 'id', ['username' => 'teacher2']); $r = $DB->get_field("
              "'role', 'id', ['shortname' => 'editingteacher']); $c = context_coursecat::instance("
              "$DB->get_field('course_categories', 'id', ['idnumber' => 'SCI']));")
    pair.code("lastyear", change + "role_unassign($r, $u, $c->id);")
    try:
        assert check(pair, user="teacher2").error == ("reject", "role_missing")
    finally:
        pair.code("lastyear", change + "role_assign($r, $u, $c->id);")


def test_export_lists_every_content_and_leaves_nothing(pair):
    before = pair.traces("lastyear")
    about = pair.export("HAND", True)
    assert pair.traces("lastyear") == before
    tree = about["dir"] / "tree"
    assert "<include_files>0</include_files>" in (tree / "moodle_backup.xml").read_text()
    assert not (tree / "files").exists() and not (tree / "backup.mbz").exists()
    assert len({f["sha1"] for f in about["files"]}) == len(about["files"])
    for file in about["files"]:
        assert pathlib.Path(file["path"]).stat().st_size == file["size"]


def test_a_content_the_course_server_has_lost_is_left_out_and_said(pair):
    about = pair.export("HAND")
    lost = next(f for f in about["files"] if f["size"] == 2000)
    path = pathlib.Path(lost["path"])
    path.rename(path.with_suffix(".away"))
    try:
        work = pair.folder("lost")
        reply = pair.run("lastyear", "export", {"request": pair.request("HAND"),
                                                "work_dir": str(work)})
        assert any("bébé.png" in text for text in reply.warnings)
        assert lost["sha1"] not in {f["sha1"] for f in reply.all("file")}
        assert lost["sha1"] not in pathlib.Path(reply.result["skeleton"], "files.xml").read_text()
    finally:
        path.with_suffix(".away").rename(path)


def test_a_killed_export_leaves_nothing_in_moodle(pair):
    before = pair.traces("lastyear")
    rng = chance.generator()
    for _ in range(3):
        work = pair.folder("killed")
        process = pair.start("lastyear", "export", {"request": pair.request("S"),
                                                    "work_dir": str(work)})
        time.sleep(rng.uniform(0.3, 1.5))
        process.kill()
        process.communicate()
    after = pair.traces("lastyear")
    # Moodle's own tables keep a killed backup's row until its cron removes it.
    assert {k: after[k] for k in ("temp", "backups", "contents", "courses")} \
        == {k: before[k] for k in ("temp", "backups", "contents", "courses")}


def test_a_terminated_export_says_that_it_was_cancelled(pair):
    work = pair.folder("cancelled")
    process = pair.start("lastyear", "export", {"request": pair.request("S"), "work_dir": str(work)})
    said = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert pair.finish(process, said).error == ("cancelled", "cancelled")


# --- the whole way, compared with Moodle's own ---

def flat(value, path=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{path}/{key}")
    elif isinstance(value, list) and not all(isinstance(inner, str) for inner in value):
        for key, inner in enumerate(value):
            yield from flat(inner, f"{path}/{key}")
    elif value not in ([], {}):
        yield path, value


def differences(one: dict, other: dict) -> dict:
    """What is in one only and what in the other only, by place; of lists, the lines."""
    a, b = dict(flat(one)), dict(flat(other))
    found = {}
    for key in sorted(a.keys() | b.keys()):
        left, right = a.get(key), b.get(key)
        if left == right:
            continue
        if isinstance(left or right, list):
            left, right = collections.Counter(left or []), collections.Counter(right or [])
            left, right = sorted((left - right).elements()), sorted((right - left).elements())
        found[key] = (left, right)
    return found


def unexplained(found: dict) -> dict:
    """Without what Moodle's own restore leaves wrong. Moodle 5 moves a course's questions into a bank, but lets
    random questions go on pointing to the course, where there are none."""
    place, banked = "/content/question_set_references", re.compile(r"questionscontextid=(level 50|qbank [^|]*?)(?= \||$)")
    left, right = found.get(place, ([], []))
    same = [banked.sub("", line) for line in left] == [banked.sub("", line) for line in right]
    better = all("questionscontextid=level 50" in a and "questionscontextid=qbank " in b for a, b in zip(left, right))
    return {key: value for key, value in found.items() if key != place or not (same and better)}


@pytest.fixture
def comparison(record_property):
    """comparison(course, users) before a course is brought; what comes of it is then called with both
    descriptions, and fails where they differ.  tests/moodle/matrix makes its table of what it records."""
    def begin(course, users):
        record_property("course", course)
        record_property("users", "users" if users else "nousers")

        def end(by_moodle, by_us):
            found = differences(by_moodle, by_us)
            record_property("differences", json.dumps(found))
            assert unexplained(found) == {}
        return end
    return begin


@pytest.mark.parametrize("users", [False, True], ids=["nousers", "users"])
@pytest.mark.parametrize("course", ["EMPTY", "XS", "HAND", "S", "FULL"])
def test_a_restored_course_is_what_moodle_itself_makes_of_it(pair, comparison, course, users):
    compare = comparison(course, users)
    word = "users" if users else "nousers"
    mbz = pair.folder("plain") / f"{course}.mbz"
    pair.php("lastyear", "navette_plain.php", "backup", pair.courses[course], mbz, word)
    category = pair.sites["thisyear"]["fixture"]["categories"]["DEF"]
    plain = pair.php("thisyear", "navette_plain.php", "restore", mbz, category, word).split()[-1]
    by_moodle = pair.describe("thisyear", plain)
    pair.delete(plain)
    ours = pair.bring(course, users, settings={"enrol_requester": False})
    by_us = pair.describe("thisyear", ours["course"])
    original = pair.describe("lastyear", pair.courses[course])
    pair.delete(ours["course"])
    compare(by_moodle, by_us)
    # And what differs from the original is what Moodle's own way changes as well.
    explained = differences(by_moodle, by_us)
    ours_changed, theirs_changed = ({place: value for place, value in differences(original, made).items()
                                     if place not in explained} for made in (by_us, by_moodle))
    assert ours_changed == theirs_changed
    assert ours["user_data"] == users and not ours["enrolled"]
    assert pair.traces("thisyear")["contents"] == 0


# --- import ---

def test_the_same_request_twice_gives_the_same_course(pair):
    message = pair.message("HAND")
    first = pair.run("thisyear", "import", message).result
    second = pair.run("thisyear", "import", message).result
    assert not first["existed"] and second["existed"] and first["course"] == second["course"]
    assert second | {"existed": False} == first
    assert pair.run("thisyear", "find", {"id": message["request"]["id"]}).result == second
    assert pair.run("thisyear", "preflight", message).result["existed"]
    pair.delete(first["course"])
    assert pair.run("thisyear", "import", message).error == ("reject", "course_missing")
    assert pair.run("thisyear", "find", {"id": message["request"]["id"]}).result["course"] is None
    told = {r["request"]["id"]: r for r in pair.run("thisyear", "history").all("restore")}
    assert told[message["request"]["id"]]["deleted"]
    assert told[message["request"]["id"]]["request"] == message["request"]


def test_only_one_request_holds_a_remote_course_while_its_copy_exists(pair):
    one = {"only_one": True}
    first = pair.bring("EMPTY", settings=one)
    other = pair.message("EMPTY", settings=one, request={"user": "teacher2"})
    assert pair.run("thisyear", "preflight", other).error == ("reject", "already_restored")
    assert pair.run("thisyear", "import", other).error == ("reject", "already_restored")
    pair.delete(first["course"])
    second = pair.run("thisyear", "import", other).result
    assert second["course"] != first["course"]
    pair.delete(second["course"])


def test_copies_are_named_as_moodle_names_them(pair):
    made = [pair.bring("EMPTY") for _ in range(3)]
    assert [m["shortname"] for m in made] == ["EMPTY", "EMPTY_1", "EMPTY_2"]
    assert [m["fullname"] for m in made][1:] == ["Nothing in it copy 1", "Nothing in it copy 2"]
    stored = pair.query("thisyear", "SELECT shortname, visible FROM {course} WHERE id IN (%s) "
                        "ORDER BY id" % ",".join(m["course"] for m in made))
    assert stored == [["EMPTY", "1"], ["EMPTY_1", "1"], ["EMPTY_2", "1"]]
    for course in made:
        pair.delete(course["course"])


def warned(outcome):
    """But that a Moodle 5 has put the course's questions into a bank (test_banks.py)."""
    return [text for text in outcome["warnings"] if not text.startswith("This Moodle keeps questions")]


def test_category_is_kept_by_its_identifier_or_said_to_be_gone(pair):
    kept = pair.bring("HAND", request={"keep_category": True, "enrolment": "manual"})
    assert kept["category"] == "SCI-BIO" and not warned(kept)
    gone = pair.bring("S", request={"keep_category": True})
    assert gone["category"] == "DEF" and "original identifier \"ART\"" in gone["warnings"][0]
    none = pair.bring("EMPTY", request={"keep_category": True})
    assert none["category"] == "DEF" and "no identifier" in none["warnings"][0]
    asked = pair.bring("EMPTY", request={"category": "SCI"})
    assert asked["category"] == "SCI" and not asked["warnings"]
    by_id = str(pair.sites["thisyear"]["fixture"]["categories"]["SCI"])
    named = pair.bring("EMPTY", settings={"default_category": by_id})
    assert named["category"] == "SCI"
    assert pair.query("thisyear", "SELECT c.idnumber FROM {course_categories} c JOIN {course} x ON "
                      f"x.category = c.id WHERE x.id = {kept['course']}") == [["SCI-BIO"]]
    for course in (kept, gone, none, asked, named):
        pair.delete(course["course"])


def test_whoever_may_not_create_courses_is_sent_to_the_default_category_or_away(pair):
    told = pair.bring("HAND", request={"user": "teacher2", "keep_category": True})
    assert told["category"] == "DEF" and "may not create courses" in told["warnings"][0]
    free = pair.bring("HAND", request={"user": "teacher2", "keep_category": True},
                      settings={"check_course_create": False})
    assert free["category"] == "SCI-BIO"
    admin = pair.bring("HAND", request={"user": None, "keep_category": True})
    assert admin["category"] == "SCI-BIO" and not admin["enrolled"]
    for course in (told, free, admin):
        pair.delete(course["course"])
    for operation in ("preflight", "import"):
        def refused(**more):
            return pair.run("thisyear", operation, pair.message("HAND", **more)).error
        assert refused(settings={"default_category": "LOCKED"}) == ("reject", "capability_missing")
        assert refused(settings={"default_category": "none"}) == ("reject", "category_missing")
        assert refused(request={"user": "onlyserver"}) == ("reject", "unknown_user")
        assert refused(moodle_version=2099010100) == ("reject", "version_older")
        assert refused(bytes=1 << 60) == ("retry", "disk_full")
        assert refused(request={"id": "1"}) == ("reject", "bad_message")


def test_settings_of_moodle_count_where_the_caller_says_nothing(pair):
    with pair.setting("thisyear", "defaultcategory", "SCI", ""):
        message = pair.message("EMPTY")
        del message["settings"]["default_category"]
        made = pair.run("thisyear", "import", message).result
        assert made["category"] == "SCI"
        assert pair.run("thisyear", "settings").result["defaultcategory"] == "SCI"
    pair.delete(made["course"])


def without_clone(pair):
    """Moodle takes a copy of the server for the server itself, and finds cohorts by their numbers."""
    if pair.state.get("clone"):
        pytest.skip("the pair's sites have one site identifier")


@pytest.mark.parametrize("users, mode, self_enrolment, student", [
    (False, "always", True, None), (False, "with-users", True, None), (False, "manual", True, None),
    (True, "always", True, "manual"), (True, "with-users", True, "manual"),
    (True, "manual", False, "manual")])
def test_enrolment_modes(pair, users, mode, self_enrolment, student):
    without_clone(pair)
    made = pair.bring("HAND", users, request={"enrolment": mode})
    seen = pair.describe("thisyear", made["course"])["enrolments"]
    pair.delete(made["course"])
    # The course's own self enrolment is switched on; a site's default one is not.
    ours = any(m.startswith("self | 0") for m in seen["methods"])
    assert ours == (self_enrolment and (users or mode == "always"))
    students = [u.split(" | ")[1] for u in seen["users"] if u.startswith("student1 ")]
    assert students == ([student] if student else [])
    assert "teacher1 | manual | 0" in seen["users"] and made["enrolled"]
    assert "teacher1 | editingteacher | " in [r.rstrip() + " " for r in seen["roles"]]
    # Between different sites Moodle leaves cohorts out; this one's identifier is not known here either.
    promised = mode == "always" or (mode == "with-users" and users)
    assert [("cohort" in w and "Y1" in w) for w in warned(made)] == [True] * promised
    assert not any("cohort" in line for line in seen["methods"] + seen["users"])


@contextlib.contextmanager
def one_site_identifier(pair, members):
    """The client with the server's site identifier, as its copy has it, and with the cohort of HAND."""
    own = pair.query("thisyear", "SELECT value FROM {config} WHERE name = 'siteidentifier'")[0][0]
    other = pair.query("lastyear", "SELECT value FROM {config} WHERE name = 'siteidentifier'")[0][0]
    cohort = pair.query("lastyear", "SELECT id FROM {cohort} WHERE idnumber = 'Y1'")[0][0]
    change = "set_config('siteidentifier', %s); purge_all_caches();"
    pair.code("thisyear", change % json.dumps(other).replace("$", "\\$") + f"""
        require_once($CFG->dirroot . '/cohort/lib.php');
        $DB->import_record('cohort', (object) ['id' => {cohort}, 'contextid' => SYSCONTEXTID, 'name' => 'Year 1',
            'idnumber' => 'Y1', 'description' => '', 'descriptionformat' => 1, 'timecreated' => 1, 'timemodified' => 1]);
        $DB->get_manager()->reset_sequence('cohort');
        foreach ({json.dumps(members)} as $name) {{
            cohort_add_member({cohort}, $DB->get_field('user', 'id', ['username' => $name]));
        }}""")
    try:
        yield
    finally:
        pair.code("thisyear", change % json.dumps(own).replace("$", "\\$") + f"""
            require_once($CFG->dirroot . '/cohort/lib.php');
            cohort_delete_cohort($DB->get_record('cohort', ['id' => {cohort}]));""")


def test_a_cohort_sync_comes_where_both_sites_are_one_by_setting(pair):
    without_clone(pair)
    members = ["student2", "onlyclient"]
    by_cohort = ["onlyclient | cohort | 0", "student2 | cohort | 0"]
    with one_site_identifier(pair, members), pair.setting("thisyear", "samesite_numbers", "1", "0"):
        # Mode, user data, does the sync come, who is enrolled by hand besides the requester.
        for mode, users, sync, by_hand in [
                ("always", False, True, []), ("with-users", False, False, []), ("manual", False, False, []),
                ("always", True, True, ["student1", "student2"]),
                ("with-users", True, True, ["student1", "student2"]),
                ("manual", True, False, ["student1", "student2"])]:
            made = pair.bring("HAND", users, request={"enrolment": mode})
            seen = pair.describe("thisyear", made["course"])["enrolments"]
            pair.delete(made["course"])
            case = (mode, users, seen, made["warnings"])
            assert ("cohort | 0 | student" in seen["methods"]) == sync, case
            assert [u for u in seen["users"] if "| cohort |" in u] == (by_cohort if sync else []), case
            assert sorted({u.split(" ")[0] for u in seen["users"] if "| manual |" in u}) \
                == sorted(["teacher1", *by_hand]), case
            roles = [r for r in seen["roles"] if "enrol_cohort" in r]
            assert [r.split(" ")[0] for r in roles] == (sorted(members) if sync else []), case
            assert not warned(made), case
    with one_site_identifier(pair, members):
        # Not without the setting: the cohort of that identifier is there, and enrols nobody.
        made = pair.bring("HAND", request={"enrolment": "always"})
        seen = pair.describe("thisyear", made["course"])["enrolments"]
        pair.delete(made["course"])
        assert "cohort | 1 | student" in seen["methods"] and not any("| cohort |" in u for u in seen["users"]), seen
        assert ["switched off" in w for w in warned(made)] == [True]


def test_contents_that_are_missing_or_damaged_fail_the_import(pair):
    about = pair.export("HAND")
    big = next(f for f in about["files"] if f["size"] == 144000)
    blob = about["dir"] / "blobs" / f"{big['sha1']}-{big['size']}"
    before = pair.traces("thisyear")
    good = blob.read_bytes()
    try:
        blob.unlink()
        assert pair.run("thisyear", "import", pair.message("HAND")).error \
            == ("reject", "archive_corrupt")
        blob.write_bytes(good[:-1] + b"x")
        assert pair.run("thisyear", "import", pair.message("HAND")).error \
            == ("reject", "archive_corrupt")
    finally:
        blob.write_bytes(good)
    assert pair.traces("thisyear") == before


def test_naming_a_hash_does_not_pull_the_clients_own_files_into_a_course(pair):
    secret = "confidential " + uuid7()
    sha1 = pair.code("thisyear", f"""
        $f = get_file_storage()->create_file_from_string(['contextid' => context_user::instance(
            get_admin()->id)->id, 'component' => 'user', 'filearea' => 'private', 'itemid' => 0,
            'filepath' => '/', 'filename' => '{uuid7()}.txt'], '{secret}');
        echo $f->get_contenthash();""").split()[-1]
    about = pair.export("HAND")
    tree = pair.folder("forged") / "tree"
    shutil.copytree(about["dir"] / "tree", tree)
    files = tree / "files.xml"
    big = next(f for f in about["files"] if f["size"] == 144000)
    files.write_text(files.read_text().replace(big["sha1"], sha1)
                     .replace("<filesize>144000<", f"<filesize>{len(secret)}<"))
    before = pair.traces("thisyear")
    message = pair.message("HAND", tree=str(tree))
    assert pair.run("thisyear", "import", message).error == ("reject", "archive_corrupt")
    assert pair.traces("thisyear") == before
    assert pair.run("thisyear", "sweep").result == {"swept": 0}
    # An older tool's archive may lack a content: then the file is left out, not taken from here.
    reply = pair.run("thisyear", "import", message | {"missing": "warn", "request": pair.request("HAND")})
    assert any("日本語" in text for text in reply.warnings)
    assert pair.count("thisyear", f"{{files}} WHERE contenthash = '{sha1}'") == 1
    pair.delete(reply.result["course"])


def test_a_strangers_row_of_the_same_content_does_not_leak_into_the_files(pair):
    about = pair.export("HAND")
    small = next(f for f in about["files"] if f["size"] == 8)
    text = (about["dir"] / "blobs" / f"{small['sha1']}-8").read_text()
    pair.code("thisyear", f"""
        $f = get_file_storage()->create_file_from_string(['contextid' => context_user::instance(
            get_admin()->id)->id, 'component' => 'user', 'filearea' => 'private', 'itemid' => 0,
            'filepath' => '/', 'filename' => '{uuid7()}.mp3'], {json.dumps(text)});""")
    made = pair.bring("HAND")
    files = [f.split(" | ") for f in pair.describe("thisyear", made["course"])["files"]]
    kinds = {f[1].rsplit("/", 1)[1]: f[3] for f in files if "same." in f[1]}
    assert kinds == {"same.csv": "text/csv", "same.html": "text/html"}
    pair.delete(made["course"])


# --- one request, one course, whatever happens ---

def wait_for(process, key: str) -> str:
    said = ""
    while key not in said.rsplit("\n", 2)[-2:][0]:
        line = process.stdout.readline()
        assert line, process.stderr.read()[:1500]
        said += line
    return said


def test_a_second_attempt_waits_and_the_first_asks_before_it_commits(pair):
    message = pair.message("EMPTY", settings={"only_one": True}, confirm=True)
    before = pair.traces("thisyear")
    first = pair.start("thisyear", "import", message)
    said = wait_for(first, '"confirm"')
    assert pair.run("thisyear", "import", message).error == ("hold", "busy")
    colleague = message | {"request": pair.request("EMPTY", user="teacher2")}
    assert pair.run("thisyear", "import", colleague).error == ("hold", "busy")
    assert pair.run("thisyear", "find", {"id": message["request"]["id"]}).result["course"] is None
    assert pair.run("thisyear", "sweep").result == {"swept": 0}
    first.stdin.write("no\n")
    first.stdin.flush()
    assert pair.finish(first, said).error == ("cancelled", "cancelled")
    assert pair.traces("thisyear") == before
    again = pair.start("thisyear", "import", message)
    said = wait_for(again, '"confirm"')
    again.stdin.write("yes\n")
    again.stdin.flush()
    pair.delete(pair.finish(again, said).result["course"])


def test_a_terminated_import_cleans_up(pair):
    before = pair.traces("thisyear")
    process = pair.start("thisyear", "import", pair.message("S"))
    said = wait_for(process, '"import"')
    process.send_signal(signal.SIGTERM)
    assert pair.finish(process, said).error == ("cancelled", "cancelled")
    assert pair.traces("thisyear") == before


def test_killed_at_any_moment_there_is_one_whole_course_or_none(pair):
    before = pair.traces("thisyear")
    whole = None
    kills = int(os.environ.get("NAVETTE_KILLS", "8"))
    rng = chance.generator()
    for n in range(kills):
        message = pair.message("S")
        process = pair.start("thisyear", "import", message)
        time.sleep(0.3 + 3.0 * n / kills + rng.uniform(0, 0.2))
        process.kill()
        process.communicate()
        if n % 2:
            deadline = time.monotonic() + 20
            while pair.run("thisyear", "sweep").result and time.monotonic() < deadline:
                if pair.traces("thisyear")["importing"] == 0:
                    break
                time.sleep(0.2)
            left = pair.traces("thisyear")
            made = pair.run("thisyear", "find", {"id": message["request"]["id"]}).result["course"]
            assert left | {"controllers": 0, "logs": 0} == before | {
                "controllers": 0, "logs": 0, "courses": before["courses"] + bool(made)}
        deadline = time.monotonic() + 20
        while True:
            reply = pair.run("thisyear", "import", message)
            if reply.code != EXIT["hold"] or time.monotonic() > deadline:
                break
            time.sleep(0.2)  # the killed one's last query still runs in the database
        made = reply.result
        assert pair.traces("thisyear")["courses"] == before["courses"] + 1
        seen = pair.describe("thisyear", made["course"])
        whole = whole or seen
        assert differences(whole, seen) == {}
        pair.delete(made["course"])
    after = pair.traces("thisyear")
    assert after | {"controllers": 0, "logs": 0} == before | {"controllers": 0, "logs": 0}


def half_made(pair, course: str) -> str:
    """The course of an import that was killed just before it would have been whole."""
    message = pair.message(course, confirm=True)
    process = pair.start("thisyear", "import", message)
    wait_for(process, '"confirm"')
    process.kill()
    process.communicate()
    (made,), = pair.query("thisyear", "SELECT courseid FROM {block_navette_restores} WHERE requestid = "
                          f"'{message['request']['id']}'")
    return made


def test_activities_that_their_course_modules_did_not_know_yet_are_removed(pair):
    """As if the import had been killed between the two writes, at each activity of each kind: Moodle
    itself cannot delete such an assignment."""
    before = pair.traces("thisyear")
    made = half_made(pair, "HAND")
    kinds = [row[0] for row in pair.query("thisyear", "SELECT DISTINCT m.name FROM {modules} m JOIN "
                                          f"{{course_modules}} cm ON cm.module = m.id WHERE cm.course = {made}")]
    assert "assign" in kinds and len(kinds) > 10
    pair.query("thisyear", f"UPDATE {{course_modules}} SET instance = 0 WHERE course = {made}")
    pair.query("thisyear", "INSERT INTO {label} (course, name, intro, introformat, timemodified) "
                           f"VALUES ({made}, 'of no course module', '', 1, 1)")
    swept_clean(pair, before)
    assert {kind: n for kind in kinds if (n := pair.count("thisyear", f"{{{kind}}} WHERE course = {made}"))} == {}


@contextlib.contextmanager
def undeletable(pair, course: str):
    """A course whose row the database keeps."""
    db = pair.state["db"]
    table, says = f"{db['prefix']}course", "it is kept"
    if db["type"] == "mariadb":
        make = ["DELIMITER //\n"
                f"CREATE TRIGGER navette_keep BEFORE DELETE ON {table} FOR EACH ROW BEGIN IF OLD.id = {course} "
                f"THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{says}'; END IF; END//"]
        drop = "DROP TRIGGER navette_keep"
    else:
        make = ["CREATE FUNCTION navette_keep() RETURNS trigger LANGUAGE plpgsql AS "
                f"'BEGIN RAISE EXCEPTION ''{says}''; END'",
                f"CREATE TRIGGER navette_keep BEFORE DELETE ON {table} FOR EACH ROW WHEN (OLD.id = {course}) "
                "EXECUTE FUNCTION navette_keep()"]
        drop = "DROP FUNCTION navette_keep CASCADE"
    for statement in make:
        pair.query("thisyear", statement)
    try:
        yield says
    finally:
        pair.query("thisyear", drop)


def test_a_course_that_cannot_be_removed_is_named_and_keeps_no_other(pair):
    before = pair.traces("thisyear")
    first, second = half_made(pair, "EMPTY"), half_made(pair, "EMPTY")
    with undeletable(pair, first) as says:
        deadline, reply = time.monotonic() + 60, None
        # The database may take a moment to notice that who held the locks is gone.
        while pair.count("thisyear", f"{{course}} WHERE id = {second}") or reply.code == 0:
            assert time.monotonic() < deadline
            reply = pair.run("thisyear", "sweep")
        assert reply.error == ("retry", "import_failed")
        message = reply.lines[-1]["error"]["message"]
        assert f"the half-made course {first} of an earlier attempt cannot be deleted" in message and says in message
        assert pair.count("thisyear", f"{{course}} WHERE id = {first}") == 1
    swept_clean(pair, before)


def test_four_imports_at_once_are_all_whole(pair):
    messages = [pair.message("S") for _ in range(4)]
    replies = [None] * 4

    def one(n):
        replies[n] = pair.run("thisyear", "import", messages[n])

    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    made = [r.result for r in replies]
    assert len({m["shortname"] for m in made}) == len({m["fullname"] for m in made}) == 4
    seen = [pair.describe("thisyear", m["course"]) for m in made]
    assert all(differences(seen[0], other) == {} for other in seen[1:])
    for m in made:
        pair.delete(m["course"])
    assert pair.traces("thisyear")["contents"] == 0


def config_php(pair, site):
    """With the web root in public/, the file there only leads to the one above."""
    moodle = pathlib.Path(pair.sites[site]["moodle"])
    return next(c for c in (moodle / "config.php", moodle.parent / "config.php") if "dbport" in c.read_text())


def test_a_dead_database_is_something_to_try_again(pair):
    """Moodle's own configuration with another port: nothing listens there."""
    config = config_php(pair, "thisyear")
    good = config.read_text()
    config.write_text(good.replace(f"'dbport' => {pair.state['db']['port']}", "'dbport' => 1"))
    try:
        assert "'dbport' => 1," in config.read_text()
        for operation, message in (("find", {"id": uuid7()}), ("check", None)):
            reply = pair.run("thisyear", operation, message)
            assert reply.error == ("retry", "site_unavailable")
            assert "database" in reply.lines[-1]["error"]["message"].lower(), reply.lines
    finally:
        config.write_text(good)


def refused(pair, text):
    """What asks whether this site can be worked with, and what would work with it."""
    for operation, message in (("check", None), ("setup", {"role": "client"}),
                               ("preflight", pair.message("EMPTY"))):
        reply = pair.run("thisyear", operation, message)
        assert reply.error == ("retry", "site_upgrading"), (operation, reply.lines)
        assert text in reply.lines[-1]["error"]["message"], reply.lines


def test_a_site_that_waits_for_its_upgrade_says_so(pair):
    assert pair.run("thisyear", "check").result["version"] > 2022112800
    version = pair.code("thisyear", "echo $CFG->version;").strip()
    try:
        pair.code("thisyear", "set_config('version', '2020010100.00');")
        refused(pair, "waits for its upgrade")
    finally:
        pair.code("thisyear", f"set_config('version', '{version}');")
    assert pair.run("thisyear", "check").result


def test_a_plugin_that_is_copied_but_not_installed_says_so(pair):
    version = pair.run("thisyear", "check").result["plugin"]
    try:
        pair.code("thisyear", "unset_config('version', 'block_navette');")
        refused(pair, "copied but not installed")
    finally:
        pair.code("thisyear", f"set_config('version', {version}, 'block_navette');")
    assert pair.run("thisyear", "check").result["plugin"] == version


def test_an_upgrade_that_runs_is_said_by_the_check(pair):
    try:
        pair.code("thisyear", "set_config('upgraderunning', time() + 3600);")
        reply = pair.run("thisyear", "check")
        assert reply.error == ("retry", "site_upgrading"), reply.lines
        # Moodle lets nothing else start, and that is its trouble, not the course's.
        assert pair.run("thisyear", "find", {"id": uuid7()}).error == ("retry", "site_unavailable")
    finally:
        pair.code("thisyear", "unset_config('upgraderunning');", "NO_UPGRADE_CHECK")
    assert pair.run("thisyear", "check").result


def test_the_block_says_when_a_failed_restore_is_tried_again(pair):
    bad = pair.message("HAND", retry_in=600000)
    bad["tree"] = broken_copy(pair, bad["tree"])
    assert pair.run("thisyear", "import", bad).error == ("retry", "import_failed")
    ask = ("$PAGE->set_context(context_system::instance()); $PAGE->set_url('/'); "
           "require_once($CFG->dirroot . '/blocks/moodleblock.class.php'); "
           "require_once($CFG->dirroot . '/blocks/navette/block_navette.php'); "
           f"$row = $DB->get_record('block_navette_restores', ['requestid' => '{bad['request']['id']}']); "
           "$item = new ReflectionMethod('block_navette', 'item'); $item->setAccessible(true); "
           "echo $row->nexttry - time(), ' ', $item->invoke(new block_navette(), $row), ' ';"
           "$row->nexttry = 0; echo $item->invoke(new block_navette(), $row);")
    seconds, text = pair.code("thisyear", ask).split(" ", 1)
    assert 500 < int(seconds) <= 601
    assert "Waits, next try on" in text and "Moodle could not restore the course." in text
    assert "Failed on" in text  # without a next try


def end_connections(pair, site):
    """As a database server does that stops; it is there again at once."""
    if pair.state["db"]["type"] == "mariadb":
        for row in pair.query(site, f"SELECT id FROM information_schema.processlist WHERE "
                              f"db = '{site}' AND id <> CONNECTION_ID()"):
            pair.query(site, f"KILL {row[0]}")
    else:
        pair.query(site, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                   f"datname = '{site}' AND pid <> pg_backend_pid()")


def test_an_export_that_loses_its_database_is_no_fault_of_the_course(pair):
    message = {"request": pair.request("S"), "work_dir": str(pair.folder("export"))}
    process = pair.start("lastyear", "export", message)
    said = wait_for(process, '"export"')
    end_connections(pair, "lastyear")
    assert pair.finish(process, said).error == ("retry", "site_unavailable")


@contextlib.contextmanager
def not_mounted(folder):
    """What is in the folder is away; its place is there, and only root may write to it."""
    away = folder.with_name(folder.name + ".away")
    folder.rename(away)
    folder.mkdir(0o555)
    try:
        yield
    finally:
        folder.rmdir()
        away.rename(folder)


def test_a_data_folder_that_goes_midway_is_no_fault_of_the_course(pair):
    folder = pathlib.Path(pair.sites["thisyear"]["data"])
    message = pair.message("S")
    process = pair.start("thisyear", "import", message)
    said = wait_for(process, '"import"')
    process.send_signal(signal.SIGSTOP)
    with not_mounted(folder):
        process.send_signal(signal.SIGCONT)
        assert pair.finish(process, said).error == ("retry", "site_unavailable")
        assert pair.run("thisyear", "check").error == ("retry", "site_unavailable")
    pair.delete(pair.run("thisyear", "import", message).result["course"])


SAID = {  # by a database, or of one; and by what is none
    "new dml_connection_exception('Connection refused')": "site_unavailable",
    "new dml_read_exception('MySQL server has gone away', 'SELECT 1', [])": "site_unavailable",
    "new dml_write_exception('Lost connection to server during query', 'UPDATE x', [])": "site_unavailable",
    "new dml_read_exception('FATAL:  terminating connection due to administrator command', '', [])": "site_unavailable",
    "new ddl_change_structure_exception('server closed the connection unexpectedly', 'CREATE TEMPORARY TABLE x')":
        "site_unavailable",
    "new Exception('x', 0, new dml_read_exception('Server shutdown in progress'))": "site_unavailable",
    "new RedisException('Connection lost')": "site_unavailable",
    "new dml_write_exception('Data too long for column', 'INSERT', ['gone away, lost connection'])": "import_failed",
    "new Exception('MySQL server has gone away, says a course')": "import_failed",
    "new block_navette\\local\\failure('retry', 'import_failed', 'x')": "import_failed",
    "new block_navette\\local\\failure('reject', 'policy', 'x', new RedisException('x'))": "policy",
}


def test_what_an_outage_makes_moodle_throw_is_told_from_faults_of_a_course(pair):
    says = pair.code("thisyear", "require_once($CFG->libdir . '/ddllib.php');"
                     "if (!class_exists('RedisException')) { class RedisException extends Exception {} }"
                     "foreach ([" + ", ".join(SAID) + "] as $e) {"
                     "echo block_navette\\local\\failure::from($e, 'import_failed', 'x')->reason, ' '; }")
    assert dict(zip(SAID, says.split())) == SAID


def test_a_database_connection_lost_midway_leaves_nothing_once_it_is_tried_again(pair):
    before = pair.traces("thisyear")
    message = pair.message("S")
    process = pair.start("thisyear", "import", message)
    said = wait_for(process, '"import"')
    end_connections(pair, "thisyear")
    assert pair.finish(process, said).error == ("retry", "site_unavailable"), "no fault of the course"
    made = pair.run("thisyear", "import", message).result
    assert not made["existed"]
    pair.delete(made["course"])
    after = pair.traces("thisyear")
    assert after | {"controllers": 0, "logs": 0} == before | {"controllers": 0, "logs": 0}


def test_a_fatal_error_of_php_is_told_and_cleaned_up(pair):
    """The memory limit, midway; whatever Moodle does to raise it."""
    bomb = pair.work / "bomb.php"
    bomb.write_text("""<?php pcntl_async_signals(true); pcntl_signal(SIGUSR1, function () {
        ini_set('memory_limit', memory_get_usage(true) + (4 << 20)); str_repeat('x', 1 << 30); });""")
    bomb.chmod(0o644)
    message = pair.message("S")
    before = pair.traces("thisyear")
    process = subprocess.Popen(
        [*pair.drop, "php", "-d", f"auto_prepend_file={bomb}", pair.sites["thisyear"]["navette"],
         "import"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(json.dumps(message) + "\n")
    process.stdin.flush()
    said = wait_for(process, '"step":"import"')
    process.send_signal(signal.SIGUSR1)
    reply = pair.finish(process, said)
    assert reply.error == ("retry", "internal")
    # The second is PHP's word when it has no memory left to tell of an exception.
    assert re.search("Allowed memory size|Couldn't execute method", reply.lines[-1]["error"]["message"])
    swept_clean(pair, before)


def swept_clean(pair, before):
    """A sweep leaves nothing, once the database has noticed that who held the lock is gone."""
    deadline = time.monotonic() + 60
    while True:
        assert pair.run("thisyear", "sweep").code == 0
        after = pair.traces("thisyear")
        if after | {"controllers": 0, "logs": 0} == before | {"controllers": 0, "logs": 0}:
            return
        assert time.monotonic() < deadline, (before, after)


def broken_copy(pair, tree):
    """Of an unpacked archive: Moodle begins to restore it and fails."""
    copy = pair.folder("broken") / "tree"
    shutil.copytree(tree, copy)
    (copy / "course" / "course.xml").write_text("<course>")
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", f"{pair.state['user']}:", copy], check=True)
    return str(copy)


def test_a_second_try_tells_its_own_warnings_only(pair):
    """What the first one warned of is not so any more."""
    message = pair.message("HAND", request={"category": "GONE"})
    bad = message | {"tree": broken_copy(pair, message["tree"])}
    first = pair.run("thisyear", "import", bad)
    assert first.error == ("retry", "import_failed") and any('"GONE"' in text for text in first.warnings)
    message["request"] = message["request"] | {"category": "SCI"}
    second = pair.run("thisyear", "import", message)
    assert second.result["category"] == "SCI"
    told = second.result["warnings"]
    assert not [text for text in told + second.warnings if "GONE" in text], told
    assert pair.run("thisyear", "find", {"id": message["request"]["id"]}).result["warnings"] == told
    pair.delete(second.result["course"])


def test_what_still_holds_is_said_again_by_the_try_without_user_data(pair):
    """That begins its warnings anew, once the try with them has failed."""
    about = pair.export("HAND", True)
    tree = pair.folder("broken") / "tree"
    shutil.copytree(about["dir"] / "tree", tree)
    (tree / "users.xml").write_text("<users>")
    bad = pair.message("HAND", True, settings={"without_user_data_on_failure": True}, tree=str(tree),
                       inventory=about["inventory"], request={"category": "GONE"})
    reply = pair.run("thisyear", "import", bad)
    told = reply.result["warnings"]
    assert [sum(word in text for text in told) for word in ('"GONE"', "without them")] == [1, 1], told
    pair.delete(reply.result["course"])


def test_contents_on_another_file_system_than_moodles_are_copied(pair):
    """A link cannot be made there: what Moodle has is a file of its own."""
    data = pathlib.Path(pair.sites["thisyear"]["data"])
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        if os.stat(elsewhere).st_dev == os.stat(data).st_dev:
            pytest.skip("/dev/shm is no other file system")
        os.chmod(elsewhere, 0o755)
        about = pair.export("S")
        blobs = pathlib.Path(elsewhere) / "blobs"
        shutil.copytree(about["dir"] / "blobs", blobs)
        files = {file["sha1"]: file["size"] for file in about["files"]}
        before = set(p.name for p in (data / "filedir").glob("??/??/*"))
        assert files and not files.keys() <= before, "some are new there"
        course = pair.run("thisyear", "import", pair.message("S", blobs=str(blobs))).result["course"]
        for sha1, size in files.items():
            there = data / "filedir" / sha1[:2] / sha1[2:4] / sha1
            assert there.stat().st_size == size and hashlib.sha1(there.read_bytes()).hexdigest() == sha1
    pair.delete(course)


def test_user_data_that_fail_are_left_out_where_the_setting_allows_it(pair):
    about = pair.export("HAND", True)
    tree = pair.folder("broken") / "tree"
    shutil.copytree(about["dir"] / "tree", tree)
    users = tree / "users.xml"
    text = users.read_text()
    users.write_text(text[:len(text) // 2])
    before = pair.traces("thisyear")
    message = pair.message("HAND", True, tree=str(tree), inventory=about["inventory"])
    kind, reason = pair.run("thisyear", "import", message).error
    assert reason == "import_failed" and pair.traces("thisyear") | {"logs": 0} == before | {"logs": 0}
    message["settings"]["without_user_data_on_failure"] = True
    reply = pair.run("thisyear", "import", message)
    assert not reply.result["user_data"] and any("without them" in t for t in reply.warnings)
    # What belongs to the users that were left out is not missed once more.
    assert {line["kind"] for line in reply.result["has"]} == {"section", "activity", "question"}
    pair.delete(reply.result["course"])


# --- the rest ---

def test_enrol_me_works_for_restored_courses_only(pair):
    made = pair.bring("EMPTY", settings={"enrol_requester": False})

    def join(course, user="teacher2", role="editingteacher"):
        return pair.run("thisyear", "enrol", {"course": course, "user": user, "role": role})

    assert join(made["course"]).result == {"enrolled": True, "already": False}
    assert join(made["course"]).result == {"enrolled": True, "already": True}
    assert join(made["course"], user="nobody").error == ("reject", "unknown_user")
    assert join(made["course"], role="nothing").error == ("reject", "config")
    own = pair.code("thisyear", "require_once($CFG->dirroot . '/course/lib.php'); echo create_course("
                    "(object) ['shortname' => 'OWN', 'fullname' => 'Own', 'category' => "
                    "core_course_category::get_default()->id])->id;").split()[-1]
    assert join(own).error == ("reject", "course_missing")
    pair.delete(own)
    pair.delete(made["course"])
    assert join(made["course"]).error == ("reject", "course_missing")


def test_a_notice_is_sent_once(pair):
    notice = {"id": "restored/" + uuid7(), "user": "teacher1", "subject": "Ready “now”",
              "text": "Line 1\n<b>Line 2</b>", "url": "http://127.0.0.1/x"}
    assert pair.run("thisyear", "notify", notice).result == {"sent": True}
    assert pair.run("thisyear", "notify", notice).result == {"sent": False}
    sent = pair.query("thisyear", "SELECT u.username, n.subject, n.eventtype FROM {notifications} n "
                      "JOIN {user} u ON u.id = n.useridto WHERE n.component = 'block_navette' "
                      "ORDER BY n.id DESC LIMIT 1")
    assert sent == [["teacher1", "Ready “now”", "restored"]]
    assert pair.run("thisyear", "notify", notice | {"user": "nobody", "id": uuid7()}).error \
        == ("reject", "unknown_user")
    to_admins = {"id": uuid7(), "provider": "problem", "subject": "Failed", "text": "why"}
    assert pair.run("thisyear", "notify", to_admins).result == {"sent": True}


def test_setup_can_be_run_again(pair):
    assert pair.run("thisyear", "setup", {"role": "client"}).code == 0
    again = pair.run("thisyear", "setup", {"role": "client"})
    assert again.all("done") == []
    assert pair.run("thisyear", "settings").result["moodle_role"] in ("client", "both")
    assert pair.run("thisyear", "setup", {"role": "king"}).error == ("reject", "bad_message")


def test_settings_tell_what_other_machines_compare_and_no_secret(pair):
    saved = {name: pair.code("thisyear", f"echo get_config('block_navette', '{name}');").strip()
             for name in ("search_roles", "enrollrole", "launchsecret")}
    secret = "0123456789abcdef" * 2 + "launch"

    def put(**values):
        pair.code("thisyear", "".join(f"set_config('{k}', '{v}', 'block_navette');" for k, v in values.items()))
    try:
        put(search_roles="editingteacher, editingtaecher", enrollrole="nobody", launchsecret=secret)
        result = pair.run("thisyear", "settings").result
        assert secret not in json.dumps(result)
        assert result["facts"] == {
            "issuer": pair.code("thisyear", "echo $CFG->wwwroot;").strip(),
            "launch_fingerprint": hmac.new(secret.encode(), b"navette launch secret", "sha256").hexdigest()[:16],
            "search_roles_unknown": ["editingtaecher"], "enrol_role_unknown": "nobody"}
        put(search_roles="editingteacher", enrollrole="editingteacher", launchsecret="too short")
        facts = pair.run("thisyear", "settings").result["facts"]
        assert (facts["search_roles_unknown"], facts["enrol_role_unknown"], facts["launch_fingerprint"]) == ([], None, "")
    finally:
        put(**saved)


def test_privacy_exports_and_deletes_who_asked_but_not_that_there_is_a_course(pair):
    message = pair.message("EMPTY", request={"user_name": "Teacher One", "mail": "t@example.org"})
    made = pair.run("thisyear", "import", message).result
    pair.code("thisyear", """
        $user = $DB->get_record('user', ['username' => 'teacher1']);
        $list = \\block_navette\\privacy\\provider::get_contexts_for_userid($user->id);
        assert($list->count() === 1);
        $approved = new \\core_privacy\\local\\request\\approved_contextlist($user, 'block_navette',
            $list->get_contextids());
        \\block_navette\\privacy\\provider::delete_data_for_user($approved);""")
    request_id = message["request"]["id"]
    row = pair.query("thisyear", "SELECT COALESCE(userid, 0), request FROM {block_navette_restores} "
                     f"WHERE requestid = '{request_id}'")
    assert row[0][0] == "0" and "Teacher One" not in row[0][1] and "teacher1" not in row[0][1]
    assert pair.run("thisyear", "import", message).result["course"] == made["course"]
    pair.delete(made["course"])


def test_contents_that_the_site_has_are_told_by_hash_and_size(pair):
    sha1, size = pair.query("thisyear", "SELECT contenthash, filesize FROM {files} WHERE filesize > 0 "
                            "ORDER BY id LIMIT 1")[0]
    reply = pair.run("thisyear", "contents", {"contents": [
        [3, sha1, int(size)], [4, sha1, int(size) + 1], [5, "f" * 40, int(size)]]})
    assert reply.result == {"found": 1}
    content, = reply.all("content")
    assert content["i"] == 3 and pathlib.Path(content["path"]).stat().st_size == int(size)
    # A content that no file of the site names is about to go: it is not told.
    stray = pathlib.Path(content["path"]).parents[2] / "ff" / "ff" / ("f" * 40)
    pair.code("thisyear", f"mkdir('{stray.parent}', 0777, true); file_put_contents('{stray}', 'x');")
    assert pair.run("thisyear", "contents", {"contents": [[0, "f" * 40, 1]]}).result == {"found": 0}
    stray.unlink()


def test_the_older_blocks_restores_count_as_taken(pair):
    if not pair.state["seed_plugin"]:
        pytest.skip("the pair has no older block (pair up --seed-plugin)")
    own = pair.code("thisyear", "require_once($CFG->dirroot . '/course/lib.php'); $c = create_course("
                    "(object) ['shortname' => 'OLD', 'fullname' => 'Old', 'category' => "
                    "core_course_category::get_default()->id]); $DB->insert_record("
                    "'block_external_backuprestore', (object) ['userid' => $DB->get_field('user', 'id', "
                    "['username' => 'teacher1']), 'externalcourseid' => %s, 'externalcoursename' => 'Old', "
                    "'externalmoodleurl' => 'https://old.example.org', 'status' => 2, 'courseid' => $c->id, "
                    "'timecreated' => time(), 'timemodified' => time(), 'timescheduleprocessed' => time()]);"
                    " echo $c->id;" % pair.courses["EMPTY"]).split()[-1]
    sites = {"sites": {"https://old.example.org/": "lastyear"}}
    assert pair.run("thisyear", "adopt", sites).result["adopted"] == 1
    assert pair.run("thisyear", "adopt", sites).result["adopted"] == 0
    assert pair.run("thisyear", "adopt", {"sites": {}}).result["unknown_site"] >= 1
    reply = pair.run("thisyear", "import", pair.message("EMPTY", settings={"only_one": True}))
    assert reply.error == ("reject", "already_restored")
    told = [r for r in pair.run("thisyear", "history").all("restore") if r["outcome"]["course"] == own]
    assert told[0]["request"]["user"] == "teacher1" and told[0]["outcome"]["shortname"] == "OLD"
    pair.delete(own)
    pair.query("thisyear", f"DELETE FROM {{block_external_backuprestore}} WHERE courseid = {own}")


def test_the_blocks_button_signs_its_user_in(pair):
    url = pair.sites["thisyear"]["url"]
    with pair.button("https://navette.example.org") as instance:
        web = requests.Session()
        launch = f"{url}/blocks/navette/launch.php"
        answer = web.post(launch, data={"instance": instance}, allow_redirects=False)
        assert "token=" not in answer.headers.get("Location", "")
        page = web.get(f"{url}/login/index.php").text
        token = re.search(r'name="logintoken" value="(\w+)"', page).group(1)
        page = web.post(f"{url}/login/index.php", data={
            "username": "manager1", "password": pair.state["password"], "logintoken": token}).text
        sesskey = re.search(r'"sesskey":"(\w+)"', page).group(1)
        with pair.setting("thisyear", "authmethods", "ldap", ""):
            refused = web.post(launch, data={"instance": instance, "sesskey": sesskey},
                               allow_redirects=False)
        assert "token=" not in refused.headers.get("Location", "")
        answer = web.post(launch, data={"instance": instance, "sesskey": sesskey},
                          allow_redirects=False)
        # Navette's page sends people back here to have their rights confirmed.
        again = web.get(launch, params={"instance": instance}, allow_redirects=False)
        assert again.headers["Location"].startswith("https://navette.example.org/launch?token=")
        assert again.headers["Location"] != answer.headers["Location"]
    place, token = answer.headers["Location"].split("?token=")
    head, body, signature = token.split(".")

    def plain(text):
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    assert plain(signature) == hmac.digest(pair.launch_secret().encode(), f"{head}.{body}".encode(), "sha256")
    claims = json.loads(plain(body))
    assert place == "https://navette.example.org/launch" == claims["aud"] + "/launch"
    assert claims["sub"] == "manager1" and claims["exp"] - claims["iat"] == 60
    assert claims["caps"] == ["seeexternalcourselink", "restoreuserdata", "manage"]
    assert claims["block"] == int(instance)


def test_rights_are_what_moodle_allows_now(pair):
    def rights(*people):
        reply = pair.run("thisyear", "rights", {"people": [
            {"user": user, "block": block} for user, block in people]})
        return [tuple(p["caps"]) if p["served"] else None for p in reply.result["people"]]

    def permit(capability, permission, role):
        pair.code("thisyear", f"assign_capability('block/navette:{capability}', {permission}, $DB->get_field("
                  f"'role', 'id', ['shortname' => '{role}']), SYSCONTEXTID, true);")

    whole = ("seeexternalcourselink", "restoreuserdata", "manage")
    with pair.button("https://navette.example.org") as button:
        block = int(button)
        assert rights(("manager1", block), ("nobody", block), ("teacher1", block), ("MANAGER1", 0),
                      ("guest", block)) == [whole, None, (), whole, None]
        try:
            permit("manage", "CAP_PREVENT", "manager")
            assert rights(("manager1", block)) == [whole[:2]]
            permit("view", "CAP_PROHIBIT", "user")
            assert rights(("manager1", block), ("manager1", 0)) == [None, whole[:2]]
        finally:
            permit("manage", "CAP_ALLOW", "manager")
            permit("view", "CAP_ALLOW", "user")
        for field in ("suspended", "deleted"):
            pair.query("thisyear", f"UPDATE {{user}} SET {field} = 1 WHERE username = 'teacher1'")
            assert rights(("teacher1", block)) == [None]
            pair.query("thisyear", f"UPDATE {{user}} SET {field} = 0 WHERE username = 'teacher1'")
        with pair.setting("thisyear", "authmethods", "ldap", ""):
            assert rights(("manager1", block)) == [None]
        with pair.setting("thisyear", "userfield", "email", "username"):
            assert rights(("manager1", block)) == [None]
    assert rights(("manager1", block)) == [None], "the block is gone"
    for wrong in ({"people": [{"block": 1}]}, {"people": ["ada"]}, {"people": [{"user": "a", "block": "b"}]},
                  {"people": [{"user": "a"}] * 501}):
        assert pair.run("thisyear", "rights", wrong).error == ("reject", "bad_message")


def test_moodle_logs_what_was_done(pair):
    events = {row[0] for row in pair.query(
        "thisyear", "SELECT DISTINCT eventname FROM {logstore_standard_log} WHERE component = "
        "'block_navette'")}
    assert "\\block_navette\\event\\course_restored" in {e.replace("\\\\", "\\") for e in events}


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
