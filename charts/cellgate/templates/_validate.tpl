{{/* Values that are not valid stop the installation. The message has one line for each problem, with the path of
the value and the remedy. Each check prints its lines, or nothing. The JSON Schema checks types and allowed words. */}}
{{- define "cellgate.validate" -}}
{{- $errors := list -}}
{{- range list "cells" "traffic" "config" "headers" "placement" "policy" "limits" "routes" "cors" "filter" "module" "extProc" "limitStore" "leases" "tracing" "mtls" "telemetry" "preflight" -}}
{{- $errors = concat $errors (include (printf "cellgate.check.%s" .) $ | splitList "\n" | compact) -}}
{{- end -}}
{{- if $errors -}}
{{- $lines := list "these values are not valid:" -}}
{{- range uniq $errors -}}
{{- $lines = append $lines (printf "cellgate: %s" .) -}}
{{- end -}}
{{- join "\n" $lines | fail -}}
{{- end -}}
{{- end -}}

{{- define "cellgate.check.cells" -}}
{{- range $name := keys (default dict .Values.commonAnnotations) | sortAlpha -}}
{{- if hasPrefix "helm.sh/" $name -}}
{{- printf "commonAnnotations: remove %s; Helm would treat every object of the release as a hook" $name | println -}}
{{- end -}}
{{- end -}}
{{- $hosts := dict -}}
{{- $namespaces := dict -}}
{{- $drained := 0 -}}
{{- range $name, $values := .Values.cells -}}
{{- $cell := default dict $values -}}
{{- $path := printf "cells.%s" $name -}}
{{- if or (not (include "cellgate.isLabel" $name)) (eq $name "default") -}}
{{- printf "%s: this name is not allowed; use lower-case letters, digits and `-`, and not `default`, which config.policy reserves" $path | println -}}
{{- end -}}
{{- if not $cell.host -}}
{{- printf "%s.host: this value is required; set the full name of the cell's service, for example api.%s.svc.cluster.local" $path $name | println -}}
{{- else if not (contains "." (toString $cell.host)) -}}
{{- printf "%s.host: %s is a short name, which Istio completes differently in each namespace; set the full name, for example api.NAMESPACE.svc.cluster.local" $path $cell.host | println -}}
{{- else if not (include "cellgate.cellNamespace" $cell) -}}
{{- printf "%s.namespace: this value is required, because the host %s does not contain a namespace; set the namespace for the cell's policies" $path $cell.host | println -}}
{{- end -}}
{{- if not (include "cellgate.isPort" $cell.port) -}}
{{- printf "%s.port: the port is missing or out of range; set the port of the cell's service, 1 to 65535" $path | println -}}
{{- end -}}
{{- with $cell.host -}}
{{- if hasKey $hosts . -}}
{{- printf "%s.host: %s is already the host of %s; give each cell its own service" $path . (index $hosts .) | println -}}
{{- end -}}
{{- $_ := set $hosts . $name -}}
{{- end -}}
{{- /* A policy without a selector applies to the whole namespace, so only one cell can be in it. */}}
{{- $place := printf "%s %s" (include "cellgate.cellNamespace" $cell) (toJson $cell.workload) -}}
{{- if and $.Values.mtls.enabled (hasKey $namespaces $place) -}}
{{- printf "%s.workload: %s has the same namespace and the same labels; set labels that select only this cell's pods" $path (index $namespaces $place) | println -}}
{{- end -}}
{{- $_ := set $namespaces $place $name -}}
{{- with $cell.mirror -}}
{{- include "cellgate.checkCell" (dict "root" $ "path" (printf "%s.mirror.cell" $path) "cell" .cell) -}}
{{- if eq (toString .cell) $name -}}
{{- printf "%s.mirror.cell: a cell cannot mirror to itself; name another cell" $path | println -}}
{{- end -}}
{{- if and (hasKey . "percent") (or (lt (float64 .percent) 0.0) (gt (float64 .percent) 100.0)) -}}
{{- printf "%s.mirror.percent: %v is out of range; use 0 to 100" $path .percent | println -}}
{{- end -}}
{{- end -}}
{{- with $cell.versions -}}
{{- $sum := 0 -}}
{{- $names := list -}}
{{- range . -}}
{{- $sum = add $sum (int64 .weight) -}}
{{- if has .name $names -}}
{{- printf "%s.versions: the name %s appears twice; give each version a different name" $path .name | println -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- if not (and .name .labels) -}}
{{- printf "%s.versions: a version has no name or no labels; set both, with the labels of the version's pods" $path | println -}}
{{- end -}}
{{- end -}}
{{- if ne (int64 $sum) 100 -}}
{{- printf "%s.versions: the weights add up to %d; they must add up to 100" $path $sum | println -}}
{{- end -}}
{{- end -}}
{{- if $cell.drain -}}
{{- $drained = add1 $drained -}}
{{- end -}}
{{- end -}}
{{- if not .Values.cells -}}
{{- println "cells: this value is required; add at least one cell with its host and port" -}}
{{- else if eq (int $drained) (len .Values.cells) -}}
{{- println "cells: every cell has drain: true, so no cell can take the slots; set drain: false for at least one cell" -}}
{{- end -}}
{{- end -}}

