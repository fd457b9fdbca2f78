{{/* Parts of the expressions of alerts. */}}

{{/* The labels that a ServiceMonitor adds to the metrics of the release's service. */}}
{{- define "cellgate.alerts.service" -}}
{{ printf "namespace=%q,service=%q" .Release.Namespace (include "cellgate.extProcName" .) }}
{{- end -}}

{{/* True while a counter has increased. A counter with labels appears with its first increment, which `increase` does
not see. Takes the series. */}}
{{- define "cellgate.hasIncreased" -}}
increase({{ . }}[10m]) > 0 or ({{ . }} > 0 unless {{ . }} offset 10m)
{{- end -}}

{{/* The folder of the runbooks, without a slash at its end. */}}
{{- define "cellgate.alerts.runbooks" -}}
{{ trimSuffix "/" .Values.monitoring.runbookBase }}
{{- end -}}

{{/* The label that tells the recorded series of this release from those of another one. */}}
{{- define "cellgate.alerts.release" -}}
{{ printf "release=%q" (include "cellgate.alerts.releaseName" .) }}
{{- end -}}

{{- define "cellgate.alerts.releaseName" -}}
{{ .Release.Namespace }}/{{ include "cellgate.fullname" . }}
{{- end -}}

{{/* True while an error rate is above `factor` times the error budget in two windows: the long one shows that it matters,
and the short one that it goes on. Takes a dict of `root`, `sli`, `factor`, `long` and `short`. */}}
{{- define "cellgate.alerts.burns" -}}
{{- $series := printf "sli=%q,%s" .sli (include "cellgate.alerts.release" .root) -}}
{{- $bound := printf "%v * cellgate:sli_error_budget:ratio{%s}" .factor $series -}}
(cellgate:sli_error:ratio_rate{{ .long }}{ {{- $series -}} } > {{ $bound }}
and cellgate:sli_error:ratio_rate{{ .short }}{ {{- $series -}} } > {{ $bound }})
{{- end -}}
