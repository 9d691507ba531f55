#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin as Moodle's administrator meets it: its settings and whom they bind, its pages in both
languages, privacy, an unusual file system, and that nothing of it stays when it is uninstalled.

    MOODLE_DIR=/path/to/moodle test_plugin.py [pytest's options]

Without MOODLE_DIR nothing is tested: that is said, and the exit code is 77.  The pair is that of
test_scripts.py (NAVETTE_PAIR, NAVETTE_DB), the daemons are those of test_daemons.py.
"""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import gate
from gate import HERE

if __name__ == "__main__":
    gate.leave_if(gate.missing())

import pytest  # noqa: E402
import requests  # noqa: E402

from harness import daemon as daemons, keys, ports, wait  # noqa: E402
from test_daemons import MoodleFarm, broker, enrolled  # noqa: E402, F401
from test_scripts import config_php, differences, pair  # noqa: E402, F401

pytestmark = gate.mark(gate.missing())

# What an administrator finds who has set nothing.
DEFAULTS = {
    "moodle_role": "", "search_roles": "editingteacher", "userfield": "username", "authmethods": "",
    "categorytable": "course_categories", "categorytable_foreignkey": "id",
    "categorytable_categoryfield": "idnumber", "defaultcategory": "",
    "restorecourseinoriginalcategory": False, "defaultcategorychecked": True,
    "checkrequestercapascoursecreate": True, "onlyoneremoteinstance": True,
    "restoreuserdata": False, "fallbackwithoutuserdata": False, "leaveoutlacking": True, "samesite_numbers": False, "memorylimit": "2048M", "enrolmentmode": "always",
    "autoenrol_requester": True, "enrollbutton": True, "enrollrole": "editingteacher",
    "warningstoowner": True, "includeexternalurlinmail": False, "navetteurl": "",
}
LANGUAGES = ("en", "fr")
FOLLOW = 90  # the daemons ask every 30 s


# --- memory ---

def test_a_restore_gets_the_memory_that_is_set(pair):  # noqa: F811
    with pair.setting("thisyear", "memorylimit", "3G", "2048M"):
        said = pair.code("thisyear", "ini_set('memory_limit', '256M'); \\block_navette\\local\\site::raise_memory(); "
                         "echo ini_get('memory_limit');")
    assert int(said.split()[-1]) == 3 << 30


# --- what a refusal leaves in the log ---

def test_a_refusal_leaves_no_trace_in_the_log_and_a_surprise_does(pair):  # noqa: F811
    refused = pair.run("lastyear", "export", {
        "request": pair.request("HAND", user="student1"), "check_only": True})
    assert refused.error == ("reject", "role_missing") and refused.err == ""
    assert pair.run("thisyear", "enrol", {"course": "1", "user": "teacher1"}).err == ""
    surprised = pair.run("lastyear", "export", {
        "request": pair.request("HAND") | {"roles": [{"no": "text"}]}, "check_only": True})
    assert surprised.error[0] == "retry"
    assert "navette.php" in surprised.err and "#0" in surprised.err


# --- pages in both languages ---

@contextlib.contextmanager
def french(pair, site):  # noqa: F811
    """A language pack for French that has nothing of its own: Moodle's words stay English."""
    pack = pathlib.Path(pair.sites[site]["data"]) / "lang" / "fr"
    pack.mkdir(parents=True)
    (pack / "langconfig.php").write_text("<?php $string['thislanguage'] = 'Français'; "
                                         "$string['parentlanguage'] = '';\n")
    if os.getuid() == 0:
        subprocess.run(["chown", "-R", f"{pair.state['user']}:", pack.parent], check=True)
    pair.php(site, "admin/cli/purge_caches.php")
    try:
        yield
    finally:
        shutil.rmtree(pack)
        pair.php(site, "admin/cli/purge_caches.php")


def words(language):
    """The plugin's strings, by name."""
    path = HERE.parent.parent / "moodle/block_navette/lang" / language / "block_navette.php"
    return json.loads(subprocess.run(
        ["php", "-r", f"define('MOODLE_INTERNAL', true); require '{path}'; echo json_encode($string);"],
        check=True, capture_output=True, text=True).stdout)


def signed_in(pair, user, site="thisyear"):  # noqa: F811
    url, web = pair.sites[site]["url"], requests.Session()
    page = web.get(f"{url}/login/index.php").text
    token = re.search(r'name="logintoken" value="(\w+)"', page).group(1)
    page = web.post(f"{url}/login/index.php", data={
        "username": user, "password": pair.state["password"], "logintoken": token}).text
    assert re.search(r'"sesskey":"(\w+)"', page), page[:500]
    return web, url


def shown(text):
    """As it stands in a page: quotation marks apart."""
    return re.sub(r"&#0?39;|&rsquo;|’", "'", text).replace("&quot;", '"')


def test_every_setting_has_its_default(pair):  # noqa: F811
    stored = pair.query("thisyear", "SELECT name, value FROM {config_plugins} WHERE plugin = "
                        "'block_navette' AND name <> 'version'")
    pair.query("thisyear", "DELETE FROM {config_plugins} WHERE plugin = 'block_navette' AND "
               "name <> 'version'")
    pair.php("thisyear", "admin/cli/purge_caches.php")
    try:
        settings = pair.run("thisyear", "settings").result
        assert settings.pop("facts")["issuer"] == pair.sites["thisyear"]["url"]  # for navette doctor
        assert settings == DEFAULTS
        with pair.setting("thisyear", "onlyoneremoteinstance", "no", "1"):
            assert pair.run("thisyear", "settings").result["onlyoneremoteinstance"] is False
    finally:
        for name, *value in stored:
            pair.config("thisyear", name, value[0] if value else "")
    defaults = pair.query("thisyear", "SELECT name, value FROM {config_plugins} WHERE plugin = "
                          "'message' AND name LIKE '%navette%enabled'")
    for provider in ("restored", "failed", "problem"):
        row = dict(defaults)[f"message_provider_block_navette_{provider}_enabled"]
        assert set(row.split(",")) == {"popup", "email"}


def test_both_languages_have_the_same_strings():
    texts = {language: words(language) for language in LANGUAGES}
    assert texts["en"].keys() == texts["fr"].keys()
    for name, text in texts["en"].items():
        assert text.strip() and texts["fr"][name].strip(), name
        assert ("{$a}" in text) == ("{$a}" in texts["fr"][name]), name
    for name in [*DEFAULTS, "launchsecret"]:
        assert {f"setting_{name}", f"setting_{name}_desc"} <= texts["en"].keys()


def test_the_pages_lack_no_string_in_either_language(pair):  # noqa: F811
    with french(pair, "thisyear"), \
            pair.setting("thisyear", "navetteurl", "https://navette.example.org", ""):
        web, url = signed_in(pair, "admin")
        block = pair.code("thisyear", """
            $page = $DB->get_record('my_pages', ['userid' => null, 'name' => '__default', 'private' => 1]);
            $id = $DB->insert_record('block_instances', (object) ['blockname' => 'navette',
                'parentcontextid' => SYSCONTEXTID, 'showinsubcontexts' => 0, 'requiredbytheme' => 0,
                'pagetypepattern' => 'my-index', 'subpagepattern' => $page->id,
                'defaultregion' => 'content', 'defaultweight' => 0, 'timecreated' => 1,
                'timemodified' => 1]);
            context_block::instance($id);
            echo $id;""").split()[-1]

        def fresh_dashboard():
            """A user's own copy of the default one is made at the first visit."""
            pair.code("thisyear", "require_once($CFG->dirroot . '/my/lib.php'); my_reset_page("
                      "$DB->get_field('user', 'id', ['username' => 'teacher1']));")

        try:
            fresh_dashboard()
            for language in LANGUAGES:
                text = words(language)
                page = shown(web.get(f"{url}/admin/settings.php?section=blocksettingnavette"
                                     f"&lang={language}").text)
                assert "[[" not in page and f'lang="{language}"' in page
                for name in [*DEFAULTS, "launchsecret"]:
                    assert f's_block_navette_{name}"' in page, name
                    for part in ("", "_desc"):
                        assert shown(text[f"setting_{name}{part}"]) in page, (name, part)
                for mode in ("always", "withusers", "manual"):
                    assert shown(text[f"mode_{mode}"]) in page
                other, _ = signed_in(pair, "teacher1")
                page = shown(other.get(f"{url}/my/index.php?lang={language}").text)
                assert shown(text["open"]) in page and shown(text["nothingyet"]) in page or \
                    shown(text["state_restored"].split("{")[0]) in page
                assert "[[" not in page
                page = shown(web.get(f"{url}/admin/roles/define.php?action=edit&roleid=1").text)
                for name in ("view", "addinstance", "myaddinstance", "seeexternalcourselink",
                             "restoreuserdata", "manage"):
                    assert shown(text[f"navette:{name}"]) in page, name
                assert "[[navette" not in page
                page = shown(web.get(f"{url}/message/notificationpreferences.php").text)
                for name in ("restored", "failed", "problem"):
                    assert shown(text[f"messageprovider:{name}"]) in page, name
                assert "[[messageprovider" not in page
        finally:
            pair.code("thisyear", "require_once($CFG->libdir . '/blocklib.php'); blocks_delete_instance("
                      f"$DB->get_record('block_instances', ['id' => {block}]));")
            fresh_dashboard()


# --- privacy ---

def test_privacy_says_what_is_kept_exports_it_and_takes_people_out(pair):  # noqa: F811
    message = pair.message("EMPTY", request={"user_name": "Teacher One", "mail": "t1@example.org",
                                             "lang": "en"})
    made = pair.run("thisyear", "import", message).result
    other = pair.message("EMPTY", request={"user": "teacher2", "mail": "t2@example.org"})
    second = pair.run("thisyear", "import", other).result
    said = pair.code("thisyear", """
        use core_privacy\\local\\request\\approved_contextlist;
        use core_privacy\\local\\request\\writer;
        $manager = new \\core_privacy\\manager();
        $collection = \\block_navette\\privacy\\provider::get_metadata(
            new \\core_privacy\\local\\metadata\\collection('block_navette'));
        $missing = [];
        foreach ($collection->get_collection() as $item) {
            foreach (array_merge([$item->get_summary()], array_values($item->get_privacy_fields())) as $name) {
                if (!get_string_manager()->string_exists($name, 'block_navette')) {
                    $missing[] = $name;
                }
            }
            if ($item instanceof \\core_privacy\\local\\metadata\\types\\database_table) {
                foreach (array_keys($item->get_privacy_fields()) as $field) {
                    if (!isset($DB->get_columns($item->get_name())[$field])) {
                        $missing[] = $field;
                    }
                }
            }
        }
        $user = $DB->get_record('user', ['username' => 'teacher1'], '*', MUST_EXIST);
        $contexts = $manager->get_contexts_for_userid($user->id)->get_contextlist_for_component('block_navette');
        $list = new approved_contextlist($user, 'block_navette', $contexts->get_contextids());
        \\block_navette\\privacy\\provider::export_user_data($list);
        // The only way to what was written: the exported folder.
        $zip = writer::with_context(context_system::instance())->finalise_content();
        $packer = get_file_packer('application/zip');
        $folder = make_request_directory();
        $packer->extract_to_pathname($zip, $folder);
        $exported = '';
        foreach (new RecursiveIteratorIterator(new RecursiveDirectoryIterator($folder,
                FilesystemIterator::SKIP_DOTS)) as $file) {
            if (substr($file->getPathname(), -9) === 'data.json') {
                $exported .= file_get_contents($file->getPathname());
            }
        }
        $inside = new \\core_privacy\\local\\request\\userlist(context_system::instance(), 'block_navette');
        \\block_navette\\privacy\\provider::get_users_in_context($inside);
        $contexts = count($list);
        \\block_navette\\privacy\\provider::delete_data_for_user($list);
        echo json_encode(['compliant' => $manager->component_is_compliant('block_navette'), 'missing' => $missing,
            'exported' => $exported, 'contexts' => $contexts, 'user' => (int) $user->id,
            'inside' => array_map('intval', $inside->get_userids())]);""")
    out = json.loads(said[said.index('{"compliant'):])
    assert out["compliant"] and out["missing"] == [] and out["contexts"] == 1
    assert "Teacher One" in out["exported"] and "t1@example.org" in out["exported"]
    assert "t2@example.org" not in out["exported"]
    assert out["user"] in out["inside"]

    def kept():
        """Rows that still name somebody, in any column."""
        rows = pair.query("thisyear", "SELECT COALESCE(userid, 0), request, message, warnings FROM "
                          f"{{block_navette_restores}} WHERE requestid IN ('{message['request']['id']}', "
                          f"'{other['request']['id']}') ORDER BY id")
        return [("t1@example.org" in str(row) or "Teacher One" in str(row) or "teacher1" in str(row),
                 "t2@example.org" in str(row) or "teacher2" in str(row), row[0] != "0") for row in rows]

    assert kept() == [(False, False, False), (False, True, True)]
    assert pair.count("thisyear", f"{{block_navette_restores}} WHERE userid = {out['user']}") == 0
    pair.code("thisyear", """
        \\block_navette\\privacy\\provider::delete_data_for_users(
            new \\core_privacy\\local\\request\\approved_userlist(context_system::instance(), 'block_navette',
                [$DB->get_field('user', 'id', ['username' => 'teacher2'])]));""")
    assert kept() == [(False, False, False), (False, False, False)]
    third = pair.message("EMPTY", request={"mail": "t1@example.org"})
    last = pair.run("thisyear", "import", third).result
    pair.code("thisyear", "\\block_navette\\privacy\\provider::delete_data_for_all_users_in_context("
              "context_system::instance());")
    assert pair.count("thisyear", "{block_navette_restores} WHERE userid IS NOT NULL OR "
                      "request LIKE '%t1@example.org%'") == 0
    # The courses stay, and each request keeps its one.
    assert pair.run("thisyear", "import", message).result["course"] == made["course"]
    for course in (made, second, last):
        pair.delete(course["course"])


# --- a file system that is not the local folder ---

SETUP = "require_once(__DIR__ . '/lib/setup.php');"


@contextlib.contextmanager
def elsewhere(pair, site, never_local):  # noqa: F811
    """The site keeps its files as elsewhere.php says; back again at the end."""
    info = pair.sites[site]
    config = config_php(pair, site)
    data = pathlib.Path(info["data"])
    before = config.read_text()
    code = pair.work / "elsewhere.php"
    shutil.copy(HERE / "elsewhere.php", code)
    code.chmod(0o644)
    (data / "elsewhere").mkdir()
    for path in (data / "filedir").glob("??/??/*"):
        path.rename(data / "elsewhere" / f"{path.name}.object")
    (data / "filedir").rename(data / "filedir.away")

    def own():
        if os.getuid() == 0:
            subprocess.run(["chown", "-R", f"{pair.state['user']}:", data], check=True)

    own()
    config.write_text(before.replace(SETUP, f"""
        $CFG->alternative_file_system_class = 'navette_elsewhere';
        $CFG->navette_never_local = {int(never_local)};
        spl_autoload_register(function ($class) {{
            if ($class === 'navette_elsewhere') {{
                require('{code}');
            }}
        }});
        {SETUP}"""))
    try:
        yield data / "elsewhere"
    finally:
        config.write_text(before)
        shutil.rmtree(data / "filedir", ignore_errors=True)
        (data / "filedir.away").rename(data / "filedir")
        for path in (data / "elsewhere").iterdir():
            sha1 = path.name.split(".")[0]
            folder = data / "filedir" / sha1[:2] / sha1[2:4]
            folder.mkdir(parents=True, exist_ok=True)
            path.rename(folder / sha1)
        (data / "elsewhere").rmdir()
        shutil.rmtree(data / "fetched", ignore_errors=True)
        own()


@pytest.mark.parametrize("never_local", [False, True], ids=["fetched", "copied"])
def test_a_site_that_keeps_its_files_elsewhere_gives_and_takes_courses(pair, never_local):  # noqa: F811
    usual = pair.bring("S", settings={"enrol_requester": False})
    expected = pair.describe("thisyear", usual["course"])
    pair.delete(usual["course"])
    was = pair.exports.pop(("S", False))
    try:
        with elsewhere(pair, "lastyear", never_local):
            export = pair.export("S")
        assert export["bytes"] == was["bytes"] > 0
        assert {f["sha1"] for f in export["files"]} == {f["sha1"] for f in was["files"]}
        for file in export["files"]:
            blob = export["dir"] / "blobs" / f"{file['sha1']}-{file['size']}"
            assert hashlib.sha1(blob.read_bytes()).hexdigest() == file["sha1"]
        with elsewhere(pair, "thisyear", never_local) as objects:
            made = pair.bring("S", settings={"enrol_requester": False})
            assert made["warnings"] == []
            assert differences(expected, pair.describe("thisyear", made["course"])) == {}
            for file in export["files"]:
                kept = (objects / f"{file['sha1']}.object").read_bytes()
                assert hashlib.sha1(kept).hexdigest() == file["sha1"]
            pair.delete(made["course"])
        assert pair.traces("thisyear")["contents"] == 0
    finally:
        pair.exports.pop(("S", False), None)


# --- whose setting counts ---

class PlainFarm(MoodleFarm):
    """The daemons with nothing in the section restore, the producer beside the client's Moodle."""

    def _client_sections(self):
        return {**super()._client_sections(), "restore": {"lease": "5s"}}

    def may_choose(self, user="teacher1"):
        return self.person(user).get("/session")["options"]


@pytest.fixture
def plain_farm(pair, broker, request):  # noqa: F811
    folder = tempfile.mkdtemp(prefix="farm-", dir=pathlib.Path(broker.folder).parent)
    os.chmod(folder, 0o711)
    failures = request.session.testsfailed
    f = PlainFarm(folder, broker, pair, sites={"producer": "thisyear"})
    failed = True
    try:
        yield f
        failed = request.session.testsfailed > failures
    finally:
        f.close(failed)


def category_of(farm, course):
    return farm.pair.query("thisyear", "SELECT g.idnumber FROM {course} c JOIN {course_categories} g "
                           f"ON g.id = c.category WHERE c.id = {course}")[0][0]


def courses_of(farm, user):
    return farm.person(user).get("/courses")["sites"][0]["courses"]


def test_what_is_set_in_moodle_counts_unless_the_daemons_file_has_it(plain_farm):
    farm = plain_farm
    course = farm.pair.courses["HAND"]  # of both teachers
    with contextlib.ExitStack() as settings:
        def put(name, value):
            settings.enter_context(farm.pair.setting("thisyear", name, value, str(int(
                DEFAULTS[name])) if isinstance(DEFAULTS[name], bool) else DEFAULTS[name]))

        put("defaultcategory", "DEF")
        farm.all()
        first = farm.course(farm.submit(course, by="teacher1"))
        assert category_of(farm, first) == "DEF" and "teacher1" in enrolled(farm, first)
        again = farm.person("teacher2").call("POST", "/requests", json={
            "site": farm.site, "course": str(course)})
        assert again.status_code == 409, again.text
        before = farm.may_choose()
        assert not before["choose_category"] and before["enrol_me"] and not before["user_data"]

        for name, value in {"onlyoneremoteinstance": "0", "autoenrol_requester": "0",
                            "defaultcategory": "SCI", "enrollbutton": "0",
                            "restorecourseinoriginalcategory": "1", "defaultcategorychecked": "0",
                            "restoreuserdata": "1", "enrolmentmode": "manual",
                            "checkrequestercapascoursecreate": "0"}.items():
            put(name, value)
        # The last of them that this shows.
        wait.until(lambda: farm.may_choose()["user_data"], lambda: f"followed: {farm.may_choose()}", FOLLOW, 0.5)
        assert farm.may_choose()["choose_category"]
        now = farm.may_choose()
        assert not now["enrol_me"] and not now["keep_category"] and now["user_data"]
        assert now["enrolment"] == "manual"
        second = farm.course(farm.submit(course, by="teacher2"))
        assert category_of(farm, second) == "SCI"
        # Who asked is not enrolled; with the user data comes who taught it.
        assert enrolled(farm, second) == ["teacher1"]

        # Only who holds one of the roles of the setting: teachers of last year are no managers.
        assert courses_of(farm, "teacher1")
        put("search_roles", "manager")
        wait.until(lambda: not courses_of(farm, "teacher1"), "other roles", FOLLOW, 0.5)

        # What the file has goes before, and what it does not have is still Moodle's.
        for d in farm.daemons:
            d.stop()
        farm.settings["restore"] = {"only_one": True, "default_category": "DEF"}
        farm.daemons.clear()
        farm.all()
        assert farm.may_choose()["user_data"] and not farm.may_choose()["enrol_me"]
        third = farm.ask(farm.pair.courses["EMPTY"], user="teacher1", user_data=False)
        made = farm.course(third)
        assert category_of(farm, made) == "DEF" and enrolled(farm, made) == []
        farm.refused(farm.ask(farm.pair.courses["EMPTY"], user="teacher1", user_data=False), "already_restored")
        for one in (first, second, made):
            farm.pair.delete(one)


def test_a_producer_that_can_never_ask_its_moodle_says_so_and_how_to_mend_it(plain_farm):
    if os.getuid() != 0:
        pytest.skip("only root can run a daemon as somebody else")
    farm = plain_farm
    producer = farm.daemon("producer")
    subprocess.run(["chown", "-R", "nobody:", farm.folder], check=True)
    done = subprocess.run(
        ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--",
         f"{daemons.BUILD}/bin/navette-producer", "-c", producer.config_path],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, **daemons.SANITIZERS})
    assert done.returncode == 1, done.stderr
    user = farm.pair.state["user"]
    said = [line for line in done.stderr.splitlines() if "level=error" in line]
    assert len(said) == 1 and f"only root may run Moodle's scripts as {user}" in said[0], done.stderr
    assert "run it as that Moodle's user" in said[0]


