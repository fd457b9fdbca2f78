#!/usr/bin/env python3
"""Writes the dashboards for Grafana: charts/cellgate/dashboards/*.json.

    dashboards.py [--check]     --check writes nothing and fails if one of them is not current

A dashboard is a list of rows, and a row is a list of panels, each with its PromQL expressions. ZERO draws zero for a counter
that has counted nothing yet, because such a series does not exist.
"""

import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "charts" / "cellgate" / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# The schema of Grafana 11. Newer versions migrate it.
SCHEMA = 39
COLUMNS = 24
HEIGHT = 8

# Without `on ()`, it would be one more series beside those that have labels.
ZERO = "or on () vector(0)"

# Selectors: the release's service, and what its rules have recorded.
AT = 'namespace="$namespace",service="$service"'
RELEASE = 'release="$namespace/$release"'
INFO = "cellgate:release:info"
FILTER = f"cellgate:filter_decisions:total{{{RELEASE}"


def rate(series, by="", labels=AT):
    """The rate per second of a counter of the service, 0 if it has counted nothing."""
    group = f" by ({by})" if by else ""
    return f"sum{group} (rate({series}{{{labels}}}[$__rate_interval])) {ZERO}"


def quantile(share, histogram):
    inner = f"sum by (le) (rate({histogram}_bucket{{{AT}}}[$__rate_interval]))"
    # Without observations, a quantile is not a number.
    return f"(histogram_quantile({share}, {inner}) >= 0) {ZERO}"


def quantiles(histogram):
    return [(quantile(share, histogram), f"p{int(share * 100)}") for share in (0.5, 0.9, 0.99)]


def panel(title, expressions, unit="short", kind="timeseries", about="", width=8, most=None):
    """`expressions`: one, or pairs of an expression and its legend."""
    if isinstance(expressions, str):
        expressions = [(expressions, "__auto")]
    return {
        "title": title,
        "description": about,
        "kind": kind,
        "unit": unit,
        "width": width,
        "max": most,
        "targets": expressions,
    }


def cells(name):
    return [(f"{name}{{{RELEASE}}}", "{{cell}}")]


OVERVIEW = [
    (
        "Objectives",
        [
            panel(
                "Error budget left (30 days)",
                [(f"cellgate:sli_error_budget_left:ratio{{{RELEASE}}}", "{{sli}}")],
                "percentunit",
                "stat",
                "1 is an untouched budget. Below 0 the objective of monitoring.slo is missed.",
            ),
            panel(
                "Burn rate (1 hour)",
                [(f"cellgate:sli_error:ratio_rate1h{{{RELEASE}}} / on (release, sli) group_left () max by (release, sli) (cellgate:sli_error_budget:ratio{{{RELEASE}}})", "{{sli}}")],
                about="1 uses up the budget in 30 days. Above 14.4 the fast alerts fire.",
            ),
            panel(
                "Alerts",
                [('count by (alertname) (ALERTS{alertname=~"Cellgate.+",alertstate="firing"}) ' + ZERO, "{{alertname}}")],
                kind="stat",
                about="Firing alerts of Cellgate, of all releases.",
            ),
        ],
    ),
    (
        "Decisions",
        [
            panel("Filter: decisions by outcome", [(f"sum by (outcome) (rate({FILTER}}}[$__rate_interval]))", "{{outcome}}")], "reqps"),
            panel("Filter: decisions by reason", [(f"topk(10, sum by (reason) (rate({FILTER}}}[$__rate_interval])))", "{{reason}}")], "reqps"),
            panel(
                "Filter: refusals by reason",
                [(f'sum by (reason) (rate({FILTER},outcome="reject"}}[$__rate_interval])) {ZERO}', "{{reason}}")],
                "reqps",
            ),
            panel("Service: decisions by outcome", [(rate("cellgate_decisions_total", "outcome"), "{{outcome}}")], "reqps"),
            panel(
                "Service: refusals by reason",
                [(rate("cellgate_decisions_total", "reason", f'{AT},outcome="reject"'), "{{reason}}")],
                "reqps",
            ),
            panel(
                "Deferred to the service",
                [(f"cellgate:deferrals:ratio_rate30m{{{RELEASE}}}", "share of 30 minutes")],
                "percentunit",
                about="Without the requests that only a rate limit hands over.",
            ),
        ],
    ),
    (
        "Cells",
        [
            panel("Requests", cells("cellgate:cell_requests:rate5m"), "reqps"),
            panel(
                "Share of answers with 5xx",
                [(f"cellgate:cell_errors:rate5m{{{RELEASE}}} / (cellgate:cell_requests:rate5m{{{RELEASE}}} > 0) or 0 * cellgate:cell_requests:rate5m{{{RELEASE}}}", "{{cell}}")],
                "percentunit",
            ),
            panel("Time to the end of the answer, p99", [(f"(cellgate:cell_p99_seconds:rate5m{{{RELEASE}}} >= 0) or 0 * cellgate:cell_requests:rate5m{{{RELEASE}}}", "{{cell}}")], "s"),
            panel("Service: decisions by cell", [(rate("cellgate_cell_decisions_total", "cell"), "{{cell}}")], "reqps"),
            panel("Healthy endpoints", cells("cellgate:cell_endpoints:healthy")),
            panel("Ejected endpoints", cells("cellgate:cell_endpoints:ejected")),
        ],
    ),
    (
        "Signals",
        [
            panel(
                "Routing headers of clients, removed",
                f"sum (rate(cellgate_stripped_headers[$__rate_interval])) {ZERO}",
                "reqps",
                about="Clients that try to choose their cell. The header has no effect.",
            ),
            panel(
                "Requests aborted after their release",
                [(f"sum (rate(cellgate_guard_conflicts[$__rate_interval])) {ZERO}", "filter"), (rate("cellgate_conflicts_total"), "service")],
                "reqps",
            ),
            panel("Requests that ended undecided", f"sum (rate(cellgate_abandoned[$__rate_interval])) {ZERO}", "reqps"),
        ],
    ),
]

