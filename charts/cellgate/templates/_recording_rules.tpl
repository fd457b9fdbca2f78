{{/* Recording rules; _slo_rules.tpl has those of the objectives. Every series has the label `release`: the metrics of the proxies have none, so two releases record
the same of them. */}}

{{/* The names of this release, of which the dashboards make their variables. */}}
{{- define "cellgate.rules.release" -}}
- record: cellgate:release:info
  expr: vector(1)
  labels:
    release: {{ include "cellgate.alerts.releaseName" . }}
    namespace: {{ .Release.Namespace }}
    service: {{ include "cellgate.extProcName" . }}
{{- end -}}

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
{{- $healthy := printf "envoy_cluster_membership_healthy{%s}" $cluster -}}
{{- /* Of all proxies, and of those in one namespace: a gateway has fewer of them than there are sidecars. */ -}}
{{- $rules := dict
  "cellgate:cell_requests:rate5m" (printf "sum(rate(envoy_cluster_upstream_rq_total{%s}[5m]))" $cluster)
  "cellgate:cell_errors:rate5m" (printf "sum(rate(envoy_cluster_upstream_rq{%s,response_code_class=\"5xx\"}[5m])) or (0 * sum(rate(envoy_cluster_upstream_rq_total{%s}[5m])))" $cluster $cluster)
  "cellgate:cell_p99_seconds:rate5m" (printf "histogram_quantile(0.99, sum by (le) (rate(envoy_cluster_upstream_rq_time_bucket{%s}[5m]))) / 1000" $cluster)
  "cellgate:cell_endpoints:ejected" (printf "max(envoy_cluster_outlier_detection_ejections_active{%s})" $cluster)
  "cellgate:cell_proxies_without_endpoints:ratio" (printf "count(%s == 0) / count(%s) or count by (namespace) (%s == 0) / (count by (namespace) (%s) > 1)" $healthy $healthy $healthy $healthy)
  "cellgate:cell_endpoints:healthy" (printf "min(envoy_cluster_membership_healthy{%s})" $cluster)
-}}
{{- range $name := keys $rules | sortAlpha }}
- record: {{ $name }}
  expr: {{ index $rules $name }}
  labels: { release: {{ include "cellgate.alerts.releaseName" $root }}, cell: {{ $cell }} }
{{- end }}
{{- end }}
{{- end -}}
