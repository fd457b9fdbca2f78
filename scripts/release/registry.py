"""A registry, by crane. It logs in by what `docker login` or `crane auth login` has stored."""

import json
import subprocess

import base
from base import Refused, finished, run

# What a registry says of a name or a tag that it does not have.
ABSENT = ("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "404 Not Found")


class Registry:
    def __init__(self, insecure):
        self.crane = base.tool("crane.sh")
        if not self.crane:
            raise Refused("crane is needed: install it from https://github.com/google/go-containerregistry, or install Go.")
        self.options = ["--insecure"] if insecure else []

    def digest(self, reference):
        """The digest that a reference leads to; None if the registry has nothing there."""
        done = finished(self.crane, "digest", *self.options, reference)
        if done.returncode == 0:
            return done.stdout.strip()
        if any(word in done.stderr for word in ABSENT):
            return None
        raise Refused(f"The registry does not say what {reference} is:", done.stderr.strip())

    def push(self, layout, reference, index):
        """Pushes a layout, byte for byte: a whole index, or the one manifest in it."""
        run(self.crane, "push", *self.options, *(["--index"] if index else []), layout, reference)

    def tag(self, reference, tag):
        run(self.crane, "tag", *self.options, reference, tag)

    def manifest(self, reference):
        return json.loads(run(self.crane, "manifest", *self.options, reference))

    def blob(self, reference, file):
        """Fetches a blob by its digest into a file. crane compares it with the digest."""
        with open(file, "wb") as held:
            command = [self.crane, "blob", *self.options, reference]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=held, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Refused(f"{reference} cannot be fetched:", done.stderr.strip())
