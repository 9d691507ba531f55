# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of the packages under a systemd that has booted, in a container with Debian's own broker and Redis: they
start confined, restore courses, write to the journal, are watched, restarted and stopped, survive an upgrade of
their package, and leave with it."""
import json
import os
import subprocess

import pytest

from engine import BASE, SOURCE, Engine, needs
from harness import nightly, wait

pytestmark = nightly.only
UNITS = ("navette-producer", "navette-archiver@1", "navette-worker@1", "navette-worker@2")

IMAGE = f"""FROM {BASE}
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update && RUNLEVEL=1 apt-get install -y --no-install-recommends systemd systemd-sysv dbus rabbitmq-server \\
    redis-server procps
COPY packages /packages
RUN apt-get install -y --no-install-recommends /packages/*.deb
COPY rabbitmq.conf enabled_plugins /etc/rabbitmq/
COPY samples /samples
COPY prepare /usr/local/sbin/prepare
CMD ["/sbin/init"]
"""

PREPARE = r"""#!/bin/bash
set -euo pipefail
umask 077
cd /etc/navette 2>/dev/null || { mkdir -m 755 /etc/navette && cd /etc/navette; }
for name in last-year this-year; do navette keys new $name.key >/dev/null; done
mkdir -m 755 -p /srv/navette
site_key=$(navette keys show last-year.key) client_key=$(navette keys show this-year.key)
head -c 12 /dev/urandom | base64 >admin.password
head -c 12 /dev/urandom | base64 >teacher.password
printf guest >guest.password
section() { printf '%s:\n' "$1"; shift; printf '  %s\n' "$@"; }
client() {
	section identity "client: this-year" "key_file: /etc/navette/this-year.key"
	section redis "host: 127.0.0.1" "port: 6379"
	section restore "user_data: yes" "default_category: courses"
	printf 'sites:\n  - name: last-year\n    public_key: "%s"\n' "$site_key"
}
store() { section store "type: directory" "path: /srv/navette/store"; }
broker() { section broker "uris: ['amqp://$1@127.0.0.1:5672/navette']" "password_file: /etc/navette/credentials/$1.password"; }
{
	section broker "uris: ['amqp://guest@127.0.0.1:5672/navette']" "password_file: /etc/navette/guest.password" \
		"management_url: http://guest@127.0.0.1:15672" "management_password_file: /etc/navette/guest.password" \
		"clients: [this-year]" "sites: [last-year]" "credentials_dir: /etc/navette/credentials"
	section producer "accounts_file: /etc/navette/accounts"
	section api "url: http://127.0.0.1:8080" "user: admin" "password_file: /etc/navette/admin.password"
} >admin.yaml
{
	client
	broker producer.this-year
	section producer "listen: 127.0.0.1:8080" "base_url: http://127.0.0.1:8080" "accounts_file: /etc/navette/accounts"
} >producer.yaml
{
	client
	broker worker.this-year
	store
	section site "type: folder" "path: /srv/navette/this-year"
	section worker "work_dir: /var/lib/navette/worker"
} >worker.yaml
{
	section identity "site: last-year" "key_file: /etc/navette/last-year.key"
	broker archiver.last-year
	store
	section site "type: folder" "path: /srv/navette/last-year"
	section archiver "work_dir: /var/lib/navette/archiver" "listen: 127.0.0.1:9201"
	printf 'clients:\n  - name: this-year\n    public_key: "%s"\n    user_data: yes\n    without_user: yes\n' "$client_key"
} >archiver.yaml
navette site create /srv/navette/last-year --name last-year --teacher teacher --courses /samples
navette site create /srv/navette/this-year --name this-year --teacher teacher
mkdir -p /srv/navette/store
navette broker apply -c admin.yaml
navette account add admin --admin --password-file admin.password -c admin.yaml
navette account add teacher --capability can_restore_user_datas --password-file teacher.password -c admin.yaml
for unit in producer archiver@1; do echo "NAVETTE_CONFIG=/etc/navette/${unit%@*}.yaml" >$unit.env; done
# As docs/operations.md says: each instance its address for monitoring.
for n in 1 2; do
	echo "NAVETTE_CONFIG=/etc/navette/worker-$n.yaml" >worker@$n.env
	sed "s,^  work_dir: .*,&\n  listen: 127.0.0.1:930$n," worker.yaml >worker-$n.yaml
done
chown -R navette:navette /etc/navette /srv/navette
"""


class Machine:
    def __init__(self, engine):
        self.engine = engine
        engine.podman("run", "-d", "--name", "machine", "--systemd=always", "--privileged", "navette-test-machine")
        wait.until(lambda: self.run("systemctl", "is-system-running", check=False) == "running", "it has booted", 120, 0.5)

    def run(self, *command, check=True):
        return self.engine.podman("exec", "machine", *command, check=check)

    def shell(self, text):
        return self.run("bash", "-c", text)

    def show(self, unit, name):
        return self.run("systemctl", "show", "-P", name, unit)

    def states(self):
        return [self.run("systemctl", "is-active", unit, check=False) for unit in UNITS]

    def navette(self, *args):
        return self.run("navette", *args, "-c", "/etc/navette/admin.yaml")

    def journal(self, *matches):
        lines = self.run("journalctl", "-o", "json", "--no-pager", *matches).splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    needs()
    subprocess.run([os.path.join(SOURCE, "deploy", "containers", "build")], check=True, stdout=subprocess.DEVNULL)
    engine = Engine(str(tmp_path_factory.mktemp("machine")))
    context = os.path.join(engine.folder, "context")
    subprocess.run(["cp", "-r", os.path.join(SOURCE, "build", "containers"), context], check=True)
    for name, text, mode in (("Containerfile", IMAGE, 0o644), ("prepare", PREPARE, 0o755)):
        with open(os.path.join(context, name), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(os.path.join(context, name), mode)
    try:
        engine.make_base()
        engine.podman("build", "-t", "navette-test-machine", context)
        yield Machine(engine)
    finally:
        engine.close()


def test_the_units(machine):
    machine.run("prepare")
    machine.run("systemctl", "enable", "--now", "navette.target", *UNITS)
    wait.until(lambda: machine.states() == ["active"] * 4, lambda: f"{machine.states()} {machine.run('journalctl', '-n50')}", 60)
    said = machine.navette("submit", "last-year", "--all", "--user", "teacher", "--wait", "--timeout", "5m")
    assert "4 of 4 restored" in said, said

    # Its story is in the journal, by the request's field, of both sides.
    request = json.loads(machine.navette("list", "--json"))["requests"][0]["id"]
    lines = machine.journal(f"NAVETTE_REQ={request}")
    assert {"navette-archiver@1.service", "navette-producer.service"} < {x["_SYSTEMD_UNIT"] for x in lines}
    assert {"request.created", "export.done", "restore.done"} <= {x["NAVETTE_EVENT"] for x in lines}

    # Confined: another user, no capabilities, a file system that cannot be written.
    pid = machine.show("navette-worker@1", "MainPID")
    status = machine.run("cat", f"/proc/{pid}/status")
    assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    assert machine.run("stat", "-c", "%U", f"/proc/{pid}") == "navette"
    options = machine.shell(f"awk '$2 == \"/usr\" || $2 == \"/\" {{print $4}}' /proc/{pid}/mounts").split()
    assert options and all(o.split(",")[0] == "ro" for o in options), options

    # Killed: started again. Standing still: found by the watchdog. Misconfigured: not started in a circle.
    machine.run("kill", "-9", pid)
    wait.until(lambda: machine.show("navette-worker@1", "NRestarts") == "1" and machine.states()[2] == "active", "started again", 30)
    machine.shell("mkdir -p /run/systemd/system/navette-worker@2.service.d && "
                  "printf '[Service]\\nWatchdogSec=2s\\n' >/run/systemd/system/navette-worker@2.service.d/short.conf && "
                  "systemctl daemon-reload && systemctl restart navette-worker@2")
    machine.run("kill", "-STOP", machine.show("navette-worker@2", "MainPID"))
    wait.until(lambda: machine.show("navette-worker@2", "NRestarts") == "1" and machine.states()[3] == "active", "the watchdog", 60)
    assert any("watchdog" in x["MESSAGE"].lower() for x in machine.journal("UNIT=navette-worker@2.service"))
    machine.shell("echo 'colour: red' >>/etc/navette/worker-2.yaml && (systemctl restart navette-worker@2 || true)")
    wait.until(lambda: machine.states()[3] == "failed", "it does not start", 30)
    assert machine.show("navette-worker@2", "ExecMainStatus") == "2" and machine.show("navette-worker@2", "NRestarts") == "0"
    assert any("colour" in x["MESSAGE"] for x in machine.journal("_SYSTEMD_UNIT=navette-worker@2.service"))
    machine.shell("sed -i '/colour/d' /etc/navette/worker-2.yaml && systemctl start navette-worker@2")

    # All of it with one word.
    machine.run("systemctl", "stop", "navette.target")
    assert machine.states() == ["inactive"] * 4
    machine.run("systemctl", "start", "navette.target")
    wait.until(lambda: machine.states() == ["active"] * 4, "all are there again", 60)

    # An upgrade starts anew what ran, and nothing else.
    before = {unit: machine.show(unit, "MainPID") for unit in UNITS}
    machine.run("systemctl", "stop", "navette-worker@2")
    machine.shell("apt-get install -y --reinstall --no-install-recommends /packages/navette-worker_*.deb")
    after = {unit: machine.show(unit, "MainPID") for unit in UNITS}
    assert after["navette-worker@1"] not in (before["navette-worker@1"], "0") and after["navette-worker@2"] == "0"
    assert after["navette-producer"] == before["navette-producer"]

    # Gone with their packages; what the administrator wrote is not.
    machine.shell("DEBIAN_FRONTEND=noninteractive apt-get purge -y 'navette-*'")
    assert not machine.shell("ps -e -o comm= | grep ^navette || true")
    assert not machine.shell("find /etc/systemd /usr/lib/systemd -name '*navette*'")
    assert machine.run("ls", "/etc/navette/producer.yaml")
