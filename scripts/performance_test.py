#!/usr/bin/env python3
"""Tests performance.py. The last line counts the tests.

    performance_test.py [WORD ...]     only tests whose name has one of the words in it
"""

import pathlib
import sys
import tempfile
import unittest

import chart_test
import performance

REPORT = """# CPU time per request

- CPU: some processor
- rounds: {long}

## Goals

| measure | holds |
|---|---|
| the filter | yes |

## 256 B

{long}

| | µs |
|---|--:|
| {long} | 1 |
### Memory
| MB |
""".format(long="word " * 25 + "end")


class Performance(unittest.TestCase):
    def test_the_goals_and_the_other_tables_are_apart(self):
        goals, tables = performance.parts(REPORT)
        self.assertEqual(goals, "| measure | holds |\n|---|---|\n| the filter | yes |")
        self.assertTrue(tables.startswith("- CPU: some processor\n- rounds: word"), tables)
        self.assertNotIn("## Goals", tables)
        self.assertIn("\n\n## 256 B\n\nword", tables)
        self.assertIn("| 1 |\n\n### Memory\n| MB |", tables)

    def test_prose_is_wrapped_and_tables_are_not(self):
        _, tables = performance.parts(REPORT)
        for line in tables.splitlines():
            self.assertTrue(len(line) <= 100 or line.startswith("|"), line)
        self.assertEqual(tables.count("word"), 75)
        self.assertIn("\n  word word", tables)

    def test_goals_that_are_unclear_are_neither_kept_nor_missed(self):
        goals = [(True, False), (True, False), (False, False), (False, 3), (True, 3)]
        report = {
            "facts": {"commit": "abc", "Envoy": "1.40.0"},
            "rounds": 11,
            "goals": [{"holds": holds, "unclear": unclear} for holds, unclear in goals],
        }
        self.assertEqual(
            performance.summary(report),
            "Commit abc, Envoy 1.40.0, at least 11 rounds: of 5 goals 2 hold, 1 missed, 2 unclear.",
        )

    def test_text_goes_between_the_markers_and_nowhere_else(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "page.md"
            page.write_text("before\n<!-- goals -->\n\nold\n\n<!-- end of goals -->\nafter\n")
            performance.replace(page, "goals", "new\n")
            self.assertEqual(page.read_text(), "before\n<!-- goals -->\n\nnew\n\n<!-- end of goals -->\nafter\n")
            with self.assertRaises(SystemExit):
                performance.replace(page, "verdict", "new")


if __name__ == "__main__":
    sys.exit(chart_test.run(chart_test.loader().loadTestsFromModule(sys.modules[__name__])))
