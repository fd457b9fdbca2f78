{{/* Parts of the expressions of alerts. */}}

{{/* The labels that a ServiceMonitor adds to the metrics of the release's service. */}}
{{- define "cellgate.alerts.service" -}}
{{ printf "namespace=%q,service=%q" .Release.Namespace (include "cellgate.extProcName" .) }}
{{- end -}}

{{/* True while a counter has increased in the last ten minutes. Takes a dict of `series`, and for a series of the service
`root`; without it, the series is one of the proxies.

`increase` does not see a counter that appears with its first value. So a series that is not zero also counts in two
cases: if it is missing in a scrape that has `always`, a series that its target exports from its start, and if the target
itself has started in these ten minutes. A failed scrape lacks both series, and a Prometheus that has just started has
both from its first scrape. If the labels of a target change, both begin anew, and the old series of neither counts. So none
of these makes an old value new. */}}
{{- define "cellgate.hasIncreased" -}}
{{- $recent := printf "last_over_time(%s[10m]) > 0" .series -}}
{{- $always := include "cellgate.alerts.always" (get . "root") -}}
{{- $age := "envoy_server_uptime" -}}
{{- with get . "root" -}}
{{- $age = printf "(time() - process_start_time_seconds{%s})" (include "cellgate.alerts.service" .) -}}
{{- end -}}
>-
    increase({{ .series }}[10m]) > 0
    or ({{ .series }} > 0
    and count_over_time({{ .series }}[10m])
    < on (job, instance) group_left () max by (job, instance) (count_over_time({{ $always }}[10m]) and {{ $always }}))
    or ({{ $recent }} and on (job, instance) {{ $age }} < 600)
{{- end -}}

{{/* The series that each target has in every scrape: of the service if it takes the root, else of a proxy with a Wasm
filter. It is never 0, so it is also in a scrape of `/stats/prometheus?usedonly`. */}}
{{- define "cellgate.alerts.always" -}}
{{- if . -}}
cellgate_build_info{ {{- include "cellgate.alerts.service" . -}} }
{{- else -}}
envoy_wasm_envoy_wasm_runtime_v8_created
{{- end -}}
{{- end -}}

{{/* The beginning of the annotation with the alert's runbook, up to the folder. A `runbook_url` is an address that a pager can
open. Without monitoring.runbookBase there is none, and the annotation `runbook` has the path in Cellgate's sources. */}}
{{- define "cellgate.alerts.runbook" -}}
{{- with .Values.monitoring.runbookBase -}}
runbook_url: {{ trimSuffix "/" . }}
{{- else -}}
runbook: docs/runbooks
{{- end -}}
{{- end -}}

{{/* The label that tells the recorded series of this release from those of another one. */}}
{{- define "cellgate.alerts.release" -}}
{{ printf "release=%q" (include "cellgate.alerts.releaseName" .) }}
{{- end -}}

{{- define "cellgate.alerts.releaseName" -}}
{{ .Release.Namespace }}/{{ include "cellgate.fullname" . }}
{{- end -}}

{{/* True while an error rate is above `factor` times the error budget in two windows: the long one shows that it matters,
and the short one that it goes on. In the long one, at least monitoring.slo.minBadRequests requests must be bad: with
little traffic, one of them is a large share. Takes a dict of `root`, `sli`, `factor`, `long` and `short`. */}}
{{- define "cellgate.alerts.burns" -}}
{{- $series := printf "sli=%q,%s" .sli (include "cellgate.alerts.release" .root) -}}
{{- $bound := printf "%v * cellgate:sli_error_budget:ratio{%s}" .factor $series -}}
(cellgate:sli_error:ratio_rate{{ .long }}{ {{- $series -}} } > {{ $bound }}
and cellgate:sli_error:ratio_rate{{ .short }}{ {{- $series -}} } > {{ $bound }}
and cellgate:sli_bad:increase{{ .long }}{ {{- $series -}} } >= {{ int64 .root.Values.monitoring.slo.minBadRequests }})
{{- end -}}
