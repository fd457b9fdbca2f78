{{/* Alerts on the service as a process: how near it is to its limits, and whether it stays up. */}}
{{- define "cellgate.alerts.saturation" -}}
{{- $runbook := include "cellgate.alerts.runbook" . -}}
{{- $at := include "cellgate.alerts.service" . -}}
- alert: CellgateWorkersBusy
  expr: max(rate(cellgate_runtime_busy_seconds_total{ {{- $at -}} }[5m])) > 0.9
  for: 10m
  labels: { severity: warning }
  annotations:
    summary: A thread of the Cellgate service is busy for more than 90% of the time.
    description: >-
      Decisions of the connections of this thread wait for it. Add replicas, or raise extProc.resources.limits.cpu. If the replica uses less CPU than its limit,
      the node has none left.
    {{ $runbook }}/CellgateWorkersBusy.md
- alert: CellgateFileDescriptorsHigh
  expr: max(process_open_fds{ {{- $at -}} } / process_max_fds{ {{- $at -}} }) > 0.8
  for: 5m
  labels: { severity: warning }
  annotations:
    summary: A replica of the Cellgate service has more than 80% of its file descriptors open.
    description: Each connection of a proxy takes one. Without any left, the replica accepts no connection, and proxies answer 503.
    {{ $runbook }}/CellgateFileDescriptorsHigh.md
- alert: CellgateRestarting
  expr: changes(process_start_time_seconds{ {{- $at -}} }[15m]) > 1
  labels: { severity: critical }
  annotations:
    summary: A replica of the Cellgate service has restarted more than once in 15 minutes.
    description: >-
      `kubectl -n {{ .Release.Namespace }} describe pod` has the reason of the last end: OOMKilled, a failed probe, or the exit code,
      whose message is in `kubectl logs --previous`.
    {{ $runbook }}/CellgateRestarting.md
{{- end -}}
