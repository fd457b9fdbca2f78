#!/usr/bin/env python3
"""Checks the manifests with the mesh's own tools, which scripts/mesh-tools.sh builds. The last line counts the tests.

    manifests_test.py [WORD ...]     only tests with one of the words in their name
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import chart_test
import chart_tools

chart_tools.enter()
sys.path.append(str(chart_test.TESTS))

import yaml  # noqa: E402

import chart  # noqa: E402
import manifests  # noqa: E402
import matrix  # noqa: E402
import schemas  # noqa: E402

ROOT = chart_tools.ROOT
MESH = ROOT / ".tools" / "mesh"
KIND = ROOT / "scripts" / "kind"
OVERLAYS = ROOT / "istio" / "overlays"
# A mesh around the manifests: the user's gateway, cells and namespaces.
SURROUNDINGS = chart_test.TESTS / "surroundings.yaml"
# istioctl reports IST0133 for every EnvoyFilter, because Istio does not check its content. The mesh tests do.
SUPPRESSED = ["IST0133=EnvoyFilter *"]


def tool(name, *arguments):
    """Runs one of the mesh's tools: its exit code and its output."""
    program = MESH / "bin" / name
    if not program.exists():
        raise AssertionError(f"{program} is missing: run scripts/mesh-tools.sh {name}")
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": "/dev/null"}
    command = [program, *map(str, arguments)]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return done.returncode, done.stdout


def kustomized(folder):
    """The text that `kubectl apply -k` would apply."""
    code, text = tool("kubectl", "kustomize", folder)
    if code != 0:
        raise AssertionError(text)
    return text


