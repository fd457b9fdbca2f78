"""`make release`: decides the version, writes it everywhere, and makes a commit and a tag. It never pushes."""

import datetime
import re
import sys

import artifacts
import carriers
import changelog
import history
from base import ROOT, Refused, dirty, finished, git, given, run, switched_on
from semver import Version

CHANGELOG = ROOT / "CHANGELOG.md"
# SemVer allows more. The carriers of the version are found by this form, also in the middle of a file's name.
PRE_RELEASE = re.compile(r"[a-z]+\.\d+")
WHY = {
    "first": "the sources carry it, and no release came before it",
    "asked": "VERSION asks for it",
    "major": "a breaking change",
    "minor": "an addition",
    "patch": "neither a breaking change nor an addition",
}


class Plan:
    """A release that nothing speaks against."""

    def __init__(self, asked, branch):
        reasons = list(not_now(branch))
        carried = list(carriers.found())
        reasons += disagreeing(carried)
        self.last = max(history.tags(), default=None)
        self.version, self.level, self.commits = None, "asked", []
        if asked:
            self.version = Version.parse(asked)
            if self.version and self.version.pre and not PRE_RELEASE.fullmatch(".".join(self.version.pre)):
                self.version = None
            if not self.version:
                reasons.append(f"VERSION={asked} is no version: write X.Y.Z or X.Y.Z-NAME.N, such as 1.2.0-rc.1, without v and without +.")
        elif carried and (first := Version.parse(carried[0][2])):
            self.version, self.level, self.commits = history.next_version(first)
        reasons += self.not_this()
        self.section = changelog.unreleased(CHANGELOG.read_text())
        if self.section is None:
            reasons.append("CHANGELOG.md has no section `## Unreleased`: add it, with what users should know.")
        elif changelog.is_empty(self.section):
            reasons.append("The section `## Unreleased` of CHANGELOG.md is empty: write what users should know of the release.")
        if reasons:
            raise Refused(*reasons)

    def not_this(self):
        """Why this version cannot be."""
        if not self.version:
            return
        if git("tag", "--list", f"v{self.version}"):
            yield f"The tag v{self.version} exists: choose a greater VERSION. A release is never made anew."
        elif self.last and not self.last < self.version:
            yield f"{self.version} is not greater than the last release, v{self.last}: choose a greater VERSION."
        if self.last and not history.since(f"v{self.last}"):
            yield f"There is no commit since v{self.last}: there is nothing to release."

    def describe(self, registry):
        print(f"version    {self.version} (last release: {f'v{self.last}' if self.last else 'none'})")
        print(f"because    {WHY[self.level]}")
        for commit in self.commits:
            print(f"           {commit}")
        print(f"carriers   {', '.join(dict.fromkeys(name for name, _ in carriers.CARRIERS))}")
        print("changelog")
        for line in self.section.splitlines():
            print(f"           {line}".rstrip())
        print("`make publish` would push")
        for name, reference in artifacts.references(registry or "REGISTRY", self.version).items():
            print(f"           {reference}  {artifacts.PUSHED[name]}")
        for name in artifacts.PACKAGES:
            print(f"           {registry or 'REGISTRY'}/{name}:sha256-DIGEST.sbom  its SBOM (CycloneDX)")
        print("`make dist` would also write, for the page of the release")
        files = [artifacts.program_file(self.version, name) for name in artifacts.ARCHITECTURES]
        files += [artifacts.module_file(self.version), artifacts.chart_file(self.version)]
        files += [*(artifacts.sbom_file(name, self.version) for name in artifacts.PACKAGES), artifacts.revision_file()]
        for file in files:
            print(f"           {file.relative_to(ROOT)}")


def not_now(branch):
    """Why nothing can be released from this checkout."""
    here = git("branch", "--show-current")
    if here != branch:
        where = f"the branch {here}" if here else "no branch"
        yield f"HEAD is on {where}, and releases are made on {branch}: switch to it, or name another with BRANCH=NAME."
    if changed := dirty():
        listed = ", ".join(changed[:5]) + (", …" if len(changed) > 5 else "")
        yield f"The tree has changes that are not committed ({listed}): commit or remove them."


def disagreeing(carried):
    """Why the places that carry the version cannot be trusted."""
    for name in carriers.silent():
        yield f"{name} carries no version where scripts/release/carriers.py looks for one: correct the file or the list."
    versions = {text for _, _, text in carried}
    if len(versions) > 1:
        places = "; ".join(f"{text} in {name}:{line}" for name, line, text in carried if carried[0][2] != text)
        yield f"The places that carry the version disagree: {carried[0][2]} in {carried[0][0]}, but {places}. Make them agree."


def release(plan, date):
    """Writes, commits and tags: all of it, or nothing."""
    before = git("rev-parse", "HEAD")
    try:
        write(plan, date)
    except BaseException as error:
        last = put_back(before, f"v{plan.version}")
        if isinstance(error, Refused):
            raise Refused(*error.args, last) from None
        print(last, file=sys.stderr)
        raise


def put_back(before, title):
    """As it was: Plan has refused a tree with changes and a tag that exists, so whatever is there now is from here. Says so."""
    finished("git", "tag", "--delete", title)
    reset = finished("git", "reset", "--quiet", "--hard", before)
    if reset.returncode != 0:
        return f"Nothing is released, and git cannot put everything back ({reset.stderr.strip()}): run `git reset --hard {before}`."
    for name in dirty():
        if (ROOT / name).is_file():
            (ROOT / name).unlink()
    return "Nothing is released, and everything is as it was: remove the cause, and run it again."


def write(plan, date):
    """Writes, commits and tags."""
    carriers.write(plan.version)
    CHANGELOG.write_text(changelog.released(CHANGELOG.read_text(), plan.version, date))
    for script in ["chart-docs.py", "manifests.py"]:
        print(run(sys.executable, ROOT / "scripts" / script), end="")
    # Tells whether the lock files still fit.
    run("cargo", "metadata", "--locked", "--offline", "--no-deps", "--format-version", "1")
    title = f"v{plan.version}"
    git("commit", "--all", "--quiet", "--message", f"chore(release): {title}")
    if left := dirty():
        raise Refused(f"The commit leaves {', '.join(left[:5])} out, which a generator or a hook has written: add it to git first.")
    git("tag", "--annotate", title, "--message", f"Cellgate {plan.version}\n\n{plan.section}", "--cleanup=verbatim")
    print(f"committed and tagged {title}. Nothing is pushed: look at it (`git show {title}`), then")
    print(f"  git push origin HEAD:refs/heads/release/{title}")
    print("and open a pull request. When it is merged with a merge commit (a squash would be another commit),")
    print(f"  git push origin {title}")


def main():
    plan = Plan(given("VERSION"), given("BRANCH") or "main")
    if switched_on("DRY_RUN"):
        plan.describe(given("REGISTRY"))
        print("nothing was changed (DRY_RUN=1)")
        return
    release(plan, datetime.datetime.now(datetime.timezone.utc).date().isoformat())
