#!/usr/bin/env python3
"""Writes charts/cellgate/README.md and values.schema.json from values.yaml and Cellgate's own schema.

    chart-docs.py [--check]     --check writes nothing and fails if one of them is not current

The comment above a value is its description in both files. SHAPES has the schema of values whose default does not show it, such as
the entries of an empty list.
"""

import json
import pathlib
import re
import sys
import textwrap

import chart_tools

CHART = chart_tools.ROOT / "charts" / "cellgate"
CONFIG_SCHEMA = chart_tools.ROOT / "schema" / "cellgate.schema.json"


def optional(pattern):
    """A pattern that also matches an empty string."""
    return f"^({pattern.removeprefix('^').removesuffix('$')})?$"


# Durations of Go, for Istio and Envoy; those of `cellgate serve` have a single unit.
DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
OPTIONAL_DURATION = {"type": "string", "pattern": optional(DURATION)}
SERVE_DURATION = "^[0-9]+(ms|s|m|h)$"
SIZE = "^[0-9]+(KiB|MiB|GiB)?$"


def text(pattern=None):
    return {"type": "string", **({"pattern": pattern} if pattern else {})}


def one_of(*values):
    return {"type": "string", "enum": list(values)}


def entries(items, **more):
    return {"type": "array", "items": items, **more}


def closed(required=(), **properties):
    """An object with these fields and no other."""
    found = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**found, **({"required": list(required)} if required else {})}


# Labels, annotations and the like.
TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
# An object of Istio or Kubernetes, passed on unchanged: it has its own schema.
VERBATIM = {"type": "object"}
POSITIVE = {"type": "integer", "minimum": 1}
PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
OBJECTIVE = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100}
LATENCY_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 2.5]
PERCENT = {"type": "number", "minimum": 0, "maximum": 100}
# No `anyOf` for alternatives: Helm's message would name all of them, and not the mistake. `minimum` applies to numbers only, and
# `pattern` to strings.
SIZE_OR_BYTES = {"type": ["integer", "string"], "minimum": 1, "pattern": SIZE}

