#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults and attacks between two real Moodle sites, through the real daemons: whatever is killed,
full, gone, broken or forged, there is one whole course or a clear reason, and nothing is left.

    MOODLE_DIR=/path/to/moodle test_faults.py [pytest's options]

Without MOODLE_DIR nothing is tested: that is said, and the exit code is 77.  NAVETTE_NIGHTLY=1 makes
it longer (20 kills, delays as they are in life), NAVETTE_SEED repeats a run's random moments.
"""
import contextlib
import email
import email.policy
import functools
import hashlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

import gate
from gate import HERE

if __name__ == "__main__":
    gate.leave_if(gate.missing())

import msgpack  # noqa: E402
import pytest  # noqa: E402
import requests  # noqa: E402

from harness import api, chance, keys, ports, smtp, wait, wire  # noqa: E402
from test_daemons import LONG, MoodleFarm, broker, restored_by_moodle  # noqa: E402, F401
from test_scripts import config_php, differences, pair, uuid7  # noqa: E402, F401

pytestmark = gate.mark(gate.missing())

NIGHTLY = os.environ.get("NAVETTE_NIGHTLY") == "1"
ROUNDS = 20 if NIGHTLY else 4
# Somebody without any right but the role in the course.
api.PEOPLE |= {"teacher1": {**api.PEOPLE["teacher1"], "mail": "teacher1@example.org"},
               "plain": {"name": "plain", "capabilities": []}}


# --- processes of PHP ---

def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in task.read_text().split()]
    return found


def php_child(daemon, operation):
    """The process id of the script that a daemon runs for this operation, or None."""
    for pid in children(daemon.child.pid) if daemon.running() else ():
        with contextlib.suppress(OSError):
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if words[-2:-1] == [operation.encode()] and words[-3].endswith(b"navette.php"):
                return pid
    return None


@contextlib.contextmanager
def stopped(pid):
    """The process and nothing else stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def with_children(pid):
    """PostgreSQL has a process for each connection."""
    return [pid, *map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


# --- the stand ---

class Stand(MoodleFarm):
    """The daemons between the two sites, the producer beside the client's Moodle."""

    def __init__(self, folder, broker, pair, sections=None, sites=None, **more):  # noqa: F811
        super().__init__(folder, broker, pair, sections, {"producer": "thisyear"} | (sites or {}), **{
            "restore": {"default_category": "DEF", "only_one": False},
            "producer": {"catalog_ttl": "1h"}, **more})

    def one(self, role):
        return self.roles(role)[0]

    def held(self, request, reason, timeout=LONG):
        """It waits, and its status says why."""
        def check():
            self.check_daemons()
            record = self.record(request)
            assert record.get("state") not in ("restored", "failed", "cancelled"), record
            return record.get("reason") == reason and record
        return wait.until(check, lambda: f"{reason}: {self.record(request)}", timeout, 0.02)

    def whole(self, request, expected):
        """It is restored and what it should be; the course's id."""
        made = self.course(request)
        assert differences(expected, self.pair.describe(self.sites["worker"], made)) == {}
        return made

    def child(self, role, operation, timeout=LONG):
        """A running script of this daemon; where there is none, waits for it."""
        return wait.until(lambda: php_child(self.one(role), operation),
                          f"{operation} of the {role}", timeout, 0.005)

    def _all_told(self):
        return super()._all_told() and not self.redis.client.exists("nv:notices:waiting")

    def told_to(self, user, since):
        """The kinds of messages that somebody got; administrators hear of failures, too."""
        return [kind for who, kind in self.told(since) if who == user]

    def sweep_work(self):
        """What lies in the work folders for longer than the grace time goes."""
        for role in ("archiver", "worker"):
            d = self.one(role)
            if d.running():
                d.stop()
            for entry in os.scandir(d.config[role]["work_dir"]):
                os.utime(entry.path, (time.time() - 3600,) * 2)
            d.start()

    def work(self, role):
        folder = self.one(role).config[role]["work_dir"]
        return [n for n in os.listdir(folder) if not n.startswith(".")]

    def dead(self, owner):
        """[(reason, error)] of what was given up."""
        return [(p.headers["nv-reason"], p.headers["nv-error"])
                for p, _ in self.broker.look(self.vhost, f"dead.{owner}")]

    def archives(self):
        """What lies in the store: keys."""
        root = pathlib.Path(self.path("store"))
        return sorted(str(p.relative_to(root)) for p in root.rglob("*")
                      if p.is_file() and ".tmp" not in p.parts)

    def delete_restored(self):
        ids = set(self.requests)
        for course, request in self.pair.query(
                "thisyear", "SELECT courseid, requestid FROM {block_navette_restores} "
                "WHERE state = 'restored'"):
            if request in ids and self.pair.count("thisyear", f"{{course}} WHERE id = {course}"):
                self.pair.delete(course)


def remains(pair):  # noqa: F811
    """What may be left in either Moodle: its traces, and all of the temporary folders."""
    found = {}
    for site in ("lastyear", "thisyear"):
        temp = pathlib.Path(pair.sites[site]["data"]) / "temp"
        # Moodle's own tables keep a killed backup's or restore's rows until its cron removes them.
        found[site] = pair.traces(site) | {"controllers": 0, "logs": 0} | {
            "temp": sorted(str(p.relative_to(temp)) for p in temp.rglob("*")
                           if p.is_file() and p.parts[-2] != "filestorage")}
    return found


@pytest.fixture
def make(pair, broker, request):  # noqa: F811
    """make(sections={…}, start=False, …): a Stand.  At the end nothing may be left of what it did."""
    stands = []
    pair.run("thisyear", "sweep")
    before = remains(pair)
    failures = request.session.testsfailed

    def made(start=True, **more):
        folder = tempfile.mkdtemp(prefix="farm-", dir=pathlib.Path(broker.folder).parent)
        os.chmod(folder, 0o711)
        stands.append(Stand(folder, broker, pair, **more))
        if start:
            stands[-1].all()
        return stands[-1]

    failed = True
    try:
        yield made
        failed = request.session.testsfailed > failures
        if not failed:
            failed = True
            nothing_left(pair, stands, before)
            failed = False
    finally:
        for f in stands:
            with contextlib.suppress(Exception):
                f.delete_restored()
            f.close(failed)


def nothing_left(pair, stands, before):  # noqa: F811
    for f in stands:
        f.delete_restored()
        for d in f.roles("archiver") + f.roles("worker"):
            if d.running():
                wait.until(lambda role=d.role: not f.work(role),
                           lambda role=d.role: f"left by the {role}: {f.work(role)}", 20)
        assert f.leftovers() == []
    pair.run("thisyear", "sweep")
    assert differences(before, remains(pair)) == {}


@contextlib.contextmanager
def tidy(pair):  # noqa: F811
    """Moodle's own command-line backups leave their logs behind."""
    folders = [pathlib.Path(s["data"]) / "temp" / "backup" for s in pair.sites.values()]
    before = {p for folder in folders for p in folder.glob("*.log")}
    yield
    for path in {p for folder in folders for p in folder.glob("*.log")} - before:
        path.unlink()


@functools.lru_cache
def by_moodle(pair, course, users):  # noqa: F811
    with tidy(pair):
        return restored_by_moodle(pair, course, users)


# --- killed ---

def lengths(f, request):
    """Runs a request undisturbed: how long the scripts of export and import live, in seconds."""
    seen = {}
    while f.state(request) not in ("restored", "failed"):
        for role, operation in (("archiver", "export"), ("worker", "import")):
            pid = php_child(f.one(role), operation)
            if pid:
                first, _ = seen.setdefault(pid, (time.monotonic(), operation))
                seen[pid] = (first, operation)
                seen[operation] = time.monotonic() - first
        time.sleep(0.01)
    return {operation: seen[operation] for operation in ("export", "import")}


def strike(f, kind, moment):
    """Kill, at that moment of the script's life; False: it had ended before."""
    role, operation = {"export's PHP": ("archiver", "export"), "import's PHP": ("worker", "import"),
                       "archiver": ("archiver", "export"), "worker": ("worker", "import")}[kind]
    f.child(role, operation)
    time.sleep(moment)  # the moment is what is random here
    if kind == role:
        f.one(role).kill()
        f.one(role).start()  # as a supervisor does
        return True
    pid = php_child(f.one(role), operation)
    if pid:
        os.kill(pid, signal.SIGKILL)
    return bool(pid)


def test_killed_at_any_moment_of_export_or_import_one_whole_course_comes(make, pair):  # noqa: F811
    rng = chance.generator()
    f = make()
    whole = by_moodle(pair, "S", False)
    first = f.submit(pair.courses["S"], by="teacher1", user_data=False)
    longest = lengths(f, first)
    pair.delete(f.whole(first, whole))
    before = remains(pair)
    kinds = ["export's PHP", "import's PHP", "archiver", "worker"]
    for n in range(ROUNDS):
        if n % len(kinds) == 0:
            rng.shuffle(kinds)
        kind = kinds[n % len(kinds)]
        for _ in range(5):  # until one was struck
            since = f.last_notice()
            request = f.submit(pair.courses["S"], by="teacher1", user_data=False)
            operation = "export" if "export" in kind or kind == "archiver" else "import"
            moment = rng.uniform(0, longest[operation])
            struck = strike(f, kind, moment)
            print(f"round {n}: {kind} after {moment:.3f} s{'' if struck else ', too late'}")
            pair.delete(f.whole(request, whole))
            assert f.told(since) == [["teacher1", "restored"]]
            if struck:
                break
            longest[operation] = moment  # with all warm it lives shorter than the first time
        assert struck
        wait.until(lambda: not f.work("archiver") + f.work("worker"),
                   lambda: f"left: {f.work('archiver')} {f.work('worker')}", 20)
        pair.run("thisyear", "sweep")
        assert differences(before, remains(pair)) == {}
    f.assert_queues_empty()


def test_a_killed_copy_into_moodles_file_pool_is_swept(make, pair):  # noqa: F811
    """Moodle copies a content to <hash>.tmp first; what our attempt noted as its own is removed."""
    f = make()
    request = f.submit(pair.courses["HAND"], by="teacher1", user_data=False)
    pid = f.child("worker", "import")
    wait.until(lambda: pair.query("thisyear", "SELECT contents FROM {block_navette_restores} WHERE "
                                  f"requestid = '{request}' AND contents IS NOT NULL"),
               "contents on their way", LONG, 0.02)
    with stopped(pid):
        noted = json.loads(pair.query(
            "thisyear", "SELECT contents FROM {block_navette_restores} WHERE "
            f"requestid = '{request}'")[0][0])
        pool = pathlib.Path(pair.sites["thisyear"]["data"]) / "filedir"
        strangers = hashlib.sha1(uuid7().encode()).hexdigest()
        made = []
        for sha1 in (noted[0], strangers):
            folder = pool / sha1[:2] / sha1[2:4]
            folder.mkdir(parents=True, exist_ok=True)
            made.append(folder / f"{sha1}.tmp")
            made[-1].write_bytes(b"half")
            os.utime(made[-1], (time.time() - 600,) * 2)
            for path in (folder.parent, folder, made[-1]):
                shutil.chown(path, pair.state["user"], pair.state["user"])
        f.one("worker").kill()
    wait.until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), "the end of PHP", 20)
    wait.until(lambda: pair.run("thisyear", "sweep").code == 0 and
               [row[1] for row in f.rows(request)] != ["importing"], "the sweep", 30)
    assert [p.exists() for p in made] == [False, True]
    made[1].unlink()
    f.one("worker").start()
    f.whole(request, by_moodle(pair, "HAND", False))


