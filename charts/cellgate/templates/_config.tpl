{{/* Cellgate's configuration. Both tiers get this text, so they have the same configuration. */}}

{{- define "cellgate.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "cells" (keys .Values.cells | sortAlpha) -}}
{{- $weights := include "cellgate.slotWeights" . | fromJson -}}
{{- if $weights -}}
{{- /* Not `merge`, which treats a weight of 0 as missing. */}}
{{- $_ := set $config.placement "slots" (set (default dict $config.placement.slots) "weights" $weights) -}}
{{- end -}}
{{- $scope := default dict $config.applies_to -}}
{{- $hosts := include "cellgate.hosts" . | fromJsonArray -}}
{{- if and $hosts (not (hasKey $scope "hosts")) -}}
{{- $_ := set $config "applies_to" (set $scope "hosts" $hosts) -}}
{{- end -}}
{{- /* The solver of certificate challenges has its own routes for the host, and its requests have no key. */ -}}
{{- if not (hasKey $scope "except") -}}
{{- $_ := set $config "applies_to" (set $scope "except" (dict "paths" (list "/.well-known/acme-challenge/"))) -}}
{{- end -}}
{{- /* Other hosts may belong to other teams. */ -}}
{{- $policy := default dict $config.policy -}}
{{- if and (hasKey $scope "hosts") (not (hasKey $policy "host_excluded")) -}}
{{- $_ := set $config "policy" (set $policy "host_excluded" "pass") -}}
{{- end -}}
{{- if not (or .Values.extProc.enabled .Values.filter.shadow) -}}
{{- $_ := set $config "policy" (include "cellgate.policyWithoutDeferral" $config.policy | fromJson) -}}
{{- end -}}
{{- if and (include "cellgate.leases" .) (not (hasKey $config "sync")) -}}
{{- $_ := set $config "sync" (dict "cluster" (include "cellgate.extProcClusterName" .)) -}}
{{- end -}}
{{ toJson $config }}
{{- end -}}

{{/* The hosts whose requests are decided, as JSON: routes.hosts, and the host of `helm test`. Requests for other
hosts pass without routing headers. Empty, and so all hosts, if routes.hosts is empty or contains `*`. It does not
depend on routes.enabled, because the routes may be written elsewhere.

A service has several names inside the mesh, and Istio's routes match all of them. */}}
{{- define "cellgate.hosts" -}}
{{- $hosts := list -}}
{{- if and .Values.routes.hosts (not (has "*" .Values.routes.hosts)) -}}
{{- range .Values.routes.hosts -}}
{{- $hosts = concat $hosts (lower . | include "cellgate.hostAliases" | fromJsonArray) -}}
{{- end -}}
{{- if .Values.test.enabled -}}
{{- $hosts = append $hosts (lower .Values.test.host) -}}
{{- end -}}
{{- end -}}
{{ uniq $hosts | toJson }}
{{- end -}}

{{/* All names of a host, as JSON. Takes a host in lower case. */}}
{{- define "cellgate.hostAliases" -}}
{{- $names := list . -}}
{{- if hasSuffix ".svc.cluster.local" . -}}
{{- $name := trimSuffix ".svc.cluster.local" . -}}
{{- $names = concat $names (list (printf "%s.svc" $name) $name (splitList "." $name | first)) -}}
{{- end -}}
{{ toJson $names }}
{{- end -}}

{{/* Slot weights as JSON: the configured weights, with 0 for drained cells. Empty while no cell is drained: then
Cellgate's defaults are the same. */}}
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

{{/* The policy without deferrals, as JSON: without the service, the filter rejects these requests with the status
that the service would use. Takes the configured policy. */}}
{{- define "cellgate.policyWithoutDeferral" -}}
{{- $policy := default dict . | deepCopy -}}
{{- range $reason, $status := dict "body_encoded" 415 "body_too_large" 413 "body_length_unknown" 411 -}}
{{- if has (get $policy $reason) (list "" "defer") -}}
{{- $_ := set $policy $reason (dict "reject" $status) -}}
{{- end -}}
{{- end -}}
{{ toJson $policy }}
{{- end -}}

{{/* `true` if an attached filter defers to the service. The sidecar of a cell does not: the shared service does not
know the sidecar's cell and could choose another one. Takes a dict of `root` and `attach`. */}}
{{- define "cellgate.defers" -}}
{{ and .root.Values.extProc.enabled (not .attach.cell) }}
{{- end -}}

{{/* The configuration of one attached filter. Takes a dict of `root` and `attach`.

Behind a gateway the request already has a decision. A sidecar accepts the decision of a trusted identity instead of
reading the body again, and checks that the decision names its own cell. This needs mTLS. A waypoint cannot see the
identity, because the tunnel ends before the filter: it decides again, with the same result. In shadow mode the
policy keeps its deferrals, so that the log shows them. */}}
{{- define "cellgate.filterConfig" -}}
{{- $config := include "cellgate.config" .root | fromJson -}}
{{- /* A waypoint or a workload's own sidecar only receives requests for its service, under any name. */ -}}
{{- if has .attach.type (list "sidecar-inbound" "waypoint") -}}
{{- $_ := set $config "applies_to" (omit (default dict $config.applies_to) "hosts") -}}
{{- end -}}
{{- if .root.Values.filter.shadow -}}
{{- $_ := set $config "shadow" true -}}
{{- else if ne "true" (include "cellgate.defers" .) -}}
{{- $_ := set $config "policy" (include "cellgate.policyWithoutDeferral" $config.policy | fromJson) -}}
{{- /* Only the service counts. The gateway has counted the requests of a cell's sidecar. */ -}}
{{- $config = omit $config "rate_limits" "concurrency_limits" "sync" -}}
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

{{/* Not empty if a source of the routing key is a claim, or if a limit reads one. Then it is the paths of these
values, in the form `config.key and config.rate_limits`. */}}
{{- define "cellgate.readsClaims" -}}
{{- $paths := list -}}
{{- range .Values.config.key -}}
{{- if hasKey . "claim" -}}
{{- $paths = append $paths "config.key" -}}
{{- end -}}
{{- end -}}
{{- range $section := list "rate_limits" "concurrency_limits" -}}
{{- range index $.Values.config $section -}}
{{- /* The parts of a key may be words. `plan_from` and `limit_from` are always claims. */ -}}
{{- $places := list .cost .plan_from .limit_from -}}
{{- range .key -}}
{{- $places = append $places . -}}
{{- end -}}
{{- range $places -}}
{{- if and (kindIs "map" .) (hasKey (default dict .) "claim") -}}
{{- $paths = append $paths (printf "config.%s" $section) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ uniq $paths | join " and " }}
{{- end -}}

{{/* `limits.inspect_bytes` in bytes. The fallback 32KiB is Cellgate's default. */}}
{{- define "cellgate.inspectBytes" -}}
{{ include "cellgate.bytes" (default "32KiB" (default dict .Values.config.limits).inspect_bytes) }}
{{- end -}}
