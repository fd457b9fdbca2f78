#!/usr/bin/env python3
"""Tests of what the Dockerfile makes, without a container engine and without pulling a base image.

The programs are built by the scripts that the Dockerfile runs, in a copy of the build context. Where `buildah` is on PATH, the
last stages are then really built from them; the stages that compile are replaced by what was compiled here.
"""

import contextlib
import functools
import gzip
import hashlib
import io
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "image"
CONTEXT = WORK / "context"
MODULE = ROOT / "target" / "cellgate.wasm"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
VERSION = "0.0.1-test"
REVISION = "test-revision"
NOBODY = "65532:65532"
CONFIGURATION = ROOT / "examples" / "form.json"
WASM_CONFIG = "application/vnd.module.wasm.config.v1+json"
WASM_LAYER = "application/vnd.module.wasm.content.layer.v1+wasm"


def run(*command, **options):
    """Runs a command and returns its output. What it said is in the failure, if it fails."""
    done = subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", **options
    )
    if done.returncode != 0:
        raise AssertionError(f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def sha256(content):
    return hashlib.sha256(content).hexdigest()


# What is tested


class Stage:
    """One stage of the Dockerfile: its base, its name and its other instructions."""

    def __init__(self, arguments):
        base, *rest = [word for word in arguments.split() if not word.startswith("--")]
        self.base, self.name = base, rest[1] if rest else ""
        self.instructions = []

    def all(self, keyword):
        return [arguments for found, arguments in self.instructions if found == keyword]


@functools.cache
def stages():
    """The Dockerfile's stages in order, and the defaults of the ARGs before the first."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    found, defaults = [], {}
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        keyword, arguments = line.split(maxsplit=1)
        if keyword == "FROM":
            found.append(Stage(arguments))
        elif found:
            found[-1].instructions.append((keyword, arguments))
        else:
            name, _, value = arguments.partition("=")
            defaults[name] = value
    return found, defaults


@functools.cache
def context():
    """A copy of what .dockerignore lets into the build context. What was built in it stays, so that the next run is quick."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *allowed, cwd=ROOT)
    names = {name for name in names.split("\0") if name and (ROOT / name).is_file()}
    for path in [path for name in allowed for path in [CONTEXT / name, *(CONTEXT / name).rglob("*")]]:
        if path.is_file() and str(path.relative_to(CONTEXT)) not in names:
            path.unlink()
    for name in names:
        copy = CONTEXT / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy)
    # Tools that scripts install for both.
    if (ROOT / ".tools").is_dir() and not (CONTEXT / ".tools").exists():
        (CONTEXT / ".tools").symlink_to(ROOT / ".tools")
    return CONTEXT


