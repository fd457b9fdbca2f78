"""Rate limits: both tiers get them where the service counts, and the proxies send what the service needs."""

import json
import unittest

import chart
import matrix
import test_routes
import test_service

LIMITED = {"config": {"rate_limits": [matrix.PER_TENANT]}}
SHOWN = {**LIMITED, "routes": {"rateLimitFields": True}}
ATTRIBUTES = [
    "filter_state['wasm.cellgate_handover']",
    "connection.uri_san_peer_certificate",
    "source.address",
]


def rendering(name):
    return dict(matrix.renderings())[name]


def limits_of(text):
    return json.loads(text).get("rate_limits")


class RateLimits(unittest.TestCase):
    def test_both_tiers_have_the_limits(self):
        objects = chart.render(LIMITED)
        (item,) = objects.filters
        self.assertEqual(limits_of(chart.service_config(objects)), [matrix.PER_TENANT])
        self.assertEqual(chart.filter_config(item), chart.service_config(objects))

    def test_a_filter_without_the_service_has_no_limits(self):
        """It would hand requests over to nobody. The gateway in front of a cell's sidecar has counted them."""
        objects = rendering("rate limits")
        self.assertEqual(len(objects.filters), 4)
        for item in objects.filters:
            defers = bool(chart.typed(item, "ExternalProcessor"))
            with self.subTest(chart.label(item)):
                self.assertEqual(limits_of(chart.filter_config(item)), [matrix.PER_TENANT] if defers else None)

    def test_every_mode_sends_the_attributes(self):
        """Without limits too: when a limit is added, connections of the old listener get the filter's new configuration."""
        for name in ["defaults", "body mode buffer", "rate limits", "rate limits with claims"]:
            for item in rendering(name).filters:
                processors = chart.typed(item, "ExternalProcessor")
                self.assertIn(len(processors), [0, 3])
                for processor in processors:
                    with self.subTest(name, item=chart.label(item)):
                        self.assertEqual(processor["request_attributes"], ATTRIBUTES)

    def test_without_limits_the_service_has_its_default_of_keys(self):
        self.assertNotIn("--max-limit-keys", test_service.options(test_service.container()))

    def test_claims_of_limits_are_forwarded(self):
        self.assertEqual(chart.settings(rendering("rate limits").filters, "forwarding_namespaces"), [])
        forwarded = chart.settings(rendering("rate limits with claims").filters, "forwarding_namespaces")
        self.assertEqual(forwarded, [{"untyped": ["envoy.filters.http.jwt_authn"]}] * 3)

    def test_the_number_of_keys_is_the_value(self):
        for change, count in [({}, "1000000"), ({"extProc": {"maxLimitKeys": 50000}}, "50000")]:
            found = test_service.options(test_service.container({**LIMITED, **change}))
            self.assertEqual(found["--max-limit-keys"], count)
        descriptors = [{"name": "one", "domain": "edge", "descriptor": [{"key": "user"}], "limit": "1/s"}]
        found = test_service.options(test_service.container({"config": {"descriptor_limits": descriptors}}))
        self.assertEqual(found["--max-limit-keys"], "1000000")

    def test_every_cells_route_shows_the_fields(self):
        expected = {
            "ratelimit": "%DYNAMIC_METADATA(cellgate:rate_limit)%",
            "ratelimit-policy": "%DYNAMIC_METADATA(cellgate:rate_limit_policy)%",
        }
        routes = test_routes.by_cell(test_routes.routes(SHOWN))
        self.assertEqual(sorted(routes), test_routes.CELLS)
        for cell, route in routes.items():
            with self.subTest(cell):
                self.assertEqual(route["headers"]["response"], {"set": expected})
        for route in test_routes.by_cell(rendering("rate limits").installed.of("VirtualService")[0]["spec"]["http"]).values():
            self.assertEqual(route["headers"]["response"], {"add": {"vary": "origin"}, "set": expected})

    def test_older_fields_are_an_option(self):
        change = {**SHOWN, "extProc": {"xRateLimitFields": True}}
        self.assertIn("--x-ratelimit-headers", test_service.container(change)["args"])
        for route in test_routes.by_cell(test_routes.routes(change)).values():
            fields = route["headers"]["response"]["set"]
            for part in ["limit", "remaining", "reset"]:
                self.assertEqual(fields[f"x-ratelimit-{part}"], f"%DYNAMIC_METADATA(cellgate:x_rate_limit_{part})%")
        self.assertNotIn("--x-ratelimit-headers", test_service.container(SHOWN)["args"])

    def test_by_default_no_route_shows_them(self):
        for route in test_routes.by_cell(test_routes.routes(LIMITED)).values():
            self.assertNotIn("response", route["headers"])

    def test_shadow_mode_keeps_the_limits_and_needs_no_service(self):
        objects = rendering("rate limits in shadow mode")
        (item,) = objects.filters
        self.assertEqual(limits_of(chart.filter_config(item)), [matrix.PER_TENANT])
        self.assertEqual([item["kind"] for item in objects.installed], ["EnvoyFilter"])


if __name__ == "__main__":
    unittest.main()
