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

import gitops_version  # noqa: E402
import promote  # noqa: E402
import yaml  # noqa: E402

GOOD = {
    "cellgate": "registry.example/cellgate:0.2.0@sha256:" + "a1" * 32,
    "cellgate-filter": "registry.example/cellgate-filter:0.2.0@sha256:" + "b2" * 32,
}
PLACEHOLDER = "0" * 64
# Addresses of a module: the one of the values without its tag, and such as must not be promoted.
KNOWN = "registry.example/cellgate-filter"
MISTAKEN = [
    "http://registry.example/cellgate.wasm",
    "oci://registry.example/cellgate-filter",
    "oci://:0.2.0",
    "https://registry.example@evil.example/cellgate.wasm",
]
ELSEWHERE = [
    "https://evil.example/x.wasm",
    "https://registry.example/cellgate-filter.wasm",
    "oci://evil.example/cellgate-filter:0.2.0",
    "oci://registry.example/other:0.2.0",
    "oci://registry.example:5000/cellgate-filter:0.2.0",
]
HERE = [
    "oci://127.0.0.1:5000/cellgate-filter:0.2.0",
    "oci://[::1]:5000/cellgate-filter:0.2.0",
    "oci://[::ffff:127.0.0.1]/cellgate-filter:0.2.0",
    "https://localhost/cellgate.wasm",
    "https://0.0.0.0/cellgate.wasm",
    "https://127.1/cellgate.wasm",
]
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
        shutil.copy(chart_tools.ROOT / promote.VALUES, self.root / promote.VALUES)
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
        programs.mkdir(exist_ok=True)
        (programs / "gh").write_text(f"#!/bin/sh\n{script}\n")
        (programs / "gh").chmod(0o755)
        if not os.environ["PATH"].startswith(str(programs)):
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
                gitops_version.VERSION.format(
                    revision=version["revision"],
                    tag=image["tag"],
                    image=image["digest"],
                    module=module["url"],
                    sha256=module["sha256"],
                ),
            )