# By the path of a value. A cell may override each field of `traffic`.
SHAPES = {
    "commonLabels": TEXTS,
    "image.pullPolicy": one_of("Always", "IfNotPresent", "Never"),
    "image.pullSecrets": entries({**closed(["name"], name=text()), "type": ["object", "string"]}),
    "commonAnnotations": TEXTS,
    "openshift": {"enum": [True, False, "auto", "true", "false"]},
    "podSecurityContext": VERBATIM,
    "containerSecurityContext": VERBATIM,
    "serviceAccount.annotations": TEXTS,
    "routes.api": one_of("istio", "gateway-api"),
    "routes.hosts": entries(text()),
    "routes.gateways": entries(text("^(mesh|[^/]+/[^/]+)$")),
    "routes.parentRefs": entries(VERBATIM),
    "routes.extra": entries(VERBATIM),
    "routes.undecided": closed(
        reject={"type": ["integer", "null"], "minimum": 400, "maximum": 599}, cell={"type": ["string", "null"]}
    ),
    "routes.cors": closed(
        allowOrigins=entries(closed(exact=text(), prefix=text(), regex=text())),
        allowMethods=entries(text()),
        allowHeaders=entries(text()),
        exposeHeaders=entries(text()),
        maxAge=text(DURATION),
        allowCredentials={"type": "boolean"},
        unmatchedPreflights=one_of("UNSPECIFIED", "FORWARD", "IGNORE"),
    ),
    "traffic.idleTimeout": OPTIONAL_DURATION,
    "traffic.retries.perTryTimeout": OPTIONAL_DURATION,
    "traffic.retries.budget.percent": PERCENT,
    "traffic.connectionPool": VERBATIM,
    "traffic.outlierDetection": VERBATIM,
    "traffic.loadBalancer": VERBATIM,
    "traffic.tls": VERBATIM,
    "traffic.fault": VERBATIM,
    "neighbours.accept": entries(text("^(VirtualService|HTTPRoute|GRPCRoute|DestinationRule|EnvoyFilter|Telemetry)/[^/]+/[^/]+$")),
    "filter.attach": entries(
        closed(
            name=text(),
            type=one_of("gateway", "sidecar-inbound", "sidecar-outbound", "waypoint"),
            namespace=text(),
            selector=TEXTS,
            targetRefs=entries(VERBATIM),
            serviceAccount=text(),
            cell=text(),
            position=one_of("first", "after_authentication"),
            ports=entries(PORT),
        )
    ),
    "filter.streamIdleTimeout": OPTIONAL_DURATION,
    "filter.requestTimeout": OPTIONAL_DURATION,
    "filter.bufferBytes": {**SIZE_OR_BYTES, "pattern": optional(SIZE)},
    "filter.priority": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "extProc.replicas": POSITIVE,
    # Envoy's thresholds have 32 bits.
    "extProc.maxRequests": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "extProc.bodyMode": one_of("stream", "buffer"),
    "extProc.autoscaling.minReplicas": POSITIVE,
    "extProc.autoscaling.maxReplicas": POSITIVE,
    "extProc.autoscaling.cpuUtilization": POSITIVE,
    "extProc.autoscaling.requestsPerReplica": POSITIVE,
    "extProc.autoscaling.type": one_of("none", "hpa", "keda"),
    "extProc.podDisruptionBudget.maxUnavailable": {"type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+%$"},
    "extProc.resources.requests": VERBATIM,
    "extProc.resources.limits": VERBATIM,
    # A string, because Helm prints large numbers as 5.36870912e+08.
    "extProc.maxHeldBytes": text(SIZE),
    "extProc.budgetTimeout": text(SERVE_DURATION),
    "extProc.limitHeaders": one_of("none", "refused", "all"),
    "extProc.leaseTerm": text(SERVE_DURATION),
    "extProc.syncInterval": text(SERVE_DURATION),
    "extProc.maxLimitKeys": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    # templates/_validate_limit_store.tpl reports a URL that is not valid: a message must not show a password in it.
    "extProc.limitStore.url": text(),
    "extProc.limitStore.cluster": one_of("", "domain", "key"),
    "extProc.limitStore.timeout": text(SERVE_DURATION),
    # As for limitStore.url: templates/_validate_tracing.tpl reports an endpoint that is not valid.
    "extProc.tracing.endpoint": text(),
    "extProc.tracing.protocol": one_of("grpc", "http/protobuf"),
    "extProc.tracing.samplePercent": {"type": "number", "minimum": 0, "maximum": 100},
    "extProc.notReadyAbove": {"type": "integer", "minimum": 0, "maximum": 100},
    "extProc.decisionTimeout": text(SERVE_DURATION),
    "extProc.drainDelay": text(SERVE_DURATION),
    "extProc.drainTimeout": text(SERVE_DURATION),
    "extProc.annotations": TEXTS,
    "extProc.service.annotations": TEXTS,
    "extProc.service.ipFamilyPolicy": one_of("", "SingleStack", "PreferDualStack", "RequireDualStack"),
    "extProc.service.ipFamilies": entries(one_of("IPv4", "IPv6")),
    "extProc.extraArgs": entries(text("^--")),
    "extProc.extraEnv": entries(VERBATIM),
    "extProc.extraVolumes": entries(VERBATIM),
    "extProc.extraVolumeMounts": entries(VERBATIM),
    "extProc.initContainers": entries(VERBATIM),
    "extProc.extraContainers": entries(VERBATIM),
    "extProc.affinity": VERBATIM,
    "extProc.updateStrategy": VERBATIM,
    "extProc.terminationGracePeriodSeconds": {"type": ["integer", "string"], "minimum": 1, "pattern": "^$"},
    "extProc.podDisruptionBudget.minAvailable": {"type": ["integer", "string"], "minimum": 0, "pattern": "^([0-9]+%?)?$"},
    "extProc.topologySpreadConstraints": entries(VERBATIM),
    "extProc.podLabels": TEXTS,
    "extProc.podAnnotations": TEXTS,
    "extProc.nodeSelector": TEXTS,
    "extProc.tolerations": entries(VERBATIM),
    "extProc.spread": one_of("ScheduleAnyway", "DoNotSchedule"),
    "extProc.secrets": entries(closed(["name", "mountPath"], name=text(), mountPath=text("^/"))),
    "extProc.externalSecrets": entries(closed(["name", "store", "data"], name=text(), store=VERBATIM, data=entries(VERBATIM))),
    "extProc.networkPolicy.extraIngress": entries(
        closed(namespaceSelector=VERBATIM, podSelector=VERBATIM, ipBlock=VERBATIM)
    ),
    "extProc.networkPolicy.extraEgress": entries(closed(["ports"], to=entries(VERBATIM), ports=entries(VERBATIM))),
    "mtls.mode": one_of("STRICT", "PERMISSIVE"),
    "mtls.callers": entries(text()),
    "monitoring.serviceMonitor.labels": TEXTS,
    "monitoring.prometheusRule.labels": TEXTS,
    # A pager opens it, so no path.
    "monitoring.runbookBase": text(optional("^https?://.+$")),
    "monitoring.scrapers": entries(text()),
    "monitoring.slo.availability": OBJECTIVE,
    "monitoring.slo.correctness": OBJECTIVE,
    "monitoring.slo.latency": OBJECTIVE,
    "monitoring.slo.minBadRequests": POSITIVE,
    # Bounds of the histogram that are no whole numbers: Prometheus 3 writes those as 1.0 and Prometheus 2 as 1.
    "monitoring.slo.latencySeconds": {"type": "number", "enum": LATENCY_BOUNDS},
    "monitoring.dashboards.labels": TEXTS,
    "monitoring.dashboards.annotations": TEXTS,
    "istio.telemetry.tracing.sampling": {"type": ["number", "string"], "minimum": 0, "maximum": 100},
    "istio.telemetry.tracing.customTags": {"type": "object", "additionalProperties": VERBATIM},
    "test.keys": TEXTS,
}
# Allowed fields of a value that its default does not have.
MORE = {
    "traffic": {"fault": VERBATIM},
    # The rest of Istio's HTTPRetry.
    "traffic.retries": {
        "retryRemoteLocalities": {"type": "boolean"},
        "retryIgnorePreviousHosts": {"type": "boolean"},
        "backoff": text(DURATION),
    },
}
CELL = {
    "host": text(),
    "port": PORT,
    "namespace": text(),
    "workload": TEXTS,
    "drain": {"type": "boolean"},
    "versions": entries(
        closed(["name", "labels", "weight"], name=text(), labels=TEXTS, weight={"type": "integer", "minimum": 0, "maximum": 100})
    ),
    "mirror": closed(["cell"], cell=text(), percent=PERCENT),
}


