# SPDX-License-Identifier: GPL-3.0-or-later
import os
import sys

sys.path.insert(0, os.path.join(os.environ["NAVETTE_SOURCE"], "tests", "system"))
from harness.nightly import pytest_sessionfinish  # noqa: E402, F401 (a hook)