def build(*command, revision):
    """Runs one of the context's build scripts, and shows what it does: it takes minutes the first time."""
    environment = {**os.environ, "CELLGATE_BUILD": revision, "CARGO_TARGET_DIR": str(context() / "target")}
    done = subprocess.run([str(part) for part in command], cwd=context(), env=environment, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise AssertionError(f"{command[0]} failed in {context()}")


@functools.cache
def program():
    """`cellgate` as the image has it."""
    path = WORK / "service-build" / "out" / "cellgate"
    build("scripts/build-static.sh", ARCHITECTURE, path, revision=REVISION)
    os.utime(path, (0, 0))
    return path


@functools.cache
def module():
    """The filter, as `make wasm` builds it, where the image's last stage takes it from."""
    path = WORK / "filter-build" / "out" / "plugin.wasm"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    shutil.copy(MODULE, path)
    path.chmod(0o444)
    os.utime(path, (0, 0))
    return path


class Layout:
    """An OCI image layout with one image or artifact, every blob checked against its descriptor."""

    def __init__(self, folder):
        self.folder = folder
        index = json.loads((folder / "index.json").read_text())
        assert json.loads((folder / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
        (self.descriptor,) = index["manifests"]
        self.manifest = json.loads(self.blob(self.descriptor))
        self.config = json.loads(self.blob(self.manifest["config"]))
        self.layers = [(layer["mediaType"], self.blob(layer)) for layer in self.manifest["layers"]]

    def blob(self, descriptor):
        algorithm, digest = descriptor["digest"].split(":")
        content = (self.folder / "blobs" / algorithm / digest).read_bytes()
        assert (sha256(content), len(content)) == (digest, descriptor["size"]), f"{digest} is not what it says"
        return content

    def files(self):
        """What is in the layers, by name, and their contents."""
        found = {}
        for media_type, content in self.layers:
            assert media_type == "application/vnd.oci.image.layer.v1.tar+gzip", media_type
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as archive:
                for entry in archive:
                    found[entry.name] = (entry, archive.extractfile(entry).read() if entry.isfile() else b"")
        return found


@contextlib.contextmanager
def serving(folder, command, environment):
    """Runs a command in a folder as its root, read-only and not as root, and gives its process and its `listening` line."""
    (folder / "etc" / "cellgate").mkdir(parents=True)
    shutil.copy(CONFIGURATION, folder / "etc" / "cellgate" / "cellgate.json")
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o444)
    # Each program replaces itself by the next, so the process is the command in the end.
    script = """
        root=$1 user=$2
        shift 2
        mount --bind "$root" "$root"
        mount -o remount,bind,ro "$root"
        exec chroot --userspec="$user" "$root" "$@"
    """
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-euc", script, "sh", str(folder), NOBODY, *command],
        env={"PATH": os.environ["PATH"], **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = []
    try:
        for line in process.stderr:
            said.append(line)
            if '"listening"' in line:
                break
        else:
            raise AssertionError(f"{command} ended before it listened: {''.join(said)}")
        yield process, json.loads(said[-1])
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def get(address, path):
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        return answer.status, answer.read().decode()


def check_serving(test, root, command, environment):
    """Whether a command in a folder of its own answers, says what it is built from, and ends when it is told to."""
    ports = {"CELLGATE_LISTEN": "127.0.0.1:0", "CELLGATE_ADMIN": "127.0.0.1:0", "CELLGATE_PLAIN_TEXT": "true"}
    with serving(root, command, {**environment, **ports}) as (process, listening):
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        test.assertRegex(status, r"(?m)^Uid:(\s65532){4}$")
        mounts = pathlib.Path(f"/proc/{process.pid}/mountinfo").read_text()
        test.assertRegex(mounts, r"(?m)^\d+ \d+ \S+ \S+ / ro")
        fields = listening.get("fields", listening)
        test.assertEqual(get(fields["admin"], "/livez")[0], 200)
        test.assertEqual(get(fields["admin"], "/readyz")[0], 200)
        test.assertEqual(json.loads(get(fields["admin"], "/version")[1])["build"], REVISION)
        process.send_signal(signal.SIGTERM)
        test.assertEqual(process.wait(timeout=40), 0)


# The tests


class Dockerfile(unittest.TestCase):
    """What can be seen without building anything."""

    def test_hadolint_finds_nothing(self):
        hadolint = pathlib.Path(run(ROOT / "scripts" / "chart-tools.sh").strip()) / "hadolint"
        run(hadolint, "--failure-threshold", "style", ROOT / "Dockerfile")

    def test_bases_are_pinned_and_new_enough(self):
        found, defaults = stages()
        workspace = (ROOT / "Cargo.toml").read_text()
        needed = re.search(r'^rust-version = "(\d+)\.(\d+)"', workspace, re.MULTILINE).groups()
        earlier = {"scratch"}
        for stage in found:
            if stage.base not in earlier:
                base = re.sub(r"\$\{(\w+)\}", lambda name: defaults[name[1]], stage.base)
                pinned = re.fullmatch(r"[\w./-]+/rust:(\d+)\.(\d+)\.\d+-[\w-]+", base)
                self.assertTrue(pinned, f"{base} is not a whole version of Rust's image")
                self.assertGreaterEqual(tuple(map(int, pinned.groups())), tuple(map(int, needed)))
            earlier.add(stage.name)

    def test_copies_are_from_earlier_stages(self):
        earlier = set()
        copies = 0
        for stage in stages()[0]:
            for source in re.findall(r"--from=(\S+)", " ".join(stage.all("COPY"))):
                self.assertIn(source, earlier)
                copies += 1
            earlier.add(stage.name)
        self.assertEqual(copies, 2)

    def test_last_stages_have_one_file_and_no_root(self):
        found, _ = stages()
        last = {stage.name: stage for stage in found if stage.base == "scratch"}
        self.assertEqual(set(last), {"runtime", "filter"})
        # What `docker build` without a target makes.
        self.assertEqual(found[-1].name, "runtime")
        for stage in last.values():
            self.assertEqual(len(stage.all("COPY")), 1)
            self.assertEqual(stage.all("USER"), [NOBODY])
            self.assertEqual(stage.all("RUN"), [])
        self.assertEqual(last["runtime"].all("ENTRYPOINT"), ['["/cellgate"]'])
        self.assertEqual(last["runtime"].all("CMD"), ['["serve"]'])

    def test_nothing_comes_from_elsewhere(self):
        for stage in stages()[0]:
            self.assertEqual(stage.all("ADD"), [])
            self.assertNotRegex(" ".join(stage.all("RUN")), r"https?://|curl|wget")


class Programs(unittest.TestCase):
    """What the stages that compile make."""

    def test_service_needs_no_other_file(self):
        content = program().read_bytes()
        print(f"cellgate: {len(content)} bytes")
        self.assertEqual(content[:5], b"\x7fELF\x02")
        (offset,) = struct.unpack_from("<Q", content, 32)
        size, count = struct.unpack_from("<HH", content, 54)
        kinds = [struct.unpack_from("<I", content, offset + size * number)[0] for number in range(count)]
        self.assertNotIn(3, kinds, "it has an interpreter (PT_INTERP), so it is linked dynamically")
        # Static, and yet at an address of its own each time.
        self.assertEqual(struct.unpack_from("<H", content, 16), (3,), "it is not position-independent (ET_DYN)")

    @unittest.skipUnless(os.geteuid() == 0, "changing root and user needs root")
    def test_service_runs_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            shutil.copy2(program(), root / "cellgate")
            environment = {"CELLGATE_CONFIG": "/etc/cellgate/cellgate.json"}
            check_serving(self, root, ["/cellgate", "serve"], environment)

    def test_filter_is_the_same_wherever_it_is_built(self):
        stamp = run(ROOT / "scripts" / "stamp.sh").strip()
        build("scripts/build-wasm.sh", revision=stamp)
        here, there = (sha256(path.read_bytes()) for path in [MODULE, context() / "target" / "cellgate.wasm"])
        self.assertEqual(here, there)


@unittest.skipUnless(shutil.which("buildah"), "not built: buildah is not on PATH (Debian, Ubuntu: apt-get install buildah)")
class Images(unittest.TestCase):
    """The images, built twice from what was compiled."""

    @classmethod
    def setUpClass(cls):
        program(), module()
        cls.work = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.work)

    @classmethod
    @functools.cache
    def image(cls, target, number=1):
        """The layout of a target. Each number is a build of its own."""
        store = ["--root", cls.work / "store", "--runroot", cls.work / "run", "--storage-driver", "vfs"]
        tag, layout = f"{target}-{number}:test", cls.work / f"{target}-{number}"
        contexts = [f"--build-context={name}={WORK / name}" for name in ["service-build", "filter-build"]]
        arguments = [f"--build-arg=VERSION={VERSION}", f"--build-arg=REVISION={REVISION}"]
        how = ["--isolation", "chroot", "--timestamp", "0", "--platform", f"linux/{ARCHITECTURE}"]
        what = ["--file", ROOT / "Dockerfile", "--target", target, "--tag", tag, context()]
        run("buildah", *store, "build", *how, *contexts, *arguments, *what)
        run("buildah", *store, "push", tag, f"oci:{layout}:test")
        return Layout(layout)

    def test_runtime_has_only_the_service(self):
        image = self.image("runtime")
        ((name, (entry, content)),) = image.files().items()
        self.assertEqual((name, entry.mode & 0o7777, entry.uid, entry.gid), ("cellgate", 0o755, 0, 0))
        self.assertEqual(sha256(content), sha256(program().read_bytes()))
        print(f"image runtime: {sum(len(layer) for _, layer in image.layers)} bytes to pull, {len(content)} unpacked")

    def test_runtime_says_how_it_runs(self):
        image = self.image("runtime")
        self.assertEqual((image.config["os"], image.config["architecture"]), ("linux", ARCHITECTURE))
        config = image.config["config"]
        self.assertEqual((config["User"], config["Entrypoint"], config["Cmd"]), (NOBODY, ["/cellgate"], ["serve"]))
        self.assertEqual(set(config["ExposedPorts"]), {"50051/tcp", "9902/tcp"})
        labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
        self.assertEqual((labels["version"], labels["revision"], labels["licenses"]), (VERSION, REVISION, "Apache-2.0"))

    @unittest.skipUnless(os.geteuid() == 0, "changing root and user needs root")
    def test_runtime_serves(self):
        image = self.image("runtime")
        config = image.config["config"]
        with tempfile.TemporaryDirectory() as folder:
            for name, (_, content) in image.files().items():
                path = pathlib.Path(folder) / name
                path.write_bytes(content)
                path.chmod(0o755)
            environment = dict(variable.split("=", 1) for variable in config["Env"])
            check_serving(self, pathlib.Path(folder), config["Entrypoint"] + config["Cmd"], environment)

    def test_filter_is_where_istio_looks(self):
        image = self.image("filter")
        # Istio reads the last layer only.
        ((name, (_, content)),) = image.files().items()
        self.assertEqual((len(image.layers), name), (1, "plugin.wasm"))
        self.assertEqual(sha256(content), sha256(MODULE.read_bytes()))
        print(f"image filter: {len(image.layers[0][1])} bytes to pull, {len(content)} unpacked")

    def test_second_build_is_the_same(self):
        for target in ["runtime", "filter"]:
            first, second = (self.image(target, number).descriptor["digest"] for number in [1, 2])
            self.assertEqual(first, second, target)
            print(f"image {target}: {first}")


class Artifact(unittest.TestCase):
    """The filter as an OCI artifact."""

    @classmethod
    def setUpClass(cls):
        cls.work = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.work)

    def write(self, name, *more, module=MODULE):
        script = ROOT / "scripts" / "oci_artifact.py"
        return run(sys.executable, script, module, self.work / name, "--version", VERSION, *more)

    def test_it_is_what_istio_pulls(self):
        said = self.write("first")
        layout = Layout(self.work / "first")
        self.assertEqual(layout.manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json")
        # Istio wants two layers, finds the module by its media type, and takes it as it is.
        self.assertEqual([kind for kind, _ in layout.layers], [WASM_CONFIG, WASM_LAYER])
        self.assertEqual(layout.layers[1][1], MODULE.read_bytes())
        self.assertEqual(layout.config["type"], "envoy_proxy")
        # Of an artifact the manifest is checked, of a file the file.
        digest = layout.descriptor["digest"].removeprefix("sha256:")
        self.assertIn(f"    url: oci://REGISTRY/cellgate-filter:{VERSION}\n    sha256: {digest}\n", said)
        self.assertIn(f"    url: https://SERVER/cellgate.wasm\n    sha256: {sha256(MODULE.read_bytes())}\n", said)
        print(f"artifact: {layout.descriptor['digest']}, {sum(len(layer) for _, layer in layout.layers)} bytes to pull")

    def test_digest_depends_on_what_is_in_it_alone(self):
        digests = []
        for name, more in [("a", []), ("b", []), ("c", ["--revision", "other"])]:
            self.write(name, *more)
            digests.append(Layout(self.work / name).descriptor["digest"])
        self.assertEqual(digests[0], digests[1])
        self.assertNotEqual(digests[0], digests[2])

    def test_it_replaces_an_older_one(self):
        self.write("again", "--revision", "old")
        old = set((self.work / "again" / "blobs" / "sha256").iterdir())
        self.write("again", "--revision", "new")
        new = set((self.work / "again" / "blobs" / "sha256").iterdir())
        self.assertEqual((len(old - new), len(new - old)), (1, 1))

    def test_what_is_no_module_is_refused(self):
        for file, why in [(ROOT / "Cargo.toml", "is not a WebAssembly module"), (self.work / "none", "make wasm")]:
            with self.assertRaisesRegex(AssertionError, why):
                self.write("refused", module=file)
            self.assertFalse((self.work / "refused").exists())


class Result(unittest.TextTestResult):
    """Counts what passed, which unittest does not."""

    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main():
    started = time.monotonic()
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result).run(suite)
    failed = len(result.failures) + len(result.errors)
    # As cargo says it: that is what counts tests here.
    print(
        f"test result: {'FAILED' if failed else 'ok'}. {result.passed} passed; {failed} failed; {len(result.skipped)} ignored; "
        f"0 measured; 0 filtered out; finished in {time.monotonic() - started:.2f}s"
    )
    return 1 if failed or not result.passed else 0


if __name__ == "__main__":
    sys.exit(main())
