"""For each alert, series with which it fires, and similar ones with which it does not.

Each sample is a minute after the one before it, in promtool's notation: `0+5x30` is 0, 5, 10 … for 30 minutes.
"""

import chart

SERVICE = {"namespace": chart.NAMESPACE, "service": f"{chart.RELEASE}-ext-proc", "pod": "edge-0", "instance": "10.0.0.1:9902"}
PROXY = {"namespace": "istio-ingress", "pod": "gateway-0", "instance": "10.0.0.2:15020"}
RELEASE = {"release": f"{chart.NAMESPACE}/{chart.RELEASE}"}
FLAT = "100x40"
EXT = "envoy_http_ext_proc_cellgate_"
# Envoy has this for each attachment.
ATTACHED = f"envoy_extension_config_discovery_http_filter_{chart.RELEASE}_{chart.VALUES['filter']['attach'][0]['name']}_config_reload"
SHADOW = {"filter": {"shadow": True}, "routes": {"enabled": False}, "extProc": {"enabled": False}}


def series(name, values, **labels):
    """A series of the service."""
    return named(name, {**SERVICE, **labels}), values


def stat(name, values, **labels):
    """A series of a proxy."""
    return named(name, {**PROXY, **labels}), values


def cell(name, values, cell="cell-b"):
    """A series of a proxy about a cell, under the name that Istio gives its cluster."""
    return stat(name, values, cluster_name=f"outbound|8080||api.{cell}.svc.cluster.local")


def named(name, labels):
    inside = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{inside}}}"


def decisions(values, **labels):
    return series("cellgate_decisions_total", values, **{"tier": "service", "outcome": "cell", "reason": "slot", **labels})


def refusals(values, reason):
    return decisions(values, outcome="reject", reason=reason)


def checks(values, outcome, name="cellgate_rate_limit_checks_total"):
    return series(name, values, limit="per-tenant", outcome=outcome)


def settlements(values, outcome):
    return checks(values, outcome, "cellgate_settlements_total")


def leaving(values, **labels):
    return series("cellgate_syncs_total", values, **labels)


# What a target exports from its start: of the service, and of a proxy with the filter.
ALWAYS = {"service": ("cellgate_build_info", {"version": "1", "build": "a"}), "proxy": ("envoy_wasm_envoy_wasm_runtime_v8_created", {})}


def always(make, values):
    name, labels = ALWAYS["service" if make is series else "proxy"]
    return make(name, values, **labels)


def increased(name, make=series, **more):
    """The case of an alert on any increase: of a counter that stood still, and of one that appears with its first value. Its
    series' labels are those of the alert. test_increases.py has what is no increase."""
    own = SERVICE if make is series else PROXY
    return Case(
        fires=[make(name, "1x12 2x20", **more)],
        appears=[make(name, "_x12 500x20", **more), always(make, "1x40")],
        silent=[make(name, "7x40", **more), always(make, "1x40")],
        at="18m",
        labels={**own, **more},
    )


class Case:
    """`labels`: those of the alert, without its severity. `at`: when it is asked, for the series that must make it fire;
    the others are asked at the same time. `change`: values of the chart without which there is no such alert."""

    def __init__(self, fires, silent, at="20m", labels=None, appears=None, change=None):
        self.fires, self.silent, self.at = fires, silent, at
        self.labels = labels or {}
        self.appears, self.change = appears, change or {}


def burn(errors, all_requests, fast, slow, harmless, sli):
    """The two alerts on an error budget. Each rate is that of errors per minute among a thousand requests."""
    def at(rate):
        return [errors(f"0+{rate}x200"), *all_requests]

    labels = {**RELEASE, "sli": sli}
    # The slow alert would not page for nothing: it is silent with errors that the budget allows, and the fast one with
    # those that make the slow one fire.
    return Case(at(fast), at(slow), "75m", labels), Case(at(slow), at(harmless), "190m", labels)


