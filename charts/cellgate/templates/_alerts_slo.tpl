{{/* Alerts on the error budgets of the objectives in monitoring.slo: multi-window, multi-burn-rate. A budget is meant for 30
days; the fast alerts fire when 2 % of it are gone in one hour or 5 % in six, the slow ones for 10 % in one or three days. */}}
{{- define "cellgate.alerts.slo" -}}
{{- $root := . -}}
{{- $slo := .Values.monitoring.slo -}}
{{- $runbook := include "cellgate.alerts.runbook" . -}}
{{- $slis := dict
  "availability" (printf "Fewer than %v%% of the requests get a decision, because Cellgate fails." $slo.availability)
  "correctness" (printf "Fewer than %v%% of the requests reach no other cell than their own: two parts of Cellgate place a key in different cells." $slo.correctness)
-}}
{{- if .Values.filter.shadow -}}
{{- $_ := unset $slis "correctness" -}}
{{- end -}}
{{- if .Values.extProc.enabled -}}
{{- $_ := set $slis "latency" (printf "Fewer than %v%% of the decisions of the Cellgate service are made within %v s." $slo.latency $slo.latencySeconds) -}}
{{- end -}}
{{- range $sli := keys $slis | sortAlpha }}
- alert: Cellgate{{ title $sli }}BurnsFast
  expr: >-
    {{- include "cellgate.alerts.burns" (dict "root" $root "sli" $sli "factor" 14.4 "long" "1h" "short" "5m") | nindent 4 }}
    or
    {{- include "cellgate.alerts.burns" (dict "root" $root "sli" $sli "factor" 6 "long" "6h" "short" "30m") | nindent 4 }}
  for: 2m
  labels: { severity: critical }
  annotations:
    summary: {{ quote (index $slis $sli) }}
    description: >-
      At this rate, the error budget of 30 days ends in five days or sooner. The dashboard "Cellgate: overview" shows the
      reasons, and the runbook where to look.
    {{ $runbook }}/Cellgate{{ title $sli }}BurnsFast.md
- alert: Cellgate{{ title $sli }}BurnsSlow
  expr: >-
    {{- include "cellgate.alerts.burns" (dict "root" $root "sli" $sli "factor" 3 "long" "1d" "short" "2h") | nindent 4 }}
    or
    {{- include "cellgate.alerts.burns" (dict "root" $root "sli" $sli "factor" 1 "long" "3d" "short" "6h") | nindent 4 }}
  for: 15m
  labels: { severity: warning }
  annotations:
    summary: {{ quote (index $slis $sli) }}
    description: The error budget of 30 days will not last. Nothing has to be done at once, and the cause has to be found.
    {{ $runbook }}/Cellgate{{ title $sli }}BurnsSlow.md
{{- end }}
{{- end -}}
