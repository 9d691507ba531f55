# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands for a Moodle where a test needs `site.type: moodle` but no Moodle: "PHP" is a small
program that answers as the plugin's script would (moodle/PROTOCOL.md) and as the test tells it to."""
import json
import os
import sys

from . import samples

_PHP = """#!{python}
import json, os, sys
here = os.path.dirname(os.path.abspath(__file__))
operation = sys.argv[-1]
with open(os.path.join(here, "trouble.json")) as f:
    trouble = json.load(f)
with open(os.path.join(here, "calls"), "a") as f:
    f.write(operation + "\\n")
if trouble and trouble.get("only") in (None, operation):
    if trouble.get("printed"):
        print(trouble["printed"], file=sys.stderr)
    if trouble.get("error"):
        print(json.dumps({{"error": trouble["error"]}}))
    sys.exit(75)
question = {{}}
if operation in ("catalog", "export", "enrol", "find", "preflight", "import", "notify"):
    question = json.loads(sys.stdin.readline())
if operation == "export":
    skeleton = os.path.join(question["work_dir"], "backup")
    for name, text in json.load(open(os.path.join(here, "skeleton.json"))).items():
        os.makedirs(os.path.dirname(os.path.join(skeleton, name)), exist_ok=True)
        with open(os.path.join(skeleton, name), "w") as f:
            f.write(text)
    print(json.dumps({{"result": {{"shortname": "C1", "fullname": "Course 1", "category": None,
        "moodle_version": "2024100705", "user_data": False, "skeleton": skeleton, "files": 0, "bytes": 0}}}}))
elif operation == "catalog":
    course = {{"course": "1", "shortname": "C1", "fullname": "Course 1", "role": "editingteacher",
        "modules": [{{"name": "chat", "count": 2}}, {{"name": "page", "count": 1}}]}}
    print(json.dumps({{"course": course}}))
    print(json.dumps({{"result": {{"status": "ok", "error": None, "moodle_version": 2024100705, "at": 1,
        "count": 1}}}}))
elif operation == "versions":
    print(json.dumps({{"result": {{"version": 2024100705, "plugins": [
        {{"name": "mod_page", "version": 1}}]}}}}))
else:
    print(json.dumps({{"result": {{}}}}))
"""


class Moodle:
    """A course server with one course, 1, which everybody teaches."""

    def __init__(self, path):
        self.path = path
        self._write("moodle/config.php", "")
        self._write("moodle/blocks/navette/cli/navette.php", "")
        self._write("php", _PHP.format(python=sys.executable))
        os.chmod(os.path.join(path, "php"), 0o755)
        self._write("skeleton.json", json.dumps(samples.skeleton(1)))
        self.trouble(None)

    def _write(self, name, text):
        path = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def section(self):
        return {"type": "moodle", "path": os.path.join(self.path, "moodle"), "user": "",
                "php": os.path.join(self.path, "php"), "timeout": "20s"}

    def trouble(self, reason, message="trouble", printed=None, only=None):
        """Every call (of one operation only) fails so from now on.  reason None: none does; "": it ends
        without an answer."""
        error = {"kind": "retry", "reason": reason, "message": message} if reason else None
        self._write("trouble.json", json.dumps(
            None if reason is None else {"error": error, "printed": printed, "only": only}))

    def calls(self, operation):
        """How often it was asked for this."""
        path = os.path.join(self.path, "calls")
        if not os.path.exists(path):
            return 0
        with open(path, encoding="utf-8") as f:
            return f.read().split().count(operation)