class PullRequests(Checkout):
    """With an origin: a bare clone."""

    BRANCH = "promote/dev-v0.2.0"

    def setUp(self):
        super().setUp()
        origin = self.folder / "origin.git"
        subprocess.run(["git", "clone", "--quiet", "--bare", self.root, origin], check=True)
        self.repository.git("remote", "add", "origin", str(origin))
        self.origin = promote.Repository(origin)
        self.gh_that_works()

    def gh_that_works(self, opened=""):
        self.gh(f'[ "$2" = list ] && {{ printf %s "{opened}"; exit; }}; printf "%s\\n" "$@" >"{self.folder}/asked"; echo URL')

    def asked(self):
        return (self.folder / "asked").read_text().splitlines()

    def open(self, source="release", target="dev"):
        return promote.Promotion(self.repository, source, target).open_pull_request(self.repository.base())

    def merge(self, branch):
        """A review's end: the branch reaches main at origin, squashed."""
        squashed = self.origin.git("commit-tree", f"{branch}^{{tree}}", "-p", "main", "-m", "squashed")
        self.origin.git("update-ref", "refs/heads/main", squashed)
        self.repository.git("pull", "--quiet", "--ff-only", "origin", "main")

    def unchanged(self):
        self.assertEqual(self.repository.git("branch", "--show-current"), "main")
        self.assertEqual(self.repository.git("status", "--porcelain", "--untracked-files=no"), "")
        self.assertEqual(self.repository.git("rev-parse", "HEAD"), self.origin.git("rev-parse", "main"))

    def test_a_pull_request_has_a_branch_with_that_commit(self):
        before = self.origin.git("rev-parse", "main")
        self.assertEqual(self.open(), f"{self.BRANCH} is pushed\nURL")
        self.assertEqual(self.origin.git("rev-parse", "main", f"{self.BRANCH}^"), f"{before}\n{before}")
        self.assertEqual(self.origin.git("diff", "--name-only", "main", self.BRANCH), str(self.repository.version("dev")))
        self.assertEqual(self.asked()[:6], ["pr", "create", "--head", self.BRANCH, "--base", "main"])
        self.assertIn("chore(gitops): promote v0.2.0 to dev", self.asked())
        self.unchanged()

    def test_a_stage_waits_until_the_stage_before_is_merged(self):
        for source, target in zip(promote.STAGES, promote.STAGES[1:]):
            self.open(source, target)
            branch = f"promote/{target}-v0.2.0"
            self.assertEqual(self.origin.git("rev-parse", f"{branch}^"), self.origin.git("rev-parse", "main"))
            if target != "prod":
                following = promote.STAGES[promote.STAGES.index(target) + 1]
                with self.assertRaises(promote.Refused):
                    self.open(target, following)
                # Nor by way of the branch, where the stage has its version.
                self.repository.git("switch", "--quiet", branch)
                with self.assertRaisesRegex(promote.Refused, f"^{branch} is checked out, .* must be already: merge that first"):
                    self.open(target, following)
                self.repository.git("switch", "--quiet", "main")
            self.merge(branch)
        self.assertEqual(len(set(self.texts().values())), 1)

    def test_only_the_default_branch_as_origin_has_it_is_a_base(self):
        self.promote("release", "dev")
        with self.assertRaisesRegex(promote.Refused, "^main is not what origin has: run `git pull`"):
            self.open("dev", "staging")
        self.repository.git("checkout", "--quiet", "--detach")
        with self.assertRaisesRegex(promote.Refused, "^no branch is checked out"):
            self.open("dev", "staging")
        self.repository.git("switch", "--quiet", "main")
        self.repository.git("reset", "--quiet", "--hard", "HEAD^")
        self.origin.git("symbolic-ref", "HEAD", "refs/heads/trunk")
        self.origin.git("branch", "trunk", "main")
        with self.assertRaisesRegex(promote.Refused, "^main is checked out, and a promotion starts at trunk"):
            self.open()

    def test_run_again_after_a_failure_it_opens_the_pull_request(self):
        self.gh('[ "$2" = list ] || { echo "no network" >&2; exit 1; }')
        with self.assertRaisesRegex(promote.Refused, "no network\n.* is pushed, and has no pull request: run the same command"):
            self.open()
        self.unchanged()
        pushed = self.origin.git("rev-parse", self.BRANCH)
        self.gh_that_works()
        # Another time makes another commit of the same content.
        with unittest.mock.patch.dict(os.environ, {"GIT_COMMITTER_DATE": "2001-01-01T00:00:00Z"}):
            self.assertEqual(self.open(), f"{self.BRANCH} is at origin with this promotion already\nURL")
        self.assertEqual(self.origin.git("rev-parse", self.BRANCH), pushed)
        self.assertEqual(self.repository.git("rev-parse", self.BRANCH), pushed)
        self.assertIn("create", self.asked())

    def test_an_open_pull_request_is_named(self):
        self.open()
        (self.folder / "asked").unlink()
        self.gh_that_works(opened="https://github.example/pull/7")
        self.assertTrue(self.open().endswith("\nits pull request is open already:\nhttps://github.example/pull/7"))
        self.assertFalse((self.folder / "asked").exists())

    def test_after_a_rollback_the_branch_starts_anew(self):
        self.open()
        old = self.origin.git("rev-parse", self.BRANCH)
        self.merge(self.BRANCH)
        self.repository.git("revert", "--no-edit", "HEAD")
        self.repository.git("push", "--quiet", "origin", "main")
        self.assertIn(f"{self.BRANCH} was at origin with another commit, {old[:12]}: it starts at main anew", self.open())
        self.assertEqual(self.origin.git("rev-parse", f"{self.BRANCH}^"), self.origin.git("rev-parse", "main"))
        self.unchanged()

    def test_a_branch_that_moves_meanwhile_is_not_replaced(self):
        self.open()
        (self.root / "other").write_text("")
        self.repository.git("add", "other")
        self.repository.git("commit", "--quiet", "--message", "main moves on")
        self.repository.git("push", "--quiet", "origin", "main")
        fetched = self.repository.fetched

        def late(branch):
            found = fetched(branch)
            self.origin.git("update-ref", f"refs/heads/{branch}", "refs/heads/main")
            return found

        self.repository.fetched = late
        with self.assertRaisesRegex(promote.Refused, "stale info"):
            self.open()
        self.assertEqual(self.origin.git("rev-parse", self.BRANCH), self.origin.git("rev-parse", "main"))
        self.unchanged()

    def test_a_commit_that_git_refuses_leaves_nothing_behind(self):
        hook = self.root / ".git" / "hooks" / "pre-commit"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
        hook.chmod(0o755)
        with self.assertRaisesRegex(promote.Refused, "not today"):
            self.open()
        self.unchanged()

    def test_requests_over_http_have_the_login_of_gh(self):
        self.gh('[ "$1 $2 $3" = "auth git-credential get" ] && printf "username=gh\\npassword=login\\n"')
        with Denial() as server:
            self.repository.git("remote", "set-url", "--push", "origin", server.address)
            with self.assertRaisesRegex(promote.Refused, f"`git push origin {self.BRANCH}` failed"):
                self.open()
            self.repository.git("remote", "set-url", "origin", server.address)
            with self.assertRaisesRegex(promote.Refused, "`git ls-remote origin HEAD` failed"):
                self.repository.base()
        self.assertEqual(server.seen, [None, "Basic " + base64.b64encode(b"gh:login").decode()] * 2)


