# SPDX-License-Identifier: GPL-3.0-or-later
"""A private RabbitMQ node on free ports of 127.0.0.1, and its management API.

It runs with broker-config's rabbitmq.conf and plugins. One node serves all farms of a test file,
each with a vhost of its own."""
import os
import re
import signal
import subprocess
import urllib.parse

import pika
import requests

from . import ports, processes, wait

SCRIPT = "/usr/lib/rabbitmq/bin/rabbitmq-server"
ADMIN = ("guest", "guest")


class Broker:
    def __init__(self, folder, source):
        self.folder = folder
        self.amqp = ports.free()
        self.management = ports.free()
        self.prometheus = ports.free()
        self.dist = ports.free()
        self.epmd_port = ports.free()
        self.epmd = self.child = None
        os.makedirs(folder)
        self.log = os.path.join(folder, "rabbitmq.out")
        self._write_configuration(source)

    def _write_configuration(self, source):
        with open(os.path.join(source, "broker-config", "rabbitmq.conf"), encoding="utf-8") as f:
            lines = [x for x in f.read().splitlines() if not x.startswith("disk_free_limit")]
        lines += [f"listeners.tcp.local = 127.0.0.1:{self.amqp}",
                  "management.tcp.ip = 127.0.0.1", f"management.tcp.port = {self.management}",
                  "prometheus.tcp.ip = 127.0.0.1", f"prometheus.tcp.port = {self.prometheus}",
                  "disk_free_limit.absolute = 50MB",
                  # So that the management API tells what is, not what was 5 s ago.
                  "collect_statistics_interval = 300"]
        with open(os.path.join(self.folder, "rabbitmq.conf"), "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        with open(os.path.join(source, "broker-config", "enabled_plugins"), encoding="utf-8") as f:
            plugins = f.read()
        with open(os.path.join(self.folder, "enabled_plugins"), "w", encoding="utf-8") as f:
            f.write(plugins)

    @property
    def addresses(self):
        """Where clients connect, each as HOST:PORT."""
        return [f"127.0.0.1:{self.amqp}"]

    # --- life ---

    def _environment(self):
        join = os.path.join
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": self.folder,
                "RABBITMQ_NODENAME": f"n{self.amqp}@localhost",
                "RABBITMQ_MNESIA_BASE": join(self.folder, "mnesia"),
                "RABBITMQ_LOG_BASE": join(self.folder, "log"),
                "RABBITMQ_CONFIG_FILE": join(self.folder, "rabbitmq.conf"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": join(self.folder, "enabled_plugins"),
                "RABBITMQ_PID_FILE": join(self.folder, "pid"),
                "RABBITMQ_DIST_PORT": str(self.dist),
                "RABBITMQ_CONF_ENV_FILE": "/dev/null",
                # Several nodes share the machine: none of them spins while it waits.
                # Nor is its distribution port for others than this machine.
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none "
                                                       "-kernel inet_dist_use_interface {127,0,0,1}",
                "ERL_EPMD_PORT": str(self.epmd_port), "ERL_EPMD_ADDRESS": "127.0.0.1"}

    def _pid(self):
        try:
            with open(os.path.join(self.folder, "pid"), encoding="ascii") as f:
                return int(f.read())
        except (OSError, ValueError):
            return None

    def start(self):
        if self.epmd is None:
            self.epmd = processes.start(["epmd", "-port", str(self.epmd_port), "-address",
                                         "127.0.0.1"], self.log)
            wait.until(lambda: ports.listening(self.epmd_port), "epmd", 10)
        if os.path.exists(os.path.join(self.folder, "pid")):
            os.unlink(os.path.join(self.folder, "pid"))
        self.child = processes.start([SCRIPT], self.log, self._environment())
        pid = wait.until(self._pid, "RabbitMQ's process", 60)
        processes.guard(pid)
        wait.until(self._up, lambda: f"RabbitMQ, see {self.log}", 90, 0.2)
        listening = ports.addresses([pid, self.epmd.pid])
        assert all(a.startswith(ports.LOOPBACK) for a in listening), listening
        return self

    def _up(self):
        assert self.child.poll() is None, f"RabbitMQ ended, see {self.log}"
        if not ports.listening(self.amqp) or not ports.listening(self.management):
            return False
        try:
            return self.get("/overview").get("listeners")
        except (requests.RequestException, ValueError):
            return False

    def settle(self):
        """RabbitMQ 3.10 keeps the names of its queues' logs in a file it writes with some seconds'
        delay, and a queue declared right before a crash comes back without a leader, for ever
        (rabbitmq-server #10070). Queues of real life are older than that; ours are made as old."""
        self.ctl("eval", "[dets:sync(T) || T <- dets:all()].")

    def kill(self):
        """As a crash does; settle() first where queues shall survive it."""
        pid = self._pid()
        if pid and processes.alive(pid):
            os.kill(pid, signal.SIGKILL)
            wait.until(lambda: not processes.alive(pid), "the end of RabbitMQ", 30)
            processes.unguard(pid)
        if self.child:
            processes.kill(self.child)
            self.child = None

    def close(self):
        self.kill()
        if self.epmd:
            processes.kill(self.epmd)
            self.epmd = None

    def ctl(self, *args):
        return subprocess.run(["/usr/lib/rabbitmq/bin/rabbitmqctl", *args], check=True,
                              env=self._environment(), capture_output=True, text=True,
                              timeout=60).stdout

    # --- management API ---

    def url(self, *parts):
        path = "/".join(urllib.parse.quote(p, safe="") for p in parts)
        return f"http://127.0.0.1:{self.management}/api/{path}"

    def call(self, method, *parts, body=None):
        r = requests.request(method, self.url(*parts), auth=ADMIN, json=body, timeout=20)
        assert r.ok, f"{method} {r.url}: {r.status_code} {r.text}"
        return r.json() if r.content else None

    def get(self, path):
        return requests.get(f"http://127.0.0.1:{self.management}/api{path}", auth=ADMIN,
                            timeout=5).json()

    def make_vhost(self, vhost):
        self.call("PUT", "vhosts", vhost, body={})
        self.call("PUT", "permissions", vhost, ADMIN[0],
                  body={"configure": ".*", "write": ".*", "read": ".*"})

    def shorten_delays(self, vhost, milliseconds):
        """Retries without the wait: an operator policy, of whose and the queue's own TTL RabbitMQ
        takes the lower. The topology stays exactly what `navette broker apply` makes."""
        self.call("PUT", "operator-policies", vhost, "short-delays",
                  body={"pattern": r"^retry\.", "apply-to": "queues",
                        "definition": {"message-ttl": milliseconds}})

    def limit_deliveries(self, vhost, queue, most):
        """An operator policy, as above: the queue's own limit is the higher one."""
        self.call("PUT", "operator-policies", vhost, "few-deliveries",
                  body={"pattern": f"^{re.escape(queue)}$", "apply-to": "queues",
                        "definition": {"delivery-limit": most}})

    # --- messages ---

    def connect(self, vhost, user=ADMIN[0], password=ADMIN[1]):
        return pika.BlockingConnection(pika.ConnectionParameters(
            "127.0.0.1", self.amqp, vhost, pika.PlainCredentials(user, password)))

    def depth(self, vhost, queue):
        """Messages ready in the queue (those that are being worked on do not count)."""
        with self.connect(vhost) as c:
            return c.channel().queue_declare(queue, passive=True).method.message_count

    def consumers(self, vhost, queue):
        with self.connect(vhost) as c:
            return c.channel().queue_declare(queue, passive=True).method.consumer_count

    def look(self, vhost, queue):
        """All that is ready in the queue, which it stays in: [(properties, body)]."""
        found = []
        with self.connect(vhost) as c:
            channel = c.channel()
            while True:
                method, properties, body = channel.basic_get(queue)
                if method is None:
                    return found
                found.append((properties, body))
