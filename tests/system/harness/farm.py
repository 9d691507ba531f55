# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole Navette in a temporary folder: course server, client, broker, Redis, store, daemons.

What is short here and long in life, so that tests end: the lease of a claim (5 s, the shortest there
is) and the delays before a retry (Broker.shorten_delays). Nothing else is changed."""
import itertools
import json
import os
import shutil
import subprocess
import time

from . import api, daemon, keys, mbz, processes, redis_server, sites, wait, wire

_numbers = itertools.count(1)
FINAL = ("restored", "failed", "cancelled")
LEASE = 5


class Farm:
    def __init__(self, folder, broker, retry_ms=200, status=redis_server.RedisServer, **settings):
        """settings: by section of the configuration, e.g. worker={"slots": 4}; for all daemons."""
        number = next(_numbers)
        self.folder, self.broker, self.settings = folder, broker, settings
        self.client, self.site = f"this-year-{number}", f"last-year-{number}"
        self.vhost = f"navette-{number}"
        os.makedirs(folder, exist_ok=True)
        self.keys = {"client": keys.Key(), "site": keys.Key()}
        for who, key in self.keys.items():
            key.write(self.path(f"{who}.key"))
        self.remote = sites.CourseServer(self.path("remote"))
        self.local = sites.Client(self.path("local"))
        os.makedirs(self.path("store"))
        self.redis = status(self.path("redis")).start()
        self.daemons = []
        self.requests = {}  # id → course on the course server
        self._people = {}
        self.make_topology()
        broker.shorten_delays(self.vhost, retry_ms)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def make_topology(self):
        self.broker.make_vhost(self.vhost)
        keys.write_secret(self.path("admin.password"), "guest")
        self.navette("broker", "apply", broker=self.operator())

    def operator(self):
        """The section broker of whoever looks after it."""
        return {"uris": [f"amqp://guest@127.0.0.1:{self.broker.amqp}/{self.vhost}"],
                "replicas": len(self.broker.addresses),
                "management_url": f"http://guest@127.0.0.1:{self.broker.management}",
                "management_password_file": self.path("admin.password"),
                "clients": [self.client], "sites": [self.site],
                "credentials_dir": self.path("credentials")}

    def navette(self, *args, **sections):
        """The operator's command; what it prints."""
        config = daemon.write_configuration(self.path("navette.yaml"), sections)
        done = subprocess.run([os.path.join(daemon.BUILD, "bin", "navette"), *args, "-c", config],
                              env={**os.environ, **daemon.SANITIZERS}, capture_output=True,
                              text=True, timeout=120, check=False)
        assert done.returncode == 0, f"navette {args}: {done.stdout}{done.stderr}"
        return done.stdout

    # --- configurations ---

    def config(self, role, name):
        owner = self.site if role == "archiver" else self.client
        user = f"{role}.{owner}"
        who = "site" if role == "archiver" else "client"
        sections = {
            "log": {"level": "debug", "people": True},
            "identity": {who: owner, "key_file": self.path(f"{who}.key")},
            "broker": {"uris": [f"amqp://{user}@{a}/{self.vhost}" for a in self.broker.addresses],
                       "password_file": self.path("credentials", f"{user}.password"),
                       "heartbeat": "2s", "timeout": "5s"},
            "store": {"type": "directory", "path": self.path("store"), "grace": "1m"},
        }
        sections.update(getattr(self, f"_{role}_sections")(name))
        for section, changes in self.settings.items():
            if section in sections:
                sections[section] = {**sections[section], **changes}
        return sections

    def _work(self, name):
        return {"work_dir": self.path("work", name), "listen": "127.0.0.1:0", "stop_timeout": "10s"}

    def _archiver_sections(self, name):
        return {"site": {"type": "folder", "path": self.remote.path},
                "archiver": self._work(name),
                "clients": [{"name": self.client, "public_key": self.keys["client"].public,
                             "user_data": True, "without_user": True}]}

    def _client_sections(self):
        return {"redis": self.redis.section(),
                "sites": [{"name": self.site, "public_key": self.keys["site"].public}],
                "restore": {"lease": f"{LEASE}s", "default_category": "restored"}}

    def _worker_sections(self, name):
        return {**self._client_sections(), "worker": self._work(name),
                "site": {"type": "folder", "path": self.local.path}}

    def _producer_sections(self, name):
        return {**self._client_sections(),
                "producer": {"listen": "127.0.0.1:0", "metrics_listen": "localhost:0",
                             "catalog_ttl": "0s", "sweep_after": "1s",
                             "work_dir": self.path("work", name),
                             "accounts_file": api.write_accounts(self.path(f"{name}.accounts"))}}

    # --- daemons ---

    def daemon(self, role, name=None):
        name = name or role
        d = daemon.Daemon(self, role, name, self.config(role, name))
        self.daemons.append(d)
        return d

    def archiver(self, name="archiver", **env):
        return self.daemon("archiver", name).start(**env)

    def worker(self, name="worker", **env):
        return self.daemon("worker", name).start(**env)

    def producer(self, name="producer", **env):
        return self.daemon("producer", name).start(**env)

    def all(self):
        """One of each."""
        return self.producer(), self.archiver(), self.worker()

    def roles(self, role):
        return [d for d in self.daemons if d.role == role]

    # --- asking, as people do ---

    def person(self, user="ada"):
        """Their API client (harness/api.py)."""
        if user not in self._people:
            self._people[user] = api.Api(lambda: self.roles("producer")[0].url(""), user)
        return self._people[user]

    def submit(self, course, by="ada", **options):
        """By the API; the request's id."""
        request = self.person(by).submit(self.site, course, **options)
        self.requests[request] = str(course)
        return request

    # --- asking, by wire ---

    def publish(self, queue, data, exchange=None, headers=None):
        """As the client's own producer does: from its exchange."""
        import pika
        with self.broker.connect(self.vhost) as c:
            channel = c.channel()
            channel.confirm_delivery()
            channel.basic_publish(exchange or f"from.{self.client}", queue, data,
                                  pika.BasicProperties(delivery_mode=2, headers=headers),
                                  mandatory=True)

    def ask(self, course, user="ada", **changes):
        """A restore.request by wire, without the producer; its id."""
        body = wire.restore_request(self.site, course, user, **changes)
        envelope = wire.seal("restore.request", body, self.keys["client"], f"client:{self.client}")
        self.requests[body["id"]] = str(course)
        self.publish(f"archive.{self.site}" + (".now" if body["now"] else ""), envelope)
        return body["id"]

    # --- what became of it ---

    def record(self, request):
        """The status record, or {}."""
        fields = self.redis.client.hgetall(f"nv:req:{request}")
        fields.pop(b"request", None)  # msgpack
        return {k.decode(): v.decode() for k, v in fields.items()}

    def state(self, request):
        value = self.redis.client.hget(f"nv:req:{request}", "state")
        return value.decode() if value else None

    def states(self, request):
        """The states a request went through, from the event stream."""
        return [e[b"state"].decode() for _, e in self.redis.client.xrange("nv:events")
                if e.get(b"id") == request.encode() and b"state" in e]

    def wait_state(self, request, *states, timeout=60):
        def check():
            self.check_daemons()
            return self.state(request) in states
        wait.until(check, lambda: f"{request} {' or '.join(states)}: {self.record(request)}",
                   timeout)

    def wait_all(self, *states, timeout=90):
        for request in self.requests:
            self.wait_state(request, *(states or FINAL), timeout=timeout)

    def assert_restored_once(self):
        """Every request is restored and has one course, of the same entries and bytes; its person
        was told once; nothing is left in a queue or a dead letter queue."""
        self.wait_all("restored")
        assert sorted(self.requests) == self.local.courses()
        for request, course in self.requests.items():
            assert self.record(request)["course"] == request
            mbz.assert_same(self.remote.sources[course], self.local.archive(request))
        self.assert_told_once()
        self.assert_queues_empty()

    def _age_notices(self):
        """A notice that a dead worker had taken is given to another after a minute: those of dead
        ones are made as old."""
        stream, group = "nv:notices", "notifier"
        if not self.redis.client.exists(stream) or not self.redis.client.xinfo_groups(stream):
            return
        for p in self.redis.client.xpending_range(stream, group, "-", "+", 1000):
            if not processes.alive(int(p["consumer"].rsplit(b":", 1)[1])):
                self.redis.client.xclaim(stream, group, p["consumer"], 0, [p["message_id"]],
                                         idle=3600_000, justid=True)

    def assert_told_once(self, timeout=90):
        def told():
            self._age_notices()
            return all(self.local.mail(r) for r in self.requests)  # one cancelled meanwhile may have its own
        wait.until(told, "a message for each", timeout, 0.2)
        for request in self.requests:
            assert len(self.local.mail(request)) == 1, self.local.mail(request)

    def assert_queues_empty(self, dead=0):
        def waiting():
            return {q["name"]: q["messages"] for q in self.broker.call("GET", "queues", self.vhost)
                    if q.get("messages") and not q["name"].startswith("events.")}
        wait.until(lambda: sum(waiting().values()) == dead, lambda: f"in queues: {waiting()}", 30)

    def assert_nothing_left(self, seconds=30):
        """No half-made thing anywhere, once those who sweep have swept: what crashes left is made
        an hour older, since a sweep leaves alone what is younger than the grace time."""
        hour_ago = time.time() - 3600
        for d in self.daemons:
            if d.running():
                d.stop()
            work = d.config.get(d.role, {}).get("work_dir")
            for entry in os.scandir(work) if work and os.path.isdir(work) else ():
                os.utime(entry.path, (hour_ago, hour_ago))
        for d in self.daemons:
            if d.role != "producer":
                d.start()
        wait.until(lambda: not self.leftovers(), lambda: f"left: {self.leftovers()}", seconds)

    def leftovers(self):
        found = [f"local/tmp/{n}" for n in self.local.leftovers()]
        for folder in (self.path("store", ".tmp"), *(d.config[d.role]["work_dir"]
                                                     for d in self.daemons if d.role != "producer")):
            if os.path.isdir(folder):
                found += [os.path.join(os.path.relpath(folder, self.folder), n)
                          for n in os.listdir(folder) if not n.startswith(".")]
        return found

    # --- the end ---

    def check_daemons(self):
        """A daemon that should be up and has died, or in which a sanitizer found something."""
        for d in self.daemons:
            broken = d.broken()
            assert not broken, f"{d.name}:\n{broken}"
            if d.child is not None and not d.may_die:
                assert d.running(), f"{d.name} died: {d.child.poll()}\n{d.tail()}"

    def close(self, failed):
        try:
            if not failed:
                self.check_daemons()
                for d in self.daemons:
                    if d.running():
                        d.stop()  # also for the leak sanitizer, which looks at the end
                self.check_daemons()
        except AssertionError:
            failed = True
            raise
        finally:
            for d in self.daemons:
                d.kill()
            if failed:
                self.dump()
            self.redis.close()
            if not failed and not os.environ.get("NAVETTE_KEEP"):
                shutil.rmtree(self.folder, ignore_errors=True)

    def dump(self):
        print(f"\n=== kept for you: {self.folder}")
        for request, course in self.requests.items():
            try:
                print(f"request {request} (course {course}): {json.dumps(self.record(request))}")
            except Exception as e:  # pylint: disable=broad-except
                print(f"request {request} (course {course}): {e}")
        for d in self.daemons:
            print(f"--- {d.name}, the end of {d.log}\n{d.tail(60)}")
