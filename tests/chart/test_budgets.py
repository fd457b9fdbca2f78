"""What uses up an error budget, and what does not. Each sample is a minute after the one before it."""

import unittest

import alert_cases as cases
import test_alerts
import test_objectives

STEADY = [cases.decisions("0+1000x100"), cases.always(cases.series, "1x100")]
FILTERED = [cases.stat("cellgate_decisions_cell_slot", "0+1000x100"), cases.always(cases.stat, "1x100")]
FAILURES = "envoy_http_ext_proc_cellgate_streams_failed"


def streams(values, prefix="cellgate_"):
    """The counters of an ext_proc filter whose calls fail: Cellgate's, or one without a `stat_prefix`."""
    name = f"envoy_http_ext_proc_{prefix}"
    return [cases.stat(f"{name}streams_started", values), cases.stat(f"{name}streams_failed", values), cases.stat(f"{name}message_timeouts", "0x100")]


# By lane: the series, and the objectives whose fast alert fires at the minute 64.
LANES = {
    "one failure among three requests in an hour": ([cases.decisions("0x20 1x20 2x60"), cases.refusals("0x59 1x41", "overloaded")], []),
    # The same share of the requests, and more of them.
    "ten failures among thirty": ([cases.decisions("0x20 10x20 20x60"), cases.refusals("0x59 10x41", "overloaded")], ["availability"]),
    "nine failures among thirty": ([cases.decisions("0x20 11x20 21x60"), cases.refusals("0x59 9x41", "overloaded")], []),
    "a counter of the service that begins with a burst": ([*STEADY, cases.refusals("_x60 3000x40", "overloaded")], ["availability"]),
    "a counter of the filter that begins with a burst": (
        [*FILTERED, cases.stat("cellgate_decisions_reject_cell_mismatch", "_x60 3000x40")],
        ["correctness"],
    ),
    "a target that begins with old failures": (
        [cases.decisions("_x60 500000+1000x40"), cases.refusals("_x60 3000x40", "overloaded"), cases.always(cases.series, "_x60 1x40")],
        [],
    ),
    "clients with two keys": (
        [*FILTERED, cases.stat("cellgate_guard_conflicts", "0+2x100"), cases.series("cellgate_conflicts_total", "0+2x100", reason="key_duplicated")],
        [],
    ),
    "requests in the wrong cell": ([*FILTERED, cases.stat("cellgate_decisions_reject_cell_mismatch", "0+2x100")], ["correctness"]),
    "requests in the wrong cell, by the tags of a bootstrap": (
        [
            cases.stat("cellgate_decisions", "0+1000x100", outcome="cell", reason="slot"),
            cases.stat("cellgate_decisions", "0+2x100", outcome="reject", reason="cell_mismatch"),
        ],
        ["correctness"],
    ),
    "calls of the service that fail": ([*FILTERED, *streams("0+40x100")], ["availability"]),
    "calls of another team's service that fail": ([*FILTERED, *streams("0+40x100", prefix="")], []),
    # Envoy does not export a counter of 0 to a scrape of used ones.
    "a counter of failed calls that begins with a burst": (
        [*FILTERED, cases.stat("envoy_http_ext_proc_cellgate_streams_started", "1+40x100"), cases.stat(FAILURES, "_x60 3000x40")],
        ["availability"],
    ),
}


class Alerts(unittest.TestCase):
    def test_each_lane(self):
        rendered = test_alerts.groups()
        for sli in ("availability", "correctness"):
            alert = f"Cellgate{sli.title()}BurnsFast"
            rule = test_objectives.rule_of(rendered, alert)
            found = [test_alerts.expected(rule, {**cases.RELEASE, "sli": sli})]
            tests = [
                {
                    "name": f"{lane}: {sli}",
                    "interval": "1m",
                    "input_series": [{"series": key, "values": values} for key, values in series],
                    "alert_rule_test": [{"eval_time": "64m", "alertname": alert, "exp_alerts": found if sli in burning else []}],
                }
                for lane, (series, burning) in LANES.items()
            ]
            with self.subTest(sli):
                code, output = test_objectives.check(test_objectives.only(test_alerts.needed(alert, rendered), sli), tests)
                self.assertEqual(code, 0, output)


class Budget(unittest.TestCase):
    """The budget is one failure in a thousand requests."""

    def left(self, series):
        """promtool's exit code and output for a budget of which half is left after 100 minutes."""
        asked = {
            "expr": 'count(cellgate:sli_error_budget_left:ratio{sli="availability"} > 0.49 < 0.51)',
            "eval_time": "100m",
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        test = {"interval": "1m", "input_series": [{"series": key, "values": values} for key, values in series], "promql_expr_test": [asked]}
        rules = test_objectives.only(test_alerts.needed("cellgate:sli_error_budget_left:ratio", test_alerts.groups()))
        return test_objectives.check(rules, [test], "1m")

    def test_each_request_counts_the_same(self):
        """Ten requests a minute at night, of which one fails, and 10,000 by day: 40 failures among 80,000 requests."""
        night, day = "0+10x39 400x60", "0x39 0+10000x8 80000x52"
        code, output = self.left([cases.decisions(night), cases.decisions(day, reason="override"), cases.refusals("0+1x39 40x60", "overloaded")])
        self.assertEqual(code, 0, output)

    def test_a_rate_that_is_averaged_over_time_would_be_noticed(self):
        """The same failures and requests, without the night."""
        code, output = self.left([cases.decisions("0+10x100"), cases.refusals("0+1x39 40x60", "overloaded")])
        self.assertNotEqual(code, 0)
        self.assertIn("got: nil", output)


if __name__ == "__main__":
    unittest.main()