LIMITS = [
    (
        "Rate limits",
        [
            panel("Checks by limit and result", [(rate("cellgate_rate_limit_checks_total", "limit, outcome"), "{{limit}} {{outcome}}")], "reqps"),
            panel(
                "Refused share by limit",
                [
                    (
                        f'sum by (limit) (rate(cellgate_rate_limit_checks_total{{{AT},outcome="refused"}}[$__rate_interval])) / (sum by (limit) (rate(cellgate_rate_limit_checks_total{{{AT}}}[$__rate_interval])) > 0) {ZERO}',
                        "{{limit}}",
                    )
                ],
                "percentunit",
                about="Which tenants they are is in the access log only: no label has a key.",
            ),
            panel(
                "Answers by who judged",
                [(rate("cellgate_rate_limit_answers_total", "by"), "{{by}}")],
                "reqps",
                about="`local`, `allowed` and `denied`: the shared store does not answer.",
            ),
            panel(
                "Keys in use",
                [(f"max by (pod, instance) (cellgate_rate_limit_keys{{{AT}}})", "{{pod}}"), (rate("cellgate_rate_limit_evictions_total"), "evictions per second")],
            ),
            panel("Charges of keys without a place", rate("cellgate_rate_limit_overflow_charges_total"), "reqps"),
            panel("Calls of RateLimitService", [(rate("cellgate_rate_limit_calls_total", "outcome"), "{{outcome}}")], "reqps"),
        ],
    ),
    (
        "Concurrency and settlement",
        [
            panel("In flight by limit", [(f"sum by (limit) (cellgate_concurrency_in_flight{{{AT}}}) {ZERO}", "{{limit}}")]),
            panel("Checks by limit and result", [(rate("cellgate_concurrency_checks_total", "limit, outcome"), "{{limit}} {{outcome}}")], "reqps"),
            panel(
                "Settlements",
                [
                    (rate("cellgate_settlements_total", "limit, outcome"), "{{limit}} {{outcome}}"),
                    (rate("cellgate_settlement_refunded_units_total"), "units refunded"),
                    (rate("cellgate_settlement_carried_units_total"), "units carried"),
                ],
            ),
        ],
    ),
    (
        "The shared store",
        [
            panel("Available", [(f"min by (pod, instance) (cellgate_rate_limit_store_available{{{AT}}})", "{{pod}}")], most=1),
            panel("Waiting time", quantiles("cellgate_rate_limit_store_seconds"), "s"),
            panel(
                "Failures by cause",
                [
                    (rate("cellgate_rate_limit_store_failures_total", "cause"), "{{cause}}"),
                    (rate("cellgate_rate_limit_store_switches_total", "to"), "became {{to}}"),
                ],
                "reqps",
            ),
            panel(
                "Units carried over and refunds lost",
                [(rate("cellgate_rate_limit_carried_units_total"), "carried"), (rate("cellgate_rate_limit_lost_refunds_total"), "lost")],
                width=24,
            ),
        ],
    ),
    (
        "Leases",
        [
            panel("Units that filters hold", [(f"sum by (limit) (cellgate_lease_outstanding_units{{{AT}}})", "{{limit}}")]),
            panel(
                "Units granted, refunded and lost",
                [
                    (rate("cellgate_lease_granted_units_total"), "granted"),
                    (rate("cellgate_lease_refunded_units_total"), "refunded"),
                    (rate("cellgate_lease_lost_units_total", "cause"), "lost: {{cause}}"),
                ],
            ),
            panel(
                "Requests with and without leased units",
                [
                    (f"sum (rate(cellgate_leases_spent[$__rate_interval])) {ZERO}", "spent in the filter"),
                    (f"sum (rate(cellgate_leases_missed[$__rate_interval])) {ZERO}", "left to the service"),
                ],
                "reqps",
            ),
            panel("Sync calls by result", [(rate("cellgate_syncs_total", "result"), "{{result}}")], "reqps"),
            panel("Sync calls: time", quantiles("cellgate_sync_seconds"), "s"),
            panel(
                "Sessions and keys",
                [(f"sum (cellgate_lease_sessions{{{AT}}})", "sessions"), (f"sum (cellgate_lease_keys{{{AT}}})", "keys")],
            ),
        ],
    ),
]

