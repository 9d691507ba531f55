# SPDX-License-Identifier: GPL-3.0-or-later
"""Time windows that are open, or closed, whatever the time of the day is when a test runs."""
import datetime


def _window(first, last):
    now = datetime.datetime.now(datetime.timezone.utc)

    def at(hours):
        return (now + datetime.timedelta(hours=hours)).strftime("%H:%M")
    return {"window": f"{at(first)}-{at(last)}", "timezone": "Etc/UTC"}


def closed():
    return _window(8, 16)


def opened():
    return _window(-8, 8)
