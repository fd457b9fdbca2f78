#!/usr/bin/env python3
"""schemas.py [--crds DIR] [FILE...]   checks rendered manifests against the schemas of their kinds, without a network.

Reads standard input where no file is named. An unknown field, a missing one or a wrong type is an error, for each a
line that names the file, the object and the place in it.

Why in two steps:
- Kubernetes' own kinds are checked by every `make test`. Their schemas are one file that chart-tools.sh took from PyPI.
- The kinds of Istio, KEDA and others have no schemas there: they are in the CRDs, which come as Go modules, and
  `make test` must do without Go. `make test-mesh` has them in .tools/mesh/crds and names that folder with --crds; then
  a kind without a schema is an error. Without --crds the kinds that were passed over are named on standard error.
The API server of `make test-mesh` has the last word: what it checks beyond a schema is not repeated here.
"""

import argparse
import json
import pathlib
import sys

import chart_tools

if __name__ == "__main__":
    chart_tools.enter()

import jsonschema  # noqa: E402
import yaml  # noqa: E402

KUBERNETES = chart_tools.ROOT / ".tools/chart/kubernetes.json"
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Schemas:
    """The schemas of kinds, by apiVersion and kind."""

    def __init__(self, crds=None):
        self.passed_over = {}
        self._complete = crds is not None
        self._validators = {}
        kubernetes = json.loads(KUBERNETES.read_text())
        # Its address is nowhere to be asked: with it, references inside the document would be looked up there.
        kubernetes.pop("$id", None)
        # What `#/$defs/` in any schema refers to.
        self._definitions = jsonschema.RefResolver.from_schema(kubernetes)
        self._add_kubernetes(kubernetes)
        if crds:
            self.add_folder(crds)

    def add_folder(self, crds):
        """Adds the kinds of a folder of CRDs."""
        for path in sorted(pathlib.Path(crds).rglob("*.yaml")):
            self._add_crds(path)

    def _add(self, version, kind, schema):
        self._validators[version, kind] = jsonschema.Draft202012Validator(schema, resolver=self._definitions)

    def _add_kubernetes(self, document):
        """Kubernetes' own kinds: each definition tells which kinds it is the schema of."""
        for name, definition in document["$defs"].items():
            for kind in definition.get("x-kubernetes-group-version-kind", []):
                version = "/".join(filter(None, [kind["group"], kind["version"]]))
                self._add(version, kind["kind"], {"$ref": f"#/$defs/{name}"})

    def _add_crds(self, path):
        for crd in filter(None, yaml.load_all(path.read_text(), Loader=Loader)):
            spec = crd["spec"]
            for version in spec["versions"]:
                schema = strict(version["schema"]["openAPIV3Schema"])
                # A CRD leaves these to the API server.
                schema["properties"].update(
                    apiVersion={"type": "string"},
                    kind={"type": "string"},
                    metadata={"$ref": "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},
                )
                self._add(f"{spec['group']}/{version['name']}", spec["names"]["kind"], schema)

    def errors(self, manifest):
        """What is wrong with one object, a sentence each."""
        key = (manifest.get("apiVersion"), manifest.get("kind")) if isinstance(manifest, dict) else (None, None)
        if not all(isinstance(part, str) for part in key):
            return ["is no Kubernetes object: it needs apiVersion and kind"]
        validator = self._validators.get(key)
        if validator is None and not self._complete and is_custom(key[0]):
            self.passed_over[key] = self.passed_over.get(key, 0) + 1
            return []
        if validator is None:
            return [f"there is no kind {key[1]} of {key[0]}"]
        return [sentence(error) for error in sorted(validator.iter_errors(manifest), key=lambda error: str(error.path))]


def is_custom(version):
    """Whether an apiVersion may be of a CRD: Kubernetes' own groups have no dot, or end in k8s.io."""
    group = version.rpartition("/")[0]
    return "." in group and (not group.endswith(".k8s.io") or group == "gateway.networking.k8s.io")


def strict(schema):
    """A CRD's schema as JSON Schema that takes no unknown field, as the API server's strict validation does."""
    if schema.pop("x-kubernetes-int-or-string", False):
        schema.pop("anyOf", None)
        schema["type"] = ["integer", "string"]
    if schema.pop("nullable", False) and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    for child in schema.get("properties", {}).values():
        strict(child)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            strict(schema[key])
    return schema


def sentence(error):
    """One error with its place, such as `spec.template.spec.containers[0]: 'imagee' was unexpected`."""
    # Of alternatives, the one that the author meant is likely the one that went furthest.
    error = jsonschema.exceptions.best_match([error])
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return f"{place.lstrip('.') or 'the object'}: {error.message}"


def called(manifest):
    """What an object is called in messages, whatever it lacks."""
    if not isinstance(manifest, dict):
        return "a document"
    metadata = manifest.get("metadata")
    return f"{manifest.get('kind')}/{metadata.get('name') if isinstance(metadata, dict) else None}"


def check(schemas, name, text):
    """The errors of all objects of one file, and how many objects it has."""
    errors = []
    manifests = [manifest for manifest in yaml.load_all(text, Loader=Loader) if manifest is not None]
    for manifest in manifests:
        errors += [f"{name}: {called(manifest)}: {error}" for error in schemas.errors(manifest)]
    return errors, len(manifests)


def main():
    parser = argparse.ArgumentParser(description="checks rendered manifests against the schemas of their kinds")
    parser.add_argument("--crds", metavar="DIR", help="a folder of CRDs; with it every kind must have a schema")
    parser.add_argument("files", nargs="*", metavar="FILE")
    options = parser.parse_args()
    if not KUBERNETES.exists():
        sys.exit(f"{KUBERNETES} is missing: run scripts/chart-tools.sh")
    if options.crds and not list(pathlib.Path(options.crds).glob("*.yaml")):
        sys.exit(f"{options.crds} has no CRDs: run scripts/mesh-tools.sh crds")

    schemas = Schemas(options.crds)
    texts = {path: pathlib.Path(path).read_text() for path in options.files} or {"standard input": sys.stdin.read()}
    found, total = [], 0
    for name, text in texts.items():
        errors, count = check(schemas, name, text)
        found += errors
        total += count
    for error in found:
        print(error, file=sys.stderr)
    for (version, kind), count in sorted(schemas.passed_over.items()):
        print(f"passed over, as only a CRD has its schema: {count} {kind} of {version}", file=sys.stderr)
    if total == 0:
        sys.exit("nothing was checked: there is no object in what was given")
    print(f"{total} objects checked, {sum(schemas.passed_over.values())} passed over, {len(found)} errors")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
