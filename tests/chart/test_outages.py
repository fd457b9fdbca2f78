"""An outage has an alert, and what only looks like one has none. Each sample is a minute after the one before it."""

import json
import re
import unittest

import alert_cases as cases
import chart
import test_alerts
import test_objectives

AVAILABILITY = "CellgateAvailabilityBurnsFast"
V8 = "envoy_wasm_envoy_wasm_runtime_v8_created"
RUNNING = cases.always(cases.stat, "1x600")
MATURE = cases.stat("cellgate_decisions_cell_slot", "0+1000x600")


def streams(started, failed, timeouts="0x600", **labels):
    names = {"streams_started": started, "streams_failed": failed, "message_timeouts": timeouts}
    return [cases.stat(f"{cases.EXT}{name}", values, **labels) for name, values in names.items()]


def relabelled(name, before, after, make=cases.stat, **labels):
    """One series of a pod whose labels change in the minute 201, as a rollout tool does with the role of a pod."""
    return [make(name, f"{before} stale", role="canary", **labels), make(name, f"_x201 {after}", role="stable", **labels)]


# By lane: the series, the times at which the alert is asked, and whether it must fire at each.
AVAILABILITY_LANES = {
    # A proxy that finds no endpoint fails the stream before it counts it as started. Envoy's own output of such a proxy has
    # streams_failed alone under `?usedonly`.
    "no endpoint, in a scrape of used statistics": ([MATURE, RUNNING, cases.stat(f"{cases.EXT}streams_failed", "_x60 200+200x540")], ["120m"], True),
    # Requests of hosts that Cellgate passes on count as good ones.
    "every request of Cellgate's hosts fails, among others of hosts out of scope": (
        [cases.stat("cellgate_decisions_pass_host_excluded", "0+60000x600"), cases.stat("cellgate_decisions_defer_body_too_large", "0+60x600"), RUNNING]
        + streams("0+60x600", "0x300 60+60x300"),
        ["310m", "360m", "590m"],
        True,
    ),
    "a listener is removed, with old failures of another one": (
        [MATURE, RUNNING]
        + streams("500000x600", "5000x600", http_conn_manager_prefix="outbound_0.0.0.0_8443")
        + streams("100x200 stale", "10x200 stale", "0x200 stale", http_conn_manager_prefix="outbound_0.0.0.0_8080"),
        ["203m", "206m", "210m"],
        False,
    ),
    "two clusters have a pod with the same address, and one pod ends": (
        [cases.stat("cellgate_decisions_cell_slot", f"100000+60x{ends}", cluster=name) for name, ends in (("a", "600"), ("b", "200 stale"))]
        + [cases.stat("cellgate_decisions_reject_body_unread", f"5000x{ends}", cluster=name) for name, ends in (("a", "600"), ("b", "200 stale"))]
        + [cases.stat(V8, f"1x{ends}", cluster=name) for name, ends in (("a", "600"), ("b", "200 stale"))],
        ["205m", "210m"],
        False,
    ),
}

# Alerts on any increase: the counter, and what its target always has.
RELABELLED = {
    "CellgateConfigRefused": (
        relabelled("cellgate_config_reloads_total", "7x200", "7x100", cases.series, result="refused")
        + relabelled("cellgate_build_info", "1x200", "1x100", cases.series)
        + relabelled("process_start_time_seconds", "-9000x200", "-9000x100", cases.series)
    ),
    "CellgateFilterConfigRejected": (
        relabelled("cellgate_config_rejected", "7x200", "7x100")
        + relabelled(V8, "1x200", "1x100")
        + relabelled("envoy_server_uptime", "90000x200", "90000x100")
    ),
}


def fired(alert, series, times, change=None):
    """The times at which an alert fires."""
    rendered = test_alerts.groups(change)
    test = {
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series],
        "alert_rule_test": [{"eval_time": time, "alertname": alert, "exp_alerts": []} for time in times],
    }
    sli = (re.search("Availability|Correctness", alert) or ["Availability"])[0].lower()
    rules = test_alerts.needed(alert, rendered)
    _, output = test_objectives.check(test_objectives.only(rules, sli) if "Burns" in alert else rules, [test], "1m")
    return len(re.findall(r"alertname: .*, time: ", output))


