"""Values that the chart refuses: for each, why, and the path that the message has to name."""

import chart
import matrix

GATEWAY = chart.VALUES["filter"]["attach"][0]
HTTP_ROUTE = matrix.HTTP_ROUTE


def attach(**change):
    """The gateway's entry with a change."""
    return {"filter": {"attach": [chart.merge(GATEWAY, change)]}}


def cell(**change):
    return {"cells": {"cell-a": change}}


def placement(change):
    return {"config": {"placement": change}}


def sources(*key):
    return {"config": {"key": list(key)}}


def cors(origin, **more):
    return {"routes": {"cors": {"allowOrigins": [origin], **more}}}


def limited(**change):
    """A rate limit with a change."""
    return {"config": {"rate_limits": [{**matrix.PER_TENANT, **change}]}}


def leased(**service):
    """A leased limit with settings of the service."""
    return {"config": {"rate_limits": [matrix.LEASED]}, "extProc": {"limitStore": matrix.STORE, **service}}


def traced(**change):
    """Telemetry resources with a change of their tracing."""
    return {"istio": {"telemetry": {"tracing": {"enabled": True, **change}}}}


def store(**change):
    """A store of rate limits with a change."""
    return {"extProc": {"limitStore": chart.merge(matrix.STORE, change)}}


def tracing(**change):
    """Traces by TLS with a change."""
    return {"extProc": {"tracing": chart.merge(matrix.TRACING, change)}}


# A host that is not a Kubernetes service.
OUTSIDE = {"host": "d.example.com", "port": 80}

