"""Names, labels and namespaces of all objects."""

import unittest

import chart
import matrix

# Kinds that may be outside the release's namespace, and where.
CLUSTER_SCOPED = {
    "Namespace",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "PriorityClass",
    "ClusterSecretStore",
}


class Objects(unittest.TestCase):
    def test_every_object_says_its_namespace(self):
        for name, objects in matrix.renderings():
            for item in objects:
                with self.subTest(name, item=chart.label(item)):
                    self.assertEqual(bool(item["metadata"].get("namespace")), item["kind"] not in CLUSTER_SCOPED)

    def test_nothing_that_is_installed_is_cluster_scoped(self):
        """Except Helm's hooks: the permissions of the check of neighbours, while it runs."""
        for name, objects in matrix.renderings():
            for item in objects.installed:
                with self.subTest(name, item=chart.label(item)):
                    self.assertNotIn(item["kind"], CLUSTER_SCOPED)

    def test_no_object_is_rendered_twice(self):
        for name, objects in matrix.renderings():
            with self.subTest(name):
                seen = [(item["apiVersion"], chart.label(item)) for item in objects]
                self.assertEqual(len(seen), len(set(seen)), seen)

    def test_names_begin_with_the_release(self):
        for item in chart.render():
            # Cluster-scoped names begin with the namespace: another namespace may have a release with the same name.
            home = "" if item["metadata"].get("namespace") else f"{chart.NAMESPACE}-"
            with self.subTest(chart.label(item)):
                self.assertRegex(item["metadata"]["name"], rf"^{home}{chart.RELEASE}(-|$)")

    def test_fullname_override_replaces_the_release(self):
        for item in chart.render({"fullnameOverride": "other"}):
            with self.subTest(chart.label(item)):
                home = "" if item["metadata"].get("namespace") else f"{chart.NAMESPACE}-"
                self.assertRegex(item["metadata"]["name"], rf"^{home}other(-|$)")

    def test_names_are_short_enough_for_labels_and_hosts(self):
        for name, objects in matrix.renderings():
            for item in objects:
                with self.subTest(name, item=chart.label(item)):
                    self.assertRegex(item["metadata"]["name"], r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$")

    def test_every_object_has_the_recommended_labels(self):
        for name, objects in matrix.renderings():
            for item in objects:
                with self.subTest(name, item=chart.label(item)):
                    labels = item["metadata"].get("labels", {})
                    self.assertEqual(labels.get("app.kubernetes.io/name"), "cellgate")
                    self.assertEqual(labels.get("app.kubernetes.io/instance"), chart.RELEASE)
                    self.assertEqual(labels.get("app.kubernetes.io/managed-by"), "Helm")
                    self.assertTrue(labels.get("app.kubernetes.io/version"))

    def test_common_labels_are_on_every_object(self):
        for item in chart.render({"commonLabels": {"team": "platform"}}):
            with self.subTest(chart.label(item)):
                self.assertEqual(item["metadata"]["labels"].get("team"), "platform")

    def test_label_values_are_strings(self):
        for name, objects in matrix.renderings():
            for item in objects:
                maps = chart.settings(item, "labels") + chart.settings(item, "matchLabels")
                for text in [value for found in maps if isinstance(found, dict) for value in found.values()]:
                    with self.subTest(name, item=chart.label(item)):
                        self.assertIsInstance(text, str)

    def test_objects_are_in_the_namespaces_where_istio_reads_them(self):
        objects = chart.render({"filter": {"attach": [*chart.VALUES["filter"]["attach"], chart.SIDECAR]}})
        cells = {"cell-a", "cell-b", "cell-c"}
        self.assertEqual({item["metadata"]["namespace"] for item in objects.of("EnvoyFilter")}, {"istio-ingress", "cell-a"})
        cell_rules = [item for item in objects.of("DestinationRule") if item["spec"]["host"].startswith("api.")]
        self.assertEqual({item["metadata"]["namespace"] for item in cell_rules}, cells)
        encrypted = {item["metadata"]["namespace"] for item in objects.of("PeerAuthentication")}
        self.assertEqual(encrypted, cells | {chart.NAMESPACE})
        authorised = {item["metadata"]["namespace"] for item in objects.of("AuthorizationPolicy")}
        self.assertEqual(authorised, cells | {chart.NAMESPACE})
        for item in objects.of("VirtualService", "Deployment", "Service", "ServiceAccount", "ConfigMap", "NetworkPolicy"):
            with self.subTest(chart.label(item)):
                self.assertEqual(item["metadata"]["namespace"], chart.NAMESPACE)

    def test_a_cells_namespace_is_configurable(self):
        cells = {"cell-a": {"host": "a.example.com", "port": 443, "namespace": "elsewhere"}}
        objects = chart.render({"cells": cells})
        rule = [item for item in objects.of("DestinationRule") if item["spec"]["host"] == "a.example.com"]
        self.assertEqual([item["metadata"]["namespace"] for item in rule], ["elsewhere"])

    def test_argo_cd_applies_the_service_then_the_filter_then_the_routes(self):
        waves = {"EnvoyFilter": "1", "VirtualService": "2", "HTTPRoute": "2"}
        for name, objects in matrix.renderings():
            for item in objects.installed:
                with self.subTest(name, item=chart.label(item)):
                    wave = item["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave", "0")
                    self.assertEqual(wave, waves.get(item["kind"], "0"))


if __name__ == "__main__":
    unittest.main()