SERVICE = [
    (
        "Requests",
        [
            panel(
                "Time to the decision",
                quantiles("cellgate_decision_seconds"),
                "s",
                about="From the first message to the decision, with the arrival of the body up to the key.",
            ),
            panel("Open streams", [(f"sum by (pod, instance) (cellgate_streams_open{{{AT}}})", "{{pod}}")]),
            panel("Bytes scanned", rate("cellgate_inspected_bytes_total"), "Bps"),
            panel("Requests aborted after their decision", [(rate("cellgate_conflicts_total", "reason"), "{{reason}}")], "reqps"),
            panel("Streams ended with an error", rate("cellgate_protocol_errors_total"), "reqps"),
            panel("TLS handshakes by result", [(rate("cellgate_tls_handshakes_total", "result"), "{{result}}")], "reqps"),
        ],
    ),
    (
        "Byte budget",
        [
            panel("In use", [(f"max by (pod, instance) (cellgate_held_bytes{{{AT}}})", "{{pod}}")], "bytes"),
            panel("Streams that wait", [(f"max by (pod, instance) (cellgate_budget_waiting_streams{{{AT}}})", "{{pod}}")]),
            panel("Time of a wait", quantiles("cellgate_budget_wait_seconds"), "s"),
        ],
    ),
    (
        "Process",
        [
            panel("CPU", [(f"sum by (pod, instance) (rate(process_cpu_seconds_total{{{AT}}}[$__rate_interval]))", "{{pod}}")], about="In cores."),
            panel("Resident memory", [(f"max by (pod, instance) (process_resident_memory_bytes{{{AT}}})", "{{pod}}")], "bytes"),
            panel(
                "File descriptors and threads",
                [
                    (f"max (process_open_fds{{{AT}}})", "open descriptors"),
                    (f"max (process_max_fds{{{AT}}})", "limit of descriptors"),
                    (f"max (process_threads{{{AT}}})", "threads"),
                ],
            ),
            panel(
                "Busy workers",
                [(f"max by (pod, instance, worker) (rate(cellgate_runtime_busy_seconds_total{{{AT}}}[$__rate_interval]))", "{{pod}} {{worker}}")],
                "percentunit",
                most=1,
            ),
            panel(
                "Tasks",
                [
                    (f"sum (cellgate_runtime_alive_tasks{{{AT}}})", "alive"),
                    (f"sum (cellgate_runtime_queued_tasks{{{AT}}})", "waiting for a worker"),
                ],
            ),
            panel("Running since", [(f"time() - max by (pod, instance) (process_start_time_seconds{{{AT}}})", "{{pod}}")], "s"),
        ],
    ),
    (
        "Configuration",
        [
            panel("Versions in force", [(f"count by (version) (cellgate_config_info{{{AT}}})", "{{version}}")]),
            panel(
                "Changes of the configuration",
                # A sum and no rate: Prometheus does not see the first increase of a series that begins with it.
                [(f"sum by (result) (cellgate_config_reloads_total{{{AT}}}) {ZERO}", "{{result}}")],
                about="Since the start of each replica.",
            ),
            panel(
                "Changes of the TLS files, and the certificate's end",
                [
                    (f"sum by (result) (cellgate_tls_reloads_total{{{AT}}}) {ZERO}", "changes: {{result}}"),
                    (f"min (cellgate_tls_certificate_expiry_timestamp_seconds{{{AT}}}) - time() {ZERO}", "seconds left"),
                ],
            ),
        ],
    ),
]

