#!/usr/bin/env python3
"""Tests that check_repository.py finds what is wrong, a fault for each of its tools. The last line counts the tests.

    check_repository_test.py [WORD ...]     only tests with one of the words in their name

Needs the programs that check_repository.py needs.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import chart_test
import chart_tools

chart_tools.enter()

import check_repository  # noqa: E402

ROOT = chart_tools.ROOT
TOOLS = check_repository.Tools()


class Faults(unittest.TestCase):
    """A copy of the files that are checked, which a test breaks in one place."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for name in (".github", ".ci", "scripts"):
            shutil.copytree(ROOT / name, self.root / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / ".gitleaks.toml", self.root)
        self.git("init", "--quiet")
        self.git("add", ".")

    def git(self, *arguments):
        identity = ["-c", "user.name=a person", "-c", "user.email=person@example.com"]
        subprocess.run(["git", *identity, *arguments], cwd=self.root, stdin=subprocess.DEVNULL, check=True)

    def edit(self, name, old, new):
        path = self.root / name
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new, 1))

    def findings(self, name):
        return check_repository.CHECKS[name](self.root, TOOLS)

    def finds(self, name, *words):
        found = self.findings(name)
        for word in words:
            self.assertIn(word, found)

    def test_without_a_fault_no_tool_has_findings(self):
        self.git("commit", "--quiet", "--message", "all of it")
        for name in check_repository.CHECKS:
            with self.subTest(name):
                self.assertEqual(self.findings(name), "")

    def test_a_workflow_with_a_misspelt_key(self):
        self.edit(".github/workflows/ci.yml", "runs-on:", "run-on:")
        self.finds("actionlint", "run-on", "ci.yml")
        self.finds("schemas", ".github/workflows/ci.yml")

    def test_a_workflow_with_an_expression_that_does_not_exist(self):
        self.edit(".github/workflows/promote.yml", "${{ inputs.from }}", "${{ inputs.form }}")
        self.finds("actionlint", "form")

    def test_a_branch_name_in_a_shell(self):
        self.edit(".github/workflows/ci.yml", "- run: make ci", "- run: make ci REF=${{ github.head_ref }}")
        self.finds("zizmor", "template-injection")

    def test_an_action_that_is_not_pinned(self):
        self.edit(".github/workflows/ci.yml", "@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7")
        self.finds("zizmor", "unpinned-uses")

    def test_a_token_for_everything(self):
        self.edit(".github/workflows/codeql.yml", "permissions: {}", "permissions: write-all")
        self.finds("zizmor", "excessive-permissions")

    def test_a_script_with_an_unquoted_path(self):
        (self.root / "scripts" / "remove.sh").write_text("#!/bin/sh\nfolder=$1\nrm -rf $folder/*\n")
        self.finds("shellcheck", "SC2086", "scripts/remove.sh")

    def test_a_secret_in_a_commit_that_a_later_one_removes(self):
        token = "ghp_" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY1zA2"
        self.git("commit", "--quiet", "--message", "all of it")
        (self.root / "scripts" / "token.txt").write_text(f"token = {token}\n")
        self.finds("gitleaks", "github-pat", "scripts/token.txt")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "a token")
        self.git("rm", "--quiet", "scripts/token.txt")
        self.git("commit", "--quiet", "--message", "no token")
        self.finds("gitleaks", "github-pat", "scripts/token.txt")
        self.assertNotIn(token, self.findings("gitleaks"))

    def test_an_unknown_option_of_renovate(self):
        self.edit(".github/renovate.json", '"prConcurrentLimit": 5', '"prConcurrentLimit": "five"')
        self.finds("schemas", ".github/renovate.json: prConcurrentLimit")

    def test_a_form_without_a_label(self):
        self.edit(".github/ISSUE_TEMPLATE/bug.yml", "      label: Versions\n", "")
        self.finds("schemas", ".github/ISSUE_TEMPLATE/bug.yml")


if __name__ == "__main__":
    sys.exit(chart_test.run(chart_test.loader().loadTestsFromModule(sys.modules[__name__])))
