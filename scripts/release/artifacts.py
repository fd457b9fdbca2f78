"""What a release consists of, by name: the one list that the other steps go by."""

from base import DIST

# Below the registry: the layout in target/dist/oci, and what it is.
PUSHED = {
    "cellgate": "the service's image",
    "cellgate-filter": "the filter, as an OCI artifact",
    "charts/cellgate": "the chart",
}
# Whose SBOM belongs to which package of cargo.
PACKAGES = {"cellgate": "cellgate-cli", "cellgate-filter": "cellgate-filter"}
ARCHITECTURES = {"amd64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}
WASM = "wasm32-unknown-unknown"


def layout(name):
    return DIST / "oci" / name.replace("/", "-")


def sbom_layout(name):
    return DIST / "oci" / f"{name}.sbom"


def sbom_file(name, version):
    return DIST / f"{name}-{version}.cdx.json"


def program_file(version, architecture):
    return DIST / f"cellgate-{version}-linux-{architecture}.tar.gz"


def module_file(version):
    return DIST / f"cellgate-filter-{version}.wasm"


def chart_file(version):
    return DIST / f"cellgate-{version}.tgz"


def revision_file():
    """The whole name of the commit that everything beside it is built from."""
    return DIST / "REVISION"


def sbom_tag(digest):
    """The tag of the SBOM of a digest: where `cosign download sbom` looks for it."""
    return digest.replace(":", "-") + ".sbom"


def references(registry, version):
    """What `make publish` pushes, with its reference."""
    return {name: f"{registry}/{name}:{version}" for name in PUSHED}
