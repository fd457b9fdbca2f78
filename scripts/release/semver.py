"""Versions by Semantic Versioning 2.0.0, without build metadata: a tag of a registry has no `+`."""

import functools
import re

NUMBER = r"(?:0|[1-9]\d*)"
IDENTIFIER = rf"(?:{NUMBER}|\d*[A-Za-z-][0-9A-Za-z-]*)"
FORM = re.compile(rf"({NUMBER})\.({NUMBER})\.({NUMBER})(?:-({IDENTIFIER}(?:\.{IDENTIFIER})*))?")


@functools.total_ordering
class Version:
    """A version, ordered as section 11 of the specification orders them."""

    def __init__(self, major, minor, patch, pre=()):
        self.numbers, self.pre = (major, minor, patch), tuple(pre)

    @classmethod
    def parse(cls, text):
        """The version, or None if the text is none."""
        found = FORM.fullmatch(text)
        if not found:
            return None
        *numbers, pre = found.groups()
        return cls(*map(int, numbers), pre.split(".") if pre else ())

    def raised(self, level):
        """The next version by `major`, `minor` or `patch`. Below 1.0 nothing is stable, so `major` raises the minor number."""
        major, minor, patch = self.numbers
        if level == "major" and major:
            return Version(major + 1, 0, 0)
        if level == "patch":
            return Version(major, minor, patch + 1)
        return Version(major, minor + 1, 0)

    def _key(self):
        # A pre-release comes before its release, numbers before words.
        parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.pre]
        return self.numbers, not self.pre, parts

    def __eq__(self, other):
        return self._key() == other._key()

    def __lt__(self, other):
        return self._key() < other._key()

    def __hash__(self):
        return hash(str(self))

    def __str__(self):
        return ".".join(map(str, self.numbers)) + ("-" + ".".join(self.pre) if self.pre else "")
