"""The hook that compares the release with other teams' objects in the cluster."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import chart

NAME = f"{chart.RELEASE}-neighbours"
CELLGATE = os.environ.get("CELLGATE_BIN")


def hooks(objects):
    return [item for item in objects if chart.is_hook(item) and item["metadata"]["name"].endswith(NAME)]


def plan(change=None):
    return json.loads(chart.render(change or {}).one("ConfigMap", NAME)["data"]["plan.json"])


class Plan(unittest.TestCase):
    def test_it_describes_the_release(self):
        found = plan()
        (service,) = chart.render().of("VirtualService")[:1]
        self.assertEqual(found["hosts"], service["spec"]["hosts"])
        self.assertEqual(found["gateways"], service["spec"]["gateways"])
        rules = [item for item in chart.render().of("DestinationRule")]
        services = {(item["host"], item["namespace"]) for item in found["services"]}
        self.assertEqual(services, {(rule["spec"]["host"], rule["metadata"]["namespace"]) for rule in rules})
        self.assertEqual(found["inspect_bytes"], 65536)

    def test_its_proxies_are_those_of_the_filter(self):
        change = {"filter": {"attach": [chart.VALUES["filter"]["attach"][0], chart.SIDECAR, chart.WAYPOINT]}}
        found = [(proxy["namespace"], proxy["context"]) for proxy in plan(change)["proxies"]]
        self.assertEqual(len(found), 3)
        self.assertEqual([context for _, context in found], ["GATEWAY", "SIDECAR_INBOUND", "SIDECAR_INBOUND"])
        self.assertEqual(plan(change)["proxies"][2]["targets"], [chart.WAYPOINT["targetRefs"][0]["name"]])

    def test_parents_are_those_of_the_http_route(self):
        change = {"routes": {"api": "gateway-api", "parentRefs": [{"name": "public", "namespace": "gw"}, {"name": "own"}]}}
        found = plan(change)
        self.assertEqual(found["parents"], ["gw/public", f"{chart.NAMESPACE}/own"])
        self.assertEqual(found["gateways"], [])

    def test_without_the_service_nothing_is_streamed(self):
        self.assertIs(plan()["streams"], True)
        self.assertIs(plan({"extProc": {"enabled": False}})["streams"], False)

    def test_accepted_objects_are_in_the_plan(self):
        accepted = ["VirtualService/team-a/legacy"]
        self.assertEqual(plan({"neighbours": {"accept": accepted}})["accepted"], accepted)

    @unittest.skipUnless(CELLGATE, "CELLGATE_BIN is not set")
    def test_the_command_reads_it(self):
        with tempfile.TemporaryDirectory() as folder:
            plans, objects = pathlib.Path(folder, "plan.json"), pathlib.Path(folder, "objects.json")
            plans.write_text(json.dumps(plan()))
            objects.write_text('{"items": []}')
            command = [CELLGATE, "neighbours", "--plan", plans, "--objects", objects]
            done = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            self.assertIn("neighbours: 0 objects read", done.stdout)


class Hooks(unittest.TestCase):
    def test_its_permissions_exist_only_while_it_runs(self):
        found = {item["kind"]: item["metadata"]["annotations"] for item in hooks(chart.render())}
        self.assertEqual(
            sorted(found), ["ClusterRole", "ClusterRoleBinding", "ConfigMap", "Pod", "ServiceAccount"]
        )
        for kind, annotations in found.items():
            with self.subTest(kind):
                self.assertEqual(annotations["helm.sh/hook"], "pre-install,pre-upgrade")
                self.assertEqual(annotations["helm.sh/hook-weight"], "-3" if kind == "Pod" else "-4")
                if kind not in {"Pod", "ConfigMap"}:
                    self.assertIn("hook-failed", annotations["helm.sh/hook-delete-policy"])

    def test_it_may_list_and_nothing_else(self):
        (role,) = chart.render().of("ClusterRole")
        for rule in role["rules"]:
            self.assertEqual(rule["verbs"], ["list"])
            self.assertNotIn("*", rule["resources"] + rule["apiGroups"])

    def test_an_existing_account_gets_no_permissions(self):
        found = hooks(chart.render({"neighbours": {"serviceAccount": "reader"}}))
        self.assertEqual([item["kind"] for item in found], ["ConfigMap", "Pod"])
        self.assertEqual(found[1]["spec"]["serviceAccountName"], "reader")

    def test_it_can_be_switched_off(self):
        for change in [{"neighbours": {"check": False}}, {"preflight": False}]:
            self.assertEqual(hooks(chart.render(change)), [])

    def test_an_accepted_entry_must_name_an_object(self):
        for wrong in ["legacy", "Service/team-a/legacy", "VirtualService/legacy"]:
            with self.subTest(wrong):
                self.assertIn("neighbours", chart.refusal({"neighbours": {"accept": [wrong]}}))


if __name__ == "__main__":
    unittest.main()
