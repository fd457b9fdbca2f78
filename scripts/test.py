#!/usr/bin/env python3
"""Builds what the tests need and runs them; the last line is the sum of all their counts.

    test.py [--workspace] [--images] [--mesh] [--chaos] [--envoys VERSION ...] [--observe VERSION ...]

--workspace runs every test of the workspace, among them the end-to-end tests against the default Envoy and those in Chromium.
--images builds the images as far as this machine can, and tests them and releases.
--mesh runs the chart's tests in a mesh; the first time it builds the programs that they need.
--chaos injects each fault of tests/chaos once; the first time it builds Toxiproxy.
--envoys runs the end-to-end tests once against each version named; with --workspace, those that Envoy's version can change.
--observe runs the tests with Jaeger and Prometheus once against each version of Envoy named; the first time it builds Jaeger.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULT = re.compile(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;")
CELLGATE = ROOT / "target" / "debug" / "cellgate"
MODULE = ROOT / "target" / "cellgate.wasm"
# One choice of packages and features for every command, so that nothing is compiled twice.
EVERYTHING = ["--locked", "--workspace", "--all-features"]
# Built by mesh-tools.sh.
MESH = ROOT / ".tools" / "mesh" / "bin"
# Most tests wait for programs most of the time. More of them at once keep the processors busy.
THREADS = 2 * len(os.sched_getaffinity(0))
# End-to-end tests of which a run on one Envoy tells all: their subject is the core, the command, or what the service writes and
# how much it takes. They take a third of the time of all.
ON_ONE_ENVOY = (
    "bombs::the_service_",
    "corpus::offline::",
    "corpus::the_core_",
    "demo::",
    "explain::",
    "leases::bound::",
    "leases::steady::",
    "left_streams::",
    "observation_bad_input::",
    "privacy::",
    "rate_limits_fairness::",
    "rolling_restart::",
)
PLACEMENT_REFERENCE = ROOT / "scripts" / "placement_reference.py"
START = time.monotonic()


class Count:
    """Tests passed, failed and skipped."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, line):
        """Takes over the numbers of a `test result:` line; other lines count nothing."""
        if found := RESULT.search(line):
            passed, failed, skipped = map(int, found.groups())
            self.passed += passed
            self.failed += failed
            self.skipped += skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def say(text):
    print(f"==> [{time.monotonic() - START:5.0f} s] {text}", flush=True)


def run(title, command, count, **variables):
    """Runs a command, shows its output as it comes and counts the tests in it. Whether it succeeded."""
    say(title)
    environment = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    # With UPDATE, a snapshot test writes its fixture instead of comparing it.
    environment.pop("UPDATE", None)
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        bufsize=1,
    )
    before = count.failed
    for line in process.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        count.add(line)
    succeeded = process.wait() == 0
    if not succeeded:
        say(f"FAILED: {title} (exit code {process.returncode})")
        # A build that broke has no result line: it is a failure all the same.
        if count.failed == before:
            count.failed += 1
    return succeeded


def envoy(version=None):
    """The path of an Envoy, installed if need be. A version asked for is not overruled by $ENVOY."""
    environment = dict(os.environ)
    if version:
        environment.pop("ENVOY", None)
    command = [ROOT / "scripts" / "envoy.sh", *([version] if version else [])]
    found = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    return found.stdout.strip() if found.returncode == 0 else None


