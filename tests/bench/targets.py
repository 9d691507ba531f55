#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was to be reached, what was measured (results/*.json), and what bounds it.

    tests/bench/targets.py [--write docs/performance.md] [--check docs/performance.md]"""
import argparse
import os
import statistics
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
# pylint: disable=wrong-import-position
import measure  # noqa: E402
import tables  # noqa: E402
from tables import result  # noqa: E402

CASES = {"first": "first time", "again": "again after a small change", "there": "the client's Moodle has its files"}
PHASES = {"queued": "until an archiver tells of it", "export": "export", "upload": "rest of the upload",
          "wait": "until a worker begins", "download": "rest of the download", "import": "import"}
BLOCK, FLOOR = "the older block's time / Navette's", "Navette's time / Moodle's own work"


def figure(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def shown(middle, aim):
    """aim: ("≥" or "≤", number), None: none was set."""
    missed = aim and (middle < aim[1] if aim[0] == "≥" else middle > aim[1])
    return f"**{figure(middle)}**" if missed else figure(middle)


def aimed(aim):
    return f"{aim[0]} {aim[1]:g}" if aim else "–"


def row(what, ratio, aim, spread, bound="", why=""):
    return {"what": what, "ratio": ratio, "aim": aimed(aim), "measured": shown(spread["median"], aim),
            "least – most (runs)": f"{figure(spread['min'])} – {figure(spread['max'])} ({spread['runs']})",
            "possible": f"{figure(bound)}: {why}" if bound else ""}


def restores():
    courses = result("moodle_restore")["courses"]
    aims = {("FILES", "first"): (("≥", 5), ("≤", 1.4)), ("FILES", "again"): (("≥", 7), ("≤", 1.15))}
    for name, course in courses.items():
        for case, title in CASES.items():
            if case not in course["cases"]:
                continue
            found = course["cases"][case]
            what = f"course {name} of {course['bytes'] / 1e6:.0f} MB, {title}"
            block, floor = aims.get((name, case), (None, None))
            yield row(what, BLOCK, block, found["ratios"]["block / navette"],
                      found["seconds"]["block"]["median"] / course["floor_s"]["both"]["median"],
                      "all but Moodle's own work for nothing")
            yield row(what, FLOOR, floor, found["ratios"]["navette / floor"])
            if (name, case) == ("FILES", "first"):
                yield row(what, "bytes written to disk / the course's", ("≤", 2.2),
                          found["ratios"]["navette written / course"])
            if (name, case) == ("FILES", "again"):
                moved = [sum(r["moved"].values()) / 2 / course["bytes"] for r in found["runs"]["navette"]]
                yield row(what, "bytes moved / the course's", ("≤", 0.02), measure.spread(moved))


def shares():
    """Of the whole of Navette's time, each from its own median: what a restore's record says it was spent on, and
    what Moodle itself needs for its two parts."""
    for name, course in result("moodle_restore")["courses"].items():
        for case, title in CASES.items():
            found = course["cases"].get(case, {})
            if "phases_s" not in found:
                continue
            parts = {head: found["phases_s"].get(phase, {"median": 0}) for phase, head in PHASES.items()}
            parts |= {f"Moodle's own {part}": course["floor_s"][part] for part in ("export", "import")}
            percent = 100 / found["seconds"]["navette"]["median"]
            yield {"course": f"{name}, {title}",
                   **{head: f"{percent * spread['median']:.0f} %" for head, spread in parts.items()}}


def many():
    """Of the processor's time that Moodle (PHP, and MariaDB for it) takes, nothing can be left out."""
    for number, found in result("moodle_many")["queued"].items():
        cores = found["machine"]["cores"]
        for ratio, spread in found["ratios"].items():
            who = ratio.partition(" / ")[2]
            moodle = statistics.median(sum(s for name, s in r["cpu_s_by"].items() if "php" in name or name in (
                "mariadbd", "ended of navette-worker", "ended of navette-archive")) for r in found["runs"][who])
            yield row(f"{number} mixed courses at once, {who.partition(', ')[2]}", BLOCK,
                      ("≥", 3) if number == "8" else None, spread,
                      found["seconds"]["block"]["median"] / (moodle / cores),
                      f"Moodle's own {moodle:.0f} s of processor, on {cores} without a pause")


