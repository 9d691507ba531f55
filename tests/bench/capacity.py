#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What so many requests a day need, from what was measured here (results/*.json) and what is assumed.

    tests/bench/capacity.py [--course-mb 300] [--new 0.6] [--peak 0.2] [--use 0.7] [--failed 0.01] [--keep-days 30]
    tests/bench/capacity.py --write docs/capacity.md        the table between the markers there
    tests/bench/capacity.py --check docs/capacity.md        is it what this computes?

Prints a table in Markdown, for 100 to 1,000,000 requests a day.  It is a model: linear in requests and bytes, from runs
on one machine (named in the results), whose slowest part was hashing; measure yours before you buy."""
import argparse
import os
import statistics
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
import tables  # noqa: E402
from tables import result  # noqa: E402

DAYS = (100, 1_000, 10_000, 100_000, 1_000_000)  # requests a day


class Costs:
    """Of one request, measured."""

    def __init__(self):
        restore, scale = result("moodle_restore")["courses"]["FILES"], result("scale")["requests"]
        runs = {case: restore["cases"][case]["runs"]["navette"] for case in ("first", "again")}
        gb = restore["bytes"] / 1e9
        self.export_s = restore["floor_s"]["export"]["median"]  # Moodle's own work, whatever the bytes
        self.import_s = restore["floor_s"]["import"]["median"]
        seconds = statistics.median(r["seconds"] for r in runs["first"])
        self.move_s_per_gb = max(0.0, seconds - restore["floor_s"]["both"]["median"]) / gb
        cpu = {case: statistics.median(r["cpu_s"] for r in runs[case]) for case in runs}
        self.cpu_s, self.cpu_s_per_gb = cpu["again"], (cpu["first"] - cpu["again"]) / gb
        most = max(scale, key=int)
        grew = scale[most]["rss_grew_mib"]
        self.redis_kib, self.broker_kib = (grew[who] * 1024 / int(most) for who in ("redis", "rabbitmq"))


def number(x):
    return f"{x:,.0f}" if x >= 10 else f"{x:.2g}"


def rows(costs, o):
    course_gb = o.course_mb / 1000
    new_gb = course_gb * o.new
    for a_day in DAYS:
        peak = a_day * o.peak / 3600  # a second
        half = new_gb * costs.move_s_per_gb / 2
        archiver = peak * (costs.export_s + half) / o.use
        worker = peak * (costs.import_s + half) / o.use
        yield {
            "requests a day": f"{a_day:,}",
            "at the peak, a second": number(peak),
            "archiver slots": number(max(1, archiver)),
            "worker slots": number(max(1, worker)),
            "processors, both Moodles and Navette": number(max(1, peak * (costs.cpu_s + new_gb * costs.cpu_s_per_gb) / o.use)),
            "through the store, MB/s": number(2 * 1000 * peak * new_gb),
            "store for failures, GB": number(a_day * o.failed * o.keep_days * new_gb),
            "Redis, GB": number(a_day * o.keep_records * costs.redis_kib / 1024 / 1024),
            "a day's queue in the broker, MB": number(a_day * costs.broker_kib / 1024),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--course-mb", type=float, default=300)
    parser.add_argument("--new", type=float, default=0.6, help="share of a course's bytes that neither side has yet")
    parser.add_argument("--peak", type=float, default=0.2, help="share of a day's requests in its busiest hour")
    parser.add_argument("--use", type=float, default=0.7, help="how busy slots and processors may be then")
    parser.add_argument("--failed", type=float, default=0.01, help="share of requests whose archive waits in the store")
    parser.add_argument("--keep-days", type=float, default=30, help="store.keep")
    parser.add_argument("--keep-records", type=float, default=730, help="producer.keep, days")
    tables.options(parser)
    o = parser.parse_args()
    return tables.give("capacity", tables.markdown(list(rows(Costs(), o))), o)


if __name__ == "__main__":
    sys.exit(main())
