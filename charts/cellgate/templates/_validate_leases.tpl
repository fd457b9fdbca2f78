{{/* Checks of leases of rate limits. */}}

{{- define "cellgate.check.leases" -}}
{{- if include "cellgate.leases" . -}}
{{- $cluster := include "cellgate.extProcClusterName" . -}}
{{- if not (hasKey .Values.config "sync") -}}
{{- if gt (len $cluster) 115 -}}
{{- printf "config.rate_limits: a filter cannot lease from the cluster %s, whose name has %d bytes and not at most 115; shorten fullnameOverride or the namespace, or remove lease" $cluster (len $cluster) | println -}}
{{- end -}}
{{- end -}}
{{- if and .Values.extProc.enabled (not .Values.extProc.limitStore.url) (gt (include "cellgate.maxReplicas" . | int64) 1) -}}
{{- printf "config.rate_limits: a lease is lost when Envoy calls another of the %s replicas, because they share no store; set extProc.limitStore, or one replica, or remove lease" (include "cellgate.maxReplicas" .) | println -}}
{{- end -}}
{{- with .Values.extProc -}}
{{- $term := include "cellgate.milliseconds" .leaseTerm -}}
{{- $interval := include "cellgate.milliseconds" .syncInterval -}}
{{- if not $term -}}
{{- printf "extProc.leaseTerm: %v is not a valid duration; write for example 10s" .leaseTerm | println -}}
{{- else if or (lt (int64 $term) 1000) (gt (int64 $term) 60000) -}}
{{- printf "extProc.leaseTerm: %s is out of range; use 1s to 60s" .leaseTerm | println -}}
{{- end -}}
{{- if not $interval -}}
{{- printf "extProc.syncInterval: %v is not a valid duration; write for example 1s" .syncInterval | println -}}
{{- else if or (lt (int64 $interval) 100) (gt (int64 $interval) 10000) -}}
{{- printf "extProc.syncInterval: %s is out of range; use 100ms to 10s" .syncInterval | println -}}
{{- else if and $term (le (int64 $term) (int64 $interval | mul 2)) -}}
{{- printf "extProc.leaseTerm: %s is not more than twice extProc.syncInterval (%s), so leases would end when one call is lost; raise it, or lower extProc.syncInterval" .leaseTerm .syncInterval | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
