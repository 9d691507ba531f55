#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemons between two real Moodle sites: RabbitMQ, Redis, producer, archiver and worker, asked
over HTTP by a teacher of the sites; what came of it is looked up in Moodle's database.

    MOODLE_DIR=/path/to/moodle test_daemons.py [pytest's options]

Without MOODLE_DIR nothing is tested: that is said, and the exit code is 77.  The pair is that of
test_scripts.py (NAVETTE_PAIR, NAVETTE_DB), the rest that of tests/system/harness (NAVETTE_BUILD).
"""
import contextlib
import hashlib
import os
import pathlib
import shutil
import sys
import tempfile

import gate

if __name__ == "__main__":
    gate.leave_if(gate.missing())

import pytest  # noqa: E402

from harness import api, keys, samples, wait, wire  # noqa: E402
from harness.farm import Farm  # noqa: E402
from harness.rabbit import Broker  # noqa: E402
from test_scripts import differences, pair, warned  # noqa: E402, F401

pytestmark = gate.mark(gate.missing())

# An import takes some seconds, and the machine has other things to do.
LONG = 240
RIGHTS = {"capabilities": ["can_restore_user_datas"]}
api.PEOPLE |= {name: {**RIGHTS, "mail": f"{name}@example.org", "name": name, "lang": "en"}
               for name in ("teacher1", "teacher2", "onlyserver")}


class MoodleFarm(Farm):
    """A Farm whose two sites are those of the pair.  sections: changes to the configuration of one
    role, {"worker": {"site": {…}}}; sites: where another role than usual has its Moodle."""

    def __init__(self, folder, broker, pair, sections=None, sites=None, **settings):
        self.pair, self.sections = pair, sections or {}
        self.sites = {"archiver": "lastyear", "worker": "thisyear"} | (sites or {})
        super().__init__(folder, broker, **settings)
        # The web server's user passes through; the daemons open to it what lies below.
        os.mkdir(self.path("work"), 0o711)

    def _moodle(self, site):
        return {"type": "moodle", "path": self.pair.sites[site]["moodle"],
                "user": self.pair.state["user"] if os.getuid() == 0 else ""}

    def config(self, role, name):
        config = super().config(role, name)
        changed = self.sections.get(role, {})
        if role in self.sites:
            config["site"] = self._moodle(self.sites[role])
        return config | {section: config.get(section, {}) | changes for section, changes in changed.items()}

    # --- what is in Moodle ---

    def rows(self, request):
        """What the client's Moodle knows of a request: [[course, state]]."""
        return self.pair.query(
            "thisyear", "SELECT COALESCE(courseid, 0), state FROM {block_navette_restores} "
            f"WHERE requestid = '{request}'")

    def course(self, request):
        """The one course that came of it, as Moodle and as the status say."""
        self.wait_state(request, "restored", "failed", "cancelled", timeout=LONG)
        record = self.record(request)
        assert record["state"] == "restored", record
        assert self.rows(request) == [[record["course"], "restored"]], record
        assert self.pair.count("thisyear", f"{{course}} WHERE id = {record['course']}") == 1
        return record["course"]

    def refused(self, request, reason):
        """It failed for this reason, which is told, and nothing came of it."""
        self.wait_state(request, "restored", "failed", "cancelled", timeout=LONG)
        record = self.record(request)
        assert (record["state"], record.get("reason")) == ("failed", reason), record
        assert record["message"], record
        assert [row for row in self.rows(request) if row[1] != "failed"] == []

    def killed_over(self, worker, course):
        """A request whose worker, started with a fault, dies of it; it may be started again."""
        worker.may_die = True
        request = self.submit(self.pair.courses[course], by="teacher1", user_data=False)
        wait.until(lambda: not worker.running(), lambda: f"its end: {self.record(request)}", LONG)
        worker.wait_end()
        worker.may_die = False
        return request

    def last_notice(self):
        return int(self.pair.query("thisyear", "SELECT COALESCE(MAX(id), 0) FROM {notifications} "
                                   "WHERE component = 'block_navette'")[0][0])

    def _all_told(self):
        self._age_notices()
        group, = self.redis.client.xinfo_groups("nv:notices")
        return group["pending"] == 0 and group["lag"] == 0

    def told(self, since):
        """The messages that were sent since then: [[user, message provider]]."""
        wait.until(self._all_told, "every message sent", LONG, 0.2)
        return sorted(self.pair.query(
            "thisyear", "SELECT u.username, n.eventtype FROM {notifications} n JOIN {user} u ON "
            f"u.id = n.useridto WHERE n.component = 'block_navette' AND n.id > {since}"))


@pytest.fixture(scope="module")
def broker(request):
    """Short: a unix socket's path has at most 107 bytes."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="nv-", dir=os.environ.get("NAVETTE_TMP", "/tmp")))
    folder.chmod(0o711)
    b = Broker(str(folder / "broker"), samples.SOURCE).start()
    yield b
    b.close()
    if not request.session.testsfailed and not os.environ.get("NAVETTE_KEEP"):
        shutil.rmtree(folder)


@pytest.fixture
def start_farm(pair, broker, request):  # noqa: F811
    """start_farm(sections=…, **restore): a farm and one of each daemon, with these settings of section
    restore."""
    failures, made, failed = request.session.testsfailed, [], True

    def start(sections=None, **restore):
        folder = tempfile.mkdtemp(prefix="farm-", dir=pathlib.Path(broker.folder).parent)
        os.chmod(folder, 0o711)
        f = MoodleFarm(folder, broker, pair, sections,
                       restore={"default_category": "DEF", "only_one": True} | restore,
                       producer={"catalog_ttl": "1h"})
        made.append(f)
        f.all()
        return f

    try:
        yield start
        failed = request.session.testsfailed > failures
    finally:
        for f in made:
            f.close(failed)


@pytest.fixture
def farm(start_farm):
    """One for each test: what it brought is then known as deleted from Moodle's history."""
    return start_farm()


@contextlib.contextmanager
def restored(farm, course, **options):
    """A course that teacher1 brings: (request, id of the new course)."""
    request = farm.submit(farm.pair.courses[course], by="teacher1", **options)
    made = farm.course(request)
    try:
        yield request, made
    finally:
        farm.pair.delete(made)


def changed_role(farm, what, user, where):
    """Give (role_assign) or withdraw (role_unassign) editingteacher in a course of the server."""
    farm.pair.code("lastyear", f"""
        {what}($DB->get_field('role', 'id', ['shortname' => 'editingteacher']),
            $DB->get_field('user', 'id', ['username' => '{user}']),
            context_course::instance({farm.pair.courses[where]})->id);""")


def restored_by_moodle(pair, course, users):  # noqa: F811
    """By Moodle's own backup and restore, then teacher1 enrolled by hand: its description."""
    word = "users" if users else "nousers"
    mbz = pair.folder("plain") / f"{course}.mbz"
    pair.php("lastyear", "navette_plain.php", "backup", pair.courses[course], mbz, word)
    category = pair.sites["thisyear"]["fixture"]["categories"]["DEF"]
    plain = pair.php("thisyear", "navette_plain.php", "restore", mbz, category, word).split()[-1]
    mbz.unlink()
    pair.code("thisyear", f"""
        require_once($CFG->libdir . '/enrollib.php');
        $manual = enrol_get_plugin('manual');
        $of = ['courseid' => {plain}, 'enrol' => 'manual'];
        if (!$DB->record_exists('enrol', $of)) {{
            $manual->add_instance(get_course({plain}));
        }}
        $manual->enrol_user($DB->get_record('enrol', $of, '*', MUST_EXIST),
            $DB->get_field('user', 'id', ['username' => 'teacher1']),
            $DB->get_field('role', 'id', ['shortname' => 'editingteacher']));""")
    seen = pair.describe("thisyear", plain)
    pair.delete(plain)
    return seen


@contextlib.contextmanager
def removed_afterwards(farm):
    """What the requests of this farm brought is removed."""
    try:
        yield
    finally:
        for request in farm.requests:
            for course, state in farm.rows(request):
                if state == "restored" and farm.pair.count("thisyear", f"{{course}} WHERE id = {course}"):
                    farm.pair.delete(course)


def place(farm, course):
    """Identifier of the category a course of the client is in."""
    return farm.pair.query("thisyear", "SELECT c.idnumber FROM {course_categories} c JOIN {course} x "
                           f"ON x.category = c.id WHERE x.id = {course}")[0][0]


def told_text(farm, since):
    """What the messages since then say, in one."""
    wait.until(farm._all_told, "every message sent", LONG, 0.2)
    return " ".join(row[0] for row in farm.pair.query(
        "thisyear", "SELECT fullmessage FROM {notifications} WHERE component = 'block_navette' "
        f"AND id > {since}"))


def brought(farm, course, by="teacher1", **options):
    """(id of the new course, the warnings of its record); what is said to the requester as well."""
    since = farm.last_notice()
    request = farm.submit(farm.pair.courses[course], by=by, **options)
    made = farm.course(request)
    warnings = farm.person(by).request(request)["restored"]["warnings"]
    text = " ".join(told_text(farm, since).replace("\\n", " ").split())
    for warning in warnings:
        assert " ".join(warning.split()) in text, (warning, text)
    return made, warned({"warnings": warnings})


def enrolled(farm, course):
    """Who teaches in a course of the client."""
    return [row[0] for row in farm.pair.query(
        "thisyear", "SELECT DISTINCT u.username FROM {role_assignments} a JOIN {context} x ON "
        "x.id = a.contextid AND x.contextlevel = 50 JOIN {role} r ON r.id = a.roleid JOIN {user} u "
        "ON u.id = a.userid JOIN {user_enrolments} e ON e.userid = u.id JOIN {enrol} m ON "
        f"m.id = e.enrolid AND m.courseid = x.instanceid WHERE x.instanceid = {course} AND "
        "r.shortname = 'editingteacher' AND e.status = 0")]


@pytest.mark.parametrize("course,users", [("EMPTY", False), ("HAND", False), ("HAND", True),
                                          ("S", True)])
def test_a_teachers_course_comes_as_moodle_itself_would_bring_it(farm, course, users):
    by_moodle = restored_by_moodle(farm.pair, course, users)
    before, since = farm.pair.traces("thisyear"), farm.last_notice()
    with restored(farm, course, user_data=users) as (_, made):
        assert differences(by_moodle, farm.pair.describe("thisyear", made)) == {}
        assert "teacher1" in enrolled(farm, made)
        after = farm.pair.traces("thisyear")
        assert after | {"courses": 0} == before | {"courses": 0}
        assert after["courses"] == before["courses"] + 1
        assert farm.told(since) == [["teacher1", "restored"]]


def pool(pair):  # noqa: F811
    """What the client's Moodle keeps of files: {SHA-1: (file, owner, mode)}."""
    folder = pathlib.Path(pair.sites["thisyear"]["data"]) / "filedir"
    found = {p.name: p.stat() for p in folder.glob("??/??/*")}
    return {name: (st.st_ino, st.st_uid, st.st_gid, st.st_mode) for name, st in found.items()}


def test_what_the_site_has_is_not_fetched_again(start_farm):
    farm = start_farm(only_one=False)
    with restored(farm, "S") as (_, first):
        before, data = pool(farm.pair), pathlib.Path(farm.pair.sites["thisyear"]["data"])
        with restored(farm, "S") as (request, second):
            log = [line["text"] for line in farm.person("root").get(f"/requests/{request}/log")["lines"]]
            assert [line for line in log if line.endswith("are here already")], log
            assert differences(farm.pair.describe("thisyear", first),
                               farm.pair.describe("thisyear", second)) == {}
            assert pool(farm.pair) == before, "nothing is doubled, and nothing has become anybody else's"
        assert {name: pool(farm.pair)[name] for name in before if name in pool(farm.pair)}.items() <= before.items()
        # The first one's files are still whole when the second is gone.
        for row in farm.pair.query("thisyear", "SELECT DISTINCT f.contenthash, f.filesize FROM {files} f JOIN "
                                   "{context} x ON x.id = f.contextid WHERE x.path LIKE CONCAT((SELECT path FROM "
                                   f"{{context}} WHERE contextlevel = 50 AND instanceid = {first}), '/%')"):
            path = data / "filedir" / row[0][:2] / row[0][2:4] / row[0]
            assert row[1] == "0" or hashlib.sha1(path.read_bytes()).hexdigest() == row[0]


def test_the_same_course_comes_once_only(farm):
    """The producer says no at once; a request that gets past it is refused by the import."""
    teacher, course = farm.person("teacher1"), str(farm.pair.courses["EMPTY"])
    with restored(farm, "EMPTY"):
        courses = farm.pair.count("thisyear", "{course}")
        again = teacher.call("POST", "/requests", json={"site": farm.site, "course": course})
        assert again.status_code == 409 and again.json()["reason"] == "already_restored", again.text
        farm.refused(farm.ask(course, "teacher1", user_data=False), "already_restored")
        assert farm.pair.count("thisyear", "{course}") == courses
    # The copy is gone: it may come again.
    farm.pair.delete(farm.course(farm.ask(course, "teacher1", user_data=False)))


def test_who_is_unknown_to_a_site_is_refused_and_told_why(farm):
    course, root = farm.pair.courses["EMPTY"], farm.person("root")
    courses = farm.pair.count("thisyear", "{course}")
    farm.refused(root.submit(farm.site, course, user="onlyclient", user_data=False), "unknown_user")
    changed_role(farm, "role_assign", "onlyserver", "EMPTY")
    try:
        farm.refused(root.submit(farm.site, course, user="onlyserver", user_data=False),
                     "unknown_user")
    finally:
        changed_role(farm, "role_unassign", "onlyserver", "EMPTY")
    assert farm.pair.count("thisyear", "{course}") == courses


def test_a_role_that_was_withdrawn_after_the_list_was_made_brings_nothing(farm):
    teacher, archiver = farm.person("teacher2"), farm.roles("archiver")[0]
    course = str(farm.pair.courses["EMPTY"])
    refused = teacher.call("POST", "/requests", json={"site": farm.site, "course": course})
    assert refused.status_code == 403, refused.text
    changed_role(farm, "role_assign", "teacher2", "EMPTY")
    try:
        found, = teacher.get("/courses?refresh=true")["sites"]
        assert course in {c["course"] for c in found["courses"]}
        archiver.stop()
        request = farm.submit(course, by="teacher2", user_data=False)
    finally:
        changed_role(farm, "role_unassign", "teacher2", "EMPTY")
    since = farm.last_notice()
    archiver.start()
    farm.refused(request, "role_missing")
    assert farm.told(since) == [["admin", "problem"], ["teacher2", "failed"]]


def one_whole_course(farm, request, since, before, whole):
    made = farm.course(request)
    try:
        assert "teacher1" in enrolled(farm, made)
        assert differences(whole, farm.pair.describe("thisyear", made)) == {}
        assert farm.told(since) == [["teacher1", "restored"]]
        farm.pair.run("thisyear", "sweep")
        # Moodle's own tables keep a killed restore's rows until its cron removes them.
        after = farm.pair.traces("thisyear") | {"controllers": 0, "logs": 0}
        assert after == before | {"controllers": 0, "logs": 0, "courses": before["courses"] + 1}
    finally:
        farm.pair.delete(made)


def test_a_worker_killed_during_an_import_leaves_one_course(farm):
    whole = restored_by_moodle(farm.pair, "S", False)
    before, since = farm.pair.traces("thisyear"), farm.last_notice()
    worker = farm.roles("worker")[0]
    request = farm.submit(farm.pair.courses["S"], by="teacher1", user_data=False)
    wait.until(lambda: [row for row in farm.rows(request) if row[1] == "importing"],
               lambda: f"an import: {farm.record(request)}", LONG, 0.02)
    worker.kill()
    assert farm.state(request) not in ("restored", "failed")
    worker.start()
    one_whole_course(farm, request, since, before, whole)


def test_a_worker_killed_after_an_import_finds_the_course(farm):
    """Moodle has it, nobody was told yet."""
    whole = restored_by_moodle(farm.pair, "EMPTY", False)
    before, since = farm.pair.traces("thisyear"), farm.last_notice()
    worker = farm.roles("worker")[0]
    worker.stop()
    worker.start(NAVETTE_FAULT="worker.after-import", NAVETTE_FAULT_ONCE=farm.path("once"))
    request = farm.killed_over(worker, "EMPTY")
    assert [row[1] for row in farm.rows(request)] == ["restored"]
    assert farm.state(request) != "restored"
    worker.start()
    one_whole_course(farm, request, since, before, whole)


@pytest.fixture
def asked(broker, start_farm):
    """A farm, and what its worker asks its Moodle, in the order it does; nothing is fetched ahead."""
    folder = pathlib.Path(broker.folder).parent
    php, log = folder / "php", folder / "asked"
    php.write_text(f'#!/bin/sh\nfor last; do :; done\necho "$last" >>{log}\nexec /usr/bin/php "$@"\n')
    php.chmod(0o755)
    log.touch()
    log.chmod(0o666)
    operations = ("preflight", "find", "contents", "import")
    yield (start_farm({"worker": {"site": {"php": str(php)}, "worker": {"ahead": 0}}}, only_one=False),
           lambda: [line for line in log.read_text().split() if line in operations])
    log.unlink()


def test_only_what_takes_longer_to_fetch_is_asked_about_before(asked):
    farm, asked = asked
    # Once, whether the site has the plugins that any course needs; then no more.
    with restored(farm, "EMPTY"):
        assert asked() == ["preflight", "import"]
    with restored(farm, "EMPTY"):
        assert asked()[2:] == ["import"]
    farm.pair.code("lastyear", f"""
        get_file_storage()->create_file_from_string(['contextid' => context_course::instance(
            {farm.pair.courses["HAND"]})->id, 'component' => 'course', 'filearea' => 'summary', 'itemid' => 0,
            'filepath' => '/', 'filename' => 'large.bin'], random_bytes(17 << 20));""")
    try:
        with restored(farm, "HAND"):
            assert asked()[3] == "preflight" and asked()[-1] == "import"
    finally:
        farm.pair.code("lastyear", f"""
            get_file_storage()->get_file(context_course::instance({farm.pair.courses["HAND"]})->id, 'course',
                'summary', 0, '/', 'large.bin')->delete();""")


def test_after_a_worker_that_died_it_is_asked_whether_the_course_is_there(asked):
    farm, asked = asked
    worker = farm.roles("worker")[0]
    worker.stop()
    worker.start(NAVETTE_FAULT="worker.after-import", NAVETTE_FAULT_ONCE=farm.path("once"))
    request = farm.killed_over(worker, "EMPTY")
    worker.start()
    farm.pair.delete(farm.course(request))
    assert asked() == ["preflight", "import", "preflight", "find"]


# --- categories ---

def test_a_category_is_kept_by_its_identifier_or_said_to_be_gone(start_farm):
    farm = start_farm(original_category=True)
    quiet = {"user_data": False, "enrolment": "manual"}
    with removed_afterwards(farm):
        kept, warnings = brought(farm, "HAND", keep_category=True, **quiet)
        assert place(farm, kept) == "SCI-BIO" and not warnings
        gone, warnings = brought(farm, "S", keep_category=True, **quiet)
        assert place(farm, gone) == "DEF" and "original identifier \"ART\"" in warnings[0]
        none, warnings = brought(farm, "EMPTY", keep_category=True, **quiet)
        assert place(farm, none) == "DEF" and "no identifier" in warnings[0]
        asked, warnings = brought(farm, "XS", keep_category=False, **quiet)
        assert place(farm, asked) == "DEF" and not warnings


@contextlib.contextmanager
def identifiers_of_their_own(pair, codes):  # noqa: F811
    """A table with other identifiers of categories: {site: {category's idnumber: code}}."""
    names = {"categorytable": ("navette_orgs", "course_categories"),
             "categorytable_foreignkey": ("categoryid", "id"),
             "categorytable_categoryfield": ("code", "idnumber")}
    try:
        for site, rows in codes.items():
            pair.query(site, "CREATE TABLE {navette_orgs} (id BIGINT PRIMARY KEY, categoryid BIGINT, "
                       "code VARCHAR(40))")
            for n, (idnumber, code) in enumerate(rows.items(), 1):
                pair.query(site, f"INSERT INTO {{navette_orgs}} SELECT {n}, id, '{code}' FROM "
                           f"{{course_categories}} WHERE idnumber = '{idnumber}'")
            for name, (own, _) in names.items():
                pair.config(site, name, own)
        yield
    finally:
        for site in codes:
            for name, (_, usual) in names.items():
                pair.config(site, name, usual)
            pair.query(site, "DROP TABLE IF EXISTS {navette_orgs}")


def test_a_category_is_kept_by_the_identifiers_of_another_table(start_farm, pair):  # noqa: F811
    codes = {"lastyear": {"SCI-BIO": "unit/7", "ART": "unit/8"}, "thisyear": {"SCI": "unit/7"}}
    with identifiers_of_their_own(pair, codes):
        # An identifier would be one of that table, too.
        default = str(pair.sites["thisyear"]["fixture"]["categories"]["DEF"])
        farm = start_farm(original_category=True, default_category=default)
        with removed_afterwards(farm):
            kept, warnings = brought(farm, "HAND", keep_category=True, user_data=False,
                                     enrolment="manual")
            assert place(farm, kept) == "SCI" and not warnings
            gone, warnings = brought(farm, "S", keep_category=True, user_data=False)
            assert place(farm, gone) == "DEF" and "unit/8" in warnings[0]


def test_without_the_right_it_is_the_default_category_or_an_error(start_farm):
    """teacher2, who teaches by a role in a parent category, may create courses in DEF only."""
    farm = start_farm(original_category=True)
    found, = farm.person("teacher2").get("/courses")["sites"]
    assert {c["shortname"] for c in found["courses"]} == {"XS1", "HAND"}
    with removed_afterwards(farm):
        made, warnings = brought(farm, "HAND", by="teacher2", keep_category=True, user_data=False,
                                 enrolment="manual")
        assert place(farm, made) == "DEF"
        assert len(warnings) == 1 and "may not create courses" in warnings[0]
        assert enrolled(farm, made) == ["teacher2"]
    locked = start_farm(original_category=True, default_category="LOCKED")
    courses, since = locked.pair.count("thisyear", "{course}"), locked.last_notice()
    request = locked.submit(locked.pair.courses["XS"], by="teacher2", keep_category=True,
                            user_data=False)
    locked.refused(request, "capability_missing")
    assert locked.pair.count("thisyear", "{course}") == courses
    assert ["teacher2", "failed"] in locked.told(since)
    free = start_farm(original_category=True, default_category="LOCKED", check_course_create=False)
    with removed_afterwards(free):
        made, _ = brought(free, "XS", by="teacher2", keep_category=True, user_data=False)
        assert place(free, made) == "SCI-BIO"


# --- copies, and joining them ---

def test_without_the_rule_everyone_has_a_copy_named_as_moodle_names_them(start_farm):
    farm = start_farm(only_one=False)
    with removed_afterwards(farm):
        made = [brought(farm, "HAND", by=by, user_data=False, enrolment="manual")[0]
                for by in ("teacher1", "teacher2", "teacher1")]
        names = farm.pair.query("thisyear", "SELECT shortname, fullname FROM {course} WHERE id IN "
                                f"({','.join(made)}) ORDER BY id")
        assert names == [[f"HAND{n and f'_{n}' or ''}", f"Fait à la main — 手作り{n and f' copy {n}' or ''}"]
                         for n in range(3)]
        assert [enrolled(farm, course) for course in made] == [["teacher1"], ["teacher2"], ["teacher1"]]


def test_a_colleague_joins_the_copy_of_a_course_they_taught_and_no_other(farm):
    teacher, colleague, worker = farm.person("teacher1"), farm.person("teacher2"), farm.roles("worker")[0]
    with removed_afterwards(farm):
        request = farm.submit(farm.pair.courses["HAND"], by="teacher1", user_data=False)
        made = farm.course(request)
        other = farm.submit(farm.pair.courses["EMPTY"], by="teacher1", user_data=False)
        private = farm.course(other)

        def row():
            found, = colleague.get("/courses")["sites"]
            return next(c for c in found["courses"] if c["shortname"] == "HAND")

        def join(which):
            return colleague.call("POST", f"/requests/{which}/enrolments")

        assert row()["holder"]["can_join"] and row()["holder"]["user_name"]
        assert join(other).status_code == 404 == join(wire.uuid7()).status_code
        assert enrolled(farm, made) == ["teacher1"] == enrolled(farm, private)
        assert join(request).status_code == 202
        wait.until(lambda: teacher.request(request)["joined"] == ["teacher2"], "joined", LONG)
        assert join(request).json()["state"] == "joined"
        assert sorted(enrolled(farm, made)) == ["teacher1", "teacher2"]
        # A message of one's own making, with any course's id: only what was restored can be joined.
        own = farm.pair.code("thisyear", "require_once($CFG->dirroot . '/course/lib.php'); echo "
                             "create_course((object) ['shortname' => 'OWN', 'fullname' => 'Own', "
                             "'category' => core_course_category::get_default()->id])->id;").split()[-1]
        try:
            wish = {"id": wire.uuid7(), "request": request, "course": own, "user": "teacher2",
                    "requested": wire.now_ms()}
            farm.publish(f"restore.{farm.client}.now", wire.seal(
                "enrol.request", wish, farm.keys["client"], f"client:{farm.client}"))
            wait.until(lambda: [e for e in worker.events("enrol.done") if e["course"] == own
                                and e["reason"] == "course_missing"], worker.tail, LONG)
            assert enrolled(farm, own) == []
        finally:
            farm.pair.delete(own)


def test_a_copy_that_was_deleted_since_cannot_be_joined_and_frees_the_course(farm):
    colleague = farm.person("teacher2")
    with removed_afterwards(farm):
        request = farm.submit(farm.pair.courses["HAND"], by="teacher1", user_data=False)
        farm.pair.delete(farm.course(request))
        wait.until(lambda: farm.person("teacher1").request(request)["restored"]["deleted"],
                   "the deletion to be known", LONG)
        answer = colleague.call("POST", f"/requests/{request}/enrolments")
        assert answer.status_code in (404, 409), answer.text
        found, = colleague.get("/courses?refresh=true")["sites"]
        hand = next(c for c in found["courses"] if c["shortname"] == "HAND")
        assert hand["available"] and not (hand["holder"] or {}).get("can_join")
        again = farm.submit(farm.pair.courses["HAND"], by="teacher2", user_data=False)
        assert enrolled(farm, farm.course(again)) == ["teacher2"]


# --- several course servers ---

def test_one_site_without_the_user_and_one_that_is_down_leave_the_others_listed(pair, broker, start_farm):  # noqa: F811
    """The second course server is the client's own Moodle: one site may be both."""
    farm = start_farm()
    second, third = farm.site + "-b", farm.site + "-c"
    key = {name: keys.Key() for name in (second, third)}
    key[second].write(farm.path("second.key"))
    farm.navette("broker", "apply", broker={
        "uris": [f"amqp://guest@127.0.0.1:{broker.amqp}/{farm.vhost}"],
        "management_url": f"http://guest@127.0.0.1:{broker.management}",
        "management_password_file": farm.path("admin.password"), "clients": [farm.client],
        "sites": [farm.site, second, third], "credentials_dir": farm.path("credentials")})
    producer = farm.roles("producer")[0]
    producer.stop()
    producer.configure({**producer.config, "sites": producer.config["sites"] + [
        {"name": name, "public_key": key[name].public} for name in (second, third)],
        "producer": {**producer.config["producer"], "catalog_timeout": "10s"}})
    producer.start()
    archiver = farm.daemon("archiver", "archiver-b")
    user = f"archiver.{second}"
    archiver.configure({**archiver.config,
                        "identity": {"site": second, "key_file": farm.path("second.key")},
                        "broker": {**archiver.config["broker"], "uris": [
                            f"amqp://{user}@127.0.0.1:{broker.amqp}/{farm.vhost}"],
                            "password_file": farm.path("credentials", f"{user}.password")},
                        "site": farm._moodle("thisyear")})
    archiver.start()
    changed_role(farm, "role_assign", "onlyserver", "EMPTY")
    try:
        found = {s["site"]: s for s in farm.person("onlyserver").get("/courses")["sites"]}
    finally:
        changed_role(farm, "role_unassign", "onlyserver", "EMPTY")
    assert {name: s["status"] for name, s in found.items()} == {
        farm.site: "ok", second: "unknown-user", third: "unreachable"}, found
    assert [c["shortname"] for c in found[farm.site]["courses"]] == ["EMPTY"]


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
