# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a condition with a deadline: no test sleeps for a fixed time."""
import time


def until(condition, what, timeout=60.0, every=0.05):
    """The first true value of condition(); what: for the error, text or a function that makes it."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise AssertionError(f"not within {timeout:g} s: {text}")
        time.sleep(every)


def stays(condition, what, seconds):
    """A condition that must hold all the time, e.g. that nothing starts outside the window."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), what() if callable(what) else what
        time.sleep(0.05)
