"""The hook that runs `cellgate check` on the configuration before an installation."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import chart
import matrix

GATEWAY = chart.VALUES["filter"]["attach"][0]
EVERYWHERE = {"filter": {"attach": [GATEWAY, chart.SIDECAR, chart.OUTBOUND, chart.WAYPOINT]}}
NAME = f"{chart.RELEASE}-check"
MOUNT = "/etc/cellgate/"
CELLGATE = os.environ.get("CELLGATE_BIN")


def hooks(objects):
    return [item for item in objects if chart.is_hook(item) and item["metadata"]["name"].endswith("-check")]


def pod(objects):
    return objects.one("Pod", NAME)


def texts(objects):
    """The checked configurations, as a list: equal ones must appear once."""
    return list(objects.one("ConfigMap", NAME)["data"].values())


class Texts(unittest.TestCase):
    def test_the_configuration_of_every_filter_and_the_service_is_checked(self):
        for name, objects in matrix.renderings():
            with self.subTest(name):
                given = {chart.filter_config(item) for item in objects.filters}
                if objects.of("Deployment"):
                    given.add(chart.service_config(objects))
                (config,) = [item for item in hooks(objects) if item["kind"] == "ConfigMap"]
                self.assertEqual(sorted(config["data"].values()), sorted(given))

    def test_configurations_that_differ_between_proxies_are_all_checked(self):
        found = [json.loads(text) for text in texts(chart.render(EVERYWHERE))]
        # The waypoint's configuration has no hosts.
        self.assertEqual(len(found), 3)
        self.assertEqual([config["decided_by"]["cell"] for config in found if "decided_by" in config], ["cell-a"])

    def test_without_the_service_the_filters_configuration_is_checked(self):
        objects = chart.render({"extProc": {"enabled": False}})
        self.assertEqual(list(objects.one("ConfigMap", NAME)["data"]), [f"filter-{GATEWAY['name']}.json"])

    def test_without_the_filter_the_services_configuration_is_checked(self):
        objects = chart.render({"filter": {"enabled": False}, "routes": {"enabled": False}})
        self.assertEqual(list(objects.one("ConfigMap", NAME)["data"]), ["ext-proc.json"])

    def test_the_pod_checks_each_file_of_its_config_map(self):
        for change in [{}, EVERYWHERE]:
            objects = chart.render(change)
            spec = pod(objects)["spec"]
            (container,) = spec["containers"]
            (mount,), (volume,) = container["volumeMounts"], spec["volumes"]
            self.assertEqual((mount["name"], mount["mountPath"] + "/"), (volume["name"], MOUNT))
            self.assertEqual(volume["configMap"]["name"], NAME)
            files = sorted(MOUNT + file for file in objects.one("ConfigMap", NAME)["data"])
            self.assertEqual(container["args"], ["check", *files])

    @unittest.skipUnless(CELLGATE, "CELLGATE_BIN is not set")
    def test_its_command_accepts_valid_configurations_and_reports_each_error(self):
        wrong = {"config": {"key": [{"json": "/tenant/id"}, {"json": "/tenant~id"}]}}
        # Cellgate refuses each of the three files.
        for change, code, errors in [({}, 0, 0), (wrong, 1, 3)]:
            objects = chart.render(chart.merge(EVERYWHERE, change))
            (container,) = pod(objects)["spec"]["containers"]
            with tempfile.TemporaryDirectory() as folder, self.subTest(change):
                for file, text in objects.one("ConfigMap", NAME)["data"].items():
                    pathlib.Path(folder, file).write_text(text)
                arguments = [word.replace(MOUNT, folder + "/") for word in container["args"]]
                done = subprocess.run([CELLGATE, *arguments], capture_output=True, text=True)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertEqual(done.stderr.count("key[1].json: "), errors, done.stderr)


class Hooks(unittest.TestCase):
    def test_the_config_map_and_then_the_pod_come_before_all_other_objects(self):
        order = {}
        for item in hooks(chart.render()):
            annotations = item["metadata"]["annotations"]
            self.assertEqual(annotations["helm.sh/hook"], "pre-install,pre-upgrade")
            order[item["kind"]] = annotations["helm.sh/hook-weight"]
        self.assertEqual(order, {"ConfigMap": "-2", "Pod": "-1"})

    def test_a_failed_pod_remains_until_the_next_run(self):
        for item in hooks(chart.render()):
            with self.subTest(chart.label(item)):
                policy = item["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
                self.assertEqual(policy.split(","), ["before-hook-creation", "hook-succeeded"])

    def test_helm_shows_its_errors(self):
        found = pod(chart.render())
        self.assertEqual(found["metadata"]["annotations"]["helm.sh/hook-output-log-policy"], "hook-failed")
        self.assertEqual(found["spec"]["containers"][0]["terminationMessagePolicy"], "FallbackToLogsOnError")

    def test_the_pod_runs_once_and_stops_before_helms_timeout(self):
        found = pod(chart.render())
        self.assertEqual(found["metadata"]["labels"]["sidecar.istio.io/inject"], "false")
        self.assertEqual(found["spec"]["restartPolicy"], "Never")
        self.assertLess(found["spec"]["activeDeadlineSeconds"], 300)

    def test_it_needs_no_object_of_the_release(self):
        spec = pod(chart.render({"extProc": {"secrets": [matrix.SECRET]}}))["spec"]
        self.assertNotIn("serviceAccountName", spec)
        self.assertEqual([volume["configMap"]["name"] for volume in spec["volumes"]], [NAME])

    def test_it_runs_the_image_of_the_service(self):
        for name in ["defaults", "pinned image"]:
            with self.subTest(name):
                objects = chart.render(matrix.CHANGES[name])
                served = objects.one("Deployment")["spec"]["template"]["spec"]
                checked = pod(objects)["spec"]
                self.assertEqual(checked.get("imagePullSecrets"), served.get("imagePullSecrets"))
                for field in ["image", "imagePullPolicy"]:
                    self.assertEqual(checked["containers"][0][field], served["containers"][0][field])

    def test_it_runs_on_the_nodes_of_the_service(self):
        objects = chart.render(matrix.CHANGES["placed pods"])
        served = objects.one("Deployment")["spec"]["template"]["spec"]
        for field in ["nodeSelector", "tolerations"]:
            self.assertEqual(pod(objects)["spec"][field], served[field])

    def test_no_service_of_the_release_selects_the_pod(self):
        labels = pod(chart.render())["metadata"]["labels"]
        for item in chart.render().of("Service"):
            self.assertFalse(item["spec"]["selector"].items() <= labels.items())

    def test_it_can_be_switched_off(self):
        self.assertEqual(hooks(chart.render({"preflight": False})), [])

    def test_without_an_image_there_is_no_check(self):
        change = {"image": {"repository": ""}, "extProc": {"enabled": False}}
        self.assertEqual(hooks(chart.render(change)), [])
        self.assertTrue(chart.render(change).of("EnvoyFilter"))


if __name__ == "__main__":
    unittest.main()
