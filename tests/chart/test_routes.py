"""The routes to the cells, and the traffic settings of the cells."""

import unittest

import chart
import matrix

CELLS = ["cell-a", "cell-b", "cell-c"]


def host(cell):
    return f"api.{cell}.svc.cluster.local"


def routes(change=None):
    """The routes of the VirtualService, in order."""
    return chart.render(change).installed.one("VirtualService")["spec"]["http"]


def by_cell(found):
    """The routes that match the routing header, by its value."""
    cells = {}
    for route in found:
        for match in route.get("match", []):
            if "x-cell" in match.get("headers", {}):
                cells[match["headers"]["x-cell"]["exact"]] = route
    return cells


def rule(cell, change=None):
    """The DestinationRule of a cell."""
    rules = chart.render(change).of("DestinationRule")
    (found,) = [item for item in rules if item["spec"]["host"] == host(cell)]
    return found


class Routes(unittest.TestCase):
    def test_hosts_and_gateways_are_the_configured_ones(self):
        change = {"hosts": ["a.test", "b.test"], "gateways": ["x/y", "mesh"]}
        spec = chart.render({"routes": change}).installed.one("VirtualService")["spec"]
        self.assertEqual(spec["hosts"], ["a.test", "b.test"])
        self.assertEqual(spec["gateways"], ["x/y", "mesh"])

    def test_the_test_may_use_every_host_below_a_domain(self):
        objects = chart.render({"test": {"host": "*.probe.internal"}})
        (found,) = [item for item in objects.of("VirtualService") if chart.is_hook(item)]
        self.assertEqual(found["spec"]["hosts"], ["*.probe.internal"])
        containers = [pod["spec"]["containers"][0] for item, pod in objects.pods() if item["kind"] == "Pod"]
        arguments = [argument for container in containers for argument in container["args"]]
        self.assertIn("--host=*.probe.internal", arguments)

    def test_each_cell_has_its_route(self):
        cells = by_cell(routes())
        self.assertEqual(sorted(cells), CELLS)
        for cell, route in cells.items():
            with self.subTest(cell):
                (way,) = route["route"]
                self.assertEqual(way["destination"]["host"], host(cell))
                self.assertEqual(way["destination"]["port"], {"number": 8080})

    def test_the_routing_header_is_the_configured_one(self):
        for route in routes({"config": {"routing_header": "x-shard"}})[:-1]:
            (match,) = route["match"]
            self.assertEqual(list(match["headers"]), ["x-shard"])

    def test_the_last_route_refuses(self):
        last = routes()[-1]
        self.assertNotIn("match", last)
        self.assertEqual(last["directResponse"]["status"], 421)
        self.assertEqual(routes({"routes": {"undecided": {"reject": 404}}})[-1]["directResponse"]["status"], 404)

    def test_the_last_route_may_be_a_cell(self):
        last = routes(matrix.CHANGES["undecided to a cell"])[-1]
        self.assertNotIn("match", last)
        self.assertNotIn("directResponse", last)
        self.assertEqual(last["route"][0]["destination"]["host"], host("cell-a"))

    def test_only_the_last_route_is_without_a_condition(self):
        for name, objects in matrix.renderings():
            for item in objects.of("VirtualService").installed:
                with self.subTest(name):
                    self.assertTrue(all(route.get("match") for route in item["spec"]["http"][:-1]))
                    self.assertFalse(item["spec"]["http"][-1].get("match"))

    def test_every_route_removes_the_deferral_header(self):
        for name, objects in matrix.renderings():
            for item in objects.of("VirtualService").installed:
                for route in item["spec"]["http"]:
                    with self.subTest(name, route=route.get("name")):
                        removed = route.get("headers", {}).get("request", {}).get("remove", [])
                        self.assertTrue("directResponse" in route or "x-cellgate-defer" in removed)

    def test_extra_routes_come_before_them(self):
        extra = [{"name": "closed", "match": [{"uri": {"prefix": "/old"}}], "directResponse": {"status": 410}}]
        found = routes({"routes": {"extra": extra}})
        self.assertEqual(found[:1], extra)
        self.assertEqual(sorted(by_cell(found[1:])), CELLS)

    def test_a_fault_is_injected_for_one_cell(self):
        fault = {"abort": {"httpStatus": 503, "percentage": {"value": 5}}}
        cells = by_cell(routes({"cells": {"cell-b": {"fault": fault}}}))
        self.assertEqual(cells["cell-b"]["fault"], fault)
        self.assertNotIn("fault", cells["cell-a"])

    def test_routes_have_names_of_their_own(self):
        names = [route["name"] for route in routes()]
        self.assertEqual(len(names), len(set(names)))

    def test_switched_off_there_are_no_routes(self):
        objects = chart.render({"routes": {"enabled": False}}).installed
        self.assertEqual(objects.of("VirtualService", "HTTPRoute"), [])


