"""Encryption, and allowed callers."""

import unittest

import chart
import matrix

GATEWAY = "cluster.local/ns/istio-ingress/sa/istio-ingressgateway"
CELLS = ["cell-a", "cell-b", "cell-c"]


def policies(objects, namespace):
    return [item for item in objects.of("AuthorizationPolicy") if item["metadata"]["namespace"] == namespace]


def principals(item):
    """Every identity that a policy names, allowed or denied."""
    return {name for names in chart.settings(item, "principals") + chart.settings(item, "notPrincipals") for name in names}


class Encryption(unittest.TestCase):
    def test_the_cells_and_the_service_refuse_plain_text(self):
        modes = {}
        for item in chart.render().of("PeerAuthentication"):
            modes[item["metadata"]["namespace"]] = item["spec"]["mtls"]["mode"]
        self.assertEqual(modes, {namespace: "STRICT" for namespace in [*CELLS, chart.NAMESPACE]})

    def test_the_mode_is_configurable(self):
        items = chart.render({"mtls": {"mode": "PERMISSIVE"}}).of("PeerAuthentication")
        self.assertEqual({item["spec"]["mtls"]["mode"] for item in items}, {"PERMISSIVE"})

    def test_only_the_admin_port_accepts_plain_text(self):
        for name, objects in matrix.renderings():
            for item in objects.of("PeerAuthentication"):
                for port in item["spec"].get("portLevelMtls", {}):
                    with self.subTest(name, item=chart.label(item)):
                        self.assertEqual((item["metadata"]["namespace"], str(port)), (item["metadata"]["namespace"], "9902"))

    def test_with_scrapers_no_port_accepts_plain_text(self):
        objects = chart.render({"monitoring": {"scrapers": ["monitoring/prometheus"]}})
        for item in objects.of("PeerAuthentication"):
            with self.subTest(chart.label(item)):
                self.assertNotIn("portLevelMtls", item["spec"])

    def test_a_policy_selects_the_cells_workload(self):
        objects = chart.render({"cells": {"cell-a": {"workload": {"app": "api"}}}})
        for item in objects.of("PeerAuthentication", "AuthorizationPolicy"):
            if item["metadata"]["namespace"] == "cell-a":
                with self.subTest(chart.label(item)):
                    self.assertEqual(item["spec"]["selector"]["matchLabels"], {"app": "api"})

    def test_switched_off_there_is_no_policy(self):
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

    def test_with_scrapers_only_they_may_read_metrics(self):
        (item,) = policies(chart.render({"monitoring": {"scrapers": ["monitoring/prometheus"]}}), chart.NAMESPACE)
        _, metrics = item["spec"]["rules"]
        self.assertEqual(metrics["from"], [{"source": {"principals": ["cluster.local/ns/monitoring/sa/prometheus"]}}])

    def test_every_proxy_that_defers_may_call_the_service(self):
        """The sidecar of a cell does not defer: the service does not know the cell of the sidecar."""
        objects = dict(matrix.renderings())["every type of attachment"]
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
        """Requests with the routing header are refused, except from a gateway or a workload of the same cell."""
        for cell in CELLS:
            with self.subTest(cell):
                (item,) = policies(chart.render(), cell)
                self.assertEqual(item["spec"]["action"], "DENY")
                (named, *spellings) = item["spec"]["rules"]
                self.assertEqual(named["when"], [{"key": "request.headers[x-cell]", "values": ["*"]}])
                # Many servers read it as the same header.
                for rule in spellings:
                    self.assertEqual(rule["when"], [{"key": "request.headers[x_cell]", "values": ["*"]}])
                for rule in [named, *spellings]:
                    self.assertEqual(rule["from"], [{"source": {"notPrincipals": [GATEWAY], "notNamespaces": [cell]}}])

    def test_the_policy_matches_the_configured_header(self):
        items = policies(chart.render({"config": {"routing_header": "x-shard"}}), "cell-a")
        self.assertIn("request.headers[x-shard]", str(items))
        self.assertNotIn("x-cell]", str(items))

    def test_configured_callers_are_allowed(self):
        objects = chart.render({"mtls": {"callers": ["apps/shop"]}})
        for cell in CELLS:
            with self.subTest(cell):
                named = {name for item in policies(objects, cell) for name in principals(item)}
                self.assertEqual(named, {GATEWAY, "cluster.local/ns/apps/sa/shop"})
        service = {name for item in policies(objects, chart.NAMESPACE) for name in principals(item)}
        self.assertEqual(service, {GATEWAY}, "a caller of cells may not call the service")

    def test_a_workload_may_not_call_other_cells(self):
        objects = dict(matrix.renderings())["every type of attachment"]
        named = {name for item in policies(objects, "cell-b") for name in principals(item)}
        self.assertNotIn("cluster.local/ns/cell-a/sa/api", named)

    def test_the_trust_domain_is_configurable(self):
        objects = chart.render({"mtls": {"trustDomain": "example.org"}})
        for item in objects.of("AuthorizationPolicy"):
            for name in principals(item):
                with self.subTest(chart.label(item)):
                    self.assertTrue(name.startswith("example.org/ns/"), name)

    def test_no_policy_applies_to_the_whole_mesh(self):
        for name, objects in matrix.renderings():
            for item in objects.of("PeerAuthentication", "AuthorizationPolicy"):
                with self.subTest(name, item=chart.label(item)):
                    self.assertNotIn(item["metadata"]["namespace"], ["istio-system", "istio-control"])


if __name__ == "__main__":
    unittest.main()
