"""Istio's Telemetry resources: the decision as tags of spans and in access logs."""

import unittest

import chart
import matrix
import test_neighbours

GATEWAY = chart.VALUES["filter"]["attach"][0]
ALL = {"filter": {"attach": [GATEWAY, chart.SIDECAR, chart.OUTBOUND, chart.WAYPOINT]}}
FORMATTERS = {
    "cellgate.filter": "%FILTER_STATE(wasm.cellgate:PLAIN)%",
    "cellgate.service.reason": "%DYNAMIC_METADATA(cellgate:reason)%",
    "cellgate.service.cell": "%DYNAMIC_METADATA(cellgate:cell)%",
}


def telemetry(change=None, **values):
    found = chart.render(chart.merge(change or {}, {"istio": {"telemetry": values}})).of("Telemetry")
    return {item["metadata"]["name"]: item for item in found}


def tracing(**values):
    return telemetry(tracing={"enabled": True, **values})[f"{chart.RELEASE}-ingress"]["spec"]["tracing"][0]


class Telemetry(unittest.TestCase):
    def test_there_is_none_by_default(self):
        self.assertEqual(chart.render().of("Telemetry"), [])

    def test_each_attachment_has_one_for_its_proxies(self):
        found = telemetry(ALL, **matrix.TELEMETRY)
        self.assertEqual(len(found), 5, list(found))
        for attach in ALL["filter"]["attach"]:
            with self.subTest(attach["name"]):
                item = found[f"{chart.RELEASE}-{attach['name']}"]
                self.assertEqual(item["apiVersion"], "telemetry.istio.io/v1")
                self.assertEqual(item["metadata"]["namespace"], attach["namespace"])
                self.assertEqual(item["spec"].get("selector", {}).get("matchLabels"), attach.get("selector"))
                self.assertEqual(item["spec"].get("targetRefs"), attach.get("targetRefs"))
                self.assertEqual(item["spec"]["accessLogging"][0]["filter"], {"expression": "response.code >= 400"})

    def test_a_sidecar_has_it_on_the_side_that_decides(self):
        modes = {
            name: [item["spec"][part][0].get("match", {}).get("mode") for part in ("tracing", "accessLogging")]
            for name, item in telemetry(ALL, **matrix.TELEMETRY).items()
            if "accessLogging" in item["spec"]
        }
        self.assertEqual(modes[f"{chart.RELEASE}-orders"], ["SERVER", "SERVER"])
        self.assertEqual(modes[f"{chart.RELEASE}-clients"], ["CLIENT", "CLIENT"])
        self.assertEqual(modes[f"{chart.RELEASE}-ingress"], [None, None])
        self.assertEqual(modes[f"{chart.RELEASE}-waypoint"], [None, None])

    def test_the_decision_is_in_the_tags(self):
        tags = tracing()["customTags"]
        self.assertEqual(tags.pop("cellgate.cell"), {"header": {"name": "x-cell"}})
        self.assertEqual({name: tag["formatter"]["value"] for name, tag in tags.items()}, FORMATTERS)

    def test_the_routing_header_is_that_of_the_configuration(self):
        found = telemetry({"config": {"routing_header": "X-Zone"}}, tracing={"enabled": True})
        tags = found[f"{chart.RELEASE}-ingress"]["spec"]["tracing"][0]["customTags"]
        self.assertEqual(tags["cellgate.cell"], {"header": {"name": "x-zone"}})

    def test_without_the_service_there_are_no_tags_of_it(self):
        found = telemetry({"extProc": {"enabled": False}}, tracing={"enabled": True, "provider": "otel"})
        self.assertEqual(list(found), [f"{chart.RELEASE}-ingress"])
        tags = found[f"{chart.RELEASE}-ingress"]["spec"]["tracing"][0]["customTags"]
        self.assertEqual(sorted(tags), ["cellgate.cell", "cellgate.filter"])

    def test_further_tags_stand_beside_those_of_the_chart(self):
        tags = tracing(customTags={"zone": {"literal": {"value": "eu"}}})["customTags"]
        self.assertEqual(tags["zone"], {"literal": {"value": "eu"}})
        self.assertIn("cellgate.filter", tags)

    def test_without_a_provider_the_proxies_keep_theirs(self):
        found = tracing()
        self.assertNotIn("providers", found)
        self.assertNotIn("randomSamplingPercentage", found)
        self.assertEqual(list(telemetry(tracing={"enabled": True})), [f"{chart.RELEASE}-ingress"])

    def test_provider_and_sampling_are_also_for_the_services_proxies(self):
        found = telemetry(tracing={"enabled": True, "provider": "otel", "sampling": 0})
        for name in (f"{chart.RELEASE}-ingress", f"{chart.RELEASE}-ext-proc"):
            with self.subTest(name):
                (spec,) = found[name]["spec"]["tracing"]
                self.assertEqual((spec["providers"], spec["randomSamplingPercentage"]), ([{"name": "otel"}], 0))
        (deployment,) = chart.render().of("Deployment")
        labels = found[f"{chart.RELEASE}-ext-proc"]["spec"]["selector"]["matchLabels"]
        self.assertLessEqual(labels.items(), deployment["spec"]["template"]["metadata"]["labels"].items())

    def test_the_check_of_neighbours_knows_the_parts(self):
        def groups(change):
            (role,) = chart.render(change).of("ClusterRole")
            return [group for rule in role["rules"] for group in rule["apiGroups"]]

        self.assertEqual(test_neighbours.plan()["telemetry"], [])
        self.assertNotIn("telemetry.istio.io", groups({}))
        change = {"istio": {"telemetry": matrix.TELEMETRY}}
        optional = ["tracing.providers", "tracing.randomSamplingPercentage"]
        self.assertEqual(test_neighbours.plan(change)["telemetry"], ["tracing", *optional, "accessLogging"])
        only = {"istio": {"telemetry": {"tracing": {"enabled": True}}}}
        self.assertEqual(test_neighbours.plan(only)["telemetry"], ["tracing"])
        self.assertIn("telemetry.istio.io", groups(change))