AVAILABILITY = burn(lambda values: refusals(values, "overloaded"), [decisions("0+1000x200")], 30, 4, 0.5, "availability")
CORRECTNESS = burn(
    lambda values: stat("cellgate_decisions_reject_cell_mismatch", values), [stat("cellgate_decisions_cell_slot", "0+1000x200")], 3, 0.4, 0.05, "correctness"
)
# Errors are the decisions that are missing in the bucket.
LATENCY = burn(
    lambda values: series("cellgate_decision_seconds_bucket", f"0+{1000 - float(values[2:].partition('x')[0])}x200", le="0.25"),
    [series("cellgate_decision_seconds_count", "0+1000x200")],
    300,
    40,
    5,
    "latency",
)

CASES = {
    # test_service_down.py has those without the chart's ServiceMonitor.
    "CellgateServiceDown": Case(
        fires=[],
        silent=[series("cellgate_build_info", "1x40", version="1", build="a")],
        labels={"namespace": SERVICE["namespace"], "service": SERVICE["service"]},
    ),
    "CellgateOverloaded": Case(
        fires=[refusals("0+3x40", "overloaded")],
        # A few of them are no reason to wake somebody.
        silent=[refusals("0x10 4x40", "overloaded"), decisions("0+9x40")],
    ),
    "CellgateMemoryHigh": Case(
        fires=[series("cellgate_held_bytes", f"{450 * 2**20}x40")],
        appears=[series("cellgate_budget_waiting_streams", "2x40"), series("cellgate_held_bytes", "0x40")],
        silent=[series("cellgate_held_bytes", f"{400 * 2**20}x40"), series("cellgate_budget_waiting_streams", "0x40")],
    ),
    "CellgateDeadlineExceeded": Case(
        fires=[refusals("0+3x40", "deadline_exceeded")], silent=[refusals(FLAT, "deadline_exceeded"), decisions("0+9x40")]
    ),
    "CellgateRejecting": Case(
        fires=[refusals("0+20x40", "body_malformed"), decisions("0+80x40")],
        silent=[refusals("0+5x40", "body_malformed"), refusals("0+50x40", "rate_limited"), decisions("0+80x40")],
        at="35m",
    ),
    "CellgateConflicts": increased("cellgate_conflicts_total", reason="key_duplicated"),
    "CellgateProtocolErrors": increased("cellgate_protocol_errors_total"),
    "CellgateRateLimitRefusing": Case(
        fires=[checks("0+30x40", "refused"), checks("0+70x40", "within")],
        silent=[checks("0+10x40", "refused"), checks("0+90x40", "within")],
        at="35m",
        labels={"limit": "per-tenant"},
    ),
    "CellgateRateLimitWouldRefuse": Case(
        fires=[checks("0+2x40", "over"), checks("0+98x40", "within")],
        silent=[checks("0+1x40", "over"), checks("0+199x40", "within")],
        at="35m",
        labels={"limit": "per-tenant"},
    ),
    "CellgateConcurrencyRefusing": Case(
        fires=[checks("0+30x40", "refused", "cellgate_concurrency_checks_total"), checks("0+70x40", "within", "cellgate_concurrency_checks_total")],
        silent=[checks("0+10x40", "refused", "cellgate_concurrency_checks_total"), checks("0+90x40", "within", "cellgate_concurrency_checks_total")],
        at="35m",
        labels={"limit": "per-tenant"},
    ),
    "CellgateLeasesWithdrawn": Case(
        fires=[leaving("0+9x40", result="withdrawn"), leaving("0+1x40", result="open")],
        silent=[leaving("0+1x40", result="withdrawn"), leaving("0+9x40", result="open")],
        at="35m",
        labels=SERVICE,
    ),
    "CellgateRateLimitStoreDown": Case(
        fires=[series("cellgate_rate_limit_store_available", "1x5 0x20"), series("cellgate_rate_limit_store_available", "1x30", pod="edge-1")],
        silent=[series("cellgate_rate_limit_store_available", "1x5 0x1 1x20")],
    ),
    "CellgateRateLimitStoreSlow": Case(
        fires=[series("cellgate_rate_limit_store_failures_total", "0+3x40", cause="deadline"), series("cellgate_rate_limit_store_seconds_count", "0+100x40")],
        silent=[series("cellgate_rate_limit_store_failures_total", "0+90x40", cause="unavailable"), series("cellgate_rate_limit_store_seconds_count", "0+100x40")],
    ),
    "CellgateRateLimitKeysFull": increased("cellgate_rate_limit_overflow_charges_total"),
    "CellgateLimitsFailOpen": Case(
        fires=[checks("0+3x40", "unknown_admitted")],
        silent=[checks(FLAT, "unknown_admitted"), checks("0+3x40", "unknown_refused")],
        labels={"limit": "per-tenant"},
    ),
    "CellgateSettlementsLost": Case(
        fires=[settlements("0+1x40", "lost"), settlements("0+1x40", "dropped"), settlements("0+98x40", "refunded")],
        silent=[settlements("0+1x40", "lost"), settlements("0+90x40", "kept"), settlements("0+99x40", "refunded")],
        at="35m",
        labels={"limit": "per-tenant"},
    ),
    "CellgateSettlementsWithoutNumber": Case(
        fires=[settlements("0+95x70", "kept"), settlements("0+5x70", "refunded")],
        silent=[settlements("0+80x70", "kept"), settlements("0+20x70", "carried")],
        at="55m",
        labels={"limit": "per-tenant"},
    ),
    "CellgateConfigRefused": increased("cellgate_config_reloads_total", result="refused"),
    "CellgateConfigDiffers": Case(
        fires=[series("cellgate_config_info", "1x40", version="1"), series("cellgate_config_info", "1x40", version="2", pod="edge-1")],
        silent=[series("cellgate_config_info", "1x40", version="2"), series("cellgate_config_info", "1x40", version="2", pod="edge-1")],
    ),
    # Time 0 of promtool is the beginning of 1970: a certificate of 100 minutes has a fifth of its time left after 80.
    "CellgateCertificateExpiring": Case(
        fires=[
            series("cellgate_tls_certificate_start_timestamp_seconds", "0x100"),
            series("cellgate_tls_certificate_expiry_timestamp_seconds", "6000x100"),
        ],
        silent=[
            series("cellgate_tls_certificate_start_timestamp_seconds", "0x70 4200x100"),
            series("cellgate_tls_certificate_expiry_timestamp_seconds", "6000x70 10200x100"),
        ],
        at="90m",
        labels=SERVICE,
    ),
    "CellgateTlsFilesRefused": increased("cellgate_tls_reloads_total", result="refused"),
    "CellgateConnectionsRefused": increased("cellgate_tls_handshakes_total", result="plain_text"),
    "CellgateWorkersBusy": Case(
        fires=[series("cellgate_runtime_busy_seconds_total", "0+57x40", worker="0"), series("cellgate_runtime_busy_seconds_total", "0+1x40", worker="1")],
        silent=[series("cellgate_runtime_busy_seconds_total", "0+50x40", worker="0")],
    ),
    "CellgateFileDescriptorsHigh": Case(
        fires=[series("process_open_fds", "900x40"), series("process_max_fds", "1024x40")],
        silent=[series("process_open_fds", "700x40"), series("process_max_fds", "1024x40")],
    ),
    "CellgateRestarting": Case(
        fires=[series("process_start_time_seconds", "0x5 300x3 500x20")],
        silent=[series("process_start_time_seconds", "0x5 300x40")],
        at="14m",
        labels=SERVICE,
    ),
    "CellgateFilterConfigRejected": increased("cellgate_config_rejected", stat),
    "CellgateFilterCrashed": increased("envoy_wasm_cellgate_vm_reload_success", stat),
    "CellgateFilterDown": increased("envoy_wasm_cellgate_vm_reload_failure", stat),
    "CellgateFilterMissing": Case(
        fires=[stat(ATTACHED, "1x40"), stat("envoy_wasm_envoy_wasm_runtime_v8_active", "3x5 0x35")],
        # Of a proxy that has never had a virtual machine.
        appears=[stat(ATTACHED, "1x40")],
        silent=[stat(ATTACHED, "1x40"), stat("envoy_wasm_envoy_wasm_runtime_v8_active", "3x40")],
        labels=PROXY,
    ),
    "CellgateFilterConflicts": increased("cellgate_guard_conflicts", stat),
    "CellgateLeasesFailing": Case(
        fires=[stat("cellgate_sync_failures", "0+50x40"), stat("cellgate_syncs", "0+60x40")],
        # A proxy without the service's cluster makes no call at all.
        appears=[stat("cellgate_sync_failures", "0+50x40")],
        silent=[stat("cellgate_sync_failures", "0+20x40"), stat("cellgate_syncs", "0+60x40")],
        labels=PROXY,
    ),
    "CellgateSpoofedHeaders": Case(
        fires=[stat("cellgate_stripped_headers", "0+2x40")], silent=[stat("cellgate_stripped_headers", FLAT)], at="35m", labels=PROXY
    ),
    "CellgateFilterRejecting": Case(
        fires=[stat("cellgate_decisions_reject_key_missing", "0+20x40"), stat("cellgate_decisions_cell_slot", "0+80x40")],
        # With the stats tags of a bootstrap.
        appears=[
            stat("cellgate_decisions", "0+20x40", outcome="reject", reason="key_missing"),
            stat("cellgate_decisions", "0+80x40", outcome="cell", reason="slot"),
        ],
        silent=[stat("cellgate_decisions_reject_key_missing", "0+5x40"), stat("cellgate_decisions_cell_slot", "0+80x40")],
        at="38m",
    ),
    "CellgateDeferralsJump": Case(
        fires=[stat("cellgate_decisions_defer_body_too_large", "0+5x1470 7370+20x120"), stat("cellgate_decisions_cell_slot", "0+95x1590")],
        # The filter hands over every request under a rate limit: these are no deferrals.
        silent=[
            stat("cellgate_decisions_defer_body_too_large", "0+8x1590"),
            stat("cellgate_decisions_defer_limit_due", "0+1x1470 1550+80x120"),
            stat("cellgate_decisions_cell_slot", "0+92x1590"),
        ],
        at="1560m",
        labels=RELEASE,
    ),
    "CellgateDeferralsFailing": Case(
        fires=[stat(f"{EXT}streams_started", "0+100x40"), stat(f"{EXT}streams_failed", "0+4x40"), stat(f"{EXT}message_timeouts", "0+4x40")],
        # Without an endpoint, Envoy counts no stream as started.
        appears=[stat(f"{EXT}streams_failed", "_x5 3+3x40")],
        silent=[stat(f"{EXT}streams_started", "0+100x40"), stat(f"{EXT}streams_failed", "0+4x40"), stat(f"{EXT}message_timeouts", "0x40")],
    ),
    "CellgateFailOpen": Case(
        fires=[stat("cellgate_decisions_pass_key_missing", "0+2x40")],
        silent=[
            stat("cellgate_decisions_pass_excepted", "0+2x40"),
            stat("cellgate_decisions_reject_key_missing", "0+2x40"),
            decisions("0+2x40", outcome="pass", reason="host_excluded"),
        ],
        at="38m",
        labels={"outcome": "pass", "reason": "key_missing"},
    ),
    "CellgateShadow": Case(
        fires=[stat("cellgate_decisions_cell_slot", "0+2x1600")],
        silent=[stat("cellgate_decisions_cell_slot", "5x1600")],
        at="1560m",
        change=SHADOW,
    ),
    "CellgateCellEjected": Case(
        fires=[cell("envoy_cluster_outlier_detection_ejections_active", "0x5 1x30")],
        silent=[cell("envoy_cluster_outlier_detection_ejections_active", "0x5 1x1 0x30")],
        labels={**RELEASE, "cell": "cell-b"},
    ),
    "CellgateCellDown": Case(
        fires=[cell("envoy_cluster_membership_healthy", "2x5 0x30"), cell("envoy_cluster_membership_healthy", "2x40", "cell-a")],
        silent=[cell("envoy_cluster_membership_healthy", "2x5 1x30")],
        labels={**RELEASE, "cell": "cell-b"},
    ),
    "CellgateAvailabilityBurnsFast": AVAILABILITY[0],
    "CellgateAvailabilityBurnsSlow": AVAILABILITY[1],
    "CellgateCorrectnessBurnsFast": CORRECTNESS[0],
    "CellgateCorrectnessBurnsSlow": CORRECTNESS[1],
    "CellgateLatencyBurnsFast": LATENCY[0],
    "CellgateLatencyBurnsSlow": LATENCY[1],
}
