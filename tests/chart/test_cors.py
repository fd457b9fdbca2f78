"""CORS: preflights, and the answers that pages of other origins may read."""

import re
import unittest

import chart
import matrix

CORS = matrix.CHANGES["cors"]
POLICY = {**CORS["routes"]["cors"], "unmatchedPreflights": "IGNORE"}


def routes(change):
    return chart.render(change).installed.one("VirtualService")["spec"]["http"]


def limits(change=CORS, attachment="ingress"):
    (found,) = [item for item in chart.render(change).limits if attachment in item["metadata"]["name"]]
    return found


def mappers(change=CORS, attachment="ingress"):
    """The mappers for the proxy's own answers, in order."""
    found = chart.settings(limits(change, attachment), "mappers")
    return found[0] if found else []


def conditions(mapper):
    """The conditions of a mapper: the pattern of each header, and the status."""
    found = {}
    for part in mapper["filter"]["and_filter"]["filters"]:
        if "status_code_filter" in part:
            found["status"] = part["status_code_filter"]["comparison"]["value"]["default_value"]
        else:
            header = part["header_filter"]["header"]
            found[header["name"]] = header.get("string_match", {}).get("safe_regex", {}).get("regex", "present")
    return found


def headers(mapper):
    return {entry["header"]["key"]: entry["header"]["value"] for entry in mapper["headers_to_add"]}


class Routes(unittest.TestCase):
    def test_without_a_policy_there_are_no_cors_settings(self):
        objects = chart.render()
        self.assertNotIn("corsPolicy", str(objects.installed.one("VirtualService")))
        self.assertNotIn("access-control", str(objects.limits))
        self.assertEqual([route["name"] for route in routes({}) if "preflight" in route["name"]], [])

    def test_the_policy_is_on_every_route_to_a_cell(self):
        for change in [CORS, chart.merge(CORS, {"routes": {"undecided": {"cell": "cell-a"}}})]:
            for route in routes(change):
                with self.subTest(route["name"]):
                    self.assertEqual(route.get("corsPolicy"), None if "directResponse" in route else POLICY)

    def test_a_configured_value_for_unmatched_preflights_is_kept(self):
        change = chart.merge(CORS, {"routes": {"cors": {"unmatchedPreflights": "FORWARD"}}})
        self.assertEqual(routes(change)[0]["corsPolicy"]["unmatchedPreflights"], "FORWARD")

    def test_a_preflight_has_a_route_before_the_cells(self):
        """A preflight has no body, and so no cell."""
        first = routes(CORS)[0]
        self.assertEqual(first["name"], f"{chart.RELEASE}-preflight")
        (match,) = first["match"]
        # In Istio an empty match means presence.
        self.assertEqual(match, {"method": {"exact": "OPTIONS"}, "headers": {"origin": {}, "access-control-request-method": {}}})
        self.assertLessEqual({"x-cell", "x-cellgate-defer"}, set(first["headers"]["request"]["remove"]))

    def test_extra_routes_come_before_it(self):
        extra = [{"name": "closed", "match": [{"uri": {"prefix": "/old"}}], "directResponse": {"status": 410}}]
        names = [route["name"] for route in routes(chart.merge(CORS, {"routes": {"extra": extra}}))]
        self.assertEqual(names[:2], ["closed", f"{chart.RELEASE}-preflight"])

    def test_a_preflight_is_not_bound_to_a_decision(self):
        for item in chart.render(CORS).of("EnvoyFilter"):
            self.assertNotIn("preflight", str(item))


class Refusals(unittest.TestCase):
    def test_the_most_specific_mapper_comes_first(self):
        """Envoy uses only the first matching mapper."""
        found = [set(conditions(mapper)) for mapper in mappers()]
        deferred, page = {"status", "x-cellgate-defer"}, {":authority", "origin"}
        self.assertEqual(found, [deferred | page, page, deferred])

    def test_a_page_may_read_what_the_policy_allows(self):
        granted = {
            "access-control-allow-origin": "%REQ(ORIGIN)%",
            "vary": "origin",
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": "retry-after",
        }
        both, page, deferred = mappers()
        self.assertEqual(headers(page), granted)
        self.assertEqual(headers(deferred), {"retry-after": "1"})
        self.assertEqual(headers(both), {**granted, "retry-after": "1"})

    def test_no_header_allows_more_than_the_policy(self):
        change = {"routes": {"cors": {"allowOrigins": [{"exact": "https://a.example.com"}]}}}
        self.assertEqual(set(headers(mappers(change)[1])), {"access-control-allow-origin", "vary"})

    def test_no_header_is_set_twice(self):
        for mapper in mappers():
            for entry in mapper["headers_to_add"]:
                key = entry["header"]["key"]
                expected = "ADD_IF_ABSENT" if key == "retry-after" else "OVERWRITE_IF_EXISTS_OR_ADD"
                self.assertEqual(entry["append_action"], expected, key)

    def test_only_pages_of_allowed_origins(self):
        pattern = conditions(mappers()[1])["origin"]
        for origin in ["https://app.example.com", "https://dev.example.com", "https://x.pages.example"]:
            self.assertTrue(re.fullmatch(pattern, origin), origin)
        for origin in ["https://app.example.com.evil.example", "https://appXexample.com", "https://x1.pages.example", "null", ""]:
            self.assertFalse(re.fullmatch(pattern, origin), origin)

    def test_an_exact_star_is_every_origin(self):
        """As in Envoy's cors filter."""
        pattern = conditions(mappers({"routes": {"cors": {"allowOrigins": [{"exact": "*"}]}}})[1])["origin"]
        self.assertTrue(re.fullmatch(pattern, "https://any.example"))

    def test_only_on_hosts_of_the_routes(self):
        hosts = ["api.example.com", "*.shop.example", "orders.apps.svc.cluster.local"]
        pattern = conditions(mappers(chart.merge(CORS, {"routes": {"hosts": hosts}}))[1])[":authority"]
        # Python requires the flags of a pattern at its start.
        for host in ["api.example.com", "API.Example.com:8443", "a.shop.example", "orders.apps", "orders", "orders.apps.svc:80"]:
            self.assertTrue(re.fullmatch(pattern, host), host)
        for host in ["apiXexample.com", "other.example.com", "shop.example", ".shop.example", "api.example.com.evil.example", "orders.apps.x"]:
            self.assertFalse(re.fullmatch(pattern, host), host)

    def test_a_cells_own_sidecar_has_no_cors_mappers(self):
        self.assertEqual(mappers(attachment="orders"), [])

    def test_overload_has_retry_after_without_a_policy_too(self):
        (only,) = mappers({})
        self.assertEqual(conditions(only), {"status": 503, "x-cellgate-defer": "present"})
        self.assertEqual(mappers({"extProc": {"enabled": False}}), [])


class Values(unittest.TestCase):
    def test_every_origin_is_allowed_without_credentials(self):
        for origin in [{"exact": "*"}, {"regex": ".*"}, {"prefix": "https://"}]:
            self.assertTrue(chart.render({"routes": {"cors": {"allowOrigins": [origin]}}}))

    def test_without_routes_there_are_no_cors_mappers(self):
        objects = chart.render(chart.merge(CORS, {"routes": {"enabled": False}}))
        self.assertNotIn("access-control", str(objects.limits))


if __name__ == "__main__":
    unittest.main()