# --- rights that Moodle withdraws ---

def launched(web, moodle, block, producer):
    """From the block's button to the producer; a function that asks for the session."""
    way = web.get(f"{moodle}/blocks/navette/launch.php", params={"instance": block}, allow_redirects=False)
    entered = requests.get(producer.url("/launch?" + way.headers["Location"].split("?")[1]),
                           allow_redirects=False, timeout=20)
    assert entered.status_code == 303, entered.text
    cookie = {"Cookie": entered.headers["Set-Cookie"].split(";")[0]}
    return lambda: requests.get(producer.url("/api/v1/session"), headers=cookie, timeout=20)


def test_what_moodle_withdraws_is_gone_from_sessions_that_have_begun(plain_farm):
    farm, pair = plain_farm, plain_farm.pair  # noqa: F811
    url = f"http://127.0.0.1:{ports.free()}"

    def manage(permission):
        pair.code("thisyear", f"assign_capability('block/navette:manage', {permission}, $DB->get_field("
                  "'role', 'id', ['shortname' => 'manager']), SYSCONTEXTID, true);")

    with pair.button(url) as block:
        keys.write_secret(farm.path("launch.secret"), pair.launch_secret())
        producer = farm.daemon("producer")
        producer.configure({
            **producer.config, "launch": {"secret_file": farm.path("launch.secret"),
                                          "issuer": pair.sites["thisyear"]["url"]},
            "producer": {**producer.config["producer"], "base_url": url, "rights_max_age": "2s"}})
        producer.start()
        boss = launched(*signed_in(pair, "manager1"), block, producer)
        teacher = launched(*signed_in(pair, "teacher1"), block, producer)
        assert boss().json()["user"]["admin"] and not teacher().json()["user"]["admin"]
        try:
            manage("CAP_PREVENT")
            wait.until(lambda: not boss().json()["user"]["admin"], "no manager any more", 30, 0.5)
            assert boss().json()["options"]["choose_user_data"], "the other capability stays"
            pair.query("thisyear", "UPDATE {user} SET suspended = 1 WHERE username = 'teacher1'")
            wait.until(lambda: teacher().status_code == 401, "suspended", 30, 0.5)
        finally:
            manage("CAP_ALLOW")
            pair.query("thisyear", "UPDATE {user} SET suspended = 0 WHERE username = 'teacher1'")
        wait.until(lambda: boss().json()["user"]["admin"], "a manager again", 30, 0.5)
        assert teacher().status_code == 401, "an ended session came back"


