"""Rules for every rendered object, whatever the values."""

import json
import re
import unittest

import chart
import matrix

# Kinds of volumes that restricted Pod Security allows.
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def pods():
    for name, objects in matrix.renderings():
        for item, template in objects.pods():
            yield f"{name}: {chart.label(item)}", template["spec"]


def containers():
    for name, pod in pods():
        for found in pod["containers"] + pod.get("initContainers", []):
            yield f"{name}: {found['name']}", pod, found


class Pods(unittest.TestCase):
    def test_there_are_pods(self):
        self.assertGreater(len(list(containers())), len(matrix.CHANGES) / 2)

    def test_images_are_pinned(self):
        for name, _, found in containers():
            with self.subTest(name):
                self.assertRegex(found["image"], r"^[^:@]+(:[0-9]+/[^:@]+)?(:[^:@]+|@sha256:[0-9a-f]{64})$")
                self.assertNotRegex(found["image"], r":latest$")

    def test_memory_is_limited_and_requested(self):
        for name, _, found in containers():
            with self.subTest(name):
                self.assertTrue(found["resources"]["limits"]["memory"])
                self.assertTrue(found["resources"]["requests"]["memory"])
                self.assertTrue(found["resources"]["requests"]["cpu"])

    def test_they_pass_restricted_pod_security(self):
        for name, pod, found in containers():
            with self.subTest(name):
                security = {**pod.get("securityContext", {}), **found["securityContext"]}
                self.assertIs(security["runAsNonRoot"], True)
                self.assertIs(security["readOnlyRootFilesystem"], True)
                self.assertIs(security["allowPrivilegeEscalation"], False)
                self.assertEqual(security["capabilities"], {"drop": ["ALL"]})
                self.assertEqual(security["seccompProfile"], {"type": "RuntimeDefault"})
                self.assertNotEqual(security.get("runAsUser"), 0)
                self.assertFalse(security.get("privileged", False))
                self.assertFalse(any("hostPort" in port for port in found.get("ports", [])))

    def test_they_share_nothing_with_the_node(self):
        for name, pod in pods():
            with self.subTest(name):
                for shared in ["hostNetwork", "hostPID", "hostIPC"]:
                    self.assertFalse(pod.get(shared, False))
                for volume in pod.get("volumes", []):
                    self.assertLessEqual(set(volume) - {"name"}, VOLUMES)

    def test_no_token_is_mounted(self):
        """Only the check of neighbours calls the API server."""
        for name, pod in pods():
            asks = pod["containers"][0]["name"] == "neighbours"
            with self.subTest(name):
                self.assertIs(pod.get("automountServiceAccountToken"), asks)

    def test_the_service_has_its_own_account(self):
        for name, objects in matrix.renderings():
            for item, template in objects.installed.pods():
                with self.subTest(name, item=chart.label(item)):
                    accounts = {account["metadata"]["name"] for account in objects.of("ServiceAccount")}
                    self.assertIn(template["spec"].get("serviceAccountName"), accounts)


class Rights(unittest.TestCase):
    def test_installed_objects_grant_no_permissions(self):
        for name, objects in matrix.renderings():
            with self.subTest(name):
                kinds = ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"]
                self.assertEqual(objects.installed.of(*kinds), [])

    def test_accounts_mount_no_token(self):
        for name, objects in matrix.renderings():
            for item in objects.of("ServiceAccount"):
                with self.subTest(name, item=chart.label(item)):
                    self.assertIs(item.get("automountServiceAccountToken"), False)


class Texts(unittest.TestCase):
    def test_no_template_syntax_is_left(self):
        for name, objects in matrix.renderings():
            for item in objects.of("EnvoyFilter", "VirtualService", "Deployment", "DestinationRule"):
                with self.subTest(name, item=chart.label(item)):
                    self.assertNotRegex(json.dumps(item), r"<no value>|<nil>|%!|\bmap\[")

    def test_keys_are_strings(self):
        """Helm converts all keys to strings; other YAML parsers refuse keys of other types."""
        for name, objects in matrix.renderings():
            for item in objects:
                with self.subTest(name, item=chart.label(item)):
                    self.assertEqual([key for found in chart.walk(item) for key in found if not isinstance(key, str)], [])

    def test_whole_numbers_are_not_written_as_floats(self):
        """Helm reads numbers as floats, so a template that prints 1000000 directly writes 1e+06."""
        change = {"extProc": {"autoscaling": {"type": "keda", "prometheusAddress": "http://p", "requestsPerReplica": 2000000}}}
        pool = {"traffic": {"connectionPool": {"tcp": {"maxConnections": 3000000}, "http": {"http2MaxRequests": 4000000}}}}
        for item in chart.render(chart.merge(change, pool)):
            with self.subTest(chart.label(item)):
                self.assertIsNone(re.search(r"\de\+\d", json.dumps(item)))

    def test_durations_are_valid_for_their_readers(self):
        """Istio and Envoy refuse a duration such as `1m30s` where they read protobuf's JSON form."""
        change = {"filter": {"streamIdleTimeout": "1m30s", "requestTimeout": "2m"}, "extProc": {"messageTimeout": "1m"}}
        for item in chart.render(change).of("EnvoyFilter"):
            for field in ["stream_idle_timeout", "request_timeout", "message_timeout"]:
                for value in chart.settings(item, field):
                    with self.subTest(field):
                        self.assertRegex(value, r"^[0-9]+(\.[0-9]+)?s$")


if __name__ == "__main__":
    unittest.main()
