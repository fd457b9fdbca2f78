"""Leases of rate limits: the cluster that the filter calls, options of the service, and who may call it."""

import json
import os
import re
import subprocess
import unittest

import chart
import matrix
import test_service

CELLGATE = os.environ.get("CELLGATE_BIN")
CLUSTER = f"outbound|50051||{chart.RELEASE}-ext-proc.{chart.NAMESPACE}.svc.cluster.local"
OPTIONS = ["--lease-term", "--sync-interval"]


def rendering(name):
    return dict(matrix.renderings())[name]


def cluster_of(text):
    return json.loads(text).get("sync", {}).get("cluster")


def leased(change=None):
    return chart.render(chart.merge(matrix.CHANGES["leased rate limits"], change or {}))


class Leases(unittest.TestCase):
    def test_both_tiers_have_the_cluster_of_the_services_filter(self):
        objects = rendering("leased rate limits")
        self.assertEqual(cluster_of(chart.service_config(objects)), CLUSTER)
        self.assertEqual(len(objects.filters), 4)
        for item in objects.filters:
            processors = chart.typed(item, "ExternalProcessor")
            with self.subTest(chart.label(item)):
                # The sidecar of a cell counts nothing, so it leases nothing.
                self.assertEqual(cluster_of(chart.filter_config(item)), CLUSTER if processors else None)
                names = {processor["grpc_service"]["envoy_grpc"]["cluster_name"] for processor in processors}
                self.assertLessEqual(names, {CLUSTER})

    def test_without_a_leased_limit_there_is_none(self):
        for name in ["defaults", "rate limits", "rate limits in a store"]:
            objects = rendering(name)
            for text in [chart.service_config(objects), *map(chart.filter_config, objects.filters)]:
                with self.subTest(name):
                    self.assertIsNone(cluster_of(text))
        objects = chart.render({"config": {"rate_limits": [{**matrix.PER_TENANT, "lease": False}]}})
        self.assertIsNone(cluster_of(chart.service_config(objects)))

    def test_a_cluster_of_ones_own_stays(self):
        objects = leased({"config": {"sync": {"cluster": "leases"}}})
        for text in [chart.service_config(objects), *map(chart.filter_config, objects.filters)]:
            self.assertIn(cluster_of(text), ["leases", None])
        self.assertEqual(cluster_of(chart.service_config(objects)), "leases")

    def test_replicas_need_a_store_whoever_names_the_cluster(self):
        """The check was left out with a `sync` of the values, also if it had the name that the chart sets."""
        for cluster in [CLUSTER, "leases"]:
            change = {"config": {"sync": {"cluster": cluster}}, "extProc": {"replicas": 2, "limitStore": {"url": ""}}}
            with self.subTest(cluster):
                refusal = chart.refusal(chart.merge(matrix.CHANGES["leased rate limits"], change))
                self.assertIn("extProc.limitStore", refusal)
        one = {"config": {"sync": {"cluster": "leases"}}, "extProc": {"replicas": 1, "limitStore": {"url": ""}}}
        self.assertEqual(cluster_of(chart.service_config(leased(one))), "leases")

    def test_in_shadow_mode_the_configuration_is_complete(self):
        limits = {"config": {"rate_limits": [matrix.LEASED]}}
        objects = chart.render(chart.merge(matrix.CHANGES["rate limits in shadow mode"], limits))
        (item,) = objects.filters
        self.assertEqual(cluster_of(chart.filter_config(item)), CLUSTER)

    def test_the_longest_name_of_a_cluster(self):
        """Names below the limit of the filter, and one above it."""
        # The name is outbound|50051|| (16), fullnameOverride, "-ext-proc." (10), the namespace, ".svc.cluster.local" (18).
        name = "c" * (115 - 16 - 10 - len(chart.NAMESPACE) - 18)
        objects = leased({"fullnameOverride": name})
        self.assertEqual(len(cluster_of(chart.service_config(objects))), 115)
        self.assertIn("115", chart.refusal(chart.merge(matrix.CHANGES["leased rate limits"], {"fullnameOverride": name + "c"})))

    def test_one_replica_needs_no_store(self):
        one = {"extProc": {"replicas": 1, "limitStore": {"url": ""}}}
        self.assertEqual(cluster_of(chart.service_config(leased(one))), CLUSTER)

    def test_the_options_are_the_values(self):
        found = test_service.options(test_service.container(matrix.CHANGES["leased rate limits"]))
        self.assertEqual([found[option] for option in OPTIONS], ["20s", "500ms"])
        for change in [{}, matrix.CHANGES["rate limits"]]:
            self.assertFalse(set(OPTIONS) & set(test_service.options(test_service.container(change))))

    @unittest.skipUnless(CELLGATE, "CELLGATE_BIN is not set")
    def test_the_program_has_the_options(self):
        text = subprocess.run([CELLGATE, "serve", "--help"], capture_output=True, text=True, check=True).stdout
        self.assertLessEqual({*OPTIONS, "--limit-headers"}, set(re.findall(r"--[a-z-]+", text)))

    def test_limits_that_differ_for_long_have_an_alert(self):
        """Calls succeed meanwhile, so no other alert fires. The answers of each replica count by themselves."""
        monitoring = matrix.CHANGES["monitoring"]
        (rule,) = [
            rule
            for rules in chart.settings(chart.render(monitoring).one("PrometheusRule"), "rules")
            for rule in rules
            if rule.get("alert") == "CellgateLeasesWithdrawn"
        ]
        self.assertEqual(rule["for"], "15m")
        over, _, of = rule["expr"].partition(" / ")
        self.assertIn('result="withdrawn"', over)
        self.assertNotIn("result=", of)
        self.assertTrue(of.endswith("> 0.5"))

    def test_only_proxies_with_the_filter_may_lease(self):
        """/cellgate.sync.v1.SyncService/Sync comes by the port of the service, from the same proxies. A path would exclude it."""
        objects = rendering("leased rate limits")
        name = objects.one("Deployment")["metadata"]["name"]
        (policy,) = [item for item in objects.of("AuthorizationPolicy") if item["metadata"]["name"] == name]
        rules = [rule for rule in policy["spec"]["rules"] if {"operation": {"ports": ["50051"]}} in rule["to"]]
        self.assertEqual(len(rules), 1)
        (source,) = rules[0]["from"]
        accounts = {account.rpartition("/")[2] for account in source["source"]["principals"]}
        leasing = [item for item in objects.filters if cluster_of(chart.filter_config(item))]
        self.assertEqual(len(leasing), 3)
        attached = {entry["name"]: entry["serviceAccount"] for entry in matrix.CHANGES["leased rate limits"]["filter"]["attach"]}
        expected = {account for name, account in attached.items() if any(item["metadata"]["name"].endswith(f"-{name}") for item in leasing)}
        self.assertEqual(accounts, expected)


class LimitHeaders(unittest.TestCase):
    DESCRIPTORS = {"config": {"descriptor_limits": [{"name": "one", "domain": "edge", "descriptor": [{"key": "user"}], "limit": "1/s"}]}}

    def test_the_option_is_the_value(self):
        for change, expected in [({}, "refused"), ({"extProc": {"limitHeaders": "all"}}, "all")]:
            found = test_service.options(test_service.container({**self.DESCRIPTORS, **change}))
            self.assertEqual(found["--limit-headers"], expected)

    def test_without_limits_of_descriptors_there_is_none(self):
        self.assertNotIn("--limit-headers", test_service.options(test_service.container(matrix.CHANGES["rate limits"])))


if __name__ == "__main__":
    unittest.main()
