{{/* Cellgate's configuration. Both tiers get what is printed here, so they cannot differ. */}}

{{- define "cellgate.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "cells" (keys .Values.cells | sortAlpha) -}}
{{- $weights := include "cellgate.slotWeights" . | fromJson -}}
{{- if $weights -}}
{{- /* `set`, not `merge`, which takes a weight of 0 for a missing one. */}}
{{- $_ := set $config.placement "slots" (set (default dict $config.placement.slots) "weights" $weights) -}}
{{- end -}}
{{- $scope := default dict $config.applies_to -}}
{{- $hosts := include "cellgate.hosts" . | fromJsonArray -}}
{{- if and $hosts (not (hasKey $scope "hosts")) -}}
{{- $_ := set $config "applies_to" (set $scope "hosts" $hosts) -}}
{{- end -}}
{{- /* The solver of a certificate challenge has routes of its own on the host, and no tenant. */ -}}
{{- if not (hasKey $scope "except") -}}
{{- $_ := set $config "applies_to" (set $scope "except" (dict "paths" (list "/.well-known/acme-challenge/"))) -}}
{{- end -}}
{{- /* Other hosts are other people's. */ -}}
{{- $policy := default dict $config.policy -}}
{{- if and (hasKey $scope "hosts") (not (hasKey $policy "host_excluded")) -}}
{{- $_ := set $config "policy" (set $policy "host_excluded" "pass") -}}
{{- end -}}
{{- if not (or .Values.extProc.enabled .Values.filter.shadow) -}}
{{- $_ := set $config "policy" (include "cellgate.lastAnswers" $config.policy | fromJson) -}}
{{- end -}}
{{ toJson $config }}
{{- end -}}

{{/* The hosts whose requests are decided, as JSON: those of the routes, and the probe's. Whatever else the proxies serve passes,
without routing headers. Empty for all: none is said, or they are for every host. The routes may be somebody else's, or gone
for the moment: then the same hosts are decided as before.

A service has more than one name inside the mesh, and Istio's routes take them all. */}}
{{- define "cellgate.hosts" -}}
{{- $hosts := list -}}
{{- if and .Values.routes.hosts (not (has "*" .Values.routes.hosts)) -}}
{{- range .Values.routes.hosts -}}
{{- $hosts = append $hosts (lower .) -}}
{{- if hasSuffix ".svc.cluster.local" . -}}
{{- $name := trimSuffix ".svc.cluster.local" (lower .) -}}
{{- $hosts = concat $hosts (list (printf "%s.svc" $name) $name (splitList "." $name | first)) -}}
{{- end -}}
{{- end -}}
{{- if .Values.test.enabled -}}
{{- $hosts = append $hosts (lower .Values.test.host) -}}
{{- end -}}
{{- end -}}
{{ uniq $hosts | toJson }}
{{- end -}}

{{/* Slot weights as JSON: the configured ones, with 0 for drained cells. Empty while no cell is drained, because Cellgate's
own default says the same. */}}
{{- define "cellgate.slotWeights" -}}
{{- $weights := dict -}}
{{- $drained := false -}}
{{- $placement := default dict .Values.config.placement -}}
{{- if hasKey $placement "slots" -}}
{{- $configured := default dict (default dict $placement.slots).weights -}}
{{- range $name, $cell := .Values.cells -}}
{{- $_ := set $weights $name (ternary (index $configured $name) 1 (hasKey $configured $name)) -}}
{{- if $cell.drain -}}
{{- $drained = true -}}
{{- $_ := set $weights $name 0 -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ ternary $weights dict $drained | toJson }}
{{- end -}}

{{/* A policy that defers nothing, as JSON: what the service would answer at last, the filter answers at once. Without the
service nobody would answer its `defer`. Takes the configured policy. */}}
{{- define "cellgate.lastAnswers" -}}
{{- $policy := default dict . | deepCopy -}}
{{- range $reason, $status := dict "body_encoded" 415 "body_too_large" 413 "body_length_unknown" 411 -}}
{{- if has (get $policy $reason) (list "" "defer") -}}
{{- $_ := set $policy $reason (dict "reject" $status) -}}
{{- end -}}
{{- end -}}
{{ toJson $policy }}
{{- end -}}

{{/* `true` if an attached filter defers to the service. The sidecar of a cell does not: the service is shared, knows nothing of
that sidecar's cell, and could name another one, which the sidecar would then serve. Takes a dict of `root` and `attach`. */}}
{{- define "cellgate.defers" -}}
{{ and .root.Values.extProc.enabled (not .attach.cell) }}
{{- end -}}

{{/* The configuration of one attached filter. Takes a dict of `root` and `attach`.

Behind a gateway the request has been decided already. A sidecar takes the decision over from the identities that make one,
instead of reading the body once more, and checks that it is the cell that was meant. Without mTLS nobody has an identity.
A waypoint does not see one where the filter is, because the tunnel ends before it: it decides once more, and equally.
In shadow the log is to say what would be deferred, so the policy stays as it is. */}}
{{- define "cellgate.filterConfig" -}}
{{- $config := include "cellgate.config" .root | fromJson -}}
{{- /* A waypoint or a workload's own sidecar sees its service's requests only, by whatever name. */ -}}
{{- if has .attach.type (list "sidecar-inbound" "waypoint") -}}
{{- $_ := set $config "applies_to" (omit (default dict $config.applies_to) "hosts") -}}
{{- end -}}
{{- if .root.Values.filter.shadow -}}
{{- $_ := set $config "shadow" true -}}
{{- else if ne "true" (include "cellgate.defers" .) -}}
{{- $_ := set $config "policy" (include "cellgate.lastAnswers" $config.policy | fromJson) -}}
{{- end -}}
{{- if and .root.Values.mtls.enabled (eq .attach.type "sidecar-inbound") -}}
{{- $peers := list -}}
{{- range include "cellgate.callerPrincipals" .root | fromJsonArray -}}
{{- $peers = append $peers (printf "spiffe://%s" .) -}}
{{- end -}}
{{- $guard := dict "peers" $peers -}}
{{- with .attach.cell -}}
{{- $_ := set $guard "cell" . -}}
{{- end -}}
{{- if $peers -}}
{{- $_ := set $config "decided_by" $guard -}}
{{- end -}}
{{- end -}}
{{ toJson $config }}
{{- end -}}

{{/* `limits.inspect_bytes` in bytes; 32KiB is Cellgate's own default. */}}
{{- define "cellgate.inspectBytes" -}}
{{ include "cellgate.bytes" (default "32KiB" (default dict .Values.config.limits).inspect_bytes) }}
{{- end -}}
