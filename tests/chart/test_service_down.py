"""CellgateServiceDown, with and without the chart's ServiceMonitor."""

import unittest

import alert_cases as cases
import chart
import matrix
import test_alerts
import test_objectives

LABELS = {"namespace": cases.SERVICE["namespace"], "service": cases.SERVICE["service"]}
OTHER = cases.stat("up", "1x12000")
BUILD = {"version": "1", "build": "a"}

# By lane: the series, when the alert is asked, and whether it fires without and with the ServiceMonitor.
LANES = {
    "nobody scrapes the service": ([OTHER], "60m", False, True),
    "it was there": ([OTHER, cases.series("cellgate_build_info", "1x20 stale", **BUILD)], "60m", True, True),
    "it has been down for two days": ([OTHER, cases.series("cellgate_build_info", "1x20 stale", **BUILD)], "2900m", True, True),
    "it was removed eight days ago": ([OTHER, cases.series("cellgate_build_info", "1x20 stale", **BUILD)], "11520m", False, True),
    "it is a target that never answered": ([cases.series("up", "0x100")], "60m", True, True),
    "it is there": ([cases.series("up", "1x100"), cases.series("cellgate_build_info", "1x100", **BUILD)], "60m", False, False),
}


class ServiceDown(unittest.TestCase):
    def test_each_lane(self):
        for monitored in (False, True):
            rendered = test_alerts.groups({"monitoring": {"serviceMonitor": {"enabled": monitored}}})
            rule = test_objectives.rule_of(rendered, "CellgateServiceDown")
            tests = [
                {
                    "name": lane,
                    "interval": "1m",
                    "input_series": [{"series": key, "values": values} for key, values in series],
                    "alert_rule_test": [
                        {
                            "eval_time": at,
                            "alertname": "CellgateServiceDown",
                            "exp_alerts": [test_alerts.expected(rule, LABELS)] if fires[monitored] else [],
                        }
                    ],
                }
                for lane, (series, at, *fires) in LANES.items()
            ]
            with self.subTest(monitored=monitored):
                code, output = test_objectives.check(test_alerts.needed("CellgateServiceDown", rendered), tests)
                self.assertEqual(code, 0, output)

    def test_the_rendering_of_the_other_tests_has_a_monitor(self):
        self.assertTrue(chart.render(matrix.CHANGES["monitoring"]).of("ServiceMonitor"))


if __name__ == "__main__":
    unittest.main()
