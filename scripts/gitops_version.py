"""The version of an environment, istio/gitops/environments/ENV/version.yaml: its form, and which ones may be promoted.

A version is a release: a tag vX.Y.Z of this repository, and the digests of its image and of its filter's module, from the
registry that the environments' values name.
"""

import ipaddress
import json
import pathlib
import re

import yaml

DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
REVISION = re.compile(r"v(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?")
# A reference as `make publish` writes it: repository, tag and digest.
REFERENCE = re.compile(r"(?P<repository>[^\s@]+):(?P<tag>[^\s:/@]+)@(?P<digest>sha256:[0-9a-f]{64})")
HOST = r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]+)?"
# Addresses of a module: an artifact of a registry, or a file of a web server.
ARTIFACT = re.compile(rf"(?P<place>oci://{HOST}(?:/[a-z0-9._-]+)+):(?P<tag>[\w.-]+)", re.ASCII)
FILE = re.compile(rf"(?P<place>https://{HOST}(?:/[\w.~-]+)*)/[\w][\w.~-]*", re.ASCII)
FIELDS = ("revision", "image.tag", "image.digest", "module.url", "module.sha256")
VERSION = """\
# The version of this environment. `make promote` writes this file: do not edit it by hand.

# The release: the tag of this repository with the chart.
revision: {revision}
image:
  # For people: the digest decides.
  tag: "{tag}"
  # The digest of the image in your registry.
  digest: {image}
module:
  url: {module}
  # The digest of the artifact.
  sha256: "{sha256}"
"""


class Refused(Exception):
    """A promotion that must not happen, with a sentence that says why and what to do."""


class Addresses:
    """Where an environment gets image and module from: the later ones of its values override the earlier ones."""

    def __init__(self, texts):
        """`texts`: the files of values with their texts, in order."""
        self.names = " and ".join(map(str, texts))
        self.image, self.module = "", ""
        for name, text in texts.items():
            found = values(text, name)
            self.image = field(found, "image.repository") or self.image
            self.module = field(found, "filter.module.url") or self.module

    def allow_image(self, repository, origin):
        remote(repository.split("/")[0].rsplit(":", 1)[0], repository, origin)
        if repository != self.image:
            raise Refused(
                f"{origin} has the image {repository}, but by {self.names} it is {self.image or 'nowhere'}: set"
                " image.repository there to the registry of your releases, or promote a release from that one"
            )

    def allow_module(self, place, origin):
        known = address(self.module)
        if not known or place != known["place"]:
            raise Refused(
                f"{origin} has a module of {place}, but by {self.names} it is of {known['place'] if known else 'nowhere'}: set"
                " filter.module.url there to the registry of your releases, or promote a release from that one"
            )


def released(path, addresses):
    """The text of the version whose digests `make publish` has written to a file."""
    try:
        found = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused(f"{path} is missing: run `make publish`, or take the file from the release") from None
    except ValueError as error:
        raise Refused(f"{path} is not JSON: {error}") from None
    image, module = reference(found, "cellgate", path), reference(found, "cellgate-filter", path)
    if image["tag"] != module["tag"]:
        raise Refused(f"{path} has the image {image['tag']} and the module {module['tag']}: promote one release as a whole")
    addresses.allow_image(image["repository"], path)
    return VERSION.format(
        revision=f"v{image['tag']}",
        tag=image["tag"],
        image=image["digest"],
        module=f"oci://{module['repository']}:{module['tag']}",
        sha256=module["digest"].removeprefix("sha256:"),
    )


def reference(found, name, path):
    matched = REFERENCE.fullmatch(str(found.get(name) if isinstance(found, dict) else None))
    if not matched:
        raise Refused(f"{path} has no {name} as REPOSITORY:TAG@sha256:DIGEST: run `make publish` anew")
    return matched


def values(text, origin):
    """The values of a YAML file, without its comments."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{origin}:{mark.line + 1}" if mark else origin
        problem = getattr(error, "problem", None) or getattr(error, "reason", "it cannot be read")
        raise Refused(f"{place} is not YAML: {problem}; correct the file, or restore it with git") from None


def field(found, path):
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


def revision(text, origin, addresses):
    """The revision of a version that is a whole release, by digest, of the registry that the values name."""
    found = values(text, origin)
    has = {path: field(found, path) for path in FIELDS}
    for path, value in has.items():
        if not value:
            raise Refused(f"{origin} has no {path}: promote a release to dev first, which writes it")
        if path in ("image.digest", "module.sha256"):
            digest(path, value, origin)
    if not REVISION.fullmatch(has["revision"]):
        raise Refused(f"{origin}: revision is {has['revision']}, and only a release has a form like v1.2.3: promote its tag")
    tag = has["revision"].removeprefix("v")
    module = address(has["module.url"])
    if not module:
        raise Refused(f"{origin}: module.url is {has['module.url']}, which is no oci://REGISTRY/NAME:TAG and no https:// address")
    remote(module["host"], has["module.url"], origin)
    for path, value in (("image.tag", has["image.tag"]), ("the tag of module.url", module.groupdict().get("tag", tag))):
        if value != tag:
            raise Refused(f"{origin}: {path} is {value}, and the revision is {has['revision']}: promote one release as a whole")
    addresses.allow_module(module["place"], origin)
    return has["revision"]


def digest(path, value, origin):
    matched = DIGEST.fullmatch(value if path == "image.digest" else f"sha256:{value}")
    if not matched:
        raise Refused(f"{origin}: {path} is {value}, which is no SHA-256: promote a release to dev first")
    if not matched[1].strip("0"):
        raise Refused(f"{origin}: {path} is the placeholder of zeros: promote a release to dev first")


def address(url):
    """The parts of a module's address, or nothing if it is none."""
    return ARTIFACT.fullmatch(url) or FILE.fullmatch(url)


def remote(host, what, origin):
    """Refuses this machine itself: the registry of a trial, whose release nobody may have signed."""
    name = host.strip("[]").lower()
    try:
        found = ipaddress.ip_address(name)
        found = getattr(found, "ipv4_mapped", None) or found
        local = found.is_loopback or found.is_unspecified
    except ValueError:
        local = name == "localhost" or name.endswith(".localhost") or re.fullmatch(r"127[0-9.]*", name)
    if local:
        raise Refused(f"{origin} has {what}, which is on this machine: publish the release to a registry, signed, and promote that")
