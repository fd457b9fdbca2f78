{{/* The plan for `cellgate neighbours`, as JSON: the objects of the release that it compares with those of other
teams. docs/cli.md describes the fields. */}}
{{- define "cellgate.neighbourPlan" -}}
{{- $services := list -}}
{{- if not .Values.filter.shadow -}}
{{- range $name, $cell := .Values.cells -}}
{{- $services = append $services (dict "host" $cell.host "namespace" (include "cellgate.cellNamespace" $cell) "value" (printf "cells.%s" $name)) -}}
{{- end -}}
{{- end -}}
{{- if .Values.extProc.enabled -}}
{{- $services = append $services (dict "host" (include "cellgate.extProcHost" .) "namespace" .Release.Namespace "value" "extProc") -}}
{{- end -}}
{{- $proxies := list -}}
{{- if .Values.filter.enabled -}}
{{- range .Values.filter.attach -}}
{{- $targets := list -}}
{{- range .targetRefs -}}
{{- $targets = append $targets .name -}}
{{- end -}}
{{- $context := include "cellgate.patchContext" (dict "attach" .) -}}
{{- $proxies = append $proxies (dict "namespace" .namespace "labels" (default dict .selector) "targets" $targets "context" $context) -}}
{{- end -}}
{{- end -}}
{{- $parents := list -}}
{{- range .Values.routes.parentRefs -}}
{{- $parents = append $parents (printf "%s/%s" (default $.Release.Namespace .namespace) .name) -}}
{{- end -}}
{{- $istio := eq .Values.routes.api "istio" -}}
{{- $plan := dict
  "release" .Release.Name
  "namespace" .Release.Namespace
  "name" (include "cellgate.fullname" .)
  "routing_header" (lower .Values.config.routing_header)
  "hosts" (ternary .Values.routes.hosts list .Values.routes.enabled)
  "gateways" (ternary .Values.routes.gateways list $istio)
  "parents" (ternary list $parents $istio)
  "services" $services
  "proxies" $proxies
  "inspect_bytes" (include "cellgate.inspectBytes" . | int64)
  "streams" (include "cellgate.usesStreaming" . | eq "true")
  "priority" (int64 .Values.filter.priority)
  "istio_namespace" .Values.istio.namespace
  "istio_version" (include "cellgate.istioVersion" .)
  "telemetry" (include "cellgate.telemetryParts" . | fromJsonArray)
  "accepted" .Values.neighbours.accept
-}}
{{ toJson $plan }}
{{- end -}}

{{/* `true` if the filter calls the service in the mode FULL_DUPLEX_STREAMED. */}}
{{- define "cellgate.usesStreaming" -}}
{{ and .Values.extProc.enabled (not .Values.filter.shadow) (ne (toString .Values.extProc.bodyMode) "buffer") }}
{{- end -}}
