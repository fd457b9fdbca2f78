"""The chart as a package and as an OCI artifact, with the release's digests in its values."""

import gzip
import io
import os
import re
import tarfile
import tempfile
import pathlib

import oci_artifact
from base import Refused, run

CHART = "charts/cellgate"
CONFIG = "application/vnd.cncf.helm.config.v1+json"
PACKAGE = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


def set_value(text, path, value):
    """values.yaml with another default. It is written in block maps with one key per line, as scripts/chart-docs.py wants it."""
    above, lines = [], text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        found = re.match(r'( *)(\w+):(?: (.*))?$', line.rstrip("\n"))
        if not found:
            continue
        depth = len(found[1]) // 2
        above = [*above[:depth], found[2]]
        if ".".join(above) == path:
            if found[3] != '""':
                raise Refused(f"{path} of charts/cellgate/values.yaml is not empty: a release sets it, so its default must be \"\".")
            lines[number] = f'{found[1]}{found[2]}: "{value}"\n'
            return "".join(lines)
    raise Refused(f"charts/cellgate/values.yaml has no {path}, which a release sets.")


def package(file, values, epoch):
    """Writes the chart as `helm package` does, with these defaults. The same sources make the same bytes.

    The sources are those of the commit: a file that only this checkout has is in no release."""
    with tempfile.TemporaryDirectory() as folder:
        run("git", "archive", "--output", f"{folder}/chart.tar", "HEAD", CHART)
        run("tar", "-xf", f"{folder}/chart.tar", "-C", folder)
        copy = pathlib.Path(folder) / CHART
        text = (copy / "values.yaml").read_text()
        for path, value in values.items():
            text = set_value(text, path, value)
        (copy / "values.yaml").write_text(text)
        run(os.environ["HELM"], "package", copy, "--destination", folder)
        (made,) = pathlib.Path(folder).glob("*.tgz")
        file.write_bytes(repacked(made.read_bytes(), epoch))


def repacked(package, epoch):
    """The package with the time of the commit in place of the time of packing."""
    held = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(package)) as old, tarfile.open(fileobj=held, mode="w", format=tarfile.PAX_FORMAT) as new:
        for entry in old:
            content = old.extractfile(entry)
            plain = tarfile.TarInfo(entry.name)
            plain.size, plain.mode, plain.mtime = entry.size, 0o644, epoch
            new.addfile(plain, content)
    return gzip.compress(held.getvalue(), mtime=0)


def write(folder, package, version, revision):
    """Writes the layout that `helm push` would push, without its time of pushing. Returns the digest of the manifest."""
    import yaml  # is there since chart_tools.enter()

    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        metadata = yaml.safe_load(archive.extractfile("cellgate/Chart.yaml").read())
    layout = oci_artifact.Layout(folder)
    manifest = {
        "schemaVersion": 2,
        "mediaType": oci_artifact.MANIFEST,
        "config": layout.blob(CONFIG, oci_artifact.to_json(metadata)),
        "layers": [layout.blob(PACKAGE, package)],
        "annotations": oci_artifact.annotations("cellgate", version, revision),
    }
    descriptor = layout.blob(oci_artifact.MANIFEST, oci_artifact.to_json(manifest))
    layout.finish(descriptor)
    return descriptor["digest"]
