{{/* Checks of istio.telemetry. */}}

{{- define "cellgate.check.telemetry" -}}
{{- with .Values.istio.telemetry -}}
{{- if and (or .tracing.enabled .accessLog.enabled) (not $.Values.filter.enabled) -}}
{{- println "istio.telemetry: the resources are for the proxies with the filter, and filter.enabled is false; switch istio.telemetry.tracing and istio.telemetry.accessLog off, or enable the filter" -}}
{{- end -}}
{{- if and .accessLog.enabled (not .accessLog.provider) -}}
{{- println "istio.telemetry.accessLog.provider: this value is required with istio.telemetry.accessLog.enabled; set the name of an access log provider in MeshConfig's extensionProviders" -}}
{{- end -}}
{{- $sampling := toString .tracing.sampling -}}
{{- if ne $sampling "" -}}
{{- if not (regexMatch "^[0-9]+([.][0-9]+)?$" $sampling) -}}
{{- printf "istio.telemetry.tracing.sampling: %v is not a percentage; write 0 to 100, for example 1 or 0.1" .tracing.sampling | println -}}
{{- else if gt (float64 $sampling) 100.0 -}}
{{- printf "istio.telemetry.tracing.sampling: %v is more than 100 percent; write 0 to 100" .tracing.sampling | println -}}
{{- end -}}
{{- end -}}
{{- range $tag, $value := .tracing.customTags -}}
{{- if hasPrefix "cellgate." $tag -}}
{{- printf "istio.telemetry.tracing.customTags: %s would replace a tag of the chart; choose another name" $tag | println -}}
{{- else if not (and (kindIs "map" $value) (eq 1 (len $value)) (has (keys $value | first) (list "literal" "environment" "header" "formatter"))) -}}
{{- printf "istio.telemetry.tracing.customTags.%s: a tag has exactly one of literal, environment, header and formatter; write for example { literal: { value: edge } }" $tag | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
