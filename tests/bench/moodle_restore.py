#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""One course between two real Moodles: Navette, the older block, and Moodle's own backup, copy and restore.

    MOODLE_DIR=DIR NAVETTE_BUILD=build/bench /usr/bin/python3 tests/bench/moodle_restore.py
        [--rounds N] [--courses S,M,FILES] [--cases first,again,there] [--who navette,later,block,plain,floor]

MOODLE_DIR is a clean Moodle tree with the block my_external_backup_restore_courses in blocks/ (NAVETTE_PAIR: a
pair that runs already, made with it).  Courses: S and M as Moodle's generator makes them (10 and 100 MB), FILES:
M and 30 files of 30 MiB, of bytes that nothing compresses.  Cases: first, nothing of the course is anywhere but on
the course server; again, it was brought before and has changed a little since (1 MiB and a section); there, the
client's Moodle has all its files and the staging store is empty.

Who: navette, with its staging store behind nginx (WebDAV, without TLS), from the API's call to "restored"; later, the same
whose worker fetches nothing before the whole archive is ready (worker.ahead 0); block,
from the start of its scheduled task to its end; plain, Moodle's command-line backup, cp and restore; floor, the
seconds Moodle itself needs to export without contents and to import contents it has already.  All are measured
in turn in each round, in one run.  Writes results/moodle_restore.json: what was measured replaces that course's case
there, the rest stays; each case names its machine."""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "system"), os.path.join(HERE, "..", "moodle")]
# pylint: disable=wrong-import-position
import measure  # noqa: E402
from harness import samples, staging  # noqa: E402
from harness.rabbit import Broker  # noqa: E402
from test_daemons import MoodleFarm  # noqa: E402
from test_scripts import HERE as MOODLE_TESTS, standing_pair  # noqa: E402

SEED = "my_external_backup_restore_courses"
COURSES = {"S": ("S", 0, 0), "M": ("M", 0, 0), "FILES": ("M", 30, 30)}
LIMIT = 600  # seconds
NAVETTE = {"navette": {}, "later": {"ahead": 0}}  # contenders and their settings of the worker


class Bench:
    def __init__(self, pair, folder):
        self.pair, self.folder = pair, folder
        self.client, self.server = pair.sites["thisyear"], pair.sites["lastyear"]
        self.category = self.client["fixture"]["categories"]["DEF"]
        for site in pair.sites.values():
            shutil.copy(os.path.join(HERE, "moodle_work.php"), f"{site['moodle']}/navette_bench.php")
        self.changes = int(time.time())
        self.farm, self.record = None, None

    # --- the sites ---

    def work(self, site, *args):
        return json.loads(self.pair.php(site, "navette_bench.php", *args).splitlines()[-1])

    def made(self, name):
        size, files, mib = COURSES[name]
        return self.work("lastyear", "course", f"BENCH-{name}", size, files, mib)

    def empty_client(self):
        """No course, and no content that only a course had."""
        self.pair.code("thisyear", "require_once($CFG->dirroot . '/course/lib.php');"
                       "$CFG->forced_plugin_settings['tool_recyclebin']['categorybinenable'] = 0;"
                       "foreach ($DB->get_records_select('course', 'id > 1') as $c) "
                       "{ delete_course($c, false); } fix_course_sortorder();"
                       "$DB->delete_records('block_navette_restores');"
                       "if ($DB->get_manager()->table_exists('block_external_backuprestore'))"
                       "{ $DB->delete_records('block_external_backuprestore'); }"
                       # What is in somebody's trash or drafts is in the pool as well.
                       "set_config('fileslastcleanup', 0); get_file_storage()->cron();"
                       "foreach ($DB->get_records_select('files', \"component = 'user' AND filesize > 0\") as $f)"
                       "{ get_file_storage()->get_file_instance($f)->delete(); }")
        data = self.client["data"]
        subprocess.run(["sh", "-c", f"rm -rf {data}/trashdir/* {data}/temp/backup/*"], check=True)

    def change(self, course):
        self.changes += 1
        self.work("lastyear", "change", course, self.changes)

    # --- who brings the course ---

    def roots(self):
        pids = [entry[0] for entry in self.pair.state["pids"].values()]
        if self.farm:
            pids += [d.child.pid for d in self.farm.daemons] + [self.staging.child.pid]
        return pids + [os.getpid()]

    def start_navette(self, broker, **worker):
        """Anew for each run, but in service: it has brought one small course, so that PHP's scripts are compiled.
        The older block and Moodle's commands have no such place to keep them."""
        self.farm = MoodleFarm(tempfile.mkdtemp(prefix="farm-", dir=self.folder), broker, self.pair,
                               log={"level": "info"}, restore={"default_category": "DEF", "only_one": False})
        os.chmod(self.farm.folder, 0o711)
        self.staging = staging.of_farm(self.farm, tls=False)
        for role in ("archiver", "worker"):
            daemon = staging.daemon(self.farm, role, self.staging)
            daemon.config[role] |= worker if role == "worker" else {}
            daemon.configure(daemon.config)
            daemon.start()
        self.farm.producer()
        self.navette(self.pair.courses["XS"])

    def navette(self, course):
        request = self.farm.submit(course, by="teacher1")
        end = time.monotonic() + LIMIT
        while self.farm.redis.client.hget(f"nv:req:{request}", "state") not in (b"restored", b"failed"):
            assert time.monotonic() < end, "not restored"
            time.sleep(0.005)
        self.record = self.farm.record(request)
        assert self.record["state"] == "restored", self.record

    def block_begins(self):
        """What its own install script does, and what its administrator sets."""
        token = self.pair.code("lastyear", f"""
            require_once($CFG->libdir . '/clilib.php');
            require_once($CFG->libdir . '/externallib.php');
            require_once($CFG->dirroot . '/blocks/{SEED}/locallib.php');
            $DB->delete_records('external_tokens');
            set_config('enablewebservices', 1);
            set_config('webserviceprotocols', 'rest');
            set_config('search_roles', 'editingteacher', 'block_{SEED}');
            $role = $DB->get_record('role', ['shortname' => 'block_{SEED}_ws']);
            echo "\\n", block_{SEED}_tools::install_webservice_moodle_server();""").split()[-1]
        self.pair.code("lastyear", """
            foreach ($DB->get_records('role') as $role) {
                if (strpos($role->shortname, 'restore') !== false || strpos($role->shortname, 'external') !== false) {
                    assign_capability('webservice/rest:use', CAP_ALLOW, $role->id, context_system::instance(), true);
                }
            } accesslib_clear_all_caches(true);""")
        self.pair.code("thisyear", f"""
            set_config('external_moodles', '{self.server["url"]},{token}', 'block_{SEED}');
            set_config('defaultcategory', {self.category}, 'block_{SEED}');
            set_config('search_roles', 'editingteacher', 'block_{SEED}');
            set_config('onlyoneremoteinstance', 0, 'block_{SEED}');
            set_config('curlsecurityblockedhosts', '');
            set_config('curlsecurityallowedport', "80\\n443\\n{self.server["port"]}");""")

    def block(self, course):
        self.pair.code("thisyear", f"""
            $DB->insert_record('block_external_backuprestore', (object) ['userid' => $DB->get_field('user', 'id',
                ['username' => 'teacher1']), 'externalcourseid' => {course}, 'externalcoursename' => 'Bench',
                'externalmoodleurl' => '{self.server["url"]}', 'internalcategory' => 0, 'status' => 0,
                'withuserdatas' => 0, 'enrolmentmode' => 2, 'timecreated' => time(), 'timemodified' => time()]);""")
        began = time.perf_counter()
        self.pair.php("thisyear", "admin/cli/scheduled_task.php",
                      f"--execute=\\block_{SEED}\\task\\backup_restore_task")
        took = time.perf_counter() - began
        row, = self.pair.query("thisyear", "SELECT status, courseid FROM {block_external_backuprestore} "
                               "ORDER BY id DESC LIMIT 1")
        assert row[0] == "2", row
        return took, row[1]

    def plain(self, course):
        there, here = self.pair.folder("plain") / "there.mbz", self.pair.folder("plain") / "here.mbz"
        self.pair.php("lastyear", "navette_plain.php", "backup", course, there, "nousers")
        subprocess.run(["cp", there, here], check=True)
        made = self.pair.php("thisyear", "navette_plain.php", "restore", here, self.category, "nousers")
        there.unlink()
        here.unlink()
        return made.split()[-1]

    def floor(self, course):
        """Moodle's seconds: (export, import)."""
        tree = self.pair.folder("floor")
        out = self.work("lastyear", "export", course, tree)
        made = self.work("thisyear", "import", out["tree"], self.category)
        assert not made["missing"], "the floor needs the contents in the client's pool"
        subprocess.run(["rm", "-rf", tree], check=True)
        self.pair.delete(made["course"])
        return out["seconds"], made["seconds"]

    # --- one measurement ---

    def run(self, who, course, case, broker):
        self.empty_client()
        if who in NAVETTE:
            self.start_navette(broker, **NAVETTE[who])
        try:
            if case != "first":
                self.bring(who, course)
            if case == "again":
                self.change(course)
            if case == "there" and who in NAVETTE:
                shutil.rmtree(self.staging.root)
                os.mkdir(self.staging.root)
            os.sync()
            before = self.store_bytes()
            with measure.Usage(self.roots()) as usage:
                seconds = self.bring(who, course)
            figures = {"seconds": round(seconds, 3), **usage.figures}
            if who in NAVETTE:
                figures["moved"] = self.moved(before)
                figures["phases_s"] = self.phases()
            return figures
        finally:
            if self.farm:
                self.farm.close(failed=False)
                self.staging.close()
                shutil.rmtree(self.farm.folder, ignore_errors=True)
                self.farm = None

    def bring(self, who, course):
        if who == "block":
            return self.block(course)[0]
        began = time.perf_counter()
        getattr(self, "navette" if who in NAVETTE else who)(course)
        return time.perf_counter() - began

    def phases(self):
        """What the request spent its time on, as its record says it."""
        return {field.removeprefix("spent_"): int(ms) / 1000 for field, ms in sorted(self.record.items())
                if field.startswith("spent_")}

    def store_bytes(self):
        """What came to the store and went from it, by its log."""
        total = {"PUT": 0, "GET": 0}
        if self.farm:
            path = os.path.join(self.staging.folder, "access.log")
            with open(path, encoding="utf-8") as f:
                for line in f:
                    method = line.split('"')[1].split()[0]
                    if method == "GET":
                        total["GET"] += int(line.split('"')[2].split()[1])
            total["PUT"] = sum(self.staging.objects().values())
        return total

    def moved(self, before):
        after = self.store_bytes()
        return {"into_store": after["PUT"] - before["PUT"], "out_of_store": after["GET"] - before["GET"]}


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--courses", default="S,M,FILES")
    parser.add_argument("--cases", default="first,again,there")
    parser.add_argument("--who", default="navette,block,plain,floor")
    parser.add_argument("--no-save", action="store_true")
    return parser.parse_args()


