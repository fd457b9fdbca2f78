#!/usr/bin/env python3
"""promote.py FROM TO [--digests FILE] [--pull-request]   puts the version of one stage into the next, in one commit of one file.

The stages are release, dev, staging and prod, in this order, and a version skips none of them. A version is a file,
istio/gitops/environments/ENV/version.yaml: the revision of the chart, and the digests of the image and of the filter's module.
From release to dev the digests come from target/dist/digests.json, which `make publish` writes; from there on the file of
the stage before is copied unchanged. So production gets the bytes that staging had, and `git revert` takes them back.

--pull-request makes the commit on a branch of its own, pushes it to origin and opens a pull request with GitHub's `gh`.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys

import chart_tools

if __name__ == "__main__":
    chart_tools.enter()

import yaml  # noqa: E402

STAGES = ("release", "dev", "staging", "prod")
RELEASE, FIRST = STAGES[:2]
ENVIRONMENTS = pathlib.Path("istio/gitops/environments")
DIGESTS = pathlib.Path("target/dist/digests.json")
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
# A reference as `make publish` writes it: repository, tag and digest.
REFERENCE = re.compile(r"(?P<repository>[^\s@]+):(?P<tag>[^\s:/@]+)@(?P<digest>sha256:[0-9a-f]{64})")
VERSION = """\
# The version of this environment. `make promote` writes this file: do not edit it by hand.

# The tag or commit of this repository with the chart.
revision: {revision}
image:
  # For people: the digest decides.
  tag: "{tag}"
  # The digest of the image in your registry.
  digest: {image}
module:
  url: {module}
  # The digest of the artifact.
  sha256: "{sha256}"
"""


class Refused(Exception):
    """A promotion that must not happen, with a sentence that says why and what to do."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="FROM")
    parser.add_argument("target", metavar="TO")
    parser.add_argument("--digests", type=pathlib.Path, metavar="FILE", help=f"instead of {DIGESTS}")
    parser.add_argument("--pull-request", action="store_true")
    options = parser.parse_args()
    repository = Repository(chart_tools.ROOT)
    try:
        promotion = Promotion(repository, options.source, options.target, options.digests)
        if options.pull_request:
            promotion.open_pull_request()
        else:
            promotion.commit()
            print(f"committed: {promotion.title}")
    except Refused as refusal:
        sys.exit(f"promote: {refusal}")