class Value:
    """A key of values.yaml: its path, its default as it is written, its comment, and the example under it."""

    def __init__(self, path, default, comment):
        self.path, self.default, self.comment, self.example = path, default, comment, []
        self.children = []

    def described(self):
        return bool(self.comment) or any(child.described() for child in self.children)


def read(lines):
    """The values, as a tree under one without a name. Knows what values.yaml is written in: block maps, flow values."""
    root = Value("", "", "")
    parents, comment, last = [(-1, root)], [], root
    for number, line in enumerate(lines, 1):
        if not line.strip():
            comment = []
        elif re.match(r"# {2,}", line):
            last.example.append(line[1:])
        elif line.lstrip().startswith("# "):
            comment.append(line.strip()[2:])
        else:
            found = re.fullmatch(r"( *)(\w+):(?: ([^#]*))?", line)
            if not found:
                raise SystemExit(f"values.yaml:{number}: expected `key: value`, in one line, or a comment above one")
            indent = len(found[1])
            while parents[-1][0] >= indent:
                parents.pop()
            above = parents[-1][1]
            last = Value(f"{above.path}.{found[2]}".lstrip("."), found[3] or "", " ".join(comment))
            above.children.append(last)
            parents.append((indent, last))
            comment = []
    return root


def schema(values, defaults):
    """The schema of values.yaml, draft 7: the newest that every Helm 3 reads."""
    comments = {}

    def collect(value):
        comments[value.path] = value.comment
        for child in value.children:
            collect(child)

    collect(values)
    config, definitions = config_schema()

    shapes = {**SHAPES, "config": config, "cells": {"type": "object", "additionalProperties": {"$ref": "#/definitions/Cell"}}}

    def shape(path, default):
        found = shapes.get(path) or inferred(path, default)
        return {**({"description": comments[path]} if comments.get(path) else {}), **found}

    def inferred(path, default):
        if isinstance(default, bool):
            return {"type": "boolean"}
        if isinstance(default, int):
            return {"type": "integer", "minimum": 0}
        if isinstance(default, str):
            if re.match(DURATION, default):
                return text(DURATION)
            return SIZE_OR_BYTES if re.match(r"^[0-9]+[KMG]iB$", default) else text()
        if isinstance(default, dict) and default:
            fields = {key: shape(f"{path}.{key}".lstrip("."), value) for key, value in default.items()}
            return closed(**{**fields, **MORE.get(path, {})})
        raise SystemExit(f"values.yaml: {path}: the default {default!r} does not show the type; add the value to SHAPES")

    whole = inferred("", defaults)
    cell = closed(**CELL, **strip(whole["properties"]["traffic"])["properties"])
    definitions["Cell"] = {**cell, "type": ["object", "null"]}
    # Helm puts it there when the chart is another one's dependency.
    whole["properties"]["global"] = {"type": "object"}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the Cellgate chart",
        "description": "Generated by scripts/chart-docs.py. Checks across several values are in templates/_validate*.tpl.",
        **whole,
        "definitions": definitions,
    }


