"""A snapshot of every message with which the chart refuses values. `UPDATE=1` writes it anew."""

import functools
import json
import os
import pathlib
import re
import unittest

import chart
import refused_values

SNAPSHOT = pathlib.Path(__file__).resolve().parent / "fixtures" / "messages.txt"
TEMPLATES = chart.CHART / "templates"
# A format with which a template refuses: the text in double quotes on a line that prints it.
FORMAT = re.compile(r'^\{\{- (?:printf "(?P<format>[^"]*)".*\| println|println "(?P<text>[^"]*)") -\}\}$')
# Longer lists are cut in the snapshot.
SHOWN = 4

HEAD = """\
# Every message with which the chart refuses values, each below the values that provoke it. Written by
# `UPDATE=1 scripts/chart_test.py messages`; the values are changes of VALUES in tests/chart/chart.py.
"""
IN_A_CLUSTER = """\
# Refusals that need a cluster: `helm install` and `helm upgrade` look for these (templates/_preflight.tpl). %s and %d stand
# for what they find.
"""


def formats(template):
    """The formats of a template's refusals."""
    lines = (TEMPLATES / template).read_text().splitlines()
    return [found["format"] or found["text"] for found in map(FORMAT.match, lines) if found]


def messages(change, *options):
    """The chart's own lines of a refusal. Helm words the refusals of the schema, each version in its own way."""
    prefix = "cellgate: "
    try:
        lines = chart.refusal(change, options=options).splitlines()
    except AssertionError:  # only the schema refuses it
        return []
    return [line.strip().removeprefix(prefix) for line in lines if line.strip().startswith(prefix)]


@functools.cache
def refusals():
    """For each entry of refused_values.WRONG: the messages, and those without the schema if only that refuses the values."""
    found = [(title, change, messages(change)) for title, change, _ in refused_values.WRONG]
    return [(title, change, lines, [] if lines else messages(change, "--skip-schema-validation")) for title, change, lines in found]


def shortened(value):
    """A value without the middle of its long lists."""
    if isinstance(value, dict):
        return {key: shortened(inner) for key, inner in value.items()}
    if isinstance(value, list):
        cut = [f"... {len(value)} in all"] if len(value) > SHOWN else []
        return [shortened(inner) for inner in value[:SHOWN]] + cut
    return value


def entry(title, change, lines, unvalidated):
    if not lines:
        lines = ["(refused by values.schema.json)", *(f"without the schema: {line}" for line in unvalidated)]
    values = json.dumps(shortened(change), ensure_ascii=False)
    return "\n".join([f"## {title}", values, *(f"  {line}" for line in lines)]) + "\n"


def snapshot():
    entries = [entry(*refusal) for refusal in refusals()]
    cluster = "".join(f"  {text}\n" for text in formats("_preflight.tpl"))
    return "\n".join([HEAD, *entries, IN_A_CLUSTER + cluster])


class Messages(unittest.TestCase):
    def test_every_message_is_the_one_in_the_snapshot(self):
        current = snapshot()
        if os.environ.get("UPDATE"):
            SNAPSHOT.write_text(current)
        self.assertEqual(SNAPSHOT.read_text().splitlines(), current.splitlines(), "UPDATE=1 writes the snapshot anew")

    def test_every_refusal_of_the_templates_is_provoked(self):
        provoked = [line for _, _, lines, unvalidated in refusals() for line in lines + unvalidated]
        known = [text for path in sorted(TEMPLATES.glob("_validate*.tpl")) for text in formats(path.name)]
        self.assertGreater(len(known), 70)
        for text in known:
            with self.subTest(text):
                pattern = re.compile(".*".join(map(re.escape, re.split("%[sdvq]", text))))
                self.assertTrue(any(map(pattern.fullmatch, provoked)), "no entry of refused_values.WRONG provokes it")


if __name__ == "__main__":
    unittest.main()
