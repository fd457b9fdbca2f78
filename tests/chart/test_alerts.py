"""Every alert fires and does not fire as it should, and leads to a runbook."""

import json
import os
import pathlib
import re
import tempfile
import unittest

import alert_cases
import chart
import matrix
import promtool

RUNBOOKS = chart.ROOT / "docs" / "runbooks"
# The list of all alerts, between these lines.
LIST = RUNBOOKS / "README.md"
BEGIN, END = "<!-- alerts: begin -->\n", "<!-- alerts: end -->\n"


def groups(change=None):
    """The groups of the rendered PrometheusRule."""
    return chart.render(chart.merge(matrix.CHANGES["monitoring"], change or {})).one("PrometheusRule")["spec"]["groups"]


def alerts(change=None):
    """The alerts by name. In shadow mode there is one more."""
    return {rule["alert"]: rule for group in groups(change) for rule in group["rules"] if "alert" in rule}


def all_alerts():
    return {**alerts(), **alerts(alert_cases.SHADOW)}


def expected(rule, labels):
    """What promtool expects of an alert that fires."""
    return {"exp_labels": {**labels, **rule["labels"]}, "exp_annotations": rule["annotations"]}


def tests_of(name, case, rule):
    """The tests of one alert, as promtool reads them."""
    lanes = [("fires", case.fires, True), ("appears", case.appears, True), ("is silent", case.silent, False)]
    for lane, series, fires in lanes:
        if series is None:
            continue
        # A group without series would be no test for promtool.
        inputs = [{"series": key, "values": values} for key, values in series or [("up", "1x40")]]
        yield {
            "name": f"{name} {lane}",
            "interval": "1m",
            "input_series": inputs,
            "alert_rule_test": [
                {"eval_time": case.at, "alertname": name, "exp_alerts": [expected(rule, case.labels)] if fires else []}
            ],
        }


def needed(name, rendered):
    """The groups with an alert and all that it is computed from, and nothing else: promtool evaluates every rule at every
    step."""
    names, found = {name}, -1
    while len(names) > found:
        found = len(names)
        for rule in (rule for group in rendered for rule in group["rules"]):
            if rule.get("alert", rule.get("record")) in names:
                names |= set(re.findall(r"cellgate:[a-z0-9_:]+", rule["expr"]))
    kept = [
        {"name": group["name"], "rules": [rule for rule in group["rules"] if rule.get("alert", rule.get("record")) in names]}
        for group in rendered
    ]
    # What is computed from is recorded first.
    return sorted((group for group in kept if group["rules"]), key=lambda group: any("alert" in rule for rule in group["rules"]))


def evaluate(cases, change):
    """promtool's exit code and output for cases of alerts, by the rules that the chart renders with these values."""
    rendered, known = groups(change), alerts(change)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, case in cases.items():
            (folder / f"{name}.rules").write_text(json.dumps({"groups": needed(name, rendered)}))
            # Some alerts compare days.
            step = "1m" if len(case.at) < 5 else "10m"
            tests = list(tests_of(name, case, known[name]))
            text = json.dumps({"rule_files": [f"{name}.rules"], "evaluation_interval": step, "tests": tests})
            (folder / f"{name}.json").write_text(text)
        return promtool.run("test", "rules", *[f"{name}.json" for name in cases], cwd=folder)


def table():
    """The list of all alerts, as the rules of the chart's defaults have them."""
    lines = ["| alert | severity | fires after | summary |", "|---|---|---|---|"]
    for name, rule in sorted(all_alerts().items()):
        after = rule.get("for", "at once")
        lines.append(f"| [{name}]({name}.md) | {rule['labels']['severity']} | {after} | {rule['annotations']['summary']} |")
    return "".join(f"{line}\n" for line in lines)


