"""`make dist`: builds everything of the version at HEAD into target/dist."""

import gzip
import io
import json
import os
import pathlib
import shutil
import tarfile

import artifacts
import chart_tools
import image
import oci_artifact
import packed
import sbom
import sums
from base import DIST, ROOT, Refused, git, revision, show, version

HERE = {"x86_64": "amd64", "aarch64": "arm64"}
LINKERS = {"amd64": "x86_64-linux-gnu-gcc", "arm64": "aarch64-linux-gnu-gcc"}


def can_link(architecture):
    return HERE.get(os.uname().machine) == architecture or shutil.which(LINKERS[architecture])


def programs(given):
    """The static binaries by architecture: those that are given, or those that this machine can build."""
    found = {}
    if given:
        for each in given:
            architecture, _, path = each.partition("=")
            if architecture not in artifacts.ARCHITECTURES or not pathlib.Path(path).is_file():
                raise Refused(f"--program {each} is not ARCHITECTURE=FILE with amd64 or arm64 and a program.")
            found[architecture] = pathlib.Path(path).read_bytes()
        return found
    for architecture in artifacts.ARCHITECTURES:
        if not can_link(architecture):
            print(f"{architecture} is left out: {LINKERS[architecture]} is not on PATH (Debian, Ubuntu, as root:")
            print(f"  scripts/build-static.sh --install-linker {architecture}), and without it nothing links for it here")
            continue
        path = ROOT / "target" / "release-programs" / architecture / "cellgate"
        show(ROOT / "scripts" / "build-static.sh", architecture, path)
        found[architecture] = path.read_bytes()
    return found


def module(given):
    """The filter."""
    if given:
        return pathlib.Path(given).read_bytes()
    show(ROOT / "scripts" / "build-wasm.sh")
    return (ROOT / "target" / "cellgate.wasm").read_bytes()


def archive(file, program, folder, epoch):
    """A program with its licence, as .tar.gz."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.USTAR_FORMAT) as made:
        for name, content, mode in [("cellgate", program, 0o755), ("LICENSE", (ROOT / "LICENSE").read_bytes(), 0o644)]:
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode, entry.mtime = len(content), mode, epoch
            made.addfile(entry, io.BytesIO(content))
    file.write_bytes(gzip.compress(held.getvalue(), mtime=0))


def write_sboms(subjects, number, stamp, architectures):
    known = sbom.details()
    for name, subject in subjects.items():
        document = sbom.document(name, number, stamp, architectures, known)
        content = json.dumps(document, indent=2).encode() + b"\n"
        artifacts.sbom_file(name, number).write_bytes(content)
        sbom.write(artifacts.sbom_layout(name), content, subject, number, stamp)


def main(options):
    chart_tools.enter()
    number, stamp, epoch = version(), revision(), int(git("log", "-1", "--format=%ct"))
    # Before the old files go: they are better than none if a build fails.
    built, wasm = programs(options.program), module(options.module)
    shutil.rmtree(DIST, ignore_errors=True)
    (DIST / "oci").mkdir(parents=True)

    for architecture, program in built.items():
        file = artifacts.program_file(number, architecture)
        archive(file, program, file.name.removesuffix(".tar.gz"), epoch)
    artifacts.module_file(number).write_bytes(wasm)

    index = image.write(artifacts.layout("cellgate"), built, number, stamp, epoch)
    manifest = oci_artifact.write(wasm, artifacts.layout("cellgate-filter"), number, stamp)
    values = {"image.digest": index, "filter.module.sha256": manifest["digest"].removeprefix("sha256:")}
    if options.registry:
        values["image.repository"] = f"{options.registry}/cellgate"
        values["filter.module.url"] = f"oci://{options.registry}/cellgate-filter:{number}"
    packed.package(artifacts.chart_file(number), values, epoch)
    chart = packed.write(artifacts.layout("charts/cellgate"), artifacts.chart_file(number).read_bytes(), number, stamp)

    size = (artifacts.layout("cellgate") / "index.json").stat().st_size
    subjects = {
        "cellgate": {"mediaType": oci_artifact.INDEX, "digest": index, "size": size},
        "cellgate-filter": {key: manifest[key] for key in ("mediaType", "digest", "size")},
    }
    write_sboms(subjects, number, stamp, sorted(built))
    sums.write()

    print(f"Cellgate {number} of {stamp}, in target/dist:")
    for name, path in sums.files().items():
        if not name.startswith("oci/"):
            print(f"  {name}: {path.stat().st_size} bytes")
    for name, digest in {"cellgate": index, "cellgate-filter": manifest["digest"], "charts/cellgate": chart}.items():
        print(f"  {artifacts.PUSHED[name]}: {digest}")
