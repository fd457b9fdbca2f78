"""The ext-proc service: its pods, scaling, monitoring and network policy."""

import functools
import hashlib
import os
import re
import subprocess
import unittest

import chart
import matrix

NAME = f"{chart.RELEASE}-ext-proc"
CELLGATE = os.environ.get("CELLGATE_BIN")


def deployment(change=None):
    return chart.render(change).one("Deployment")


def container(change=None):
    return deployment(change)["spec"]["template"]["spec"]["containers"][0]


def options(found):
    """The options of `cellgate serve`, by name."""
    arguments = " ".join(map(str, found["args"])).replace("=", " ").split()
    return {name: value for name, value in zip(arguments, arguments[1:]) if name.startswith("--")}


class Pods(unittest.TestCase):
    def test_the_selectors_find_the_pods(self):
        objects = chart.render()
        labels = objects.one("Deployment")["spec"]["template"]["metadata"]["labels"].items()
        selectors = {
            "Deployment": objects.one("Deployment")["spec"]["selector"]["matchLabels"],
            "Service": objects.one("Service")["spec"]["selector"],
            "PodDisruptionBudget": objects.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
            "NetworkPolicy": objects.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        }
        expected = {
            "app.kubernetes.io/name": "cellgate",
            "app.kubernetes.io/instance": chart.RELEASE,
            "app.kubernetes.io/component": "ext-proc",
        }
        for kind, selector in selectors.items():
            with self.subTest(kind):
                self.assertEqual(selector, expected)
                self.assertLessEqual(selector.items(), labels)

    def test_the_services_ports_are_the_containers_ports(self):
        ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
        self.assertEqual(ports, {"grpc": 50051, "http-admin": 9902})
        service = chart.render().one("Service")
        found = {port["name"]: (port["port"], port["targetPort"]) for port in service["spec"]["ports"]}
        self.assertEqual(found, {"grpc": (50051, "grpc"), "http-admin": (9902, "http-admin")})
        self.assertEqual(service["metadata"]["name"], NAME)

    def test_the_options_are_the_values(self):
        change = {
            "maxHeldBytes": "256MiB",
            "budgetTimeout": "2s",
            "notReadyAbove": 80,
            "decisionTimeout": "4s",
            "drainDelay": "3s",
            "drainTimeout": "21s",
            "logLevel": "debug",
            "messageTimeout": "7s",
        }
        found = options(container({"extProc": change}))
        self.assertEqual(found["--max-held-bytes"], "256MiB")
        self.assertEqual(found["--budget-timeout"], "2s")
        self.assertEqual(found["--not-ready-above"], "80")
        self.assertEqual(found["--decision-timeout"], "4s")
        self.assertEqual(found["--drain-delay"], "3s")
        self.assertEqual(found["--drain-timeout"], "21s")
        self.assertEqual(found["--log-level"], "debug")
        self.assertEqual(found["--admin"], "[::]:9902")

    def test_an_overloaded_replica_stays_ready_by_default(self):
        self.assertNotIn("--not-ready-above", options(container()))

    def test_the_port_is_plain_text_unless_there_is_a_certificate(self):
        self.assertIn("--plain-text", container()["args"])
        certificate = {"name": "CELLGATE_TLS_CERT", "value": "/tls/tls.crt"}
        for change in [{"extraArgs": ["--tls-cert=/tls/tls.crt"]}, {"extraEnv": [certificate]}]:
            self.assertNotIn("--plain-text", container({"extProc": change})["args"])

    @unittest.skipUnless(CELLGATE, "CELLGATE_BIN is not set")
    def test_the_program_knows_every_option(self):
        for name, objects in matrix.renderings():
            for item, template in objects.pods():
                for found in template["spec"]["containers"]:
                    command, *arguments = found["args"]
                    named = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
                    with self.subTest(name, item=chart.label(item)):
                        self.assertLessEqual(named, known_options(command))

    def test_kubernetes_waits_for_the_drain(self):
        pod = deployment({"extProc": {"drainDelay": "15s", "drainTimeout": "2m"}})["spec"]["template"]["spec"]
        self.assertGreater(pod["terminationGracePeriodSeconds"], 135)

    def test_it_reads_the_mounted_configuration(self):
        pod = deployment()["spec"]["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        file = options(pod["containers"][0])["--config"]
        (mount,) = [mount for mount in pod["containers"][0]["volumeMounts"] if file.startswith(mount["mountPath"] + "/")]
        self.assertNotIn("subPath", mount, "a file mounted by subPath never changes")
        self.assertTrue(mount["readOnly"])
        name = volumes[mount["name"]]["configMap"]["name"]
        self.assertIn(file.rsplit("/", 1)[-1], chart.render().one("ConfigMap", name)["data"])

    def test_probes_ask_the_program(self):
        found = container()
        self.assertEqual(found["livenessProbe"]["httpGet"], {"path": "/livez", "port": "http-admin"})
        self.assertEqual(found["readinessProbe"]["httpGet"], {"path": "/readyz", "port": "http-admin"})

    def test_the_pods_are_spread(self):
        pod = deployment({"extProc": {"spread": "DoNotSchedule"}})["spec"]["template"]["spec"]
        keys = {item["topologyKey"]: item["whenUnsatisfiable"] for item in pod["topologySpreadConstraints"]}
        self.assertLessEqual({"topology.kubernetes.io/zone", "kubernetes.io/hostname"}, set(keys))
        self.assertEqual(set(keys.values()), {"DoNotSchedule"})

    def test_pod_scheduling_is_configurable(self):
        template = deployment(matrix.CHANGES["placed pods"])["spec"]["template"]
        self.assertEqual(template["metadata"]["labels"]["team"], "platform")
        self.assertEqual(template["metadata"]["annotations"]["example.com/owner"], "platform")
        self.assertEqual(template["spec"]["nodeSelector"], {"pool": "edge"})
        self.assertEqual(template["spec"]["tolerations"], [{"key": "edge", "operator": "Exists"}])
        self.assertEqual(template["spec"]["priorityClassName"], "edge")

    def test_secrets_are_mounted_read_only(self):
        pod = deployment({"extProc": {"secrets": [matrix.SECRET]}})["spec"]["template"]["spec"]
        (volume,) = [item for item in pod["volumes"] if item.get("secret", {}).get("secretName") == matrix.SECRET["name"]]
        (mount,) = [item for item in pod["containers"][0]["volumeMounts"] if item["name"] == volume["name"]]
        self.assertEqual((mount["mountPath"], mount["readOnly"]), (matrix.SECRET["mountPath"], True))
        self.assertFalse(volume["secret"].get("optional", False))

    def test_the_chart_creates_no_secret(self):
        for name, objects in matrix.renderings():
            with self.subTest(name):
                self.assertEqual(objects.of("Secret"), [])


class Circuit(unittest.TestCase):
    def test_one_value_sets_every_limit(self):
        rules = chart.render({"extProc": {"maxRequests": 2048}}).of("DestinationRule")
        (rule,) = [item for item in rules if item["metadata"]["name"] == NAME]
        pool = rule["spec"]["trafficPolicy"]["connectionPool"]
        self.assertEqual(pool["tcp"], {"connectTimeout": "1s", "maxConnections": 2048})
        # No setting that the cluster's patch would replace: docs/envoy.md.
        self.assertEqual(pool["http"], {"http1MaxPendingRequests": 2048, "http2MaxRequests": 2048})


class Image(unittest.TestCase):
    def test_the_tag_is_the_charts_version(self):
        version = chart.load((chart.CHART / "Chart.yaml").read_text())[0]["appVersion"]
        self.assertEqual(container()["image"], f"registry.example/cellgate:{version}")

    def test_a_digest_overrides_the_tag(self):
        digest = "sha256:" + "a1" * 32
        self.assertEqual(container({"image": {"tag": "1", "digest": digest}})["image"], f"registry.example/cellgate@{digest}")

    def test_pull_secrets_are_references(self):
        pod = deployment({"image": {"pullSecrets": ["registry"]}})["spec"]["template"]["spec"]
        self.assertEqual(pod["imagePullSecrets"], [{"name": "registry"}])


class Rolling(unittest.TestCase):
    def checksum(self, change=None):
        annotations = deployment(change)["spec"]["template"]["metadata"]["annotations"]
        (value,) = [value for key, value in annotations.items() if key.startswith("checksum/")]
        return value

    def test_a_change_of_the_configuration_rolls_the_pods(self):
        self.assertNotEqual(self.checksum(), self.checksum({"config": {"version": "2"}}))
        self.assertEqual(len(self.checksum()), len(hashlib.sha256().hexdigest()))

    def test_another_change_does_not_roll_the_pods(self):
        self.assertEqual(self.checksum(), self.checksum({"commonLabels": {"team": "platform"}, "extProc": {"replicas": 4}}))

    def test_a_new_pod_is_ready_before_an_old_one_stops(self):
        strategy = deployment()["spec"]["strategy"]
        self.assertEqual(strategy["rollingUpdate"]["maxUnavailable"], 0)


class Scaling(unittest.TestCase):
    def test_the_deployment_has_the_replicas(self):
        self.assertEqual(deployment({"extProc": {"replicas": 5}})["spec"]["replicas"], 5)

    def test_with_autoscaling_the_deployment_has_no_replicas(self):
        """Every upgrade would reset it."""
        for kind in ["hpa", "keda"]:
            with self.subTest(kind):
                self.assertNotIn("replicas", deployment(matrix.CHANGES[kind])["spec"])

    def test_the_hpa_scales_by_cpu(self):
        change = {"type": "hpa", "minReplicas": 3, "maxReplicas": 9, "cpuUtilization": 55}
        objects = chart.render({"extProc": {"autoscaling": change}})
        spec = objects.one("HorizontalPodAutoscaler")["spec"]
        self.assertEqual(spec["scaleTargetRef"], {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME})
        self.assertEqual((spec["minReplicas"], spec["maxReplicas"]), (3, 9))
        self.assertEqual(chart.settings(spec, "averageUtilization"), [55])
        self.assertEqual(objects.of("ScaledObject"), [])

    def test_keda_scales_by_the_services_metrics(self):
        objects = chart.render(matrix.CHANGES["keda"])
        spec = objects.one("ScaledObject")["spec"]
        self.assertEqual(spec["scaleTargetRef"]["name"], NAME)
        self.assertEqual({trigger["type"] for trigger in spec["triggers"]}, {"prometheus"})
        for trigger in spec["triggers"]:
            self.assertEqual(trigger["metadata"]["serverAddress"], "http://prometheus.monitoring:9090")
        (decisions,) = [item["metadata"] for item in spec["triggers"] if "cellgate_decisions_total" in str(item)]
        self.assertEqual(decisions["threshold"], "1000")
        self.assertEqual(objects.of("HorizontalPodAutoscaler"), [])

    def test_keda_queries_metrics_that_exist(self):
        for query in chart.settings(chart.render(matrix.CHANGES["keda"]).one("ScaledObject"), "query"):
            self.assertTrue(metrics(query))
            self.assertLessEqual(metrics(query), documented())

    def test_a_budget_limits_disruptions(self):
        self.assertEqual(chart.render().one("PodDisruptionBudget")["spec"]["maxUnavailable"], 1)
        self.assertEqual(chart.render(matrix.CHANGES["no disruption budget"]).of("PodDisruptionBudget"), [])


class Monitoring(unittest.TestCase):
    def setUp(self):
        self.objects = chart.render(matrix.CHANGES["monitoring"])

    def test_monitoring_is_off_by_default(self):
        self.assertEqual(chart.render().of("ServiceMonitor", "PrometheusRule"), [])

    def test_the_monitor_finds_the_service(self):
        monitor = self.objects.one("ServiceMonitor")
        service = self.objects.one("Service")
        self.assertLessEqual(monitor["spec"]["selector"]["matchLabels"].items(), service["metadata"]["labels"].items())
        self.assertEqual([endpoint["port"] for endpoint in monitor["spec"]["endpoints"]], ["http-admin"])
        self.assertEqual(monitor["metadata"]["labels"]["release"], "prometheus")

    def test_alerts_query_metrics_that_exist(self):
        rules = chart.settings(self.objects.one("PrometheusRule"), "expr")
        self.assertTrue(rules)
        for expression in rules:
            with self.subTest(expression):
                self.assertLessEqual(metrics(expression), documented())

    def test_refusals_by_limits_have_alerts_of_their_own(self):
        """A client over its limit is no fault of requests or of the configuration."""
        groups = chart.settings(self.objects.one("PrometheusRule"), "rules")
        rules = {rule["alert"]: rule["expr"] for rules in groups for rule in rules if "alert" in rule}
        self.assertIn('reason!~"rate_limited|concurrency_limited"', rules["CellgateRejecting"])
        self.assertIn("cellgate_rate_limit_checks_total", rules["CellgateRateLimitRefusing"])
        self.assertIn("cellgate_concurrency_checks_total", rules["CellgateConcurrencyRefusing"])

    def test_every_alert_has_a_remedy(self):
        for rules in chart.settings(self.objects.one("PrometheusRule"), "rules"):
            for rule in [rule for rule in rules if "alert" in rule]:
                with self.subTest(rule["alert"]):
                    self.assertTrue(rule["annotations"]["summary"])
                    self.assertTrue(rule["annotations"]["description"])
                    self.assertTrue(rule["labels"]["severity"])


class Network(unittest.TestCase):
    def setUp(self):
        self.spec = chart.render().one("NetworkPolicy")["spec"]

    def test_what_is_not_allowed_is_refused(self):
        self.assertEqual(sorted(self.spec["policyTypes"]), ["Egress", "Ingress"])

    def test_dns_is_allowed(self):
        ports = {(port["protocol"], port["port"]) for rule in self.spec["egress"] for port in rule.get("ports", [])}
        self.assertLessEqual({("UDP", 53), ("TCP", 53)}, ports)

    def test_istiod_is_allowed(self):
        rules = [rule for rule in self.spec["egress"] if "istio-system" in str(rule)]
        self.assertIn(15012, {port["port"] for rule in rules for port in rule["ports"]})

    def test_the_gateways_reach_the_service(self):
        rules = [rule for rule in self.spec["ingress"] if "istio-ingress" in str(rule)]
        self.assertTrue(rules)
        ports = {port["port"] for rule in rules for port in rule["ports"]}
        self.assertTrue(ports & {"grpc", 50051})

    def test_only_metrics_and_dns_are_open_for_everyone(self):
        """A rule without `from` or `to` applies to everyone, and one without `ports` to every port. A policy cannot name the host of a
        store of rate limits or of a receiver of traces outside of the cluster."""
        outside = {7000: "rate limits in a cluster with tls", 443: "traces by tls"}
        open_ports = {"from": {9902, 15020}, "to": {53, 5353}}
        for name, objects in matrix.renderings():
            for item in objects.of("NetworkPolicy"):
                for side, rules in [("from", item["spec"]["ingress"]), ("to", item["spec"]["egress"])]:
                    for rule in rules:
                        with self.subTest(name, rule=rule):
                            self.assertTrue(rule.get("ports"))
                            self.assertNotIn({}, rule.get(side, []))
                            if not rule.get(side):
                                ports = {port["port"] for port in rule["ports"]}
                                self.assertLessEqual({port for port in ports if outside.get(port) != name}, open_ports[side])

    def test_with_scrapers_only_dns_is_open_for_everyone(self):
        objects = chart.render({"monitoring": {"scrapers": ["monitoring/prometheus"]}})
        for rule in objects.one("NetworkPolicy")["spec"]["ingress"]:
            self.assertTrue(rule["from"])

    def test_further_traffic_can_be_allowed(self):
        peer = {"namespaceSelector": {"matchLabels": {"a": "b"}}}
        rule = {"to": [peer], "ports": [{"port": 6379}]}
        change = {"extProc": {"networkPolicy": {"extraIngress": [peer], "extraEgress": [rule]}}}
        spec = chart.render(change).one("NetworkPolicy")["spec"]
        (service,) = [item for item in spec["ingress"] if peer in item.get("from", [])]
        self.assertIn(50051, [port["port"] for port in service["ports"]])
        self.assertIn(rule, spec["egress"])


@functools.lru_cache(maxsize=None)
def known_options(command):
    """The options of one of Cellgate's commands, from its help."""
    done = subprocess.run([CELLGATE, command, "--help"], capture_output=True, text=True, check=True)
    return set(re.findall(r"--[a-z-]+", done.stdout))


def metrics(expression):
    """The names of Cellgate's metrics in an expression, without those that it leaves out by a pattern."""
    expression = re.sub(r'__name__!~"[^"]*"', "", expression)
    return {name.rstrip("_") for name in re.findall(r"\bcellgate_[a-z_]+", expression)}


@functools.lru_cache(maxsize=None)
def documented():
    """The metrics of metrics.md, as Prometheus shows them."""
    text = (chart.ROOT / "docs" / "metrics.md").read_text()
    names = {name.rstrip("_") for name in re.findall(r"`(cellgate_[a-z_]+)", text)}
    return {name for metric in names for name in (metric, f"{metric}_bucket", f"{metric}_count")}


if __name__ == "__main__":
    unittest.main()
