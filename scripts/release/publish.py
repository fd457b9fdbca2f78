"""`make publish`: pushes what `make dist` has built, signs it, and attaches the SBOMs. A tag comes last: what it leads to is
whole, signed, and never replaced."""

import json

import artifacts
import binaries
import changelog
import content
import sbom
import sums
from base import DIST, ROOT, Refused, dirty, finished, git, given, needed, revision, switched_on, version
from registry import Registry
from signing import Signer


def unfit(number):
    """Why this checkout is no release, a sentence each."""
    tag, head = f"v{number}", git("rev-parse", "HEAD")
    kind = finished("git", "cat-file", "-t", f"refs/tags/{tag}").stdout.strip()
    if not kind or git("rev-parse", f"refs/tags/{tag}^{{}}") != head:
        yield f"HEAD has no tag {tag}: run `make release`, or check the tag out."
    elif kind != "tag":
        yield f"The tag {tag} is not annotated, so `make release` has not made it: fetch it (`git fetch --force --tags`), or make it so."
    if (started := given("GITHUB_REF_NAME")) and started != tag:
        yield f"The workflow was started by {started}, and HEAD is the version {number}: push the tag {tag}."
    section = changelog.section_of((ROOT / "CHANGELOG.md").read_text(), number)
    if section is None or changelog.is_empty(section):
        yield f"CHANGELOG.md has no section `## {number} - DATE` with words in it: `make release` writes it."
    branches = [given("BRANCH")] if given("BRANCH") else ["main", "release-" + ".".join(number.split(".")[:2])]
    if not any(leads_to(head, branch) for branch in branches):
        yield (
            f"HEAD is not on the branch {' or '.join(branches)}, here or at a remote: merge the release with a merge commit, or "
            "name its branch with BRANCH=NAME."
        )
    if changed := dirty():
        yield f"The tree has changes that are not committed ({changed[0]}, …): publish from a clean checkout of the tag."


def leads_to(head, branch):
    """Whether a commit is in a branch, of this checkout or of a remote."""
    known = git("for-each-ref", "--contains", head, "--format=%(refname)", f"refs/heads/{branch}", f"refs/remotes/*/{branch}")
    return bool(known)


def not_of_head(number):
    """Why target/dist is not what HEAD makes, a sentence each."""
    head, stamp, file = git("rev-parse", "HEAD"), revision(), artifacts.revision_file()
    if not file.is_file():
        yield "target/dist does not say which commit it is built from: run `make dist`."
        return
    if (built := file.read_text(errors="replace").strip()) != head:
        yield f"target/dist is built from {built[:12]}, and HEAD is {head[:12]}: run `make dist`."
        return
    for name in artifacts.PUSHED:
        found = content.annotation(name, "version"), content.annotation(name, "revision")
        if found != (number, stamp):
            yield f"target/dist has {name} {found[0]} of {found[1]}, and HEAD is {number} of {stamp}: run `make dist`."
    for architecture, program in content.programs().items():
        for why in binaries.program_wrong(program, architecture, number, stamp):
            yield f"target/dist has a program for {architecture} that {why}: run `make dist`."
    for why in binaries.module_wrong(content.module(), number, stamp):
        yield f"target/dist has a module that {why}: run `make dist`."


def incomplete_sboms(number):
    """What the SBOMs lack, a sentence each."""
    for name in artifacts.PACKAGES:
        file = artifacts.sbom_file(name, number)
        if not file.is_file():
            yield f"target/dist has no {file.name}, the SBOM of {name}: run `make dist`."
            continue
        layout = artifacts.sbom_layout(name)
        (layer,) = json.loads(content.blob(layout, content.digest_of(layout)))["layers"]
        if content.blob(layout, layer["digest"]) != file.read_bytes():
            yield f"{file.name} is not the SBOM that would be attached to {name}: run `make dist`."
        if lost := sbom.missing(content.parsed(file), name, content.architectures()):
            yield f"{file.name} lacks {', '.join(lost)}, which is compiled into {name}: run `make dist`."


class Publication:
    """The pushed artifacts of a release, and the way there."""

    def __init__(self, registry, host, number, signer):
        self.registry, self.host, self.number, self.signer = registry, host, number, signer
        self.digests = {name: content.digest_of(artifacts.layout(name)) for name in artifacts.PUSHED}

    def taken(self):
        """Tags that lead elsewhere, a sentence each."""
        for name, reference in artifacts.references(self.host, self.number).items():
            found = self.registry.digest(reference)
            if found and found != self.digests[name]:
                yield (
                    f"{reference} exists and is {found}, not {self.digests[name]}: a published version is never replaced. "
                    "Release the next version."
                )

    def at(self, name):
        return f"{self.host}/{name}@{self.digests[name]}"

    def push(self, name):
        self.registry.push(artifacts.layout(name), self.at(name), index=name == "cellgate")
        self.sign(self.at(name))
        if name in artifacts.PACKAGES:
            layout = artifacts.sbom_layout(name)
            attached = f"{self.host}/{name}@{content.digest_of(layout)}"
            self.registry.push(layout, attached, index=False)
            self.sign(attached)
            self.registry.tag(attached, artifacts.sbom_tag(self.digests[name]))
        print(f"pushed {self.at(name)}", flush=True)

    def sign(self, reference):
        if self.signer:
            self.signer.sign(reference)

    def finish(self):
        for name in artifacts.PUSHED:
            self.registry.tag(self.at(name), self.number)
        if self.signer:
            self.signer.sign_file(DIST / sums.NAME, DIST / f"{sums.NAME}.sigstore.json")
        references = {name: f"{self.host}/{name}:{self.number}@{digest}" for name, digest in self.digests.items()}
        (DIST / "digests.json").write_text(json.dumps(references, indent=2) + "\n")
        for reference in references.values():
            print(f"tagged {reference}")


def wrong_files(number, registry):
    """What is wrong with files of HEAD, a sentence each."""
    yield from incomplete_sboms(number)
    digests = {name: content.digest_of(artifacts.layout(name)) for name in artifacts.PUSHED}
    yield from content.chart_disagrees(content.chart_values(artifacts.chart_file(number)), digests, registry)


def main():
    registry, number, insecure = needed("REGISTRY"), version(), switched_on("INSECURE")
    sums.check()
    # Files of something else are not looked at any further.
    reasons = [*unfit(number), *not_of_head(number)]
    if reasons := reasons or list(wrong_files(number, registry)):
        raise Refused(*reasons)
    signer = None if switched_on("UNSIGNED") else Signer(given("COSIGN_KEY"), insecure)
    publication = Publication(Registry(insecure), registry, number, signer)
    if reasons := list(publication.taken()):
        raise Refused(*reasons)
    for name in artifacts.PUSHED:
        publication.push(name)
    publication.finish()
    if not signer:
        print("nothing is signed (UNSIGNED=1): `make verify-release` refuses such a release")