def installed(script, count, *, optional=False):
    """A variable that names what a script installs if need be. Empty if that fails, or if it is optional and not to be had."""
    found = subprocess.run([ROOT / "scripts" / f"{script}.sh"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if found.returncode == 0:
        return {script.upper(): found.stdout.strip()}
    # 2: it is not to be had here, and its tests are skipped. Anything else went wrong, and must not pass as that.
    if not (optional and found.returncode == 2):
        say(f"FAILED: installing {script}")
        count.failed += 1
    return {}


def valkey(count):
    """A variable that names a Valkey server."""
    return installed("valkey", count)


def browser(count):
    """Variables that name a Chromium and axe-core's script. Where Debian's packages or npm lack, their tests are skipped."""
    return installed("chromium", count, optional=True) | installed("axe", count, optional=True)


def observers(count):
    """Variables that name Jaeger and Prometheus."""
    return installed("jaeger", count) | installed("prometheus", count)


def chaos(count):
    """Injects each fault once, in the order of a fixed seed."""
    variables = valkey(count) | installed("toxiproxy", count) | installed("libfaketime", count, optional=True)
    variables |= {"SEED": 1, "CHAOS_SECONDS": 0, "FAULT": ""}
    end_to_end("one fault after the other", ["scripts/chaos.sh", "target/debug/chaos"], None, count, **variables)


def build(count):
    """Builds the two programs under test, and the tests."""
    programs = ["cargo", "build", *EVERYTHING, "--bins", "--tests"]
    return run("building the filter", ["scripts/build-wasm.sh"], count) and run(
        "building the programs and the tests", programs, count
    )


def end_to_end(title, command, version, count, **variables):
    """Runs a command whose tests start Envoy."""
    binary = envoy(version)
    if not binary:
        say(f"FAILED: {title} (no Envoy)")
        count.failed += 1
        return
    variables |= {"ENVOY": binary, "CELLGATE_WASM": MODULE, "CELLGATE_BIN": CELLGATE}
    # RUST_TEST_THREADS of your own wins.
    run(title, command, count, RUST_TEST_THREADS=os.environ.get("RUST_TEST_THREADS", THREADS), **variables)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", action="store_true")
    parser.add_argument("--images", action="store_true")
    parser.add_argument("--mesh", action="store_true")
    parser.add_argument("--chaos", action="store_true")
    parser.add_argument("--envoys", nargs="+", default=[], metavar="VERSION")
    parser.add_argument("--observe", nargs="+", default=[], metavar="VERSION")
    options = parser.parse_args()

    count = Count()
    ready = not options.mesh or run("building the mesh's control plane", ["scripts/mesh-tools.sh"], count)
    if ready and build(count):
        if options.workspace:
            command = ["cargo", "test", *EVERYTHING, "--no-fail-fast"]
            end_to_end("testing the workspace", command, None, count, **browser(count), **valkey(count))
            if PLACEMENT_REFERENCE.exists():
                # An implementation of its own against the same vectors: one test, without a result line.
                if run("placement as another program does it", [sys.executable, str(PLACEMENT_REFERENCE)], count):
                    count.passed += 1
            for script in ("words_test.py", "performance_test.py", "promote_test.py", "repository_test.py"):
                run(f"testing scripts: {script}", [sys.executable, f"scripts/{script}"], count)
            run("testing the chart", [sys.executable, "scripts/chart_test.py"], count, CELLGATE_BIN=CELLGATE)
            command = [sys.executable, "scripts/alerts_test.py"]
            end_to_end("testing dashboards and runbooks", command, None, count, **valkey(count))
        if options.images:
            run("testing the images", [sys.executable, "scripts/image_test.py"], count)
            run("testing releases", [sys.executable, "scripts/release_test.py"], count)
        if options.mesh:
            chart = [sys.executable, "scripts/chart_test.py"]
            run("testing the chart with Helm 4", chart, count, CELLGATE_BIN=CELLGATE, HELM=MESH / "helm")
            shipping = [sys.executable, "scripts/shipping_test.py"]
            run("shipping logs with a collector", shipping, count, CELLGATE_BIN=CELLGATE)
            run("checking the manifests", [sys.executable, "scripts/manifests_test.py"], count)
            command = [sys.executable, "scripts/check_repository_test.py"]
            run("testing the checks of the repository", command, count)
            command = ["cargo", "test", *EVERYTHING, "--test", "mesh"]
            end_to_end("testing the chart in a mesh", command, None, count)
        if options.chaos:
            chaos(count)
        for version in options.envoys:
            # docs/conformance.md has a column for the oldest Envoy. On the others each result must be in one of its two.
            command = ["cargo", "test", *EVERYTHING, "--no-fail-fast"]
            command += [part for name in ("e2e", "conformance", "contract") for part in ("--test", name)]
            if options.workspace:
                # They have run on the default Envoy.
                command += ["--", *(part for name in ON_ONE_ENVOY for part in ("--skip", name))]
            end_to_end(f"end-to-end tests with Envoy {version}", command, version, count)

        variables = observers(count) if options.observe else {}
        for version in options.observe:
            command = ["cargo", "test", *EVERYTHING, "--no-fail-fast", "--test", "observe"]
            end_to_end(f"traces and metrics with Envoy {version}", command, version, count, **variables)

    if count.passed + count.failed == 0:
        say("FAILED: no test ran")
        count.failed += 1
    say("done")
    # Alone on the last line, for whoever reads the count.
    print(count, flush=True)
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
