{{/* Parses sizes and durations. Each template prints an integer, or nothing if the text is not valid, which
_validate.tpl reports. */}}

{{/* Bytes of a size in the form of Cellgate's configuration: 65536, "64KiB", "1MiB", "1GiB". */}}
{{- define "cellgate.bytes" -}}
{{- $factors := dict "" 1 "KiB" 1024 "MiB" 1048576 "GiB" 1073741824 -}}
{{- if kindIs "string" . -}}
{{- if regexMatch "^[0-9]{1,10}(KiB|MiB|GiB)?$" . -}}
{{- $unit := regexFind "[KMG]iB$" . -}}
{{- mul (trimSuffix $unit . | int64) (index $factors $unit) -}}
{{- end -}}
{{- else -}}
{{- int64 . -}}
{{- end -}}
{{- end -}}

{{/* Bytes of a Kubernetes quantity: 512Mi, 1Gi, 500M. */}}
{{- define "cellgate.quantityBytes" -}}
{{- $factors := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- if not (kindIs "string" .) -}}
{{- int64 . -}}
{{- else if regexMatch "^[0-9]{1,12}(k|M|G|Ki|Mi|Gi)?$" . -}}
{{- $unit := regexFind "(k|[KMG]i|[MG])$" . -}}
{{- mul (trimSuffix $unit . | int64) (index $factors $unit) -}}
{{- end -}}
{{- end -}}

{{/* Milliseconds of a duration: 500ms, 10s, 1m30s, 1h. */}}
{{- define "cellgate.milliseconds" -}}
{{- $factors := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 -}}
{{- $text := toString . -}}
{{- if regexMatch "^([0-9]+(\\.[0-9]+)?(ms|s|m|h))+$" $text -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll "[0-9]+(\\.[0-9]+)?(ms|s|m|h)" $text -1 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $sum = addf $sum (mulf (trimSuffix $unit . | float64) (index $factors $unit)) -}}
{{- end -}}
{{- int64 $sum -}}
{{- end -}}
{{- end -}}

{{/* A duration in protobuf's form, in seconds. Istio's own objects accept 1m30s; an EnvoyFilter's content does not. */}}
{{- define "cellgate.protoDuration" -}}
{{- $ms := include "cellgate.milliseconds" . | int64 -}}
{{- if mod $ms 1000 -}}
{{ printf "%d.%03ds" (div $ms 1000) (mod $ms 1000) }}
{{- else -}}
{{ div $ms 1000 }}s
{{- end -}}
{{- end -}}
