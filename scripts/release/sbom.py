"""The SBOM of a shipped package: every crate that is compiled into it, as CycloneDX.

`cargo tree` says which crates those are, for the target and the features that are shipped; `cargo metadata` says what each is.
The standard library is in it too, and so is glibc where it is linked in. The same sources make the same bytes."""

import json
import re
import subprocess
import uuid

import binaries
import oci_artifact
from artifacts import ARCHITECTURES, PACKAGES, WASM
from base import ROOT, Refused, run

MEDIA_TYPE = "application/vnd.cyclonedx+json"
FORMAT = "1.5"
LOCKED = re.compile(r'name = "(.*)"\nversion = "(.*)"\n(?:source = ".*"\n)?checksum = "(.*)"')
CRATE = re.compile(r"(?P<name>[\w-]+) v(?P<version>\S+)")


def targets(name, architectures):
    """What the package is compiled for."""
    return [WASM] if name == "cellgate-filter" else [ARCHITECTURES[each] for each in architectures]


def crates(name, architectures):
    """The crates that are compiled into a package, by name and version: what its SBOM must have."""
    found = set()
    for target in targets(name, architectures):
        tree = ["cargo", "tree", "--locked", "-p", PACKAGES[name], "-e", "normal", "--target", target]
        for line in run(*tree, "--prefix", "none", "--format", "{p}").splitlines():
            if match := CRATE.match(line):
                found.add((match["name"], match["version"]))
    return found


def details():
    """What is known of each crate of the workspace and of its dependencies, by name and version."""
    metadata = json.loads(run("cargo", "metadata", "--locked", "--format-version", "1"))
    sums = {(name, version): checksum for name, version, checksum in LOCKED.findall((ROOT / "Cargo.lock").read_text())}
    names = {each["id"]: (each["name"], each["version"]) for each in metadata["packages"]}
    needed = {names[node["id"]]: {names[each] for each in node["dependencies"]} for node in metadata["resolve"]["nodes"]}
    return {names[each["id"]]: (each, sums.get(names[each["id"]]), needed[names[each["id"]]]) for each in metadata["packages"]}


def purl(key):
    return f"pkg:cargo/{key[0]}@{key[1]}"


def component(key, package, checksum):
    found = {"type": "library", "bom-ref": purl(key), "name": key[0], "version": key[1], "purl": purl(key)}
    if package["license"]:
        # Old crates separate alternatives by a slash.
        found["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if checksum:
        found["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["repository"]:
        found["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return found


def toolchain(name, contents, here):
    """What is compiled in without being a crate of the lock file, as the compiled files tell it. What they do not tell is this
    machine's if they were built here, and left out if they were not: a version that is made up finds the wrong vulnerabilities."""
    compilers = binaries.versions(binaries.COMPILER, contents)
    if not compilers and here:
        compilers = [run("rustc", "--version").split()[1]]
    parts = [("rust-std", compiler, "MIT OR Apache-2.0") for compiler in compilers]
    if name == "cellgate":
        libraries = binaries.versions(binaries.LIBC, contents)
        if not libraries and here:
            said = subprocess.run(["getconf", "GNU_LIBC_VERSION"], capture_output=True, text=True).stdout.split()
            libraries = said[1:2] or ["unknown"]
        parts += [("glibc", library, "LGPL-2.1-or-later") for library in libraries]
    return [
        {
            "type": "library",
            "bom-ref": f"pkg:generic/{part}@{version}",
            "name": part,
            "version": version,
            "purl": f"pkg:generic/{part}@{version}",
            "licenses": [{"expression": licence}],
        }
        for part, version, licence in parts
    ]


def document(name, version, revision, architectures, known, others):
    """The SBOM. `others` are the components that are no crates."""
    inside = crates(name, architectures)
    if lost := inside - known.keys():
        raise Refused(f"cargo metadata does not know {sorted(lost)}, which cargo tree names.")
    (own,) = [key for key in inside if key[0] == PACKAGES[name]]
    components = [component(key, *known[key][:2]) for key in sorted(inside - {own})] + others
    root = {**component(own, *known[own][:2]), "type": "application" if name == "cellgate" else "library"}
    edges = [{"ref": purl(key), "dependsOn": sorted(purl(each) for each in known[key][2] & inside)} for key in sorted(inside)]
    for edge in edges:
        if edge["ref"] == root["bom-ref"]:
            edge["dependsOn"] += [each["bom-ref"] for each in others]
    properties = [
        {"name": "cellgate:artifact", "value": name},
        {"name": "cellgate:revision", "value": revision},
        {"name": "cellgate:targets", "value": " ".join(targets(name, architectures))},
    ]
    tools = {"components": [{"type": "application", "name": "cellgate scripts/release", "version": version}]}
    body = {
        "bomFormat": "CycloneDX",
        "specVersion": FORMAT,
        "version": 1,
        "metadata": {"tools": tools, "component": root, "properties": properties},
        "components": components,
        "dependencies": edges,
    }
    # A number of its own for each content, as the specification wants it, and the same for the same content.
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    return {**body, "serialNumber": f"urn:uuid:{serial}"}


def missing(found, name, architectures):
    """The crates that an SBOM lacks."""
    parts = [found.get("metadata", {}).get("component", {}), *found.get("components", [])]
    listed = {(part.get("name"), part.get("version")) for part in parts}
    return sorted(f"{crate} {version}" for crate, version in crates(name, architectures) - listed)


def write(folder, content, subject, version, revision):
    """Writes the layout of an artifact that refers to what the SBOM is of. Returns the digest of its manifest."""
    layout = oci_artifact.Layout(folder)
    manifest = {
        "schemaVersion": 2,
        "mediaType": oci_artifact.MANIFEST,
        "artifactType": MEDIA_TYPE,
        "config": layout.blob("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [layout.blob(MEDIA_TYPE, content)],
        "subject": subject,
        "annotations": oci_artifact.annotations("sbom", version, revision),
    }
    descriptor = layout.blob(oci_artifact.MANIFEST, oci_artifact.to_json(manifest))
    layout.finish(descriptor)
    return descriptor["digest"]
