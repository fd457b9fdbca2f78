{{/* Alerts on the service's configuration, certificate and connections. */}}
{{- define "cellgate.alerts.files" -}}
{{- $runbook := include "cellgate.alerts.runbook" . -}}
{{- $at := include "cellgate.alerts.service" . -}}
- alert: CellgateConfigRefused
  expr: {{ include "cellgate.hasIncreased" (dict "root" . "series" (printf "cellgate_config_reloads_total{%s,result=\"refused\"}" $at)) }}
  labels: { severity: critical }
  annotations:
    summary: The Cellgate service has refused a configuration and keeps the last valid one.
    description: >-
      The filter and the service may now have different configurations. The log line with event="config_refused" has the
      line and the field, as does `cellgate check`. Correct it, or use `helm rollback`.
    {{ $runbook }}/CellgateConfigRefused.md
- alert: CellgateConfigDiffers
  expr: count(count by (version) (cellgate_config_info{ {{- $at -}} })) > 1
  for: 15m
  labels: { severity: warning }
  annotations:
    summary: Replicas of the Cellgate service have had different configurations for 15 minutes.
    description: >-
      A rollout is stuck, or a replica has refused the new one. `kubectl -n {{ .Release.Namespace }} rollout status
      deployment/{{ include "cellgate.extProcName" . }}` and the label `version` of cellgate_config_info show which.
    {{ $runbook }}/CellgateConfigDiffers.md
# The service has these metrics only with --tls-cert.
- alert: CellgateCertificateExpiring
  expr: >-
    (cellgate_tls_certificate_expiry_timestamp_seconds{ {{- $at -}} } - time())
    / (cellgate_tls_certificate_expiry_timestamp_seconds{ {{- $at -}} }
    - cellgate_tls_certificate_start_timestamp_seconds{ {{- $at -}} }) < 0.2
  for: 1m
  labels: { severity: critical }
  annotations:
    summary: The certificate of the Cellgate service has less than a fifth of its time left.
    description: >-
      Nothing has renewed it in the files of --tls-cert and --tls-key. When it expires, the proxies refuse the service, and
      every request that the filter defers gets 503.
    {{ $runbook }}/CellgateCertificateExpiring.md
- alert: CellgateTlsFilesRefused
  expr: {{ include "cellgate.hasIncreased" (dict "root" . "series" (printf "cellgate_tls_reloads_total{%s,result=\"refused\"}" $at)) }}
  labels: { severity: warning }
  annotations:
    summary: The Cellgate service has refused a certificate, a key or a client CA and keeps the last good files.
    description: The log line with event="tls_files_refused" has the file and the reason.
    {{ $runbook }}/CellgateTlsFilesRefused.md
- alert: CellgateConnectionsRefused
  expr: {{ include "cellgate.hasIncreased" (dict "root" . "series" (printf "cellgate_tls_handshakes_total{%s,result!~\"ok|closed\"}" $at)) }}
  labels: { severity: warning }
  annotations:
    summary: The Cellgate service refuses TLS connections.
    description: >-
      A proxy among these clients answers 503 to every request that the filter defers. The log line with
      event="connection_refused" has the peer, the reason and the remedy.
    {{ $runbook }}/CellgateConnectionsRefused.md
{{- end -}}
