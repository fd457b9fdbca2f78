"""`make verify-release`: whether what a registry has is the release, whole and signed. Needs no sources, only this folder."""

import json
import pathlib
import re
import tempfile

import artifacts
import content
import sums
from base import DIST, Refused, given, needed, switched_on
from registry import Registry
from signing import Verifier

REFERENCE = re.compile(r"\S+:(?P<version>[^\s:/@]+)@(?P<digest>sha256:[0-9a-f]{64})")


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
            if (said := version_of(self.registry.manifest(self.at(name, digest)))) != self.number:
                yield f"{reference} is {said or 'no version'} by its own manifest: another version has that tag. Do not install it."
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
        digest = manifest["layers"][0]["digest"]
        if (found := self.fetched(name, digest, content.chart_versions)) != {self.number}:
            yield f"The chart is {' and '.join(sorted(found)) or 'no version'} by its own Chart.yaml, not {self.number}. Do not install it."
        values = self.fetched(name, digest, content.chart_values)
        yield from content.chart_disagrees(values, self.digests, None)

    def fetched(self, name, digest, read):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "blob"
            self.registry.blob(self.at(name, digest), file)
            return read(file)


def version_of(manifest):
    annotations = manifest.get("annotations") or {}
    return annotations.get("org.opencontainers.image.version")


def known(file, number):
    """The digests of a digests.json, by name."""
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise Refused(f"{file} is not JSON ({error}): take the digests.json of the release.") from None
    digests = {}
    for name in artifacts.PUSHED:
        reference = found.get(name) if isinstance(found, dict) else None
        if not (parts := REFERENCE.fullmatch(str(reference))):
            raise Refused(f"{file} has no {name} as REFERENCE:VERSION@sha256:DIGEST: take the digests.json of the release.")
        if parts["version"] != number:
            raise Refused(f"{file} is of {parts['version']}, not of {number}: take the one of that release, or move it away.")
        digests[name] = parts["digest"]
    return digests


def local_wrong(verifier, number):
    """What is wrong with the files of a release, as far as they were downloaded into target/dist."""
    if not (DIST / sums.NAME).is_file():
        return
    name = artifacts.chart_file(number).name
    if f"  {name}\n" not in (DIST / sums.NAME).read_text(errors="replace"):
        yield f"{sums.NAME} in target/dist does not name {name}: it is not of {number}."
    yield from sums.wrong(listed_only=True)
    bundle = DIST / f"{sums.NAME}.sigstore.json"
    if not bundle.is_file():
        yield f"target/dist has {sums.NAME}, and not {bundle.name}, its signature."
    elif why := verifier.file_wrong(DIST / sums.NAME, bundle):
        yield f"{sums.NAME} has no signature that counts ({why})."


def main():
    registry, number, insecure = needed("REGISTRY"), needed("VERSION"), switched_on("INSECURE")
    key, identity, issuer = given("COSIGN_PUBKEY"), given("COSIGN_IDENTITY"), given("COSIGN_ISSUER")
    if not key and not (identity and issuer):
        raise Refused(
            "It is not said whose signature counts: set COSIGN_PUBKEY=FILE, or COSIGN_IDENTITY=REGULAR-EXPRESSION and "
            "COSIGN_ISSUER=URL (docs/release.md has those of the project)."
        )
    verifier = Verifier(key, identity, issuer, insecure)
    release = Release(Registry(insecure), registry, number, verifier)
    file = pathlib.Path(given("DIGESTS") or DIST / "digests.json")
    if given("DIGESTS") and not file.is_file():
        raise Refused(f"{file} does not exist: DIGESTS names the digests.json of the release.")
    expected = known(file, number) if file.is_file() else {}
    if reasons := [*release.wrong(expected), *local_wrong(verifier, number)]:
        raise Refused(*reasons)
    compared = f", as {file.name} has it" if expected else ""
    for name, digest in release.digests.items():
        print(f"ok    {release.at(name, digest)}: signed{', with SBOM' if name in artifacts.PACKAGES else ''}{compared}")
    print(f"Cellgate {number} in {registry} is whole, and signed by whom you named")