class Rules(unittest.TestCase):
    def test_prometheus_reads_the_rules(self):
        for name, objects in matrix.renderings():
            for item in objects.of("PrometheusRule"):
                with self.subTest(name), tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                    json.dump({"groups": item["spec"]["groups"]}, file)
                    file.flush()
                    code, output = promtool.run("check", "rules", file.name)
                    self.assertEqual(code, 0, output)

    def test_every_alert_has_cases(self):
        self.assertEqual(sorted(alert_cases.CASES), sorted(all_alerts()))

    def test_each_alert_fires_and_does_not_fire(self):
        changes = {json.dumps(case.change) for case in alert_cases.CASES.values()}
        for text in sorted(changes):
            change = json.loads(text)
            cases = {name: case for name, case in alert_cases.CASES.items() if case.change == change}
            code, output = evaluate(cases, change)
            self.assertEqual(code, 0, output)

    def test_a_case_that_does_not_hold_is_reported(self):
        """promtool evaluates the cases: with the series of the other lane, each alert is a failure."""
        case = alert_cases.CASES["CellgateOverloaded"]
        swapped = alert_cases.Case(fires=case.silent, silent=case.fires, at=case.at, labels=case.labels)
        code, output = evaluate({"CellgateOverloaded": swapped}, {})
        self.assertNotEqual(code, 0)
        self.assertEqual(output.count("alertname: CellgateOverloaded"), 2, output)

    def test_two_releases_record_different_series(self):
        rules = [rule for group in groups() for rule in group["rules"] if "record" in rule]
        self.assertTrue(rules)
        for rule in rules:
            self.assertEqual(rule["labels"]["release"], f"{chart.NAMESPACE}/{chart.RELEASE}")

    def test_the_objectives_are_values(self):
        budgets = {
            rule["labels"]["sli"]: rule["expr"]
            for group in groups({"monitoring": {"slo": {"availability": 99.5, "latencySeconds": 0.05}}})
            for rule in group["rules"]
            if rule.get("record") == "cellgate:sli_error_budget:ratio"
        }
        self.assertEqual(budgets["availability"], "vector((100 - 99.5) / 100)")
        self.assertEqual(alerts({"monitoring": {"slo": {"enabled": False}}}).keys() & {"CellgateAvailabilityBurnsFast"}, set())
        self.assertIn("latencySeconds", chart.refusal({"monitoring": {"slo": {"latencySeconds": 0.3}}}))
        self.assertIn("availability", chart.refusal({"monitoring": {"slo": {"availability": 100}}}))


class Runbooks(unittest.TestCase):
    def test_every_alert_has_a_runbook(self):
        files = {path.stem for path in RUNBOOKS.glob("Cellgate*.md")}
        self.assertEqual(files, set(all_alerts()))
        for name, rule in all_alerts().items():
            self.assertEqual(rule["annotations"]["runbook"], f"docs/runbooks/{name}.md")

    def test_an_address_is_absolute(self):
        """A pager opens `runbook_url` as an address, so there is none without monitoring.runbookBase."""
        for rule in all_alerts().values():
            self.assertNotIn("runbook_url", rule["annotations"])
        for name, rule in alerts({"monitoring": {"runbookBase": "https://wiki.example/runbooks/"}}).items():
            self.assertEqual(rule["annotations"]["runbook_url"], f"https://wiki.example/runbooks/{name}.md")
            self.assertNotIn("runbook", rule["annotations"])
        self.assertIn("runbookBase", chart.refusal({"monitoring": {"runbookBase": "docs/runbooks"}}))

    def test_the_list_has_every_alert(self):
        """With UPDATE=1 it is written anew."""
        before, rest = LIST.read_text().split(BEGIN)
        listed, after = rest.split(END)
        if os.environ.get("UPDATE"):
            LIST.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}")
        else:
            self.assertEqual(listed.strip(), table().strip(), "run with UPDATE=1")

    def test_each_runbook_has_every_section(self):
        for path in RUNBOOKS.glob("Cellgate*.md"):
            with self.subTest(path.name):
                text = path.read_text()
                self.assertEqual(text.splitlines()[0], f"# {path.stem}")
                self.assertEqual(re.findall(r"^## (.*)$", text, re.MULTILINE), ["Meaning", "Effect", "Diagnosis", "Remedy"])


if __name__ == "__main__":
    unittest.main()
