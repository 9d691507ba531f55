# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole Navette for the browser tests: prints one line of JSON when it is there, then does what each
line of its input asks and answers with a line; ends with its input."""
import base64
import hashlib
import hmac
import json
import os
import secrets
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))

# pylint: disable=wrong-import-position
from harness import api, keys, ports, samples, wait, window  # noqa: E402
from harness.farm import Farm  # noqa: E402
from harness.rabbit import Broker  # noqa: E402
from harness.samples import SOURCE  # noqa: E402

SECRET = "a secret for the browser tests, long enough"
MOODLE = "https://moodle.example.org"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Stage:
    def __init__(self, folder):
        self.broker = Broker(os.path.join(folder, "broker"), SOURCE).start()
        self.farm = Farm(os.path.join(folder, "farm"), self.broker,
                         restore={"original_category": True})
        self.url = f"http://127.0.0.1:{ports.free()}"
        farm = self.farm
        keys.write_secret(farm.path("launch.secret"), SECRET)
        producer = farm.daemon("producer")
        producer.configure({
            **producer.config,
            "broker": {**producer.config["broker"],
                       "management_url": f"http://guest@127.0.0.1:{self.broker.management}",
                       "management_password_file": farm.path("admin.password")},
            "restore": {**producer.config["restore"], "original_category": True},
            "producer": {**producer.config["producer"], "base_url": self.url,
                         "listen": self.url.removeprefix("http://"), "catalog_timeout": "2s",
                         "work_dir": farm.path("work", "producer")},
            "store": farm.config("worker", "worker")["store"],
            "launch": {"secret_file": farm.path("launch.secret"), "issuer": MOODLE}})
        producer.start()
        farm.archiver()
        farm.worker()

    def _daemon(self, name):
        return next(d for d in self.farm.daemons if d.name == name)

    # --- what may be asked ---

    def course(self, teachers=("ada",), blobs=1, size=100_000, **names):
        """names: fullname, shortname."""
        remote = self.farm.remote
        number = len(remote._courses) + 1
        course = remote.add(samples.make(self.farm.path("made.mbz"), number, blobs, size), teachers[0])
        remote._courses[-1].update(names)
        remote._roles += [{"user": t, "role": "editingteacher", "course": int(course)}
                          for t in teachers[1:]]
        remote._save()
        return course

    def courses(self, count, teacher):
        """Many small ones of one archive."""
        remote = self.farm.remote
        source = samples.make(self.farm.path("made.mbz"), 1, 0)
        for i in range(count):
            course = remote.add(source, teacher)
            remote._courses[-1].update({"shortname": f"M{i:03}", "fullname": f"Module {i:03}",
                                        "category": 1 + i % 2})
            del remote.sources[course]
        remote._save()
        return count

    def damage(self, course):
        """Cuts its backup in half on the course server."""
        path = self.farm.remote.sources[course]
        os.truncate(path, os.path.getsize(path) // 2)

    def submit(self, course, by="ada"):
        return self.farm.submit(course, by)

    def dead_letter(self):
        """A message to the worker that nobody understands."""
        self.farm.publish(f"restore.{self.farm.client}", b"nonsense",
                          exchange=f"self.{self.farm.client}")

    def site_letter(self):
        """A request that the course server gives up for good; its id."""
        farm = self.farm
        request = farm.ask("9999", "ada")
        farm.wait_state(request, "failed")
        wait.until(lambda: farm.broker.depth(farm.vhost, f"dead.{farm.site}"), "its letter")
        return request

    def site(self):
        return {"site": self.farm.site, "client": self.farm.client}

    def may_create(self, yes):
        """May teachers create courses on the client?  Without, every restore fails."""
        self.farm.local.may_create(yes)

    def away(self, what, yes):
        """What is in the way of all: the folder of the course server's backups, or the client's site."""
        path = {"backups": self.farm.remote.path + "/backups",
                "client": self.farm.local.path + "/site.json"}[what]
        if yes != os.path.exists(path + ".away"):
            os.rename(*((path, path + ".away") if yes else (path + ".away", path)))

    def broken(self, yes):
        """Each restore fails in a way that may pass: where courses go is no folder."""
        path = self.farm.local.path + "/courses"
        if yes == os.path.isfile(path):
            return
        if yes:
            if os.path.exists(path):
                os.rename(path, path + ".away")
            with open(path, "w", encoding="utf-8"):
                pass
        else:
            os.unlink(path)
            if os.path.exists(path + ".away"):
                os.rename(path + ".away", path)

    def delays(self, seconds):
        """How long each delay before a retry is."""
        self.broker.shorten_delays(self.farm.vhost, int(seconds * 1000))

    def all_up(self):
        """What an earlier test has stopped and not started again."""
        for d in self.farm.daemons:
            if not d.running():
                d.start()
        for what in ("backups", "client"):
            self.away(what, False)
        self.broken(False)
        self.delays(0.2)
        self.serve(True)
        self.may_create(True)
        self.enrolment("always")

    def enrolment(self, mode):
        """The site's own enrolment mode."""
        producer = self._daemon("producer")
        restore = producer.config["restore"]
        if restore.get("enrolment", "always") != mode:
            producer.stop()
            producer.configure({**producer.config, "restore": {**restore, "enrolment": mode}})
            producer.start()

    def serve(self, yes):
        """Is the archiver's time window open?  It tells of its courses all the same."""
        self._daemon("archiver").reconfigure("archiver", **(
            window.opened() if yes else window.closed()))

    def forget_sessions(self):
        client = self.farm.redis.client
        return client.delete(*client.keys("nv:kv:session*"))

    def forget_courses(self):
        """The lists that course servers have told, as when they have grown too old."""
        client = self.farm.redis.client
        return client.delete(*client.keys("nv:kv:catalog:*"))

    def rights_are_old(self):
        """Of everybody who came from Moodle; there is none to ask."""
        client = self.farm.redis.client
        for key in client.keys("nv:kv:session*"):
            kept = json.loads(client.get(key))
            if "moodle" in kept:
                kept["moodle"]["checked"] -= 3600_000
                client.set(key, json.dumps(kept), keepttl=True)

    def start(self, name):
        self._daemon(name).start()

    def stop(self, name):
        self._daemon(name).stop()

    def token(self, **changes):
        now = int(time.time())
        claims = {"iss": MOODLE, "aud": self.url, "iat": now, "exp": now + 60,
                  "jti": secrets.token_hex(16), "sub": "ada", "name": "Ada L.",
                  "email": "ada@example.org", "lang": "en", "caps": ["restoreuserdata"], **changes}
        body = ".".join(b64(json.dumps(part).encode())
                        for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        return body + "." + b64(hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).digest())

    def second_site(self):
        """A course server that nobody serves: the producer knows it from its next start."""
        farm, key = self.farm, keys.Key()
        other = farm.site + "-b"
        farm.navette("broker", "apply", broker={
            "uris": [f"amqp://guest@127.0.0.1:{farm.broker.amqp}/{farm.vhost}"],
            "management_url": f"http://guest@127.0.0.1:{farm.broker.management}",
            "management_password_file": farm.path("admin.password"), "clients": [farm.client],
            "sites": [farm.site, other], "credentials_dir": farm.path("credentials")})
        producer = self._daemon("producer")
        producer.configure({**producer.config, "sites": producer.config["sites"] + [
            {"name": other, "label": "The year before", "public_key": key.public}]})

    # --- life ---

    def close(self, failed):
        try:
            self.farm.close(failed)
        finally:
            self.broker.close()


def main():
    folder = tempfile.mkdtemp(prefix="nv-", dir=os.environ.get("NAVETTE_TMP", "/tmp"))
    stage, failed = None, True
    try:
        stage = Stage(folder)
        print(json.dumps({"url": stage.url, "password": api.PASSWORD, "folder": folder}), flush=True)
        for line in sys.stdin:
            wish = json.loads(line)
            if wish["do"] == "end":
                failed = wish["failed"]
                break
            try:
                answer = {"result": getattr(stage, wish["do"])(**wish.get("with", {}))}
            except Exception as e:  # pylint: disable=broad-except
                answer = {"error": repr(e)}
            print(json.dumps(answer), flush=True)
    finally:
        if stage:
            stage.close(failed)
        if not failed and not os.environ.get("NAVETTE_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
