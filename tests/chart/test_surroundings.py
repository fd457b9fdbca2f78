"""Different kinds of clusters, and the settings that users expect of a chart."""

import pathlib
import tempfile
import unittest

import chart

OPENSHIFT = {"openshift": True}
IDS = ["runAsUser", "runAsGroup", "fsGroup"]


def pods(change=None):
    return [template["spec"] for _, template in chart.render(change).pods()]


def deployment(change):
    return chart.render(change).one("Deployment")


def spec(change):
    return deployment(change)["spec"]["template"]["spec"]


class OpenShift(unittest.TestCase):
    def test_openshift_assigns_the_ids(self):
        found = pods(OPENSHIFT)
        self.assertEqual(len(found), 4)
        for pod in found:
            self.assertIs(pod["securityContext"]["runAsNonRoot"], True)
            self.assertFalse(set(IDS) & set(pod["securityContext"]))
            for container in pod["containers"]:
                self.assertFalse(set(IDS) & set(container["securityContext"]))

    def test_other_clusters_get_fixed_ids(self):
        for openshift in ["auto", False]:
            for pod in pods({"openshift": openshift}):
                self.assertEqual(pod["securityContext"]["runAsUser"], 65532)

    def test_openshift_is_detected_by_its_api(self):
        with tempfile.TemporaryDirectory() as folder:
            values = pathlib.Path(folder, "values.json")
            values.write_text(chart.json.dumps(chart.VALUES))
            arguments = ["template", chart.RELEASE, chart.CHART, "--namespace", chart.NAMESPACE, "--values", values]
            for more, expected in [([], 65532), (["--api-versions", "security.openshift.io/v1"], None)]:
                found = chart.Objects(chart.load(chart.helm(*map(str, [*arguments, *more]))))
                contexts = [template["spec"]["securityContext"] for _, template in found.pods()]
                self.assertEqual({context.get("runAsUser") for context in contexts}, {expected})

    def test_openshifts_dns_can_be_reached(self):
        egress = chart.render().one("NetworkPolicy")["spec"]["egress"]
        open_for = {(port["protocol"], port["port"]) for rule in egress if "to" not in rule for port in rule["ports"]}
        self.assertEqual(open_for, {(protocol, port) for protocol in ["UDP", "TCP"] for port in [53, 5353]})


class Contexts(unittest.TestCase):
    def test_security_contexts_override_the_charts(self):
        change = {
            "podSecurityContext": {"runAsUser": 1000, "runAsGroup": None},
            "containerSecurityContext": {"privileged": False},
        }
        for pod in pods(change):
            self.assertEqual(pod["securityContext"]["runAsUser"], 1000)
            self.assertNotIn("runAsGroup", pod["securityContext"])
            self.assertIs(pod["securityContext"]["runAsNonRoot"], True)
            for container in pod["containers"]:
                self.assertIs(container["securityContext"]["privileged"], False)
                self.assertEqual(container["securityContext"]["capabilities"], {"drop": ["ALL"]})


