"""What browsers need: preflights that are answered, and refusals that a page can read."""

import re
import unittest

import chart

POLICY = {
    "allowOrigins": [{"exact": "https://app.example.com"}, {"regex": r"https://[a-z]+\.example\.com"}],
    "allowMethods": ["POST"],
    "allowHeaders": ["content-type"],
    "exposeHeaders": ["x-request-id", "retry-after"],
    "allowCredentials": True,
}
CORS = {"routes": {"cors": POLICY, "hosts": ["api.example.com", "*.tenants.example.com"]}}


def routes(change):
    return chart.render(change).installed.one("VirtualService")["spec"]["http"]


def mappers(change):
    (limits,) = chart.render(change).limits
    (manager,) = chart.typed(limits, "HttpConnectionManager")
    return manager["local_reply_config"]["mappers"]


class Preflights(unittest.TestCase):
    def test_they_have_the_first_route_and_no_cell(self):
        first = routes(CORS)[0]
        (match,) = first["match"]
        self.assertEqual(match["method"], {"exact": "OPTIONS"})
        self.assertEqual(set(match["headers"]), {"origin", "access-control-request-method"})
        # Otherwise those of other origins would go on to a cell.
        self.assertEqual(first["corsPolicy"], {**POLICY, "unmatchedPreflights": "IGNORE"})
        self.assertEqual(first["headers"]["request"]["remove"], ["x-cellgate-defer", "x-cell"])

    def test_whoever_says_forward_gets_it(self):
        change = chart.merge(CORS, {"routes": {"cors": {"unmatchedPreflights": "FORWARD"}}})
        self.assertEqual(routes(change)[0]["corsPolicy"]["unmatchedPreflights"], "FORWARD")

    def test_each_cell_s_route_has_the_policy(self):
        found = [route["corsPolicy"] for route in routes(CORS) if "headers" in str(route.get("match")) and "x-cell" in str(route)]
        self.assertEqual(found[1:], [POLICY] * 3)

    def test_without_a_policy_there_is_nothing_of_it(self):
        self.assertNotIn("cors", str(routes({})).lower())
        self.assertNotIn("access-control", str(mappers({})))


class Refusals(unittest.TestCase):
    def test_the_first_mapper_that_matches_adds_all(self):
        both, readable, late = [[added["header"]["key"] for added in mapper["headers_to_add"]] for mapper in mappers(CORS)]
        cors = [
            "access-control-allow-origin",
            "vary",
            "access-control-allow-credentials",
            "access-control-expose-headers",
        ]
        self.assertEqual((both, readable, late), ([*cors, "retry-after"], cors, ["retry-after"]))

    def test_only_the_release_s_hosts_are_meant(self):
        host, _ = mappers(CORS)[1]["filter"]["and_filter"]["filters"]
        self.assertEqual(host["header_filter"]["header"]["name"], ":authority")
        pattern = host["header_filter"]["header"]["string_match"]["safe_regex"]["regex"]
        for name, meant in [
            ("api.example.com", True),
            ("API.example.com:8080", True),
            ("a.tenants.example.com", True),
            ("apixexample.com", False),
            ("other.example.com", False),
            ("tenants.example.com", False),
            ("api.example.com.evil.test", False),
        ]:
            self.assertEqual(bool(re.fullmatch(pattern, name)), meant, name)

    def test_only_the_policy_s_origins_are_meant(self):
        _, origins = mappers(CORS)[1]["filter"]["and_filter"]["filters"]
        found = [entry["header_filter"]["header"] for entry in origins["or_filter"]["filters"]]
        self.assertEqual({header["name"] for header in found}, {"origin"})
        self.assertEqual(
            [header["string_match"] for header in found],
            [{"exact": "https://app.example.com"}, {"safe_regex": {"regex": r"https://[a-z]+\.example\.com"}}],
        )
        one = mappers(chart.merge(CORS, {"routes": {"cors": {"allowOrigins": [{"prefix": "https://a."}]}}}))
        self.assertIn("header_filter", one[1]["filter"]["and_filter"]["filters"][1])


if __name__ == "__main__":
    unittest.main()
