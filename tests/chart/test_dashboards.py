"""The dashboards are valid, and Grafana's sidecar finds them."""

import json
import re
import subprocess
import sys
import unittest

import alert_cases as cases
import chart
import matrix
import test_objectives
import test_service

FOLDER = chart.CHART / "dashboards"


def dashboards():
    return {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


class Objects(unittest.TestCase):
    def test_they_are_off_by_default(self):
        names = [item["metadata"]["name"] for item in chart.render().of("ConfigMap")]
        self.assertNotIn(f"{chart.RELEASE}-dashboards", names)

    def test_the_sidecar_finds_them(self):
        item = chart.render(matrix.CHANGES["monitoring"]).one("ConfigMap", f"{chart.RELEASE}-dashboards")
        self.assertEqual(item["metadata"]["labels"]["grafana_dashboard"], "1")
        self.assertEqual(item["metadata"]["annotations"], {"grafana_folder": "Cellgate"})
        self.assertEqual({name: json.loads(text) for name, text in item["data"].items()}, dashboards())

    def test_the_label_is_a_value(self):
        values = {"monitoring": {"dashboards": {"enabled": True, "labels": {"grafana_dashboard": None, "dashboard": "yes"}}}}
        labels = chart.render(values).one("ConfigMap", f"{chart.RELEASE}-dashboards")["metadata"]["labels"]
        self.assertEqual((labels.get("grafana_dashboard"), labels["dashboard"]), (None, "yes"))


class Files(unittest.TestCase):
    def test_the_files_are_current(self):
        command = [sys.executable, chart.ROOT / "scripts" / "dashboards.py", "--check"]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_panel_has_what_grafana_needs(self):
        found = dashboards()
        self.assertEqual(len({board["uid"] for board in found.values()}), 3)
        for name, board in found.items():
            panels = board["panels"]
            self.assertEqual(len({panel["id"] for panel in panels}), len(panels), name)
            taken = set()
            for panel in panels:
                with self.subTest(name, panel=panel["title"]):
                    place = panel["gridPos"]
                    self.assertLessEqual(place["x"] + place["w"], 24)
                    cells = {
                        (x, y)
                        for x in range(place["x"], place["x"] + place["w"])
                        for y in range(place["y"], place["y"] + place["h"])
                    }
                    self.assertFalse(cells & taken, "panels overlap")
                    taken |= cells
                    if panel["type"] == "row":
                        continue
                    self.assertTrue(panel["targets"])
                    self.assertEqual(len({target["refId"] for target in panel["targets"]}), len(panel["targets"]))
                    for target in panel["targets"]:
                        self.assertEqual(target["datasource"], {"type": "prometheus", "uid": "${datasource}"})

    def test_they_query_metrics_that_exist(self):
        recorded = {
            rule["record"]
            for group in chart.render(matrix.CHANGES["monitoring"]).one("PrometheusRule")["spec"]["groups"]
            for rule in group["rules"]
            if "record" in rule
        }
        for name, board in dashboards().items():
            variables = {variable["name"] for variable in board["templating"]["list"]}
            for panel in board["panels"]:
                for target in panel.get("targets", []):
                    with self.subTest(name, panel=panel["title"]):
                        expression = target["expr"]
                        self.assertLessEqual(test_service.metrics(expression.replace("cellgate:", ":")), test_service.documented())
                        self.assertLessEqual(set(re.findall(r"cellgate:[a-z0-9_:]+", expression)), recorded)
                        self.assertLessEqual(set(re.findall(r"\$(\w+)", expression)) - {"__rate_interval"}, variables)

    def test_the_variables_have_values_in_every_installation(self):
        """Without the service, without the filter and without objectives."""
        changes = [{}, {"extProc": {"enabled": False}}, {"filter": {"enabled": False}, "routes": {"enabled": False}}, {"monitoring": {"slo": {"enabled": False}}}]
        for change in changes:
            groups = chart.render(chart.merge(matrix.CHANGES["monitoring"], change)).one("PrometheusRule")["spec"]["groups"]
            rules = {rule["record"]: rule for group in groups for rule in group["rules"] if "record" in rule}
            for name, board in dashboards().items():
                for variable in board["templating"]["list"]:
                    if variable["type"] != "query":
                        continue
                    with self.subTest(name, variable=variable["name"], change=change):
                        series, wanted = re.fullmatch(r"label_values\(([a-z:_]+)(?:\{.*\})?, (\w+)\)", variable["definition"]).groups()
                        # Whatever is scraped: the series depends on no other.
                        self.assertEqual(rules[series]["expr"], "vector(1)")
                        self.assertTrue(rules[series]["labels"][wanted])

    def test_zero_is_drawn_only_where_nothing_was_counted(self):
        def count(series, values, labels):
            return {
                "interval": "15s",
                "input_series": [{"series": key, "values": value} for key, value in series],
                "promql_expr_test": [
                    {"expr": f"count({expression})", "eval_time": "5m", "exp_samples": [{"labels": "{}", "value": values}]} for expression in labels
                ],
            }

        zero = r"\bvector\(0\)"
        expressions = {target["expr"] for board in dashboards().values() for panel in board["panels"] for target in panel.get("targets", [])}
        for expression in expressions:
            self.assertEqual(len(re.findall(zero, expression)), expression.count("or on () vector(0)"), expression)
        panels = {panel["title"]: panel["targets"][0]["expr"] for board in dashboards().values() for panel in board["panels"] if "targets" in panel}
        asked = [panels[title] for title in ("Service: decisions by outcome", "Service: refusals by reason", "Streams ended with an error")]
        variables = {"$namespace": chart.NAMESPACE, "$service": cases.SERVICE["service"], "$release": chart.RELEASE, "$__rate_interval": "1m"}
        for name, value in variables.items():
            asked = [expression.replace(name, value) for expression in asked]
        counted = [cases.refusals("0+1x40", "overloaded"), cases.series("cellgate_protocol_errors_total", "0+1x40")]
        code, output = test_objectives.check([], [count(counted, 1, asked), count([cases.stat("up", "1x40")], 1, asked)])
        self.assertEqual(code, 0, output)


if __name__ == "__main__":
    unittest.main()
