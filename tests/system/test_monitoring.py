# SPDX-License-Identifier: GPL-3.0-or-later
"""What is watched can be watched: a real Prometheus reads the daemons, RabbitMQ's own metrics, disks and
certificates with deploy/monitoring as it is shipped, and every query of every panel and every rule finds
data, and what is wrong is spoken of.  NAVETTE_PICTURES=DIR draws the panels."""
import glob
import json
import os
import re
import subprocess
import time

import pytest
import yaml

from harness import samples, staging, wait
from harness.prometheus import SHIPPED, Prometheus
from harness.samples import SOURCE

DASHBOARDS = sorted(glob.glob(os.path.join(SHIPPED, "dashboards", "*.json")))
RULES = os.path.join(SHIPPED, "rules", "navette.yml")
PICTURES = os.environ.get("NAVETTE_PICTURES")


def panels():
    for path in DASHBOARDS:
        with open(path, encoding="utf-8") as f:
            document = json.load(f)
        for panel in document["panels"]:
            for target in panel["targets"]:
                yield document, panel, target


def rules():
    with open(RULES, encoding="utf-8") as f:
        return [rule for group in yaml.safe_load(f)["groups"] for rule in group["rules"]]


# --- without anything running ---


def test_the_rules_do_what_they_say():
    done = subprocess.run(["promtool", "test", "rules", os.path.join(SHIPPED, "rules", "navette.test.yml")],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with open(os.path.join(SHIPPED, "rules", "navette.test.yml"), encoding="utf-8") as f:
        tested = {t["alertname"] for group in yaml.safe_load(f)["tests"] for t in group["alert_rule_test"] if t["exp_alerts"]}
    assert tested == {rule["alert"] for rule in rules() if "alert" in rule}
    subprocess.run(["promtool", "check", "config", "--syntax-only", os.path.join(SHIPPED, "prometheus.yml")],
                   capture_output=True, check=True)


def test_each_alert_says_what_to_do():
    with open(os.path.join(SOURCE, "docs", "runbook.md"), encoding="utf-8") as f:
        entries = re.findall(r"^## (\w+)$", f.read(), re.M)
    alerts = [rule for rule in rules() if "alert" in rule]
    assert sorted(entries) == sorted(rule["alert"] for rule in alerts)
    for rule in alerts:
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_the_dashboards_are_what_makes_them(tmp_path):
    subprocess.run(["node", os.path.join(SHIPPED, "dashboards.mjs"), str(tmp_path)], check=True)
    assert sorted(os.listdir(tmp_path)) == [os.path.basename(p) for p in DASHBOARDS]
    for path in DASHBOARDS:
        with open(path, "rb") as f, open(tmp_path / os.path.basename(path), "rb") as g:
            assert f.read() == g.read(), f"{path}: run node deploy/monitoring/dashboards.mjs"
    for _, panel, target in panels():
        assert panel["title"] and panel["description"] and target["expr"]


# --- with all of it running ---


@pytest.fixture
def town(make_farm, tmp_path):
    farm = make_farm()
    store = staging.of_farm(farm)
    farm.all()
    for course in [farm.remote.add(samples.make(farm.path(f"{n}.mbz"), n, blobs=2)) for n in (1, 2, 3)]:
        farm.submit(course)
    farm.wait_all("restored")
    farm.person().get("/requests")

    def address(role):
        return [d.monitor_url("").split("//")[1].rstrip("/") for d in farm.roles(role)]

    broker = [f"127.0.0.1:{farm.broker.prometheus}"]
    prometheus = Prometheus(str(tmp_path / "prometheus"), {
        "navette-producer": address("producer"), "navette-worker": address("worker"),
        "navette-archiver": address("archiver"), "rabbitmq": broker, "rabbitmq-queues": broker,
        "navette-tls": [f"127.0.0.1:{store.port}"]}, farm.site, os.path.join(store.folder, "tls.pem"))
    try:
        yield farm, prometheus.start()
    finally:
        prometheus.close()
        store.close()


def operands(expr):
    """An alert's expression without its comparisons: what must be there for it ever to speak."""
    for part in re.split(r"\bor\b", expr):
        yield re.sub(r"\s(==|<|>)\s*[\d.]+(\s*\*\s*\d+)?", "", part)


def empty_ones(prometheus, farm):
    asked = [(f"{doc['uid']}: {panel['title']}", target["expr"]) for doc, panel, target in panels()]
    asked += [(rule["alert"], part) for rule in rules() if "alert" in rule for part in operands(rule["expr"])]
    asked += [(rule["record"], rule["record"]) for rule in rules() if "record" in rule]
    out = []
    for queue in (f"archive.{farm.site}", f"restore.{farm.client}"):
        for name, expr in asked:
            expr = expr.replace("$queue", queue).replace("$site", farm.site)
            if not prometheus.query(expr):
                out.append(f"{name}: {expr}")
    return sorted(set(out))


def test_every_query_finds_something(town):
    farm, prometheus = town
    # What came before the first reading is no increase.
    wait.until(lambda: len([1 for _, value in prometheus.query("up") if value == 1]) == 7, "all are read", 30, 0.2)
    for number in range(4, 7 if not PICTURES else 60):  # rates need to see something change
        course = farm.remote.add(samples.make(farm.path(f"{number}.mbz"), number, blobs=2))
        farm.wait_state(farm.submit(course), "restored")
    farm.person().get("/requests")
    farm.publish(f"archive.{farm.site}", b"nonsense")
    wait.until(lambda: not empty_ones(prometheus, farm),
               lambda: "these find nothing:\n" + "\n".join(empty_ones(prometheus, farm)), 60, 1)
    down = [labels for labels, value in prometheus.query("up") if value != 1]
    assert not down
    groups = prometheus.call("rules")["groups"]
    assert len(groups) == 1 and not [r for r in groups[0]["rules"] if r["health"] != "ok"]

    def spoken():  # at once; they fire when it has lasted
        return {a["labels"]["alertname"] for a in prometheus.call("alerts")["alerts"]}

    wait.until(lambda: "NavetteDeadLetters" in spoken(), lambda: f"spoken: {spoken()}", 30, 0.2)
    assert not spoken() & {"NavetteInstanceLost", "NavetteBrokerDown", "NavetteRedisDown", "NavetteNoConsumer",
                           "NavetteTlsUnreachable", "NavetteQueueUnserved"}
    if PICTURES:
        draw(prometheus, farm)
    farm.roles("worker")[0].kill()
    wait.until(lambda: {"NavetteInstanceLost", "NavetteNoConsumer"} <= spoken(), lambda: f"spoken: {spoken()}", 30, 0.2)


def draw(prometheus, farm):
    import matplotlib  # only for pictures: python3-matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.fonttype"] = "none"
    from matplotlib import pyplot
    now = time.time()
    for path in DASHBOARDS:
        with open(path, encoding="utf-8") as f:
            document = json.load(f)
        count = len(document["panels"])
        figure, axes = pyplot.subplots((count + 3) // 4, 4, figsize=(20, 3 * ((count + 3) // 4)), squeeze=False)
        for axis in axes.flat[count:]:
            axis.axis("off")
        for axis, panel in zip(axes.flat, document["panels"]):
            axis.set_title(f"{panel['title']} ({panel['fieldConfig']['defaults']['unit']})", fontsize=9)
            for target in panel["targets"]:
                expr = target["expr"].replace("$queue", f"restore.{farm.client}").replace("$site", farm.site)
                for series in prometheus.call("query_range", query=expr, start=now - 90, end=now, step=1)["result"]:
                    legend = re.sub(r"{{(\w+)}}", lambda m, s=series: s["metric"].get(m[1], ""), target["legendFormat"])
                    axis.plot([t - now for t, _ in series["values"]], [float(v) for _, v in series["values"]],
                              label=legend)
            axis.set_ylim(bottom=0)
            axis.set_xlabel("seconds", fontsize=6)
            axis.legend(fontsize=6)
            axis.tick_params(labelsize=6)
        figure.suptitle(f"{document['title']}: what each panel asks, from the data of tests/system/test_monitoring.py")
        figure.tight_layout(rect=(0, 0, 1, 0.98))
        figure.savefig(os.path.join(PICTURES, f"{document['uid']}.svg"))
