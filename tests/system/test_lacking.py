# SPDX-License-Identifier: GPL-3.0-or-later
"""Before anybody asks for a course, the producer says which of its activities the client's Moodle has no
plugin for, and each request says what becomes of them."""
from harness import standin, wait
from harness.description import Description, described


def test_what_the_client_lacks_is_said_beforehand(make_farm):
    farm = make_farm()
    moodle = standin.Moodle(farm.path("moodle"))
    for role in ("producer", "archiver"):
        d = farm.daemon(role)
        d.configure({**d.config, "site": moodle.section()})
        d.start()
    ada = described(farm.person("ada"), Description())

    def lacking():
        site, = ada.get("/courses?refresh=true")["sites"]
        return site["courses"] and site["courses"][0]["lacking"]
    wait.until(lambda: lacking() == [{"type": "chat", "count": 2}], lambda: f"found: {lacking()}")
    assert ada.get("/session")["options"]["leave_out"] is True
    request = farm.submit("1", by="ada")
    assert ada.request(request)["leave_out"] is True
    farm.wait_state(request, "ready")
    ada.post(f"/requests/{request}/cancel")
    farm.wait_state(request, "cancelled")
    again = ada.patch(f"/requests/{request}", {"state": "scheduled", "leave_out": False})
    assert (again["state"], again["leave_out"]) == ("scheduled", False)