def strip(found):
    """Without descriptions: those of `traffic` need not be there twice."""
    if isinstance(found, dict):
        return {key: strip(value) for key, value in found.items() if key != "description" or not isinstance(value, str)}
    return [strip(item) for item in found] if isinstance(found, list) else found


def config_schema():
    """Cellgate's own schema, which is of draft 2020-12 and for a whole configuration, as a part of this one.

    templates/_validate_config.tpl reports missing fields, and fields that the chart sets: its messages say more than a schema can."""
    # JSON Schema's regular expressions know \u0000, Helm's only \x00.
    written = re.sub(r"\\\\u00([0-9a-f]{2})", r"\\\\x\1", CONFIG_SCHEMA.read_text())
    # Draft 7 has another name for `dependentRequired`.
    renamed = written.replace("#/$defs/", "#/definitions/").replace('"dependentRequired"', '"dependencies"')
    found = json.loads(renamed)
    properties = {key: value for key, value in found["properties"].items() if key != "$schema"}
    for filled_in in ["cells", "decided_by"]:
        properties[filled_in] = {"description": "The chart sets this."}
    config = {"type": "object", "additionalProperties": False, "properties": properties}
    return config, found["$defs"]


def readme(values):
    sections = [value for value in values.children if value.children or value.example]
    plain = [value for value in values.children if value not in sections]
    parts = [(CHART / "README.head.md").read_text().rstrip(), "## Values", table(plain)]
    for section in sections:
        parts += [f"### `{section.path}`", wrapped(section.comment)]
        if section.children:
            parts.append(table(rows(section)))
        parts += [example(value) for value in [section, *rows(section)] if value.example]
    return "\n\n".join(part for part in parts if part) + "\n"


def wrapped(comment):
    """A paragraph in lines of at most 100 columns."""
    return textwrap.fill(comment, 100, break_long_words=False, break_on_hyphens=False)


def rows(section):
    """The rows of a section's table: one for each value. A map without described fields is one row."""
    found = []
    for value in section.children:
        if value.children and any(child.described() for child in value.children):
            found += ([value] if value.comment else []) + rows(value)
        else:
            found.append(value)
    return found


def table(values):
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for value in values:
        default = flow(value) if not value.children or not any(child.described() for child in value.children) else ""
        cells = [f"`{value.path}`", f"`{default}`" if default else "", value.comment]
        lines.append(" | ".join(["", *(cell.replace("|", "\\|") for cell in cells), ""]).strip())
    return "\n".join(lines)


def flow(value):
    """The default in one line."""
    if not value.children:
        return value.default
    return "{ " + ", ".join(f"{child.path.rsplit('.', 1)[-1]}: {flow(child)}" for child in value.children) + " }"


def example(value):
    keys = value.path.split(".")
    above = [f"{'  ' * depth}{key}:" for depth, key in enumerate(keys)]
    return "\n".join(["```yaml", *above, *value.example, "```"])


def main():
    chart_tools.enter()
    import yaml  # is there since `enter`

    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    written = (CHART / "values.yaml").read_text()
    values = read(written.splitlines())
    wanted = {
        CHART / "README.md": readme(values),
        CHART / "values.schema.json": json.dumps(schema(values, yaml.safe_load(written)), indent=2, ensure_ascii=False) + "\n",
    }
    stale = [file for file, content in wanted.items() if not file.exists() or file.read_text() != content]
    for file in stale:
        name = file.relative_to(chart_tools.ROOT)
        if sys.argv[1:]:
            print(f"{name} is not current: run `make manifests`", file=sys.stderr)
        else:
            file.write_text(wanted[file])
            print(f"{name}: written")
    return 1 if stale and sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
