#!/usr/bin/env python3
"""check_repository.py [--root DIR]   checks what GitHub and its helpers read, and every shell script, with the tools made for it.

- actionlint: the workflows, and the shell in them
- zizmor: the workflows' security: permissions, pins, injected expressions. Offline, so without GitHub's advisories
- shellcheck: every shell script
- gitleaks: secrets, in every commit and in files that are not committed yet
- JSON schemas: Renovate's configuration and the forms of issues

Needs Go the first time, for actionlint and gitleaks. Prints a line for each tool; exit code 1 if one has findings.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import chart_tools

if __name__ == "__main__":
    chart_tools.enter()

import jsonschema  # noqa: E402
import yaml  # noqa: E402

ROOT = chart_tools.ROOT
# A file or a pattern of files, and the schema that it must fit.
SCHEMAS = {
    ".github/renovate.json": "renovate.json",
    ".github/ISSUE_TEMPLATE/*.yml": "github-issue-forms.json",
    ".github/ISSUE_TEMPLATE/config.yml": "github-issue-config.json",
    ".github/workflows/*.yml": "github-workflows.json",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=ROOT, help="another checkout")
    root = parser.parse_args().root.resolve()
    tools = Tools()
    failed = 0
    for name, check in CHECKS.items():
        start = time.monotonic()
        findings = check(root, tools)
        print(f"{name}: {'FAILED' if findings else 'ok'} ({time.monotonic() - start:.1f} s)", flush=True)
        if findings:
            failed += 1
            print(findings, flush=True)
    sys.exit(1 if failed else 0)


class Tools:
    """Where the programs and schemas are; the scripts install what is missing."""

    def __init__(self):
        self.wheels = installed("repository-tools.sh")
        self.built = installed("mesh-tools.sh", "actionlint", "gitleaks")

    def shellcheck(self):
        return self.wheels / "bin" / "shellcheck"

    def schema(self, name):
        return json.loads((self.wheels / "schemas" / name).read_text(encoding="utf-8"))


def installed(script, *arguments):
    command = [ROOT / "scripts" / script, *arguments]
    found = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if found.returncode != 0:
        sys.exit(f"scripts/{script} has failed: see the lines above")
    return pathlib.Path(found.stdout.strip())


def run(root, *command):
    """What a tool says if it has findings; nothing if it has none."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return "" if done.returncode == 0 else done.stdout.strip() or f"{command[0]} ended with {done.returncode}"


def git(root, *arguments):
    command = ["git", *arguments]
    return subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True).stdout


def files(root, *patterns):
    """The files that git knows or would add, by patterns."""
    listed = git(root, "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns)
    found = [name for name in listed.splitlines() if (root / name).is_file()]
    # Without a file, some tools would find nothing and be content.
    return found if found else sys.exit(f"{root} has no file {' or '.join(patterns)}: nothing was checked")


def actionlint(root, tools):
    workflows = files(root, ".github/workflows/*.yml")
    return run(root, tools.built / "actionlint", "-no-color", f"-shellcheck={tools.shellcheck()}", "-pyflakes=", *workflows)


def zizmor(root, tools):
    options = ["--offline", "--quiet", "--no-progress", "--color=never", "--persona=pedantic", "--strict-collection"]
    return run(root, tools.wheels / "bin" / "zizmor", *options, ".")


def shellcheck(root, tools):
    # Recorded calls of curl end in .sh too, and are no scripts.
    scripts = [name for name in files(root, "*.sh", ".ci/run") if (root / name).read_text().startswith(("#!", "# shellcheck "))]
    return run(root, tools.shellcheck(), "--color=never", "--external-sources", *scripts)


def gitleaks(root, tools):
    program = [tools.built / "gitleaks", "--no-banner", "--no-color", "--redact", "--verbose", "--log-level=error"]
    # The history of this checkout, and not of branches that happen to be here.
    committed = run(root, *program, "git", "--log-opts=HEAD", ".")
    # What is changed since: `git ls-files` leaves out what is built or installed.
    named = [run(root, *program, "dir", name) for name in changed(root)]
    return "\n".join(filter(None, [committed, *named]))


def changed(root):
    """Files that differ from the last commit, and new ones."""
    entries = git(root, "status", "--porcelain", "--untracked-files=all", "-z").split("\0")
    return [entry[3:] for entry in entries if len(entry) > 3 and (root / entry[3:]).is_file()]


def schemas(root, tools):
    findings = []
    for pattern, name in SCHEMAS.items():
        schema = tools.schema(name)
        validator = jsonschema.validators.validator_for(schema)(schema)
        for path in files(root, pattern):
            # Not a form, but the page on which one is chosen.
            if path.endswith("/config.yml") and pattern != path:
                continue
            document = yaml.load((root / path).read_text(encoding="utf-8"), Loader=Loader)
            for error in validator.iter_errors(document):
                place = "/".join(map(str, error.absolute_path)) or "the document"
                findings.append(f"{path}: {place}: {jsonschema.exceptions.best_match([error]).message[:300]}")
    return "\n".join(findings)


class Loader(yaml.SafeLoader):
    """YAML 1.2 as GitHub reads it: `on` is a name, not a truth."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), ["t", "f"])

CHECKS = {"actionlint": actionlint, "zizmor": zizmor, "shellcheck": shellcheck, "gitleaks": gitleaks, "schemas": schemas}


if __name__ == "__main__":
    main()