# --- deleted ---

def catalogue(f, by="teacher1"):
    found, = f.person(by).get("/courses?refresh=true")["sites"]
    return found

def another(pair, course, site="lastyear"):  # noqa: F811
    """A copy of a course on its own site, taught by teacher1; its id."""
    mbz = pair.folder("another") / "course.mbz"
    category = pair.query(site, "SELECT MIN(id) FROM {course_categories}")[0][0]
    with tidy(pair):
        pair.php(site, "navette_plain.php", "backup", pair.courses[course], mbz, "nousers")
        made = int(pair.php(site, "navette_plain.php", "restore", mbz, category,
                            "nousers").split()[-1])
    pair.code(site, f"""
        require_once($CFG->libdir . '/enrollib.php');
        $of = ['courseid' => {made}, 'enrol' => 'manual'];
        $DB->record_exists('enrol', $of) || enrol_get_plugin('manual')->add_instance(get_course({made}));
        enrol_get_plugin('manual')->enrol_user($DB->get_record('enrol', $of, '*', MUST_EXIST),
            $DB->get_field('user', 'id', ['username' => 'teacher1']),
            $DB->get_field('role', 'id', ['shortname' => 'editingteacher']));""")
    return made


def delete_at(pair, site, course):  # noqa: F811
    pair.code(site, "require_once($CFG->dirroot . '/course/lib.php');"
              "$CFG->forced_plugin_settings['tool_recyclebin']['categorybinenable'] = 0;"
              f"if (!delete_course({course}, false)) {{ exit(1); }} fix_course_sortorder();")


def test_a_course_deleted_before_its_export_is_missing(make, pair):  # noqa: F811
    course = another(pair, "EMPTY")
    f = make()
    assert str(course) in {c["course"] for c in catalogue(f)["courses"]}
    f.one("archiver").stop()
    request = f.submit(course, by="teacher1", user_data=False)
    delete_at(pair, "lastyear", course)
    f.one("archiver").start()
    f.refused(request, "course_missing")
    assert f.archives() == []