DASHBOARDS = {
    "cellgate-overview": ("Cellgate: overview", OVERVIEW),
    "cellgate-limits": ("Cellgate: tenant fairness and limits", LIMITS),
    "cellgate-service": ("Cellgate: service internals", SERVICE),
}


def variable(name, label, query, regex=""):
    """A variable with the values of a label."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"qryType": 1, "query": query, "refId": name},
        "definition": query,
        "regex": regex,
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "current": {},
    }


VARIABLES = [
    {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "regex": "",
        "refresh": 1,
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "current": {},
    },
    # The rules record this series without the service, without the filter, and without objectives.
    variable("namespace", "Namespace", f"label_values({INFO}, namespace)"),
    variable("service", "Service", f'label_values({INFO}{{namespace="$namespace"}}, service)'),
    # The recorded series have NAMESPACE/RELEASE.
    variable("release", "Release", f'label_values({INFO}{{namespace="$namespace",service="$service"}}, release)', "/^[^\\/]+\\/(.*)$/"),
]


def target(index, expression, legend):
    return {
        "datasource": SOURCE,
        "editorMode": "code",
        "expr": expression,
        "legendFormat": legend,
        "range": True,
        "refId": chr(ord("A") + index),
    }


def visual(kind):
    """The options of a kind of panel."""
    if kind == "stat":
        return {
            "colorMode": "value",
            "graphMode": "area",
            "justifyMode": "auto",
            "orientation": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "auto",
        }
    return {"legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True}, "tooltip": {"mode": "multi", "sort": "desc"}}


def drawn(number, wanted, x, y):
    """A panel in the form of Grafana."""
    defaults = {"unit": wanted["unit"], "color": {"mode": "palette-classic"}, "mappings": [], "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": None}]}}
    if wanted["kind"] == "timeseries":
        defaults["min"] = 0
        defaults["custom"] = {"drawStyle": "line", "fillOpacity": 10, "lineWidth": 1, "showPoints": "never", "spanNulls": False}
    if wanted["max"] is not None:
        defaults["max"] = wanted["max"]
    return {
        "id": number,
        "type": wanted["kind"],
        "title": wanted["title"],
        "description": wanted["description"],
        "datasource": SOURCE,
        "gridPos": {"h": HEIGHT, "w": wanted["width"], "x": x, "y": y},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": visual(wanted["kind"]),
        "targets": [target(index, *pair) for index, pair in enumerate(wanted["targets"])],
    }


def layout(rows):
    """All panels with their places: a row's panels from left to right, in as many lines as they need."""
    panels, y = [], 0
    for title, row in rows:
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y}})
        x, y = 0, y + 1
        for wanted in row:
            if x + wanted["width"] > COLUMNS:
                x, y = 0, y + HEIGHT
            panels.append(drawn(len(panels) + 1, wanted, x, y))
            x += wanted["width"]
        y += HEIGHT
    return panels


def dashboard(uid, title, rows):
    links = [{"title": "Cellgate", "type": "dashboards", "tags": ["cellgate"], "asDropdown": True, "includeVars": True, "keepTime": True}]
    return {
        "uid": uid,
        "title": title,
        "tags": ["cellgate"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "annotations": {"list": []},
        "links": links,
        "templating": {"list": VARIABLES},
        "panels": layout(rows),
    }


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    stale = []
    for uid, (title, rows) in DASHBOARDS.items():
        path = FOLDER / f"{uid}.json"
        text = json.dumps(dashboard(uid, title, rows), indent=1, ensure_ascii=False) + "\n"
        if check:
            if not path.exists() or path.read_text() != text:
                stale.append(str(path.relative_to(FOLDER.parents[2])))
        else:
            FOLDER.mkdir(exist_ok=True)
            path.write_text(text)
    if stale:
        sys.exit(f"not current: {', '.join(stale)}; run `make generate`")


if __name__ == "__main__":
    main()
