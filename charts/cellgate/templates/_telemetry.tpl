{{/* Istio's Telemetry resources: their parts, and the lines of MeshConfig that they need. */}}

{{/* The parts that the resources set, as a JSON array of `tracing`, `accessLogging`, and two fields of `tracing` that are optional. */}}
{{- define "cellgate.telemetryParts" -}}
{{- $parts := list -}}
{{- if and .Values.filter.enabled .Values.istio.telemetry.tracing.enabled -}}
{{- $parts = append $parts "tracing" -}}
{{- if .Values.istio.telemetry.tracing.provider -}}{{- $parts = append $parts "tracing.providers" -}}{{- end -}}
{{- if ne "" (toString .Values.istio.telemetry.tracing.sampling) -}}{{- $parts = append $parts "tracing.randomSamplingPercentage" -}}{{- end -}}
{{- end -}}
{{- if and .Values.filter.enabled .Values.istio.telemetry.accessLog.enabled -}}
{{- $parts = append $parts "accessLogging" -}}
{{- end -}}
{{ toJson $parts }}
{{- end -}}

{{/* `yes` if there is a resource. */}}
{{- define "cellgate.hasTelemetry" -}}
{{- if include "cellgate.telemetryParts" . | fromJsonArray }}yes{{ end -}}
{{- end -}}

{{/* The side of a proxy that sees the decision: only that one is traced and logged with it. A gateway has one side, and istiod
treats a waypoint as such. Takes a dict of `attach`. */}}
{{- define "cellgate.telemetryMode" -}}
{{- if eq .attach.type "sidecar-inbound" }}SERVER{{ else if eq .attach.type "sidecar-outbound" }}CLIENT{{ end -}}
{{- end -}}

{{/* The custom tags. Istio's Telemetry has `formatter` since 1.29; before that, the routing header tells the cell, and a request
that no cell got has the tag `none`. If the version is unknown, it is taken to be a newer one. */}}
{{- define "cellgate.customTags" -}}
{{- $version := include "cellgate.istioVersion" . -}}
{{- $tags := dict -}}
{{- if and $version (semverCompare "<1.29.0" (printf "%s.0" $version)) -}}
{{- $_ := set $tags "cellgate.cell" (dict "header" (dict "name" (lower .Values.config.routing_header) "defaultValue" "none")) -}}
{{- else -}}
{{- $_ := set $tags "cellgate.cell" (dict "header" (dict "name" (lower .Values.config.routing_header))) -}}
{{- $_ := set $tags "cellgate.filter" (dict "formatter" (dict "value" "%FILTER_STATE(wasm.cellgate:PLAIN)%")) -}}
{{- if .Values.extProc.enabled -}}
{{- $_ := set $tags "cellgate.service.reason" (dict "formatter" (dict "value" "%DYNAMIC_METADATA(cellgate:reason)%")) -}}
{{- $_ := set $tags "cellgate.service.cell" (dict "formatter" (dict "value" "%DYNAMIC_METADATA(cellgate:cell)%")) -}}
{{- end -}}
{{- end -}}
{{- toYaml (merge (deepCopy .Values.istio.telemetry.tracing.customTags) $tags) -}}
{{- end -}}

{{/* The lines of MeshConfig for the providers that the values name. */}}
{{- define "cellgate.telemetryProviders" -}}
{{- with .Values.istio.telemetry -}}
{{- $providers := list -}}
{{- if and .tracing.enabled .tracing.provider -}}
{{- $providers = append $providers (dict "name" .tracing.provider "opentelemetry" (dict "service" "COLLECTOR.NAMESPACE.svc.cluster.local" "port" 4317)) -}}
{{- end -}}
{{- if and .accessLog.enabled .accessLog.provider -}}
{{- $labels := $.Files.Get "files/access-log.json" | default "{}" | fromJson -}}
{{- $providers = append $providers (dict "name" .accessLog.provider "envoyFileAccessLog" (dict "path" "/dev/stdout" "logFormat" (dict "labels" $labels))) -}}
{{- end -}}
{{- if $providers -}}
{{- toYaml (dict "extensionProviders" $providers) -}}
{{- end -}}
{{- end -}}
{{- end -}}
