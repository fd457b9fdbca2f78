"""The cells' routes accept only the filter's decision, not a client's header."""

import re
import unittest

import chart
import matrix


def bound(item):
    """The routes that an EnvoyFilter binds to the filter's state: the pattern of each name."""
    patches = [patch for patch in item["spec"]["configPatches"] if patch["applyTo"] == "HTTP_ROUTE"]
    pattern = lambda patch: patch["patch"]["value"]["match"]["filter_state"][0]["string_match"]["safe_regex"]["regex"]
    return {patch["match"]["routeConfiguration"]["vhost"]["route"]["name"]: pattern(patch) for patch in patches}


def contexts(item):
    return {patch["match"]["context"] for patch in item["spec"]["configPatches"] if patch["applyTo"] == "HTTP_ROUTE"}


def guards(objects):
    return [item for item in objects.of("EnvoyFilter") if item["metadata"]["name"].endswith("-guard")]


class Guard(unittest.TestCase):
    def test_every_route_that_a_header_opens_is_bound(self):
        for name, objects in matrix.renderings():
            opened = {
                route["name"]
                for service in objects.of("VirtualService")
                for route in service["spec"]["http"]
                if any("x-cell" in match.get("headers", {}) for match in route.get("match", []))
                and not chart.is_hook(service)
            }
            with self.subTest(name):
                self.assertEqual(bool(guards(objects)), bool(objects.of("VirtualService", "HTTPRoute").installed))
                for item in guards(objects):
                    self.assertLessEqual(opened, set(bound(item)))

    def test_a_forgotten_gateway_is_bound_too(self):
        objects = chart.render({"routes": {"gateways": ["istio-ingress/public", "internal/private"]}})
        self.assertEqual({item["metadata"]["namespace"] for item in guards(objects)}, {"istio-ingress", "internal"})
        for item in guards(objects):
            self.assertNotIn("workloadSelector", item["spec"])

    def test_it_patches_only_the_charts_routes(self):
        for name, objects in matrix.renderings():
            for item in guards(objects):
                with self.subTest(name, item=chart.label(item)):
                    self.assertEqual({patch["applyTo"] for patch in item["spec"]["configPatches"]}, {"HTTP_ROUTE"})
                    release = item["metadata"]["name"].removesuffix("-guard")
                    for route in bound(item):
                        self.assertIn(release, route)

    def test_the_decision_for_one_cell_does_not_open_the_route_of_another(self):
        (item,) = guards(chart.render())
        pattern = bound(item)[f"{chart.RELEASE}-cell-a"]
        for state in ("cell=cell-a;reason=slot", "defer=stream;reason=body_too_large"):
            self.assertTrue(re.fullmatch(pattern, state), state)
        for state in ("", "cell=cell-b;reason=slot", "cell=cell-aa;reason=slot", "pass;reason=host_excluded", "reject=400;reason=x"):
            self.assertFalse(re.fullmatch(pattern, state), state)

    def test_only_the_cells_routes_have_the_idle_timeout(self):
        def times(change=None):
            (item,) = guards(chart.render(change))
            patches = item["spec"]["configPatches"]
            name = lambda patch: patch["match"]["routeConfiguration"]["vhost"]["route"]["name"].removeprefix(f"{chart.RELEASE}-")
            return {name(patch): patch["patch"]["value"].get("route", {}).get("idle_timeout") for patch in patches}

        self.assertEqual(set(times().values()), {"300s"})
        change = {"traffic": {"idleTimeout": ""}, "cells": {"cell-a": {"idleTimeout": "1m30s"}, "cell-b": {"idleTimeout": "0s"}}}
        self.assertEqual(times(change), {"cell-a": "90s", "cell-b": "0s", "cell-c": None})

    def test_it_does_not_depend_on_the_ports_of_the_filter(self):
        attach = [{**chart.VALUES["filter"]["attach"][0], "ports": [8443]}]
        (item,) = guards(chart.render({"filter": {"attach": attach}}))
        self.assertEqual(contexts(item), {"ANY"})
        self.assertNotIn("portNumber", str(item))

    def test_an_undecided_request_reaches_a_cell_without_a_routing_header(self):
        (service,) = [
            item
            for item in chart.render({"routes": {"undecided": {"cell": "cell-a"}}}).of("VirtualService")
            if not chart.is_hook(item)
        ]
        last = service["spec"]["http"][-1]
        self.assertIn("x-cell", last["headers"]["request"]["remove"])


if __name__ == "__main__":
    unittest.main()
