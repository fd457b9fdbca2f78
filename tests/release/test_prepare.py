"""`make release`: the version, the refusals, and what it writes."""

import re
import unittest

import checkout
from checkout import NEWS

VERSION_LINE = re.compile(r"^version +(\S+) \(last release: (.*)\)$", re.MULTILINE)


class Decided(unittest.TestCase):
    """The version by the commits since the last release."""

    def decided(self, last, *subjects, **bodies):
        here = checkout.checkout(self.addCleanup, *checkout.FEW)
        if last:
            here.tag(f"v{last}")
        for subject in subjects:
            here.commit(subject)
        for subject, body in bodies.items():
            here.commit(subject.replace("_", ": "), body)
        said = here.made("release", DRY_RUN=1)
        return VERSION_LINE.search(said)[1], said

    def test_the_first_release_is_the_version_that_the_sources_carry(self):
        version, said = self.decided(None, "feat: more")
        self.assertEqual(version, checkout.current())
        self.assertIn("last release: none", said)

    def test_a_fix_raises_the_patch_number(self):
        version, said = self.decided("0.4.1", "fix(filter): a header is removed in trailers too", "docs: a page")
        self.assertEqual(version, "0.4.2")
        self.assertIn("fix(filter): a header is removed in trailers too", said)
        self.assertNotIn("docs: a page", said)

    def test_an_addition_raises_the_minor_number(self):
        self.assertEqual(self.decided("1.4.1", "fix: one", "feat(cli): two", "fix: three")[0], "1.5.0")

    def test_a_breaking_change_raises_the_major_number(self):
        self.assertEqual(self.decided("1.4.1", "feat: one", "refactor(config)!: two")[0], "2.0.0")

    def test_a_footer_tells_of_a_breaking_change_too(self):
        self.assertEqual(self.decided("1.4.1", fix_one="More words.\n\nBREAKING CHANGE: the field is gone")[0], "2.0.0")

    def test_a_word_in_the_text_is_no_footer(self):
        self.assertEqual(self.decided("1.4.1", fix_one="This is no BREAKING CHANGE: it is not at the start")[0], "1.4.2")

    def test_below_one_a_breaking_change_raises_the_minor_number(self):
        self.assertEqual(self.decided("0.4.1", "feat!: one")[0], "0.5.0")

    def test_commits_of_any_other_form_raise_the_patch_number(self):
        self.assertEqual(self.decided("0.4.1", "chore: one", "merge: two", "no form at all")[0], "0.4.2")

    def test_what_follows_a_pre_release_is_decided_from_the_release_before(self):
        here = checkout.checkout(self.addCleanup, *checkout.FEW)
        here.tag("v0.4.1")
        here.commit("feat: one")
        here.tag("v0.5.0-rc.1")
        here.commit("fix: two")
        self.assertEqual(VERSION_LINE.search(here.made("release", DRY_RUN=1))[1], "0.5.0")

    def test_version_is_taken_as_it_is_asked_for(self):
        here = checkout.checkout(self.addCleanup, *checkout.FEW)
        here.tag("v0.4.1")
        here.commit("fix: one")
        said = here.made("release", DRY_RUN=1, VERSION="0.9.0-rc.1")
        self.assertEqual(VERSION_LINE.search(said).groups(), ("0.9.0-rc.1", "v0.4.1"))


