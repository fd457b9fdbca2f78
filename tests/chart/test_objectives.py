"""Each part of an alert on the availability, and of the rate that it compares, has a case that notices its loss."""

import json
import pathlib
import re
import tempfile
import unittest

import alert_cases as cases
import promtool
import test_alerts

LABELS = {**cases.RELEASE, "sli": "availability"}
STEADY = [cases.decisions("0+1000x600")]
DAYS = [cases.decisions("0+10000x450")]
# Two days of much traffic, so that a day with errors is a small part of three.
QUIETER = [cases.decisions("0+100000x288 28810000+10000x160")]


def errors(values):
    return cases.refusals(values, "overloaded")


# For each alert: the name of a lane, its series, when the alert is asked, and whether it fires. The budget is one error in a
# thousand requests.
LANES = {
    "CellgateAvailabilityBurnsFast": [
        ("one hour alone", [errors("0x300 20+20x100"), *STEADY], "360m", True),
        ("six hours alone", [errors("0+8x600"), *STEADY], "400m", True),
        ("an hour that is over", [errors("0x300 20+20x49 1000x60"), *STEADY], "360m", False),
        ("six hours that are over", [errors("0+12x370 4440x60"), *STEADY], "405m", False),
    ],
    "CellgateAvailabilityBurnsSlow": [
        ("one day alone", [errors("0x288 40+40x160"), *QUIETER], "4320m", True),
        ("three days alone", [errors("0+20x450"), *DAYS], "4320m", True),
        ("a day that is over", [errors("0x288 50+50x130 6550x30"), *QUIETER], "4320m", False),
        ("three days that are over", [errors("0+20x390 7800x60"), *DAYS], "4320m", False),
    ],
}

# For each summand of the rate of errors: the part of the expression, and the series of one failure among a hundred requests.
GOOD = [cases.decisions("0+99x100"), cases.stat("cellgate_decisions_cell_slot", "0+99x100")]
SUMMANDS = {
    "overloaded": cases.refusals("0+1x100", "overloaded"),
    "limit_unknown": cases.refusals("0+1x100", "limit_unknown"),
    "body_unread of the service": cases.refusals("0+1x100", "body_unread"),
    "body_unread of the filter": cases.stat("cellgate_decisions_reject_body_unread", "0+1x100"),
    "streams_failed": cases.stat("envoy_http_ext_proc_cellgate_streams_failed", "0+1x100"),
    "protocol_errors": cases.series("cellgate_protocol_errors_total", "0+1x100"),
    "message_timeouts": cases.stat("envoy_http_ext_proc_cellgate_message_timeouts", "0+1x100"),
}

# Envoy has this one for as long as it has the other two.
STREAMS = {name: [cases.stat("envoy_http_ext_proc_cellgate_streams_started", "0+1x100")] for name in ("streams_failed", "message_timeouts")}


def alert_tests(alert, rule):
    for lane, series, at, fires in LANES[alert]:
        found = [test_alerts.expected(rule, LABELS)] if fires else []
        yield {
            "name": lane,
            # The series of days have a sample every ten minutes.
            "interval": "10m" if at == "4320m" else "1m",
            "input_series": [{"series": key, "values": values} for key, values in series],
            "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": found}],
        }


def check(rules, tests, step="2m"):
    """promtool's exit code and output. Rules that compute from recorded series need two of their samples in a window."""
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "rules.json").write_text(json.dumps({"groups": rules}))
        document = {"rule_files": ["rules.json"], "evaluation_interval": step, "tests": list(tests)}
        (pathlib.Path(folder) / "test.json").write_text(json.dumps(document))
        return promtool.run("test", "rules", "test.json", cwd=folder)


def only(rendered, sli="availability"):
    """The groups without the rates of other objectives."""
    groups = [{**group, "rules": [rule for rule in group["rules"] if rule["labels"].get("sli", sli) == sli]} for group in rendered]
    return [group for group in groups if group["rules"]]


def rule_of(rendered, alert):
    return next(rule for group in rendered for rule in group["rules"] if rule.get("alert") == alert)


class Windows(unittest.TestCase):
    def evaluate(self, alert, change=lambda expression: expression):
        rendered = test_alerts.groups()
        rule = rule_of(rendered, alert)
        before = rule["expr"]
        rule["expr"] = change(before)
        step = "10m" if any(at == "4320m" for _, _, at, _ in LANES[alert]) else "2m"
        return rule["expr"] != before, *check(only(test_alerts.needed(alert, rendered)), alert_tests(alert, rule), step)

    def test_each_pair_of_windows_fires_alone_and_ends_with_its_cause(self):
        for alert in LANES:
            with self.subTest(alert):
                _, code, output = self.evaluate(alert)
                self.assertEqual(code, 0, output)

    def test_the_loss_of_a_window_is_noticed(self):
        # `(long and short) or (long and short)`.
        losses = {
            "the shorter pair": lambda text: re.sub(r"^.*? or ", "", text, flags=re.DOTALL),
            "the longer pair": lambda text: re.sub(r" or .*$", "", text, flags=re.DOTALL),
            "the short window of the shorter pair": lambda text: re.sub(r" and [^)]*\)", ")", text, count=1),
            "the short window of the longer pair": lambda text: re.sub(r" and [^)]*\)$", ")", text),
        }
        for alert in LANES:
            for part, change in losses.items():
                with self.subTest(alert, part=part):
                    is_changed, code, output = self.evaluate(alert, change)
                    self.assertTrue(is_changed, "the expression has another form than this test expects")
                    self.assertNotEqual(code, 0)
                    self.assertIn("exp", output)


class Summands(unittest.TestCase):
    def test_each_kind_of_failure_uses_up_the_budget(self):
        rules = only(test_alerts.needed("cellgate:sli_error:ratio_rate1h", test_alerts.groups()))
        asked = {
            "expr": 'count(cellgate:sli_error:ratio_rate1h{sli="availability"} > 0.009 < 0.011)',
            "eval_time": "90m",
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        tests = [
            {
                "name": name,
                "interval": "1m",
                "input_series": [{"series": key, "values": values} for key, values in [*GOOD, *STREAMS.get(name, []), failure]],
                "promql_expr_test": [asked],
            }
            for name, failure in SUMMANDS.items()
        ]
        code, output = check(rules, tests)
        self.assertEqual(code, 0, output)


if __name__ == "__main__":
    unittest.main()