def tell(text):
    print(text, flush=True)


def rounds(bench, broker, chosen, course):
    """{case: {who: [figures]}}, and the floors."""
    found, floors = {case: {} for case in chosen.cases.split(",")}, []
    who = [w for w in chosen.who.split(",") if w != "floor"]
    for number in range(chosen.rounds):
        for case in found:
            for w in who[number % len(who):] + who[:number % len(who)]:
                figures = bench.run(w, course["course"], case, broker)
                found[case].setdefault(w, []).append(figures)
                tell(f"  {number + 1} {case:6} {w:8} {figures}")
        if "floor" in chosen.who:
            # The contents are there from the last of the round.
            if not bench.pair.count("thisyear", "{course} WHERE id > 1"):
                bench.plain(course["course"])
            floors.append(bench.floor(course["course"]))
            tell(f"  {number + 1} floor           export {floors[-1][0]:.2f} import {floors[-1][1]:.2f}")
    return found, floors


def summary(found, floors, course, machine):
    out = {"bytes": course["bytes"], "cases": {}}
    if floors:
        out["floor_s"] = {"machine": machine, "export": measure.spread([f[0] for f in floors]),
                          "import": measure.spread([f[1] for f in floors]),
                          "both": measure.spread([sum(f) for f in floors])}
    for case, by_who in found.items():
        o = out["cases"][case] = {"machine": machine, "runs": by_who}
        o["seconds"] = {w: measure.spread([f["seconds"] for f in runs]) for w, runs in by_who.items()}
        mine = by_who.get("navette")
        if not mine:
            continue
        o["ratios"] = {f"{w} / navette": measure.spread([b["seconds"] / a["seconds"] for a, b in zip(mine, runs)])
                       for w, runs in by_who.items() if w != "navette"}
        if floors:
            o["ratios"]["navette / floor"] = measure.spread(
                [a["seconds"] / sum(f) for a, f in zip(mine, floors)])
        o["phases_s"] = {phase: measure.spread([f["phases_s"].get(phase, 0) for f in mine])
                         for phase in sorted({p for f in mine for p in f["phases_s"]})}
        for w, runs in by_who.items():
            o["ratios"][f"{w} written / course"] = measure.spread(
                [f["written_mb"] * 1e6 / course["bytes"] for f in runs])
    return out