class Repository:
    """A checkout."""

    def __init__(self, root):
        self.root = pathlib.Path(root)

    def git(self, *arguments):
        return self.run("git", *arguments)

    def run(self, *command):
        """Runs a program in the checkout. Its output."""
        done = subprocess.run(command, cwd=self.root, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            said = " ".join(word for word in command if not word.startswith("-") and "=" not in word)
            raise Refused(f"`{said[:60]}` failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout.strip()

    def knows(self, revision):
        try:
            self.git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
        except Refused:
            return False
        return True

    def version(self, environment):
        """The path of an environment's version in the checkout."""
        return ENVIRONMENTS / environment / "version.yaml"

    def read(self, environment):
        """The text of an environment's version, as it is committed."""
        path = self.version(environment)
        if not (self.root / path).is_file():
            raise Refused(f"{path} is missing: restore it, or add the environment {environment} with its values first")
        if self.git("status", "--porcelain", "--", str(path)):
            raise Refused(f"{path} has changes that are not committed: commit them, or restore the file")
        return (self.root / path).read_text(encoding="utf-8")


class Promotion:
    """One step from a stage to the next. Whatever forbids it is refused here, before anything changes."""

    def __init__(self, repository, source, target, digests=None):
        self.repository = repository
        follows(source, target)
        self.path = repository.version(target)
        before = repository.read(target)
        if source == RELEASE:
            origin = digests or repository.root / DIGESTS
            self.text = released(origin)
        else:
            origin = repository.version(source)
            self.text = repository.read(source)
        self.revision = complete(self.text, origin)
        if not repository.knows(self.revision):
            raise Refused(
                f"{origin} has the revision {self.revision}, which is no tag or commit of this checkout: run `git fetch --tags`,"
                " or promote a release that exists"
            )
        if values(self.text) == values(before):
            raise Refused(f"{target} has {self.revision} with the same digests already: there is nothing to promote")
        self.title = f"chore(gitops): promote {self.revision} to {target}"
        self.branch = f"promote/{target}-{self.revision}"
        self.body = (
            f"{target} gets the version of {source}: chart, image and module together. Argo CD applies it after the merge,"
            " one wave after the other. `git revert` of this commit rolls back."
        )

    def commit(self):
        """Writes the version and commits it, and nothing else that may be staged."""
        (self.repository.root / self.path).write_text(self.text, encoding="utf-8")
        self.repository.git("commit", "--quiet", "--message", self.title, "--message", self.body, "--", str(self.path))

    def open_pull_request(self):
        base = self.repository.git("branch", "--show-current")
        if not base:
            raise Refused("no branch is checked out, so there is none to open a pull request for: run `git switch main`")
        self.repository.git("switch", "--quiet", "--create", self.branch)
        self.commit()
        # Over HTTPS, with the login of gh where git has none of its own, as in a workflow.
        login = "credential.helper=!gh auth git-credential"
        self.repository.git("-c", login, "push", "--quiet", "--set-upstream", "origin", self.branch)
        request = ["--base", base, "--head", self.branch, "--title", self.title, "--body", self.body]
        print(self.repository.run("gh", "pr", "create", *request))


def follows(source, target):
    """Refuses all but a step from one stage to the next."""
    for name in (source, target):
        if name not in STAGES:
            raise Refused(f"there is no environment {name or 'without a name'}: the stages are {', '.join(STAGES)}, in this order")
    distance = STAGES.index(target) - STAGES.index(source)
    if distance > 1:
        between = STAGES[STAGES.index(source) + 1]
        raise Refused(f"{source} cannot go to {target} at once: run `make promote FROM={source} TO={between}` first")
    if distance < 1:
        raise Refused(f"{target} does not come after {source}: to go back, `git revert` the promotion to {source}")


def released(path):
    """The version of the release whose digests a file has."""
    try:
        found = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused(f"{path} is missing: run `make publish`, or take the file from the release") from None
    except ValueError as error:
        raise Refused(f"{path} is not JSON: {error}") from None
    image, module = reference(found, "cellgate", path), reference(found, "cellgate-filter", path)
    if image["tag"] != module["tag"]:
        raise Refused(f"{path} has the image {image['tag']} and the module {module['tag']}: promote one release as a whole")
    return VERSION.format(
        revision=f"v{image['tag']}",
        tag=image["tag"],
        image=image["digest"],
        module=f"oci://{module['repository']}:{module['tag']}",
        sha256=module["digest"].removeprefix("sha256:"),
    )


def reference(found, name, path):
    matched = REFERENCE.fullmatch(str(found.get(name) if isinstance(found, dict) else None))
    if not matched:
        raise Refused(f"{path} has no {name} as REPOSITORY:TAG@sha256:DIGEST: run `make publish` anew")
    return matched


def values(text):
    """The values of a version, without its comments."""
    return yaml.safe_load(text)


def complete(text, origin):
    """The revision of a version that names everything it needs, by digest."""
    try:
        version = values(text)
    except yaml.YAMLError as error:
        raise Refused(f"{origin} is not YAML: {error}") from None
    for field in ("revision", "image.tag", "image.digest", "module.url", "module.sha256"):
        value = version
        for key in field.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, str) or not value:
            raise Refused(f"{origin} has no {field}: promote a release to {FIRST} first, which writes it")
        if field in ("image.digest", "module.sha256"):
            digest = DIGEST.fullmatch(value if field == "image.digest" else f"sha256:{value}")
            if not digest:
                raise Refused(f"{origin}: {field} is {value}, which is no SHA-256: promote a release to {FIRST} first")
            if not digest[1].strip("0"):
                raise Refused(f"{origin}: {field} is the placeholder of zeros: promote a release to {FIRST} first")
    return version["revision"]


if __name__ == "__main__":
    main()
