"""Wrong values: each is refused before anything is installed, by a sentence that names the value."""

import unittest

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


# A host that is none of Kubernetes' own.
OUTSIDE = {"host": "d.example.com", "port": 80}

# What is wrong, the values that say it, and the value that the sentence has to name: helm says what does not belong apart
# from where it stands.
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
    ("tries longer than the request", {"traffic": {"timeout": "1s", "retries": {"perTryTimeout": "10s"}}}, "traffic.retries.perTryTimeout"),
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
    (
        "key header with an underscore",
        {"config": {"key": [{"header": "x_tenant"}]}, "filter": {"refuseUnderscores": True}},
        "config.key[0].header",
    ),
    ("header that is about the connection", {"config": {"key": [{"header": "Connection"}]}}, "config.key[0].header"),
    ("header that is about the message", {"config": {"routing_header": "content-length"}}, "config.routing_header"),
    ("a policy for nobody", {"routes": {"cors": {"allowMethods": ["POST"]}}}, "routes.cors.allowOrigins"),
    ("an origin of no kind", {"routes": {"cors": {"allowOrigins": [{"exakt": "https://a.test"}]}}}, "routes.cors.allowOrigins"),
    (
        "credentials for everybody",
        {"routes": {"cors": {"allowOrigins": [{"regex": ".*"}], "allowCredentials": True}}},
        "routes.cors.allowCredentials",
    ),
    (
        "browsers by the Gateway API",
        {"routes": {"api": "gateway-api", "parentRefs": [{"name": "g"}], "cors": {"allowOrigins": [{"exact": "https://a.test"}]}}},
        "routes.cors",
    ),
    ("an idle time that is none", {"traffic": {"idleTimeout": "5"}}, "traffic.idleTimeout"),
    ("another mode", {"extProc": {"bodyMode": "partial"}}, "extProc.bodyMode"),
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
]


class Refusals(unittest.TestCase):
    def test_the_values_that_these_change_are_accepted(self):
        self.assertTrue(chart.render())

    def test_sources_that_only_resemble_each_other(self):
        key = [{"json": "/tenant"}, {"json": "/Tenant"}, {"form": "tenant"}, {"header": "x-cell-hint"}, {"query": "x-cell"}]
        methods = ["POST", "purge", "Put-It"]
        self.assertTrue(chart.render({"config": {"key": key, "applies_to": {"methods": methods}}}))

    def test_a_kubernetes_that_is_too_old(self):
        with self.assertRaisesRegex(chart.Refused, "kubeVersion"):
            chart.helm("template", chart.RELEASE, chart.CHART, "--kube-version", "1.27.0")

    def test_all_mistakes_are_told_at_once(self):
        said = chart.refusal({"image": {"tag": "latest"}, "filter": {"bufferBytes": "1KiB", "module": {"sha256": None}}})
        for path in ["image.tag", "filter.bufferBytes", "filter.module.sha256"]:
            self.assertIn(path, said)


def refused(change, path):
    def test(self):
        # Helm's errors of the schema have slashes in some versions, and dots in others.
        said = chart.refusal(change).replace("/", ".")
        for word in path.split():
            self.assertIn(word, said)
        self.assertNotIn("nil pointer", said)
        self.assertNotIn("wrong type for value", said)

    return test


for title, change, path in WRONG:
    name = "test_" + "".join(letter if letter.isalnum() else "_" for letter in title)
    assert not hasattr(Refusals, name), title
    setattr(Refusals, name, refused(change, path))


if __name__ == "__main__":
    unittest.main()
