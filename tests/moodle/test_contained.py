#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore stays inside its course: between two real Moodle sites, a course whose backup reaches beyond it
(reach.php) leaves nothing outside, whether it is restored, fails, is cancelled or is killed.

    MOODLE_DIR=/path/to/moodle test_contained.py [pytest's options]

Without MOODLE_DIR nothing is tested: that is said, and the exit code is 77.
"""
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time

import gate
from gate import HERE

if __name__ == "__main__":
    gate.leave_if(gate.missing())

import pytest  # noqa: E402

from harness import chance  # noqa: E402
from test_scripts import pair, swept_clean, uuid7, wait_for  # noqa: E402, F401

pytestmark = gate.mark(gate.missing())


class Reach:
    """The course REACH of the course server, exported once with user data and once without."""

    def __init__(self, pair):  # noqa: F811
        self.pair = pair
        for site in pair.sites.values():
            shutil.copy(HERE / "reach.php", f"{site['moodle']}/navette_reach.php")
        self.course = self.script("lastyear", "make").split()[-1]
        self.trees = {users: self.export(users) for users in (False, True)}

    def script(self, site, *args):
        return self.pair.php(site, "navette_reach.php", *args)

    def export(self, users):
        work = self.pair.folder("reach")
        reply = self.pair.run("lastyear", "export", {
            "request": self.pair.request("EMPTY", user=None, user_data=users) | {"course": self.course},
            "work_dir": str(work)})
        (work / "blobs").mkdir()
        for file in reply.all("file"):
            shutil.copy(file["path"], work / "blobs" / f"{file['sha1']}-{file['size']}")
        shutil.move(reply.result["skeleton"], work / "tree")
        self.give(work)
        return work, reply.result

    def give(self, path):
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", f"{self.pair.state['user']}:", path], check=True)

    def message(self, users=False, user="teacher1", tree=None, **more):
        work, about = self.trees[users]
        return {"request": self.pair.request("EMPTY", user=user, user_data=users) | {"course": self.course},
                "site": "lastyear", "category": "", "moodle_version": int(about["moodle_version"]),
                "bytes": about["bytes"], "tree": str(tree or work / "tree"), "blobs": str(work / "blobs"),
                "settings": {"default_category": "DEF", "only_one": False}} | more

    def changed(self, change, users=False):
        """A copy of the unpacked backup in which change(folder) has been at work."""
        tree = self.pair.folder("changed") / "tree"
        shutil.copytree(self.trees[users][0] / "tree", tree)
        change(tree)
        self.give(tree.parent)
        return tree

    def outside(self):
        return json.loads(self.script("thisyear", "outside"))

    def delete(self, course):
        """With what Moodle leaves behind of a whole course."""
        self.pair.code("thisyear", f"\\block_navette\\local\\containment::remove({course}); $DB->get_manager()->table_exists("
                       "'block_rss_client') && $DB->delete_records('block_rss_client', ['url' => 'https://reach.example.org/rss']);")
        self.pair.delete(course)

    def inside(self, course):
        return json.loads(self.script("thisyear", "inside", course))

    def roles(self, course):
        return json.loads(self.script("thisyear", "roles", course))

    def play(self, course):
        return json.loads(self.script("thisyear", "play", course))


@pytest.fixture(scope="module")
def reach(pair):  # noqa: F811
    made = Reach(pair)
    yield made
    made.script("lastyear", "unmake")


def restored(pair, reach, **more):  # noqa: F811
    return pair.run("thisyear", "import", reach.message(**more)).result


# --- what a whole restore makes ---

@pytest.mark.parametrize("users", [False, True], ids=["nousers", "users"])
def test_a_restored_course_makes_nothing_outside_it(pair, reach, users):  # noqa: F811
    before = reach.outside()
    made = restored(pair, reach, users=users)
    after, inside = reach.outside(), reach.inside(made["course"])
    reach.delete(made["course"])
    # The picture of a scale lies where Moodle keeps those of all scales, and goes with the scale.
    assert after.pop("files") == before.pop("files") + 1
    # A feed belongs to a person: it came for the requester alone.
    assert after.pop("feeds", 0) == before.pop("feeds", 0) + ("shared feeds" in after)
    assert after == before
    assert (inside["scale"], inside["grade_outcomes"], inside["badge"]) == (1, 1, 1)
    assert reach.outside() | {"files": 0, "feeds": 0} == before | {"files": 0, "feeds": 0}


def test_questions_of_a_foreign_bank_work_in_the_course(pair, reach):  # noqa: F811
    made = restored(pair, reach)
    inside = reach.inside(made["course"])
    reach.delete(made["course"])
    banks = {name.split()[-1] for name in inside["questions"]}
    assert banks in ({"system", "category"}, {"course"})
    assert set(inside["questions"].values()) <= {50, 70}
    assert inside["random"] == {f"Bank of {bank}": True for bank in banks}
    assert inside["pictures"] == len(banks)


def test_a_bank_that_this_site_has_to_the_last_question_is_referred_to(pair, reach):  # noqa: F811
    """As between a site and its copy: nothing has to be made outside, so nothing is made twice either."""
    if int(pair.code("thisyear", "echo $CFG->branch;").split()[-1]) >= 500:
        pytest.skip("Moodle 5 has no question banks outside courses")
    made = restored(pair, reach)
    bank = pair.code("thisyear", f"""
        require_once($CFG->libdir . '/questionlib.php');
        $bank = $DB->get_field('question_categories', 'id', ['name' => 'Bank of system', 'contextid' =>
            context_course::instance({made["course"]})->id]);
        $DB->update_record('question_categories', (object) ['id' => $bank, 'contextid' => SYSCONTEXTID,
            'parent' => question_get_top_category(SYSCONTEXTID, true)->id]);
        echo $bank;""").split()[-1]
    reach.delete(made["course"])
    before = reach.outside()
    try:
        made = restored(pair, reach)
        after, inside = reach.outside(), reach.inside(made["course"])
        reach.delete(made["course"])
        assert inside["questions"] == {"One of category": 50, "One of system": 10}
        assert inside["random"] == {"Bank of category": True, "Bank of system": True}
        assert after["questions"] == before["questions"]
        assert after["question categories"] == before["question categories"]
    finally:
        pair.code("thisyear", "require_once($CFG->libdir . '/questionlib.php'); question_category_delete_safe("
                  f"$DB->get_record('question_categories', ['id' => {bank}]));")


def test_an_exam_keeps_its_safe_browser_without_a_template_for_all(pair, reach):  # noqa: F811
    made = restored(pair, reach)
    inside = reach.inside(made["course"])
    reach.delete(made["course"])
    # Its own configuration file is required, there is one, and no template.
    assert inside["exam"] == [3, 0, 1]


# --- whose files ---

def libraries_go(pair):  # noqa: F811
    pair.code("thisyear", "$f = (new \\core_h5p\\factory())->get_framework(); foreach ($DB->get_records_select('h5p_libraries', "
              "\"machinename LIKE 'H5P.Foreign%'\") as $l) { \\core_h5p\\api::delete_library(new \\core_h5p\\factory(), $l); }")


@pytest.mark.parametrize("users", [False, True], ids=["nousers", "users"])
@pytest.mark.parametrize("user, owner", [("teacher1", "teacher1"), (None, "guest")])
def test_no_h5p_package_brings_a_library_by_an_administrators_right(pair, reach, users, user, owner):  # noqa: F811
    """Neither unmapped owners nor those that are an administrator or a manager here give it that right."""
    made = restored(pair, reach, users=users, user=user)
    owners = set(reach.inside(made["course"])["owners"])
    seen = reach.play(made["course"])
    libraries_go(pair)
    reach.delete(made["course"])
    assert seen["libraries"] == []
    assert owners - {owner} <= ({"teacher2", "student1"} if users else set()), owners
    assert seen["files"]["admin.h5p"] == {"owner": owner, "shown": False}
    assert seen["files"]["manager1.h5p"]["owner"] == owner == seen["files"]["plain.zip"]["owner"]


def test_the_requesters_own_right_to_h5p_libraries_counts(pair, reach):  # noqa: F811
    made = restored(pair, reach, user="manager1")
    seen = reach.play(made["course"])
    libraries_go(pair)
    reach.delete(made["course"])
    assert "H5P.ForeignAdmin" in seen["libraries"]
    assert seen["files"]["admin.h5p"] == {"owner": "manager1", "shown": True}


def test_contents_on_their_way_give_nobody_a_right(pair, reach):  # noqa: F811
    """While a course is restored its contents lie in a file area of ours: /h5p/embed.php opens those, too."""
    process = pair.start("thisyear", "import", reach.message(confirm=True))
    said = wait_for(process, '"confirm"')
    owners = pair.query("thisyear", "SELECT DISTINCT u.username FROM {files} f LEFT JOIN {user} u ON u.id = f.userid "
                        "WHERE f.component = 'block_navette' AND f.filename <> '.'")
    process.stdin.write("no\n")
    process.stdin.flush()
    assert pair.finish(process, said).error == ("cancelled", "cancelled")
    assert owners == [["guest"]]


def test_who_asked_without_a_right_to_publish_h5p_is_told(pair, reach):  # noqa: F811
    told = restored(pair, reach, user=None)
    silent = restored(pair, reach)
    for made in (told, silent):
        reach.delete(made["course"])
    assert any("H5P packages" in text for text in told["warnings"])
    assert not any("H5P packages" in text for text in silent["warnings"])


# --- who may what ---

SAFE = {"teacher mod/forum:startdiscussion": 1, "student moodle/user:viewdetails": -1}
RISKY = {"editingteacher moodle/h5p:updatelibraries": 1, "editingteacher moodle/user:loginas": 1}


@pytest.fixture()
def publications(pair):  # noqa: F811
    """Courses may be published by LTI here."""
    enable = "\\core\\plugininfo\\enrol::enable_plugin('lti', {});"
    pair.code("thisyear", enable.format(1))
    yield
    pair.code("thisyear", enable.format(0))


@pytest.mark.usefixtures("publications")
@pytest.mark.parametrize("users", [False, True], ids=["nousers", "users"])
@pytest.mark.parametrize("user", ["teacher1", None])
def test_a_backup_gives_no_right_that_the_requester_could_not_give(pair, reach, users, user):  # noqa: F811
    """In the backup teachers may install H5P libraries and sign in as others, and a teacher, with a package of his own,
    is a manager, as is whoever enrols."""
    made = restored(pair, reach, users=users, user=user)
    roles = reach.roles(made["course"])
    seen = reach.play(made["course"])
    libraries_go(pair)
    reach.delete(made["course"])
    assert seen["libraries"] == []
    assert roles["may"] == SAFE
    assert (roles["enrol"], roles["published"]) == ([""], [["", 1]])
    assert sorted(roles["has"]) == ["student1 student"] * users + ["teacher1 editingteacher"] * bool(user)
    told = " ".join(made["warnings"])
    assert "moodle/h5p:updatelibraries, moodle/user:loginas" in told and '"manager"' in told


@pytest.fixture()
def plain_manager(pair):  # noqa: F811
    """Managers may sign in as others here, but not install H5P libraries."""
    code = ("assign_capability('moodle/h5p:updatelibraries', {}, $DB->get_field('role', 'id', ['shortname' => 'manager']), "
            "context_system::instance()->id, true);")
    pair.code("thisyear", code.format("CAP_PREVENT"))
    yield
    pair.code("thisyear", code.format("CAP_ALLOW"))


@pytest.mark.usefixtures("publications", "plain_manager")
def test_a_backup_gives_no_role_that_may_do_more_than_the_requesters(pair, reach):  # noqa: F811
    made = restored(pair, reach, users=True, user="teacher1")
    roles = reach.roles(made["course"])
    reach.delete(made["course"])
    assert (roles["enrol"], roles["published"]) == ([""], [["", 1]])
    assert sorted(roles["has"]) == ["student1 student", "teacher1 editingteacher"]
    assert any('"manager"' in text and "may do what the requester may not (" in text for text in made["warnings"])


@pytest.fixture()
def no_restorers_role(pair):  # noqa: F811
    """Moodle gives no role to whoever restores a course: a choice that its settings offer."""
    before = pair.code("thisyear", "echo $CFG->restorernewroleid;").strip()
    pair.code("thisyear", "set_config('restorernewroleid', 0);")
    yield
    pair.code("thisyear", f"set_config('restorernewroleid', {int(before or 0)});")


@pytest.mark.usefixtures("publications", "no_restorers_role")
def test_students_keep_their_role_where_restorers_get_none(pair, reach):  # noqa: F811
    made = restored(pair, reach, users=True, user=None)
    roles = reach.roles(made["course"])
    reach.delete(made["course"])
    assert roles["has"] == ["student1 student"] and roles["enrol"] == [""]


@pytest.mark.usefixtures("publications")
def test_a_requester_who_could_give_rights_himself_gets_those_of_the_backup(pair, reach):  # noqa: F811
    made = restored(pair, reach, users=True, user="manager1")
    roles = reach.roles(made["course"])
    reach.delete(made["course"])
    assert roles["may"] == SAFE | RISKY
    assert (roles["enrol"], roles["published"]) == (["manager"], [["manager", 0]])
    assert "teacher2 manager" in roles["has"]
    assert not any("requester may not" in text for text in made["warnings"])


# --- what fails, is cancelled or is killed ---

def test_a_restore_that_fails_at_its_end_leaves_nothing_outside(pair, reach):  # noqa: F811
    def break_it(tree):
        # Badges are restored after all else, and one is whole here.
        path = tree / "badges.xml" if (tree / "badges.xml").exists() else tree / "course" / "badges.xml"
        path.write_text(path.read_text().replace("</badges>", "<bad"))
    before, traces = reach.outside(), pair.traces("thisyear")
    reply = pair.run("thisyear", "import", reach.message(tree=reach.changed(break_it)))
    assert reply.error == ("retry", "import_failed")
    assert reach.outside() == before and pair.traces("thisyear") | {"logs": 0} == traces | {"logs": 0}


def test_a_cancelled_restore_leaves_nothing_outside(pair, reach):  # noqa: F811
    before = reach.outside()
    process = pair.start("thisyear", "import", reach.message(users=True, confirm=True))
    said = wait_for(process, '"confirm"')
    process.stdin.write("no\n")
    process.stdin.flush()
    assert pair.finish(process, said).error == ("cancelled", "cancelled")
    assert reach.outside() == before


def test_killed_at_any_moment_a_restore_leaves_nothing_outside_once_swept(pair, reach):  # noqa: F811
    before, traces = reach.outside(), pair.traces("thisyear")
    began = time.monotonic()
    made = restored(pair, reach)
    lasts = time.monotonic() - began
    reach.delete(made["course"])
    assert reach.outside() == before
    kills = int(os.environ.get("NAVETTE_KILLS", "8"))
    rng = chance.generator()
    for n in range(kills):
        message = reach.message(users=bool(n % 2))
        process = pair.start("thisyear", "import", message)
        time.sleep(0.3 + (lasts - 0.3) * n / kills + rng.uniform(0, 0.1))  # the moment is what is random here
        process.kill()
        process.communicate()
        made = pair.run("thisyear", "find", {"id": message["request"]["id"]}).result["course"]
        if made:
            reach.delete(made)
        swept_clean(pair, traces)
        assert reach.outside() == before, n


@contextlib.contextmanager
def slow(pair, table):  # noqa: F811
    """The database takes its time for each new row of this table; gives a function that says whether it does just now."""
    db = pair.state["db"]
    table = db["prefix"] + table
    if db["type"] == "mariadb":
        make = [f"CREATE TRIGGER navette_slow BEFORE INSERT ON {table} FOR EACH ROW DO SLEEP(3)"]
        drop = "DROP TRIGGER navette_slow"
        busy = "information_schema.processlist WHERE state = 'User sleep' AND db = 'thisyear'"
    else:
        make = ["CREATE FUNCTION navette_slow() RETURNS trigger LANGUAGE plpgsql AS "
                "'BEGIN PERFORM pg_sleep(3); RETURN NEW; END'",
                f"CREATE TRIGGER navette_slow BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION navette_slow()"]
        drop = "DROP FUNCTION navette_slow CASCADE"
        busy = "pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = 'thisyear'"
    for statement in make:
        pair.query("thisyear", statement)
    try:
        yield lambda: pair.count("thisyear", busy)
    finally:
        pair.query("thisyear", drop)


@pytest.mark.parametrize("table", ["scale", "grade_outcomes", "question_categories", "question", "question_versions",
                                   "lti_types_config", "block_instances", "quiz_slots", "badge_criteria"])
def test_killed_between_two_rows_a_restore_leaves_nothing_outside_once_swept(pair, reach, table):  # noqa: F811
    """The row that was being written comes after the death of its writer."""
    before, traces = reach.outside(), pair.traces("thisyear")
    with slow(pair, table) as busy:
        process = pair.start("thisyear", "import", reach.message(users=True, confirm=True))
        deadline = time.monotonic() + 120
        while not busy():
            assert process.poll() is None and time.monotonic() < deadline
        process.kill()
        process.communicate()
    swept_clean(pair, traces)
    assert reach.outside() == before


def test_questions_of_a_half_made_quiz_are_not_saved_elsewhere(pair, reach):  # noqa: F811
    """Moodle keeps questions that something uses when their course is deleted, in a bank of the category above:
    as if the restore had been killed between the rows of a quiz attempt."""
    used = ("{question_attempts} a LEFT JOIN {question_usages} u ON u.id = a.questionusageid LEFT JOIN {context} x ON "
            "x.id = u.contextid WHERE x.id IS NULL")
    before, traces = reach.outside() | {"used": pair.count("thisyear", used)}, pair.traces("thisyear")
    message = reach.message(confirm=True)
    process = pair.start("thisyear", "import", message)
    wait_for(process, '"confirm"')
    process.kill()
    process.communicate()
    pair.code("thisyear", f"""
        $course = $DB->get_field('block_navette_restores', 'courseid', ['requestid' => '{message["request"]["id"]}']);
        $quiz = $DB->get_records('quiz', ['course' => $course], 'id', '*', 0, 1);
        $cm = get_coursemodule_from_instance('quiz', reset($quiz)->id);
        $usage = $DB->insert_record('question_usages', (object) ['contextid' => context_module::instance($cm->id)->id,
            'component' => 'mod_quiz', 'preferredbehaviour' => 'deferredfeedback']);
        $slot = $DB->get_records_sql("SELECT v.questionid FROM {{question_references}} r JOIN {{question_versions}} v ON
            v.questionbankentryid = r.questionbankentryid WHERE r.usingcontextid = ?", [context_module::instance($cm->id)->id]);
        $DB->insert_record('question_attempts', (object) ['questionusageid' => $usage, 'slot' => 1, 'behaviour' => 'x',
            'questionid' => reset($slot)->questionid, 'variant' => 1, 'maxmark' => 1, 'minfraction' => 0, 'maxfraction' => 1,
            'timemodified' => 1]);""")
    swept_clean(pair, traces)
    assert reach.outside() | {"used": pair.count("thisyear", used)} == before


# --- visible ---

def test_a_course_is_hidden_until_it_is_whole(pair, reach):  # noqa: F811
    traces = pair.traces("thisyear")

    def visible(message):
        return pair.query("thisyear", "SELECT c.visible FROM {block_navette_restores} r JOIN {course} c ON c.id = r.courseid "
                          f"WHERE r.requestid = '{message['request']['id']}'")

    def hide(tree):
        path = tree / "course" / "course.xml"
        path.write_text(re.sub(r"<visible>1</visible>", "<visible>0</visible>", path.read_text(), count=1))

    message = reach.message(confirm=True)
    seen = set()
    process = pair.start("thisyear", "import", message)
    line = ""
    while '"confirm"' not in line:
        line = process.stdout.readline()
        assert line, process.stderr.read()[:1500]
        seen |= {row[0] for row in visible(message)}
    assert seen | {row[0] for row in visible(message)} == {"0"}
    process.stdin.write("yes\n")
    process.stdin.flush()
    made = pair.finish(process).result
    assert visible(message) == [["1"]]
    reach.delete(made["course"])
    hidden = reach.message(tree=reach.changed(hide))
    made = pair.run("thisyear", "import", hidden).result
    assert visible(hidden) == [["0"]]
    reach.delete(made["course"])
    # Who dies before the end leaves a hidden one, until it is swept.
    message = reach.message(confirm=True)
    process = pair.start("thisyear", "import", message)
    wait_for(process, '"confirm"')
    process.kill()
    process.communicate()
    assert visible(message) == [["0"]]
    swept_clean(pair, traces | {"courses": traces["courses"]})


# --- archives that nobody's Moodle wrote ---

def test_an_archive_that_names_other_places_stays_in_its_course(pair, reach):  # noqa: F811
    """A backup whose files say: move the course, put a block on every page, an event into every calendar."""
    def forge(tree):
        system = re.search(r"<original_system_contextid>(\d+)<", (tree / "moodle_backup.xml").read_text()).group(1)
        course = tree / "course" / "course.xml"
        course.write_text(re.sub(r"(<visible>)", r"<sortorder>1</sortorder><category>1</category>\1", course.read_text(), count=1))
        block = next(p for p in (tree / "course" / "blocks").glob("html_*/block.xml"))
        block.write_text(re.sub(r"<parentcontextid>\d+<", f"<parentcontextid>{system}<", block.read_text()).replace(
            "<showinsubcontexts>0<", "<showinsubcontexts>1<"))
        calendar = tree / "course" / "calendar.xml"
        calendar.write_text(re.sub(r"<courseid>\d+<", "<courseid>0<", calendar.read_text()).replace(
            "<eventtype>course<", "<eventtype>user<"))
    before = reach.outside()
    made = restored(pair, reach, tree=reach.changed(forge))
    after = reach.outside()
    inside = reach.inside(made["course"])
    reach.delete(made["course"])
    assert inside["category"] == "DEF"
    assert {k: after[k] for k in ("blocks", "events")} == {k: before[k] for k in ("blocks", "events")}


def test_an_archive_sets_nobodys_password(pair, reach):  # noqa: F811
    """Moodle's backups hold none; a forged one would open an account here to whoever forged it."""
    def forge(tree):
        users = tree / "users.xml"
        text = users.read_text()
        name = "forged" + uuid7()[-12:]
        first = re.search(r"<user id=\"\d+\".*?</user>", text, re.S).group(0)
        again = re.sub(r"<username>[^<]*<", f"<username>{name}<", first)
        again = re.sub(r"<email>[^<]*<", f"<email>{name}@example.org<", again)
        again = again.replace("<username>", "<password>$2y$10$forgedforgedforgedforged</password><username>")
        users.write_text(text.replace(first, again))
    before = {row[0] for row in pair.query("thisyear", "SELECT username FROM {user}")}
    made = restored(pair, reach, users=True, tree=reach.changed(forge, users=True))
    new = [row for row in pair.query("thisyear", "SELECT username, password FROM {user}") if row[0] not in before]
    reach.delete(made["course"])
    for name, _ in new:
        pair.code("thisyear", f"$u = $DB->get_record('user', ['username' => '{name}']); context_helper::delete_instance("
                  "CONTEXT_USER, $u->id); $DB->delete_records('user', ['id' => $u->id]);")
    assert len(new) == 1 and new[0][0].startswith("forged") and "forgedforged" not in new[0][1]


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
