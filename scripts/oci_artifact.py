#!/usr/bin/env python3
"""Writes the filter as an OCI artifact that Istio's proxies can pull, and prints what the chart needs to know of it.

    oci_artifact.py MODULE LAYOUT --version VERSION [--revision REVISION]

MODULE is the .wasm file; LAYOUT becomes an OCI image layout, a folder that `oras` and `skopeo` copy into a registry. The same
module, version and revision make the same bytes, so the digest can be known before anything is pushed.
"""

import argparse
import hashlib
import json
import pathlib
import shutil
import sys

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.module.wasm.config.v1+json"
MODULE = "application/vnd.module.wasm.content.layer.v1+wasm"
# What the WASM artifact specification wants beside a module. Istio reads none of it, but refuses an artifact without it.
RUNTIME = {"type": "envoy_proxy", "abiVersions": ["proxy_abi_version_0_2_1"], "config": {"rootIds": []}}


class Layout:
    """An OCI image layout that is being written."""

    def __init__(self, folder):
        self.folder = folder
        self.blobs = folder / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)

    def blob(self, media_type, content, **more):
        """Stores a blob and returns its descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        (self.blobs / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content), **more}

    def finish(self, *manifests, **more):
        """Stores the index and returns its digest."""
        index = to_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, **more})
        (self.folder / "index.json").write_bytes(index)
        (self.folder / "oci-layout").write_bytes(to_json({"imageLayoutVersion": "1.0.0"}))
        return "sha256:" + hashlib.sha256(index).hexdigest()


def to_json(value):
    """One spelling of each value: the digests depend on it."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def title(name):
    return {"org.opencontainers.image.title": name}


def annotations(name, version, revision):
    """What a manifest says of itself."""
    found = {
        **title(name),
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": version,
    }
    return {**found, "org.opencontainers.image.revision": revision} if revision else found


def write(module, folder, version, revision):
    """Writes the layout and returns the descriptor of its manifest."""
    layout = Layout(folder)
    runtime = to_json(RUNTIME)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": layout.blob(CONFIG, runtime),
        # Two layers, not one: the proxies' agent refuses any other number.
        "layers": [
            layout.blob(CONFIG, runtime, annotations=title("runtime-config.json")),
            layout.blob(MODULE, module, annotations=title("plugin.wasm")),
        ],
        "annotations": annotations("cellgate-filter", version, revision),
    }
    name = {"org.opencontainers.image.ref.name": version}
    descriptor = layout.blob(MANIFEST, to_json(manifest), annotations=name)
    layout.finish(descriptor)
    return descriptor


def values(url, digest):
    """A block for the chart's values, whole: the two forms of an address have different digests."""
    return f"filter:\n  module:\n    url: {url}\n    sha256: {digest}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module", type=pathlib.Path)
    parser.add_argument("layout", type=pathlib.Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--revision", default="")
    options = parser.parse_args()

    try:
        module = options.module.read_bytes()
    except OSError as error:
        print(f"{options.module} cannot be read ({error.strerror}): `make wasm` builds it", file=sys.stderr)
        return 1
    if not module.startswith(b"\0asm"):
        print(f"{options.module} is not a WebAssembly module: its first bytes are not \\0asm", file=sys.stderr)
        return 1
    draft = options.layout.with_name(f"{options.layout.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    manifest = write(module, draft, options.version, options.revision)
    shutil.rmtree(options.layout, ignore_errors=True)
    draft.rename(options.layout)

    tag, digest = options.version, manifest["digest"].removeprefix("sha256:")
    print(f"{options.layout}: cellgate-filter {tag}, {len(module)} bytes of WebAssembly")
    print("Copy it into a registry, one of:")
    print(f"  oras cp --from-oci-layout {options.layout}:{tag} REGISTRY/cellgate-filter:{tag}")
    print(f"  skopeo copy --preserve-digests oci:{options.layout}:{tag} docker://REGISTRY/cellgate-filter:{tag}")
    print("and paste this into your values. Its sha256 is that of the manifest, which Istio checks for oci://.")
    print(values(f"oci://REGISTRY/cellgate-filter:{tag}", digest))
    print(f"Or put {options.module} on a web server. For https:// the sha256 is that of the module:")
    print(values("https://SERVER/cellgate.wasm", hashlib.sha256(module).hexdigest()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
