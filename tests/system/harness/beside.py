# SPDX-License-Identifier: GPL-3.0-or-later
"""What a producer sees of the Moodle beside it: a stand-in for PHP and block_navette's script that
answers from a file. Only what the producer asks: versions, settings, rights."""
import json
import os
import sys

SCRIPT = """#!{python} -IS
import json, sys
folder = {folder!r}
told = json.load(open(folder + "/told.json", encoding="utf-8"))
question = json.loads(sys.stdin.readline()) if sys.argv[-1] == "rights" else None
with open(folder + "/asked", "a", encoding="utf-8") as f:
    f.write(json.dumps([sys.argv[-1], question]) + "\\n")
if told["away"]:
    print(json.dumps({{"error": {{"kind": "retry", "reason": "internal", "message": "database away"}}}}))
    sys.exit(75)
if sys.argv[-1] == "rights":
    result = {{"people": [told["people"].get(p["user"], {{"served": False, "caps": []}})
                        for p in question["people"]]}}
elif sys.argv[-1] == "versions":
    result = {{"version": 2024100705, "release": "4.5", "plugins": []}}
else:
    result = {{}}
print(json.dumps({{"result": result}}))
"""


class Beside:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(os.path.join(folder, "moodle/blocks/navette/cli"))
        for name in ("moodle/config.php", "moodle/blocks/navette/cli/navette.php", "asked"):
            with open(os.path.join(folder, name), "w", encoding="utf-8"):
                pass
        self.php = os.path.join(folder, "php")
        with open(self.php, "w", encoding="utf-8") as f:
            f.write(SCRIPT.format(python=sys.executable, folder=folder))
        os.chmod(self.php, 0o755)
        self.told = {"away": False, "people": {}}
        self.say()

    def section(self):
        return {"type": "moodle", "path": os.path.join(self.folder, "moodle"), "php": self.php}

    def say(self, away=False, **people):
        """people: user name to capabilities; None: no such account any more."""
        self.told["away"] = away
        for user, caps in people.items():
            self.told["people"][user] = {"served": caps is not None, "caps": caps or []}
        with open(os.path.join(self.folder, "told.new"), "w", encoding="utf-8") as f:
            json.dump(self.told, f)
        os.rename(f.name, os.path.join(self.folder, "told.json"))

    def questions(self):
        """Whom each question about rights was about: user and block."""
        with open(os.path.join(self.folder, "asked"), encoding="utf-8") as f:
            return [[(p["user"], p["block"]) for p in question["people"]]
                    for word, question in map(json.loads, f) if word == "rights"]
