# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test here begins with: are there real Moodle sites, and where is the harness?

MOODLE_DIR names a clean Moodle source tree, NAVETTE_PAIR a pair that runs already.
"""
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]


def missing():
    """Why nothing can be tested, or None."""
    if os.environ.get("MOODLE_DIR") or os.environ.get("NAVETTE_PAIR"):
        return None
    return "MOODLE_DIR is not set"


def leave_if(why):
    """For a file that is run by itself: ctest's word for skipped, before more is imported."""
    if why:
        print(f"skipped: {why}")
        sys.exit(77)


def mark(why):
    """The same for pytest: a file's pytestmark."""
    import pytest
    return pytest.mark.skipif(bool(why), reason=str(why))
