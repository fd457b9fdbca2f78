{{/* Leases of rate limits: the proxies spend units that the service has charged in advance (docs/rate-limits.md). */}}

{{/* `true` if a limit is leased. */}}
{{- define "cellgate.leases" -}}
{{- $leases := "" -}}
{{- range .Values.config.rate_limits -}}
{{- if eq "true" (toString .lease) -}}
{{- $leases = "true" -}}
{{- end -}}
{{- end -}}
{{ $leases }}
{{- end -}}

{{/* Envoy's cluster of the service, as Istio names it. The filter calls it by this name too. */}}
{{- define "cellgate.extProcClusterName" -}}
outbound|50051||{{ include "cellgate.extProcHost" . }}
{{- end -}}