def chaos_crds():
    """The folder of Chaos Mesh's CRDs, which a recipe needs and the mesh does not."""
    return subprocess.run([ROOT / "scripts" / "chaos-crds.sh"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


class Kustomize(unittest.TestCase):
    maxDiff = None

    def expect(self, folder, *values):
        found = {manifests.identity(item): item for item in chart.load(kustomized(folder))}
        found.pop(("Namespace", "", manifests.NAMESPACE))
        wanted = manifests.render(*values)
        self.assertEqual(found.keys(), wanted.keys())
        for key, item in wanted.items():
            with self.subTest(key):
                self.assertEqual(found[key], item)

    def test_the_base_is_what_the_chart_renders(self):
        self.expect(ROOT / "istio" / "base")

    def test_each_overlay_is_what_the_chart_renders_for_its_environment(self):
        for name in matrix.ENVIRONMENTS:
            with self.subTest(name):
                self.expect(OVERLAYS / name, chart.CHART / f"values-{name}.yaml")

    def test_helm_4_renders_the_same(self):
        """Byte for byte the same manifests, and the same objects for every setting of the chart."""
        helm, others = os.environ["HELM"], str(MESH / "bin" / "helm")
        before = manifests.files()
        renderings = {name: chart.render(change) for name, change in matrix.CHANGES.items()}
        try:
            os.environ["HELM"] = chart.HELM = others
            chart.template.cache_clear()
            self.assertEqual(manifests.files(), before)
            for name, change in matrix.CHANGES.items():
                with self.subTest(name):
                    self.assertEqual(chart.render(change).installed, renderings[name].installed)
        finally:
            os.environ["HELM"] = chart.HELM = helm
            chart.template.cache_clear()


class Schemas(unittest.TestCase):
    def setUp(self):
        self.known = schemas.Schemas(MESH / "crds")

    def expect(self, name, items):
        self.assertTrue(items)
        for item in items:
            with self.subTest(name, item=chart.label(item)):
                self.assertEqual(self.known.errors(item), [])

    def test_every_rendering(self):
        for name, objects in matrix.renderings():
            self.expect(name, objects)

    def test_the_overlays(self):
        for name in matrix.ENVIRONMENTS:
            self.expect(name, chart.load(kustomized(OVERLAYS / name)))

    def test_what_argo_cd_is_given(self):
        folder = ROOT / "istio" / "gitops"
        for path in [folder / "root.yaml", *sorted((folder / "apps").glob("*.yaml"))]:
            self.expect(path.name, chart.load(path.read_text()))

    def test_the_recipes(self):
        """Those with manifests beside the values."""
        self.known.add_folder(chaos_crds())
        for path in sorted((ROOT / "istio" / "recipes").glob("*/*.yaml")):
            if path not in matrix.RECIPES:
                self.expect(str(path), chart.load(path.read_text()))

    def test_the_surroundings(self):
        self.expect(SURROUNDINGS.name, chart.load(SURROUNDINGS.read_text()))

    def test_a_misspelt_field_is_found(self):
        (rule,) = [item for item in chart.render().of("DestinationRule") if item["metadata"]["namespace"] == "cell-a"]
        rule["spec"]["trafficPolicy"]["conectionPool"] = rule["spec"]["trafficPolicy"].pop("connectionPool")
        self.assertTrue(any("conectionPool" in error for error in self.known.errors(rule)))


class Istioctl(unittest.TestCase):
    def analyze(self, objects):
        """The output of istioctl for these objects in a user's mesh."""
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "objects.yaml"
            file.write_text(yaml.safe_dump_all([*chart.load(SURROUNDINGS.read_text()), *objects]))
            suppressed = [f"--suppress={code}" for code in SUPPRESSED]
            # Without --all-namespaces it only shows findings in `default`.
            options = ["--all-namespaces", "--use-kube=false", "--output=json", *suppressed]
            _, output = tool("istioctl", "analyze", *options, file)
        # A summary follows the list.
        findings, _ = json.JSONDecoder().raw_decode(output[output.index("[") :])
        return [f"{item['code']} {item['origin']}: {item['message']}" for item in findings]

    def test_analysis_of_the_overlays_finds_nothing(self):
        for name in matrix.ENVIRONMENTS:
            with self.subTest(name):
                self.assertEqual(self.analyze(chart.load(kustomized(OVERLAYS / name))), [])

    def test_analysis_finds_what_is_wrong(self):
        objects = chart.load(kustomized(OVERLAYS / "dev"))
        for item in objects:
            if item["kind"] == "VirtualService":
                item["spec"]["gateways"] = ["istio-ingress/nowhere"]
        found = self.analyze(objects)
        self.assertTrue(any("nowhere" in line for line in found), found)

    def test_istio_accepts_every_rendering(self):
        """Schema and meaning, as istiod's webhook checks them."""
        kinds = {"DestinationRule", "EnvoyFilter", "VirtualService", "AuthorizationPolicy", "PeerAuthentication"}
        distinct = {}
        for name, objects in matrix.renderings():
            for item in objects.of(*kinds):
                # istioctl's output names the object, so the name contains the rendering.
                renamed = chart.merge(item, {"metadata": {"name": re.sub("[^a-z0-9]+", "-", name)}})
                distinct.setdefault(json.dumps(item, sort_keys=True), renamed)
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "objects.yaml"
            file.write_text(yaml.safe_dump_all(distinct.values()))
            _, output = tool("istioctl", "validate", "--filename", file)
        findings = [line.strip() for line in output.splitlines() if line.strip().startswith("* ")]
        filters = sum(item["kind"] == "EnvoyFilter" for item in distinct.values())
        # One line for each EnvoyFilter: see SUPPRESSED.
        general = [line for line in findings if "EnvoyFilter exposes internal implementation details" in line]
        self.assertEqual([line for line in findings if line not in general], [])
        self.assertEqual(len(general), filters, output)

    def test_istio_refuses_what_is_wrong(self):
        (item,) = chart.render().installed.of("VirtualService")
        item = chart.merge(item, {"spec": {"http": [{"directResponse": {"status": 99}}]}})
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "object.yaml"
            file.write_text(yaml.safe_dump(item))
            code, output = tool("istioctl", "validate", "--filename", file)
        self.assertNotEqual(code, 0, output)


class Kind(unittest.TestCase):
    """The mesh of `make test-kind`, as far as it can be judged without one."""

    def test_what_it_applies_fits_the_schemas(self):
        known = schemas.Schemas(MESH / "crds")
        mesh = chart.load((KIND / "mesh.yaml").read_text())
        for item in [*mesh, *self.installation()]:
            with self.subTest(item=chart.label(item)):
                self.assertEqual(known.errors(item), [])

    def installation(self):
        """The chart as install.sh installs it."""
        module = {"filter": {"module": {"url": "oci://10.0.0.9:5000/cellgate-filter:0.1.0", "sha256": "5e" * 32}}}
        return chart.render(module, base={}, files=[KIND / "values.yaml"]).installed

    def test_the_gateway_and_the_waypoint_are_those_of_the_mesh(self):
        mesh = {manifests.identity(item) for item in chart.load((KIND / "mesh.yaml").read_text())}
        values = yaml.safe_load((KIND / "values.yaml").read_text())
        waypoint = values["filter"]["attach"][1]
        (target,) = waypoint["targetRefs"]
        self.assertIn((target["kind"], waypoint["namespace"], target["name"]), mesh)
        for name, cell in values["cells"].items():
            service, namespace = cell["host"].split(".")[:2]
            self.assertIn(("Service", namespace, service), mesh)
            self.assertIn(("Pod", namespace, name), mesh)

    def test_istioctl_makes_the_gateway_of_it(self):
        code, output = tool("istioctl", "manifest", "generate", "--filename", KIND / "istio.yaml")
        self.assertEqual(code, 0, output)
        found = {manifests.identity(item): item for item in yaml.safe_load_all(output) if item}
        gateway = found["Deployment", "istio-ingress", "istio-ingressgateway"]
        attached = yaml.safe_load((KIND / "values.yaml").read_text())["filter"]["attach"][0]
        pod = gateway["spec"]["template"]
        self.assertLessEqual(attached["selector"].items(), pod["metadata"]["labels"].items())
        self.assertEqual(pod["spec"]["serviceAccountName"], attached["serviceAccount"])
        self.assertIn(("DaemonSet", "istio-system", "ztunnel"), found)
        self.assertIn("WASM_INSECURE_REGISTRIES", found["ConfigMap", "istio-system", "istio"]["data"]["mesh"])


if __name__ == "__main__":
    sys.exit(chart_test.run(chart_test.loader().loadTestsFromModule(sys.modules[__name__])))
