"""What people and workflows set reaches the scripts as it was written, and only there."""

import os
import unittest

import checkout

# Each would write a file if anything but the scripts read it, or would lose a part.
EVIL = ["`touch broken`", "$(touch broken)", "$(shell touch broken)", "';touch broken;'", '";touch broken;"', "(v1$|v2$)"]
# A program that prints what it was given, in place of the interpreter that a recipe calls.
TELL = """#!/bin/sh
printf '<%s>' "$@" "REGISTRY=$REGISTRY" "VERSION=$VERSION" "COSIGN_IDENTITY=$COSIGN_IDENTITY"
"""


class Variables(unittest.TestCase):
    def setUp(self):
        self.here = checkout.checkout(self.addCleanup, *checkout.FEW)
        programs = self.here.root / "target" / "programs"
        programs.mkdir(parents=True)
        (programs / "python3").write_text(TELL)
        (programs / "python3").chmod(0o755)
        self.path = f"{programs}:{os.environ['PATH']}"

    def told(self, target, **variables):
        """What a recipe's program gets, from make's command line and from the environment."""
        line = self.here.run("make", "-s", target, *(f"{name}={value}" for name, value in variables.items()), PATH=self.path)
        environment = self.here.run("make", "-s", target, **variables, PATH=self.path)
        self.assertEqual((line.stdout, line.stderr), (environment.stdout, environment.stderr))
        self.assertEqual(line.returncode, 0, line.stderr)
        self.assertFalse((self.here.root / "broken").exists())
        return line.stdout

    def test_they_arrive_as_they_are(self):
        for text in EVIL:
            for target in ["release", "dist", "publish", "verify-release"]:
                with self.subTest(f"{target}: {text}"):
                    said = self.told(target, REGISTRY=text, VERSION=text, COSIGN_IDENTITY=text)
                    self.assertTrue(said.endswith(f"<REGISTRY={text}><VERSION={text}><COSIGN_IDENTITY={text}>"), said)

    def test_the_stages_of_a_promotion_too(self):
        for text in EVIL:
            with self.subTest(text):
                said = self.told("promote", FROM=text, TO=text, PULL_REQUEST="1")
                self.assertIn(f"<scripts/promote.py><{text}><{text}><--pull-request>", said)

    def test_no_pull_request_is_none(self):
        for text in ["", "0", "false", "no"]:
            with self.subTest(text):
                self.assertNotIn("--pull-request", self.told("promote", FROM="dev", TO="staging", PULL_REQUEST=text))


class Switches(unittest.TestCase):
    def test_a_dry_run_that_is_off_is_none(self):
        here = checkout.checkout(self.addCleanup)
        here.tag(f"v{checkout.current()}")
        here.commit("feat: one")
        self.assertIn("committed and tagged v7.8.9", here.made("release", VERSION="7.8.9", DRY_RUN="0"))


# What the workflow's program would be asked, in order. Whether the release is there is up to the test.
GH = """#!/bin/sh
echo "$*" >>"$ASKED"
case "$1 $2" in
"release view") exit "$THERE" ;;
"release create") [ "$THERE" = 1 ] || { echo "a release with the same tag name already exists" >&2; exit 1; } ;;
esac
"""


class Page(unittest.TestCase):
    """`make github-release`. GitHub's own program needs GitHub; here is what it is asked for."""

    def asked(self, there, version=None):
        here = checkout.checkout(self.addCleanup, *checkout.FEW)
        if version:
            here.edit("Cargo.toml", f'version = "{checkout.current()}"', f'version = "{version}"')
        dist, programs = here.root / "target" / "dist", here.root / "target" / "programs"
        (dist / "oci").mkdir(parents=True)
        for name in ["SHA256SUMS", "SHA256SUMS.sigstore.json", "digests.json"]:
            (dist / name).write_text(name)
        programs.mkdir()
        (programs / "gh").write_text(GH)
        (programs / "gh").chmod(0o755)
        asked = here.root / "target" / "asked"
        path = f"{programs}:{os.environ['PATH']}"
        done = here.run("make", "-s", "github-release", PATH=path, ASKED=asked, THERE=0 if there else 1)
        self.assertEqual(done.returncode, 0, done.stderr)
        return asked.read_text().splitlines()

    def test_a_release_that_is_not_there_is_made(self):
        view, create = self.asked(there=False, version="1.2.3")
        self.assertEqual(view, "release view v1.2.3")
        self.assertIn("release create v1.2.3 --verify-tag --prerelease=false ", create)
        self.assertIn("target/dist/SHA256SUMS target/dist/SHA256SUMS.sigstore.json target/dist/digests.json", create)

    def test_a_release_that_is_there_gets_the_files(self):
        _, upload, edit = self.asked(there=True, version="1.2.3")
        self.assertIn("release upload v1.2.3 --clobber target/dist/SHA256SUMS ", upload)
        self.assertEqual(edit, "release edit v1.2.3 --verify-tag --draft=false --prerelease=false")

    def test_a_pre_release_is_not_the_latest(self):
        self.assertIn("--prerelease=true", self.asked(there=False, version="1.2.3-rc.1")[1])
        self.assertIn("--prerelease=true", self.asked(there=True, version="1.2.3-rc.1")[2])


if __name__ == "__main__":
    unittest.main()
