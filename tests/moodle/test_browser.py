#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A teacher's way in Chromium: the block's button in Moodle, the page, the restored course in Moodle.

    MOODLE_DIR=/path/to/moodle test_browser.py [pytest's options]

The pair is that of test_scripts.py, the daemons those of test_daemons.py; what the browser does is in
launch.mjs.  Screenshots are kept in <build>/screenshots.
"""
import json
import os
import subprocess
import sys

import gate

if __name__ == "__main__":
    gate.leave_if(gate.missing())

import pytest  # noqa: E402

from harness import keys, ports  # noqa: E402
from test_daemons import LONG, MoodleFarm, broker, removed_afterwards  # noqa: E402, F401
from test_scripts import pair  # noqa: E402, F401

pytestmark = gate.mark(gate.missing())


def test_a_teacher_comes_from_moodles_button_and_opens_the_restored_course(pair, broker, tmp_path):  # noqa: F811
    url = f"http://127.0.0.1:{ports.free()}"
    moodle = pair.sites["thisyear"]["url"]
    folder = os.path.join(broker.folder, "..", "farm")
    # The tours of a new site lie over its pages.
    pair.code("thisyear", "$DB->set_field('tool_usertours_tours', 'enabled', 0); purge_all_caches();")
    with pair.button(url):
        farm = MoodleFarm(os.path.abspath(folder), broker, pair,
                          restore={"default_category": "DEF", "only_one": True})
        os.chmod(farm.folder, 0o711)
        failed = True
        try:
            keys.write_secret(farm.path("launch.secret"), pair.launch_secret())
            producer = farm.daemon("producer")
            producer.configure({
                **producer.config,
                "producer": {**producer.config["producer"], "base_url": url, "catalog_ttl": "1h",
                             "listen": url.removeprefix("http://")},
                "launch": {"secret_file": farm.path("launch.secret"), "issuer": moodle}})
            producer.start()
            farm.archiver()
            farm.worker()
            with removed_afterwards(farm):
                told = tmp_path / "told.json"
                done = subprocess.run(
                    ["node", os.path.join(gate.HERE, "launch.mjs")], timeout=LONG, check=False,
                    env={**os.environ, "NAVETTE_WAY": json.dumps({
                        "url": url, "moodle": moodle, "site": farm.site, "password": pair.state["password"],
                        "user": "teacher1", "course": str(pair.courses["HAND"]),
                        "told": str(told)})})
                told = json.loads(told.read_text(encoding="utf-8")) if told.exists() else {}
                if told:
                    farm.requests[told["request"]] = str(pair.courses["HAND"])
                assert done.returncode == 0
                assert told["course"] == int(farm.course(told["request"]))
            failed = False
        finally:
            farm.close(failed)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
