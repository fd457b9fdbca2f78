"""Encryption, and who may call what."""

import unittest

import chart
import matrix

GATEWAY = "cluster.local/ns/istio-ingress/sa/istio-ingressgateway"
CELLS = ["cell-a", "cell-b", "cell-c"]


def policies(objects, namespace):
    return [item for item in objects.of("AuthorizationPolicy") if item["metadata"]["namespace"] == namespace]


def principals(item):
    """Every identity that a policy names, allowed or not."""
    return {name for names in chart.settings(item, "principals") + chart.settings(item, "notPrincipals") for name in names}


class Encryption(unittest.TestCase):
    def test_the_cells_and_the_service_take_nothing_in_plain_text(self):
        modes = {}
        for item in chart.render().of("PeerAuthentication"):
            modes[item["metadata"]["namespace"]] = item["spec"]["mtls"]["mode"]
        self.assertEqual(modes, {namespace: "STRICT" for namespace in [*CELLS, chart.NAMESPACE]})

    def test_the_mode_can_be_said(self):
        items = chart.render({"mtls": {"mode": "PERMISSIVE"}}).of("PeerAuthentication")
        self.assertEqual({item["spec"]["mtls"]["mode"] for item in items}, {"PERMISSIVE"})

    def test_plain_text_at_the_service_is_for_prometheus_only(self):
        for name, objects in matrix.renderings():
            for item in objects.of("PeerAuthentication"):
                for port in item["spec"].get("portLevelMtls", {}):
                    with self.subTest(name, item=chart.label(item)):
                        self.assertEqual((item["metadata"]["namespace"], str(port)), (item["metadata"]["namespace"], "9902"))

    def test_with_scrapers_nothing_is_in_plain_text(self):
        objects = chart.render({"monitoring": {"scrapers": ["monitoring/prometheus"]}})
        for item in objects.of("PeerAuthentication"):
            with self.subTest(chart.label(item)):
                self.assertNotIn("portLevelMtls", item["spec"])

    def test_a_policy_selects_the_cell_s_workload(self):
        objects = chart.render({"cells": {"cell-a": {"workload": {"app": "api"}}}})
        for item in objects.of("PeerAuthentication", "AuthorizationPolicy"):
            if item["metadata"]["namespace"] == "cell-a":
                with self.subTest(chart.label(item)):
                    self.assertEqual(item["spec"]["selector"]["matchLabels"], {"app": "api"})

    def test_switched_off_there_is_none(self):
        objects = chart.render({"mtls": {"enabled": False}})
        self.assertEqual(objects.of("PeerAuthentication", "AuthorizationPolicy"), [])


class Callers(unittest.TestCase):
    def test_only_the_gateways_may_call_the_service(self):
        (item,) = policies(chart.render(), chart.NAMESPACE)
        self.assertEqual(item["spec"]["action"], "ALLOW")
        self.assertEqual(item["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"], "ext-proc")
        grpc, metrics = item["spec"]["rules"]
        self.assertEqual(grpc["from"], [{"source": {"principals": [GATEWAY]}}])
        self.assertEqual(grpc["to"], [{"operation": {"ports": ["50051"]}}])
        self.assertEqual(metrics["to"], [{"operation": {"ports": ["9902"], "methods": ["GET"], "paths": ["/metrics"]}}])

    def test_only_scrapers_may_read_metrics_where_there_are_some(self):
        (item,) = policies(chart.render({"monitoring": {"scrapers": ["monitoring/prometheus"]}}), chart.NAMESPACE)
        _, metrics = item["spec"]["rules"]
        self.assertEqual(metrics["from"], [{"source": {"principals": ["cluster.local/ns/monitoring/sa/prometheus"]}}])

    def test_every_proxy_that_defers_may_call_the_service(self):
        """The sidecar of a cell does not: the service does not know whose sidecar asks."""
        objects = dict(matrix.renderings())["everywhere"]
        named = {name for item in policies(objects, chart.NAMESPACE) for name in principals(item)}
        expected = {
            GATEWAY,
            "cluster.local/ns/apps/sa/shop",
            "cluster.local/ns/ambient/sa/waypoint",
        }
        self.assertEqual(named, expected)

        of_no_cell = {key: value for key, value in chart.SIDECAR.items() if key != "cell"}
        objects = chart.render({"filter": {"attach": [*chart.VALUES["filter"]["attach"], of_no_cell]}})
        named = {name for item in policies(objects, chart.NAMESPACE) for name in principals(item)}
        self.assertEqual(named, {GATEWAY, "cluster.local/ns/cell-a/sa/api"})

    def test_only_the_gateways_may_name_a_cell(self):
        """Whoever has the header set, and is neither a gateway nor one of the cell's own workloads, is refused."""
        for cell in CELLS:
            with self.subTest(cell):
                (item,) = policies(chart.render(), cell)
                self.assertEqual(item["spec"]["action"], "DENY")
                (named, *spellings) = item["spec"]["rules"]
                self.assertEqual(named["when"], [{"key": "request.headers[x-cell]", "values": ["*"]}])
                # What many servers take for the same header.
                for rule in spellings:
                    self.assertEqual(rule["when"], [{"key": "request.headers[x_cell]", "values": ["*"]}])
                for rule in [named, *spellings]:
                    self.assertEqual(rule["from"], [{"source": {"notPrincipals": [GATEWAY], "notNamespaces": [cell]}}])

    def test_the_header_is_the_configured_one(self):
        items = policies(chart.render({"config": {"routing_header": "x-shard"}}), "cell-a")
        self.assertIn("request.headers[x-shard]", str(items))
        self.assertNotIn("x-cell]", str(items))

    def test_other_callers_are_named(self):
        objects = chart.render({"mtls": {"callers": ["apps/shop"]}})
        for cell in CELLS:
            with self.subTest(cell):
                named = {name for item in policies(objects, cell) for name in principals(item)}
                self.assertEqual(named, {GATEWAY, "cluster.local/ns/apps/sa/shop"})
        service = {name for item in policies(objects, chart.NAMESPACE) for name in principals(item)}
        self.assertEqual(service, {GATEWAY}, "a caller of cells is none of the service")

    def test_a_workload_is_no_caller_of_other_cells(self):
        objects = dict(matrix.renderings())["everywhere"]
        named = {name for item in policies(objects, "cell-b") for name in principals(item)}
        self.assertNotIn("cluster.local/ns/cell-a/sa/api", named)

    def test_the_trust_domain_is_the_mesh_s(self):
        objects = chart.render({"mtls": {"trustDomain": "example.org"}})
        for item in objects.of("AuthorizationPolicy"):
            for name in principals(item):
                with self.subTest(chart.label(item)):
                    self.assertTrue(name.startswith("example.org/ns/"), name)

    def test_no_policy_is_for_a_whole_mesh(self):
        for name, objects in matrix.renderings():
            for item in objects.of("PeerAuthentication", "AuthorizationPolicy"):
                with self.subTest(name, item=chart.label(item)):
                    self.assertNotIn(item["metadata"]["namespace"], ["istio-system", "istio-control"])


if __name__ == "__main__":
    unittest.main()
