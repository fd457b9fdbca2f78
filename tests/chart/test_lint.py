"""`helm lint --strict`, and the files of the chart."""

import json
import pathlib
import tempfile
import unittest

import chart
import matrix


def lint(*files):
    arguments = [argument for file in files for argument in ("--values", file)]
    return chart.helm("lint", "--strict", chart.CHART, *arguments)


class Lint(unittest.TestCase):
    def test_the_smallest_values_pass_lint(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "values.json"
            file.write_text(json.dumps(chart.VALUES))
            self.assertIn("0 chart(s) failed", lint(file))

    def test_the_example_passes_lint(self):
        self.assertIn("0 chart(s) failed", lint(matrix.EXAMPLE))

    def test_the_values_for_chart_testing_pass_lint(self):
        files = list((chart.CHART / "ci").glob("*-values.yaml"))
        self.assertTrue(files)
        for file in files:
            with self.subTest(file.name):
                self.assertIn("0 chart(s) failed", lint(file))

    def test_every_environment_passes_lint(self):
        for name in matrix.ENVIRONMENTS:
            with self.subTest(name):
                self.assertIn("0 chart(s) failed", lint(matrix.EXAMPLE, chart.CHART / f"values-{name}.yaml"))


class Package(unittest.TestCase):
    def test_it_contains_only_the_files_that_a_user_needs(self):
        with tempfile.TemporaryDirectory() as folder:
            chart.helm("package", chart.CHART, "--destination", folder)
            (file,) = pathlib.Path(folder).iterdir()
            self.assertLess(file.stat().st_size, 256 * 1024)

    def test_values_yaml_has_no_duplicate_key(self):
        for file in [chart.CHART / "values.yaml", *chart.CHART.glob("values-*.yaml"), matrix.EXAMPLE]:
            with self.subTest(file.name):
                self.assertTrue(chart.load(file.read_text()))

    def test_the_schema_knows_every_value(self):
        schema = json.loads((chart.CHART / "values.schema.json").read_text())
        (values,) = chart.load((chart.CHART / "values.yaml").read_text())
        # Helm adds `global` to the values of every chart.
        self.assertEqual(schema["properties"].keys() - {"global"}, values.keys())
        self.assertIs(schema["additionalProperties"], False)

    def test_the_schema_has_no_alternatives(self):
        """Helm would report each alternative that a value does not match, instead of the mistake. The part for `config` is Cellgate's."""
        schema = json.loads((chart.CHART / "values.schema.json").read_text())
        own = [value for name, value in schema["properties"].items() if name != "config"]
        alternatives = chart.settings([*own, schema["definitions"]["Cell"]], "anyOf")
        self.assertEqual(alternatives, [])


class Environments(unittest.TestCase):
    def test_production_survives_the_loss_of_a_zone(self):
        objects = matrix.environment("prod")
        scaled = objects.of("HorizontalPodAutoscaler", "ScaledObject")
        least = [item["spec"].get("minReplicas") or item["spec"].get("minReplicaCount") for item in scaled]
        replicas = least[0] if least else objects.one("Deployment")["spec"]["replicas"]
        self.assertGreaterEqual(replicas, 3)
        self.assertTrue(objects.of("PodDisruptionBudget"))
        self.assertEqual({item["spec"]["mtls"]["mode"] for item in objects.of("PeerAuthentication")}, {"STRICT"})

    def test_the_environments_differ(self):
        texts = {json.dumps(matrix.environment(name), sort_keys=True) for name in matrix.ENVIRONMENTS}
        self.assertEqual(len(texts), len(matrix.ENVIRONMENTS))


if __name__ == "__main__":
    unittest.main()
