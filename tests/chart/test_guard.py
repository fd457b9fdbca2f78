"""Routes that believe the filter, and nobody else."""

import re
import unittest

import chart
import matrix


def bound(item):
    """The routes that an EnvoyFilter binds to what the filter has written: name to pattern."""
    patches = [patch for patch in item["spec"]["configPatches"] if patch["applyTo"] == "HTTP_ROUTE"]
    pattern = lambda patch: patch["patch"]["value"]["match"]["filter_state"][0]["string_match"]["safe_regex"]["regex"]
    return {patch["match"]["routeConfiguration"]["vhost"]["route"]["name"]: pattern(patch) for patch in patches}


def contexts(item):
    return {patch["match"]["context"] for patch in item["spec"]["configPatches"] if patch["applyTo"] == "HTTP_ROUTE"}


class Guard(unittest.TestCase):
    def test_every_route_that_a_header_opens_is_bound(self):
        for name, objects in matrix.renderings():
            services = objects.of("VirtualService")
            opened = {
                route["name"]
                for service in services
                for route in service["spec"]["http"]
                if any("x-cell" in match.get("headers", {}) for match in route.get("match", []))
                and not chart.is_hook(service)
            }
            for item in objects.of("EnvoyFilter"):
                inbound = "SIDECAR_INBOUND" in str(item) and "main_internal" not in str(item)
                if services and not inbound:
                    with self.subTest(name, item=chart.label(item)):
                        self.assertLessEqual(opened, set(bound(item)))

    def test_a_route_of_one_cell_is_not_opened_by_another_s_decision(self):
        (item,) = chart.render().of("EnvoyFilter")
        pattern = bound(item)[f"{chart.RELEASE}-cell-a"]
        for state in ("cell=cell-a;reason=slot", "defer=stream;reason=body_too_large"):
            self.assertTrue(re.fullmatch(pattern, state), state)
        for state in ("", "cell=cell-b;reason=slot", "cell=cell-aa;reason=slot", "pass;reason=host_excluded", "reject=400;reason=x"):
            self.assertFalse(re.fullmatch(pattern, state), state)

    def test_it_does_not_depend_on_the_ports_of_the_filter(self):
        attach = [{**chart.VALUES["filter"]["attach"][0], "ports": [8443]}]
        (item,) = chart.render({"filter": {"attach": attach}}).of("EnvoyFilter")
        self.assertEqual(contexts(item), {"GATEWAY"})
        self.assertNotIn("portNumber", str([p for p in item["spec"]["configPatches"] if p["applyTo"] == "HTTP_ROUTE"]))

    def test_an_undecided_request_takes_no_header_to_a_cell(self):
        (service,) = [
            item
            for item in chart.render({"routes": {"undecided": {"cell": "cell-a"}}}).of("VirtualService")
            if not chart.is_hook(item)
        ]
        last = service["spec"]["http"][-1]
        self.assertIn("x-cell", last["headers"]["request"]["remove"])


if __name__ == "__main__":
    unittest.main()