def main():
    chosen = options()
    with contextlib.ExitStack() as stack:
        pair = stack.enter_context(standing_pair())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nv-", dir=measure.place()))
        os.chmod(folder, 0o711)
        broker = Broker(os.path.join(folder, "broker"), samples.SOURCE).start()
        stack.callback(broker.close)
        bench = Bench(pair, folder)
        if "block" in chosen.who:
            bench.block_begins()
        shutil.copy(pathlib.Path(MOODLE_TESTS) / "plain.php", f"{pair.sites['thisyear']['moodle']}/navette_plain.php")
        document, machine = {"benchmark": "moodle_restore", "courses": {}}, measure.machine(**measure.versions())
        for name in chosen.courses.split(","):
            course = bench.made(name)
            tell(f"{name}: {course['bytes'] / 1e6:.0f} MB")
            found, floors = rounds(bench, broker, chosen, course)
            document["courses"][name] = summary(found, floors, course, machine)
            for case, o in document["courses"][name]["cases"].items():
                tell(f"{name} {case}: {json.dumps(o['seconds'])}\n    {json.dumps(o.get('ratios'))}")
            if not chosen.no_save:
                tell(measure.save("moodle_restore", document, depth=4))


if __name__ == "__main__":
    measure.end_with_children()
    main()
