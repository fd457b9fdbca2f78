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
# What the token of each job may do.
READ = {"contents": "read"}
OPENS_PULL_REQUEST = {"contents": "write", "pull-requests": "write"}
PERMISSIONS = {
    "ci.yml: ci": READ,
    "ci.yml: demo": READ,
    "ci.yml: chaos": READ,
    "ci.yml: releases": READ,
    "ci.yml: advisories": READ,
    "codeql.yml: analyze": {"contents": "read", "security-events": "write"},
    "mesh-kind.yml: mesh-kind": READ,
    "promote.yml: promote": OPENS_PULL_REQUEST,
    "release.yml: program": READ,
    "release.yml: dist": READ,
    "release.yml: scan": READ,
    "release.yml: publish": {"contents": "write", "packages": "write", "id-token": "write", "attestations": "write"},
    "release.yml: verify": {"contents": "read", "packages": "read"},
    "release.yml: promote": OPENS_PULL_REQUEST,
    "scorecard.yml: scorecard": {"contents": "read", "actions": "read", "security-events": "write", "id-token": "write"},
}
# What starts each workflow.
EVENTS = {
    "ci.yml": {"pull_request", "push"},
    "codeql.yml": {"pull_request", "push", "schedule"},
    "mesh-kind.yml": {"pull_request", "schedule", "workflow_dispatch"},
    "promote.yml": {"workflow_call", "workflow_dispatch"},
    "release.yml": {"push", "workflow_dispatch"},
    "scorecard.yml": {"push", "schedule"},
}
# What the ruleset of main asks of a pull request.
REVIEW = [
    "dismiss_stale_reviews_on_push",
    "require_code_owner_review",
    "require_last_push_approval",
    "required_review_thread_resolution",
]
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

    def test_a_job_may_exactly_what_it_needs(self):
        found = {}
        for path in WORKFLOWS:
            content = workflow(path)
            for name, job in content["jobs"].items():
                found[f"{path.name}: {name}"] = job.get("permissions", content["permissions"])
        self.assertEqual(found, PERMISSIONS)
        # A workflow gives nothing to a job that says nothing, or lets it read the sources.
        for path in WORKFLOWS:
            self.assertEqual(workflow(path)["permissions"], READ if path.name == "ci.yml" else {}, path.name)

    def test_a_workflow_starts_only_with_these_events(self):
        found = {path.name: workflow(path)["on"] for path in WORKFLOWS}
        self.assertEqual({name: set(events) for name, events in found.items()}, EVENTS)
        self.assertEqual(found["release.yml"]["push"], {"tags": ["v*"]})
        for name in ("ci.yml", "codeql.yml", "scorecard.yml"):
            self.assertEqual(found[name]["push"], {"branches": ["main"]}, name)

    def test_no_job_runs_for_ever(self):
        for name, job in jobs():
            if "uses" not in job:
                self.assertIn("timeout-minutes", job, name)
                self.assertLessEqual(job["timeout-minutes"], 90, name)

    def test_no_checkout_leaves_a_token_behind(self):
        for name, step in steps():
            if step.get("uses", "").startswith("actions/checkout@"):
                self.assertIs(step["with"]["persist-credentials"], False, name)

    def test_only_the_advisories_may_fail(self):
        tolerant = [name for name, job in jobs() if "continue-on-error" in job]
        self.assertEqual(tolerant, ["ci.yml: advisories"])
        self.assertEqual([name for name, step in steps() if "continue-on-error" in step], [])

    def test_chaos_and_releases_are_tested_beside_the_rest(self):
        commands = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs() if "steps" in job}
        for name, command in (("ci", "make ci"), ("demo", "make demo"), ("releases", "make test-release")):
            self.assertEqual(commands[f"ci.yml: {name}"][-1], command)
        self.assertEqual(commands["ci.yml: chaos"], ["make chaos CHAOS_SECONDS=300"])
        for name, job in jobs():
            if name.startswith("ci.yml"):
                self.assertNotIn("if", job, name)


