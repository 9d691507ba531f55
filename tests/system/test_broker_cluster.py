# SPDX-License-Identifier: GPL-3.0-or-later
# one ctest entry per function
# ctest timeout 600
"""A broker of three nodes: the leader of the queues is killed under load, and a minority is cut off and comes
back.  Every request ends, each course once, none is lost.  Long: only with NAVETTE_NIGHTLY=1 (tests/run --all)."""
import os
import shutil

import pytest

from harness import nightly, samples, wait
from harness.cluster import Cluster
from harness.farm import Farm
from harness.load import Load


pytestmark = nightly.only


@pytest.fixture
def town(folder, request):
    home = os.path.join(folder, request.node.name[5:13])
    cluster = Cluster(os.path.join(home, "cluster"), samples.SOURCE)
    farm = Farm(os.path.join(home, "farm"), cluster, worker={"slots": 2}, archiver={"slots": 2})
    failed = True
    try:
        yield farm, cluster
        failed = request.node.report_call.failed
    finally:
        farm.close(failed=failed)
        cluster.close()
    if not failed:
        shutil.rmtree(home)


def test_the_leader_is_killed(town):
    farm, cluster = town
    farm.all()
    queues = [f"archive.{farm.site}", f"restore.{farm.client}", f"events.{farm.client}"]
    for queue in queues:
        wait.until(lambda q=queue: len(cluster.online(farm.vhost, q)) == 3, f"{queue} on three nodes", 60)
    load = Load(farm)
    wait.until(lambda: len(load.ended()) >= 10, "it is under way", 60)
    killed = cluster.leader(farm.vhost, queues[1])
    cluster.settle()
    killed.kill()
    load.recovered("the leader of the restore queue killed")
    load.finish()
    killed.start()
    for queue in queues:
        wait.until(lambda q=queue: len(cluster.online(farm.vhost, q)) == 3, f"{queue} on three nodes again", 90)


def test_a_minority_is_cut_off(town):
    farm, cluster = town
    farm.all()
    queue = f"restore.{farm.client}"
    wait.until(lambda: len(cluster.online(farm.vhost, queue)) == 3, "on three nodes", 60)
    load = Load(farm)
    wait.until(lambda: len(load.ended()) >= 10, "it is under way", 60)
    alone = cluster.leader(farm.vhost, queue)
    others = [n for n in cluster.nodes if n is not alone]
    alone.cut_from(others)
    load.recovered("the leader of the restore queue cut off")
    load.finish()
    alone.heal(others)
    cluster.nodes.sort(key=lambda n: n is alone)  # ask those that were together
    wait.until(lambda: len(cluster.online(farm.vhost, queue)) == 3, "on three nodes again", 120)
    course = farm.remote.add(samples.make(farm.path("after.mbz"), 99, blobs=1))
    farm.wait_state(farm.submit(course), "restored")
