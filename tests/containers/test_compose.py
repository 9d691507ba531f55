# SPDX-License-Identifier: GPL-3.0-or-later
"""Every image is built on a Debian root file system made here, and deploy/containers/compose.yaml starts the
whole: courses arrive, workers are added and found by Prometheus, a stop is graceful, and the next start goes on.
Needs root, podman and docker-compose; podman keeps everything in a folder of the test's own. Grafana's image is
not Debian's, and is not started."""
import json
import os
import subprocess
import threading
import urllib.request

import pytest

from engine import BASE, SOURCE, Engine, needs
from harness import nightly, ports, processes, wait

COMPOSE = os.path.join(SOURCE, "deploy", "containers", "compose.yaml")
OURS = ("producer", "archiver", "worker")
pytestmark = nightly.only


class Compose(Engine):
    """Its service, for docker-compose."""

    def __init__(self, folder):
        super().__init__(folder)
        self.socket = os.path.join(folder, "podman.sock")
        self.state = os.path.join(folder, "state")
        self.ports = {name: ports.free() for name in ("page", "prometheus")}
        self.env |= {"DOCKER_HOST": f"unix://{self.socket}", "COMPOSE_PROJECT_NAME": "navettetest",
                     "NAVETTE_STATE": self.state, "NAVETTE_BASE": BASE,
                     "NAVETTE_PORT": str(self.ports["page"]), "NAVETTE_PROMETHEUS_PORT": str(self.ports["prometheus"])}
        self.service = processes.start(self.command("system", "service", "--time=0", f"unix://{self.socket}"),
                                       os.path.join(folder, "podman.log"), self.env)
        wait.until(lambda: os.path.exists(self.socket), "podman's service", 30)
        self._over = threading.Event()
        self._nurse = threading.Thread(target=self._check_health, daemon=True)
        self._nurse.start()

    def compose(self, *args, check=True, timeout=600):
        done = subprocess.run(["docker-compose", "-f", COMPOSE, *args], env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False, timeout=timeout)
        assert not check or done.returncode == 0, f"docker-compose {args}: {done.stdout[-4000:]}"
        return done.stdout

    def navette(self, *args):
        return self.compose("run", "--rm", "navette", "navette", *args)

    def containers(self, service):
        return self.podman("ps", "-aq", "--filter", f"label=com.docker.compose.service={service}",
                           "--filter", "label=com.docker.compose.oneoff=False").split()

    def inspect(self, container):
        return json.loads(self.podman("inspect", container))[0]

    def _check_health(self):
        """What systemd's timers do for podman on a machine that has it."""
        while not self._over.wait(1):
            for container in self.podman("ps", "-q", check=False).split():
                self.podman("healthcheck", "run", container, check=False)

    def close(self):
        self._over.set()
        self._nurse.join()
        self.compose("down", "-v", "--remove-orphans", check=False)
        processes.kill(self.service)
        super().close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    needs("docker-compose")
    subprocess.run([os.path.join(SOURCE, "deploy", "containers", "build")], check=True, stdout=subprocess.DEVNULL)
    e = Compose(str(tmp_path_factory.mktemp("engine")))
    try:
        e.make_base()
        e.compose("build")
        yield e
    finally:
        e.close()


def healthy(engine, service):
    found = engine.containers(service)
    return found and all(engine.inspect(c)["State"]["Health"]["Status"] == "healthy" for c in found)


def query(engine, text):
    url = f"http://127.0.0.1:{engine.ports['prometheus']}/api/v1/query?query={urllib.request.quote(text)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        found = json.load(answer)["data"]["result"]
    return {r["metric"].get("job"): float(r["value"][1]) for r in found}


def test_the_images_for_a_moodle_have_its_php(engine):
    for role in ("worker", "archiver"):
        engine.podman("build", "--build-arg", f"BASE={BASE}", "--target", f"{role}-moodle", "-t", f"navette-{role}-moodle",
                      os.path.join(SOURCE, "build", "containers"))
        modules = engine.podman("run", "--rm", f"navette-{role}-moodle", "php", "-m").lower().split()
        assert {"curl", "gd", "intl", "mbstring", "mysqli", "pgsql", "soap", "xml", "zip"} <= set(modules), modules
        assert engine.podman("run", "--rm", f"navette-{role}-moodle", f"navette-{role}", "--version")


def test_the_whole(engine):
    engine.compose("up", "-d")
    for service in ("broker", "redis", "staging", *OURS):
        wait.until(lambda s=service: healthy(engine, s), lambda s=service: f"{s} is healthy: {engine.compose('logs', s)}", 120, 1)
    said = engine.navette("submit", "last-year", "--all", "--user", "teacher", "--wait", "--timeout", "5m")
    assert "4 of 4 restored" in said, said
    assert "Nothing failed" in engine.navette("doctor")
    for service in OURS:
        seen = engine.inspect(engine.containers(service)[0])
        assert seen["HostConfig"]["ReadonlyRootfs"] and not seen["EffectiveCaps"], service
        assert engine.podman("exec", seen["Id"], "id", "-u") == "10001"
    secrets = [os.path.join(folder, n) for folder, _, names in os.walk(engine.state) for n in names
               if n.endswith((".password", ".key"))]
    assert len(secrets) > 10 and not [s for s in secrets if os.stat(s).st_mode & 0o077]

    engine.compose("up", "-d", "--scale", "worker=2")
    jobs = {"navette-producer": 1, "navette-archiver": 1, "navette-worker": 2, "rabbitmq": 1, "rabbitmq-queues": 1}
    wait.until(lambda: query(engine, "sum by (job) (up)") == jobs, lambda: f"{query(engine, 'sum by (job) (up)')}", 120, 1)

    workers = engine.containers("worker")
    engine.compose("stop", "worker", "archiver", "producer")
    for container in (*workers, *engine.containers("archiver"), *engine.containers("producer")):
        assert engine.inspect(container)["State"]["ExitCode"] == 0, "a graceful stop"
    engine.compose("down")
    engine.compose("up", "-d")
    wait.until(lambda: healthy(engine, "producer"), "it is there again", 120, 1)
    listed = json.loads(engine.navette("list", "--all", "--json").split("\n", 2)[-1])
    assert [r["state"] for r in listed["requests"]] == ["restored"] * 4