class Retries(unittest.TestCase):
    def test_by_default_there_is_no_timeout(self):
        """Streamed answers, and answers with a late first byte, are valid."""
        for cell, route in by_cell(routes()).items():
            with self.subTest(cell):
                self.assertNotIn("timeout", route)
                self.assertNotIn("perTryTimeout", route["retries"])

    def test_a_retry_has_conditions_and_a_time_for_each_try(self):
        for cell, route in by_cell(routes({"traffic": {"timeout": "30s", "retries": {"perTryTimeout": "10s"}}})).items():
            with self.subTest(cell):
                self.assertEqual(route["timeout"], "30s")
                self.assertEqual(route["retries"]["attempts"], 2)
                self.assertEqual(route["retries"]["perTryTimeout"], "10s")
                self.assertEqual(route["retries"]["retryOn"], "connect-failure,refused-stream,reset-before-request")

    def test_a_retry_stays_in_its_cell(self):
        for name, objects in matrix.renderings():
            for item in objects.of("VirtualService").installed:
                for cell, route in by_cell(item["spec"]["http"]).items():
                    with self.subTest(name, cell=cell):
                        hosts = {way["destination"]["host"] for way in route["route"]}
                        self.assertEqual(len(hosts), 1)

    def test_disabled_retries_disable_istios_defaults_too(self):
        for route in by_cell(routes({"traffic": {"retries": {"attempts": 0}}})).values():
            self.assertEqual(route["retries"], {"attempts": 0})

    def test_a_cell_may_override_the_defaults(self):
        own = {"timeout": "20s", "retries": {"attempts": 4, "retryOn": "5xx"}}
        cells = by_cell(routes({"cells": {"cell-b": own}}))
        self.assertEqual(cells["cell-b"]["timeout"], "20s")
        self.assertEqual(cells["cell-b"]["retries"], {"attempts": 4, "retryOn": "5xx"})
        self.assertEqual(cells["cell-a"]["retries"]["attempts"], 2)

    def test_the_budget_of_retries_is_set(self):
        change = {"traffic": {"retries": {"budget": {"percent": 35, "minConcurrency": 9}}}}
        objects = chart.render(change)
        budgets = chart.settings(list(objects), "retry_budget") + chart.settings(list(objects), "retryBudget")
        self.assertTrue(budgets)
        for budget in budgets:
            self.assertIn("35", str(budget))
            self.assertIn("9", str(budget))


class Destinations(unittest.TestCase):
    def test_each_cell_has_one_rule_in_its_namespace(self):
        for cell in CELLS:
            with self.subTest(cell):
                self.assertEqual(rule(cell)["metadata"]["namespace"], cell)

    def test_the_circuit_breaker_is_set(self):
        pool = rule("cell-a")["spec"]["trafficPolicy"]["connectionPool"]
        self.assertEqual(pool["tcp"]["maxConnections"], 1024)
        self.assertEqual(pool["tcp"]["connectTimeout"], "2s")
        self.assertEqual(pool["http"]["http1MaxPendingRequests"], 1024)
        self.assertEqual(pool["http"]["http2MaxRequests"], 1024)

    def test_unhealthy_endpoints_are_ejected(self):
        ejection = rule("cell-a")["spec"]["trafficPolicy"]["outlierDetection"]
        self.assertEqual(ejection["consecutive5xxErrors"], 5)
        self.assertEqual(ejection["maxEjectionPercent"], 50)
        self.assertEqual(ejection["baseEjectionTime"], "30s")

    def test_traffic_to_a_cell_is_encrypted(self):
        self.assertEqual(rule("cell-a")["spec"]["trafficPolicy"]["tls"], {"mode": "ISTIO_MUTUAL"})

    def test_a_cell_may_override_the_defaults(self):
        own = matrix.CHANGES["traffic of one cell"]
        policy = rule("cell-b", own)["spec"]["trafficPolicy"]
        self.assertEqual(policy["connectionPool"]["tcp"], {"maxConnections": 7, "connectTimeout": "2s"})
        self.assertEqual(policy["tls"], {"mode": "SIMPLE", "sni": "b.example.com"})
        self.assertEqual(policy["loadBalancer"], {"consistentHash": {"httpHeaderName": "x-user"}})
        other = rule("cell-a", own)["spec"]["trafficPolicy"]
        self.assertEqual(other["connectionPool"]["tcp"]["maxConnections"], 1024)
        self.assertEqual(other["tls"], {"mode": "ISTIO_MUTUAL"})

    def test_locality_settings_are_copied(self):
        locality = {"simple": "ROUND_ROBIN", "localityLbSetting": {"enabled": True, "failover": [{"from": "a", "to": "b"}]}}
        policy = rule("cell-a", {"traffic": {"loadBalancer": locality}})["spec"]["trafficPolicy"]
        self.assertEqual(policy["loadBalancer"], locality)


