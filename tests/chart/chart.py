"""Renders the chart with Helm, and searches the objects."""

import copy
import functools
import json
import os
import pathlib
import pickle
import subprocess
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "cellgate"
HELM = os.environ["HELM"]
# Both differ from the chart's name, so that a hard-coded name in a template is found.
RELEASE = "edge"
NAMESPACE = "routing"
# The API versions of the cluster: the custom resources of Istio and of all optional features.
API_VERSIONS = [
    "networking.istio.io/v1",
    "networking.istio.io/v1alpha3",
    "security.istio.io/v1",
    "telemetry.istio.io/v1",
    "gateway.networking.k8s.io/v1",
    "keda.sh/v1alpha1",
    "monitoring.coreos.com/v1",
    "external-secrets.io/v1",
]

# The smallest values that render everything that is enabled by default.
VALUES = {
    "image": {"repository": "registry.example/cellgate"},
    "config": {
        "key": [{"json": "/tenant/id"}],
        "placement": {"overrides": {"acme": "cell-b"}, "slots": {}},
    },
    "cells": {
        "cell-c": {"host": "api.cell-c.svc.cluster.local", "port": 8080},
        "cell-a": {"host": "api.cell-a.svc.cluster.local", "port": 8080, "workload": {"app": "api"}},
        "cell-b": {"host": "api.cell-b.svc.cluster.local", "port": 8080},
    },
    "routes": {"hosts": ["api.example.com"], "gateways": ["istio-ingress/public"]},
    "filter": {
        "module": {"url": "oci://registry.example/cellgate-filter:0.1.0", "sha256": "5e" * 32},
        "attach": [
            {
                "name": "ingress",
                "type": "gateway",
                "namespace": "istio-ingress",
                "selector": {"istio": "ingressgateway"},
                "serviceAccount": "istio-ingressgateway",
            }
        ],
    },
}

SIDECAR = {
    "name": "orders",
    "type": "sidecar-inbound",
    "namespace": "cell-a",
    "selector": {"app": "api"},
    "serviceAccount": "api",
    "cell": "cell-a",
}
OUTBOUND = {
    "name": "clients",
    "type": "sidecar-outbound",
    "namespace": "apps",
    "selector": {"app": "shop"},
    "serviceAccount": "shop",
}
WAYPOINT = {
    "name": "waypoint",
    "type": "waypoint",
    "namespace": "ambient",
    "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "waypoint"}],
    "serviceAccount": "waypoint",
}


class Refused(Exception):
    """Helm did not render the chart; the message is its output."""


class StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Refuses duplicate keys in a map: YAML parsers differ on which one they use."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise yaml.constructor.ConstructorError(None, None, f"duplicate keys {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


def merge(base, change):
    """`change` over `base`, as Helm merges values: maps are merged, lists replaced. None removes what `base` has, and is
    passed to Helm otherwise, where it removes the chart's default."""
    if not isinstance(base, dict) or not isinstance(change, dict):
        return copy.deepcopy(change)
    merged = copy.deepcopy(base)
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def load(text):
    """The objects of a stream of YAML documents."""
    return [document for document in yaml.load_all(text, Loader=StrictLoader) if document]


def helm(*arguments):
    """The output of a Helm command. Raises Refused if it fails."""
    command = [HELM, *map(str, arguments)]
    # A test must not depend on a real cluster or on personal settings.
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": "/dev/null"}
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise Refused(done.stderr + done.stdout)
    return done.stdout


@functools.lru_cache(maxsize=None)
def template(values, files, *options):
    """The objects that Helm renders, pickled: each caller gets its own copy, and Helm runs once."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(values)
        file.flush()
        sources = [argument for path in (*files, file.name) for argument in ("--values", path)]
        kinds = [argument for version in API_VERSIONS for argument in ("--api-versions", version)]
        return pickle.dumps(load(helm("template", RELEASE, CHART, "--namespace", NAMESPACE, *options, *kinds, *sources)))


def render(change=None, base=VALUES, files=(), options=()):
    """The objects of the chart with `base`, changed by `change`, over the values of `files`."""
    values = merge(base, change or {})
    return Objects(pickle.loads(template(json.dumps(values, sort_keys=True), tuple(map(str, files)), *options)))


def refusal(change, base=VALUES, options=()):
    """The message with which Helm refuses values."""
    try:
        render(change, base, options=options)
    except Refused as refused:
        return str(refused)
    raise AssertionError(f"not refused: {json.dumps(change)}")


class Objects(list):
    """Rendered objects."""

    @property
    def installed(self):
        """Without the hooks, which exist only temporarily."""
        return Objects(item for item in self if not is_hook(item))

    @property
    def filters(self):
        """The EnvoyFilters with the filter, without the guard and the limits."""
        return Objects(item for item in self.of("EnvoyFilter") if typed(item, "Wasm"))

    @property
    def limits(self):
        """The EnvoyFilters with the settings of whole listeners."""
        return Objects(item for item in self.of("EnvoyFilter") if item["metadata"]["name"].endswith("-limits"))

    def of(self, *kinds):
        return Objects(item for item in self if item["kind"] in kinds)

    def one(self, kind, name=None):
        found = [item for item in self.of(kind) if name is None or item["metadata"]["name"] == name]
        if len(found) != 1:
            names = [item["metadata"]["name"] for item in self.of(kind)]
            raise AssertionError(f"not one {kind} {name or ''}: {names}")
        return found[0]

    def pods(self):
        """Every pod template, with its object."""
        for item in self:
            if item["kind"] == "Pod":
                yield item, item
            elif "template" in item.get("spec", {}):
                yield item, item["spec"]["template"]


def is_hook(item):
    return "helm.sh/hook" in (item["metadata"].get("annotations") or {})


def label(item):
    """The name of an object in messages."""
    return f"{item['kind']} {item['metadata'].get('namespace')}/{item['metadata']['name']}"


def walk(node):
    """Every map inside, outermost first."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from walk(value)


def typed(node, name):
    """Every map inside with a protobuf type that ends in this name."""
    return [found for found in walk(node) if str(found.get("@type", "")).rsplit(".", 1)[-1] == name]


def settings(node, name):
    """Every value of this field, anywhere inside."""
    return [found[name] for found in walk(node) if name in found]


def filter_config(envoy_filter):
    """The text of the filter's configuration in an EnvoyFilter."""
    (wasm,) = typed(envoy_filter, "Wasm")
    configuration = wasm["config"]["configuration"]
    assert configuration["@type"] == "type.googleapis.com/google.protobuf.StringValue", configuration
    return configuration["value"]


def service_config(objects):
    """The text of the service's configuration in the ConfigMap."""
    (config,) = [item for item in objects.installed.of("ConfigMap") if "cellgate.json" in item.get("data", {})]
    return config["data"]["cellgate.json"]