{{/* Timeouts of `traffic`, and of each cell that overrides them, so that a problem of all cells is reported once. */}}
{{- define "cellgate.check.traffic" -}}
{{- include "cellgate.check.timeouts" (dict "path" "traffic" "traffic" .Values.traffic) -}}
{{- range $name, $values := .Values.cells -}}
{{- if pick (default dict $values) "timeout" "idleTimeout" "retries" -}}
{{- $traffic := include "cellgate.traffic" (dict "root" $ "cell" $name) | fromJson -}}
{{- include "cellgate.check.timeouts" (dict "path" (printf "cells.%s" $name) "traffic" $traffic) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Takes a dict of `path` and `traffic`. */}}
{{- define "cellgate.check.timeouts" -}}
{{- $retries := default dict .traffic.retries -}}
{{- $timeout := include "cellgate.milliseconds" .traffic.timeout -}}
{{- $perTry := include "cellgate.milliseconds" $retries.perTryTimeout -}}
{{- if not $timeout -}}
{{- printf "%s.timeout: %v is not a valid duration; write for example 30s, 500ms or 1m30s, or 0s for no timeout" .path .traffic.timeout | println -}}
{{- end -}}
{{- if and .traffic.idleTimeout (not (include "cellgate.milliseconds" .traffic.idleTimeout)) -}}
{{- printf "%s.idleTimeout: %v is not a valid duration; write for example 5m, 30s or 1m30s, or 0s for no timeout" .path .traffic.idleTimeout | println -}}
{{- end -}}
{{- if and $retries.perTryTimeout (int64 $retries.attempts) -}}
{{- if not $perTry -}}
{{- printf "%s.retries.perTryTimeout: %v is not a valid duration; write for example 10s, 500ms or 1m30s, or leave it empty for no timeout" .path $retries.perTryTimeout | println -}}
{{- else if and $timeout (int64 $timeout) (gt (int64 $perTry) (int64 $timeout)) -}}
{{- printf "%s.retries.perTryTimeout: %s is longer than the timeout of the whole request (%s), so there would be no retry; make it shorter" .path $retries.perTryTimeout .traffic.timeout | println -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cellgate.check.routes" -}}
{{- range $path, $hosts := dict "routes.hosts" .Values.routes.hosts "test.host" (list .Values.test.host) -}}
{{- range $hosts -}}
{{- if not (or (eq "*" (toString .)) (include "cellgate.isHostName" (lower (toString .) | trimPrefix "*."))) -}}
{{- printf "%s: %v is not a valid host name; write for example api.example.com or *.example.com, without a port" $path . | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (gt (include "cellgate.hosts" . | fromJsonArray | len) 64) (not (hasKey (default dict .Values.config.applies_to) "hosts")) -}}
{{- println "routes.hosts: the filter accepts at most 64 names (a service of the mesh has four, the host of helm test is one); combine hosts as `*.example.com`, or set config.applies_to.hosts" -}}
{{- end -}}
{{- with .Values.routes -}}
{{- if .enabled -}}
{{- if not .hosts -}}
{{- println "routes.hosts: this value is required; list the host names that the gateways serve, for example [api.example.com]" -}}
{{- end -}}
{{- if and (eq .api "istio") (not .gateways) -}}
{{- println "routes.gateways: this value is required; list the Istio Gateways as namespace/name, or mesh for sidecars" -}}
{{- end -}}
{{- if and (eq .api "gateway-api") (not .parentRefs) -}}
{{- println "routes.parentRefs: this value is required with routes.api gateway-api; list the Gateways of the HTTPRoute, for example [{ name: public, namespace: istio-ingress }]" -}}
{{- end -}}
{{- if .undecided.cell -}}
{{- include "cellgate.checkCell" (dict "root" $ "path" "routes.undecided.cell" "cell" .undecided.cell) -}}
{{- else if not .undecided.reject -}}
{{- println "routes.undecided: this value is required; set reject to a status from 400 to 599, or cell to one of the cells" -}}
{{- else if or (lt (int64 .undecided.reject) 400) (gt (int64 .undecided.reject) 599) -}}
{{- printf "routes.undecided.reject: %v is not a status from 400 to 599; set one, or set routes.undecided.cell" .undecided.reject | println -}}
{{- end -}}
{{- if .rateLimitFields -}}
{{- if eq .api "gateway-api" -}}
{{- println "routes.rateLimitFields: the fields need a VirtualService, and routes.api is gateway-api; set routes.api to istio, or set routes.rateLimitFields to false" -}}
{{- else if not $.Values.config.rate_limits -}}
{{- println "routes.rateLimitFields: there is no limit in config.rate_limits, so there is nothing to show; set it to false, or add a limit" -}}
{{- end -}}
{{- end -}}
{{- if eq .api "gateway-api" -}}
{{- if .extra -}}
{{- println "routes.extra: its entries need a VirtualService, and routes.api is gateway-api; set routes.api to istio, or write your own HTTPRoute" -}}
{{- end -}}
{{- range $name, $values := $.Values.cells -}}
{{- $cell := default dict $values -}}
{{- if not (regexMatch "^[^.]+[.][^.]+[.]svc[.]" (toString $cell.host)) -}}
{{- printf "cells.%s.host: an HTTPRoute can only name a Kubernetes service; set SERVICE.NAMESPACE.svc.cluster.local, or set routes.api to istio" $name | println -}}
{{- end -}}
{{- if $cell.versions -}}
{{- printf "cells.%s.versions: an HTTPRoute cannot name subsets; set routes.api to istio, or remove the versions" $name | println -}}
{{- end -}}
{{- if $cell.fault -}}
{{- printf "cells.%s.fault: an HTTPRoute cannot inject faults; set routes.api to istio, or remove the fault" $name | println -}}
{{- end -}}
{{- if lt (float64 (default 100 (default dict $cell.mirror).percent)) 100.0 -}}
{{- printf "cells.%s.mirror.percent: an HTTPRoute can only mirror all requests; set routes.api to istio, or the percentage to 100" $name | println -}}
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
{{- printf "%s: %v is not a valid identity; write namespace/serviceaccount, without wildcards" $path . | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (include "cellgate.isHostName" .Values.mtls.trustDomain) -}}
{{- printf "mtls.trustDomain: %v is not a valid trust domain; set the trust domain of the mesh, for example cluster.local" .Values.mtls.trustDomain | println -}}
{{- end -}}
{{- end -}}

{{/* Prints a line if `cell` is not one of the cells. Without any cells, cellgate.check.cells reports that alone.
Takes a dict of `root`, `path` and `cell`. */}}
{{- define "cellgate.checkCell" -}}
{{- if and .root.Values.cells (not (hasKey .root.Values.cells (toString .cell))) -}}
{{- printf "%s: %q is not one of the cells [%s]; correct the name, or add the cell to cells" .path (toString .cell) (keys .root.Values.cells | sortAlpha | join ", ") | println -}}
{{- end -}}
{{- end -}}

{{/* Prints `yes` if the text is a DNS label: names of objects contain it. */}}
{{- define "cellgate.isLabel" -}}
{{- if regexMatch "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$" (toString .) }}yes{{ end -}}
{{- end -}}

{{/* Prints `yes` if the text is one or more DNS labels with dots between them. */}}
{{- define "cellgate.isHostName" -}}
{{- if regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$" (toString .) }}yes{{ end -}}
{{- end -}}

{{- define "cellgate.isPort" -}}
{{- if and . (ge (int64 .) 1) (le (int64 .) 65535) }}yes{{ end -}}
{{- end -}}