class Release(unittest.TestCase):
    """What stands between a tag and its users."""

    PUBLISHING = ("release.yml", "promote.yml")

    def setUp(self):
        self.jobs = workflow(GITHUB / "workflows" / "release.yml")["jobs"]

    def test_each_job_waits_for_those_before_it(self):
        found = {name: job.get("needs") for name, job in self.jobs.items()}
        self.assertEqual(
            found,
            {
                "program": None,
                "dist": "program",
                "scan": "dist",
                "publish": ["dist", "scan"],
                "verify": ["dist", "publish"],
                "promote": "verify",
            },
        )

    def test_only_a_tag_publishes_and_only_with_the_consent_of_the_environment(self):
        self.assertEqual(self.jobs["publish"]["environment"], "release")
        # Without a condition of their own, jobs wait for the success of those that they need.
        conditions = {name: job["if"] for name, job in self.jobs.items() if "if" in job}
        self.assertEqual(conditions, {"publish": "github.event_name == 'push'"})
        skipped = {(name, step["if"]) for name, job in self.jobs.items() for step in job.get("steps", []) if "if" in step}
        self.assertEqual(skipped, {("dist", "github.event_name == 'workflow_dispatch'")})

    def test_each_job_runs_its_targets(self):
        found = {name: [step["run"] for step in job.get("steps", []) if "run" in step] for name, job in self.jobs.items()}
        programs = " ".join(f"{name}=target/programs/program-{name}/cellgate" for name in ("amd64", "arm64"))
        self.assertEqual(
            found,
            {
                "program": ["make program"],
                "dist": ["make release DRY_RUN=1", f'make dist BINARIES="{programs}"', "make version"],
                "scan": [],
                "publish": ["make publish", "make github-release"],
                "verify": ["make verify-release try-release"],
                "promote": [],
            },
        )

    def test_the_scan_stops_a_release(self):
        (scan,) = [step["with"] for step in self.jobs["scan"]["steps"] if step["uses"].startswith("anchore/scan-action@")]
        self.assertIs(scan["fail-build"], True)
        self.assertEqual(scan["severity-cutoff"], "high")
        self.assertEqual(self.jobs["scan"]["strategy"]["matrix"], {"name": ["cellgate", "cellgate-filter"]})

    def test_what_was_published_is_verified_as_signed_by_this_workflow(self):
        (variables,) = [step["env"] for step in self.jobs["verify"]["steps"] if "run" in step]
        identity = "${{ github.server_url }}/${{ github.repository }}/.github/workflows/release.yml@${{ github.ref }}"
        self.assertEqual(variables["COSIGN_IDENTITY"], identity)
        self.assertEqual(variables["COSIGN_ISSUER"], "https://token.actions.githubusercontent.com")

    def test_nothing_is_published_without_signature_or_encryption(self):
        for path in WORKFLOWS:
            self.assertNotRegex(path.read_text(), r"(?i)unsigned|insecure", path.name)
            self.assertNotIn("secrets", path.read_text(), path.name)

    def test_nothing_comes_from_a_cache_that_a_pull_request_fills(self):
        for name, step in steps():
            if name.startswith(self.PUBLISHING):
                with self.subTest(name, step=step):
                    uses, options = step.get("uses", ""), step.get("with", {})
                    self.assertNotIn("actions/cache", uses)
                    # It caches unless it is told not to.
                    if uses.startswith("actions/setup-"):
                        self.assertIs(options.get("cache"), False)
                    for option, value in options.items():
                        self.assertTrue("cache" not in option or value is False, option)


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

    def test_they_are_in_force_for_everybody(self):
        # Who may make a tag of a release: those who maintain or administer the repository.
        maintainers = [{"actor_id": role, "actor_type": "RepositoryRole", "bypass_mode": "always"} for role in (2, 5)]
        expected = {
            "main": ("branch", "~DEFAULT_BRANCH", []),
            "release-tags": ("tag", "refs/tags/v*", []),
            "release-tags-creation": ("tag", "refs/tags/v*", maintainers),
        }
        self.assertEqual(self.rulesets().keys(), expected.keys())
        for name, ruleset in self.rulesets().items():
            with self.subTest(name):
                target, reference, bypass = expected[name]
                self.assertEqual(ruleset["enforcement"], "active")
                self.assertEqual(ruleset["target"], target)
                self.assertEqual(ruleset["conditions"], {"ref_name": {"include": [reference], "exclude": []}})
                self.assertEqual(ruleset["bypass_actors"], bypass)

    def test_main_changes_only_by_reviewed_and_tested_pull_requests(self):
        rules = self.rules("main")
        self.assertEqual(set(rules), {"deletion", "non_fast_forward", "pull_request", "required_status_checks"})
        review = rules["pull_request"]
        self.assertGreaterEqual(review["required_approving_review_count"], 1)
        for name in REVIEW:
            self.assertIs(review[name], True, name)
        # A release's commit is merged by a merge commit, so that its tag names a commit of main.
        self.assertIn("merge", review.get("allowed_merge_methods", ["merge"]))
        checks = rules["required_status_checks"]
        self.assertIs(checks["strict_required_status_checks_policy"], True)
        self.assertIs(checks["do_not_enforce_on_create"], False)
        self.assertEqual(checks["required_status_checks"], [{"context": "ci"}, {"context": "demo"}])

    def test_release_tags_stay(self):
        self.assertEqual(set(self.rules("release-tags")), {"deletion", "update", "non_fast_forward"})
        self.assertEqual(set(self.rules("release-tags-creation")), {"creation"})

    def test_the_page_names_each_ruleset(self):
        page = (ROOT / "CONTRIBUTING.md").read_text()
        for name in self.rulesets():
            self.assertIn(f"rulesets/{name}.json", page)


