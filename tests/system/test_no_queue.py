# SPDX-License-Identifier: GPL-3.0-or-later
"""A course server without a queue on the broker: the requester is told why nothing happens, the
request ends, and what goes to other course servers is not held up; once there is a queue, it goes on."""
import pytest

from harness import api, samples, wait


@pytest.fixture
def make(make_farm):
    def made(**producer):
        farm = make_farm(producer={"catalog_ttl": "1h", **producer})
        producer, archiver, _ = farm.all()
        courses = [farm.remote.add(samples.make(farm.path(f"made{n}.mbz"), n)) for n in (1, 2)]
        farm.person("ada").get("/courses?refresh=true")
        archiver.stop()
        for queue in (f"archive.{farm.site}", f"archive.{farm.site}.now"):
            farm.broker.call("DELETE", "queues", farm.vhost, queue)
        return farm, producer, archiver, courses
    return made


def test_a_request_without_a_queue_says_so_and_fails_after_its_time(make):
    farm, producer, _, courses = make(unroutable_after="3s")
    request = farm.submit(courses[0])
    wait.until(lambda: farm.record(request).get("reason") == "unroutable",
               lambda: f"the reason: {farm.record(request)}")
    shown = farm.person("ada").request(request)
    assert shown["state"] in ("scheduled", "failed")
    assert farm.site in shown["message"] and "navette broker apply" in shown["message"]
    farm.wait_state(request, "failed")
    assert farm.person("ada").request(request)["reason"] == "unroutable"
    # People are told as of any other failure, and it is not sealed for ever after.
    wait.until(lambda: farm.local.mail(request), "a message")
    sweeps = len(producer.events("sweep.publish"))
    other = farm.submit(courses[1])
    farm.wait_state(other, "failed")
    tried = [e for e in producer.events("sweep.publish")[sweeps:] if e["req"] == request]
    assert not tried, "it is swept although it has failed"


def test_once_there_is_a_queue_the_request_goes_on(make):
    farm, _, archiver, courses = make(unroutable_after="1h")
    request = farm.submit(courses[0])
    wait.until(lambda: farm.record(request).get("reason") == "unroutable",
               lambda: f"the reason: {farm.record(request)}")
    farm.make_topology()
    archiver.start()
    # The next try comes after ten seconds, and is not waited for: it is made due.
    farm.redis.client.zadd("nv:idx:unpublished", {request: 1})
    farm.wait_state(request, "restored")
    assert "unrouted" not in farm.record(request) and "reason" not in farm.record(request)


def test_without_a_folder_it_is_accepted_all_the_same(make):
    """Its record says what it waits for: there is nothing to keep on a disk."""
    farm, _, _, courses = make(unroutable_after="1h")
    producer = farm.daemon("producer", "unset")
    del producer.config["producer"]["work_dir"]
    producer.configure(producer.config)
    producer.start()
    answer = api.Api(lambda: producer.url(""), "ada").call(
        "POST", "/requests", json={"site": farm.site, "course": courses[0]})
    assert answer.status_code == 202, answer.text
    result = answer.json()["results"][0]
    assert not result["published"]
    assert farm.record(result["id"])["reason"] == "unroutable"