# --- the end ---

def test_uninstalling_leaves_nothing_in_moodle(pair):  # noqa: F811
    made = pair.bring("EMPTY")
    pair.delete(made["course"])
    block = pair.code("thisyear", """
        $user = $DB->get_field('user', 'id', ['username' => 'teacher1']);
        set_user_preference('message_provider_block_navette_restored_enabled', 'popup', $user);
        get_file_storage()->create_file_from_string(['contextid' => SYSCONTEXTID, 'component' => 'block_navette',
            'filearea' => 'contents', 'itemid' => 1, 'filepath' => '/', 'filename' => 'x'], 'left over');
        $id = $DB->insert_record('block_instances', (object) ['blockname' => 'navette',
            'parentcontextid' => SYSCONTEXTID, 'showinsubcontexts' => 0, 'requiredbytheme' => 0,
            'pagetypepattern' => 'site-index', 'defaultregion' => 'side-pre', 'defaultweight' => 0,
            'timecreated' => 1, 'timemodified' => 1]);
        context_block::instance($id);
        assign_capability('block/navette:manage', CAP_ALLOW, $DB->get_field('role', 'id',
            ['shortname' => 'teacher']), SYSCONTEXTID);
        echo $id;""").split()[-1]
    stored = pair.query("thisyear", "SELECT name, value FROM {config_plugins} WHERE plugin = "
                        "'block_navette' AND name <> 'version'")
    left = {
        "settings": "{config_plugins} WHERE plugin = 'block_navette' OR name LIKE '%block_navette%'",
        "capabilities": "{capabilities} WHERE component = 'block_navette' OR name LIKE 'block/navette:%'",
        "role capabilities": "{role_capabilities} WHERE capability LIKE 'block/navette:%'",
        "files": "{files} WHERE component = 'block_navette'",
        "message providers": "{message_providers} WHERE component = 'block_navette'",
        "preferences": "{user_preferences} WHERE name LIKE '%block_navette%'",
        "blocks": "{block} WHERE name = 'navette'",
        "instances": "{block_instances} WHERE blockname = 'navette'",
        "contexts": f"{{context}} WHERE contextlevel = 80 AND instanceid = {block}",
        "tables": "information_schema.tables WHERE table_name LIKE '%block_navette%' AND "
                  f"table_schema IN ('{'thisyear' if pair.state['db']['type'] == 'mariadb' else 'public'}')",
    }
    # Messages that people got are theirs, and what Moodle logged is its own: both stay.
    before = {name: pair.count("thisyear", where) for name, where in left.items()}
    assert all(before.values()), before
    try:
        pair.php("thisyear", "admin/cli/uninstall_plugins.php", "--plugins=block_navette", "--run")
        found = {name: pair.count("thisyear", where) for name, where in left.items()}
        assert {name: n for name, n in found.items() if n} == {}
    finally:
        subprocess.run([HERE / "pair", "sync", "--dir", pair.state["dir"]], check=True,
                       stdout=subprocess.DEVNULL)
        for name, *value in stored:
            pair.config("thisyear", name, value[0] if value else "")
    assert pair.run("thisyear", "history").result == {"count": 0}


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
