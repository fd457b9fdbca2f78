"""The store of rate limits that all replicas share: options, files, replicas and the way there."""

import os
import re
import subprocess
import unittest

import chart
import matrix
import test_service

CELLGATE = os.environ.get("CELLGATE_BIN")
FOLDER = "/etc/cellgate-limit-store"


def rendering(name):
    return dict(matrix.renderings())[name]


def stored(name="rate limits in a store"):
    return rendering(name).one("Deployment")["spec"]["template"]["spec"]


def options(pod):
    found = test_service.options(pod["containers"][0])
    return {name: value for name, value in found.items() if name.startswith("--limit-")}


def files(pod):
    """The files of the volume: path to kind, name and key."""
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "limit-store"]
    found = {}
    for source in volume["projected"]["sources"]:
        ((kind, reference),) = source.items()
        for item in reference["items"]:
            found[item["path"]] = (kind, reference["name"], item["key"])
    return found


def egress(change):
    """The rules of the NetworkPolicy beside those that are there without a store."""
    without = chart.render().one("NetworkPolicy")["spec"]["egress"]
    return [rule for rule in chart.render(change).one("NetworkPolicy")["spec"]["egress"] if rule not in without]


def store(url, **change):
    return {"extProc": {"limitStore": {**matrix.STORE, "url": url, **change}}}


class Pods(unittest.TestCase):
    def test_by_default_there_is_no_store(self):
        pod = chart.render(matrix.CHANGES["rate limits"]).one("Deployment")["spec"]["template"]["spec"]
        self.assertEqual(options(pod), {})
        self.assertNotIn("limit-store", str(pod))

    def test_the_options_are_the_values(self):
        self.assertEqual(
            options(stored()),
            {
                "--limit-store": "redis://valkey.data.svc.cluster.local:6379/2",
                "--limit-secret-file": f"{FOLDER}/limit-secret",
                "--limit-store-password-file": f"{FOLDER}/password",
                "--limit-store-timeout": "5ms",
                "--limit-store-prefix": "cellgate:limit:",
                "--limit-store-replicas": "2",
            },
        )

    def test_a_cluster_with_tls_has_every_option(self):
        found = options(stored("rate limits in a cluster with tls"))
        self.assertEqual(
            found,
            {
                "--limit-store": matrix.TLS_STORE["url"],
                "--limit-secret-file": f"{FOLDER}/limit-secret",
                "--limit-store-cluster": "key",
                "--limit-store-user": "cellgate",
                "--limit-store-password-file": f"{FOLDER}/password",
                "--limit-store-ca": f"{FOLDER}/ca.crt",
                "--limit-store-cert": f"{FOLDER}/tls.crt",
                "--limit-store-key": f"{FOLDER}/tls.key",
                "--limit-store-timeout": "20ms",
                "--limit-store-prefix": "edge:",
                "--limit-store-replicas": "7",
            },
        )

    @unittest.skipUnless(CELLGATE, "CELLGATE_BIN is not set")
    def test_the_matrix_has_every_option_of_the_program(self):
        text = subprocess.run([CELLGATE, "serve", "--help"], capture_output=True, text=True, check=True).stdout
        known = set(re.findall(r"--limit-(?:store|secret)[a-z-]*", text))
        self.assertEqual(set(options(stored("rate limits in a cluster with tls"))), known)

    def test_the_files_are_keys_of_existing_objects(self):
        self.assertEqual(
            files(stored()),
            {"limit-secret": ("secret", "limit-store", "limit-secret"), "password": ("secret", "limit-store", "password")},
        )
        self.assertEqual(
            files(stored("rate limits in a cluster with tls")),
            {
                "limit-secret": ("secret", "limit-store", "digits"),
                "password": ("secret", "limit-store", "password"),
                "ca.crt": ("configMap", "store-ca", "bundle.pem"),
                "tls.crt": ("secret", "store-client", "tls.crt"),
                "tls.key": ("secret", "store-client", "tls.key"),
            },
        )
        tls = {"secret": "store-client", "caKey": "ca.crt"}
        pod = chart.render(store("rediss://valkey", tls=tls)).one("Deployment")["spec"]["template"]["spec"]
        self.assertEqual(files(pod)["ca.crt"], ("secret", "store-client", "ca.crt"))

    def test_the_folder_of_the_options_is_mounted_read_only(self):
        for name in ["rate limits in a store", "rate limits in a cluster with tls"]:
            pod = stored(name)
            (mount,) = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] == "limit-store"]
            self.assertEqual((mount["mountPath"], mount["readOnly"]), (FOLDER, True))
            for option, value in options(pod).items():
                if value.startswith("/"):
                    with self.subTest(name, option=option):
                        self.assertIn(value.removeprefix(f"{FOLDER}/"), files(pod))

    def test_a_store_without_a_password_needs_none(self):
        pod = chart.render(store("redis://valkey", secret={"name": "limit-store"})).one("Deployment")["spec"]["template"]["spec"]
        self.assertNotIn("--limit-store-password-file", options(pod))
        self.assertEqual(sorted(files(pod)), ["limit-secret"])


def peer(namespace):
    """The pods of a namespace, in a rule of a NetworkPolicy."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}


class Egress(unittest.TestCase):
    def test_a_service_is_allowed_in_its_namespace(self):
        for url, namespaces in [
            ("redis://valkey.data.svc.cluster.local:6380", ["data"]),
            ("redis://valkey:6380/1", [chart.NAMESPACE]),
            # A Service of another namespace, or a pod of a Service beside the release.
            ("redis://valkey.data:6380", ["data", chart.NAMESPACE]),
        ]:
            (rule,) = egress(store(url))
            self.assertEqual([port["port"] for port in rule["ports"]], [6380, 15008])
            self.assertEqual(rule["to"], [peer(namespace) for namespace in namespaces])

    def test_any_other_server_is_allowed_by_its_port(self):
        for url, port in [("rediss://redis.example.com:7000/1", 7000), ("redis://10.0.0.1", 6379), ("redis://[2001:db8::1]:7001", 7001)]:
            self.assertEqual(egress(store(url)), [{"ports": [{"protocol": "TCP", "port": port}]}])

    def test_equal_rules_are_written_once(self):
        rules = egress({"extProc": {"limitStore": matrix.TLS_STORE}})
        self.assertEqual([[port["port"] for port in rule["ports"]] for rule in rules], [[6379, 15008], [7000]])


if __name__ == "__main__":
    unittest.main()