class Refused(unittest.TestCase):
    """Each refusal says what to do, and changes nothing."""

    def setUp(self):
        self.here = checkout.checkout(self.addCleanup, *checkout.FEW)
        self.here.tag("v0.1.0")
        self.here.commit("fix: one")

    def refused(self, sentence, **variables):
        before = self.here.state()
        done = self.here.make("release", **variables)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn(sentence, done.stderr)
        self.assertEqual(self.here.state(), before)

    def test_versions_that_are_none(self):
        for text in ["1.2", "v1.2.3", "1.2.3+build", "01.2.3", "1.2.3-", "1.2.3-rc..1", "1.2.3-01", "1.2.3-linux", "latest"]:
            with self.subTest(text):
                self.refused(f"VERSION={text} is no version", VERSION=text)

    def test_versions_that_are_not_greater(self):
        self.here.tag("v0.3.0")
        self.here.commit("fix: two")
        for text in ["0.2.9", "0.3.0-rc.1"]:
            with self.subTest(text):
                self.refused(f"{text} is not greater than the last release, v0.3.0", VERSION=text)

    def test_a_tag_that_exists(self):
        self.refused("The tag v0.1.0 exists", VERSION="0.1.0")

    def test_a_tag_that_exists_on_another_branch(self):
        self.here.git("switch", "--quiet", "--create", "other")
        self.here.commit("fix: elsewhere")
        self.here.tag("v0.7.0")
        self.here.git("switch", "--quiet", "main")
        self.refused("The tag v0.7.0 exists", VERSION="0.7.0")

    def test_a_dirty_tree(self):
        self.here.edit("README.md", "Cellgate", "Cellgate!")
        self.refused("changes that are not committed (README.md)")

    def test_a_file_that_git_does_not_know(self):
        (self.here.root / "notes.txt").write_text("mine")
        self.refused("changes that are not committed (notes.txt)")

    def test_another_branch(self):
        self.here.git("switch", "--quiet", "--create", "mine")
        self.refused("HEAD is on the branch mine")
        self.assertIn("0.1.1", self.here.made("release", DRY_RUN=1, BRANCH="mine"))

    def test_no_branch(self):
        self.here.git("switch", "--quiet", "--detach")
        self.refused("HEAD is on no branch")

    def test_no_commit_since_the_last_release(self):
        self.here.tag("v0.2.0")
        self.refused("There is no commit since v0.2.0")

    def test_an_empty_changelog(self):
        self.here.edit("CHANGELOG.md", NEWS, "")
        self.here.commit_all("docs: no news")
        self.refused("The section `## Unreleased` of CHANGELOG.md is empty")

    def test_a_changelog_without_the_section(self):
        self.here.edit("CHANGELOG.md", "## Unreleased", "## Coming")
        self.here.commit_all("docs: another heading")
        self.refused("CHANGELOG.md has no section `## Unreleased`")

    def test_carriers_that_disagree(self):
        self.here.edit("charts/cellgate/Chart.yaml", f"appVersion: {checkout.current()}", "appVersion: 0.0.9")
        self.here.commit_all("chore: a slip")
        self.refused("0.0.9 in charts/cellgate/Chart.yaml:6. Make them agree")

    def test_a_carrier_without_the_version(self):
        self.here.edit("docs/cli.md", f"/cellgate:{checkout.current()}", "/cellgate:latest")
        self.here.commit_all("docs: a slip")
        self.refused("docs/cli.md carries no version")

    def test_all_reasons_at_once(self):
        (self.here.root / "notes.txt").write_text("mine")
        done = self.here.make("release", VERSION="1")
        self.assertIn("VERSION=1 is no version", done.stderr)
        self.assertIn("notes.txt", done.stderr)


class PutBack(unittest.TestCase):
    """A release that breaks off leaves nothing behind."""

    def setUp(self):
        self.here = checkout.checkout(self.addCleanup)
        self.here.tag(f"v{checkout.current()}")
        self.here.commit("feat: one")
        self.before = self.here.state()

    def broken(self, *sentences, **variables):
        done = self.here.run("make", "--no-print-directory", "release", "VERSION=7.8.9", **variables)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        for sentence in [*sentences, "Nothing is released, and everything is as it was"]:
            self.assertIn(sentence, done.stderr)
        self.assertEqual(self.here.state(), self.before)

    def hook(self, text):
        hook = self.here.root / ".git" / "hooks" / "pre-commit"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\n{text}\n")
        hook.chmod(0o755)

    def test_when_nobody_is_known_to_git(self):
        nobody = {name: "" for name in checkout.IDENTITY if name.endswith(("NAME", "EMAIL"))}
        self.broken("git commit", "has failed", **nobody)

    def test_when_the_tag_cannot_be_signed(self):
        self.here.git("config", "tag.gpgSign", "true")
        self.here.git("config", "gpg.program", "/nowhere/gpg")
        self.broken("git tag --annotate v7.8.9", "/nowhere/gpg")
        # The cause removed, it goes through.
        self.here.git("config", "tag.gpgSign", "false")
        self.here.made("release", VERSION="7.8.9")

    def test_when_a_hook_refuses_the_commit(self):
        self.hook("echo mine >mine.txt; echo not this one >&2; exit 1")
        self.broken("not this one")

    def test_when_something_writes_a_file_that_the_commit_lacks(self):
        self.hook("echo mine >mine.txt")
        self.broken("The commit leaves mine.txt out")