class KindCluster(unittest.TestCase):
    """What `make test-kind` removes. There are no containers here: kind and docker only write down what is asked of them."""

    PROGRAMS = ("docker", "kind", "kubectl", "helm", "go")

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        shutil.copytree(ROOT / "scripts" / "kind", self.root / "scripts" / "kind")
        for name in ("need.sh", "version.sh", "mesh-tools/crds/go.mod"):
            (self.root / "scripts" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / "scripts" / name, self.root / "scripts" / name)
        shutil.copy(ROOT / "Cargo.toml", self.root)
        programs = self.root / "bin"
        programs.mkdir()
        for name in self.PROGRAMS:
            # A cluster is a file; the registry is not there.
            script = f"""#!/bin/sh
echo {name} "$@" >>"{self.root}/asked"
case "{name} $1 $2" in
"kind get clusters") ls "{self.root}/clusters" ;;
"kind create cluster") touch "{self.root}/clusters/$4" ;;
"kind delete cluster") rm "{self.root}/clusters/$4" ;;
"docker container inspect") exit 1 ;;
esac
"""
            (programs / name).write_text(script)
            (programs / name).chmod(0o755)
        (self.root / "clusters").mkdir()
        (self.root / "clusters" / "cellgate").touch()
        # The part of up.sh up to the creation: the rest needs Istio.
        up = self.root / "scripts" / "kind" / "up.sh"
        begin, _, rest = up.read_text().partition("kind create cluster")
        created = "kind create cluster" + rest.splitlines()[0]
        lines = [line for line in begin.splitlines() if "mesh-tools" not in line]
        up.write_text("\n".join([*lines, created, ""]))
        for name in ("install.sh", "check.sh"):
            (self.root / "scripts" / "kind" / name).write_text("#!/bin/sh\n")

    def run_script(self, name="test.sh", **variables):
        environment = {"PATH": f"{self.root}/bin:/usr/bin:/bin", **variables}
        command = [self.root / "scripts" / "kind" / name]
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return done.returncode, done.stderr

    def clusters(self):
        return {path.name for path in (self.root / "clusters").iterdir()}

    def test_it_removes_its_own_cluster_only(self):
        self.assertEqual(self.run_script(), (0, ""))
        asked = (self.root / "asked").read_text()
        self.assertIn("kind create cluster --name cellgate-test ", asked)
        self.assertIn("kind delete cluster --name cellgate-test\n", asked)
        self.assertEqual(self.clusters(), {"cellgate"})
        code, said = self.run_script("down.sh")
        self.assertEqual((code, said), (1, "no cluster was made here, so none is removed\n"))

    def test_a_cluster_that_was_kept_stays(self):
        self.assertEqual(self.run_script(KEEP="1"), (0, ""))
        code, said = self.run_script()
        self.assertEqual(code, 1)
        self.assertIn("the kind cluster cellgate-test is left from another run here", said)
        self.assertEqual(self.clusters(), {"cellgate", "cellgate-test"})
        self.assertEqual(self.run_script("down.sh"), (0, ""))
        self.assertEqual(self.clusters(), {"cellgate"})

    def test_somebody_elses_cluster_of_that_name_stays(self):
        (self.root / "clusters" / "cellgate-test").touch()
        for script in ("test.sh", "up.sh"):
            code, said = self.run_script(script)
            self.assertEqual(code, 1)
            self.assertIn("the kind cluster cellgate-test exists and was not made here", said)
            self.assertEqual(self.clusters(), {"cellgate", "cellgate-test"})


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
