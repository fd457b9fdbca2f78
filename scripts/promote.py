#!/usr/bin/env python3
"""promote.py FROM TO [--digests FILE] [--pull-request]   puts the version of one stage into the next, in one commit of one file.

The stages are release, dev, staging and prod, in this order, and a version skips none of them. A version is a file,
istio/gitops/environments/ENV/version.yaml: a release of the chart, and the digests of the image and of the filter's module.
From release to dev the digests come from target/dist/digests.json, which `make publish` writes; from there on the file of
the stage before is copied unchanged. So production gets the bytes that staging had, and `git revert` takes them back.

--pull-request makes the commit on a branch of its own, pushes it to origin and opens a pull request with GitHub's `gh`. The
branch starts at origin's default branch, so that a stage gets only what the stage before has there. Run again after a failure,
it goes on where it stopped.
"""

import argparse
import pathlib
import subprocess
import sys

import chart_tools

if __name__ == "__main__":
    chart_tools.enter()

import gitops_version  # noqa: E402
from gitops_version import Refused  # noqa: E402

STAGES = ("release", "dev", "staging", "prod")
RELEASE = STAGES[0]
ENVIRONMENTS = pathlib.Path("istio/gitops/environments")
# The values of every environment.
VALUES = pathlib.Path("istio/values.yaml")
DIGESTS = pathlib.Path("target/dist/digests.json")
# Over HTTPS, with the login of gh where git has none of its own, as in a workflow.
LOGIN = "credential.helper=!gh auth git-credential"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="FROM")
    parser.add_argument("target", metavar="TO")
    parser.add_argument("--digests", type=pathlib.Path, metavar="FILE", help=f"instead of {DIGESTS}")
    parser.add_argument("--pull-request", action="store_true")
    options = parser.parse_args()
    repository = Repository(chart_tools.ROOT)
    try:
        if options.pull_request:
            follows(options.source, options.target)
            base = repository.base()
        promotion = Promotion(repository, options.source, options.target, options.digests)
        if options.pull_request:
            print(promotion.open_pull_request(base))
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

    def remote_git(self, *arguments):
        return self.git("-c", LOGIN, *arguments)

    def run(self, *command):
        """Runs a program in the checkout. Its output."""
        try:
            done = subprocess.run(command, cwd=self.root, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        except FileNotFoundError:
            raise Refused(f"{command[0]} is not here: install it") from None
        if done.returncode != 0:
            said = " ".join(word for word in command if not word.startswith("-") and "=" not in word)
            raise Refused(f"`{said[:60]}` failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout.strip()

    def is_tag(self, name):
        try:
            self.git("rev-parse", "--verify", "--quiet", f"refs/tags/{name}^{{commit}}")
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
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def addresses(self, environment):
        """Where the environment's values, as they are committed, say that image and module come from."""
        paths = (VALUES, ENVIRONMENTS / environment / "values.yaml")
        return gitops_version.Addresses({path: self.git("show", f"HEAD:{path}") for path in paths})

    def base(self):
        """The branch that promotions are reviewed for: origin's default branch, which must be checked out as origin has it."""
        listed = self.remote_git("ls-remote", "--symref", "origin", "HEAD").splitlines()
        names = [line.split()[1] for line in listed if line.startswith("ref: ")]
        if not names:
            raise Refused("origin does not say which branch is its default: set it there")
        base = names[0].removeprefix("refs/heads/")
        current = self.git("branch", "--show-current")
        if current != base:
            raise Refused(
                f"{current or 'no branch'} is checked out, and a promotion starts at {base}, where the stage before must be"
                f" already: merge that first, then run `git switch {base}` and `git pull`"
            )
        if self.git("rev-parse", "HEAD") != listed[-1].split()[0]:
            raise Refused(
                f"{base} is not what origin has: run `git pull`. Commits that are only here must reach {base} before a promotion"
            )
        return base

    def fetched(self, branch):
        """The commit of a branch at origin, which is then here too; nothing if there is no such branch."""
        there = self.remote_git("ls-remote", "origin", f"refs/heads/{branch}")
        if there:
            self.remote_git("fetch", "--quiet", "origin", f"+refs/heads/{branch}:refs/remotes/origin/{branch}")
        return there.split()[0] if there else ""


class Promotion:
    """One step from a stage to the next. Whatever forbids it is refused here, before anything changes."""

    def __init__(self, repository, source, target, digests=None):
        self.repository = repository
        follows(source, target)
        self.path = repository.version(target)
        before = gitops_version.values(repository.read(target), self.path)
        addresses = repository.addresses(target)
        if source == RELEASE:
            origin = digests or repository.root / DIGESTS
            self.text = gitops_version.released(origin, addresses)
        else:
            origin = repository.version(source)
            self.text = repository.read(source)
        self.revision = gitops_version.revision(self.text, origin, addresses)
        if not repository.is_tag(self.revision):
            raise Refused(
                f"{origin} has the revision {self.revision}, which is no tag of this checkout: run `git fetch --tags`,"
                " or promote a release that exists"
            )
        if gitops_version.values(self.text, origin) == before:
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
        try:
            self.repository.git("commit", "--quiet", "--message", self.title, "--message", self.body, "--", str(self.path))
        except Refused:
            self.repository.git("checkout", "--quiet", "HEAD", "--", str(self.path))
            raise

    def open_pull_request(self, base):
        """Pushes the promotion on its branch, unless it is there, and opens the pull request, unless one is open. Says so."""
        said = [self.push(base)]
        try:
            options = ["--head", self.branch, "--base", base]
            url = self.repository.run("gh", "pr", "list", *options, "--state", "open", "--json", "url", "--jq", ".[].url")
            if url:
                said.append("its pull request is open already:")
            else:
                url = self.repository.run("gh", "pr", "create", *options, "--title", self.title, "--body", self.body)
        except Refused as refusal:
            raise Refused(f"{refusal}\n{said[0]}, and has no pull request: run the same command again") from None
        return "\n".join([*said, url])

    def push(self, base):
        """Makes the branch anew, or keeps that of origin if it is this promotion. What was done."""
        repository, branch = self.repository, self.branch
        there = repository.fetched(branch)
        repository.git("switch", "--quiet", "--force-create", branch)
        try:
            self.commit()
        finally:
            repository.git("switch", "--quiet", base)
        if there and repository.git("rev-parse", f"{there}^", f"{there}^{{tree}}") == repository.git(
            "rev-parse", f"{branch}^", f"{branch}^{{tree}}"
        ):
            repository.git("branch", "--force", branch, there)
            return f"{branch} is at origin with this promotion already"
        # Only what was looked at is replaced: the commit of before, or no branch.
        lease = f"--force-with-lease=refs/heads/{branch}:{there}"
        repository.remote_git("push", "--quiet", lease, "--set-upstream", "origin", branch)
        if there:
            return f"{branch} was at origin with another commit, {there[:12]}: it starts at {base} anew"
        return f"{branch} is pushed"


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


if __name__ == "__main__":
    main()
