"""Checkouts of Cellgate with a history of their own, to make releases in."""

import functools
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
IDENTITY = {
    "GIT_AUTHOR_NAME": "a person",
    "GIT_AUTHOR_EMAIL": "person@example.com",
    "GIT_COMMITTER_NAME": "a person",
    "GIT_COMMITTER_EMAIL": "person@example.com",
    # Neither the user's nor the system's settings.
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}
# A caller's own must not decide what a test does.
OURS = ["VERSION", "BRANCH", "REGISTRY", "DRY_RUN", "UNSIGNED", "INSECURE", "BINARIES", "MODULE", "DIGESTS", "CELLGATE_BUILD"]
OURS += ["COSIGN_KEY", "COSIGN_PUBKEY", "COSIGN_IDENTITY", "COSIGN_ISSUER", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"]
OURS += ["GITHUB_REF_NAME", "FROM", "TO", "PULL_REQUEST", "IMAGE", "PLATFORM"]
ENVIRONMENT = {**{name: value for name, value in os.environ.items() if name not in OURS}, **IDENTITY}
NEWS = "- Something that users should know."


def copy_sources(folder, patterns):
    """The files as they are now, committed or not; all, or those of some patterns."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *patterns]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in names.split("\0"):
        if name and (ROOT / name).is_file():
            copy = folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy)


class Checkout:
    """A git repository on the branch main."""

    def __init__(self, folder):
        self.root = folder

    def run(self, *command, **variables):
        """Runs a command in it to its end, whatever that is."""
        return subprocess.run(
            [str(part) for part in command],
            cwd=self.root,
            env={**ENVIRONMENT, **{name: str(value) for name, value in variables.items()}},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    def git(self, *arguments, **variables):
        done = self.run("git", *arguments, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def make(self, target, **variables):
        return self.run("make", "--no-print-directory", target, *(f"{name}={value}" for name, value in variables.items()))

    def made(self, target, **variables):
        """What a target prints that succeeds."""
        done = self.make(target, **variables)
        assert done.returncode == 0, f"make {target}: {done.stdout}{done.stderr}"
        return done.stdout

    def read(self, name):
        return (self.root / name).read_text()

    def edit(self, name, old, new):
        text = self.read(name)
        assert old in text, f"{name} has no {old!r}"
        (self.root / name).write_text(text.replace(old, new))

    def commit(self, subject, body=""):
        """A commit without a change of a file."""
        self.git("commit", "--quiet", "--allow-empty", "--message", subject, *(["--message", body] if body else []))

    def commit_all(self, subject):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", subject)

    def tag(self, name):
        self.git("tag", "--annotate", name, "--message", name)

    def state(self):
        """All that a release could change."""
        return self.git("rev-parse", "HEAD"), self.git("show-ref"), self.git("status", "--porcelain", "--ignored=no")


# All that a dry run reads.
FEW = ("Makefile", "CHANGELOG.md", "Cargo.toml", "Cargo.lock", "fuzz/Cargo.lock", "README.md", "istio/values.yaml")
FEW += ("scripts/*.sh", "scripts/*.txt", "scripts/*.py", "scripts/release", "charts/cellgate/*.yaml", "docs/*.md", ".gitignore")


@functools.cache
def template(*patterns):
    """One repository with the files in one commit; the others are copies of it."""
    folder = tempfile.TemporaryDirectory()
    made = Checkout(pathlib.Path(folder.name))
    copy_sources(made.root, patterns)
    # A release of its own, whatever the section says today.
    changelog = made.read("CHANGELOG.md")
    rest = changelog.split("## Unreleased\n", 1)[1]
    older = rest[found.start() :] if (found := re.search(r"(?m)^## ", rest)) else ""
    head = changelog.split("## Unreleased\n", 1)[0]
    (made.root / "CHANGELOG.md").write_text(f"{head}## Unreleased\n\n### Added\n\n{NEWS}\n\n{older}".rstrip() + "\n")
    made.git("init", "--quiet", "--initial-branch", "main")
    made.commit_all("feat: everything until now")
    return folder, made


def checkout(clean, *patterns):
    """A new checkout. `clean` has it removed: a test's, a class's or a module's function for that."""
    folder = tempfile.TemporaryDirectory()
    clean(folder.cleanup)
    made = Checkout(pathlib.Path(folder.name) / "cellgate")
    shutil.copytree(template(*patterns)[1].root, made.root)
    # Installed programs. .gitignore names the link.
    (made.root / ".tools").symlink_to(ROOT / ".tools")
    return made


def current():
    """The version that the sources carry."""
    return re.search(r'(?ms)^\[workspace\.package\].*?^version = "(.*?)"', (ROOT / "Cargo.toml").read_text())[1]
