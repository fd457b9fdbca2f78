"""Objects of one rendering agree with each other: each one may be valid alone and wrong together with the others."""

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
    """The EnvoyFilters with the filter, each with its configuration."""
    for item in objects.of("EnvoyFilter"):
        if chart.typed(item, "Wasm"):
            yield item, json.loads(chart.filter_config(item))


class Agreement(unittest.TestCase):
    def test_exactly_the_cells_have_routes(self):
        for name, objects in matrix.renderings():
            for item in objects.installed.of("VirtualService", "HTTPRoute"):
                with self.subTest(name, item=chart.label(item)):
                    # `headers: {x-cell: {exact: …}}` in a VirtualService, `headers: [{name: x-cell, value: …}]` in an HTTPRoute.
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

    def test_envoys_buffer_limits_are_at_least_the_inspection_limit(self):
        for name, objects in matrix.renderings():
            limited = {item["metadata"]["name"]: item for item in objects.limits}
            for item, config in filters(objects):
                if config.get("shadow"):  # holds nothing
                    continue
                inspected = size(config["limits"]["inspect_bytes"])
                own = limited[f"{item['metadata']['name']}-limits"]
                limits = chart.settings(own, "per_connection_buffer_limit_bytes")
                windows = chart.settings(own, "initial_stream_window_size")
                with self.subTest(name, item=chart.label(item)):
                    self.assertTrue(limits and windows)
                    self.assertGreaterEqual(min(limits + windows), inspected)

    def test_every_proxy_that_defers_may_call_the_service(self):
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

    def test_the_byte_budget_is_below_the_memory_limit(self):
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
