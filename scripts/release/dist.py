"""`make dist`: builds everything of the version at HEAD into target/dist."""

import gzip
import io
import json
import pathlib
import shutil
import tarfile

import artifacts
import binaries
import chart_tools
import image
import oci_artifact
import packed
import sbom
import sums
from base import DIST, ROOT, Refused, dirty, git, given, revision, show, version

LINKERS = {"amd64": "x86_64-linux-gnu-gcc", "arm64": "aarch64-linux-gnu-gcc"}


def can_link(architecture):
    return binaries.HERE == architecture or shutil.which(LINKERS[architecture])


def clean():
    """Refuses sources that are not those of HEAD."""
    if changed := dirty():
        listed = ", ".join(changed[:5]) + (", …" if len(changed) > 5 else "")
        raise Refused(f"The tree has changes that are not committed ({listed}): a release is built from a commit. Commit or remove them.")


def programs(stamp):
    """The static binaries by architecture: those of BINARIES, or those that this machine can build."""
    found = {}
    if named := given("BINARIES").split():
        for each in named:
            architecture, _, path = each.partition("=")
            if architecture not in artifacts.ARCHITECTURES or not pathlib.Path(path).is_file():
                raise Refused(f"BINARIES has {each}, which is not ARCHITECTURE=FILE with amd64 or arm64 and a program.")
            if architecture in found:
                raise Refused(f"BINARIES has two programs for {architecture}: name one.")
            found[architecture] = pathlib.Path(path).read_bytes()
        return found
    for architecture in artifacts.ARCHITECTURES:
        if not can_link(architecture):
            print(f"{architecture} is left out: {LINKERS[architecture]} is not on PATH (Debian, Ubuntu, as root:")
            print(f"  scripts/build-static.sh --install-linker {architecture}), and without it nothing links for it here")
            continue
        path = ROOT / "target" / "release-programs" / architecture / "cellgate"
        show(ROOT / "scripts" / "build-static.sh", architecture, path, CELLGATE_BUILD=stamp)
        found[architecture] = path.read_bytes()
    return found


def module(stamp):
    """The filter: the file of MODULE, or what this machine builds."""
    if named := given("MODULE"):
        if not pathlib.Path(named).is_file():
            raise Refused(f"MODULE names {named}, which is not a file.")
        return pathlib.Path(named).read_bytes()
    show(ROOT / "scripts" / "build-wasm.sh", CELLGATE_BUILD=stamp)
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


def check(built, wasm, number, stamp):
    """Refuses what is not built from HEAD, or not for what it is said to be for. Files of another machine may be anything."""
    reasons = []
    for architecture, program in built.items():
        reasons += [f"The program for {architecture} {why}." for why in binaries.program_wrong(program, architecture, number, stamp)]
    reasons += [f"The module {why}." for why in binaries.module_wrong(wasm, number, stamp)]
    if reasons:
        raise Refused(*reasons)


def write_sboms(subjects, number, stamp, built, wasm):
    known = sbom.details()
    contents = {"cellgate": list(built.values()), "cellgate-filter": [wasm]}
    elsewhere = {"cellgate": given("BINARIES"), "cellgate-filter": given("MODULE")}
    for name, subject in subjects.items():
        others = sbom.toolchain(name, contents[name], here=not elsewhere[name])
        document = sbom.document(name, number, stamp, sorted(built), known, others)
        content = json.dumps(document, indent=2).encode() + b"\n"
        artifacts.sbom_file(name, number).write_bytes(content)
        sbom.write(artifacts.sbom_layout(name), content, subject, number, stamp)


def main():
    chart_tools.enter()
    clean()
    registry, number, stamp, epoch = given("REGISTRY"), version(), revision(), int(git("log", "-1", "--format=%ct"))
    commit = git("rev-parse", "HEAD")
    # Before the old files go: they are better than none if a build fails.
    built, wasm = programs(stamp), module(stamp)
    check(built, wasm, number, stamp)
    # Nor were they changed meanwhile.
    clean()
    if git("rev-parse", "HEAD") != commit:
        raise Refused("HEAD has moved while this was built: run `make dist` again.")
    shutil.rmtree(DIST, ignore_errors=True)
    (DIST / "oci").mkdir(parents=True)

    for architecture, program in built.items():
        file = artifacts.program_file(number, architecture)
        archive(file, program, file.name.removesuffix(".tar.gz"), epoch)
    artifacts.module_file(number).write_bytes(wasm)
    artifacts.revision_file().write_text(f"{commit}\n")

    index = image.write(artifacts.layout("cellgate"), built, number, stamp, epoch)
    manifest = oci_artifact.write(wasm, artifacts.layout("cellgate-filter"), number, stamp)
    values = {"image.digest": index, "filter.module.sha256": manifest["digest"].removeprefix("sha256:")}
    if registry:
        values["image.repository"] = f"{registry}/cellgate"
        values["filter.module.url"] = f"oci://{registry}/cellgate-filter:{number}"
    packed.package(artifacts.chart_file(number), values, epoch)
    chart = packed.write(artifacts.layout("charts/cellgate"), artifacts.chart_file(number).read_bytes(), number, stamp)

    size = (artifacts.layout("cellgate") / "index.json").stat().st_size
    subjects = {
        "cellgate": {"mediaType": oci_artifact.INDEX, "digest": index, "size": size},
        "cellgate-filter": {key: manifest[key] for key in ("mediaType", "digest", "size")},
    }
    write_sboms(subjects, number, stamp, built, wasm)
    sums.write()

    print(f"Cellgate {number} of {stamp}, in target/dist:")
    for name, path in sums.files().items():
        if not name.startswith("oci/"):
            print(f"  {name}: {path.stat().st_size} bytes")
    for name, digest in {"cellgate": index, "cellgate-filter": manifest["digest"], "charts/cellgate": chart}.items():
        print(f"  {artifacts.PUSHED[name]}: {digest}")
