"""Renderings with each setting changed, for tests of all objects of the chart."""

import functools

import chart

GATEWAY = chart.VALUES["filter"]["attach"][0]
BEHIND = {**GATEWAY, "position": "after_authentication"}
HTTP_ROUTE = {
    "api": "gateway-api",
    "parentRefs": [{"name": "public", "namespace": "istio-ingress"}],
}
CANARY = [
    {"name": "stable", "labels": {"version": "v1"}, "weight": 90},
    {"name": "canary", "labels": {"version": "v2"}, "weight": 10},
]
SECRET = {"name": "cellgate-credentials", "mountPath": "/etc/cellgate/credentials"}
EXTERNAL_SECRET = {
    "name": "cellgate-credentials",
    "store": {"kind": "ClusterSecretStore", "name": "vault"},
    "data": [{"secretKey": "token", "remoteRef": {"key": "cellgate/token"}}],
}

PER_TENANT = {"name": "per-tenant", "key": ["routing_key"], "limit": "100/min;burst=20"}
IN_FLIGHT = {"name": "in-flight", "key": ["routing_key"], "at_most": 20}
LEASED = {"name": "leased", "key": ["cell"], "limit": "2000/s", "lease": True}
SETTLED = {
    "name": "tokens",
    "key": ["routing_key"],
    "limit": "100000/h",
    "cost": 500,
    "settle": {"response_header": "x-tokens-used", "at_most": 20000, "on_failure": "release"},
}
PER_API_KEY = {
    "name": "per-api-key",
    "key": [{"header": "x-api-key", "otherwise": "anonymous"}],
    "limit": "5/s",
    "plans": {"pro": "100/s"},
    "plan_from": {"claim": "/plan"},
}

STORE_SECRET = {"name": "limit-store", "passwordKey": "password"}
STORE = {"url": "redis://valkey.data.svc.cluster.local:6379/2", "secret": STORE_SECRET}
TLS_STORE = {
    "url": "rediss://a.redis.example:7000,b.redis.example:7000,valkey",
    "cluster": "key",
    "user": "cellgate",
    "secret": {**STORE_SECRET, "limitSecretKey": "digits"},
    "tls": {"secret": "store-client", "configMap": "store-ca", "caKey": "bundle.pem", "clientCertKey": "tls.crt", "clientKeyKey": "tls.key"},
    "timeout": "20ms",
    "prefix": "edge:",
}

TELEMETRY = {
    "tracing": {
        "enabled": True,
        "provider": "otel-tracing",
        "sampling": 0.5,
        "customTags": {"zone": {"environment": {"name": "ZONE", "defaultValue": "unknown"}}},
    },
    "accessLog": {"enabled": True, "provider": "cellgate-access-log", "filter": "response.code >= 400"},
}

TRACING = {
    "endpoint": "https://otel.example.com/otlp",
    "protocol": "http/protobuf",
    "samplePercent": 0.5,
    "tls": {"configMap": "otel-ca", "caKey": "bundle.pem"},
    "headers": {"secret": "otel", "key": "headers"},
}

