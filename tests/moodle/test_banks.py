#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Moodle 5 does in its own way, between two real sites: question banks that are activities, and totals of the
gradebook that are left to a task.

    pair up OLDER --client NEWER --dir DIR; NAVETTE_PAIR=DIR test_banks.py [pytest's options]

What needs Moodle 5 on a side is skipped where it is not. Without MOODLE_DIR nothing is tested: that is said, and the
exit code is 77.
"""
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys

import gate
from gate import HERE

if __name__ == "__main__":
    gate.leave_if(gate.missing())

import pytest  # noqa: E402

from test_plugin import french  # noqa: E402
from test_scripts import check, pair  # noqa: E402, F401

pytestmark = gate.mark(gate.missing())


def branch(pair, site):  # noqa: F811
    return int(pair.code(site, "echo $CFG->branch;").split()[-1])


@pytest.fixture
def later(pair):  # noqa: F811
    """The client is a Moodle 5."""
    if branch(pair, "thisyear") < 500:
        pytest.skip("the client is no Moodle 5")
    for site in pair.sites.values():
        shutil.copy(HERE / "banks.php", f"{site['moodle']}/navette_banks.php")
    return pair


def look(pair, course):  # noqa: F811
    return json.loads(pair.php("thisyear", "navette_banks.php", "look", course).splitlines()[-1])


def changed(pair, course, users, file, change):  # noqa: F811
    """A copy of a course's unpacked backup with a file changed."""
    tree = pair.folder("changed") / "tree"
    shutil.copytree(pair.export(course, users)["dir"] / "tree", tree)
    path = tree / file
    before = path.read_text()
    path.write_text(change(before))
    assert path.read_text() != before
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", f"{pair.state['user']}:", tree.parent], check=True)
    return str(tree)


# --- question banks ---

def test_the_bank_that_moodle_makes_is_named_after_the_course(later):
    if branch(later, "lastyear") >= 500:
        pytest.skip("the course server's banks are activities already")
    made = later.bring("HAND")
    seen = look(later, made["course"])
    with french(later, "thisyear"):
        other = later.bring("HAND", request={"lang": "fr"})
    for course in (made, other):
        later.delete(course["course"])
    assert seen["banks"] == [["HAND shared question bank", "system", ""]]
    assert len(seen["questions"]) == 5 and seen["references"] == dict.fromkeys(seen["questions"], True)
    about = [text for text in made["warnings"] if "question" in text]
    assert about == ["This Moodle keeps questions that are used in several places in question banks, which are activities. "
                     "Those of the course (5) are in its new question bank “HAND shared question bank”."]
    about = [text for text in other["warnings"] if "question" in text]
    assert len(about) == 1 and about[0].startswith("Ce Moodle conserve les questions") and "(5)" in about[0]


def test_no_warning_of_moodles_with_another_meaning_is_lost(later):
    """Moodle's look at the backup warns of a later version in the same breath."""
    tree = changed(later, "HAND", False, "moodle_backup.xml", lambda text: re.sub(
        r"<(moodle|backup)_(version|release)>[^<]*<", lambda m: f"<{m[1]}_{m[2]}>"
        + ("2099010100" if m[2] == "version" else "99.9") + "<", text))
    made = later.run("thisyear", "import", later.message("HAND", tree=tree)).result
    later.delete(made["course"])
    assert any(text.startswith("Moodle: ") and "2099010100" in text for text in made["warnings"]), made["warnings"]
    assert not any("question category" in text or "questions category" in text for text in made["warnings"])


@pytest.fixture
def shared(later):
    """Two courses of the course server, the second of which uses the first's bank: their ids."""
    if branch(later, "lastyear") < 500:
        pytest.skip("the course server has no shared question banks")
    made = json.loads(later.php("lastyear", "navette_banks.php", "share", "SCI", "ART").splitlines()[-1])
    later.courses.update(made)
    yield made
    for name, course in made.items():
        del later.courses[name]
        later.exports.pop((name, False), None)
        later.code("lastyear", "require_once($CFG->dirroot . '/course/lib.php');"
                   f"$CFG->forced_plugin_settings['tool_recyclebin']['categorybinenable'] = 0; delete_course({course}, false);")


def test_questions_of_another_courses_bank_come_into_the_course(later, shared):
    work = later.folder("export-uses")
    reply = later.run("lastyear", "export", {"request": later.request("USES", user=None), "work_dir": str(work)})
    tree = work / "tree"
    shutil.move(reply.result["skeleton"], tree)
    (work / "blobs").mkdir()
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", f"{later.state['user']}:", work], check=True)
    made = later.run("thisyear", "import", {
        "request": later.request("USES", user=None), "site": "lastyear", "category": "",
        "moodle_version": int(reply.result["moodle_version"]), "bytes": 0, "tree": str(tree), "blobs": str(work / "blobs"),
        "settings": {"default_category": "DEF", "only_one": False}}).result
    seen = look(later, made["course"])
    later.delete(made["course"])
    assert seen["banks"] == [["USES shared question bank", "system", ""]]
    assert seen["questions"] == ["Picked", "Used"]
    assert seen["references"] == {"Used": True} and seen["picks"] == {"By chance": True}
    assert [text for text in made["warnings"] if "question" in text] == [text for text in made["warnings"] if "(2)" in text]
    # What the client must have is told of them, too, and of no others.
    needs = {need["name"] for need in reply.result["needs"]}
    assert {"qtype_shortanswer", "qtype_numerical"} <= needs and "qtype_essay" not in needs


def test_a_clients_policy_holds_for_the_banks_that_a_course_uses(later, shared):
    policy = {"name": "thisyear", "user_data": False, "without_user": True, "categories": ["SCI"]}
    refused = check(later, "USES", policy=policy, user=None)
    assert refused.error == ("reject", "policy")
    said = refused.lines[-1]["error"]["message"]
    assert "Quiz of shared questions" in said and "SHARES" not in said
    assert check(later, "USES", policy=policy | {"categories": ["SCI", "ART"]}, user=None).code == 0
    assert check(later, "USES", policy=policy | {"categories": []}, user=None).code == 0


# --- gradebook ---

@contextlib.contextmanager
def nothing_queued(pair, made):  # noqa: F811
    """No task is left that would compute the totals of the course that is made[0] in the end, and no progress of one."""
    later = branch(pair, "thisyear") >= 500

    def progress():
        return pair.count("thisyear", "{stored_progress} WHERE idnumber LIKE '%regrade_final_grades%'") if later else 0

    before = progress()
    yield
    # The task's data is {"courseid":7}.
    assert pair.count("thisyear", "{task_adhoc} WHERE classname LIKE '%regrade_final_grades' "
                      f"AND customdata LIKE '%:{made[0]}_'") == 0
    assert progress() == before


def totals(pair, site, course):  # noqa: F811
    return sorted(map(tuple, pair.query(site, f"""SELECT u.username, g.finalgrade FROM {{grade_grades}} g
        JOIN {{grade_items}} i ON i.id = g.itemid JOIN {{user}} u ON u.id = g.userid
        WHERE i.courseid = {course} AND i.itemtype = 'course' AND g.finalgrade IS NOT NULL""")))


def test_totals_are_right_when_the_course_appears(pair):  # noqa: F811
    """The backup's totals are wrong, so that only computed ones can be right."""
    def wrong(text):
        course = re.search(r'<grade_item id="\d+">\s*<categoryid>[^<]*</categoryid>\s*<itemname>[^<]*</itemname>\s*'
                           r"<itemtype>course.*?</grade_item>", text, re.S)[0]
        return text.replace(course, re.sub(r"<finalgrade>[^<]*<", "<finalgrade>1.00000<", course))
    before = totals(pair, "lastyear", pair.courses["HAND"])
    tree = changed(pair, "HAND", True, "gradebook.xml", wrong)
    ids = []
    with nothing_queued(pair, ids):
        made = pair.run("thisyear", "import", pair.message("HAND", True, tree=tree)).result
        ids.append(made["course"])
    after = totals(pair, "thisyear", made["course"])
    stale = pair.count("thisyear", f"{{grade_items}} WHERE courseid = {made['course']} AND needsupdate <> 0")
    pair.delete(made["course"])
    assert before and after == before
    assert stale == 0
    assert not any("gradebook" in text for text in made["warnings"])


def test_totals_that_cannot_be_computed_are_told(pair):  # noqa: F811
    tree = changed(pair, "HAND", True, "gradebook.xml", lambda text: re.sub(
        r"(<itemname>Oral</itemname>.*?<calculation>)[^<]*<", r"\1=##gi987654321##*2<", text, count=1, flags=re.S))
    ids = []
    with nothing_queued(pair, ids):
        made = pair.run("thisyear", "import", pair.message("HAND", True, tree=tree)).result
        ids.append(made["course"])
    pair.delete(made["course"])
    assert [text for text in made["warnings"] if text.startswith("Some totals of the gradebook could not be computed.")], \
        made["warnings"]


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
