#!/usr/bin/env python3
"""Tests the rules that the repository gives itself: workflows, owners, rulesets, updates, generated files. The last line counts
the tests.

    repository_test.py [WORD ...]     only tests with one of the words in their name

`make check-repository` has the general rules; the ones here are Cellgate's own, and need nothing but Python.
"""

import fnmatch
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

import chart_test
import chart_tools

chart_tools.enter()

import yaml  # noqa: E402

ROOT = chart_tools.ROOT
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: ([\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)")
# Steps that prepare a runner, which no target can do for a person.
PREPARATIONS = ['sudo install -d -o "$USER" /var/lib/istio/data']


def workflow(path):
    """A workflow, with `on` as the name that it is."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    found["on"] = found.pop(True)
    return found


def jobs():
    for path in WORKFLOWS:
        for name, job in workflow(path)["jobs"].items():
            yield f"{path.name}: {name}", job


def steps():
    for name, job in jobs():
        for step in job.get("steps", []):
            yield name, step


def git(*arguments):
    command = ["git", *arguments]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout


class Workflows(unittest.TestCase):
    def test_each_action_is_pinned_by_commit_with_its_version(self):
        found = {}
        for path in WORKFLOWS:
            for line in path.read_text(encoding="utf-8").splitlines():
                if "uses:" in line and "uses: ./" not in line:
                    with self.subTest(path.name, line=line.strip()):
                        pinned = PINNED.search(line)
                        self.assertTrue(pinned)
                        # One version of an action everywhere: the parts of one repository count as one.
                        action = "/".join(pinned[1].split("/")[:2])
                        self.assertEqual(found.setdefault(action, pinned.groups()[1:]), pinned.groups()[1:])
        self.assertGreater(len(found), 5)

    def test_each_command_is_a_make_target_that_exists(self):
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        commands = [(name, step["run"]) for name, step in steps() if "run" in step]
        self.assertGreater(len(commands), 5)
        for name, command in commands:
            if command in PREPARATIONS:
                continue
            with self.subTest(name, command=command):
                self.assertRegex(command, r"^make( [a-z-]+)+( [A-Z_]+=(\S+|\"[^\"]+\"))*$")
                self.assertLessEqual({word for word in shlex.split(command)[1:] if "=" not in word}, targets)

    def test_nothing_may_more_than_its_job_needs(self):
        for path in WORKFLOWS:
            # A job says what it may; the workflow gives nothing, or lets the sources be read.
            self.assertIn(workflow(path)["permissions"], ({}, {"contents": "read"}), path.name)
        for name, job in jobs():
            with self.subTest(name):
                for scope, access in job.get("permissions", {}).items():
                    self.assertIn(access, ("read", "write"), scope)

    def test_no_job_runs_for_ever(self):
        for name, job in jobs():
            if "uses" not in job:
                self.assertIn("timeout-minutes", job, name)
                self.assertLessEqual(job["timeout-minutes"], 90, name)

    def test_no_checkout_leaves_a_token_behind(self):
        for name, step in steps():
            if step.get("uses", "").startswith("actions/checkout@"):
                self.assertIs(step["with"]["persist-credentials"], False, name)

    def test_what_publishes_takes_nothing_from_a_cache_that_a_pull_request_fills(self):
        for name, step in steps():
            if name.startswith("release.yml") or name.startswith("promote.yml"):
                self.assertNotIn("actions/cache", step.get("uses", ""), name)


class Rulesets(unittest.TestCase):
    def rulesets(self):
        return {path.stem: json.loads(path.read_text()) for path in (GITHUB / "rulesets").glob("*.json")}

    def rules(self, name):
        return {rule["type"]: rule.get("parameters") for rule in self.rulesets()[name]["rules"]}

    def test_each_required_check_is_a_job_that_runs_for_every_pull_request(self):
        required = [check["context"] for check in self.rules("main")["required_status_checks"]["required_status_checks"]]
        offered = {}
        for path in WORKFLOWS:
            found = workflow(path)
            if "pull_request" in found["on"] and not found["on"]["pull_request"]:
                offered.update({job.get("name", name): job for name, job in found["jobs"].items()})
        for name in required:
            self.assertIn(name, offered)
            # A check that may fail would be none.
            self.assertNotIn("continue-on-error", offered[name])

    def test_release_tags_stay(self):
        self.assertLessEqual({"deletion", "update"}, set(self.rules("release-tags")))
        self.assertEqual(self.rulesets()["release-tags"]["bypass_actors"], [])
        for name in ("release-tags", "release-tags-creation"):
            self.assertEqual(self.rulesets()[name]["conditions"]["ref_name"]["include"], ["refs/tags/v*"])

    def test_the_page_names_each_ruleset(self):
        page = (ROOT / "CONTRIBUTING.md").read_text()
        for name in self.rulesets():
            self.assertIn(f"rulesets/{name}.json", page)


class Owners(unittest.TestCase):
    def test_each_path_exists_and_has_an_owner(self):
        lines = [line for line in (GITHUB / "CODEOWNERS").read_text().splitlines() if line and not line.startswith("#")]
        self.assertEqual(lines[0].split()[0], "*")
        for line in lines[1:]:
            path, *owners = line.split()
            self.assertTrue((ROOT / path.strip("/")).exists(), line)
            self.assertTrue(owners and all(owner.startswith("@") for owner in owners), line)


class Updates(unittest.TestCase):
    """What Renovate would find, by its own expressions."""

    CONFIGURATION = json.loads((GITHUB / "renovate.json").read_text())

    def test_each_expression_finds_versions_in_the_files_that_it_is_for(self):
        files = git("ls-files", "--cached", "--others", "--exclude-standard").splitlines()
        for manager in self.CONFIGURATION["customManagers"]:
            with self.subTest(manager.get("depNameTemplate", manager.get("description"))):
                for pattern in manager["managerFilePatterns"]:
                    matched = [name for name in files if re.search(pattern.strip("/"), name)]
                    self.assertTrue(matched, pattern)
                    found = [self.versions(manager, name) for name in matched]
                    self.assertTrue(any(found), f"{pattern}: no version in {matched}")

    def versions(self, manager, name):
        text = (ROOT / name).read_text()
        expressions = [expression.replace("(?<", "(?P<") for expression in manager["matchStrings"]]
        versions = [found["currentValue"] for expression in expressions for found in re.finditer(expression, text)]
        for version in versions:
            self.assertRegex(version, r"^\d+(\.\d+)+(\.post\d+)?$", name)
        return versions

    def test_every_script_with_a_version_is_known(self):
        patterns = [pattern for manager in self.CONFIGURATION["customManagers"] for pattern in manager["managerFilePatterns"]]
        for path in (ROOT / "scripts").glob("*.sh"):
            if re.search(r"^(version|default|wheel)=\d", path.read_text(), re.MULTILINE):
                name = str(path.relative_to(ROOT))
                self.assertTrue(any(re.search(pattern.strip("/"), name) for pattern in patterns), name)

    def test_every_list_of_wheels_is_known(self):
        (pattern,) = self.CONFIGURATION["pip_requirements"]["managerFilePatterns"]
        for path in (ROOT / "scripts").glob("*.txt"):
            if "--hash=" in path.read_text():
                self.assertRegex(str(path.relative_to(ROOT)), pattern.strip("/"))


class Generated(unittest.TestCase):
    # Those that a person sees in a review.
    FILES = ["Cargo.lock", "charts/cellgate/README.md", "istio/base/filter.yaml", "proto/src/generated/cellgate.sync.v1.rs"]

    def marked(self, *names):
        listed = git("check-attr", "linguist-generated", "--", *names).splitlines()
        return {line.split(": ")[0] for line in listed if line.endswith(": set")}

    def test_generated_files_are_marked_for_reviews(self):
        overlays = [str(path.relative_to(ROOT)) for path in (ROOT / "istio" / "overlays").rglob("*.yaml")]
        names = [*self.FILES, *overlays, "schema/cellgate.schema.json", "docs/reasons.md", "routing/tests/vectors/placement.json"]
        self.assertEqual(self.marked(*names), set(names))
        self.assertEqual(self.marked("istio/values.yaml", "README.md", "charts/cellgate/values.yaml"), set())

    def test_each_mark_is_for_a_file_that_exists(self):
        files = git("ls-files").splitlines()
        for line in (ROOT / ".gitattributes").read_text().splitlines():
            if line and not line.startswith("#"):
                pattern = line.split()[0].lstrip("/").replace("**", "*")
                self.assertTrue(fnmatch.filter(files, pattern), pattern)

    def test_each_rendered_manifest_says_that_it_is_generated(self):
        for folder in ("base", "overlays"):
            for path in (ROOT / "istio" / folder).rglob("*.yaml"):
                self.assertRegex(path.read_text(), r"^# Generated by `make manifests`.*do not edit\.\n", path)

    def test_an_edited_overlay_is_refused_with_a_sentence(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder) / "checkout"
            for name in ("scripts", "charts", "istio", "schema"):
                shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
            (root / ".tools").symlink_to((ROOT / ".tools").resolve())
            self.assertEqual(self.check(root), (0, ""))
            overlay = root / "istio" / "overlays" / "prod" / "added.yaml"
            overlay.write_text(overlay.read_text().replace("minReplicas: 3", "minReplicas: 4"))
            said = "istio/overlays/prod/added.yaml is not what the chart renders: run `make manifests`\n"
            self.assertEqual(self.check(root), (1, said))
            overlay.unlink()
            self.assertEqual(self.check(root), (1, said))

    def check(self, root):
        """The step of `make check-generated` that compares the manifests."""
        command = [sys.executable, root / "scripts" / "manifests.py", "--check"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return done.returncode, done.stderr

    def test_make_compares_them(self):
        self.assertIn('python3 scripts/manifests.py "$@"', (ROOT / "scripts" / "generate.sh").read_text())
        self.assertIn("scripts/generate.sh --check", (ROOT / "Makefile").read_text())


if __name__ == "__main__":
    sys.exit(chart_test.run(chart_test.loader().loadTestsFromModule(sys.modules[__name__])))
