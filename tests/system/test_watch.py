# SPDX-License-Identifier: GPL-3.0-or-later
"""`navette watch` follows the live events: it sees every state, survives the producer's restart without
asking again and again, and ends when the course is there."""
import os
import subprocess

from harness import api, daemon, keys, ports, samples, wait


def watch(farm, url, request, log):
    keys.write_secret(farm.path("api.password"), api.PASSWORD)
    config = daemon.write_configuration(farm.path("watch.yaml"), {
        "api": {"url": url, "user": "ada", "password_file": farm.path("api.password")}})
    with open(log, "wb") as out:
        return subprocess.Popen([os.path.join(daemon.BUILD, "bin", "navette"), "watch", request,
                                 "-c", config], stdout=out, stderr=subprocess.STDOUT,
                                env={**os.environ, **daemon.SANITIZERS})


def text(log):
    with open(log, encoding="utf-8") as f:
        return f.read()


def test_watch_goes_on_after_the_producers_restart(make_farm):
    port = ports.free()
    farm = make_farm(producer={"listen": f"127.0.0.1:{port}"})
    producer, archiver = farm.producer(), farm.archiver()
    course = farm.remote.add(samples.make(farm.path("made.mbz"), 1))
    request = farm.submit(course)
    farm.wait_state(request, "ready")
    log = farm.path("watch.log")
    child = watch(farm, f"http://127.0.0.1:{port}", request, log)
    try:
        wait.until(lambda: "  ready" in text(log), lambda: f"the first news: {text(log)}")
        producer.kill()
        farm.worker()  # all happens while nobody tells
        farm.wait_state(request, "restored")
        assert "restored" not in text(log)
        producer.start()
        assert child.wait(60) == 0, text(log)
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    assert text(log).splitlines()[-1].startswith("1 of 1 restored")
    archiver.stop()