class Written(unittest.TestCase):
    """A whole release."""

    @classmethod
    def setUpClass(cls):
        cls.old = checkout.current()
        cls.here = checkout.checkout(cls.addClassCleanup)
        cls.here.tag(f"v{cls.old}")
        cls.here.commit("feat(cli): a command")
        cls.before = cls.here.state()
        cls.dry = cls.here.made("release", DRY_RUN=1, VERSION="7.8.9", REGISTRY="registry.example/team")
        cls.after_dry = cls.here.state()
        cls.said = cls.here.made("release", VERSION="7.8.9")

    def test_a_dry_run_changes_nothing(self):
        self.assertEqual(self.after_dry, self.before)

    def test_a_dry_run_tells_what_would_be(self):
        for part in [
            "version    7.8.9",
            "VERSION asks for it",
            NEWS,
            "registry.example/team/cellgate:7.8.9 ",
            "registry.example/team/cellgate-filter:7.8.9 ",
            "registry.example/team/charts/cellgate:7.8.9 ",
            "target/dist/cellgate-7.8.9-linux-arm64.tar.gz",
        ]:
            self.assertIn(part, self.dry)

    def test_one_commit_and_an_annotated_tag(self):
        self.assertEqual(self.here.git("log", "-1", "--format=%s"), "chore(release): v7.8.9")
        self.assertEqual(self.here.git("rev-parse", "HEAD~1"), self.before[0])
        self.assertEqual(self.here.git("cat-file", "-t", "v7.8.9"), "tag")
        self.assertEqual(self.here.git("rev-parse", "v7.8.9^{commit}"), self.here.git("rev-parse", "HEAD"))
        self.assertIn(NEWS, self.here.git("tag", "--list", "--format=%(contents)", "v7.8.9"))
        self.assertEqual(self.here.git("status", "--porcelain"), "")

    def test_the_changelog_has_the_release_and_room_for_the_next(self):
        date = self.here.git("log", "-1", "--date=format-local:%Y-%m-%d", "--format=%cd", TZ="UTC")
        text = self.here.read("CHANGELOG.md")
        self.assertIn(f"## Unreleased\n\n## 7.8.9 - {date}\n\n### Added\n\n{NEWS}\n", text)
        self.assertEqual(text.count(NEWS), 1)

    def test_no_file_names_the_old_version_but_those_that_may(self):
        allowed = re.compile(
            # What environments run, examples of output, measurements, and fixtures.
            r"^(istio/gitops/environments/|cli/tests/fixtures/|docs/cli\.md:\d+:version  |docs/performance|tests/|scripts/\w+_test\.py:|CHANGELOG\.md)"
        )
        old = re.escape(self.old)
        # The crates of the lock file have names and versions in two lines.
        found = self.here.run("git", "grep", "-nP", rf"(?i)(cellgate\S*|version\S*|tag:|VERSION=)[ \"=:]*v?{old}(?![\w.])", "--", ".", ":!*.sum")
        names = [line for line in found.stdout.splitlines() if not allowed.match(line) and "Cargo.lock" not in line]
        own = re.compile(r'name = "cellgate[^"]*"\nversion = "' + old)
        names += [name for name in ["Cargo.lock", "fuzz/Cargo.lock"] if own.search(self.here.read(name))]
        self.assertEqual(names, [])

    def test_what_is_generated_is_current(self):
        for script in ["chart-docs.py", "manifests.py"]:
            done = self.here.run("python3", f"scripts/{script}", "--check")
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('app.kubernetes.io/version: "7.8.9"', self.here.read("istio/base/ext-proc.yaml"))

    def test_it_says_how_to_push_and_does_not(self):
        self.assertIn("git push origin HEAD:refs/heads/release/v7.8.9", self.said)
        self.assertIn("git push origin v7.8.9", self.said)


if __name__ == "__main__":
    unittest.main()
