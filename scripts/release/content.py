"""What `make dist` has written, as the other steps read it back."""

import hashlib
import json
import re
import tarfile

import artifacts
from base import Refused


def index(name):
    return json.loads((artifacts.layout(name) / "index.json").read_text())


def digest_of(layout):
    """The digest of the one manifest in a layout, or of the index itself where the layout is an image."""
    if layout == artifacts.layout("cellgate"):
        return "sha256:" + hashlib.sha256((layout / "index.json").read_bytes()).hexdigest()
    (manifest,) = json.loads((layout / "index.json").read_text())["manifests"]
    return manifest["digest"]


def blob(layout, digest):
    return (layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()


def manifest(name):
    layout = artifacts.layout(name)
    return json.loads(blob(layout, digest_of(layout)))


def architectures():
    """Those of the image."""
    return sorted(each["platform"]["architecture"] for each in index("cellgate")["manifests"])


def annotation(name, key):
    found = index(name) if name == "cellgate" else manifest(name)
    return found["annotations"][f"org.opencontainers.image.{key}"]


def chart_values(package):
    """The defaults that a release has set in a packed chart, by path."""
    with tarfile.open(package) as archive:
        text = archive.extractfile("cellgate/values.yaml").read().decode()
    found = {}
    for block, path in [("image", "image"), ("module", "filter.module")]:
        body = re.search(rf"(?m)^( *){block}:\n((?:\1  .*\n)+)", text)
        if not body:
            raise Refused(f"The chart's values.yaml has no block {block}.")
        for key, value in re.findall(rf'(?m)^{body[1]}  (\w+): "(.*)"$', body[2]):
            found[f"{path}.{key}"] = value
    return found


def chart_disagrees(values, digests, registry):
    """Why a chart with these values would not install these digests, a sentence each."""
    wanted = {
        "image.digest": digests["cellgate"],
        "filter.module.sha256": digests["cellgate-filter"].removeprefix("sha256:"),
    }
    for path, value in wanted.items():
        if values.get(path) != value:
            yield f"The chart's {path} is {values.get(path) or 'empty'}, and the release's is {value}."
    repository = values.get("image.repository")
    if registry and repository and repository != f"{registry}/cellgate":
        yield f"The chart names the image {repository}, which is not in {registry}: run `make dist REGISTRY={registry}`."
