"""The tests that docs/security.md names."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDERS = {
    "e2e": ["tests/tests/e2e/{}.rs"],
    "mesh": ["tests/tests/mesh/{}.rs"],
    "chart": ["tests/chart/{}.py"],
    "cli": ["cli/tests/it/{}.rs"],
    "ext-proc": ["ext-proc/tests/{}.rs", "ext-proc/tests/it/{}.rs"],
}


class Security(unittest.TestCase):
    def test_every_test_that_a_threat_names_exists(self):
        text = (ROOT / "docs" / "security.md").read_text()
        named = re.findall(r"`(e2e|mesh|chart|cli|ext-proc) ([\w:]+)::(\w+)`", text)
        self.assertGreater(len(named), 20)
        for suite, module, name in named:
            with self.subTest(test=f"{suite} {module}::{name}"):
                paths = [ROOT / folder.format(module.replace("::", "/")) for folder in FOLDERS[suite]]
                path = next((path for path in paths if path.exists()), None)
                self.assertTrue(path, paths)
                found = re.search(rf"\b(?:fn|def) {name}\b", path.read_text())
                self.assertTrue(found, f"{path} has no {name}")

    def test_every_threat_names_a_test(self):
        table = (ROOT / "docs" / "security.md").read_text().split("## Threats")[1].split("\n## ")[0]
        rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
        for row in rows:
            with self.subTest(row=row):
                self.assertRegex(row, r"`(e2e|mesh|chart|cli|ext-proc) \w+::[\w:]+`")


if __name__ == "__main__":
    unittest.main()