# The kernel keeps 15 characters of a name.
DAEMONS = {"navette-worker": "worker", "navette-archive": "archiver", "navette-produce": "producer"}


def own_programs(runs):
    """What our own programs took of the processor, in ms."""
    return ", ".join(f"{title} {statistics.median(r['cpu_ms_each_by'].get(name, 0) for r in runs):.1f}"
                     for name, title in DAEMONS.items())


def queue():
    document = result("queue")
    for place in (document, document["in_memory"]):
        runs, cores = place["runs"]["navette"], document["machine"]["cores"]
        servers = statistics.median(r["servers_cpu_ms_each"] for r in runs)
        what = f"requests of next to nothing, files on {place['file_system']}"
        yield row(what, "a second / Celery's", ("≥", 3), place["ratios"]["navette / celery, per second"],
                  1000 * cores / servers / place["per_second"]["celery"]["median"],
                  f"RabbitMQ's and Redis's {servers:.1f} ms of processor each, all else for nothing "
                  f"({own_programs(runs)})")
        yield row(what, "memory / Celery's", ("≤", 1), place["ratios"]["navette / celery, memory"])


def scale():
    document = result("scale")
    sizes = document["sizes_mb"]
    for place in (document, document["in_memory"]):
        requests = place["requests"]
        few, most = min(requests, key=int), max(requests, key=int)
        yield row(f"{int(most):,} requests outstanding, not {few}, files on {place['file_system']}",
                  "time to restore each", ("≤", 1.25), measure.spread(
                      [requests[most]["restore_ms_each"] / requests[few]["restore_ms_each"]]))
    small, large = min(sizes, key=int), max(sizes, key=int)
    for way in ("up", "down"):
        yield row(f"an archive of {int(large):,} MB, not {small}: {'sending' if way == 'up' else 'fetching'}", "memory",
                  ("≤", 1.1), measure.spread([sizes[large][way]["rss_mib"] / sizes[small][way]["rss_mib"]]))


def transfers():
    aims = {"10 KB": ("≥", 2), "30 MB": ("≥", 1), "1 GB": ("≥", 1)}
    for store, sets in result("transfer")["stores"].items():
        for name, found in sets.items():
            for way, title in (("up", "into it"), ("down", "out of it")):
                rate = found[way]["mb_per_second"]["navette"]
                with_more = [found[way]["ratios"].get(f"navette / rclone{more}, throughput")
                             for more in (" and sync", ", sync and hashes", " in parts")]
                sync, both, parts = (figure(c["median"]) if c else "" for c in with_more)
                yield {"store": store, "files of": name, "way": title, "aim": aimed(aims.get(name)),
                       "rclone": shown(found[way]["ratios"]["navette / rclone, throughput"]["median"], aims.get(name)),
                       "with a sync": sync, "with the sync and both hashes": both, "in parts": parts,
                       "Navette, MB/s": figure(rate["median"]), "runs": str(rate["runs"])}


def machines():
    found = {}
    for name in ("moodle_restore", "moodle_many", "transfer", "queue", "scale"):
        for m in tables.machines(result(name)):
            key = f"{m['cpu']}, {m['cores']} processors, {m.get('file_system') or 'file system not recorded'}"
            found.setdefault(key, {}).setdefault(name, set()).add(m["commit"][:7])
    return "".join(f"- {key}: " + "; ".join(f"{name} ({', '.join(sorted(commits))})" for name, commits in sorted(
        names.items())) + "\n" for key, names in sorted(found.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tables.options(parser)
    chosen = parser.parse_args()
    text = tables.markdown([*restores(), *many(), *queue(), *scale()])
    text += "\nWhere a restore's time goes (of the whole; files move while Moodle exports; "
    text += "an archiver tells of an export a quarter of a second after it began it):\n\n"
    text += tables.markdown(list(shares())) + "\nInto the store and out of it, throughput / "
    text += "rclone's (the better of 4 and 16 transfers):\n\n" + tables.markdown(list(transfers()))
    text += "\nMeasured on (benchmark, commit):\n\n" + machines()
    return tables.give("targets", text, chosen)


if __name__ == "__main__":
    sys.exit(main())
