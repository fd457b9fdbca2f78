"""Traces of the service: options, files and the way to the receiver."""

import unittest

import chart
import matrix
import test_limit_store
import test_service


def pod(name):
    return dict(matrix.renderings())[name].one("Deployment")["spec"]["template"]["spec"]


def options(pod):
    found = test_service.options(pod["containers"][0])
    return {name: value for name, value in found.items() if name.startswith(("--otlp-", "--trace-"))}


def endpoint(url):
    return {"extProc": {"tracing": {"endpoint": url}}}


class Pods(unittest.TestCase):
    def test_by_default_there_are_no_traces(self):
        self.assertEqual(options(pod("defaults")), {})
        self.assertNotIn("tracing", str(pod("defaults")))

    def test_an_endpoint_alone_needs_no_file(self):
        plain = pod("traces")
        self.assertEqual(
            options(plain),
            {
                "--otlp-endpoint": "http://collector.observe.svc:4317",
                "--otlp-protocol": "grpc",
                "--trace-sample-percent": "0",
            },
        )
        self.assertNotIn("/etc/cellgate-tracing", str(plain))

    def test_the_files_are_from_the_objects_that_the_values_name(self):
        full = pod("traces by tls")
        self.assertEqual(
            options(full),
            {
                "--otlp-endpoint": "https://otel.example.com/otlp",
                "--otlp-protocol": "http/protobuf",
                "--otlp-ca": "/etc/cellgate-tracing/ca.crt",
                "--otlp-headers-file": "/etc/cellgate-tracing/headers",
                "--trace-sample-percent": "0.5",
            },
        )
        (volume,) = [volume for volume in full["volumes"] if volume["name"] == "tracing"]
        self.assertEqual(
            volume["projected"]["sources"],
            [
                {"configMap": {"name": "otel-ca", "items": [{"key": "bundle.pem", "path": "ca.crt"}]}},
                {"secret": {"name": "otel", "items": [{"key": "headers", "path": "headers"}]}},
            ],
        )
        mounts = {mount["name"]: mount for mount in full["containers"][0]["volumeMounts"]}
        self.assertEqual(mounts["tracing"], {"name": "tracing", "mountPath": "/etc/cellgate-tracing", "readOnly": True})


    def test_a_small_part_is_written_as_the_program_reads_it(self):
        for percent, expected in [
            (0, "0"), (1, "1"), (10, "10"), (100, "100"), (100.0, "100"), (0.1, "0.1"), (99.9, "99.9"), (1e-05, "0.00001"), (1e-06, "0.000001"),
            (20.5, "20.5"), (12.3456789, "12.3456789"),
        ]:
            with self.subTest(percent):
                tracing = {"endpoint": "http://collector:4317", "samplePercent": percent}
                deployment = chart.render({"extProc": {"tracing": tracing}}).one("Deployment")
                self.assertEqual(options(deployment["spec"]["template"]["spec"])["--trace-sample-percent"], expected)

    def test_spans_name_their_pod(self):
        (pod_name, attributes) = pod("traces")["containers"][0]["env"]
        # Only what is defined above can be expanded.
        self.assertEqual(pod_name["valueFrom"], {"fieldRef": {"fieldPath": "metadata.name"}})
        value = attributes["value"].replace(f"$({pod_name['name']})", "pod-1")
        self.assertEqual(attributes["name"], "OTEL_RESOURCE_ATTRIBUTES")
        self.assertEqual(
            dict(pair.split("=") for pair in value.split(",")),
            {
                "service.instance.id": f"{chart.NAMESPACE}.pod-1.ext-proc",
                "k8s.namespace.name": chart.NAMESPACE,
                "k8s.pod.name": "pod-1",
                "k8s.container.name": "ext-proc",
            },
        )
        self.assertNotIn("env", pod("defaults")["containers"][0])

    def test_own_attributes_replace_those_of_the_chart(self):
        own = {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": "team=edge"}
        change = endpoint("http://collector:4317")
        change["extProc"]["extraEnv"] = [own]
        self.assertEqual(chart.render(change).one("Deployment")["spec"]["template"]["spec"]["containers"][0]["env"], [own])


class Network(unittest.TestCase):
    def test_only_the_receiver_is_added_to_the_way_out(self):
        self.assertEqual(test_limit_store.egress({}), [])
        # Of two labels, the second is a namespace, or the first is a pod of a Service in the namespace of the release.
        for url, port, namespaces in [
            ("http://collector.observe.svc:4317", 4317, ["observe"]),
            ("http://collector.observe.svc.cluster.local:4317", 4317, ["observe"]),
            ("http://Collector.Observe.svc.cluster.local.:4317", 4317, ["observe"]),
            ("http://collector-0.collector.observe.svc:4317", 4317, ["observe"]),
            ("http://collector:4318/otlp", 4318, [chart.NAMESPACE]),
            ("https://otel.monitoring", 443, ["monitoring", chart.NAMESPACE]),
            ("http://collector-0.collector:4317", 4317, ["collector", chart.NAMESPACE]),
            (f"http://otel.{chart.NAMESPACE}:4317", 4317, [chart.NAMESPACE]),
            ("http://1.2:4317", 4317, ["2", chart.NAMESPACE]),
            ("http://otel.monitoring.pod:4317", 4317, []),
            ("https://otel.example.com", 443, []),
            ("https://otel.example.", 443, []),
            ("http://10.0.0.9", 80, []),
            ("http://[2001:db8::9]:4317", 4317, []),
        ]:
            with self.subTest(url):
                (rule,) = test_limit_store.egress(endpoint(url))
                self.assertEqual(rule["ports"][0], {"protocol": "TCP", "port": port})
                self.assertEqual(rule.get("to", []), [test_limit_store.peer(namespace) for namespace in namespaces])


if __name__ == "__main__":
    unittest.main()
