{{/* Alerts on the requests that the service decides. */}}
{{- define "cellgate.alerts.requests" -}}
{{- $runbook := include "cellgate.alerts.runbook" . -}}
{{- $at := include "cellgate.alerts.service" . -}}
# Without the chart's ServiceMonitor, nobody may scrape the service, or under other labels. Then only a target counts that
# Prometheus has, or that it had in the last seven days.
- alert: CellgateServiceDown
  expr: >-
    absent(cellgate_build_info{ {{- $at -}} })
    {{- if not .Values.monitoring.serviceMonitor.enabled }}
    and on () (count(up{ {{- $at -}} }) or count(last_over_time(cellgate_build_info{ {{- $at -}} }[7d])))
    {{- end }}
  for: 2m
  labels: { severity: critical }
  annotations:
    summary: Prometheus receives no metrics from any replica of the Cellgate service.
    description: >-
      If the service is down, every request that the filter defers gets 503. Look at the pods with
      `kubectl -n {{ .Release.Namespace }} get pods -l app.kubernetes.io/component=ext-proc`. If they are ready,
      Prometheus may not be able to reach port 9902: see monitoring.scrapers and the NetworkPolicy.
    {{ $runbook }}/CellgateServiceDown.md
- alert: CellgateOverloaded
  expr: sum(increase(cellgate_decisions_total{ {{- $at }},reason="overloaded"}[10m])) >= {{ int64 .Values.monitoring.slo.minBadRequests }}
  for: 2m
  labels: { severity: critical }
  annotations:
    summary: >-
      The Cellgate service answers 503, because requests have waited for extProc.maxHeldBytes longer than
      extProc.budgetTimeout ({{ .Values.extProc.budgetTimeout }}).
    description: >-
      Add replicas, or raise extProc.maxHeldBytes together with the memory limit. If it happens only for moments, raise
      extProc.budgetTimeout, and extProc.messageTimeout with it. Many slow clients with large bodies can cause this
      too: config.limits.stream_bytes limits the bytes of each request.
    {{ $runbook }}/CellgateOverloaded.md
- alert: CellgateMemoryHigh
  expr: >-
    max(cellgate_held_bytes{ {{- $at -}} }) / {{ include "cellgate.bytes" .Values.extProc.maxHeldBytes }} > 0.8
    or max(cellgate_budget_waiting_streams{ {{- $at -}} }) > 0
  for: 5m
  labels: { severity: warning }
  annotations:
    summary: A replica of the Cellgate service buffers more than 80% of extProc.maxHeldBytes, or requests wait for it.
    description: >-
      Requests that do not fit wait, and get 503 after extProc.budgetTimeout. Add replicas, or raise extProc.maxHeldBytes
      together with the memory limit.
    {{ $runbook }}/CellgateMemoryHigh.md
- alert: CellgateDeadlineExceeded
  expr: sum(rate(cellgate_decisions_total{ {{- $at }},reason="deadline_exceeded"}[5m])) > 0
  for: 10m
  labels: { severity: warning }
  annotations:
    summary: Requests are rejected because no decision was made within {{ .Values.extProc.decisionTimeout }}.
    description: >-
      Either bodies arrive too slowly: look at the clients, or raise extProc.decisionTimeout and extProc.messageTimeout. Or
      the replicas have too little CPU: compare their usage with their requests.
    {{ $runbook }}/CellgateDeadlineExceeded.md
- alert: CellgateRejecting
  expr: >-
    sum(rate(cellgate_decisions_total{ {{- $at }},outcome="reject",reason!~"rate_limited|concurrency_limited"}[15m]))
    / sum(rate(cellgate_decisions_total{ {{- $at -}} }[15m])) > 0.1
  for: 15m
  labels: { severity: warning }
  annotations:
    summary: The Cellgate service rejects more than 10% of the requests that it decides.
    description: >-
      The label `reason` of cellgate_decisions_total has the reason, and docs/reasons.md describes each one. `cellgate decide`
      explains a single request.
    {{ $runbook }}/CellgateRejecting.md
- alert: CellgateConflicts
  expr: {{ include "cellgate.hasIncreased" (dict "root" . "series" (printf "cellgate_conflicts_total{%s}" $at)) }}
  labels: { severity: warning }
  annotations:
    summary: Bodies conflict with the decision after their request was released to a cell.
    description: >-
      A second key or a syntax error followed, so the client is broken or hostile. The requests were aborted, but the cell has
      received their beginning. Find the client in the gateway's access log by cellgate:reason.
    {{ $runbook }}/CellgateConflicts.md
- alert: CellgateProtocolErrors
  expr: {{ include "cellgate.hasIncreased" (dict "root" . "series" (printf "cellgate_protocol_errors_total{%s}" $at)) }}
  labels: { severity: warning }
  annotations:
    summary: The Cellgate service closes streams because of Envoy's configuration or messages.
    description: >-
      Its log has a line for each one at level warn, with the remedy. Usually another EnvoyFilter has changed the
      processing mode.
    {{ $runbook }}/CellgateProtocolErrors.md
{{- end -}}
