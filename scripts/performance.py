#!/usr/bin/env python3
"""Puts the last report of `make bench` into docs/performance.md and README.md, between their markers.

    performance.py [DIRECTORY]    the report's directory, otherwise target/bench

Figures in the documentation are never written by hand: this replaces all of them, and the plot beside them. A quick run
has too few rows for that and is refused, and so is a report of a tree with changes that nobody could check out.
"""

import json
import pathlib
import shutil
import sys

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


def demoted(markdown):
    """The report as a part of a page: without its title, each heading one level deeper."""
    _, _, body = markdown.partition("\n")
    return "\n".join(f"#{line}" if line.startswith("##") else line for line in body.splitlines())


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
    replace(DOCS / "performance.md", "report", demoted((source / "report.md").read_text()))
    held = sum(goal["holds"] for goal in report["goals"])
    missed = [goal["name"] for goal in report["goals"] if not goal["holds"] and not goal["unclear"]]
    unclear = [goal["name"] for goal in report["goals"] if goal["unclear"]]
    summary = f"Commit {commit}, Envoy {report['facts']['Envoy']}, at least {report['rounds']} rounds. {held} of {len(report['goals'])} goals hold."
    for title, names in (("Missed", missed), ("Hidden by noise", unclear)):
        if names:
            summary += f"\n\n{title}:\n\n" + "\n".join(f"- {name}" for name in names)
    replace(DOCS / "performance.md", "verdict", summary)
    replace(ROOT / "README.md", "table", short_table(report))
    print(f"docs: {len(report['rows'])} rows, {held} of {len(report['goals'])} goals, commit {commit}")


if __name__ == "__main__":
    main()