class Canary(unittest.TestCase):
    def test_the_versions_weights_are_in_the_route(self):
        cells = by_cell(routes(matrix.CHANGES["canary"]))
        ways = {way["destination"]["subset"]: way["weight"] for way in cells["cell-a"]["route"]}
        self.assertEqual(ways, {"stable": 90, "canary": 10})
        self.assertNotIn("subset", cells["cell-b"]["route"][0]["destination"])

    def test_every_subset_of_a_route_is_in_the_rule(self):
        subsets = {item["name"]: item["labels"] for item in rule("cell-a", matrix.CHANGES["canary"])["spec"]["subsets"]}
        self.assertEqual(subsets, {"stable": {"version": "v1"}, "canary": {"version": "v2"}})


class Mirror(unittest.TestCase):
    def test_a_percentage_of_a_cells_requests_is_mirrored(self):
        cells = by_cell(routes(matrix.CHANGES["mirror"]))
        (copied,) = cells["cell-a"]["mirrors"]
        self.assertEqual(copied["destination"]["host"], host("cell-b"))
        self.assertEqual(copied["percentage"], {"value": 10})
        self.assertNotIn("mirrors", cells["cell-b"])


class GatewayApi(unittest.TestCase):
    def setUp(self):
        self.objects = chart.render({"routes": matrix.HTTP_ROUTE}).installed
        self.spec = self.objects.one("HTTPRoute")["spec"]

    def test_it_replaces_the_virtual_service(self):
        self.assertEqual(self.objects.of("VirtualService"), [])
        self.assertEqual(self.spec["hostnames"], ["api.example.com"])
        self.assertEqual(self.spec["parentRefs"], matrix.HTTP_ROUTE["parentRefs"])

    def test_each_cell_has_its_rule(self):
        found = {}
        for rule in self.spec["rules"]:
            for match in rule.get("matches", []):
                for header in match.get("headers", []):
                    self.assertEqual((header["name"], header.get("type", "Exact")), ("x-cell", "Exact"))
                    found[header["value"]] = [(ref["name"], ref["namespace"], ref["port"]) for ref in rule["backendRefs"]]
        self.assertEqual(found, {cell: [("api", cell, 8080)] for cell in CELLS})

    def test_a_backend_in_another_namespace_is_granted(self):
        grants = self.objects.of("ReferenceGrant")
        self.assertEqual(sorted(item["metadata"]["namespace"] for item in grants), CELLS)
        for item in grants:
            (source,) = item["spec"]["from"]
            self.assertEqual((source["kind"], source["namespace"]), ("HTTPRoute", chart.NAMESPACE))

    def test_every_rule_removes_the_deferral_header(self):
        for rule in self.spec["rules"]:
            if rule.get("backendRefs"):
                removed = [
                    name
                    for item in rule.get("filters", [])
                    for name in item.get("requestHeaderModifier", {}).get("remove", [])
                ]
                self.assertIn("x-cellgate-defer", removed)

    def test_each_cell_has_its_timeout(self):
        self.assertEqual(chart.settings(self.spec, "timeouts"), [])
        spec = chart.render({"routes": matrix.HTTP_ROUTE, "cells": {"cell-a": {"timeout": "7s"}}}).one("HTTPRoute")["spec"]
        self.assertEqual(chart.settings(spec, "timeouts"), [{"request": "7s"}])

    def test_the_cells_keep_their_rules(self):
        hosts = {item["spec"]["host"] for item in self.objects.of("DestinationRule")}
        self.assertLessEqual({host(cell) for cell in CELLS}, hosts)


if __name__ == "__main__":
    unittest.main()
