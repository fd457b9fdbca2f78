"""Both tiers get the same configuration, and Cellgate accepts it."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import chart
import matrix

# Outside `make test` there may be no program.
CELLGATE = os.environ.get("CELLGATE_BIN")


def parsed(objects):
    return json.loads(chart.service_config(objects))


CHALLENGES = {"paths": ["/.well-known/acme-challenge/"]}


class Config(unittest.TestCase):
    def test_the_filter_has_exactly_the_services_configuration(self):
        objects = chart.render()
        texts = {chart.filter_config(item) for item in objects.filters}
        self.assertEqual(texts, {chart.service_config(objects)})

    def test_the_cells_are_sorted(self):
        self.assertEqual(parsed(chart.render())["cells"], ["cell-a", "cell-b", "cell-c"])

    def test_config_is_copied(self):
        config = {"version": "7", "policy": {"key_missing": {"use": "cell-a"}}, "limits": {"key_bytes": 64}}
        found = parsed(chart.render({"config": config}))
        self.assertEqual(found["version"], "7")
        self.assertEqual(found["policy"], {**config["policy"], "host_excluded": "pass"})
        self.assertEqual(found["limits"], {"inspect_bytes": "64KiB", "key_bytes": 64})
        self.assertEqual(found["routing_header"], "x-cell")
        self.assertEqual(found["key"], [{"json": "/tenant/id"}])

    def test_large_numbers_stay_integers(self):
        seed = 2**53 - 1
        slots = {"count": 65536, "seed": seed}
        found = chart.service_config(chart.render({"config": {"placement": {"slots": slots}}}))
        self.assertIn(f'"seed":{seed}', found)
        self.assertIn('"count":65536', found)

    def test_strings_that_look_like_other_types_stay_strings(self):
        exact = {"007": "cell-a", "true": "cell-a", "<&>": "cell-a", "{{ .Release.Name }}": "cell-a", "ü": "cell-a"}
        found = parsed(chart.render({"config": {"placement": {"exact": exact}}}))
        self.assertEqual(found["placement"]["exact"], exact)

    def test_a_drained_cell_gets_no_slot(self):
        weights = parsed(chart.render({"cells": {"cell-b": {"drain": True}}}))["placement"]["slots"]["weights"]
        self.assertEqual(weights, {"cell-a": 1, "cell-b": 0, "cell-c": 1})

    def test_a_drained_cell_leaves_the_other_weights(self):
        slots = {"weights": {"cell-a": 3, "cell-b": 5, "cell-c": 7}}
        change = {"config": {"placement": {"slots": slots}}, "cells": {"cell-b": {"drain": True}}}
        weights = parsed(chart.render(change))["placement"]["slots"]["weights"]
        self.assertEqual(weights, {"cell-a": 3, "cell-b": 0, "cell-c": 7})

    def test_a_drained_cell_keeps_the_keys_placed_by_name(self):
        placement = parsed(chart.render({"cells": {"cell-b": {"drain": True}}}))["placement"]
        self.assertEqual(placement["overrides"], {"acme": "cell-b"})

    def test_requests_for_the_routes_hosts_are_decided_and_others_pass(self):
        config = parsed(chart.render({"routes": {"hosts": ["api.example.com", "shop.cells.svc.cluster.local"]}}))
        names = ["shop.cells.svc.cluster.local", "shop.cells.svc", "shop.cells", "shop"]
        self.assertEqual(config["applies_to"]["hosts"], ["api.example.com", *names, "cellgate-probe.internal"])
        self.assertEqual(config["policy"], {"host_excluded": "pass"})

    def test_hosts_outside_a_configured_list_pass_too(self):
        config = parsed(chart.render({"config": {"applies_to": {"hosts": ["a.example.com"]}}}))
        self.assertEqual(config["policy"], {"host_excluded": "pass"})

    def test_configured_hosts_are_unchanged(self):
        change = {"config": {"applies_to": {"hosts": ["a.example.com"]}, "policy": {"host_excluded": {"reject": 404}}}}
        config = parsed(chart.render(change))
        self.assertEqual(config["applies_to"], {"hosts": ["a.example.com"], "except": CHALLENGES})
        self.assertEqual(config["policy"], {"host_excluded": {"reject": 404}})

    def test_a_cells_own_sidecar_decides_for_every_host(self):
        """Requests for a host that is not listed would bypass the check."""
        change = {"config": {"applies_to": {"hosts": ["a.example.com"], "methods": ["POST"]}}, "filter": {"attach": [chart.SIDECAR]}}
        (item,) = chart.render(change).filters
        self.assertEqual(json.loads(chart.filter_config(item))["applies_to"], {"methods": ["POST"], "except": CHALLENGES})

    def test_a_star_or_no_hosts_mean_every_host(self):
        for routes in [{"hosts": ["*"]}, {"enabled": False, "hosts": []}]:
            self.assertEqual(parsed(chart.render({"routes": routes}))["applies_to"], {"except": CHALLENGES})

    def test_certificate_challenges_are_excepted_by_default(self):
        self.assertEqual(parsed(chart.render())["applies_to"]["except"], CHALLENGES)
        for own in [{}, {"paths": ["/healthz"]}]:
            config = parsed(chart.render({"config": {"applies_to": {"except": own}}}))
            self.assertEqual(config["applies_to"]["except"], own)

    def test_without_the_routes_the_same_hosts_are_decided(self):
        with_routes, without = parsed(chart.render()), parsed(chart.render({"routes": {"enabled": False}}))
        self.assertEqual(without, with_routes)

    def test_only_an_inbound_sidecar_accepts_decisions_of_other_proxies(self):
        attach = [*chart.VALUES["filter"]["attach"], chart.SIDECAR]
        objects = chart.render({"filter": {"attach": attach}})
        decided_by = {}
        for item in objects.of("EnvoyFilter"):
            if chart.typed(item, "Wasm"):
                config = json.loads(chart.filter_config(item))
                decided_by[item["metadata"]["namespace"]] = config.pop("decided_by", None)
                expected = parsed(objects)
                if item["metadata"]["namespace"] == "cell-a":
                    # For all hosts: it only receives requests for its own service, under any name.
                    config.pop("policy")
                    expected.pop("policy")
                    self.assertEqual(config.pop("applies_to"), {"except": CHALLENGES})
                    expected.pop("applies_to")
                self.assertEqual(config, expected)
        gateway = "spiffe://cluster.local/ns/istio-ingress/sa/istio-ingressgateway"
        self.assertEqual(decided_by, {"istio-ingress": None, "cell-a": {"peers": [gateway], "cell": "cell-a"}})

    def test_a_filter_without_a_service_behind_it_defers_nothing(self):
        sidecar = {"filter": {"attach": [chart.SIDECAR]}}
        alone = {"extProc": {"enabled": False}}
        policy = {"body_encoded": {"reject": 406}, "key_missing": {"use": "cell-a"}}
        for change in [sidecar, alone, chart.merge(sidecar, {"config": {"policy": {"body_too_large": "defer"}}})]:
            with self.subTest(change):
                (item,) = chart.render(chart.merge({"config": {"policy": policy}}, change)).filters
                expected = {
                    "body_too_large": {"reject": 413},
                    "body_length_unknown": {"reject": 411},
                    "body_encoded": {"reject": 406},
                    "key_missing": {"use": "cell-a"},
                    "host_excluded": "pass",
                }
                self.assertEqual(json.loads(chart.filter_config(item))["policy"], expected)

    @unittest.skipUnless(CELLGATE, "CELLGATE_BIN is not set")
    def test_cellgate_accepts_every_configuration(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, objects in matrix.renderings():
                texts = {chart.service_config(objects)} if objects.of("Deployment") else set()
                texts |= {chart.filter_config(item) for item in objects.filters}
                for text in sorted(texts):
                    with self.subTest(name):
                        file = pathlib.Path(folder) / "cellgate.json"
                        file.write_text(text)
                        checked = subprocess.run([CELLGATE, "check", file], capture_output=True, text=True)
                        self.assertEqual(checked.returncode, 0, checked.stderr)


if __name__ == "__main__":
    unittest.main()
