{{/* Wrong values end the installation, all of them at once: one line each, that names the value and says what to do.
Each check prints its lines, or nothing. What the JSON Schema can say (types, words) is said there. */}}
{{- define "cellgate.validate" -}}
{{- $errors := list -}}
{{- range list "cells" "traffic" "config" "headers" "places" "policy" "limits" "routes" "cors" "filter" "module" "extProc" "mtls" "preflight" -}}
{{- $errors = concat $errors (include (printf "cellgate.check.%s" .) $ | splitList "\n" | compact) -}}
{{- end -}}
{{- if $errors -}}
{{- $lines := list "wrong values" -}}
{{- range uniq $errors -}}
{{- $lines = append $lines (printf "cellgate: %s" .) -}}
{{- end -}}
{{- join "\n" $lines | fail -}}
{{- end -}}
{{- end -}}

{{- define "cellgate.check.cells" -}}
{{- range $name := keys (default dict .Values.commonAnnotations) | sortAlpha -}}
{{- if hasPrefix "helm.sh/" $name -}}
{{- printf "commonAnnotations: leave %s out; helm reads it, and every object would become a hook" $name | println -}}
{{- end -}}
{{- end -}}
{{- $hosts := dict -}}
{{- $namespaces := dict -}}
{{- $drained := 0 -}}
{{- range $name, $values := .Values.cells -}}
{{- $cell := default dict $values -}}
{{- $path := printf "cells.%s" $name -}}
{{- if or (not (include "cellgate.isLabel" $name)) (eq $name "default") -}}
{{- printf "%s: give it another name, of small letters, digits and `-`; `default` has a meaning of its own" $path | println -}}
{{- end -}}
{{- if not $cell.host -}}
{{- printf "%s.host: say the full name of its service, for example api.%s.svc.cluster.local" $path $name | println -}}
{{- else if not (contains "." (toString $cell.host)) -}}
{{- printf "%s.host: say the service's full name instead of %s: Istio reads a short one differently in each namespace" $path $cell.host | println -}}
{{- else if not (include "cellgate.cellNamespace" $cell) -}}
{{- printf "%s.namespace: say the namespace for its policies, because %s does not" $path $cell.host | println -}}
{{- end -}}
{{- if not (include "cellgate.isPort" $cell.port) -}}
{{- printf "%s.port: say the port of its service, 1 to 65535" $path | println -}}
{{- end -}}
{{- with $cell.host -}}
{{- if hasKey $hosts . -}}
{{- printf "%s.host: %s belongs to %s already; give each cell a service of its own" $path . (index $hosts .) | println -}}
{{- end -}}
{{- $_ := set $hosts . $name -}}
{{- end -}}
{{- /* Policies without a selector are for the whole namespace, so there can be one cell in it. */}}
{{- $place := printf "%s %s" (include "cellgate.cellNamespace" $cell) (toJson $cell.workload) -}}
{{- if and $.Values.mtls.enabled (hasKey $namespaces $place) -}}
{{- printf "%s.workload: say the labels of its pods, other ones than those of %s in the same namespace" $path (index $namespaces $place) | println -}}
{{- end -}}
{{- $_ := set $namespaces $place $name -}}
{{- with $cell.mirror -}}
{{- include "cellgate.checkCell" (dict "root" $ "path" (printf "%s.mirror.cell" $path) "cell" .cell) -}}
{{- if eq (toString .cell) $name -}}
{{- printf "%s.mirror.cell: name another cell; this one has the request already" $path | println -}}
{{- end -}}
{{- if and (hasKey . "percent") (or (lt (float64 .percent) 0.0) (gt (float64 .percent) 100.0)) -}}
{{- printf "%s.mirror.percent: say 0 to 100, not %v" $path .percent | println -}}
{{- end -}}
{{- end -}}
{{- with $cell.versions -}}
{{- $sum := 0 -}}
{{- $names := list -}}
{{- range . -}}
{{- $sum = add $sum (int64 .weight) -}}
{{- if has .name $names -}}
{{- printf "%s.versions: %s is there twice; give each version a name of its own" $path .name | println -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- if not (and .name .labels) -}}
{{- printf "%s.versions: give each version a name and the labels of its pods" $path | println -}}
{{- end -}}
{{- end -}}
{{- if ne (int64 $sum) 100 -}}
{{- printf "%s.versions: the weights add up to %d; make it 100" $path $sum | println -}}
{{- end -}}
{{- end -}}
{{- if $cell.drain -}}
{{- $drained = add1 $drained -}}
{{- end -}}
{{- end -}}
{{- if not .Values.cells -}}
{{- println "cells: name at least one cell, with its host and port" -}}
{{- else if eq (int $drained) (len .Values.cells) -}}
{{- println "cells: leave at least one cell undrained, or the slots have nowhere to go" -}}
{{- end -}}
{{- end -}}

