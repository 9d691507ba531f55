# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the packages share."""
import os
import sys

SOURCE = os.environ["NAVETTE_SOURCE"]
sys.path.insert(0, os.path.join(SOURCE, "tests", "system"))
from harness import nightly  # noqa: E402
from harness.nightly import pytest_sessionfinish  # noqa: E402, F401 (a hook)

needs_nightly = nightly.only
