"""`make publish`: pushes what `make dist` has built, signs it, and attaches the SBOMs. A tag comes last: what it leads to is
whole, signed, and never replaced."""

import json

import artifacts
import content
import sbom
import sums
from base import DIST, Refused, dirty, git, revision, version
from registry import Registry
from signing import Signer


def unfit(number):
    """Why this checkout and these files are no release, a sentence each."""
    if f"v{number}" not in git("tag", "--points-at", "HEAD").split():
        yield f"HEAD has no tag v{number}: run `make release`, or check the tag out."
    if changed := dirty():
        yield f"The tree has changes that are not committed ({changed[0][3:]}, …): publish from a clean checkout of the tag."
    for name in artifacts.PUSHED:
        built, stamp = content.annotation(name, "version"), content.annotation(name, "revision")
        if (built, stamp) != (number, revision()):
            yield f"target/dist has {name} {built} of {stamp}, and HEAD is {number} of {revision()}: run `make dist`."


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
        if lost := sbom.missing(json.loads(file.read_text()), name, content.architectures()):
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


def main(options):
    sums.check()
    number = version()
    reasons = [*unfit(number), *incomplete_sboms(number)]
    digests = {name: content.digest_of(artifacts.layout(name)) for name in artifacts.PUSHED}
    reasons += content.chart_disagrees(content.chart_values(artifacts.chart_file(number)), digests, options.registry)
    if reasons:
        raise Refused(*reasons)
    signer = None if options.unsigned else Signer(options.key, options.insecure)
    publication = Publication(Registry(options.insecure), options.registry, number, signer)
    if reasons := list(publication.taken()):
        raise Refused(*reasons)
    for name in artifacts.PUSHED:
        publication.push(name)
    publication.finish()
    if not signer:
        print("nothing is signed (UNSIGNED=1): `make verify-release` refuses such a release")