@pytest.mark.parametrize("moment", ["course/course.xml", "files.xml"])
def test_a_course_deleted_during_its_export_is_missing(make, pair, moment):  # noqa: F811
    """The script stands still with the backup half or nearly written; then it goes on."""
    course = another(pair, "S")
    f = make()
    request = f.submit(course, by="teacher1", user_data=False)
    pid = f.child("archiver", "export")
    work = pathlib.Path(f.path("work", "archiver"))
    wait.until(lambda: list(work.glob(f"moodle-*/out/moodle/*/{moment}")), moment, LONG, 0.001)
    with stopped(pid):
        delete_at(pair, "lastyear", course)
    f.refused(request, "course_missing")
    assert not [key for key in f.archives() if "/archives/" in key]


# --- full ---

class Disk:
    def __init__(self, path):
        self.path = path

    def free(self):
        s = os.statvfs(self.path)
        return s.f_bavail * s.f_frsize

    def fill(self, leave):
        """Leaves so many bytes."""
        with open(os.path.join(self.path, ".filler"), "ab", buffering=0) as out:
            while self.free() > leave:
                out.write(bytes(min(65536, self.free() - leave)))

    def empty(self):
        os.unlink(os.path.join(self.path, ".filler"))


@contextlib.contextmanager
def small_disk(path, mode="0711"):
    """A file system of its own, with room for PHP's compiled scripts and some small courses."""
    os.makedirs(path, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=128m,mode={mode}", "tmpfs", path],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield Disk(path)
    finally:
        # Lazily: after a failure the daemons still run.
        subprocess.run(["umount", "-l", path], check=True)


def test_a_full_disk_is_told_and_the_export_goes_on_when_there_is_room(make, pair):  # noqa: F811
    f = make(start=False, sections={"archiver": {"archiver": {"attempts": 100}}})
    with small_disk(f.path("work", "archiver")) as disk:
        f.all()
        for leave in (0, 300_000):
            disk.fill(leave)
            request = f.submit(pair.courses["S"], by="teacher1", user_data=False)
            record = f.held(request, "disk_full")
            assert record["state"] in ("scheduled", "exporting") and record["message"], record
            assert not [key for key in f.archives() if key.endswith("manifest")]
            disk.empty()
            pair.delete(f.whole(request, by_moodle(pair, "S", False)))
        wait.until(lambda: not f.work("archiver"), "an empty work folder", 20)
        f.one("archiver").stop()


def test_a_full_disk_is_told_and_the_import_goes_on_when_there_is_room(make, pair):  # noqa: F811
    f = make(start=False, sections={"worker": {"worker": {"attempts": 100}}})
    with small_disk(f.path("work", "worker")) as disk:
        f.all()
        # Too little for the archive; enough for it, but not for Moodle's work beside it.
        for leave in (0, 1_000_000):
            disk.fill(leave)
            request = f.submit(pair.courses["S"], by="teacher1", user_data=False)
            record = f.held(request, "disk_full")
            assert record["state"] in ("ready", "importing") and record["message"], record
            disk.empty()
            pair.delete(f.whole(request, by_moodle(pair, "S", False)))
        wait.until(lambda: not f.work("worker"), "an empty work folder", 20)
        f.one("worker").stop()


@contextlib.contextmanager
def configured(pair, site, lines):  # noqa: F811
    """Lines in a site's config.php, before Moodle is set up."""
    config = config_php(pair, site)
    good = config.read_text()
    at = good.index("require_once")
    config.write_text(good[:at] + lines + "\n" + good[at:])
    try:
        yield
    finally:
        config.write_text(good)


def test_a_full_file_pool_of_the_client_is_told_and_recovered_from(make, pair):  # noqa: F811
    f = make(start=False, sections={"worker": {"worker": {"attempts": 100}}})
    with small_disk(f.path("pool"), "0777") as disk, \
            configured(pair, "thisyear", f"$CFG->filedir = '{disk.path}';"):
        f.all()
        whole = by_moodle(pair, "HAND", False)
        for leave in (40_000, None):
            request = f.submit(pair.courses["HAND"], by="teacher1", user_data=False)
            if leave is None:
                pid = f.child("worker", "import")
                with stopped(pid):
                    disk.fill(20_000)
            else:
                disk.fill(leave)
            record = f.held(request, "disk_full")
            assert record["state"] in ("ready", "importing") and record["message"], record
            disk.empty()
            made = f.whole(request, whole)
            assert not list(pathlib.Path(disk.path).rglob("*.tmp"))
            pair.delete(made)
        f.one("worker").stop()


def test_moodles_own_temporary_folder_of_the_client_may_be_full(make, pair):  # noqa: F811
    """The import works in the worker's folder, so it does not need that one."""
    whole = by_moodle(pair, "HAND", False)
    f = make(start=False, sections={"worker": {"worker": {"attempts": 100}}})
    with small_disk(f.path("temp"), "0777") as disk, \
            configured(pair, "thisyear", f"$CFG->tempdir = '{disk.path}';"):
        disk.fill(0)
        f.all()
        request = f.submit(pair.courses["HAND"], by="teacher1", user_data=False)
        pair.delete(f.whole(request, whole))
        left = [p for p in pathlib.Path(disk.path).rglob("*") if p.is_file()]
        assert {p.name for p in left} <= {".filler", ".htaccess"}, left
        f.one("worker").stop()


# --- what passes by itself uses up no attempt ---

@contextlib.contextmanager
def older_database(pair, site):  # noqa: F811
    """The code is newer than what is installed, as between the copying of a new version and its upgrade."""
    version = pair.code(site, "echo $CFG->version;").strip()
    pair.code(site, "set_config('version', '2020010100.00');")
    try:
        yield
    finally:
        pair.code(site, f"set_config('version', '{version}');")


@contextlib.contextmanager
def upgrade_runs(pair, site):  # noqa: F811
    pair.code(site, "set_config('upgraderunning', time() + 3600);")
    try:
        yield
    finally:
        # No script of Moodle's starts meanwhile that does not say that it is for the upgrade.
        pair.code(site, "unset_config('upgraderunning');", "NO_UPGRADE_CHECK")


@contextlib.contextmanager
def broken_config(pair, site):  # noqa: F811
    with configured(pair, site, "this is no PHP"):
        yield


@contextlib.contextmanager
def wrong_password(pair, site):  # noqa: F811
    with configured(pair, site, "$CFG->dbpass = 'forgotten';"):
        yield


PASSING = [(older_database, "site_upgrading"), (upgrade_runs, "site_upgrading"),
           (broken_config, "site_unavailable"), (wrong_password, "site_unavailable")]


@pytest.mark.parametrize("trouble,reason", PASSING, ids=[t.__name__ for t, _ in PASSING])
def test_trouble_of_a_site_that_passes_uses_up_no_attempt(make, pair, trouble, reason):  # noqa: F811
    f = make(sections={r: {r: {"attempts": 1}} for r in ("archiver", "worker")})
    whole = by_moodle(pair, "HAND", False)
    for site, role, state in (("lastyear", "archiver", "scheduled"), ("thisyear", "worker", "ready")):
        f.person("teacher1").get("/courses")  # known for an hour
        with trouble(pair, site):
            request = f.submit(pair.courses["HAND"], by="teacher1", user_data=False)
            record = f.held(request, reason)
            assert (record["state"], record["failures"]) == (state, "0") and record["held"], record
            ready = requests.get(f.one(role).url("/readyz"), timeout=10)
            assert (ready.status_code, ready.json()["reason"]) == (503, reason)
        pair.delete(f.whole(request, whole))


# --- the database is gone ---

def pair_program():
    loader = importlib.machinery.SourceFileLoader("navette_pair", str(HERE / "pair"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("navette_pair", loader))
    loader.exec_module(module)
    return module


@contextlib.contextmanager
def no_database(pair):  # noqa: F811
    """The database server is killed, and started again as the pair starts it."""
    program = pair_program().Pair(pathlib.Path(pair.state["dir"]))
    name = "db" if pair.state["db"]["type"] == "mariadb" else "postgres"
    pid = program.state["pids"][name][0]
    os.kill(pid, signal.SIGQUIT if name == "postgres" else signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
    wait.until(lambda: not ports.listening(pair.state["db"]["port"]), "the end of the database", 30)
    try:
        yield
    finally:
        program.start_mariadb() if name == "db" else program.start_postgres()


def test_a_database_that_is_gone_for_30_seconds_is_waited_for(make, pair):  # noqa: F811
    """One course is being exported and another imported; neither uses up an attempt, of which each has
    one only."""
    f = make(sections={r: {r: {"attempts": 1}} for r in ("archiver", "worker")})
    wholes = [by_moodle(pair, name, False) for name in ("S", "HAND")]
    since = f.last_notice()
    imported = f.submit(pair.courses["S"], by="teacher1", user_data=False)
    pid = f.child("worker", "import")
    wait.until(lambda: ["importing"] in [row[1:] for row in f.rows(imported)], "an import", LONG)
    with stopped(pid):
        exported = f.submit(pair.courses["HAND"], by="teacher1", user_data=False)
        other = f.child("archiver", "export")
        with stopped(other):
            with no_database(pair):
                os.kill(pid, signal.SIGCONT)
                os.kill(other, signal.SIGCONT)
                for request in (imported, exported):
                    assert f.held(request, "site_unavailable")["failures"] == "0"
                time.sleep(30)  # what is promised
                assert {f.state(r) for r in (imported, exported)} & {"failed", "restored"} == set()
    for request, whole in zip((imported, exported), wholes):
        f.whole(request, whole)
    assert f.told(since) == [["teacher1", "restored"]] * 2


def test_a_database_that_stands_still_is_waited_for(make, pair):  # noqa: F811
    """It takes connections and answers nothing, for a while; then it goes on."""
    f = make()
    whole = by_moodle(pair, "S", False)
    name = "db" if pair.state["db"]["type"] == "mariadb" else "postgres"
    program = pair_program().Pair(pathlib.Path(pair.state["dir"]))
    request = f.submit(pair.courses["S"], by="teacher1", user_data=False)
    f.child("worker", "import")
    wait.until(lambda: ["importing"] in [row[1:] for row in f.rows(request)], "an import", LONG)
    with contextlib.ExitStack() as database:
        for pid in with_children(program.state["pids"][name][0]):
            database.enter_context(stopped(pid))
        time.sleep(30 if NIGHTLY else 8)  # longer than a lease
        assert f.state(request) == "importing"
    f.whole(request, whole)
    assert len(f.one("worker").events("restore.started")) == 1


def test_people_are_told_when_the_database_went_right_after_the_commit(make, pair):  # noqa: F811
    f = make(start=False)
    f.producer(), f.archiver()
    f.worker(NAVETTE_FAULT="worker.after-import", NAVETTE_FAULT_ONCE=f.path("once"))
    since = f.last_notice()
    request = f.killed_over(f.one("worker"), "EMPTY")
    f.one("worker").start()
    f.wait_state(request, "restored", timeout=LONG)
    with no_database(pair):
        time.sleep(30)
    f.course(request)
    assert f.told(since) == [["teacher1", "restored"]]


# --- PHP breaks ---

PREPEND = """<?php
// Once, or whenever the operation runs, after so long: what the file beside it says.
$fault = json_decode((string) @file_get_contents(__DIR__ . '/fault.json'));
if ($fault && ($_SERVER['argv'][1] ?? '') === $fault->operation) {
    if ($fault->once) {
        rename(__DIR__ . '/fault.json', __DIR__ . '/fault.done');
    }
    if ($fault->kind === 'linger') {
        register_shutdown_function('sleep', 60);
        return;
    }
    pcntl_async_signals(true);
    pcntl_signal(SIGALRM, function () use ($fault) {
        switch ($fault->kind) {
            case 'memory':
                ini_set('memory_limit', memory_get_usage(true) + (4 << 20));
                str_repeat('x', 1 << 30);
            case 'fatal':
                eval('class navette_twice {} class navette_twice {}');
            case 'loop':
                while (true) {
                }
        }
    });
    // Four tenths of a second from now, by a child, since an alarm knows whole seconds only.
    if (pcntl_fork() === 0) {
        usleep(400000);
        posix_kill(posix_getppid(), SIGALRM);
        posix_kill(posix_getpid(), SIGKILL);
    }
}
"""


def broken_php(f):
    """A PHP that breaks as fault(…) says; without it, as any."""
    folder = pathlib.Path(f.path("php"))
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    (folder / "prepend.php").write_text(PREPEND)
    (folder / "php").write_text("#!/bin/sh\nexec /usr/bin/php -d auto_prepend_file="
                                f"{folder}/prepend.php \"$@\"\n")
    (folder / "php").chmod(0o755)
    (folder / "prepend.php").chmod(0o644)

    def fault(operation, kind, once=False):
        part = folder / "fault.part"
        part.write_text(json.dumps({"operation": operation, "kind": kind, "once": once}))
        part.chmod(0o666)
        part.rename(folder / "fault.json")
    fault.php = str(folder / "php")
    fault.done = lambda: (folder / "fault.done").exists()
    fault.end = lambda: (folder / "fault.json").unlink()
    return fault


def with_broken_php(make, **sections):
    f = make(start=False)
    fault = broken_php(f)
    for role in ("archiver", "worker"):
        f.sections.setdefault(role, {})["site"] = {"php": fault.php}
        f.sections[role][role] = sections
    f.all()
    return f, fault


def test_an_error_that_php_dies_of_ends_the_request_with_the_reason(make, pair):  # noqa: F811
    f, fault = with_broken_php(make, attempts=2)
    course = pair.courses["S"]
    for operation, kind, words in (("export", "fatal", "navette_twice"),
                                   ("export", "memory", "Allowed memory size"),
                                   ("import", "fatal", "navette_twice"),
                                   ("import", "memory", "Allowed memory size")):
        fault(operation, kind)
        since = f.last_notice()
        request = f.submit(course, by="teacher1", user_data=False)
        f.wait_state(request, "restored", "failed", timeout=LONG)
        # What an import had no time to remove is removed by the next one, or by the worker's sweep.
        pair.run("thisyear", "sweep")
        f.refused(request, f"{operation}_failed")
        assert words in f.record(request)["message"], f.record(request)
        assert f.told_to("teacher1", since) == ["failed"]
        fault.end()
    # Once only: the second attempt brings it.
    fault("import", "memory", once=True)
    request = f.submit(course, by="teacher1", user_data=False)
    f.whole(request, by_moodle(pair, "S", False))
    assert fault.done()


def test_a_worker_killed_between_commit_and_end_leaves_no_work_folder(make, pair):  # noqa: F811
    """The script has made the course, and lingers."""
    f, fault = with_broken_php(make)
    fault("import", "linger", once=True)
    request = f.submit(pair.courses["EMPTY"], by="teacher1", user_data=False)
    wait.until(lambda: [row[1] for row in f.rows(request)] == ["restored"], "a course", LONG, 0.02)
    f.one("worker").kill()
    assert f.work("worker") == [request] and f.state(request) == "importing"
    f.one("worker").start()
    f.course(request)
    wait.until(lambda: not f.work("worker"), lambda: f"left: {f.work('worker')}", 20)


def test_a_script_that_never_ends_is_ended_by_the_time_limit(make, pair):  # noqa: F811
    f, fault = with_broken_php(make, attempts=20, job_timeout="15s")
    fault("import", "loop", once=True)
    imported = f.submit(pair.courses["S"], by="teacher1", user_data=False)
    wait.until(fault.done, "an import that loops", LONG)
    fault("export", "loop", once=True)
    exported = f.submit(pair.courses["HAND"], by="teacher1", user_data=False)
    for request, role in ((imported, "worker"), (exported, "archiver")):
        assert "time" in f.held(request, "timeout")["message"]
        assert f.one(role).events("moodle.stop")
    f.whole(imported, by_moodle(pair, "S", False))
    f.whole(exported, by_moodle(pair, "HAND", False))


# --- the client cannot take it ---

def asked_with_versions(f, course, **options):
    """A request that says what the client has: the producer asks its Moodle when it starts."""
    assert catalogue(f)["courses"]
    f.one("archiver").stop()

    def ask():
        request = f.submit(course, by="teacher1", user_data=False, **options)
        raw = f.redis.client.hget(f"nv:req:{request}", "request")
        said = msgpack.unpackb(raw)
        if said.get("moodle_version"):
            return request, said
        f.person("teacher1").cancel(request)
        f.one("archiver").start()
        f.wait_state(request, "cancelled")
        f.one("archiver").stop()
        return None
    request, said = wait.until(ask, "a request with the client's versions", 60, 0.5)
    f.one("archiver").start()
    return request, said


def test_an_older_client_is_refused_before_anything_is_moved(make, pair):  # noqa: F811
    newer = "$CFG->version = 2099010100;"
    f = make()
    with configured(pair, "lastyear", newer):
        request, said = asked_with_versions(f, pair.courses["HAND"])
        f.refused(request, "version_older")
    assert str(said["moodle_version"]) in f.record(request)["message"]
    assert "2099010100" in f.record(request)["message"]
    assert f.archives() == []


def test_a_plugin_that_the_client_lacks_is_named_before_anything_is_moved(make, pair):  # noqa: F811
    version = pair.query("thisyear", "SELECT value FROM {config_plugins} WHERE plugin = 'mod_lti' "
                         "AND name = 'version'")[0][0]
    change = "set_config('version', {}, 'mod_lti'); core_plugin_manager::reset_caches();"
    pair.code("thisyear", change.format("null"))
    try:
        f = make()
        request, said = asked_with_versions(f, pair.courses["HAND"], leave_out=False)
        assert "mod_lti" not in {p["name"] for p in said["plugins"]} and len(said["plugins"]) > 200
        f.refused(request, "plugin_missing")
        assert "mod_lti" in f.record(request)["message"]
        assert f.archives() == []
        # A course that does not use it comes.
        f.course(f.submit(pair.courses["EMPTY"], by="teacher1", user_data=False))
    finally:
        pair.code("thisyear", change.format(version))


# --- closed sites, one site, settings ---

def cfg(pair, site, name, value, component=None):  # noqa: F811
    pair.php(site, "admin/cli/cfg.php", *([f"--component={component}"] if component else []),
             f"--name={name}", "--unset" if value is None else f"--set={value}")


@contextlib.contextmanager
def settings(pair, *changes):  # noqa: F811
    """(site, name, value, component): set by Moodle's own command, and set back."""
    before = []
    try:
        for site, name, value, component in changes:
            table = f"{{config_plugins}} WHERE plugin = '{component}' AND" if component \
                else "{config} WHERE"
            old = pair.query(site, f"SELECT value FROM {table} name = '{name}'")
            before.append((site, name, old[0][0] if old and old[0] else None, component))
            cfg(pair, site, name, value, component)
        yield
    finally:
        for site, name, value, component in before:
            cfg(pair, site, name, value, component)


def test_sites_that_are_closed_to_users_serve(make, pair):  # noqa: F811
    """Maintenance mode, both kinds of it, and forced sign-in; on both sides."""
    f = make()
    whole = by_moodle(pair, "HAND", False)
    both = ("lastyear", "thisyear")
    with settings(pair, *[(site, name, "1", None) for site in both
                          for name in ("maintenance_enabled", "forcelogin")]):
        try:
            for site in both:
                pair.php(site, "admin/cli/maintenance.php", "--enable")
                assert (pathlib.Path(pair.sites[site]["data"]) / "climaintenance.html").exists()
                assert requests.get(pair.sites[site]["url"], timeout=30).status_code == 503
            request = f.submit(pair.courses["HAND"], by="teacher1", user_data=False)
            f.whole(request, whole)
        finally:
            for site in both:
                pair.php(site, "admin/cli/maintenance.php", "--disable")


def test_one_site_may_be_client_and_server(make, pair):  # noqa: F811
    """A course of this year is brought to this year again, beside itself."""
    first = make()
    own = first.course(first.submit(pair.courses["HAND"], by="teacher1", user_data=False))
    original = pair.describe("thisyear", own)
    mbz = pair.folder("self") / "course.mbz"
    category = pair.sites["thisyear"]["fixture"]["categories"]["DEF"]
    with tidy(pair):
        pair.php("thisyear", "navette_plain.php", "backup", own, mbz, "nousers")
        plain = pair.php("thisyear", "navette_plain.php", "restore", mbz, category,
                         "nousers").split()[-1]
    expected = pair.describe("thisyear", plain)
    pair.delete(plain)
    f = make(sites={"archiver": "thisyear"})
    assert {c["course"] for s in f.person("teacher1").get("/courses")["sites"]
            for c in s["courses"]} >= {own}
    request = f.submit(own, by="teacher1", user_data=False)
    made = f.course(request)
    assert made != own
    seen = pair.describe("thisyear", made)
    # But for the teacher, whom a plain restore enrols not.
    assert {key for key in differences(expected, seen)
            if not key.startswith(("/enrolments", "/roles"))} == set()
    assert differences(original, pair.describe("thisyear", own)) == {}
    pair.delete(made)


def test_moodles_settings_work_without_a_restart(make, pair):  # noqa: F811
    """Those that are asked in Moodle; what navette.yaml says goes before Moodle's others."""
    f = make()
    hand, whole = str(pair.courses["HAND"]), by_moodle(pair, "HAND", True)

    def category():
        return {c["course"]: c.get("category") for c in catalogue(f)["courses"]}[hand]

    assert category() == "SCI-BIO"
    ours = "block_navette"
    with settings(pair, ("lastyear", "categorytable_categoryfield", "name", ours)):
        assert category() == "Biology"
    with settings(pair, ("lastyear", "authmethods", "cas,ldap", ours)):
        assert catalogue(f).get("courses", []) == []
    with settings(pair, ("lastyear", "categorytable", "nowhere", ours)):
        assert catalogue(f)["status"] == "error"
    assert category() == "SCI-BIO"
    with settings(pair, ("thisyear", "authmethods", "cas", ours)):
        f.refused(f.submit(pair.courses["EMPTY"], by="teacher1", user_data=False), "unknown_user")
    # Moodle's own, which a restore must not depend on.
    with settings(pair, ("thisyear", "restore_general_users", "0", "restore"),
                  ("lastyear", "backup_general_users", "0", "backup"),
                  ("lastyear", "backup_general_users_locked", "1", "backup"),
                  ("lastyear", "backup_general_activities", "0", "backup"),
                  ("lastyear", "backup_general_activities_locked", "1", "backup")):
        request = f.submit(pair.courses["HAND"], by="teacher1", user_data=True)
        f.whole(request, whole)


# --- holes of the older block ---

def test_enrol_me_reaches_restored_courses_of_ones_own_only(make, pair):  # noqa: F811
    f = make()
    request = f.submit(pair.courses["HAND"], by="teacher1", user_data=False)
    made = f.course(request)
    own = pair.code("thisyear", "require_once($CFG->dirroot . '/course/lib.php'); echo create_course("
                    f"(object) ['shortname' => 'OWN {uuid7()}', 'fullname' => 'Own', 'category' => "
                    "core_course_category::get_default()->id])->id;").split()[-1]

    def enrolments(course):
        return pair.count("thisyear", "{user_enrolments} e JOIN {enrol} m ON m.id = e.enrolid "
                          f"WHERE m.courseid = {course}")
    before = enrolments(own), enrolments(made)
    try:
        # By the API there is nothing that takes a course's id; who never taught it is refused.
        for path in (f"/requests/{own}/enrolments", f"/requests/{uuid7()}/enrolments"):
            assert f.person("teacher2").call("POST", path, json={"course": own}).status_code in (
                400, 404, 422)
        refused = f.person("plain").call("POST", f"/requests/{request}/enrolments", json={})
        assert refused.status_code in (403, 404), refused.text
        # By messages: not signed by this client, then signed, but for a course nobody restored.
        body = {"id": uuid7(), "request": request, "course": own, "user": "teacher2",
                "requested": wire.now_ms()}
        client = f"client:{f.client}"
        for key, who in ((keys.Key(), client), (f.keys["site"], f"site:{f.site}")):
            f.publish(f"restore.{f.client}.now", wire.seal("enrol.request", body, key, who))
        wait.until(lambda: len(f.dead(f.client)) == 2, lambda: f"{f.dead(f.client)}", 30)
        f.publish(f"restore.{f.client}.now",
                  wire.seal("enrol.request", body, f.keys["client"], client))
        wait.until(lambda: len(f.dead(f.client)) == 3, lambda: f"{f.dead(f.client)}", 30)
        assert {reason for reason, _ in f.dead(f.client)} <= {
            "unsigned_message", "untrusted", "course_missing"}, f.dead(f.client)
        assert (enrolments(own), enrolments(made)) == before
    finally:
        pair.delete(own)
    # A colleague who teaches the remote course may join its copy.
    answer = f.person("teacher2").call("POST", f"/requests/{request}/enrolments", json={})
    assert answer.ok, answer.text
    wait.until(lambda: enrolments(made) == before[1] + 1, "teacher2 in the copy", 60)


def test_user_data_come_with_the_right_to_them_only(make, pair):  # noqa: F811
    f = make(start=False)
    accounts = pathlib.Path(f.daemon("producer").config["producer"]["accounts_file"])
    people = json.loads(accounts.read_text())
    for person in people["accounts"]:
        if person["username"] == "teacher2":
            person["capabilities"] = []
    accounts.write_text(json.dumps(people))
    f.one("producer").start()
    archiver = f.daemon("archiver")
    clients = [{**archiver.config["clients"][0], "user_data": False}]
    archiver.configure({**archiver.config, "clients": clients})
    archiver.start()
    f.worker()
    hand = str(pair.courses["HAND"])
    answer = f.person("teacher2").call("POST", "/requests", json={
        "site": f.site, "course": hand, "user_data": True})
    assert answer.status_code == 403, answer.text
    # A producer that does not keep to it meets the course server's policy.
    f.refused(f.ask(hand, "teacher2", user_data=True), "policy")
    assert f.archives() == []
    made = f.course(f.submit(hand, by="teacher2"))
    assert pair.count("thisyear", "{forum_posts} p JOIN {forum_discussions} d ON d.id = p.discussion "
                      f"WHERE d.course = {made}") == 0


class Caught:
    """An archive.ready on its way, taken out of the queue, with what it names in the store."""

    def __init__(self, f, course="HAND", **options):
        self.f = f
        self.request = f.submit(f.pair.courses[course], by="teacher1", user_data=False, **options)
        f.wait_state(self.request, "ready", timeout=LONG)
        with f.broker.connect(f.vhost) as c:
            channel = c.channel()
            self.sealed = wait.until(lambda: channel.basic_get(f"restore.{f.client}",
                                                               auto_ack=True)[2], "archive.ready")
        self.body = wire.open_envelope(self.sealed)[1]
        self.place = pathlib.Path(f.path("store"), f.site, f.client, "archives", self.request,
                                  self.body["attempt"])
        self.manifest = msgpack.unpackb(self._zstd("-d", (self.place / "manifest").read_bytes()))

    @staticmethod
    def _zstd(how, data):
        return subprocess.run(["zstd", "-q", "-c", how], input=data, check=True,
                              capture_output=True).stdout

    def change_file(self, name, change):
        """Of the skeleton; the manifest follows."""
        out = io.BytesIO()
        path = self.place / "skeleton.tar.zst"
        with tarfile.open(fileobj=io.BytesIO(self._zstd("-d", path.read_bytes()))) as old, \
                tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as new:
            for info in old:
                data = old.extractfile(info).read() if info.isfile() else b""
                if info.name == name:
                    data = change(data.decode()).encode()
                    entry, = [e for e in self.manifest["entries"] if e["path"] == name]
                    self.manifest["size"] += len(data) - entry["size"]
                    info.size = entry["size"] = len(data)
                new.addfile(info, io.BytesIO(data) if info.isfile() else None)
        packed = self._zstd("-3", out.getvalue())
        path.write_bytes(packed)
        self.manifest["skeleton_size"] = len(packed)
        self.manifest["skeleton_sha256"] = hashlib.sha256(packed).digest()

    def write(self, manifest=None):
        packed = self._zstd("-3", msgpack.packb(manifest or self.manifest))
        (self.place / "manifest").write_bytes(packed)
        self.body |= {"manifest_sha256": hashlib.sha256(packed).digest(),
                      "manifest_size": len(packed)}

    def send(self, key=None, who=None, **changes):
        f = self.f
        f.publish(f"restore.{f.client}", wire.seal(
            "archive.ready", self.body | changes, key or f.keys["site"], who or f"site:{f.site}"),
            f"from.{f.site}")


needs_zstd = pytest.mark.skipif(not shutil.which("zstd"), reason="there is no zstd command")


@needs_zstd
def test_naming_a_confidential_files_hash_does_not_bring_it(make, pair):  # noqa: F811
    """A course server that is trusted, and lies: files.xml names a content that only the client has;
    alone, and with an entry of the manifest that nothing in the store stands for.  It knows the SHA-1, as
    Moodle shows it in many places, but has not the bytes, and so not their SHA-256."""
    secret = f"confidential {uuid7()} ".ljust(144000, "x")
    sha1 = hashlib.sha1(secret.encode()).hexdigest()
    private = pair.code("thisyear", f"""
        $f = get_file_storage()->create_file_from_string(['contextid' => context_user::instance(
            get_admin()->id)->id, 'component' => 'user', 'filearea' => 'private', 'itemid' => 0,
            'filepath' => '/', 'filename' => '{uuid7()}.txt'], str_pad('{secret.rstrip("x")}', 144000,
            'x'));
        echo $f->get_contenthash(), ' ', $f->get_id();""").split()
    assert private[0] == sha1
    try:
        f = make(start=False, sections={"worker": {"worker": {"attempts": 2}}})
        f.producer(), f.archiver()
        for named in (False, True):
            caught = Caught(f)
            big = next(e for e in caught.manifest["entries"] if e["blob"] and e["size"] == 144000)
            old = big["sha1"].hex()
            caught.change_file("files.xml", lambda text: text.replace(old, sha1))
            if named:
                big |= {"path": f"files/{sha1[:2]}/{sha1}", "sha1": bytes.fromhex(sha1),
                        "sha256": hashlib.sha256(b"a guess").digest()}
            caught.write()
            f.one("archiver").stop()
            caught.send()
            f.worker() if not named else f.one("worker").start()
            if named:  # it is asked for again, and the server has nothing to send
                f.held(caught.request, "store_missing")
                f.one("worker").stop()
                f.person("teacher1").cancel(caught.request)
                f.one("archiver").start(), f.one("worker").start()
                f.wait_state(caught.request, "cancelled", "restored", timeout=LONG)
                f.sweep_work()  # a work folder is kept for the next attempt
            else:
                f.refused(caught.request, "archive_corrupt")
                f.one("worker").stop()
                f.one("archiver").start()
            assert pair.query("thisyear", "SELECT component FROM {files} WHERE contenthash = "
                              f"'{sha1}'") == [["user"]]
    finally:
        pair.code("thisyear", f"get_file_storage()->get_file_by_id({private[1]})->delete();"
                  "fulldelete($CFG->dataroot . '/trashdir');")


@needs_zstd
def test_an_archive_of_somebody_else_is_not_restored(make, pair):  # noqa: F811
    """Another client's request, another site's answer, another request's archive."""
    f = make(start=False)
    f.producer(), f.archiver()
    mine, other = Caught(f, "EMPTY"), Caught(f, "HAND")
    courses = pair.count("thisyear", "{course}")
    f.worker()
    stranger = keys.Key()
    wish = wire.open_envelope(mine.body["request"])[1]

    def refuse(reasons, send):
        known = len(f.dead(f.client))
        send()
        wait.until(lambda: len(f.dead(f.client)) > known, lambda: f"refused: {reasons}", 30)
        reason, why = f.dead(f.client)[-1]
        assert reason in reasons, (reason, why)

    refused = {"unsigned_message", "untrusted"}
    refuse(refused, lambda: mine.send(request=wire.seal("restore.request", wish, stranger,
                                                        "client:another")))
    refuse(refused, lambda: mine.send(request=wire.seal("restore.request", wish, stranger,
                                                        f"client:{f.client}")))
    refuse(refused, lambda: mine.send(stranger, "site:another"))
    refuse(refused, lambda: mine.send(stranger))
    refuse({"untrusted"}, lambda: mine.send(request=wire.seal(
        "restore.request", wish | {"site": "another"}, f.keys["client"], f"client:{f.client}")))
    refuse({"bad_message"}, lambda: mine.send(attempt=f"../{other.request}"))
    # The manifest and skeleton of another request, laid where this one's are.
    shutil.copy(other.place / "skeleton.tar.zst", mine.place / "skeleton.tar.zst")
    mine.write(other.manifest)
    mine.send()
    f.refused(mine.request, "archive_corrupt")
    assert pair.count("thisyear", "{course}") == courses
    other.send()
    f.whole(other.request, by_moodle(pair, "HAND", False))


def test_files_of_a_restored_course_belong_to_the_right_users(make, pair):  # noqa: F811
    """Somebody with another number on each site is the owner of a file."""
    name, numbers = "wanderer", {}
    for site, before in (("lastyear", 1), ("thisyear", 4)):
        made = pair.code(site, f"""
            require_once($CFG->dirroot . '/user/lib.php');
            for ($n = 0; $n <= {before}; $n++) {{
                $who = $n < {before} ? "{name}$n" : '{name}';
                $DB->record_exists('user', ['username' => $who]) || user_create_user((object) [
                    'username' => $who, 'password' => 'Navette-1', 'firstname' => 'A', 'lastname' =>
                    'B', 'email' => "$who@example.org", 'confirmed' => 1, 'mnethostid' =>
                    $CFG->mnet_localhost_id]);
            }}
            echo $DB->get_field('user', 'id', ['username' => '{name}']);""").split()[-1]
        numbers[site] = made
    assert numbers["lastyear"] != numbers["thisyear"]
    owner = pair.query("lastyear", "SELECT f.id, f.userid FROM {files} f JOIN {context} x ON x.id = "
                       "f.contextid JOIN {course_modules} m ON m.id = x.instanceid WHERE m.course = "
                       f"{pair.courses['HAND']} AND f.filename = 'anhang.txt'")
    (row, was), = owner
    enrolment = pair.code("lastyear", f"""
        require_once($CFG->libdir . '/enrollib.php');
        $of = $DB->get_record('enrol', ['courseid' => {pair.courses['HAND']}, 'enrol' => 'manual']);
        enrol_get_plugin('manual')->enrol_user($of, {numbers['lastyear']},
            $DB->get_field('role', 'id', ['shortname' => 'student']));
        echo $of->id;""").split()[-1]
    pair.query("lastyear", f"UPDATE {{files}} SET userid = {numbers['lastyear']} WHERE id = {row}")
    try:
        f = make()
        made = f.course(f.submit(pair.courses["HAND"], by="teacher1", user_data=True))
    finally:
        pair.query("lastyear", f"UPDATE {{files}} SET userid = {was} WHERE id = {row}")
        pair.code("lastyear", f"""
            require_once($CFG->libdir . '/enrollib.php');
            enrol_get_plugin('manual')->unenrol_user($DB->get_record('enrol', ['id' => {enrolment}]),
                {numbers['lastyear']});""")

    def owners(site, course):
        return sorted(map(tuple, pair.query(site, f"""
            SELECT x.contextlevel, f.component, f.filearea, f.filepath, f.filename,
                   COALESCE(u.username, '-')
              FROM {{files}} f JOIN {{context}} x ON x.id = f.contextid
              LEFT JOIN {{user}} u ON u.id = f.userid
             WHERE f.filename <> '.' AND (x.path LIKE (SELECT CONCAT(path, '/%') FROM {{context}}
                   WHERE contextlevel = 50 AND instanceid = {course})
                   OR (x.contextlevel = 50 AND x.instanceid = {course}))""")))
    ours = owners("thisyear", made)
    assert [o for o in ours if o[4] == "anhang.txt"][0][5] == name
    theirs = {o[:5]: o[5] for o in owners("lastyear", pair.courses["HAND"])}
    # An administrator's file becomes the requester's: Moodle goes by a file's owner where it asks what an .h5p may do.
    expected = {file: "teacher1" if owner == "admin" else owner for file, owner in theirs.items()}
    wrong = [o for o in ours if expected.get(o[:5]) not in (o[5], "-") and o[4] != "anhang.txt"]
    assert wrong == []


# --- messages ---

class KillingSink(smtp.Sink):
    """Keeps what it gets, and calls on_mail() before it says so."""

    def __init__(self):
        super().__init__()
        self.on_mail = lambda: None
        sink = self

        class Handler:
            async def handle_DATA(self, server, session, envelope):
                message = email.message_from_bytes(envelope.content, policy=email.policy.default)
                with sink.lock:
                    sink.mails.append((envelope.rcpt_tos, message))
                sink.on_mail()
                return "250 OK"
        self._controller.handler = Handler()


@pytest.fixture
def sink():
    s = KillingSink()
    yield s
    s.close()


def signed_in(pair, user):  # noqa: F811
    """A browser of somebody on the client: (session, sesskey)."""
    web, url = requests.Session(), pair.sites["thisyear"]["url"]
    page = web.get(f"{url}/login/index.php", timeout=60).text
    token = re.search(r'name="logintoken" value="(\w+)"', page).group(1)
    page = web.post(f"{url}/login/index.php", timeout=60, data={
        "username": user, "password": pair.state["password"], "logintoken": token}).text
    return web, re.search(r'"sesskey":"(\w+)"', page).group(1)


def shown(pair, user):  # noqa: F811
    """The notifications that Moodle's page shows somebody: [subject]."""
    web, sesskey = signed_in(pair, user)
    url = pair.sites["thisyear"]["url"]
    assert web.get(f"{url}/message/output/popup/notifications.php", timeout=60).status_code == 200
    answer = web.post(f"{url}/lib/ajax/service.php?sesskey={sesskey}", timeout=60, json=[{
        "index": 0, "methodname": "message_popup_get_popup_notifications",
        "args": {"useridto": 0, "newestfirst": 1, "limit": 50, "offset": 0}}]).json()
    return [n["subject"] for n in answer[0]["data"]["notifications"]]


@pytest.mark.parametrize("killed", [False, True], ids=["undisturbed", "killed"])
def test_messages_arrive_once_in_moodle_and_by_moodles_mail(make, pair, sink, killed):  # noqa: F811
    """killed: the worker dies at the very moment when the mail has been taken."""
    f = make()
    worker = f.one("worker")
    struck = threading.Event()

    def kill_once():
        if killed and not struck.is_set():
            struck.set()
            worker.may_die = True
            os.kill(worker.child.pid, signal.SIGKILL)
    sink.on_mail = kill_once
    name = f"Nothing in it {uuid7()}"
    was = pair.query("lastyear", "SELECT fullname FROM {course} WHERE id = "
                     f"{pair.courses['EMPTY']}")[0][0]
    pair.query("lastyear", f"UPDATE {{course}} SET fullname = '{name}' WHERE id = "
               f"{pair.courses['EMPTY']}")
    since = f.last_notice()
    try:
        with settings(pair, ("thisyear", "noemailever", "0", None),
                      ("thisyear", "noreplyaddress", "noreply@this-year.example.org", None),
                      ("thisyear", "smtphosts", f"127.0.0.1:{sink.port}", None)):
            request = f.submit(pair.courses["EMPTY"], by="teacher1", user_data=False)
            f.wait_state(request, "restored", timeout=LONG)
            sink.wait_count(1)
            if killed:
                wait.until(lambda: not worker.running(), "the worker's end", 20)
                worker.wait_end()
                worker.may_die = False
                worker.start()
            assert f.told(since) == [["teacher1", "restored"]]
            f.course(request)
            f.refused(f.ask("99999", "teacher1", user_data=False), "course_missing")
            assert f.told_to("teacher1", since) == ["failed", "restored"]
            sink.wait_count(2)
    finally:
        pair.query("lastyear", f"UPDATE {{course}} SET fullname = '{was}' WHERE id = "
                   f"{pair.courses['EMPTY']}")
    subjects = [m["Subject"] for m in sink.to("teacher1@example.org")]
    assert len(subjects) == 2, subjects
    assert len([s for s in subjects if name in s]) == 1, subjects
    assert len([s for s in shown(pair, "teacher1") if name in s]) == 1
    assert struck.is_set() == killed


def test_mail_of_the_worker_that_is_killed_right_after_it_keeps_its_id(make, pair, sink):  # noqa: F811
    """Mail comes at least once, under one id, by which a mail program sees that two are one; Moodle's
    own message comes once."""
    f = make(start=False, sections={"worker": {"notify": {
        "smtp_url": f"smtp://127.0.0.1:{sink.port}",
        "mail_from": "navette@this-year.example.org"}}})
    f.all()
    worker = f.one("worker")
    worker.may_die = True

    def kill_once():
        if len(sink.mails) == 1:
            os.kill(worker.child.pid, signal.SIGKILL)
    sink.on_mail = kill_once
    since = f.last_notice()
    request = f.submit(pair.courses["EMPTY"], by="teacher1", user_data=False)
    wait.until(lambda: not worker.running(), lambda: f"its end: {f.record(request)}", LONG)
    worker.wait_end()
    worker.may_die = False
    worker.start()
    assert f.told(since) == [["teacher1", "restored"]]
    f.course(request)
    mails = sink.to("teacher1@example.org")
    assert len(mails) == len(sink.mails) <= 2
    assert len({m["Message-ID"] for m in mails}) == len({m["Subject"] for m in mails}) == 1


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
