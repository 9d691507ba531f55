# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's Prometheus with deploy/monitoring as it is shipped: only addresses and intervals are others."""
import os

import requests
import yaml

from . import ports, processes, wait
from .samples import SOURCE

SHIPPED = os.path.join(SOURCE, "deploy", "monitoring")


class Prometheus:
    """targets: by job, the addresses to read."""

    def __init__(self, folder, targets, site, ca_file):
        self.folder = folder
        self.port, self.node, self.blackbox = (ports.free() for _ in range(3))
        os.makedirs(folder)
        with open(os.path.join(SHIPPED, "prometheus.yml"), encoding="utf-8") as f:
            config = yaml.safe_load(f)
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [os.path.join(SHIPPED, "rules", "navette.yml")]
        del config["alerting"]
        targets = {**targets, "navette-node": [f"127.0.0.1:{self.node}"]}
        assert {job["job_name"] for job in config["scrape_configs"]} == set(targets)
        for job in config["scrape_configs"]:
            group = job["static_configs"][0]
            group["targets"] = targets[job["job_name"]]
            if "site" in group.get("labels", {}):
                group["labels"]["site"] = site
            job.pop("scheme", None)
            for relabel in job.get("relabel_configs", []):
                if relabel.get("target_label") == "__address__":
                    relabel["replacement"] = f"127.0.0.1:{self.blackbox}"
        self._write("prometheus.yml", config)
        self._write("blackbox.yml", {"modules": {"tcp_tls": {
            "prober": "tcp", "timeout": "5s", "tcp": {"tls": True, "tls_config": {"ca_file": ca_file}}}}})
        self.children = []

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _write(self, name, document):
        with open(self._path(name), "w", encoding="utf-8") as f:
            yaml.safe_dump(document, f)

    def start(self):
        self.children = [
            processes.start(["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{self.node}",
                             "--collector.disable-defaults", "--collector.filesystem"], self._path("node.out")),
            processes.start(["prometheus-blackbox-exporter", f"--web.listen-address=127.0.0.1:{self.blackbox}",
                             f"--config.file={self._path('blackbox.yml')}"], self._path("blackbox.out")),
            processes.start(["prometheus", f"--config.file={self._path('prometheus.yml')}",
                             f"--storage.tsdb.path={self._path('data')}",
                             f"--web.listen-address=127.0.0.1:{self.port}"], self._path("prometheus.out"))]
        wait.until(self._ready, lambda: f"Prometheus, see {self.folder}", 60)
        return self

    def _ready(self):
        assert all(child.poll() is None for child in self.children), f"one ended, see {self.folder}"
        return all(ports.listening(p) for p in (self.port, self.node, self.blackbox)) and \
            requests.get(f"http://127.0.0.1:{self.port}/-/ready", timeout=10).status_code == 200

    def call(self, path, **params):
        answer = requests.get(f"http://127.0.0.1:{self.port}/api/v1/{path}", params=params, timeout=10)
        document = answer.json()
        assert document["status"] == "success", f"{params}: {document}"
        return document["data"]

    def query(self, expr):
        """Samples that are a number: [(labels, value)]"""
        found = [(s["metric"], float(s["value"][1])) for s in self.call("query", query=expr)["result"]]
        return [(labels, value) for labels, value in found if value == value]

    def close(self):
        for child in self.children:
            processes.kill(child)
        self.children = []
