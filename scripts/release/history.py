"""What the commits since the last release say about the next version."""

import re

from base import git
from semver import Version

SUBJECT = re.compile(r"(?P<type>\w+)(?:\([^)]*\))?(?P<breaking>!)?: .")
FOOTER = re.compile(r"^BREAKING[ -]CHANGE: .", re.MULTILINE)
LEVELS = ["patch", "minor", "major"]


class Commit:
    def __init__(self, digest, subject, body):
        self.digest, self.subject, self.body = digest, subject, body

    def level(self):
        """What this commit asks for; nothing if its subject is not in the form of a Conventional Commit."""
        found = SUBJECT.match(self.subject)
        if FOOTER.search(self.body) or (found and found["breaking"]):
            return "major"
        if not found:
            return None
        return {"feat": "minor", "fix": "patch", "perf": "patch", "revert": "patch"}.get(found["type"])

    def __str__(self):
        return f"{self.digest[:12]} {self.subject}"


def tags():
    """The versions that HEAD has tags of, the oldest first."""
    names = git("tag", "--merged", "HEAD", "--list", "v*").split()
    return sorted(found for name in names if (found := Version.parse(name[1:])))


def since(tag):
    """The commits after a tag, or all; those of merged branches, and not the merges."""
    log = git("log", "--no-merges", "--format=%H%x01%s%x01%b%x02", f"{tag}..HEAD" if tag else "HEAD")
    entries = [entry.strip("\n").split("\1") for entry in log.split("\2") if entry.strip()]
    return [Commit(*entry) for entry in entries]


def next_version(carried):
    """The version that follows, the level of the change, and the commits that ask for that level.

    Without a release before it, it is the version that the sources carry. A pre-release is no release: what follows it is
    decided from the release before."""
    released = [found for found in tags() if not found.pre]
    if not released:
        return carried, "first", []
    commits = since(f"v{released[-1]}")
    asked = [level for commit in commits if (level := commit.level())]
    level = max(asked, key=LEVELS.index, default="patch")
    return released[-1].raised(level), level, [commit for commit in commits if commit.level() == level]
