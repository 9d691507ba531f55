# SPDX-License-Identifier: GPL-3.0-or-later
"""Long tests, and long forms of others, run with NAVETTE_NIGHTLY=1 (tests/run --all)."""
import os

import pytest

NIGHTLY = os.environ.get("NAVETTE_NIGHTLY") == "1"
only = pytest.mark.skipif(not NIGHTLY, reason="long: tests/run --all")