class Denial(http.server.ThreadingHTTPServer):
    """A server that asks for a login, and remembers it."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), DenialHandler)
        self.seen = []
        self.address = f"http://127.0.0.1:{self.server_port}/cellgate.git"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return super().__enter__()

    def __exit__(self, *error):
        self.shutdown()
        super().__exit__(*error)


class DenialHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        login = self.headers.get("Authorization")
        self.server.seen.append(login)
        self.send_response(403 if login else 401)
        self.send_header("WWW-Authenticate", "Basic realm=git")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


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
            ('  tag: "0.2.0"\n', "", "no image.tag"),
            ('  tag: "0.2.0"', '  tag: "0.1.0"', "image.tag is 0.1.0, and the revision is v0.2.0"),
            ("cellgate-filter:0.2.0", "cellgate-filter:0.1.0", "the tag of module.url is 0.1.0"),
            ("revision: v0.2.0", "revision: [", "dev/version.yaml:7 is not YAML: "),
            ("# The version", "\a# The version", "dev/version.yaml is not YAML: special characters are not allowed"),
            ("revision: v0.2.0", "revision: main", "revision is main, and only a release"),
            ("revision: v0.2.0", "revision: v0.2", "revision is v0.2, and only a release"),
            ("revision: v0.2.0", "revision: v0.2.0^{}", "revision is v0.2.0^{}, and only a release"),
            *((f"oci://{KNOWN}:0.2.0", url, f"{url}, which is no oci://") for url in MISTAKEN),
            *((f"oci://{KNOWN}:0.2.0", url, "registry of your releases") for url in ELSEWHERE),
            *((f"oci://{KNOWN}:0.2.0", url, f"{url}, which is on this machine") for url in HERE),
        ):
            with self.subTest(said):
                self.edit("dev", old, new)
                self.repository.git("commit", "--quiet", "--all", "--message", "a mistake")
                self.refused("dev", "staging", "dev/version.yaml", said)
                self.path("dev").write_text(good)
                self.repository.git("commit", "--quiet", "--all", "--message", "corrected")

    def test_a_branch_with_the_name_of_a_release_is_none(self):
        self.repository.git("tag", "--delete", "v0.2.0")
        self.repository.git("branch", "v0.2.0")
        self.refused("release", "dev", "v0.2.0, which is no tag of this checkout")

    def test_a_target_that_is_not_yaml(self):
        self.edit("dev", "  url: oci", "  url: [oci")
        self.repository.git("commit", "--quiet", "--all", "--message", "a mistake")
        self.refused("release", "dev", "dev/version.yaml:13 is not YAML: ", "restore it with git")

    def test_values_decide_where_releases_come_from(self):
        """Those of one environment, as they are committed, override those of all."""
        path = self.root / promote.ENVIRONMENTS / "dev" / "values.yaml"
        module = "filter: { module: { url: https://files.example/cellgate/cellgate-0.1.0.wasm } }\n"
        path.write_text(f"image: {{ repository: registry.other/cellgate }}\n{module}")
        self.promote("release", "dev")
        self.repository.git("revert", "--no-edit", "HEAD")
        self.repository.git("commit", "--quiet", "--all", "--message", "another registry")
        self.refused("release", "dev", "the image registry.example/cellgate", "it is registry.other/cellgate:")
        self.digests({**GOOD, "cellgate": GOOD["cellgate"].replace("example", "other")})
        self.refused("release", "dev", "a module of oci://registry.example/cellgate-filter", "it is of https://files.example/cellgate:")

    def test_a_file_of_a_web_server_is_a_module_too(self):
        for name in ("dev", "staging"):
            values = self.root / promote.ENVIRONMENTS / name / "values.yaml"
            values.write_text("filter: { module: { url: https://files.example/cellgate/cellgate-0.1.0.wasm } }\n")
        version = gitops_version.VERSION.format(
            revision="v0.2.0",
            tag="0.2.0",
            image="sha256:" + "a1" * 32,
            module="https://files.example/cellgate/cellgate-0.2.0.wasm",
            sha256="b2" * 32,
        )
        self.path("dev").write_text(version)
        self.repository.git("commit", "--quiet", "--all", "--message", "a web server")
        self.promote("dev", "staging")
        self.assertEqual(self.path("staging").read_text(), version)
        self.refused("staging", "prod", "a module of https://files.example/cellgate")

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
        elsewhere = {name: value.replace("registry.example", "registry.other") for name, value in GOOD.items()}
        trial = {name: value.replace("registry.example", "127.0.0.1:5000") for name, value in GOOD.items()}
        unknown = {name: value.replace("0.2.0", "0.3.0") for name, value in GOOD.items()}
        for content, said in (
            ("{", "is not JSON"),
            ([], "no cellgate as REPOSITORY:TAG@sha256:DIGEST"),
            ({**GOOD, "cellgate": "registry.example/cellgate:0.2.0"}, "no cellgate as"),
            ({"cellgate": GOOD["cellgate"]}, "no cellgate-filter as"),
            (zeros, "image.digest is the placeholder of zeros"),
            (other, "promote one release as a whole"),
            (unknown, "v0.3.0, which is no tag of this checkout: run `git fetch --tags`"),
            (elsewhere, "the image registry.other/cellgate, but by istio/values.yaml and "),
            (trial, "127.0.0.1:5000/cellgate, which is on this machine"),
            ({**GOOD, "cellgate-filter": trial["cellgate-filter"]}, "oci://127.0.0.1:5000/cellgate-filter:0.2.0, which is on this"),
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
