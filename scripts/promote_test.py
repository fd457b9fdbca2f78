#!/usr/bin/env python3
"""Tests promote.py on clones of a repository with three environments. The last line counts the tests.

    promote_test.py [WORD ...]     only tests with one of the words in their name
"""

import base64
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
import unittest.mock

import chart_test
import chart_tools

chart_tools.enter()

import promote  # noqa: E402
import yaml  # noqa: E402

GOOD = {
    "cellgate": "registry.example/cellgate:0.2.0@sha256:" + "a1" * 32,
    "cellgate-filter": "registry.example/cellgate-filter:0.2.0@sha256:" + "b2" * 32,
}
PLACEHOLDER = "0" * 64
IDENTITY = {
    "GIT_AUTHOR_NAME": "a person",
    "GIT_AUTHOR_EMAIL": "person@example.com",
    "GIT_COMMITTER_NAME": "a person",
    "GIT_COMMITTER_EMAIL": "person@example.com",
    "GIT_TERMINAL_PROMPT": "0",
    # Neither the user's nor the system's settings.
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


class Checkout(unittest.TestCase):
    """A repository with the environments as they are shipped, and the release v0.2.0."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        environment = unittest.mock.patch.dict(os.environ, IDENTITY)
        environment.start()
        self.addCleanup(environment.stop)
        self.root = self.folder / "checkout"
        shutil.copytree(chart_tools.ROOT / promote.ENVIRONMENTS, self.root / promote.ENVIRONMENTS)
        self.repository = promote.Repository(self.root)
        self.repository.git("init", "--quiet", "--initial-branch", "main")
        self.repository.git("add", ".")
        self.repository.git("commit", "--quiet", "--message", "the environments")
        self.repository.git("tag", "v0.2.0")
        self.digests(GOOD)

    def digests(self, content):
        path = self.root / promote.DIGESTS
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))

    def path(self, environment):
        return self.root / self.repository.version(environment)

    def gh(self, script):
        """GitHub's client needs GitHub: this one only does what a test wants of it."""
        programs = self.folder / "bin"
        programs.mkdir()
        (programs / "gh").write_text(f"#!/bin/sh\n{script}\n")
        (programs / "gh").chmod(0o755)
        os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"

    def texts(self):
        return {name: self.path(name).read_bytes() for name in promote.STAGES[1:]}

    def promote(self, source, target):
        promote.Promotion(self.repository, source, target).commit()

    def edit(self, environment, old, new):
        text = self.path(environment).read_text()
        self.assertIn(old, text)
        self.path(environment).write_text(text.replace(old, new))

    def refused(self, source, target, *words):
        """The sentence of a refusal, after which nothing has changed."""
        texts, head = self.texts(), self.repository.git("rev-parse", "HEAD")
        with self.assertRaises(promote.Refused) as refusal:
            self.promote(source, target)
        self.assertEqual((self.texts(), self.repository.git("rev-parse", "HEAD")), (texts, head))
        for word in words:
            self.assertIn(word, str(refusal.exception))


class Promotions(Checkout):
    def test_a_release_goes_through_every_stage_to_production(self):
        for source, target in zip(promote.STAGES, promote.STAGES[1:]):
            before = self.texts()
            self.promote(source, target)
            changed = [name for name, text in self.texts().items() if text != before[name]]
            self.assertEqual(changed, [target])
            self.assertEqual(self.repository.git("status", "--porcelain", "--untracked-files=no"), "")
            files = self.repository.git("show", "--name-only", "--format=", "HEAD")
            self.assertEqual(files, str(self.repository.version(target)))
        self.assertEqual(len(set(self.texts().values())), 1)
        self.assertEqual(
            yaml.safe_load(self.path("prod").read_text()),
            {
                "revision": "v0.2.0",
                "image": {"tag": "0.2.0", "digest": "sha256:" + "a1" * 32},
                "module": {"url": "oci://registry.example/cellgate-filter:0.2.0", "sha256": "b2" * 32},
            },
        )

    def test_a_revert_restores_every_byte(self):
        self.promote("release", "dev")
        before = self.texts()
        self.promote("dev", "staging")
        self.assertNotEqual(self.texts(), before)
        self.repository.git("revert", "--no-edit", "HEAD")
        self.assertEqual(self.texts(), before)

    def test_only_the_version_is_committed(self):
        other = self.root / promote.ENVIRONMENTS / "dev" / "values.yaml"
        other.write_text(other.read_text() + "# staged by somebody else\n")
        self.repository.git("add", str(other))
        self.promote("release", "dev")
        self.assertIn("values.yaml", self.repository.git("status", "--porcelain"))

    def test_a_file_as_it_is_shipped_has_the_form_that_a_promotion_writes(self):
        for name in promote.STAGES[1:]:
            text = self.path(name).read_text()
            version = yaml.safe_load(text)
            image, module = version["image"], version["module"]
            self.assertEqual(
                text,
                promote.VERSION.format(
                    revision=version["revision"],
                    tag=image["tag"],
                    image=image["digest"],
                    module=module["url"],
                    sha256=module["sha256"],
                ),
            )

    def test_a_pull_request_has_a_branch_with_that_commit(self):
        origin = self.folder / "origin.git"
        subprocess.run(["git", "clone", "--quiet", "--bare", self.root, origin], check=True)
        self.repository.git("remote", "add", "origin", str(origin))
        self.gh(f'printf "%s\\n" "$@" >"{self.folder}/asked"')
        before = promote.Repository(origin).git("rev-parse", "main")
        promote.Promotion(self.repository, "release", "dev").open_pull_request()
        pushed = promote.Repository(origin)
        self.assertEqual(pushed.git("rev-parse", "main"), before)
        self.assertEqual(pushed.git("rev-parse", "promote/dev-v0.2.0^"), before)
        self.assertEqual(pushed.git("diff", "--name-only", "main", "promote/dev-v0.2.0"), str(self.repository.version("dev")))
        asked = (self.folder / "asked").read_text().splitlines()
        self.assertEqual(asked[:6], ["pr", "create", "--base", "main", "--head", "promote/dev-v0.2.0"])
        self.assertIn("chore(gitops): promote v0.2.0 to dev", asked)


    def test_a_push_over_http_has_the_login_of_gh(self):
        seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                seen.append(self.headers.get("Authorization"))
                self.send_response(403 if seen[-1] else 401)
                self.send_header("WWW-Authenticate", "Basic realm=git")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.repository.git("remote", "add", "origin", f"http://127.0.0.1:{server.server_port}/cellgate.git")
            self.gh('[ "$1 $2 $3" = "auth git-credential get" ] && printf "username=gh\\npassword=login\\n"')
            with self.assertRaisesRegex(promote.Refused, "`git push origin promote/dev-v0.2.0` failed"):
                promote.Promotion(self.repository, "release", "dev").open_pull_request()
            server.shutdown()
        self.assertEqual(seen, [None, "Basic " + base64.b64encode(b"gh:login").decode()])


class Refusals(Checkout):
    def test_a_skipped_stage(self):
        self.promote("release", "dev")
        self.refused("dev", "prod", "make promote FROM=dev TO=staging")
        self.refused("release", "staging", "make promote FROM=release TO=dev")

    def test_a_way_back(self):
        self.promote("release", "dev")
        self.refused("staging", "dev", "git revert")
        self.refused("dev", "dev", "git revert")

    def test_an_unknown_environment(self):
        self.refused("dev", "production", "no environment production", "release, dev, staging, prod")
        self.refused("qa", "prod", "no environment qa")
        self.refused("", "prod", "without a name")

    def test_placeholders(self):
        self.refused("dev", "staging", "dev/version.yaml", "image.digest is the placeholder of zeros")
        self.promote("release", "dev")
        self.edit("dev", "b2" * 32, PLACEHOLDER)
        self.repository.git("commit", "--quiet", "--all", "--message", "a placeholder")
        self.refused("dev", "staging", "module.sha256 is the placeholder of zeros")

    def test_missing_and_mistaken_fields(self):
        self.promote("release", "dev")
        good = self.path("dev").read_text()
        for old, new, said in (
            ("  digest: sha256:" + "a1" * 32 + "\n", "", "no image.digest"),
            ("a1" * 32, "a1" * 31, "image.digest is sha256:a1"),
            ('sha256: "' + "b2" * 32, 'sha256: "B2' + "b2" * 31, "module.sha256 is B2"),
            ("revision: v0.2.0\n", "revision:\n", "no revision"),
            ("revision: v0.2.0", "revision: v0.9.9", "git fetch --tags"),
            ('  tag: "0.2.0"\n', "", "no image.tag"),
            ("revision: v0.2.0", "revision: [", "not YAML"),
        ):
            with self.subTest(said):
                self.edit("dev", old, new)
                self.repository.git("commit", "--quiet", "--all", "--message", "a mistake")
                self.refused("dev", "staging", "dev/version.yaml", said)
                self.path("dev").write_text(good)
                self.repository.git("commit", "--quiet", "--all", "--message", "corrected")

    def test_a_version_that_is_there_already(self):
        self.promote("release", "dev")
        self.refused("release", "dev", "dev has v0.2.0 with the same digests already")

    def test_files_with_changes(self):
        self.promote("release", "dev")
        for name in ("dev", "staging"):
            with self.subTest(name):
                self.edit(name, "revision:", "revision:  ")
                self.refused("dev", "staging", f"{name}/version.yaml has changes that are not committed")
                self.repository.git("checkout", "--quiet", ".")

    def test_a_missing_file(self):
        self.repository.git("rm", "--quiet", str(self.repository.version("staging")))
        self.repository.git("commit", "--quiet", "--message", "no staging")
        with self.assertRaisesRegex(promote.Refused, "staging/version.yaml is missing"):
            self.promote("dev", "staging")

    def test_digests_that_are_of_no_use(self):
        zeros = {**GOOD, "cellgate": "registry.example/cellgate:0.2.0@sha256:" + PLACEHOLDER}
        other = {**GOOD, "cellgate-filter": GOOD["cellgate-filter"].replace("0.2.0", "0.2.1")}
        unknown = {name: value.replace("0.2.0", "0.3.0") for name, value in GOOD.items()}
        for content, said in (
            ("{", "is not JSON"),
            ([], "no cellgate as REPOSITORY:TAG@sha256:DIGEST"),
            ({**GOOD, "cellgate": "registry.example/cellgate:0.2.0"}, "no cellgate as"),
            ({"cellgate": GOOD["cellgate"]}, "no cellgate-filter as"),
            (zeros, "image.digest is the placeholder of zeros"),
            (other, "promote one release as a whole"),
            (unknown, "v0.3.0, which is no tag or commit of this checkout"),
        ):
            with self.subTest(said):
                self.digests(content)
                self.refused("release", "dev", "digests.json", said)
        (self.root / promote.DIGESTS).unlink()
        self.refused("release", "dev", "digests.json is missing: run `make publish`")

    def test_the_command_says_why(self):
        command = [sys.executable, chart_tools.ROOT / "scripts" / "promote.py", "dev", "prod"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(done.returncode, 1, done)
        self.assertEqual(done.stderr, "promote: dev cannot go to prod at once: run `make promote FROM=dev TO=staging` first\n")


class Stages(unittest.TestCase):
    def test_each_environment_is_a_stage(self):
        folders = {path.parent.name for path in (chart_tools.ROOT / promote.ENVIRONMENTS).glob("*/version.yaml")}
        self.assertEqual(folders, set(promote.STAGES[1:]))


if __name__ == "__main__":
    sys.exit(chart_test.run(chart_test.loader().loadTestsFromModule(sys.modules[__name__])))
