"""Values that the chart refuses: for each, why, and the path that the message has to name."""

import chart
import matrix

GATEWAY = chart.VALUES["filter"]["attach"][0]
HTTP_ROUTE = matrix.HTTP_ROUTE


def attach(**change):
    """The gateway's entry in another form."""
    return {"filter": {"attach": [chart.merge(GATEWAY, change)]}}


def cell(**change):
    return {"cells": {"cell-a": change}}


def placement(change):
    return {"config": {"placement": change}}


def sources(*key):
    return {"config": {"key": list(key)}}


def cors(origin, **more):
    return {"routes": {"cors": {"allowOrigins": [origin], **more}}}


# A host that is none of Kubernetes' own.
OUTSIDE = {"host": "d.example.com", "port": 80}

# The mistake, a change of chart.VALUES that makes it, and words that the message has to contain. Helm names an unknown value and the
# path above it apart from each other.
WRONG = [
    # What has no default.
    ("no image", {"image": None}, "image.repository"),
    ("no cells", {"cells": None}, "cells"),
    ("no key", {"config": {"key": None}}, "config.key"),
    ("no placement", {"config": {"placement": None}}, "config.placement"),
    ("no hosts", {"routes": {"hosts": None}}, "routes.hosts"),
    ("host with a port", {"routes": {"hosts": ["api.example.com:8443"]}}, "routes.hosts"),
    ("host with a dot at its end", {"routes": {"hosts": ["api.example.com."]}}, "routes.hosts"),
    ("more hosts than the filter knows", {"routes": {"hosts": [f"h{n}.example.com" for n in range(64)]}}, "routes.hosts"),
    ("probe's host with a space", {"test": {"host": "a b"}}, "test.host"),
    ("no gateways", {"routes": {"gateways": None}}, "routes.gateways"),
    ("no parents", {"routes": {"api": "gateway-api"}}, "routes.parentRefs"),
    ("no attachment", {"filter": {"attach": []}}, "filter.attach"),
    ("no module", {"filter": {"module": None}}, "filter.module"),
    # Images and modules that are not pinned.
    ("latest tag", {"image": {"tag": "latest"}}, "image.tag"),
    ("tag in the repository", {"image": {"repository": "registry.example/cellgate:1"}}, "image.repository"),
    ("wrong digest", {"image": {"digest": "sha256:abc"}}, "image.digest"),
    ("module without sha256", {"filter": {"module": {"sha256": None}}}, "filter.module.sha256"),
    ("module with a short sha256", {"filter": {"module": {"sha256": "5e5e"}}}, "filter.module.sha256"),
    ("module of another scheme", {"filter": {"module": {"url": "ftp://registry.example/x.wasm"}}}, "filter.module.url"),
    ("module by url and path", {"filter": {"module": {"path": "/cellgate.wasm"}}}, "filter.module"),
    # Cells.
    ("cell without a host", {"cells": {"cell-d": {"port": 80}}}, "cells.cell-d.host"),
    ("cell without a port", {"cells": {"cell-d": {"host": "api.cell-d.svc.cluster.local"}}}, "cells.cell-d.port"),
    ("port out of range", cell(port=70000), "cells.cell-a.port"),
    ("cell by a name that is none", {"cells": {"cell d": {"host": "d.d.svc.cluster.local", "port": 80}}}, "cells"),
    ("cell called default", {"cells": {"default": {"host": "d.d.svc.cluster.local", "port": 80}}}, "cells"),
    ("cell outside without a namespace", {"cells": {"cell-d": OUTSIDE}}, "cells.cell-d.namespace"),
    ("two cells of one host", cell(host="api.cell-b.svc.cluster.local"), "cells.cell-"),
    ("every cell drained", {"cells": {name: {"drain": True} for name in ["cell-a", "cell-b", "cell-c"]}}, "drain"),
    ("mirror to nowhere", cell(mirror={"cell": "cell-z", "percent": 5}), "cells.cell-a.mirror.cell"),
    ("mirror to itself", cell(mirror={"cell": "cell-a", "percent": 5}), "cells.cell-a.mirror.cell"),
    ("mirror of more than all", cell(mirror={"cell": "cell-b", "percent": 101}), "cells.cell-a.mirror.percent"),
    ("weights that are not 100", cell(versions=[{"name": "v1", "labels": {"v": "1"}, "weight": 90}]), "cells.cell-a.versions"),
    (
        "versions of one name",
        cell(versions=[{"name": "v1", "labels": {"v": "1"}, "weight": 50}] * 2),
        "cells.cell-a.versions",
    ),
    ("misspelt setting of a cell", cell(conectionPool={}), "cells.cell-a conectionPool"),
    # What is read of a request.
    ("a source twice", sources({"json": "/tenant/id"}, {"json": "/tenant/id"}), "config.key[1] already"),
    ("a source in two spellings", sources({"header": "X-Tenant"}, {"header": "x-tenant"}), "config.key[1] already"),
    ("a key in the routing header", sources({"json": "/tenant/id"}, {"header": "X-Cell"}), "config.key[1].header x-cell"),
    ("a key in its other spelling", sources({"header": "x_cell"}), "config.key[0].header x_cell"),
    ("a key in a header of the connection", sources({"header": "TE"}), "config.key[0].header te"),
    ("a key in a header that frames the body", sources({"header": "Content-Length"}), "config.key[0].header content-length"),
    (
        "a key in a header that is refused",
        {**sources({"header": "x_tenant"}), "filter": {"refuseUnderscores": True}},
        "config.key[0].header x_tenant filter.refuseUnderscores",
    ),
    ("routing by a header of the connection", {"config": {"routing_header": "Keep-Alive"}}, "config.routing_header Keep-Alive"),
    ("routing by a header of envoy's", {"config": {"routing_header": "x-envoy-cell"}}, "config.routing_header x-envoy-cell"),
    ("routing by a header of cellgate's", {"config": {"routing_header": "x-cellgate-cell"}}, "config.routing_header x-cellgate-"),
    ("methods in small letters", {"config": {"applies_to": {"methods": ["POST", "put"]}}}, "config.applies_to.methods put"),
    # Placement and policies that name a cell.
    ("unknown cell in an override", placement({"overrides": {"acme": "cell-z"}}), "config.placement.overrides.acme"),
    ("unknown cell in a name", placement({"exact": {"acme": "cell-z"}}), "config.placement.exact.acme"),
    ("unknown cell in a prefix", placement({"prefixes": {"eu-": "cell-z"}}), "config.placement.prefixes.eu-"),
    ("unknown default", placement({"default": "cell-z"}), "config.placement.default"),
    ("weight of no cell", placement({"slots": {"weights": {"cell-z": 1}}}), "config.placement.slots.weights"),
    ("unknown cell in a policy", {"config": {"policy": {"key_missing": {"use": "cell-z"}}}}, "config.policy.key_missing"),
    ("cells of the configuration", {"config": {"cells": ["cell-a"]}}, "config.cells"),
    ("misspelt field", {"config": {"polycy": {}}}, "config polycy"),
    ("peers of the configuration", {"config": {"decided_by": {"peers": ["spiffe://a/ns/b/sa/c"]}}}, "config.decided_by"),
    (
        "deferral to nobody",
        {"config": {"policy": {"body_too_large": "defer"}}, "extProc": {"enabled": False}},
        "config.policy.body_too_large",
    ),
    # Routes.
    ("unknown api", {"routes": {"api": "ingress"}}, "routes.api"),
    ("status of a success", {"routes": {"undecided": {"reject": 200}}}, "routes.undecided.reject"),
    ("undecided to nowhere", {"routes": {"undecided": {"reject": None, "cell": "cell-z"}}}, "routes.undecided.cell"),
    ("undecided without an answer", {"routes": {"undecided": {"reject": None}}}, "routes.undecided"),
    ("routes in shadow", {"filter": {"shadow": True}, "extProc": {"enabled": False}}, "filter.shadow routes.enabled"),
    ("a service beside shadow", {"filter": {"shadow": True}, "routes": {"enabled": False}}, "filter.shadow extProc.enabled"),
    ("shadow of the configuration", {"config": {"shadow": True}}, "config.shadow"),
    ("routes without the filter", {"filter": {"enabled": False}}, "filter.enabled"),
    ("mirror by gateway api", {"routes": HTTP_ROUTE, **cell(mirror={"cell": "cell-b", "percent": 5})}, "cells.cell-a.mirror"),
    ("routes of istio's by gateway api", {"routes": {**HTTP_ROUTE, "extra": [{"name": "x"}]}}, "routes.extra"),
    ("fault by gateway api", {"routes": HTTP_ROUTE, **cell(fault={"abort": {"httpStatus": 503}})}, "cells.cell-a.fault"),
    ("versions by gateway api", {"routes": HTTP_ROUTE, **cell(versions=matrix.CANARY)}, "cells.cell-a.versions"),
    (
        "tries longer than the request",
        {"traffic": {"timeout": "1s", "retries": {"perTryTimeout": "2s"}}},
        "traffic.retries.perTryTimeout",
    ),
    ("an idle time that is none", {"traffic": {"idleTimeout": "5"}}, "traffic.idleTimeout"),
    # Pages of other origins.
    ("origins of nobody", {"routes": {"cors": {"allowMethods": ["GET"]}}}, "routes.cors.allowOrigins"),
    ("an origin in two ways", cors({"exact": "https://a.example.com", "prefix": "https://b."}), "routes.cors.allowOrigins[0]"),
    ("an empty origin", cors({"prefix": ""}), "routes.cors.allowOrigins[0]"),
    ("cookies for everybody", cors({"exact": "*"}, allowCredentials=True), "routes.cors.allowCredentials"),
    ("cookies by a pattern", cors({"regex": "https?://.*"}, allowCredentials=True), "routes.cors.allowCredentials"),
    ("cookies by a prefix", cors({"prefix": "https://"}, allowCredentials=True), "routes.cors.allowCredentials"),
    ("origins as texts", cors("https://a.example.com"), "routes.cors.allowOrigins"),
    ("misspelt part of a policy", cors({"exact": "https://a.example.com"}, allowHeader=["x"]), "routes.cors allowHeader"),
    ("cors by gateway api", {"routes": {**HTTP_ROUTE, "cors": {"allowOrigins": [{"exact": "*"}]}}}, "routes.cors Gateway"),
    ("no deferred request at all", {"extProc": {"maxRequests": 0}}, "extProc.maxRequests"),
    ("unknown mode of bodies", {"extProc": {"bodyMode": "whole"}}, "extProc.bodyMode"),
    ("attachment of the limits' name", attach(name="ingress-limits"), "filter.attach[0].name"),
    ("negative tries", {"traffic": {"retries": {"attempts": -1}}}, "traffic.retries.attempts"),
    ("a time that is none", {"traffic": {"timeout": "30"}}, "traffic.timeout"),
    ("limits that contradict", {"config": {"limits": {"stream_bytes": "32KiB"}}}, "config.limits.stream_bytes"),
    (
        "weights of nothing",
        placement({"slots": {"weights": {"cell-a": 0, "cell-b": 0, "cell-c": 0}}}),
        "config.placement.slots.weights",
    ),
    # Where the filter runs.
    ("unknown type", attach(type="pod"), "filter.attach"),
    ("empty selector", {"filter": {"attach": [{**GATEWAY, "selector": {}}]}}, "filter.attach"),
    ("no selector", attach(selector=None), "filter.attach"),
    ("selector and targets", attach(targetRefs=chart.WAYPOINT["targetRefs"]), "filter.attach"),
    ("no namespace", attach(namespace=None), "filter.attach"),
    ("the mesh's own namespace", attach(namespace="istio-system", selector=None), "filter.attach"),
    ("no account while mtls is on", attach(serviceAccount=None), "filter.attach"),
    ("two of one name", {"filter": {"attach": [GATEWAY, GATEWAY]}}, "filter.attach"),
    ("workload of no cell", {"filter": {"attach": [GATEWAY, {**chart.SIDECAR, "cell": "cell-z"}]}}, "filter.attach"),
    ("gateway of a cell", attach(cell="cell-a"), "filter.attach"),
    ("waypoint by labels", {"filter": {"attach": [{**GATEWAY, "type": "waypoint"}]}}, "filter.attach"),
    # Limits that contradict.
    ("buffer below what the filter holds", {"filter": {"bufferBytes": "32KiB"}}, "filter.bufferBytes"),
    ("a size that is none", {"config": {"limits": {"inspect_bytes": "64k"}}}, "config.limits.inspect_bytes"),
    ("a size out of range", {"config": {"limits": {"inspect_bytes": "32MiB"}}}, "config.limits.inspect_bytes"),
    ("memory below what is held", {"extProc": {"maxHeldBytes": "1GiB"}}, "extProc.resources.limits.memory"),
    ("no memory limit", {"extProc": {"resources": {"limits": {"memory": ""}}}}, "extProc.resources.limits.memory"),
    ("service slower than envoy", {"extProc": {"messageTimeout": "10s"}}, "extProc.messageTimeout"),
    ("held bytes below one request's", {"extProc": {"maxHeldBytes": "1MiB"}}, "extProc.maxHeldBytes"),
    # The service.
    ("unknown autoscaler", {"extProc": {"autoscaling": {"type": "vpa"}}}, "extProc.autoscaling.type"),
    ("keda without prometheus", {"extProc": {"autoscaling": {"type": "keda"}}}, "extProc.autoscaling.prometheusAddress"),
    (
        "more at least than at most",
        {"extProc": {"autoscaling": {"type": "hpa", "minReplicas": 11}}},
        "extProc.autoscaling.m",
    ),
    ("no replicas", {"extProc": {"replicas": 0}}, "extProc.replicas"),
    ("secret without a name", {"extProc": {"secrets": [{"mountPath": "/x"}]}}, "extProc.secrets"),
    ("unknown spread", {"extProc": {"spread": "Always"}}, "extProc.spread"),
    # Identities.
    ("unknown mode", {"mtls": {"mode": "DISABLE"}}, "mtls.mode"),
    (
        "routing header with an underscore",
        {"config": {"routing_header": "x_cell"}, "filter": {"refuseUnderscores": True}},
        "config.routing_header",
    ),
    ("caller without a namespace", {"mtls": {"callers": ["shop"]}}, "mtls.callers"),
    ("attachment of the guard's name", attach(name="guard"), "filter.attach[0].name"),
    # Istio would take these for patterns.
    ("any caller of a namespace", {"mtls": {"callers": ["apps/*"]}}, "mtls.callers"),
    ("any trust domain", {"mtls": {"trustDomain": "*"}}, "mtls.trustDomain"),
    ("any account of the proxies", attach(serviceAccount="*"), "filter.attach[0].serviceAccount"),
    ("sidecars of the whole mesh", attach(type="sidecar-outbound", namespace="istio-system"), "filter.attach[0].namespace"),
    ("scraper without a namespace", {"monitoring": {"scrapers": ["prometheus"]}}, "monitoring.scrapers"),
    # Shape.
    ("misspelt value", {"extproc": {"enabled": False}}, "extproc"),
    ("misspelt value inside", {"filter": {"atach": []}}, "filter atach"),
    ("text for a number", {"extProc": {"replicas": "two"}}, "extProc.replicas"),
    # Refusals that only one value provokes.
    ("helm annotation for every object", {"commonAnnotations": {"helm.sh/hook": "pre-install"}}, "commonAnnotations hook"),
    ("short host of a cell", cell(host="api"), "cells.cell-a.host"),
    ("two cells of one workload", {"cells": {"cell-d": {"host": "x.cell-b.svc.cluster.local", "port": 80}}}, "cells.cell-d.workload"),
    ("version without labels", cell(versions=[{"name": "v1", "weight": 100}]), "cells.cell-a.versions"),
    ("a try's time that is not valid", {"traffic": {"retries": {"perTryTimeout": "10"}}}, "traffic.retries.perTryTimeout"),
    ("cell outside kubernetes by gateway api", {"routes": HTTP_ROUTE, **cell(host="a.example.com", namespace="cell-a")}, "cells.cell-a.host"),
    ("trust domain with a space", {"mtls": {"trustDomain": "a b"}}, "mtls.trustDomain"),
    ("routing header that is not a header name", {"config": {"routing_header": "x cell"}}, "config.routing_header"),
    ("weights without a cell", placement({"slots": {"weights": {"cell-a": 1, "cell-b": 1}}}), "config.placement.slots.weights cell-c"),
    ("policy that uses a missing default", {"config": {"policy": {"key_missing": {"use": "default"}}}}, "config.policy.key_missing.use"),
    ("a buffer size that is not valid", {"filter": {"bufferBytes": "64k"}}, "filter.bufferBytes"),
    ("name of an attachment with a space", attach(name="a b"), "filter.attach[0].name"),
    ("ports of a waypoint", {"filter": {"attach": [{**chart.WAYPOINT, "ports": [8080]}]}}, "filter.attach[0].ports"),
    ("port of an attachment out of range", attach(ports=[70000]), "filter.attach"),
    ("a stream's idle time that is not valid", {"filter": {"streamIdleTimeout": "30"}}, "filter.streamIdleTimeout"),
    ("latest module", {"filter": {"module": {"url": "oci://registry.example/cellgate-filter:latest"}}}, "filter.module.url"),
    ("held bytes that are not a size", {"extProc": {"maxHeldBytes": "512M"}}, "extProc.maxHeldBytes"),
    ("a decision's time that is not valid", {"extProc": {"decisionTimeout": "10"}}, "extProc.decisionTimeout"),
]
