"""What `make dist` has written, as the other steps read it back."""

import hashlib
import io
import json
import re
import tarfile

import artifacts
from base import ROOT, Refused


def read(path):
    """A file of target/dist, which anybody may have touched."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused(f"{path.relative_to(ROOT)} cannot be read ({error.strerror}): run `make dist`.") from None


def parsed(path):
    try:
        return json.loads(read(path))
    except ValueError as error:
        raise Refused(f"{path.relative_to(ROOT)} is not JSON ({error}): run `make dist`.") from None


def index(name):
    return parsed(artifacts.layout(name) / "index.json")


def digest_of(layout):
    """The digest of the one manifest in a layout, or of the index itself where the layout is an image."""
    if layout == artifacts.layout("cellgate"):
        return "sha256:" + hashlib.sha256(read(layout / "index.json")).hexdigest()
    (manifest,) = parsed(layout / "index.json")["manifests"]
    return manifest["digest"]


def blob(layout, digest):
    return read(layout / "blobs" / "sha256" / digest.removeprefix("sha256:"))


def manifest(name):
    layout = artifacts.layout(name)
    return json.loads(blob(layout, digest_of(layout)))


def architectures():
    """Those of the image."""
    return sorted(each["platform"]["architecture"] for each in index("cellgate")["manifests"])


def annotation(name, key):
    found = index(name) if name == "cellgate" else manifest(name)
    return found["annotations"][f"org.opencontainers.image.{key}"]


def inside(package, name):
    """The text of a file of a packed chart."""
    try:
        with tarfile.open(package) as archive:
            return archive.extractfile(name).read().decode()
    except (OSError, tarfile.TarError, KeyError, EOFError, UnicodeDecodeError) as error:
        raise Refused(f"{package.name} is no chart with {name} ({error}): run `make dist`.") from None


def chart_versions(package):
    """The two versions that a packed chart says it has, of itself and of Cellgate."""
    return set(re.findall(r"(?m)^(?:version|appVersion): \"?([^\s\"]+)", inside(package, "cellgate/Chart.yaml")))


def programs():
    """The program of each architecture, from the image."""
    layout, found = artifacts.layout("cellgate"), {}
    for each in index("cellgate")["manifests"]:
        (layer,) = json.loads(blob(layout, each["digest"]))["layers"]
        with tarfile.open(fileobj=io.BytesIO(blob(layout, layer["digest"]))) as archive:
            found[each["platform"]["architecture"]] = archive.extractfile("cellgate").read()
    return found


def module():
    """The filter, from its artifact."""
    return blob(artifacts.layout("cellgate-filter"), manifest("cellgate-filter")["layers"][1]["digest"])


def chart_values(package):
    """The defaults that a release has set in a packed chart, by path."""
    text = inside(package, "cellgate/values.yaml")
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
