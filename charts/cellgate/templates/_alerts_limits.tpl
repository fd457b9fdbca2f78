{{/* Alerts on rate limits, concurrency limits, leases and their store. */}}
{{- define "cellgate.alerts.limits" -}}
{{- $runbook := include "cellgate.alerts.runbook" . -}}
{{- $at := include "cellgate.alerts.service" . -}}
# The service has this metric only with config.rate_limits.
- alert: CellgateRateLimitRefusing
  expr: >-
    sum by (limit) (rate(cellgate_rate_limit_checks_total{ {{- $at }},outcome="refused"}[15m]))
    / sum by (limit) (rate(cellgate_rate_limit_checks_total{ {{- $at -}} }[15m])) > 0.2
  for: 15m
  labels: { severity: warning }
  annotations:
    summary: A rate limit refuses more than a fifth of its requests.
    description: >-
      The label `limit` has its name. If one client sends most of the refused requests, the limit does its work. If many do,
      it is too small for the traffic. The access log has the clients (cellgate:reason is rate_limited).
    {{ $runbook }}/CellgateRateLimitRefusing.md
- alert: CellgateRateLimitWouldRefuse
  expr: >-
    sum by (limit) (rate(cellgate_rate_limit_checks_total{ {{- $at }},outcome="over"}[15m]))
    / sum by (limit) (rate(cellgate_rate_limit_checks_total{ {{- $at -}} }[15m])) > 0.01
  for: 15m
  labels: { severity: info }
  annotations:
    summary: A rate limit that only measures would refuse more than 1% of its requests.
    description: The label `limit` has its name. Find out which clients are over it before you remove its field `shadow`, or raise it.
    {{ $runbook }}/CellgateRateLimitWouldRefuse.md
# The service has this metric only with config.concurrency_limits.
- alert: CellgateConcurrencyRefusing
  expr: >-
    sum by (limit) (rate(cellgate_concurrency_checks_total{ {{- $at }},outcome="refused"}[15m]))
    / sum by (limit) (rate(cellgate_concurrency_checks_total{ {{- $at -}} }[15m])) > 0.2
  for: 15m
  labels: { severity: warning }
  annotations:
    summary: A concurrency limit refuses more than a fifth of its requests.
    description: >-
      The label `limit` has its name. Either its requests take longer than before: look at the latency of the cells. Or one
      client sends many at once. The access log has the clients (cellgate:reason is concurrency_limited).
    {{ $runbook }}/CellgateConcurrencyRefusing.md
# The service has this metric only with leased limits.
- alert: CellgateLeasesWithdrawn
  expr: >-
    sum without (result) (rate(cellgate_syncs_total{ {{- $at }},result="withdrawn"}[5m]))
    / sum without (result) (rate(cellgate_syncs_total{ {{- $at -}} }[5m])) > 0.5
  for: 15m
  labels: { severity: warning }
  annotations:
    summary: A replica of the Cellgate service leases nothing to most of the proxies' calls, because they have other rate limits.
    description: >-
      A change of the limits causes this for moments. If it lasts, a proxy or the replica has not received the change. The
      service judges each request under a leased limit, and has their load. `cellgate inspect` has the service's limits.
    {{ $runbook }}/CellgateLeasesWithdrawn.md
# A store outside of the replicas: extProc.limitStore.
- alert: CellgateRateLimitStoreDown
  expr: min(cellgate_rate_limit_store_available{ {{- $at -}} }) == 0
  for: 2m
  labels: { severity: critical }
  annotations:
    summary: A replica of the Cellgate service does not reach the store of rate limits.
    description: >-
      Limits answer by their when_store_fails: each replica counts its share (local), all requests are admitted (allow), or all
      get 503 (deny). `cellgate inspect` and the replica's log have the reason.
    {{ $runbook }}/CellgateRateLimitStoreDown.md
- alert: CellgateRateLimitStoreSlow
  expr: >-
    sum(rate(cellgate_rate_limit_store_failures_total{ {{- $at }},cause!="unavailable"}[5m]))
    / sum(rate(cellgate_rate_limit_store_seconds_count{ {{- $at -}} }[5m])) > 0.01
  for: 10m
  labels: { severity: warning }
  annotations:
    summary: The store of rate limits fails more than 1% of the requests that wait for it.
    description: >-
      The label `cause` of cellgate_rate_limit_store_failures_total has the cause. With `deadline`, answers come later than
      extProc.limitStore.timeout ({{ .Values.extProc.limitStore.timeout }}), and such a request may be charged twice.
    {{ $runbook }}/CellgateRateLimitStoreSlow.md
- alert: CellgateRateLimitKeysFull
  expr: {{ include "cellgate.hasIncreased" (dict "root" . "series" (printf "cellgate_rate_limit_overflow_charges_total{%s}" $at)) }}
  labels: { severity: warning }
  annotations:
    summary: A replica of the Cellgate service counts extProc.maxLimitKeys ({{ int64 .Values.extProc.maxLimitKeys }}) keys, and new keys share an allowance.
    description: >-
      Clients that send little can be refused. Raise extProc.maxLimitKeys together with the memory limit. If clients invent
      keys, such as API keys that nobody has checked, count behind authentication.
    {{ $runbook }}/CellgateRateLimitKeysFull.md
- alert: CellgateLimitsFailOpen
  expr: sum by (limit) (rate(cellgate_rate_limit_checks_total{ {{- $at }},outcome="unknown_admitted"}[5m])) > 0
  for: 5m
  labels: { severity: warning }
  annotations:
    summary: A rate limit admits requests without counting them, because its store does not answer.
    description: >-
      The label `limit` has its name; its field when_store_fails is `allow`. No client is limited until the store answers again.
    {{ $runbook }}/CellgateLimitsFailOpen.md
# The service has this metric only with a limit with `settle`.
- alert: CellgateSettlementsLost
  expr: >-
    sum by (limit) (rate(cellgate_settlements_total{ {{- $at }},outcome=~"lost|dropped"}[15m]))
    / sum by (limit) (rate(cellgate_settlements_total{ {{- $at -}} }[15m])) > 0.01
  for: 15m
  labels: { severity: warning }
  annotations:
    summary: More than 1% of the responses that settle a cost have not changed it, because the service could not.
    description: >-
      The label `limit` has the limit's name. Estimates stay, so keys have less or more than they should. With the outcome `lost`,
      the store did not confirm the change: look at the store. With `dropped`, a replica had too many settlements at a time.
    {{ $runbook }}/CellgateSettlementsLost.md
- alert: CellgateSettlementsWithoutNumber
  expr: >-
    sum by (limit) (rate(cellgate_settlements_total{ {{- $at }},outcome="kept"}[15m]))
    / sum by (limit) (rate(cellgate_settlements_total{ {{- $at -}} }[15m])) > 0.9
  for: 30m
  labels: { severity: warning }
  annotations:
    summary: Nearly all requests under a limit with `settle` keep their estimate, because their responses have no number.
    description: >-
      The label `limit` has the limit's name. Either the cells do not send the field, or something removes it before the service
      sees the response.
    {{ $runbook }}/CellgateSettlementsWithoutNumber.md
{{- end -}}
