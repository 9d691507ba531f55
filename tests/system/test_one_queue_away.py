# SPDX-License-Identifier: GPL-3.0-or-later
"""A queue that the broker cannot serve stops that queue only: its daemon says which one it is, by
/readyz, metrics, log and doctor, serves the others, and takes this one up when it is back."""
import os
import subprocess

import requests

from harness import daemon, ports, samples, wait


def leader(farm, function, queue):
    """RabbitMQ's own process of a quorum queue: without it there is no leader."""
    farm.broker.ctl("eval", f"ra:{function}(quorum_queues,{{'{farm.vhost}_{queue}',node()}}).")


def doctor(farm, archiver):
    config = daemon.write_configuration(farm.path("doctor.yaml"), archiver.config)
    return subprocess.run([os.path.join(daemon.BUILD, "bin", "navette"), "doctor", "-c", config],
                          env={**os.environ, **daemon.SANITIZERS}, capture_output=True, text=True,
                          timeout=60, check=False).stdout


def test_a_queue_without_a_leader(make_farm):
    farm = make_farm(archiver={"listen": f"127.0.0.1:{ports.free()}"})
    queue, other = f"archive.{farm.site}.now", f"archive.{farm.site}"
    farm.producer()
    farm.worker()
    leader(farm, "stop_server", queue)
    archiver = farm.daemon("archiver").start(ready=False)
    wait.until(lambda: archiver.events("bus.consumer-lost"), "the refusal", 30)
    wait.until(lambda: not archiver.ready(), "not ready", 30)
    answer = requests.get(archiver.url("/readyz"), timeout=5)
    assert answer.status_code == 503
    assert f"queue {queue}: not consumed" in answer.json()["detail"]
    assert "quorum_status" in answer.json()["detail"]
    wait.until(lambda: archiver.metric("navette_bus_queue_unserved", queue=queue) == 1, "the metric")
    assert archiver.metric("navette_bus_queue_unserved", queue=other) == 0
    said = doctor(farm, archiver)
    assert f"not ready: queue {queue}: not consumed" in said
    # The other queue is served all the while, on a connection that stays.
    for n in range(3):
        request = farm.ask(farm.remote.add(samples.make(farm.path("made.mbz"), n)), now=False)
        farm.wait_state(request, "restored")
    assert archiver.metric("navette_bus_reconnects_total", connection=other) == 0
    assert archiver.metric("navette_bus_reconnects_total", connection=queue) > 0
    assert not archiver.ready()
    # It is back.
    leader(farm, "restart_server", queue)
    wait.until(archiver.ready, "ready", 30)
    farm.wait_state(farm.ask(farm.remote.add(samples.make(farm.path("made.mbz"), 4)), now=True),
                    "restored")
    assert "not ready" not in doctor(farm, archiver)
    farm.assert_restored_once()
