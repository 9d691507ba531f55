# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the system tests: `broker` (one node for a file), `farm` (one for each test)."""
import itertools
import os
import shutil
import tempfile

import pytest

from harness.farm import Farm
from harness.nightly import pytest_sessionfinish  # noqa: F401 (a hook)
from harness.rabbit import Broker
from harness.samples import SOURCE

_numbers = itertools.count(1)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    setattr(item, f"report_{report.when}", report)


@pytest.fixture(scope="session")
def folder():
    """Short: a unix socket's path has at most 107 bytes."""
    path = tempfile.mkdtemp(prefix="nv-", dir=os.environ.get("NAVETTE_TMP", "/tmp"))
    yield path
    if not os.environ.get("NAVETTE_KEEP") and not os.listdir(path):
        os.rmdir(path)


@pytest.fixture(scope="session")
def broker(folder, request):
    b = Broker(os.path.join(folder, "broker"), SOURCE).start()
    yield b
    b.close()
    if not request.session.testsfailed and not os.environ.get("NAVETTE_KEEP"):
        shutil.rmtree(b.folder)


@pytest.fixture
def make_farm(folder, broker, request):
    """make_farm(worker={"slots": 4}, …): a Farm with other settings."""
    farms = []

    def make(**settings):
        name = f"{request.node.name[:40]}-{next(_numbers)}"
        farms.append(Farm(os.path.join(folder, name), broker, **settings))
        return farms[-1]

    yield make
    report = getattr(request.node, "report_call", None)
    for f in farms:
        f.close(failed=report is None or report.failed)


@pytest.fixture
def farm(make_farm):
    return make_farm()