# By name: a change of chart.VALUES.
CHANGES = {
    "defaults": {},
    "telemetry": {"istio": {"telemetry": TELEMETRY}, "filter": {"attach": [GATEWAY, chart.SIDECAR, chart.WAYPOINT]}},
    "openshift": {"openshift": True, "commonAnnotations": {"team": "edge"}},
    "additions": {
        "image": {"pullSecrets": [{"name": "registry"}]},
        "podSecurityContext": {"runAsUser": 1000},
        "serviceAccount": {"create": True, "name": "router", "annotations": {"a": "b"}},
        "extProc": {
            "annotations": {"a": "b"},
            "service": {"annotations": {"a": "b"}, "ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"]},
            "extraArgs": ["--log-format=human"],
            "extraEnv": [{"name": "A", "value": "b"}],
            "extraVolumes": [{"name": "scratch", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
            "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
            "topologySpreadConstraints": [
                {
                    "topologyKey": "rack",
                    "maxSkew": 1,
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "ext-proc"}},
                }
            ],
        },
    },
    "one cell": {"cells": {"cell-a": None, "cell-c": None}},
    "pinned image": {"image": {"digest": "sha256:" + "a1" * 32, "pullSecrets": ["registry"], "pullPolicy": "Always"}},
    "common labels": {"commonLabels": {"team": "platform"}, "fullnameOverride": "gate"},
    "undecided to a cell": {"routes": {"undecided": {"cell": "cell-a"}}},
    "extra routes and a fault": {
        "routes": {"extra": [{"name": "closed", "match": [{"uri": {"prefix": "/old"}}], "directResponse": {"status": 410}}]},
        "cells": {"cell-a": {"fault": {"delay": {"fixedDelay": "2s", "percentage": {"value": 50}}}}},
    },
    "cors": {
        "routes": {
            "cors": {
                "allowOrigins": [{"exact": "https://app.example.com"}, {"prefix": "https://dev."}, {"regex": r"https://[a-z]+\.pages\.example"}],
                "allowMethods": ["GET", "POST"],
                "allowHeaders": ["content-type"],
                "exposeHeaders": ["retry-after"],
                "maxAge": "1h",
                "allowCredentials": True,
            }
        },
        "filter": {"attach": [GATEWAY, chart.SIDECAR]},
    },
    "limits of a dedicated gateway": {"filter": {"refuseUnderscores": True, "streamIdleTimeout": "30s", "requestTimeout": "60s"}},
    "timeouts": {"traffic": {"timeout": "30s", "idleTimeout": "1m", "retries": {"perTryTimeout": "10s"}}},
    "body mode buffer": {"extProc": {"bodyMode": "buffer", "maxRequests": 200}},
    "no routes": {"routes": {"enabled": False}},
    "gateway api": {"routes": HTTP_ROUTE},
    "canary": {"cells": {"cell-a": {"versions": CANARY}}},
    "gateway api to a cell": {"routes": {**HTTP_ROUTE, "undecided": {"cell": "cell-a"}}, "cells": {"cell-a": {"drain": True}}},
    "mirror": {"cells": {"cell-a": {"mirror": {"cell": "cell-b", "percent": 10}}}},
    "drain": {"cells": {"cell-b": {"drain": True}}},
    "traffic of one cell": {
        "cells": {
            "cell-b": {
                "timeout": "5s",
                "retries": {"attempts": 0},
                "connectionPool": {"tcp": {"maxConnections": 7}},
                "tls": {"mode": "SIMPLE", "sni": "b.example.com"},
                "loadBalancer": {"consistentHash": {"httpHeaderName": "x-user"}},
                "workload": {"app": "api"},
            }
        }
    },
    "no retries": {"traffic": {"retries": {"attempts": 0}, "timeout": "0s"}},
    "no filter": {"filter": {"enabled": False}, "routes": {"enabled": False}},
    "shadow": {"filter": {"shadow": True}, "routes": {"enabled": False}, "extProc": {"enabled": False}},
    "local module": {"filter": {"module": {"url": None, "sha256": None, "path": "/etc/cellgate/cellgate.wasm"}}},
    "http module": {"filter": {"module": {"url": "https://registry.example/cellgate.wasm"}}},
    "every type of attachment": {"filter": {"attach": [GATEWAY, chart.SIDECAR, chart.OUTBOUND, chart.WAYPOINT]}},
    "claims": {
        "config": {"key": [{"claim": "/org/id"}]},
        "filter": {"attach": [BEHIND, chart.SIDECAR, {**chart.WAYPOINT, "position": "after_authentication"}]},
    },
    "rate limits": {
        "config": {"rate_limits": [PER_TENANT]},
        "routes": {"rateLimitFields": True, "cors": {"allowOrigins": [{"exact": "https://app.example.com"}]}},
        "filter": {"attach": [GATEWAY, chart.SIDECAR, chart.OUTBOUND, chart.WAYPOINT]},
    },
    "rate limits with claims": {
        "config": {"rate_limits": [PER_TENANT, PER_API_KEY]},
        "filter": {"attach": [BEHIND, chart.SIDECAR]},
        "extProc": {"maxLimitKeys": 50000},
    },
    "concurrency limits": {
        "config": {"concurrency_limits": [IN_FLIGHT]},
        "filter": {"attach": [GATEWAY, chart.SIDECAR, chart.OUTBOUND, chart.WAYPOINT]},
    },
    "concurrency limits, body mode buffer": {
        "config": {"concurrency_limits": [IN_FLIGHT]},
        "extProc": {"bodyMode": "buffer", "replicas": 1},
    },
    "settled by headers": {"config": {"rate_limits": [PER_TENANT, SETTLED]}},
    "settled by trailers, body mode buffer": {
        "config": {"rate_limits": [{**SETTLED, "settle": {"response_trailer": "x-used", "at_most": 9}}]},
        "extProc": {"bodyMode": "buffer"},
    },
    "settled by trailers": {
        "config": {"rate_limits": [{**SETTLED, "settle": {"response_trailer": "x-used", "at_most": 9}}]},
    },
    "rate limits in a store": {"config": {"rate_limits": [PER_TENANT]}, "extProc": {"limitStore": STORE}},
    "rate limits in a cluster with tls": {
        "config": {"rate_limits": [PER_TENANT]},
        "extProc": {"limitStore": TLS_STORE, "autoscaling": {"type": "hpa", "maxReplicas": 7}},
    },
    "leased rate limits": {
        "config": {"rate_limits": [PER_TENANT, {**LEASED, "applies_to": {"paths": ["/v1/"]}}]},
        "filter": {"attach": [GATEWAY, chart.SIDECAR, chart.OUTBOUND, chart.WAYPOINT]},
        "extProc": {"limitStore": STORE, "leaseTerm": "20s", "syncInterval": "500ms"},
    },
    "traces": {"extProc": {"tracing": {"endpoint": "http://collector.observe.svc:4317"}}},
    "traces by tls": {"extProc": {"tracing": TRACING}},
    "rate limits in shadow mode": {
        "config": {"rate_limits": [PER_TENANT]},
        "filter": {"shadow": True},
        "routes": {"enabled": False},
        "extProc": {"enabled": False},
    },
    "behind authentication": {"filter": {"attach": [BEHIND, {**chart.WAYPOINT, "position": "first"}]}},
    "two ports": {"filter": {"attach": [{**GATEWAY, "ports": [8080, 8443]}]}},
    "larger buffer": {"filter": {"bufferBytes": "1MiB"}},
    "no service": {"extProc": {"enabled": False}},
    "hpa": {"extProc": {"autoscaling": {"type": "hpa"}}},
    "keda": {"extProc": {"autoscaling": {"type": "keda", "prometheusAddress": "http://prometheus.monitoring:9090"}}},
    "no disruption budget": {"extProc": {"podDisruptionBudget": {"enabled": False}}},
    "one replica": {"extProc": {"replicas": 1}},
    "placed pods": {
        "extProc": {
            "podLabels": {"team": "platform"},
            "podAnnotations": {"example.com/owner": "platform"},
            "nodeSelector": {"pool": "edge"},
            "tolerations": [{"key": "edge", "operator": "Exists"}],
            "priorityClassName": "edge",
            "spread": "DoNotSchedule",
        }
    },
    "secret": {"extProc": {"secrets": [SECRET]}},
    "external secret": {"extProc": {"secrets": [SECRET], "externalSecrets": [EXTERNAL_SECRET]}},
    "no network policy": {"extProc": {"networkPolicy": {"enabled": False}}},
    "permissive": {"mtls": {"mode": "PERMISSIVE"}},
    "no mtls": {"mtls": {"enabled": False}},
    "callers": {"mtls": {"callers": ["apps/shop"], "trustDomain": "example.org"}},
    "monitoring": {
        "monitoring": {
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
            "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Cellgate"}},
            "scrapers": ["monitoring/prometheus"],
        }
    },
    "revision": {"istio": {"revision": "canary", "namespace": "istio-control"}},
    "no test": {"test": {"enabled": False}},
}

ENVIRONMENTS = ["dev", "staging", "prod"]
EXAMPLE = chart.ROOT / "istio" / "values.yaml"
RECIPES = sorted((chart.ROOT / "istio" / "recipes").glob("*/values.yaml"))


@functools.lru_cache(maxsize=None)
def renderings():
    """Pairs of a name and its rendered objects."""
    changed = [(name, chart.render(change)) for name, change in CHANGES.items()]
    environments = [(f"values-{name}", environment(name)) for name in ENVIRONMENTS]
    recipes = [(f"recipe {path.parent.name}", example(path)) for path in RECIPES]
    return changed + environments + recipes


def environment(name):
    """The example in istio/ with the values of an environment."""
    return example(chart.CHART / f"values-{name}.yaml")


def example(values):
    """The example in istio/ with the values of a file, and a digest in the place of its placeholder."""
    return chart.render(base={"filter": {"module": {"sha256": "5e" * 32}}}, files=[EXAMPLE, values])
