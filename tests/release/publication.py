"""A release that is built once, and published by each test to a place of its own."""

import atexit
import functools
import hashlib
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import checkout
import image_test
from local_registry import Crane, Server

# What is compiled has it already.
VERSION = checkout.current()
NAMES = ["cellgate", "cellgate-filter", "charts/cellgate"]


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def cosign():
    """The path of cosign. `make test-release` builds it, which takes minutes; other runs take it where it is."""
    done = subprocess.run([checkout.ROOT / "scripts" / "cosign.sh", "--built"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.stdout.strip()


COSIGN = cosign()


def of_commit(source, target, old, stamp):
    """A program or a module that was compiled before the release's commit was made, with that commit in place of the old one.
    It takes minutes to compile, and nothing else in it would be different."""
    content = source.read_bytes()
    found = [each for each in old if each in content]
    assert found, f"{source} names none of {len(old)} commits: build it anew (`make wasm`, scripts/image_test.py)"
    for each in found:
        content = content.replace(each + b"-dirty", each + b" " * len("-dirty")).replace(each, stamp.encode().ljust(len(each)))
    # Of no compiler here: what a release says of a program must come from the program.
    content = re.sub(rb"(?<=rustc version )\d", b"9", content)
    target.write_bytes(content)
    target.chmod(0o755)
    return target


class Release:
    """A release that is built once."""

    def __init__(self, clean):
        self.server, self.crane = Server(clean), Crane()
        self.here = checkout.checkout(clean)
        self.here.made("release", VERSION=VERSION)
        self.head, self.tagged = self.here.git("rev-parse", "HEAD"), self.here.git("rev-parse", f"refs/tags/v{VERSION}")
        folder = tempfile.TemporaryDirectory()
        clean(folder.cleanup)
        self.keys = pathlib.Path(folder.name)
        # The static program of the image's tests and the module of `make wasm`.
        there = image_test.WORK / "service-build" / "out" / "cellgate"
        there, stamp = there if there.exists() else image_test.program(), self.head[:12]
        commits = subprocess.run(["git", "log", "--all", "--abbrev=12", "--format=%h"], cwd=checkout.ROOT, check=True, capture_output=True)
        self.program = of_commit(there, self.keys / "cellgate", [image_test.REVISION.encode()], stamp)
        self.module = of_commit(image_test.MODULE, self.keys / "cellgate.wasm", commits.stdout.split(), stamp)
        self.how = {"BINARIES": f"{image_test.ARCHITECTURE}={self.program}", "MODULE": self.module}
        checkout.ENVIRONMENT.update(CRANE=self.crane.path, COSIGN_PASSWORD="")
        self.here.made("dist", **self.how)
        self.built = self.keys / "dist"
        shutil.copytree(self.here.root / "target" / "dist", self.built)
        if COSIGN:
            checkout.ENVIRONMENT.update(COSIGN=COSIGN)
            self.generate_keys(self.keys)

    @staticmethod
    def generate_keys(folder):
        command = [COSIGN, "generate-key-pair"]
        subprocess.run(command, cwd=folder, env=checkout.ENVIRONMENT, check=True, capture_output=True, stdin=subprocess.DEVNULL)


@functools.cache
def release():
    return Release(atexit.register)


class Published(unittest.TestCase):
    """Each test publishes the release to a path of its own."""

    def setUp(self):
        for name, value in vars(release()).items():
            setattr(self, name, value)
        self.registry = f"{self.server.address}/{self._testMethodName.removeprefix('test_').replace('_', '-')}"
        self.dist = self.here.root / "target" / "dist"
        # Whatever a test before this one has done to it.
        shutil.rmtree(self.dist, ignore_errors=True)
        shutil.copytree(self.built, self.dist)
        # And to the checkout.
        self.addCleanup(self.as_it_was)

    def as_it_was(self):
        self.here.git("switch", "--quiet", "main")
        self.here.git("reset", "--quiet", "--hard", self.head)
        self.here.git("clean", "--quiet", "--force", "-d")
        tag = f"v{VERSION}"
        if self.here.git("rev-parse", f"refs/tags/{tag}") != self.tagged:
            self.here.git("update-ref", f"refs/tags/{tag}", self.tagged)

    def publish(self, **variables):
        return self.here.make("publish", REGISTRY=self.registry, INSECURE=1, **variables)

    def published(self, **variables):
        done = self.publish(**variables)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def signed(self):
        return self.published(COSIGN_KEY=self.keys / "cosign.key")

    def verify(self, **variables):
        usual = {"REGISTRY": self.registry, "VERSION": VERSION, "INSECURE": 1, "COSIGN_PUBKEY": self.keys / "cosign.pub"}
        return self.here.make("verify-release", **{**usual, **variables})

    def refused(self, done, sentence):
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn(sentence, done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def installs(self, rendered, image, module):
        """Whether rendered manifests run these two, by digest, and nothing else."""
        images = set(re.findall(r"^ *image: (\S+)$", rendered, re.MULTILINE))
        self.assertEqual(images, {f"{self.registry}/cellgate@{image}"})
        addresses = set(re.findall(r"\boci://[^\s\"]+", rendered))
        self.assertEqual(addresses, {f"oci://{self.registry}/cellgate-filter:{VERSION}"})
        self.assertEqual(set(re.findall(r"\bsha256: \W*([0-9a-f]{64})", rendered)), {module.removeprefix("sha256:")})

    def sum_anew(self):
        """What somebody would do who changes a file and hides it."""
        files = sorted(path for path in self.dist.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
        lines = [f"{sha256(path.read_bytes())}  {path.relative_to(self.dist)}\n" for path in files]
        (self.dist / "SHA256SUMS").write_text("".join(lines))