{{/* `traffic`, and each cell where it differs: what is wrong for all cells is said once. */}}
{{- define "cellgate.check.traffic" -}}
{{- include "cellgate.check.times" (dict "path" "traffic" "traffic" .Values.traffic) -}}
{{- range $name, $values := .Values.cells -}}
{{- if pick (default dict $values) "timeout" "idleTimeout" "retries" -}}
{{- $traffic := include "cellgate.traffic" (dict "root" $ "cell" $name) | fromJson -}}
{{- include "cellgate.check.times" (dict "path" (printf "cells.%s" $name) "traffic" $traffic) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Takes a dict of `path` and `traffic`. */}}
{{- define "cellgate.check.times" -}}
{{- $retries := default dict .traffic.retries -}}
{{- $timeout := include "cellgate.milliseconds" .traffic.timeout -}}
{{- $perTry := include "cellgate.milliseconds" $retries.perTryTimeout -}}
{{- if not $timeout -}}
{{- printf "%s.timeout: %v is no duration; write 30s, 500ms or 1m30s, or 0s for none" .path .traffic.timeout | println -}}
{{- end -}}
{{- if and .traffic.idleTimeout (not (include "cellgate.milliseconds" .traffic.idleTimeout)) -}}
{{- printf "%s.idleTimeout: %v is no duration; write 5m, 30s or 1m30s, or 0s for none" .path .traffic.idleTimeout | println -}}
{{- end -}}
{{- if and $retries.perTryTimeout (int64 $retries.attempts) -}}
{{- if not $perTry -}}
{{- printf "%s.retries.perTryTimeout: %v is no duration; write 10s, 500ms or 1m30s, or leave it empty for none" .path $retries.perTryTimeout | println -}}
{{- else if and $timeout (int64 $timeout) (gt (int64 $perTry) (int64 $timeout)) -}}
{{- printf "%s.retries.perTryTimeout: make %s shorter than the timeout of %s, or no try ends early enough for another" .path $retries.perTryTimeout .traffic.timeout | println -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cellgate.check.routes" -}}
{{- range $path, $hosts := dict "routes.hosts" .Values.routes.hosts "test.host" (list .Values.test.host) -}}
{{- range $hosts -}}
{{- if not (or (eq "*" (toString .)) (include "cellgate.isHostName" (lower (toString .) | trimPrefix "*."))) -}}
{{- printf "%s: %v is no host name; write api.example.com or *.example.com, without a port" $path . | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (gt (include "cellgate.hosts" . | fromJsonArray | len) 64) (not (hasKey (default dict .Values.config.applies_to) "hosts")) -}}
{{- println "routes.hosts: these are more than 64 names, a service in the mesh having four and helm test one; say fewer with `*.`, or config.applies_to.hosts" -}}
{{- end -}}
{{- with .Values.routes -}}
{{- if .enabled -}}
{{- if not .hosts -}}
{{- println "routes.hosts: name the hosts that the gateways serve, for example [api.example.com]" -}}
{{- end -}}
{{- if and (eq .api "istio") (not .gateways) -}}
{{- println "routes.gateways: name the Istio Gateways as namespace/name, or mesh for sidecars" -}}
{{- end -}}
{{- if and (eq .api "gateway-api") (not .parentRefs) -}}
{{- println "routes.parentRefs: name the Gateways that take the HTTPRoute, for example [{ name: public, namespace: istio-ingress }]" -}}
{{- end -}}
{{- if .undecided.cell -}}
{{- include "cellgate.checkCell" (dict "root" $ "path" "routes.undecided.cell" "cell" .undecided.cell) -}}
{{- else if or (lt (int64 .undecided.reject) 400) (gt (int64 .undecided.reject) 599) -}}
{{- printf "routes.undecided.reject: say a status from 400 to 599, not %v" .undecided.reject | println -}}
{{- end -}}
{{- if eq .api "gateway-api" -}}
{{- if .extra -}}
{{- println "routes.extra: these are entries of a VirtualService; use routes.api istio, or an HTTPRoute of your own" -}}
{{- end -}}
{{- range $name, $values := $.Values.cells -}}
{{- $cell := default dict $values -}}
{{- if not (regexMatch "^[^.]+[.][^.]+[.]svc[.]" (toString $cell.host)) -}}
{{- printf "cells.%s.host: an HTTPRoute needs a Kubernetes service, SERVICE.NAMESPACE.svc.cluster.local" $name | println -}}
{{- end -}}
{{- if $cell.versions -}}
{{- printf "cells.%s.versions: an HTTPRoute has no subsets; use routes.api istio" $name | println -}}
{{- end -}}
{{- if $cell.fault -}}
{{- printf "cells.%s.fault: an HTTPRoute injects no faults; use routes.api istio" $name | println -}}
{{- end -}}
{{- if lt (float64 (default 100 (default dict $cell.mirror).percent)) 100.0 -}}
{{- printf "cells.%s.mirror.percent: an HTTPRoute mirrors all requests; use routes.api istio" $name | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cellgate.check.mtls" -}}
{{- range $path, $accounts := dict "mtls.callers" .Values.mtls.callers "monitoring.scrapers" .Values.monitoring.scrapers -}}
{{- range $accounts -}}
{{- $parts := splitList "/" (toString .) -}}
{{- if not (and (eq 2 (len $parts)) (include "cellgate.isLabel" (first $parts)) (include "cellgate.isHostName" (last $parts))) -}}
{{- printf "%s: write %v as namespace/serviceaccount, without wildcards" $path . | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (include "cellgate.isHostName" .Values.mtls.trustDomain) -}}
{{- printf "mtls.trustDomain: %v is no trust domain; say the mesh's, for example cluster.local" .Values.mtls.trustDomain | println -}}
{{- end -}}
{{- end -}}

{{/* A line if `cell` is none of the cells. Takes a dict of `root`, `path` and `cell`. */}}
{{- define "cellgate.checkCell" -}}
{{- if not (hasKey .root.Values.cells (toString .cell)) -}}
{{- printf "%s: %q is not one of the cells [%s]; correct it, or add the cell" .path (toString .cell) (keys .root.Values.cells | sortAlpha | join ", ") | println -}}
{{- end -}}
{{- end -}}

{{/* Not empty if the text is a DNS label: names of objects are made of it. */}}
{{- define "cellgate.isLabel" -}}
{{- if regexMatch "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$" (toString .) }}yes{{ end -}}
{{- end -}}

{{/* Not empty if the text is DNS labels with dots between them. */}}
{{- define "cellgate.isHostName" -}}
{{- if regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" (toString .) }}yes{{ end -}}
{{- end -}}

{{- define "cellgate.isPort" -}}
{{- if and . (ge (int64 .) 1) (le (int64 .) 65535) }}yes{{ end -}}
{{- end -}}
