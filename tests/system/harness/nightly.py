# SPDX-License-Identifier: GPL-3.0-or-later
"""Long tests, and long forms of others, run with NAVETTE_NIGHTLY=1 (tests/run --all)."""
import os

import pytest

NIGHTLY = os.environ.get("NAVETTE_NIGHTLY") == "1"
only = pytest.mark.skipif(not NIGHTLY, reason="long: tests/run --all")


def pytest_sessionfinish(session, exitstatus):
    """For a conftest.py: a run in which nothing was tested says so to ctest."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == 0 and not reporter.stats.get("passed"):
        session.exitstatus = 77
