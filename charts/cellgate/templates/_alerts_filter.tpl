{{/* Alerts on the filter in the proxies. */}}
{{- define "cellgate.alerts.filter" -}}
{{- $release := include "cellgate.alerts.release" . -}}
{{- $runbook := include "cellgate.alerts.runbook" . -}}
- alert: CellgateFilterConfigRejected
  expr: {{ include "cellgate.hasIncreased" (dict "series" "cellgate_config_rejected") }}
  labels: { severity: critical }
  annotations:
    summary: The Cellgate filter in a proxy has refused a configuration and keeps the last valid one.
    description: The proxy's log has the line and the field, as does `cellgate check`. Correct it, or use `helm rollback`.
    {{ $runbook }}/CellgateFilterConfigRejected.md
- alert: CellgateFilterCrashed
  expr: {{ include "cellgate.hasIncreased" (dict "series" "envoy_wasm_cellgate_vm_reload_success") }}
  labels: { severity: critical }
  annotations:
    summary: The virtual machine of the Cellgate filter has crashed and restarted.
    description: Its requests in flight got an error. Report it with the line of the proxy's log that contains `panicked at`.
    {{ $runbook }}/CellgateFilterCrashed.md
- alert: CellgateFilterDown
  expr: {{ include "cellgate.hasIncreased" (dict "series" "envoy_wasm_cellgate_vm_reload_failure") }}
  labels: { severity: critical }
  annotations:
    summary: The virtual machine of the Cellgate filter has crashed and does not restart.
    description: >-
      All requests of that worker thread get 503 until a restart succeeds. Replace the pod of the label `pod`, and report it
      with the lines of its log that contain `panicked at` or `Wasm VM failed`.
    {{ $runbook }}/CellgateFilterDown.md
{{- with .Values.filter.attach }}
# A proxy that has the filter in its chain, and no virtual machine for it: the module or its first configuration was refused,
# or Istio's agent could not download the module and has put a filter in its place that denies all.
- alert: CellgateFilterMissing
  expr: >-
    max without () ({__name__=~"envoy_extension_config_discovery_http_filter_(
    {{- range $index, $attach := . }}
    {{- if $index }}|{{ end }}
    {{- include "cellgate.filterName" (dict "root" $ "attach" $attach) | replace "-" "_" | replace "." "_" }}
    {{- end -}}
    )_config_reload"}) > 0
    unless on (job, instance) envoy_wasm_envoy_wasm_runtime_v8_active > 0
  for: 2m
  labels: { severity: critical }
  annotations:
    summary: A proxy has not loaded the Cellgate filter, and answers 403 or 500 to every request.
    description: >-
      The label `pod` has its name. Its log has the reason: the module cannot be downloaded or loaded, or its first
      configuration is refused.
    {{ $runbook }}/CellgateFilterMissing.md
{{- end }}
- alert: CellgateFilterConflicts
  expr: {{ include "cellgate.hasIncreased" (dict "series" "cellgate_guard_conflicts") }}
  labels: { severity: warning }
  annotations:
    summary: Bodies have a second key or a syntax error after the filter has released their request to a cell.
    description: >-
      The client is broken or hostile. The requests were aborted, but the cell has received their beginning. Find the client in
      the access log by `after=` in wasm.cellgate.
    {{ $runbook }}/CellgateFilterConflicts.md
# A filter that makes no call has no `cellgate_syncs`: then all calls have failed.
- alert: CellgateLeasesFailing
  expr: >-
    rate(cellgate_sync_failures[5m])
    / (rate(cellgate_syncs[5m]) > 0 or rate(cellgate_sync_failures[5m]) > 0) > 0.5
  for: 5m
  labels: { severity: warning }
  annotations:
    summary: More than half of a proxy's calls for leases of rate limits fail.
    description: >-
      While the service answers, it judges each request under a leased limit, and has their load. If it is down, these
      requests get 503. The proxy's log has the reason (Sync failed). `cellgate doctor` examines the cluster of sync.cluster.
    {{ $runbook }}/CellgateLeasesFailing.md
- alert: CellgateSpoofedHeaders
  expr: rate(cellgate_stripped_headers[15m]) > 0
  for: 15m
  labels: { severity: info }
  annotations:
    summary: Clients send the routing header {{ .Values.config.routing_header }} themselves.
    description: The filter removes it, so it has no effect on routing. Find out which clients send it, and why.
    {{ $runbook }}/CellgateSpoofedHeaders.md
- alert: CellgateFilterRejecting
  expr: >-
    sum(rate(cellgate:filter_decisions:total{ {{- $release }},outcome="reject"}[15m]))
    / sum(rate(cellgate:filter_decisions:total{ {{- $release -}} }[15m])) > 0.1
  for: 15m
  labels: { severity: warning }
  annotations:
    summary: The Cellgate filter rejects more than 10% of the requests that it decides.
    description: >-
      The label `reason` of cellgate:filter_decisions:total has the reason, and docs/reasons.md describes each one. `cellgate decide`
      explains a single request.
    {{ $runbook }}/CellgateFilterRejecting.md
{{- if .Values.extProc.enabled }}
- alert: CellgateDeferralsJump
  expr: >-
    cellgate:deferrals:ratio_rate30m{ {{- $release -}} } > 0.05
    and cellgate:deferrals:ratio_rate30m{ {{- $release -}} }
    > 2 * avg_over_time(cellgate:deferrals:ratio_rate30m{ {{- $release -}} }[1d] offset 1h)
  for: 30m
  labels: { severity: warning }
  annotations:
    summary: The Cellgate filter defers more than twice the share of requests that it deferred in the day before.
    description: >-
      The service has their load. The reasons are in cellgate:filter_decisions:total{outcome="defer"}: larger bodies, a key that has
      moved to the end, or a new Content-Encoding.
    {{ $runbook }}/CellgateDeferralsJump.md
# A proxy that finds no endpoint fails a call before it counts it as started.
{{- $failed := "((sum(increase(envoy_http_ext_proc_cellgate_streams_failed[5m])) or vector(0)) + (sum(increase(envoy_http_ext_proc_cellgate_message_timeouts[5m])) or vector(0)))" }}
- alert: CellgateDeferralsFailing
  expr: >-
    {{ $failed }} >= {{ int64 .Values.monitoring.slo.minBadRequests }}
    and {{ $failed }}
    > 0.05 * (sum(increase(envoy_http_ext_proc_cellgate_streams_started[5m])) or vector(0))
  for: 5m
  labels: { severity: critical }
  annotations:
    summary: More than 5% of the proxies' calls of the Cellgate service fail.
    description: >-
      Requests that the filter defers get 503 or 504. They may be few among all requests, so the objectives may not notice it
      for hours. Either the service is down, or proxies do not reach it.
    {{ $runbook }}/CellgateDeferralsFailing.md
{{- end }}
{{- /* Reasons for which no key was read. The other ones with `pass` are out of scope on purpose. */}}
- alert: CellgateFailOpen
  expr: >-
    sum by (outcome, reason) (rate(cellgate:filter_decisions:total{ {{- $release }},outcome=~"pass|cell",reason=~"content_type_.+|charset_.+|body_.+|key_missing|key_null|key_empty"}[15m])) > 0
    {{- if .Values.extProc.enabled }}
    or
    sum by (outcome, reason) (rate(cellgate_decisions_total{ {{- include "cellgate.alerts.service" . }},outcome=~"pass|cell",reason=~"content_type_.+|charset_.+|body_.+|key_missing|key_null|key_empty"}[15m])) > 0
    {{- end }}
  for: 15m
  labels: { severity: info }
  annotations:
    summary: Requests without a usable key are forwarded, because config.policy says so.
    description: >-
      The labels have the reason, and whether they go to a cell (`cell`) or on without one (`pass`). If this was meant for an
      emergency, remove the policy.
    {{ $runbook }}/CellgateFailOpen.md
{{- if .Values.filter.shadow }}
- alert: CellgateShadow
  expr: sum(rate(cellgate:filter_decisions:total{ {{- $release -}} }[1h])) > 0
  for: 1d
  labels: { severity: info }
  annotations:
    summary: The Cellgate filter has been in shadow mode for a day, so its decisions have no effect.
    description: Compare its decisions with what you expect, then set filter.shadow to false.
    {{ $runbook }}/CellgateShadow.md
{{- end }}
{{- end -}}

{{/* Alerts on the cells as the proxies see them. */}}
{{- define "cellgate.alerts.cells" -}}
{{- $runbook := include "cellgate.alerts.runbook" . -}}
{{- $release := include "cellgate.alerts.release" . -}}
- alert: CellgateCellEjected
  expr: cellgate:cell_endpoints:ejected{ {{- $release -}} } > 0
  for: 2m
  labels: { severity: warning }
  annotations:
    summary: Proxies have ejected endpoints of a cell, because they answer with errors.
    description: >-
      The label `cell` has its name. Requests of its tenants go to its other endpoints: no other cell takes them. Look at the
      cell's own errors.
    {{ $runbook }}/CellgateCellEjected.md
- alert: CellgateCellDown
  {{- $missing := "cellgate:cell_proxies_without_endpoints:ratio" }}
  expr: >-
    {{ $missing }}{ {{- $release -}} ,namespace=""} >= 0.5
    or ({{ $missing }}{ {{- $release -}} ,namespace!=""} >= 0.5
    unless on (cell) {{ $missing }}{ {{- $release -}} ,namespace=""} >= 0.5)
  for: 1m
  labels: { severity: critical }
  annotations:
    summary: For at least half of the proxies, a cell has no healthy endpoint, so its tenants get 503.
    description: >-
      The label `cell` has its name. The label `namespace`, if there is one, has that of the proxies: those elsewhere see
      endpoints. The query in the runbook names the proxies. If it stays down, move its tenants with config.placement.overrides or drain it.
    {{ $runbook }}/CellgateCellDown.md
{{- end -}}
