"""What has to agree between objects, in every rendering: each of them is right alone, and wrong beside the others."""

import json
import unittest

import chart
import matrix

UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def size(value):
    """Bytes of a size as in Cellgate's configuration."""
    text = str(value)
    return int(text.removesuffix(text[-3:])) * UNITS[text[-3:]] if text[-3:] in UNITS else int(text)


def filters(objects):
    """The EnvoyFilters of the filter, with the configuration of each."""
    for item in objects.of("EnvoyFilter"):
        if chart.typed(item, "Wasm"):
            yield item, json.loads(chart.filter_config(item))


class Agreement(unittest.TestCase):
    def test_every_cell_has_its_route_and_no_other_has_one(self):
        for name, objects in matrix.renderings():
            for item in objects.installed.of("VirtualService", "HTTPRoute"):
                with self.subTest(name, item=chart.label(item)):
                    # `headers: {x-cell: {exact: …}}` in the one kind, `headers: [{name: x-cell, value: …}]` in the other.
                    routed = {match["exact"] for match in chart.settings(item, "x-cell")}
                    routed |= {found["value"] for found in chart.walk(item) if found.get("name") == "x-cell"}
                    for _, config in filters(objects):
                        self.assertEqual(sorted(routed), config["cells"])

    def test_every_destination_has_a_rule(self):
        for name, objects in matrix.renderings():
            rules = {item["spec"]["host"]: item["spec"] for item in objects.of("DestinationRule")}
            for destination in chart.settings(list(objects.installed.of("VirtualService")), "destination"):
                with self.subTest(name, destination=destination):
                    self.assertIn(destination["host"], rules)
                    subsets = {subset["name"] for subset in rules[destination["host"]].get("subsets", [])}
                    self.assertLessEqual({destination["subset"]} if "subset" in destination else set(), subsets)

    def test_envoy_buffers_at_least_what_the_filter_may_hold(self):
        for name, objects in matrix.renderings():
            for item, config in filters(objects):
                if config.get("shadow"):  # holds nothing
                    continue
                inspected = size(config["limits"]["inspect_bytes"])
                (apart,) = [
                    limits
                    for limits in objects.limits
                    if limits["metadata"]["name"] == f"{item['metadata']['name']}-limits"
                ]
                limits = chart.settings(apart, "per_connection_buffer_limit_bytes")
                windows = chart.settings(apart, "initial_stream_window_size")
                with self.subTest(name, item=chart.label(item)):
                    self.assertTrue(limits and windows)
                    self.assertGreaterEqual(min(limits + windows), inspected)

    def test_every_proxy_that_asks_the_service_may(self):
        for name, objects in matrix.renderings():
            if not objects.of("Deployment"):
                continue
            service = objects.one("Deployment")["metadata"]["name"]
            policies = [item for item in objects.of("AuthorizationPolicy") if item["metadata"]["name"] == service]
            principals = {account for found in chart.settings(policies, "principals") for account in found}
            allowed = str(chart.settings(list(objects.of("NetworkPolicy")), "ingress"))
            for item in objects.of("EnvoyFilter"):
                if not chart.typed(item, "ExternalProcessor"):
                    continue
                namespace = item["metadata"]["namespace"]
                with self.subTest(name, item=chart.label(item)):
                    if policies:
                        self.assertTrue(any(f"/ns/{namespace}/sa/" in account for account in principals), principals)
                    if objects.of("NetworkPolicy"):
                        self.assertIn(f"'{namespace}'", allowed)

    def test_the_service_holds_less_than_its_memory(self):
        mebibyte = 2**20
        quantities = {"Mi": mebibyte, "Gi": 1024 * mebibyte}
        for name, objects in matrix.renderings():
            for item in objects.of("Deployment"):
                (container,) = item["spec"]["template"]["spec"]["containers"]
                memory = container["resources"]["limits"]["memory"]
                (held,) = [option.partition("=")[2] for option in container["args"] if option.startswith("--max-held-bytes")]
                with self.subTest(name):
                    self.assertGreater(int(memory[:-2]) * quantities[memory[-2:]], size(held))


if __name__ == "__main__":
    unittest.main()
