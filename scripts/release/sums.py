"""SHA256SUMS: the sum of every file of target/dist, in the form of `sha256sum`."""

import hashlib
import re

from base import DIST, Refused

NAME = "SHA256SUMS"
LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")
# Written by `make publish`, after the sums.
LATER = {NAME, f"{NAME}.sigstore.json", "digests.json"}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files():
    found = sorted(path for path in DIST.rglob("*") if path.is_file())
    return {str(path.relative_to(DIST)): path for path in found if str(path.relative_to(DIST)) not in LATER}


def write():
    (DIST / NAME).write_text("".join(f"{sha256(path)}  {name}\n" for name, path in files().items()))


def wrong(listed_only=False):
    """What does not agree with SHA256SUMS, a sentence each. A user who has some of the files sets `listed_only`."""
    listed, present = {}, files()
    for number, line in enumerate((DIST / NAME).read_text(errors="replace").splitlines(), 1):
        if found := LINE.fullmatch(line):
            listed[found[2]] = found[1]
        else:
            yield f"SHA256SUMS:{number} is not a sum and a file's name: take the file from the release, or run `make dist`."
    for name, path in present.items():
        if name in listed and sha256(path) != listed[name]:
            yield f"target/dist/{name} is not the file that SHA256SUMS names: its sum differs."
    if not listed_only:
        for name in sorted(listed.keys() - present.keys()):
            yield f"target/dist/{name} is missing, and SHA256SUMS names it."
        for name in sorted(present.keys() - listed.keys()):
            yield f"target/dist/{name} is there, and SHA256SUMS does not name it."


def check():
    """Refuses files that are not what `make dist` wrote."""
    if not (DIST / NAME).is_file():
        raise Refused("target/dist has no SHA256SUMS, so nothing is built: run `make dist`.")
    if reasons := list(wrong()):
        raise Refused(*reasons, "Run `make dist` anew, and publish what it writes.")
