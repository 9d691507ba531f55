#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result files as pictures: docs/pictures/bench-<name>.svg.  Needs python3-matplotlib.

    /usr/bin/python3 tests/bench/plot.py"""
import os

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "navette"  # the same results give the same picture
import matplotlib.pyplot as plt  # noqa: E402  pylint: disable=wrong-import-position
import tables  # noqa: E402  pylint: disable=wrong-import-position

HERE = os.path.dirname(os.path.abspath(__file__))
PICTURES = os.path.join(HERE, "..", "..", "docs", "pictures")
WHO = {"navette": ("Navette", "#0f6cbf"), "block": ("older block", "#b0b7be"),
       "plain": ("Moodle by hand", "#d9a441")}
CASES = {"first": "first time", "again": "again,\na little changed", "there": "files are\nthere already"}


def figure_of(x):
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def draw_course(axes, name, course, key, unit):
    """Bars of the medians, lines from the least to the most."""
    cases = [c for c in CASES if c in course["cases"]]
    people = [w for w in WHO if any(w in course["cases"][c]["seconds"] for c in cases)]
    width = 0.8 / len(people)
    for n, w in enumerate(people):
        for x, case in enumerate(cases):
            values = sorted(key(run) for run in course["cases"][case]["runs"].get(w, []))
            if not values:
                continue
            middle = values[len(values) // 2] if len(values) % 2 else sum(
                values[len(values) // 2 - 1:len(values) // 2 + 1]) / 2
            at = x + (n - (len(people) - 1) / 2) * width
            axes.bar(at, middle, width * 0.92, color=WHO[w][1], label=WHO[w][0] if x == 0 else None)
            axes.vlines(at, values[0], values[-1], color="black", linewidth=1)
            axes.text(at, values[-1], f" {figure_of(middle)}", ha="center", va="bottom", fontsize=8)
    axes.set_xticks(range(len(cases)), [CASES[c] for c in cases])
    axes.set_ylabel(unit)
    axes.set_title(f"{name}: {course['bytes'] / 1e6:.0f} MB", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def moodle_restore(document):
    courses = document["courses"]
    figure, all_axes = plt.subplots(len(courses), 2, figsize=(9, 3.2 * len(courses)), squeeze=False)
    for row, (name, course) in zip(all_axes, courses.items()):
        draw_course(row[0], name, course, lambda run: run["seconds"], "seconds")
        draw_course(row[1], name, course, lambda run: run["written_mb"], "MB written to disk")
        if "floor_s" in course:
            floor = course["floor_s"]["both"]["median"]
            row[0].axhline(floor, color="#555555", linestyle=":", linewidth=1)
            row[0].text(-0.45, floor, f"Moodle's own work, {floor:.3g}", fontsize=7, va="bottom")
    handles, labels = all_axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=8, ncols=len(labels), loc="upper center")
    return sign(figure, document)


def bars(axes, values, unit, title):
    """{label: (least, middle, most)}"""
    for x, (label, (least, middle, most)) in enumerate(values.items()):
        who = next((w for w in WHO if label.startswith(w)), None)
        axes.bar(x, middle, 0.7, color=WHO[who][1] if who else "#b0b7be")
        axes.vlines(x, least, most, color="black", linewidth=1)
        axes.text(x, most, f" {middle:.3g}", ha="center", va="bottom", fontsize=8)
    axes.set_xticks(range(len(values)), [label.replace("navette", "Navette").replace(", ", ",\n") for label in values],
                    fontsize=8)
    axes.set_ylabel(unit)
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def three(spread):
    return spread["min"], spread["median"], spread["max"]


def sign(figure, document):
    said = {f"{m['cpu']}, {m['cores']} cores{', ' + m['file_system'] if m.get('file_system') else ''}; "
            f"commit {m['commit'][:7]}, {m['date'][:10]}": None for m in tables.machines(document)}
    figure.text(0.01, 0.005, "; ".join(said), fontsize=6, color="#555555")
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    return figure


def moodle_many(document):
    figure, axes = plt.subplots(1, len(document["queued"]), figsize=(4.5 * len(document["queued"]), 3.2), squeeze=False)
    for at, (count, o) in zip(axes[0], document["queued"].items()):
        bars(at, {name: three(s) for name, s in o["seconds"].items()}, "seconds", f"{count} courses queued at once")
    return sign(figure, document)


def queue(document):
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2))
    bars(axes[0], {name: three(s) for name, s in document["per_second"].items()}, "requests a second", "throughput")
    in_memory = document.get("in_memory", {"per_second": {}})
    bars(axes[2], {name: three(s) for name, s in in_memory["per_second"].items()}, "requests a second",
         "throughput, all files in memory")
    memory = {name: sorted(r["pss_mib"] for r in runs) for name, runs in document["runs"].items()}
    bars(axes[1], {name: (m[0], m[len(m) // 2], m[-1]) for name, m in memory.items()}, "MiB", "memory")
    return sign(figure, document)


def transfer(document):
    stores = document["stores"]
    figure, all_axes = plt.subplots(len(stores), 2, figsize=(9, 3 * len(stores)), squeeze=False)
    for row, (store, sets) in zip(all_axes, stores.items()):
        for axes, way in zip(row, ("up", "down")):
            width = 0.2
            for n, who in enumerate(("navette", "rclone 4", "rclone 16", "cp")):
                for x, found in enumerate(sets.values()):
                    least, middle, most = three(found[way]["mb_per_second"][who])
                    at = x + (n - 1.5) * width
                    axes.bar(at, middle, width * 0.9, color=["#0f6cbf", "#b0b7be", "#8a9299", "#d9a441"][n],
                             label=who if x == 0 else None)
                    axes.vlines(at, least, most, color="black", linewidth=1)
            axes.set_xticks(range(len(sets)), sets)
            axes.set_ylabel("MB/s")
            axes.set_title(f"{store}, {way}", fontsize=10)
            axes.spines[["top", "right"]].set_visible(False)
    all_axes[0][0].legend(frameon=False, fontsize=8)
    return sign(figure, document)


def scale(document):
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2))
    for place, colour in ((document, "#0f6cbf"), (document["in_memory"], "#d9a441")):
        found = {int(n): o["restore_ms_each"] for n, o in place["requests"].items()}
        axes[0].plot(list(found), list(found.values()), marker="o", color=colour, label=f"files on {place['file_system']}")
    axes[0].legend(frameon=False, fontsize=8)
    axes[0].set(title="requests outstanding", ylabel="ms to restore one")
    for title, key, at in (("files of an archive", "files", axes[1]), ("MB of an archive", "sizes_mb", axes[2])):
        for way, label, colour in (("up", "sending", "#0f6cbf"), ("down", "fetching", "#d9a441")):
            found = {int(n): o[way]["rss_mib"] for n, o in document[key].items()}
            at.plot(list(found), list(found.values()), marker="o", color=colour, label=label)
        at.legend(frameon=False, fontsize=8)
        at.set(title=title, ylabel="MiB of memory")
    for at in axes:
        at.set_xscale("log")
        at.set_ylim(bottom=0)
        at.title.set_fontsize(10)
        at.spines[["top", "right"]].set_visible(False)
    return sign(figure, document)


def main():
    for name, draw in {"moodle_restore": moodle_restore, "moodle_many": moodle_many, "queue": queue,
                       "transfer": transfer, "scale": scale}.items():
        try:
            document = tables.result(name)
        except FileNotFoundError:
            continue
        path = os.path.join(PICTURES, f"bench-{name}.svg")
        draw(document).savefig(path, metadata={"Date": None})
        print(os.path.normpath(path))


if __name__ == "__main__":
    main()