class Families(unittest.TestCase):
    def test_it_listens_on_both_ip_families(self):
        (container,) = spec({})["containers"]
        self.assertLessEqual({"--listen=[::]:50051", "--admin=[::]:9902"}, set(container["args"]))

    def test_the_services_ip_families_are_configurable(self):
        change = {"extProc": {"service": {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"]}}}
        found = chart.render(change).one("Service")["spec"]
        self.assertEqual((found["ipFamilyPolicy"], found["ipFamilies"]), ("PreferDualStack", ["IPv6", "IPv4"]))
        self.assertNotIn("ipFamilyPolicy", chart.render().one("Service")["spec"])
        self.assertIn("ipFamilyPolicy", chart.refusal({"extProc": {"service": {"ipFamilyPolicy": "Both"}}}))


class Additions(unittest.TestCase):
    def test_containers_volumes_and_variables_can_be_added(self):
        change = {
            "extraArgs": ["--log-format=human"],
            "extraEnv": [{"name": "A", "value": "b"}],
            "extraVolumes": [{"name": "scratch", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
            "initContainers": [{"name": "first", "image": "first"}],
            "extraContainers": [{"name": "beside", "image": "beside"}],
        }
        found = spec({"extProc": change})
        own, beside = found["containers"]
        self.assertEqual(own["args"][-1], "--log-format=human")
        self.assertEqual(own["env"], change["extraEnv"])
        self.assertIn(change["extraVolumes"][0], found["volumes"])
        self.assertIn(change["extraVolumeMounts"][0], own["volumeMounts"])
        self.assertEqual((found["initContainers"], beside), (change["initContainers"], change["extraContainers"][0]))

    def test_scheduling_rules_replace_the_charts(self):
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
        spread = [{"topologyKey": "rack", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}]
        found = spec({"extProc": {"affinity": affinity, "topologySpreadConstraints": spread}})
        self.assertEqual((found["affinity"], found["topologySpreadConstraints"]), (affinity, spread))
        found = spec({})
        self.assertIn("podAntiAffinity", found["affinity"])
        self.assertEqual(len(found["topologySpreadConstraints"]), 2)

    def test_pull_secrets_in_either_form_are_for_every_pod(self):
        found = pods({"image": {"pullSecrets": ["a", {"name": "b"}]}})
        self.assertEqual(len(found), 4)
        for pod in found:
            self.assertEqual(pod["imagePullSecrets"], [{"name": "a"}, {"name": "b"}])

    def test_annotations_are_on_every_object(self):
        for item in chart.render({"commonAnnotations": {"team": "edge"}}):
            with self.subTest(chart.label(item)):
                self.assertEqual(item["metadata"]["annotations"]["team"], "edge")
        self.assertIn("commonAnnotations: remove helm.sh/hook", chart.refusal({"commonAnnotations": {"helm.sh/hook": "x"}}))

    def test_single_objects_have_further_annotations(self):
        change = {
            "serviceAccount": {"annotations": {"a": "account"}},
            "extProc": {"annotations": {"a": "deployment"}, "service": {"annotations": {"a": "service"}}},
        }
        objects = chart.render(change)
        account = objects.installed.one("ServiceAccount")
        for item, value in [(account, "account"), (objects.one("Deployment"), "deployment"), (objects.one("Service"), "service")]:
            self.assertEqual(item["metadata"]["annotations"], {"a": value})

    def test_the_app_name_is_on_every_object_and_selects_the_pods(self):
        objects = chart.render({"nameOverride": "router"})
        for item in objects:
            self.assertEqual(item["metadata"]["labels"]["app.kubernetes.io/name"], "router")
        labels = objects.one("Deployment")["spec"]["template"]["metadata"]["labels"]
        self.assertLessEqual(objects.one("Service")["spec"]["selector"].items(), labels.items())


    def test_updates_and_termination_are_configurable(self):
        change = {
            "updateStrategy": {"type": "Recreate"},
            "revisionHistoryLimit": 7,
            "terminationGracePeriodSeconds": 300,
            "podDisruptionBudget": {"minAvailable": "50%"},
        }
        objects = chart.render({"extProc": change})
        found = objects.one("Deployment")["spec"]
        self.assertEqual(found["strategy"], {"type": "Recreate"})
        self.assertEqual(found["revisionHistoryLimit"], 7)
        self.assertEqual(found["template"]["spec"]["terminationGracePeriodSeconds"], 300)
        budget = objects.one("PodDisruptionBudget")["spec"]
        self.assertEqual((budget["minAvailable"], budget.get("maxUnavailable")), ("50%", None))

    def test_null_means_the_default(self):
        for name in ["commonAnnotations", "commonLabels", "podSecurityContext", "containerSecurityContext", "openshift", "nameOverride"]:
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                values = pathlib.Path(folder, "values.json")
                values.write_text(chart.json.dumps({**chart.VALUES, name: None}))
                found = chart.render({}, base={}, files=[values])
                self.assertEqual(found.installed, chart.render().installed)


class Account(unittest.TestCase):
    def test_an_existing_account_is_used(self):
        change = {"serviceAccount": {"create": False, "name": "router"}}
        objects = chart.render(change)
        self.assertEqual(objects.installed.of("ServiceAccount"), [])
        names = {template["spec"]["serviceAccountName"] for item, template in objects.pods() if "serviceAccountName" in template["spec"]}
        self.assertEqual(names, {"router", f"{chart.RELEASE}-neighbours"})

    def test_the_account_may_have_another_name(self):
        objects = chart.render({"serviceAccount": {"name": "router"}})
        self.assertEqual(objects.installed.one("ServiceAccount")["metadata"]["name"], "router")
        self.assertEqual(objects.one("Deployment")["spec"]["template"]["spec"]["serviceAccountName"], "router")


class Cells(unittest.TestCase):
    def test_a_second_file_removes_a_cell(self):
        with tempfile.TemporaryDirectory() as folder:
            first, second = pathlib.Path(folder, "first.json"), pathlib.Path(folder, "second.json")
            first.write_text(chart.json.dumps(chart.merge(chart.VALUES, {"config": {"placement": {"slots": {}}}})))
            second.write_text('{"cells": {"cell-c": null}}')
            objects = chart.render({}, base={}, files=[first, second])
        config = chart.json.loads(chart.service_config(objects))
        self.assertEqual(config["cells"], ["cell-a", "cell-b"])
        for item in objects:
            with self.subTest(chart.label(item)):
                self.assertNotIn("cell-c", str(item))

    def test_values_that_still_name_a_removed_cell_are_refused(self):
        change = {"cells": {"cell-b": None}, "config": {"placement": {"overrides": {"acme": "cell-b"}}}}
        with tempfile.TemporaryDirectory() as folder:
            first, second = pathlib.Path(folder, "first.json"), pathlib.Path(folder, "second.json")
            first.write_text(chart.json.dumps(chart.VALUES))
            second.write_text(chart.json.dumps(change))
            with self.assertRaises(chart.Refused) as refused:
                chart.render({}, base={}, files=[first, second])
        self.assertIn('config.placement.overrides.acme: "cell-b" is not one of the cells [cell-a, cell-c]', str(refused.exception))


if __name__ == "__main__":
    unittest.main()
