"""`make verify-release`: whether what a registry has is the release, whole and signed. Needs no sources, only this folder."""

import json
import pathlib
import tempfile

import artifacts
import content
import sums
from base import DIST, Refused
from registry import Registry
from signing import Verifier


class Release:
    """A release in a registry."""

    def __init__(self, registry, host, number, verifier):
        self.registry, self.host, self.number, self.verifier = registry, host, number, verifier
        self.digests = {}

    def wrong(self, expected):
        """Everything that is not as it must be, a sentence each. `expected` are the digests that are known beforehand."""
        for name, reference in artifacts.references(self.host, self.number).items():
            digest = self.registry.digest(reference)
            if not digest:
                yield f"{reference} does not exist: it was not published there, or it was deleted."
                continue
            self.digests[name] = digest
            if expected.get(name, digest) != digest:
                yield f"{reference} is {digest}, and digests.json has {expected[name]}: it was replaced. Do not install it."
            if why := self.verifier.wrong(self.at(name, digest)):
                yield f"{self.at(name, digest)} has no signature that counts ({why}): do not install it."
        for name in artifacts.PACKAGES:
            if name in self.digests:
                yield from self.sbom_wrong(name)
        if len(self.digests) == len(artifacts.PUSHED):
            yield from self.chart_wrong()

    def at(self, name, digest):
        return f"{self.host}/{name}@{digest}"

    def sbom_wrong(self, name):
        tag = f"{self.host}/{name}:{artifacts.sbom_tag(self.digests[name])}"
        digest = self.registry.digest(tag)
        if not digest:
            yield f"{self.at(name, self.digests[name])} has no SBOM: {tag} does not exist."
            return
        manifest = self.registry.manifest(self.at(name, digest))
        if manifest.get("subject", {}).get("digest") != self.digests[name]:
            yield f"{tag} is an SBOM of something else than {self.digests[name]}."
        if why := self.verifier.wrong(self.at(name, digest)):
            yield f"{tag}, the SBOM, has no signature that counts ({why})."
        found = self.fetched(name, manifest["layers"][0]["digest"], lambda file: json.loads(file.read_text()))
        properties = {each["name"]: each["value"] for each in found.get("metadata", {}).get("properties", [])}
        if found.get("bomFormat") != "CycloneDX" or properties.get("cellgate:artifact") != name or not found.get("components"):
            yield f"{tag} has no SBOM of {name} in it."

    def chart_wrong(self):
        """The chart is what a user installs: it must lead to the image and the filter that were just checked."""
        name = "charts/cellgate"
        manifest = self.registry.manifest(self.at(name, self.digests[name]))
        values = self.fetched(name, manifest["layers"][0]["digest"], content.chart_values)
        yield from content.chart_disagrees(values, self.digests, None)

    def fetched(self, name, digest, read):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "blob"
            self.registry.blob(self.at(name, digest), file)
            return read(file)


def known(file):
    """The digests of a digests.json, by name."""
    return {name: reference.rsplit("@", 1)[1] for name, reference in json.loads(file.read_text()).items()}


def local_wrong(verifier):
    """What is wrong with the files of a release, as far as they were downloaded into target/dist."""
    if not (DIST / sums.NAME).is_file():
        return
    yield from sums.wrong(listed_only=True)
    bundle = DIST / f"{sums.NAME}.sigstore.json"
    if not bundle.is_file():
        yield f"target/dist has {sums.NAME}, and not {bundle.name}, its signature."
    elif why := verifier.file_wrong(DIST / sums.NAME, bundle):
        yield f"{sums.NAME} has no signature that counts ({why})."


def main(options):
    if not options.public_key and not (options.identity and options.issuer):
        raise Refused(
            "It is not said whose signature counts: set COSIGN_PUBKEY=FILE, or COSIGN_IDENTITY=REGULAR-EXPRESSION and "
            "COSIGN_ISSUER=URL (docs/release.md has those of the project)."
        )
    verifier = Verifier(options.public_key, options.identity, options.issuer, options.insecure)
    release = Release(Registry(options.insecure), options.registry, options.version, verifier)
    file = options.digests or DIST / "digests.json"
    if options.digests and not file.is_file():
        raise Refused(f"{file} does not exist: DIGESTS names the digests.json of the release.")
    expected = known(file) if file.is_file() else {}
    if reasons := [*release.wrong(expected), *local_wrong(verifier)]:
        raise Refused(*reasons)
    compared = f", as {file.name} has it" if expected else ""
    for name, digest in release.digests.items():
        print(f"ok    {release.at(name, digest)}: signed{', with SBOM' if name in artifacts.PACKAGES else ''}{compared}")
    print(f"Cellgate {options.version} in {options.registry} is whole, and signed by whom you named")
