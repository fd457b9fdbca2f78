{{/* Recording rules. Every series has the label `release`: the metrics of the proxies have none, so two releases record
the same of them. */}}

{{/* The filter's decisions with the labels `outcome` and `reason`. Envoy's names have them at their end, unless its
bootstrap has stats tags. Each series is copied as it is, so `rate` sees resets. */}}
{{- define "cellgate.rules.filter" -}}
{{- $name := "cellgate_decisions_(cell|reject|defer|pass)_([a-z0-9_]+)" -}}
- record: cellgate:filter_decisions:total
  expr: >-
    label_replace(label_replace({__name__=~{{ quote $name }}},
    "outcome", "$1", "__name__", {{ quote $name }}), "reason", "$2", "__name__", {{ quote $name }})
    or {__name__="cellgate_decisions",outcome!=""}
  labels: { release: {{ include "cellgate.alerts.releaseName" . }} }
- record: cellgate:deferrals:ratio_rate30m
  expr: >-
    (sum(rate(cellgate:filter_decisions:total{ {{- include "cellgate.alerts.release" . }},outcome="defer",reason!="limit_due"}[30m]))
    or vector(0))
    / (sum(rate(cellgate:filter_decisions:total{ {{- include "cellgate.alerts.release" . -}} }[30m])) > 0)
  labels: { release: {{ include "cellgate.alerts.releaseName" . }} }
{{- end -}}

{{/* The cells as the proxies see them, from the metrics of Istio's clusters. A proxy exports these only if its
proxyStatsMatcher includes them. */}}
{{- define "cellgate.rules.cells" -}}
{{- $root := . -}}
{{- range $cell := include "cellgate.cellNames" . | fromJsonArray -}}
{{- $values := index $root.Values.cells $cell -}}
{{- $cluster := printf "cluster_name=~\"outbound[|]%v[|][^|]*[|]%s\"" $values.port (replace "." "[.]" $values.host) -}}
{{- $rules := dict
  "cellgate:cell_requests:rate5m" (printf "sum(rate(envoy_cluster_upstream_rq_total{%s}[5m]))" $cluster)
  "cellgate:cell_errors:rate5m" (printf "sum(rate(envoy_cluster_upstream_rq{%s,response_code_class=\"5xx\"}[5m])) or (0 * sum(rate(envoy_cluster_upstream_rq_total{%s}[5m])))" $cluster $cluster)
  "cellgate:cell_p99_seconds:rate5m" (printf "histogram_quantile(0.99, sum by (le) (rate(envoy_cluster_upstream_rq_time_bucket{%s}[5m]))) / 1000" $cluster)
  "cellgate:cell_endpoints:ejected" (printf "max(envoy_cluster_outlier_detection_ejections_active{%s})" $cluster)
  "cellgate:cell_endpoints:healthy" (printf "min(envoy_cluster_membership_healthy{%s})" $cluster)
-}}
{{- range $name := keys $rules | sortAlpha }}
- record: {{ $name }}
  expr: {{ index $rules $name }}
  labels: { release: {{ include "cellgate.alerts.releaseName" $root }}, cell: {{ $cell }} }
{{- end }}
{{- end }}
{{- end -}}

{{/* The error rate of each SLI in each window of the alerts, and its error budget. There is no sample without requests.
Envoy counts a service that does not answer in time as `message_timeouts`, and not as `streams_failed`. */}}
{{- define "cellgate.rules.slo" -}}
{{- $root := . -}}
{{- $slo := .Values.monitoring.slo -}}
{{- $at := include "cellgate.alerts.service" . -}}
{{- $release := include "cellgate.alerts.release" . -}}
{{- range $window := list "5m" "30m" "1h" "2h" "6h" "1d" "3d" -}}
{{- $filter := printf "cellgate:filter_decisions:total{%s" $release -}}
{{- $service := printf "cellgate_decisions_total{%s" $at -}}
{{- $all := list -}}
{{- $failed := list -}}
{{- $wrong := list -}}
{{- if $root.Values.filter.enabled -}}
{{- $all = append $all (printf "sum(rate(%s}[%s]))" $filter $window) -}}
{{- $failed = append $failed (printf "%s,reason=\"body_unread\"}" $filter) -}}
{{- $wrong = concat $wrong (list "cellgate_guard_conflicts" (printf "%s,reason=\"cell_mismatch\"}" $filter)) -}}
{{- end -}}
{{- if $root.Values.extProc.enabled -}}
{{- $all = append $all (printf "sum(rate(%s}[%s]))" $service $window) -}}
{{- $failed = append $failed (printf "%s,reason=~\"overloaded|limit_unknown|body_unread\"}" $service) -}}
{{- $wrong = concat $wrong (list (printf "cellgate_conflicts_total{%s}" $at) (printf "%s,reason=\"cell_mismatch\"}" $service)) -}}
{{- end -}}
{{- if $all }}
- record: cellgate:sli_error:ratio_rate{{ $window }}
  expr: >-
    ({{ range $failed }}(sum(rate({{ . }}[{{ $window }}])) or vector(0))
    + {{ end }}(sum(rate(envoy_http_ext_proc_streams_failed[{{ $window }}])) or sum(rate(cellgate_protocol_errors_total{ {{- $at -}} }[{{ $window }}])) or vector(0))
    + (sum(rate(envoy_http_ext_proc_message_timeouts[{{ $window }}])) or vector(0)))
    / (({{ join " or " $all }}) > 0)
  labels: { release: {{ include "cellgate.alerts.releaseName" $root }}, sli: availability }
- record: cellgate:sli_error:ratio_rate{{ $window }}
  expr: >-
    ({{ range $index, $series := $wrong }}{{ if $index }}
    + {{ end }}(sum(rate({{ $series }}[{{ $window }}])) or vector(0)){{ end }})
    / (({{ join " or " $all }}) > 0)
  labels: { release: {{ include "cellgate.alerts.releaseName" $root }}, sli: correctness }
{{- end }}
{{- if $root.Values.extProc.enabled }}
- record: cellgate:sli_error:ratio_rate{{ $window }}
  expr: >-
    1 - sum(rate(cellgate_decision_seconds_bucket{ {{- $at }},le="{{ $slo.latencySeconds }}"}[{{ $window }}]))
    / (sum(rate(cellgate_decision_seconds_count{ {{- $at -}} }[{{ $window }}])) > 0)
  labels: { release: {{ include "cellgate.alerts.releaseName" $root }}, sli: latency }
{{- end }}
{{- end }}
{{- range $sli := list "availability" "correctness" "latency" }}
- record: cellgate:sli_error_budget:ratio
  expr: vector((100 - {{ index $slo $sli }}) / 100)
  labels: { release: {{ include "cellgate.alerts.releaseName" $root }}, sli: {{ $sli }} }
- record: cellgate:sli_error_budget_left:ratio
  expr: >-
    1 - avg_over_time(cellgate:sli_error:ratio_rate5m{sli="{{ $sli }}",{{ $release }}}[30d])
    / cellgate:sli_error_budget:ratio{sli="{{ $sli }}",{{ $release }}}
  labels: { release: {{ include "cellgate.alerts.releaseName" $root }}, sli: {{ $sli }} }
{{- end }}
{{- end -}}
