"""An alert on any increase of a counter fires for an increase, and for nothing that only looks like one.

Each sample is a minute after the one before it; `stale` is what Prometheus
writes when a scrape fails or lacks the series, and `_` is no sample. `7x30` are 31 samples, `_x30` are 30.
"""

import unittest

import alert_cases as cases
import test_alerts
import test_objectives

# One alert of each kind of target, with the counter that it watches.
COUNTERS = {
    "CellgateConflicts": (cases.series, "cellgate_conflicts_total", {"reason": "key_duplicated"}),
    "CellgateFilterConflicts": (cases.stat, "cellgate_guard_conflicts", {}),
}
# The age of a process of each target, from a time at which it started.
STARTED = {
    cases.series: lambda values: cases.series("process_start_time_seconds", values),
    cases.stat: lambda values: cases.stat("envoy_server_uptime", values),
}
# Prometheus' own time 0 is the beginning of 1970: a process that started before it has a negative time.
OLD = {cases.series: "-9000x80", cases.stat: "9000+60x80"}
# Started in the minute 30.
NEW = {cases.series: "_x30 1790x50", cases.stat: "_x30 10+60x50"}

# By lane: the counter, the series that the target always has, the age of the target, and the minutes at which the alert
# fires and does not.
LANES = {
    "an old value that stands still": ("7x80", "1x80", OLD, [], [1, 5, 15, 60]),
    "an increase": ("7x30 8x50", "1x80", OLD, [31, 38], [29, 42]),
    "a counter that appears with a burst": ("_x30 500x50", "1x80", OLD, [30, 38], [29, 42]),
    "a counter that appears with 0": ("_x30 0x50", "1x80", OLD, [], [29, 31, 38, 42]),
    "one scrape fails": ("7x30 stale 7x49", "1x30 stale 1x49", OLD, [], [29, 30, 31, 35, 39, 40, 41, 42, 50]),
    "no scrape for an hour": ("7x5 stale _x59 7x14", "1x5 stale _x59 1x14", OLD, [], [4, 66, 70, 75, 77]),
    # It has all series from its first scrape, however old they are.
    "a young Prometheus": ("_x30 500x50", "_x30 1x50", OLD, [], [31, 35, 41, 50]),
    "a young Prometheus, then a counter that appears": ("_x35 500x45", "_x30 1x50", OLD, [36, 43], [34, 47]),
    "a process that restarts at the same address": ("9x30 stale 2x49", "1x30 stale 1x49", OLD, [32, 38], [29, 43]),
    "a process that restarts, and counts an hour later": ("9x5 stale _x59 1x14", "1x80", OLD, [66, 70], [4, 20, 60, 78]),
    "a new pod that has counted before its first scrape": ("_x30 3x50", "_x30 1x50", NEW, [31, 38], [42]),
    "a new pod that has counted nothing": ("_x30 0x50", "_x30 1x50", NEW, [], [31, 38, 42]),
}


class Increases(unittest.TestCase):
    def test_each_lane(self):
        rendered = test_alerts.groups()
        for alert, (make, name, labels) in COUNTERS.items():
            rule = test_objectives.rule_of(rendered, alert)
            own = cases.SERVICE if make is cases.series else cases.PROXY
            found = [test_alerts.expected(rule, {**own, **labels})]
            tests = [
                {
                    "name": f"{alert}: {lane}",
                    "interval": "1m",
                    "input_series": [
                        {"series": key, "values": values}
                        for key, values in [make(name, counter, **labels), cases.always(make, always), STARTED[make](age[make])]
                    ],
                    "alert_rule_test": [
                        {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": found if minute in fires else []}
                        for minute in sorted([*fires, *silent])
                    ],
                }
                for lane, (counter, always, age, fires, silent) in LANES.items()
            ]
            with self.subTest(alert):
                code, output = test_objectives.check(test_alerts.needed(alert, rendered), tests, "1m")
                self.assertEqual(code, 0, output)


if __name__ == "__main__":
    unittest.main()
