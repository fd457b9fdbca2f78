"""The service's image, made from the Dockerfile's last stage and a program that is built already.

No container engine is needed for an image that is one file on nothing. The same program makes the same bytes."""

import gzip
import hashlib
import io
import json
import re
import shlex
import tarfile
import time

import oci_artifact
from base import ROOT, Refused

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
COPY = "--from=service-build /out/cellgate /cellgate"


def stage(version, revision):
    """The instructions of the stage `runtime`, with the arguments of the build put in."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (ROOT / "Dockerfile").read_text()).replace("\\\n", " ")
    body = re.split(r"(?m)^FROM ", text.split("FROM scratch AS runtime\n", 1)[1])[0]
    for name, value in {"VERSION": version, "REVISION": revision}.items():
        body = body.replace(f"${name}", value)
    return [line.strip().split(maxsplit=1) for line in body.splitlines() if line.strip()]


def config(version, revision):
    """How the image runs, as its configuration says it."""
    found = {"Labels": {}, "Env": [], "ExposedPorts": {}}
    copied = []
    for keyword, arguments in stage(version, revision):
        if keyword == "LABEL":
            found["Labels"].update(part.split("=", 1) for part in shlex.split(arguments))
        elif keyword == "ENV":
            found["Env"] += shlex.split(arguments)
        elif keyword == "EXPOSE":
            found["ExposedPorts"].update({f"{port}/tcp": {} for port in arguments.split()})
        elif keyword in ("ENTRYPOINT", "CMD"):
            found[keyword.capitalize()] = json.loads(arguments)
        elif keyword == "USER":
            found["User"] = arguments
        elif keyword == "COPY":
            copied.append(arguments)
        elif keyword != "ARG":
            raise Refused(f"The Dockerfile's last stage has {keyword}, which scripts/release/image.py does not know: teach it.")
    if copied != [COPY]:
        raise Refused(f"The Dockerfile's last stage copies {copied}, and scripts/release/image.py only knows {COPY!r}: teach it.")
    return found


def layer(program, epoch):
    """One layer with the program, and its digest before it is compressed."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo("cellgate")
        entry.size, entry.mode, entry.mtime = len(program), 0o755, epoch
        archive.addfile(entry, io.BytesIO(program))
    return gzip.compress(held.getvalue(), mtime=0), "sha256:" + hashlib.sha256(held.getvalue()).hexdigest()


def write(folder, programs, version, revision, epoch):
    """Writes the layout, an image for each architecture under one index. Returns the digest of the index."""
    layout = oci_artifact.Layout(folder)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    manifests = []
    for architecture, program in sorted(programs.items()):
        content, diff_id = layer(program, epoch)
        whole = {
            "created": created,
            "os": "linux",
            "architecture": architecture,
            "config": config(version, revision),
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "history": [{"created": created, "created_by": f"COPY {COPY}"}],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": oci_artifact.MANIFEST,
            "config": layout.blob(CONFIG, oci_artifact.to_json(whole)),
            "layers": [layout.blob(LAYER, content)],
        }
        platform = {"os": "linux", "architecture": architecture}
        manifests.append(layout.blob(oci_artifact.MANIFEST, oci_artifact.to_json(manifest), platform=platform))
    return layout.finish(*manifests, annotations=oci_artifact.annotations("cellgate", version, revision))
