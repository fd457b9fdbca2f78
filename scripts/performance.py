#!/usr/bin/env python3
"""Writes the last report of `make bench` into the documentation, between markers.

    performance.py [DIRECTORY]    the report's directory, by default target/bench

docs/performance.md gets the goals, docs/performance-tables.md everything else, README.md a short table. Figures in the
documentation are never written by hand: this replaces all of them, and the plot beside them. It refuses a quick run,
which has too few rows, and a report of a tree with changes, which nobody else could check out.
"""

import json
import pathlib
import shutil
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
# The table of the README: these variants, in the plainest case of each size.
README_VARIANTS = [
    "plain",
    "wasm-noop",
    "filter",
    "lua-search",
    "lua",
    "json-to-metadata",
    "transform",
    "haproxy",
    "ext-proc-noop-buffered",
    "service-buffered",
    "naive-service",
    "go-router",
]
SIZES = {"256B": "256 B", "4KB": "4 KB", "64KB": "64 KB", "1MB": "1 MB"}
OURS = ("filter", "service-buffered")


def replace(file, name, text):
    """Puts `text` between the comments `NAME` and `end of NAME` of a Markdown file."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, found, rest = file.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        sys.exit(f"{file}: no place for the {name}, which is between `{begin.strip()}` and `{end}`")
    file.write_text(f"{before}{begin}\n{text.strip()}\n\n{end}{after}")


def parts(markdown):
    """The goals of a report, and everything else without its title."""
    _, _, body = markdown.partition("\n")
    before, found, rest = body.partition("## Goals\n")
    if not found:
        sys.exit("the report has no goals")
    goals, heading, after = rest.partition("\n## ")
    return wrapped(goals), wrapped(f"{before.rstrip()}\n{heading}{after}")


def wrapped(markdown):
    """The same text, with an empty line before each heading and prose of at most 100 columns. Tables stay as they are."""
    lines = []
    for line in markdown.strip().splitlines():
        if line.startswith("#") and lines and lines[-1]:
            lines.append("")
        indent = "  " if line.startswith("- ") else ""
        if line.startswith(("|", "#")) or len(line) <= 100:
            lines.append(line)
        else:
            fill = {"break_long_words": False, "break_on_hyphens": False, "subsequent_indent": indent}
            lines += textwrap.wrap(line, 100, **fill)
    return "\n".join(lines)


def summary(report):
    """The run, and how many of its goals hold."""
    goals, facts = report["goals"], report["facts"]
    held = sum(goal["holds"] and not goal["unclear"] for goal in goals)
    unclear = sum(bool(goal["unclear"]) for goal in goals)
    text = (
        f"Commit {facts['commit']}, Envoy {facts['Envoy']}, at least {report['rounds']} rounds: "
        f"of {len(goals)} goals {held} hold, {len(goals) - held - unclear} missed, {unclear} unclear."
    )
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False)


def short_table(report):
    """µs per request of some variants, key last."""
    rows = {(row["case"], row["variant"]): row for row in report["rows"]}
    lines = ["| | " + " | ".join(SIZES.values()) + " |", "|---|" + "--:|" * len(SIZES)]
    for variant in README_VARIANTS:
        measured = [rows.get((f"{size}-objects-last-h1", variant), {}) for size in SIZES]
        if not any("total" in row for row in measured):
            continue
        title = next(row["title"] for row in measured if row)
        cells = [f"{row['total']['median']:.0f}" if "total" in row else "" for row in measured]
        lines.append(f"| {f'**{title}**' if variant in OURS else title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    source = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "target" / "bench"
    if not (source / "report.json").is_file():
        sys.exit(f"{source / 'report.json'} is not there: run `make bench`")
    report = json.loads((source / "report.json").read_text())
    if not any(row["case"].startswith("10MB") for row in report["rows"]) or not report["parts"]:
        sys.exit("this was not a whole run: `make bench` without QUICK")
    commit = report["facts"]["commit"]
    if commit.endswith("-dirty"):
        sys.exit(f"the report is of {commit}: commit, then run `make bench` again")
    shutil.copyfile(source / "plot.svg", DOCS / "performance-plot.svg")
    goals, tables = parts((source / "report.md").read_text())
    replace(DOCS / "performance.md", "verdict", summary(report))
    replace(DOCS / "performance.md", "goals", goals)
    replace(DOCS / "performance-tables.md", "report", tables)
    replace(ROOT / "README.md", "table", short_table(report))
    print(f"docs: {len(report['rows'])} rows. {' '.join(summary(report).split())}")


if __name__ == "__main__":
    main()