# The mistake, a change of chart.VALUES that makes it, and words that the message has to contain. Helm names an unknown value and the
# path above it apart from each other.
WRONG = [
    # Required values.
    ("missing image", {"image": None}, "image.repository"),
    ("missing cells", {"cells": None}, "cells"),
    ("missing key", {"config": {"key": None}}, "config.key"),
    ("missing placement", {"config": {"placement": None}}, "config.placement"),
    ("missing hosts", {"routes": {"hosts": None}}, "routes.hosts"),
    ("host with a port", {"routes": {"hosts": ["api.example.com:8443"]}}, "routes.hosts"),
    ("host with a dot at its end", {"routes": {"hosts": ["api.example.com."]}}, "routes.hosts"),
    ("more hosts than the filter accepts", {"routes": {"hosts": [f"h{n}.example.com" for n in range(64)]}}, "routes.hosts"),
    ("test host with a space", {"test": {"host": "a b"}}, "test.host"),
    ("missing gateways", {"routes": {"gateways": None}}, "routes.gateways"),
    ("missing parentRefs", {"routes": {"api": "gateway-api"}}, "routes.parentRefs"),
    ("missing attachment", {"filter": {"attach": []}}, "filter.attach"),
    ("missing module", {"filter": {"module": None}}, "filter.module"),
    # Images and modules.
    ("image with the tag latest", {"image": {"tag": "latest"}}, "image.tag"),
    ("tag in the image repository", {"image": {"repository": "registry.example/cellgate:1"}}, "image.repository"),
    ("digest that is not valid", {"image": {"digest": "sha256:abc"}}, "image.digest"),
    ("module without sha256", {"filter": {"module": {"sha256": None}}}, "filter.module.sha256"),
    ("module with a short sha256", {"filter": {"module": {"sha256": "5e5e"}}}, "filter.module.sha256"),
    ("module with the placeholder as sha256", {"filter": {"module": {"sha256": "0" * 64}}}, "filter.module.sha256"),
    ("image with the placeholder as digest", {"image": {"digest": "sha256:" + "0" * 64}}, "image.digest"),
    ("module with an unknown scheme", {"filter": {"module": {"url": "ftp://registry.example/x.wasm"}}}, "filter.module.url"),
    ("module with url and path", {"filter": {"module": {"path": "/cellgate.wasm"}}}, "filter.module"),
    # Cells.
    ("cell without a host", {"cells": {"cell-d": {"port": 80}}}, "cells.cell-d.host"),
    ("cell without a port", {"cells": {"cell-d": {"host": "api.cell-d.svc.cluster.local"}}}, "cells.cell-d.port"),
    ("port out of range", cell(port=70000), "cells.cell-a.port"),
    ("cell with a name that is not valid", {"cells": {"cell d": {"host": "d.d.svc.cluster.local", "port": 80}}}, "cells"),
    ("cell with the name default", {"cells": {"default": {"host": "d.d.svc.cluster.local", "port": 80}}}, "cells"),
    ("cell outside kubernetes without a namespace", {"cells": {"cell-d": OUTSIDE}}, "cells.cell-d.namespace"),
    ("two cells with the same host", cell(host="api.cell-b.svc.cluster.local"), "cells.cell-"),
    ("every cell drained", {"cells": {name: {"drain": True} for name in ["cell-a", "cell-b", "cell-c"]}}, "drain"),
    ("mirror to an unknown cell", cell(mirror={"cell": "cell-z", "percent": 5}), "cells.cell-a.mirror.cell"),
    ("mirror of a cell to itself", cell(mirror={"cell": "cell-a", "percent": 5}), "cells.cell-a.mirror.cell"),
    ("mirror of more than 100 percent", cell(mirror={"cell": "cell-b", "percent": 101}), "cells.cell-a.mirror.percent"),
    ("version weights that do not add up to 100", cell(versions=[{"name": "v1", "labels": {"v": "1"}, "weight": 90}]), "cells.cell-a.versions"),
    (
        "versions with the same name",
        cell(versions=[{"name": "v1", "labels": {"v": "1"}, "weight": 50}] * 2),
        "cells.cell-a.versions",
    ),
    ("misspelt setting of a cell", cell(conectionPool={}), "cells.cell-a conectionPool"),
    # Sources of the key, and header names.
    ("duplicate source", sources({"json": "/tenant/id"}, {"json": "/tenant/id"}), "config.key[1] already"),
    ("duplicate header source in another case", sources({"header": "X-Tenant"}, {"header": "x-tenant"}), "config.key[1] already"),
    ("key in the routing header", sources({"json": "/tenant/id"}, {"header": "X-Cell"}), "config.key[1].header x-cell"),
    ("key in the routing header with an underscore", sources({"header": "x_cell"}), "config.key[0].header x_cell"),
    ("key in a header of the connection", sources({"header": "TE"}), "config.key[0].header te"),
    ("key in a header that frames the body", sources({"header": "Content-Length"}), "config.key[0].header content-length"),
    (
        "key in a header that is refused",
        {**sources({"header": "x_tenant"}), "filter": {"refuseUnderscores": True}},
        "config.key[0].header x_tenant filter.refuseUnderscores",
    ),
    ("routing header that applies to the connection", {"config": {"routing_header": "Keep-Alive"}}, "config.routing_header Keep-Alive"),
    ("routing header that envoy reserves", {"config": {"routing_header": "x-envoy-cell"}}, "config.routing_header x-envoy-cell"),
    ("routing header that cellgate reserves", {"config": {"routing_header": "x-cellgate-cell"}}, "config.routing_header x-cellgate-"),
    ("methods in lower case", {"config": {"applies_to": {"methods": ["POST", "put"]}}}, "config.applies_to.methods put"),
    # Placement and policies that name a cell.
    ("unknown cell in an override", placement({"overrides": {"acme": "cell-z"}}), "config.placement.overrides.acme"),
    ("unknown cell in an exact key", placement({"exact": {"acme": "cell-z"}}), "config.placement.exact.acme"),
    ("unknown cell in a prefix", placement({"prefixes": {"eu-": "cell-z"}}), "config.placement.prefixes.eu-"),
    ("unknown default cell", placement({"default": "cell-z"}), "config.placement.default"),
    ("weight of an unknown cell", placement({"slots": {"weights": {"cell-z": 1}}}), "config.placement.slots.weights"),
    ("unknown cell in a policy", {"config": {"policy": {"key_missing": {"use": "cell-z"}}}}, "config.policy.key_missing"),
    ("cells inside config", {"config": {"cells": ["cell-a"]}}, "config.cells"),
    ("misspelt field", {"config": {"polycy": {}}}, "config polycy"),
    ("decided_by inside config", {"config": {"decided_by": {"peers": ["spiffe://a/ns/b/sa/c"]}}}, "config.decided_by"),
    (
        "deferral without the service",
        {"config": {"policy": {"body_too_large": "defer"}}, "extProc": {"enabled": False}},
        "config.policy.body_too_large",
    ),
    # Routes.
    ("unknown api", {"routes": {"api": "ingress"}}, "routes.api"),
    ("undecided with a success status", {"routes": {"undecided": {"reject": 200}}}, "routes.undecided.reject"),
    ("undecided with an unknown cell", {"routes": {"undecided": {"reject": None, "cell": "cell-z"}}}, "routes.undecided.cell"),
    ("undecided without an answer", {"routes": {"undecided": {"reject": None}}}, "routes.undecided"),
    ("routes in shadow mode", {"filter": {"shadow": True}, "extProc": {"enabled": False}}, "filter.shadow routes.enabled"),
    ("service in shadow mode", {"filter": {"shadow": True}, "routes": {"enabled": False}}, "filter.shadow extProc.enabled"),
    ("shadow inside config", {"config": {"shadow": True}}, "config.shadow"),
    ("routes without the filter", {"filter": {"enabled": False}}, "filter.enabled"),
    ("mirror of a percentage with the gateway api", {"routes": HTTP_ROUTE, **cell(mirror={"cell": "cell-b", "percent": 5})}, "cells.cell-a.mirror"),
    ("extra routes with the gateway api", {"routes": {**HTTP_ROUTE, "extra": [{"name": "x"}]}}, "routes.extra"),
    ("fault with the gateway api", {"routes": HTTP_ROUTE, **cell(fault={"abort": {"httpStatus": 503}})}, "cells.cell-a.fault"),
    ("versions with the gateway api", {"routes": HTTP_ROUTE, **cell(versions=matrix.CANARY)}, "cells.cell-a.versions"),
    (
        "per-try timeout longer than the timeout",
        {"traffic": {"timeout": "1s", "retries": {"perTryTimeout": "2s"}}},
        "traffic.retries.perTryTimeout",
    ),
    ("idle timeout that is not valid", {"traffic": {"idleTimeout": "5"}}, "traffic.idleTimeout"),
    # CORS and limits.
    ("cors without origins", {"routes": {"cors": {"allowMethods": ["GET"]}}}, "routes.cors.allowOrigins"),
    ("origin with exact and prefix", cors({"exact": "https://a.example.com", "prefix": "https://b."}), "routes.cors.allowOrigins[0]"),
    ("empty origin", cors({"prefix": ""}), "routes.cors.allowOrigins[0]"),
    ("credentials for every origin", cors({"exact": "*"}, allowCredentials=True), "routes.cors.allowCredentials"),
    ("credentials for a pattern that matches every origin", cors({"regex": "https?://.*"}, allowCredentials=True), "routes.cors.allowCredentials"),
    ("credentials for a prefix that matches every origin", cors({"prefix": "https://"}, allowCredentials=True), "routes.cors.allowCredentials"),
    ("origins as strings", cors("https://a.example.com"), "routes.cors.allowOrigins"),
    ("misspelt field of the cors policy", cors({"exact": "https://a.example.com"}, allowHeader=["x"]), "routes.cors allowHeader"),
    ("cors with the gateway api", {"routes": {**HTTP_ROUTE, "cors": {"allowOrigins": [{"exact": "*"}]}}}, "routes.cors Gateway"),
    ("no deferred requests allowed", {"extProc": {"maxRequests": 0}}, "extProc.maxRequests"),
    ("unknown body mode", {"extProc": {"bodyMode": "whole"}}, "extProc.bodyMode"),
    ("attachment with a reserved suffix", attach(name="ingress-limits"), "filter.attach[0].name"),
    ("negative number of retries", {"traffic": {"retries": {"attempts": -1}}}, "traffic.retries.attempts"),
    ("timeout that is not valid", {"traffic": {"timeout": "30"}}, "traffic.timeout"),
    ("stream limit below the inspection limit", {"config": {"limits": {"stream_bytes": "32KiB"}}}, "config.limits.stream_bytes"),
    (
        "only weights of zero",
        placement({"slots": {"weights": {"cell-a": 0, "cell-b": 0, "cell-c": 0}}}),
        "config.placement.slots.weights",
    ),
    # Attachments of the filter.
    ("unknown type of attachment", attach(type="pod"), "filter.attach"),
    ("empty selector", {"filter": {"attach": [{**GATEWAY, "selector": {}}]}}, "filter.attach"),
    ("missing selector", attach(selector=None), "filter.attach"),
    ("selector and targetRefs", attach(targetRefs=chart.WAYPOINT["targetRefs"]), "filter.attach"),
    ("missing namespace of an attachment", attach(namespace=None), "filter.attach"),
    ("root namespace without a selector", attach(namespace="istio-system", selector=None), "filter.attach"),
    ("missing service account with mtls", attach(serviceAccount=None), "filter.attach"),
    ("two attachments with the same name", {"filter": {"attach": [GATEWAY, GATEWAY]}}, "filter.attach"),
    ("attachment of an unknown cell", {"filter": {"attach": [GATEWAY, {**chart.SIDECAR, "cell": "cell-z"}]}}, "filter.attach"),
    ("gateway with a cell", attach(cell="cell-a"), "filter.attach"),
    ("waypoint with a selector", {"filter": {"attach": [{**GATEWAY, "type": "waypoint"}]}}, "filter.attach"),
    # Sizes and timeouts.
    ("unknown position", attach(position="last"), "filter.attach"),
    ("position of a sidecar", {"filter": {"attach": [{**chart.SIDECAR, "position": "first"}]}}, "filter.attach[0].position"),
    ("claim in front of authentication", sources({"claim": "/org/id"}), "filter.attach[0].position after_authentication"),
    (
        "claim at the first position",
        {**sources({"json": "/t"}, {"claim": "/org/id"}), **attach(position="first")},
        "filter.attach[0].position after_authentication",
    ),
    (
        "claim in an outbound sidecar",
        {**sources({"claim": "/org/id"}), "filter": {"attach": [matrix.BEHIND, chart.OUTBOUND]}},
        "filter.attach[1].type",
    ),
    ("buffer limit below the inspection limit", {"filter": {"bufferBytes": "32KiB"}}, "filter.bufferBytes"),
    ("size that is not valid", {"config": {"limits": {"inspect_bytes": "64k"}}}, "config.limits.inspect_bytes"),
    ("size out of range", {"config": {"limits": {"inspect_bytes": "32MiB"}}}, "config.limits.inspect_bytes"),
    ("memory limit below the byte budget", {"extProc": {"maxHeldBytes": "1GiB"}}, "extProc.resources.limits.memory"),
    ("missing memory limit", {"extProc": {"resources": {"limits": {"memory": ""}}}}, "extProc.resources.limits.memory"),
    ("message timeout not above both timeouts", {"extProc": {"messageTimeout": "20s"}}, "extProc.messageTimeout"),
    ("byte budget below the stream limit", {"extProc": {"maxHeldBytes": "1MiB"}}, "extProc.maxHeldBytes"),
    # The service.
    ("unknown autoscaler", {"extProc": {"autoscaling": {"type": "vpa"}}}, "extProc.autoscaling.type"),
    ("keda without prometheus", {"extProc": {"autoscaling": {"type": "keda"}}}, "extProc.autoscaling.prometheusAddress"),
    (
        "minimum of replicas above the maximum",
        {"extProc": {"autoscaling": {"type": "hpa", "minReplicas": 11}}},
        "extProc.autoscaling.m",
    ),
    ("zero replicas", {"extProc": {"replicas": 0}}, "extProc.replicas"),
    ("secret without a name", {"extProc": {"secrets": [{"mountPath": "/x"}]}}, "extProc.secrets"),
    ("unknown spread", {"extProc": {"spread": "Always"}}, "extProc.spread"),
    # Identities.
    ("unknown mtls mode", {"mtls": {"mode": "DISABLE"}}, "mtls.mode"),
    (
        "routing header with an underscore",
        {"config": {"routing_header": "x_cell"}, "filter": {"refuseUnderscores": True}},
        "config.routing_header",
    ),
    ("caller without a namespace", {"mtls": {"callers": ["shop"]}}, "mtls.callers"),
    ("attachment with the reserved name guard", attach(name="guard"), "filter.attach[0].name"),
    # Istio would read these as patterns.
    ("wildcard in a caller", {"mtls": {"callers": ["apps/*"]}}, "mtls.callers"),
    ("wildcard as the trust domain", {"mtls": {"trustDomain": "*"}}, "mtls.trustDomain"),
    ("wildcard as a service account", attach(serviceAccount="*"), "filter.attach[0].serviceAccount"),
    ("sidecars in the root namespace", attach(type="sidecar-outbound", namespace="istio-system"), "filter.attach[0].namespace"),
    ("scraper without a namespace", {"monitoring": {"scrapers": ["prometheus"]}}, "monitoring.scrapers"),
    # Types and unknown values.
    ("misspelt value", {"extproc": {"enabled": False}}, "extproc"),
    ("misspelt value inside", {"filter": {"atach": []}}, "filter atach"),
    ("string instead of a number", {"extProc": {"replicas": "two"}}, "extProc.replicas"),
    # Further refusals.
    ("helm annotation on every object", {"commonAnnotations": {"helm.sh/hook": "pre-install"}}, "commonAnnotations hook"),
    ("short host of a cell", cell(host="api"), "cells.cell-a.host"),
    ("two cells with the same workload", {"cells": {"cell-d": {"host": "x.cell-b.svc.cluster.local", "port": 80}}}, "cells.cell-d.workload"),
    ("version without labels", cell(versions=[{"name": "v1", "weight": 100}]), "cells.cell-a.versions"),
    ("per-try timeout that is not valid", {"traffic": {"retries": {"perTryTimeout": "10"}}}, "traffic.retries.perTryTimeout"),
    ("cell outside kubernetes with the gateway api", {"routes": HTTP_ROUTE, **cell(host="a.example.com", namespace="cell-a")}, "cells.cell-a.host"),
    (
        "concurrency limits without the service",
        {"config": {"concurrency_limits": [matrix.IN_FLIGHT]}, "extProc": {"enabled": False}},
        "config.concurrency_limits extProc.enabled",
    ),
    # Rate limits.
    ("rate limits without the service", {**limited(), "extProc": {"enabled": False}}, "config.rate_limits extProc.enabled"),
    ("rate limit by a claim in front of authentication", limited(key=[{"claim": "/sub"}]), "filter.attach[0].position config.rate_limits"),
    ("plan of a claim in front of authentication", limited(plans={"pro": "9/s"}, plan_from={"claim": "/plan"}), "filter.attach[0].position config.rate_limits"),
    (
        "cost of a claim in front of authentication, beside a claim in the key",
        {"config": {**sources({"claim": "/org"})["config"], **limited(cost={"claim": "/c", "at_most": 9, "otherwise": 1})["config"]}},
        "filter.attach[0].position config.key and config.rate_limits",
    ),
    (
        "limit of a claim in an outbound sidecar",
        {**limited(limit_from={"claim": "/limit", "at_most": "9/s"}), "filter": {"attach": [matrix.BEHIND, chart.OUTBOUND]}},
        "filter.attach[1].type config.rate_limits",
    ),
    ("limit that is not valid", limited(limit="fast"), "config.rate_limits.0.limit"),
    ("misspelt field of a limit", limited(burst=3), "config.rate_limits.0 burst"),
    ("fields of limits without limits", {"routes": {"rateLimitFields": True}}, "routes.rateLimitFields config.rate_limits"),
    ("fields of limits with the gateway api", {**limited(), "routes": {**HTTP_ROUTE, "rateLimitFields": True}}, "routes.rateLimitFields routes.api"),
    ("zero keys of limits", {"extProc": {"maxLimitKeys": 0}}, "extProc.maxLimitKeys"),
    ("more keys of limits than memory", {**limited(), "extProc": {"maxLimitKeys": 4000000}}, "extProc.resources.limits.memory extProc.maxLimitKeys"),
    ("unknown answers with the fields of limits", {"extProc": {"limitHeaders": "admitted"}}, "extProc.limitHeaders"),
    # Leases.
    ("cluster of leases with too long a name", {**leased(), "fullnameOverride": "c" * 80}, "config.rate_limits fullnameOverride"),
    ("leases of replicas without a store", leased(limitStore={}), "config.rate_limits extProc.limitStore"),
    (
        "leases of scaled replicas without a store",
        leased(limitStore={}, replicas=1, autoscaling={"type": "hpa", "maxReplicas": 9}),
        "config.rate_limits extProc.limitStore",
    ),
    ("term of leases that is not valid", leased(leaseTerm="ten"), "extProc.leaseTerm"),
    ("term of leases that is too short", leased(leaseTerm="900ms", syncInterval="100ms"), "extProc.leaseTerm"),
    ("term of leases that is too long", leased(leaseTerm="2m"), "extProc.leaseTerm"),
    ("interval of calls that is not valid", leased(syncInterval="1 s"), "extProc.syncInterval"),
    ("interval of calls that is too short", leased(syncInterval="99ms"), "extProc.syncInterval"),
    ("interval of calls that is too long", leased(syncInterval="11s", leaseTerm="30s"), "extProc.syncInterval"),
    ("term of leases of one call", leased(leaseTerm="4s", syncInterval="2s"), "extProc.leaseTerm extProc.syncInterval"),
    # The store of rate limits.
    ("store with another scheme", store(url="http://valkey:6379"), "extProc.limitStore.url"),
    ("store without a server", store(url="redis://"), "extProc.limitStore.url"),
    ("store with a password in its url", store(url="redis://cellgate:secret@valkey:6379"), "extProc.limitStore.url extProc.limitStore.secret"),
    ("store without a secret", store(secret={"name": ""}), "extProc.limitStore.secret"),
    ("store without the key of the secret", store(secret={"limitSecretKey": ""}), "extProc.limitStore.secret"),
    ("several servers of a store that is no cluster", store(url="redis://a:6379,b:6379"), "extProc.limitStore.url extProc.limitStore.cluster"),
    ("database of a cluster", store(cluster="domain"), "extProc.limitStore.url"),
    ("unknown kind of cluster", store(cluster="slot"), "extProc.limitStore.cluster"),
    ("user of a store without a password", store(user="cellgate", secret={"passwordKey": ""}), "extProc.limitStore.user passwordKey"),
    ("tls files of a store without tls", store(tls={"configMap": "ca", "caKey": "ca.crt"}), "extProc.limitStore.tls extProc.limitStore.url"),
    ("authorities of a store from nowhere", store(url="rediss://valkey", tls={"caKey": "ca.crt"}), "extProc.limitStore.tls.caKey"),
    ("certificate for a store without its key", store(url="rediss://valkey", tls={"secret": "x", "clientCertKey": "tls.crt"}), "extProc.limitStore.tls clientKeyKey"),
    (
        "private key for a store in a ConfigMap",
        store(url="rediss://valkey", tls={"configMap": "x", "clientCertKey": "tls.crt", "clientKeyKey": "tls.key"}),
        "extProc.limitStore.tls.clientCertKey extProc.limitStore.tls.secret",
    ),
    ("timeout of a store that is zero", store(timeout="0ms"), "extProc.limitStore.timeout"),
    ("traces without a scheme", tracing(endpoint="collector:4317"), "extProc.tracing.endpoint"),
    ("traces with a password in the url", tracing(endpoint="https://user:secret@collector"), "extProc.tracing.endpoint extProc.tracing.headers"),
    ("traces with a query", tracing(endpoint="https://collector/?token=x"), "extProc.tracing.endpoint"),
    ("traces to port 0", tracing(endpoint="https://collector:0"), "extProc.tracing.endpoint"),
    ("traces to a port above 65535", tracing(endpoint="https://[::1]:99999/otlp"), "extProc.tracing.endpoint"),
    ("too small a part of the traces", tracing(samplePercent=1e-08), "extProc.tracing.samplePercent"),
    ("authorities of a receiver in two objects", tracing(tls={"secret": "otel"}), "extProc.tracing.tls secret configMap"),
    ("traces over another protocol", tracing(protocol="http/json"), "extProc.tracing.protocol"),
    ("more than all traces", tracing(samplePercent=101), "extProc.tracing.samplePercent"),
    ("authorities of a receiver without tls", tracing(endpoint="http://collector:4317"), "extProc.tracing.tls extProc.tracing.endpoint"),
    ("authorities of a receiver from nowhere", tracing(tls={"configMap": ""}), "extProc.tracing.tls.caKey extProc.tracing.tls.secret"),
    ("header fields without a key", tracing(headers={"key": ""}), "extProc.tracing.headers"),
    ("prefix of a store with a space", store(prefix="a b"), "extProc.limitStore.prefix"),
    ("trust domain with a space", {"mtls": {"trustDomain": "a b"}}, "mtls.trustDomain"),
    ("routing header that is not a header name", {"config": {"routing_header": "x cell"}}, "config.routing_header"),
    ("weights that omit a cell", placement({"slots": {"weights": {"cell-a": 1, "cell-b": 1}}}), "config.placement.slots.weights cell-c"),
    ("policy that uses a missing default", {"config": {"policy": {"key_missing": {"use": "default"}}}}, "config.policy.key_missing.use"),
    ("buffer limit that is not valid", {"filter": {"bufferBytes": "64k"}}, "filter.bufferBytes"),
    ("name of an attachment with a space", attach(name="a b"), "filter.attach[0].name"),
    ("ports of a waypoint", {"filter": {"attach": [{**chart.WAYPOINT, "ports": [8080]}]}}, "filter.attach[0].ports"),
    ("port of an attachment out of range", attach(ports=[70000]), "filter.attach"),
    ("stream idle timeout that is not valid", {"filter": {"streamIdleTimeout": "30"}}, "filter.streamIdleTimeout"),
    ("module with the tag latest", {"filter": {"module": {"url": "oci://registry.example/cellgate-filter:latest"}}}, "filter.module.url"),
    ("byte budget that is not valid", {"extProc": {"maxHeldBytes": "512M"}}, "extProc.maxHeldBytes"),
    ("readiness above 100 percent", {"extProc": {"notReadyAbove": 101}}, "extProc.notReadyAbove"),
    ("decision timeout that is not valid", {"extProc": {"decisionTimeout": "10"}}, "extProc.decisionTimeout"),
    # Istio's Telemetry.
    (
        "Telemetry without the filter",
        {"filter": {"enabled": False}, "routes": {"enabled": False}, **traced()},
        "istio.telemetry",
    ),
    ("access log without a provider", {"istio": {"telemetry": {"accessLog": {"enabled": True}}}}, "istio.telemetry.accessLog.provider"),
    ("sampling above 100 percent", traced(sampling="101"), "istio.telemetry.tracing.sampling"),
    ("sampling with a percent sign", traced(sampling="1%"), "istio.telemetry.tracing.sampling"),
    ("tag with a name of the chart", traced(customTags={"cellgate.cell": {"literal": {"value": "x"}}}), "istio.telemetry.tracing.customTags"),
    ("tag of two kinds", traced(customTags={"zone": {"literal": {"value": "x"}, "header": {"name": "y"}}}), "istio.telemetry.tracing.customTags.zone"),
    ("tag of an unknown kind", traced(customTags={"zone": {"metadata": {"key": "x"}}}), "istio.telemetry.tracing.customTags.zone"),
]