class Outages(unittest.TestCase):
    def test_availability(self):
        for lane, (series, times, fires) in AVAILABILITY_LANES.items():
            with self.subTest(lane):
                self.assertEqual(fired(AVAILABILITY, series, times), len(times) if fires else 0)

    def test_a_service_that_answers_nothing_is_noticed_if_few_requests_need_it(self):
        """1 % of the requests: the availability takes longer."""
        series = [cases.stat("cellgate_decisions_cell_slot", "0+59400x400"), cases.stat("cellgate_decisions_defer_body_too_large", "0+600x400"), RUNNING]
        series += streams("0+600x400", "0x300 600+600x100")
        self.assertEqual(fired(AVAILABILITY, series, ["320m"]), 0)
        self.assertEqual(fired("CellgateDeferralsFailing", series, ["299m"]), 0)
        self.assertEqual(fired("CellgateDeferralsFailing", series, ["312m", "320m"]), 2)

    def test_an_outage_of_two_days_without_a_monitor(self):
        series = [cases.stat("up", "1x3000"), cases.series("cellgate_build_info", "1x20 stale")]
        change = {"monitoring": {"serviceMonitor": {"enabled": False}}}
        self.assertEqual(fired("CellgateServiceDown", series, ["60m", "1600m"], change), 2)


class FalsePages(unittest.TestCase):
    def test_labels_of_a_target_that_change_are_no_increase(self):
        for alert, series in RELABELLED.items():
            with self.subTest(alert):
                self.assertEqual(fired(alert, series, ["203m", "206m", "209m"]), 0)

    def cell_down(self, *proxies):
        series = []
        for namespace, pod, values in proxies:
            labels = {"namespace": namespace, "pod": pod, "instance": pod, "cluster_name": "outbound|8080||api.cell-b.svc.cluster.local"}
            series.append((cases.named("envoy_cluster_membership_healthy", labels), values))
        return fired("CellgateCellDown", series, ["10m"])

    def test_one_proxy_without_endpoints_is_no_cell_that_is_down(self):
        gateways = [("istio-ingress", f"gateway-{number}", "3x30") for number in range(2)]
        self.assertEqual(self.cell_down(*gateways, ("istio-ingress", "gateway-2", "0x30")), 0)
        self.assertEqual(self.cell_down(*gateways, ("shop", "sidecar-0", "0x30")), 0)

    def test_all_gateways_without_endpoints_are_an_outage_of_the_cell(self):
        gateways = [("istio-ingress", f"gateway-{number}", "0x30") for number in range(2)]
        sidecars = [("shop", f"sidecar-{number}", "3x30") for number in range(20)]
        self.assertEqual(self.cell_down(*gateways, *sidecars), 1)
        self.assertEqual(self.cell_down(*gateways), 1)

    def test_shadow_mode_burns_no_budget(self):
        series = [MATURE, RUNNING, cases.stat("cellgate_decisions_reject_cell_mismatch", "0+20x600")]
        self.assertEqual(fired("CellgateCorrectnessBurnsFast", series, ["64m"], cases.SHADOW), 0)


class Panels(unittest.TestCase):
    def test_two_clusters_in_one_prometheus(self):
        """Recorded series of two clusters differ in a label that the rules do not know."""
        board = json.loads((chart.CHART / "dashboards" / "cellgate-overview.json").read_text())
        (panel,) = [panel for panel in board["panels"] if panel["title"].startswith("Burn rate")]
        names = ("cellgate:sli_error:ratio_rate1h", "cellgate:sli_error_budget:ratio")
        labels = {**cases.RELEASE, "sli": "availability"}
        series = [cases.named(name, {**labels, "cluster": cluster}) for name in names for cluster in ("a", "b")]
        expression = panel["targets"][0]["expr"].replace("$namespace/$release", cases.RELEASE["release"])
        test = {
            "interval": "1m",
            "input_series": [{"series": key, "values": "0.001x10"} for key in series],
            "promql_expr_test": [{"expr": expression, "eval_time": "5m", "exp_samples": []}],
        }
        self.assertNotIn("many-to-many", test_objectives.check([], [test])[1])


if __name__ == "__main__":
    unittest.main()
