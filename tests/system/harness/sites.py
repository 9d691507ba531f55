# SPDX-License-Identifier: GPL-3.0-or-later
"""The course server and the client as folders (core/site/README.md)."""
import json
import os
import shutil

VERSION = 2024100705
TEACHERS = {"ada": "Ada L.", "emmy": "Emmy N."}
CATEGORIES = [{"id": 1, "idnumber": "SCI", "name": "Sciences"},
              {"id": 2, "idnumber": "restored", "name": "Restored courses"}]


def _users():
    return [{"username": u, "name": n, "email": f"{u}@example.org", "lang": "en",
             "can_create_in": ["*"]} for u, n in TEACHERS.items()]


def _write(path, content):
    with open(path + ".new", "w", encoding="utf-8") as f:
        json.dump(content, f, indent=1)
    os.rename(path + ".new", path)


class CourseServer:
    """Its courses have the ids 1, 2, 3 …; the teacher is ada unless told otherwise."""

    def __init__(self, path):
        self.path = path
        self.sources = {}
        self._courses, self._roles, self._users = [], [], _users()
        os.makedirs(os.path.join(path, "backups"))
        self._save()

    def _save(self):
        _write(os.path.join(self.path, "site.json"), {
            "name": "Last year", "moodle_version": VERSION, "categories": CATEGORIES,
            "users": self._users, "roles": self._roles, "courses": self._courses})

    def add_user(self, name):
        """Somebody whom the client does not know."""
        self._users.append({"username": name, "name": name.title(),
                            "email": f"{name}@example.org", "lang": "en"})
        self._save()

    def add(self, source, teacher="ada", **more):
        """source: an archive, which is copied; more: as in site.json; the new course's id."""
        number = len(self._courses) + 1
        name = f"{number}.mbz"
        shutil.copyfile(source, os.path.join(self.path, "backups", name))
        self.sources[str(number)] = os.path.join(self.path, "backups", name)
        self._courses.append({"id": number, "file": name, "category": 1, **more})
        self._roles.append({"user": teacher, "role": "editingteacher", "course": number})
        self._save()
        return str(number)


class Client:
    def __init__(self, path):
        self.path = path
        os.makedirs(path)
        _write(os.path.join(path, "site.json"), {
            "name": "This year", "moodle_version": VERSION, "categories": CATEGORIES,
            "users": _users(), "roles": [], "courses": []})

    def _names(self, folder):
        try:
            return sorted(os.listdir(os.path.join(self.path, folder)))
        except FileNotFoundError:
            return []

    def courses(self):
        """The restored courses' ids (those of their requests)."""
        return self._names("courses")

    def course(self, request):
        with open(os.path.join(self.path, "courses", request, "course.json"),
                  encoding="utf-8") as f:
            return json.load(f)

    def _change(self, change):
        path = os.path.join(self.path, "site.json")
        with open(path, encoding="utf-8") as f:
            site = json.load(f)
        change(site)
        _write(path, site)

    def may_create(self, yes):
        """May teachers create courses here?  Without, every restore fails."""
        def change(site):
            for user in site["users"]:
                user["can_create_in"] = ["*"] if yes else []
        self._change(change)

    def plugins(self, *names):
        """These are installed, and known to be."""
        self._change(lambda site: site.update(plugins=[{"name": n, "version": 1} for n in names]))

    def archive(self, request):
        return os.path.join(self.path, "courses", request, "backup.mbz")

    def mail(self, request=""):
        return [n for n in self._names("mail") if n.startswith(request)]

    def leftovers(self):
        return self._names("tmp")
