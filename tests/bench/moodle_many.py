#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many mixed courses queued at once between two real Moodles: Navette with 1, 2 and 4 workers, and the older block.

    MOODLE_DIR=DIR NAVETTE_BUILD=build/bench /usr/bin/python3 tests/bench/moodle_many.py
        [--rounds N] [--courses 8,32] [--workers 1,2,4] [--who navette,block]

Half of the courses are of 10 MB, half of 100 MB, as Moodle's generator makes them, each of its own; with 32 each of
the eight is brought four times (the older block then has its archive made anew each time; Navette its files in the
store).  From the first request to the last course restored; one archiver, two jobs at once in each daemon, the store
behind nginx.  Otherwise as in moodle_restore.py.  Writes results/moodle_many.json: each number of courses replaces
that one there."""
import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "system"), os.path.join(HERE, "..", "moodle")]
# pylint: disable=wrong-import-position
import measure  # noqa: E402
from harness import samples, staging  # noqa: E402
from harness.rabbit import Broker  # noqa: E402
from moodle_restore import LIMIT, SEED, Bench  # noqa: E402
from test_scripts import standing_pair  # noqa: E402


class Many(Bench):
    def courses(self):
        return [self.work("lastyear", "course", f"BENCH-{size}-{n}", size, 0, 0)["course"]
                for n in range(4) for size in ("S", "M")]

    def navette_all(self, wanted, workers):
        for n in range(1, workers):
            staging.daemon(self.farm, "worker", self.staging, name=f"worker-{n}").start()
        os.sync()
        with measure.Usage(self.roots()) as usage:
            began = time.perf_counter()
            requests = [self.farm.submit(course, by="teacher1") for course in wanted]
            client = self.farm.redis.client
            waiting = set(requests)
            while waiting:
                assert time.perf_counter() - began < LIMIT, "not restored"
                for request in list(waiting):
                    state = client.hget(f"nv:req:{request}", "state")
                    assert state != b"failed", self.farm.record(request)
                    if state == b"restored":
                        waiting.remove(request)
                time.sleep(0.1)  # whoever asks more often takes from those who are measured
            seconds = time.perf_counter() - began
        return {"seconds": round(seconds, 3), **usage.figures}

    def block_all(self, wanted):
        rows = ", ".join(f"[{n}, {course}]" for n, course in enumerate(wanted))
        self.pair.code("thisyear", f"""
            foreach ([{rows}] as [$n, $course]) {{
                $DB->insert_record('block_external_backuprestore', (object) ['userid' => $DB->get_field('user', 'id',
                    ['username' => 'teacher1']), 'externalcourseid' => $course, 'externalcoursename' => "Bench $n",
                    'externalmoodleurl' => '{self.server["url"]}', 'internalcategory' => 0, 'status' => 0,
                    'withuserdatas' => 0, 'enrolmentmode' => 2, 'timecreated' => time(), 'timemodified' => time()]);
            }}""")
        os.sync()
        with measure.Usage(self.roots()) as usage:
            began = time.perf_counter()
            self.pair.php("thisyear", "admin/cli/scheduled_task.php",
                          f"--execute=\\block_{SEED}\\task\\backup_restore_task")
            seconds = time.perf_counter() - began
        done = self.pair.query("thisyear", "SELECT COUNT(*) FROM {block_external_backuprestore} WHERE status = 2")
        assert int(done[0][0]) == len(wanted), done
        return {"seconds": round(seconds, 3), **usage.figures}

    def once(self, who, wanted, workers, broker):
        self.empty_client()
        if who == "block":
            return self.block_all(wanted)
        self.start_navette(broker)
        try:
            return self.navette_all(wanted, workers)
        finally:
            self.farm.close(failed=False)
            self.staging.close()
            shutil.rmtree(self.farm.folder, ignore_errors=True)
            self.farm = None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--courses", default="8,32")
    parser.add_argument("--workers", default="1,2,4")
    parser.add_argument("--who", default="navette,block")
    parser.add_argument("--no-save", action="store_true")
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        pair = stack.enter_context(standing_pair())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nv-", dir=measure.place()))
        os.chmod(folder, 0o711)
        broker = Broker(os.path.join(folder, "broker"), samples.SOURCE).start()
        stack.callback(broker.close)
        bench = Many(pair, folder)
        if "block" in chosen.who:
            bench.block_begins()
        courses = bench.courses()
        who = [("navette", int(n)) for n in chosen.workers.split(",")] if "navette" in chosen.who else []
        who += [("block", 1)] if "block" in chosen.who else []
        document, machine = {"benchmark": "moodle_many", "queued": {}}, measure.machine(**measure.versions())
        for count in map(int, chosen.courses.split(",")):
            wanted = (courses * (count // len(courses) + 1))[:count]
            runs = {f"{w}, {n} worker{'s' * (n > 1)}" if w == "navette" else w: [] for w, n in who}
            for r in range(chosen.rounds):
                for k in range(len(who)):
                    w, n = who[(k + r) % len(who)]
                    name = list(runs)[(k + r) % len(who)]
                    runs[name].append(bench.once(w, wanted, n, broker))
                    print(f"  {count} {r + 1} {name:20} {runs[name][-1]}", flush=True)
            o = document["queued"][str(count)] = {"machine": machine, "runs": runs, "seconds": {
                name: measure.spread([f["seconds"] for f in found]) for name, found in runs.items()}}
            if "block" in runs:
                o["ratios"] = {f"block / {name}": measure.spread([b["seconds"] / f["seconds"] for f, b in zip(
                    found, runs["block"])]) for name, found in runs.items() if name != "block"}
            print(count, json.dumps(o["seconds"]), json.dumps(o.get("ratios")), flush=True)
            if not chosen.no_save:
                print(measure.save("moodle_many", document, depth=2), flush=True)


if __name__ == "__main__":
    measure.end_with_children()
    main()
