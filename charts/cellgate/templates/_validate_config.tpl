{{/* Checks of `config`: problems that Cellgate would otherwise report later, in the logs of the proxies. */}}

{{- define "cellgate.check.config" -}}
{{- with .Values.config -}}
{{- if not .key -}}
{{- println "config.key: this value is required; list the sources of the routing key, for example [{ json: /tenant/id }]" -}}
{{- end -}}
{{- if not (pick (default dict .placement) "overrides" "exact" "prefixes" "slots" "default") -}}
{{- println "config.placement: this value is required; set how keys map to cells, for example { slots: {} } for equal shares by hash" -}}
{{- end -}}
{{- if not (regexMatch "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$" (toString .routing_header)) -}}
{{- printf "config.routing_header: %v is not a valid header name; use letters, digits and `-`, for example x-cell" .routing_header | println -}}
{{- end -}}
{{- $header := .routing_header | toString | lower | replace "_" "-" -}}
{{- $sources := list -}}
{{- range $i, $source := .key -}}
{{- if hasKey $source "header" -}}
{{- $source = dict "header" (lower (toString $source.header)) -}}
{{- if eq $header (replace "_" "-" $source.header) -}}
{{- printf "config.key[%d].header: %s is the routing header, which the filter removes from every request; read the key from another header" $i $source.header | println -}}
{{- end -}}
{{- end -}}
{{- if has $source $sources -}}
{{- printf "config.key[%d]: the source %s is already in the list; remove one of the two" $i (toJson $source) | println -}}
{{- end -}}
{{- $sources = append $sources $source -}}
{{- end -}}
{{- range (default dict .applies_to).methods -}}
{{- if and (ne . (upper .)) (has (upper .) (list "GET" "HEAD" "POST" "PUT" "PATCH" "DELETE" "OPTIONS" "TRACE" "CONNECT")) -}}
{{- printf "config.applies_to.methods: methods are case-sensitive and requests use capitals; write %s in capitals" . | println -}}
{{- end -}}
{{- end -}}
{{- if hasKey . "cells" -}}
{{- println "config.cells: remove it; the chart sets it from the value cells" -}}
{{- end -}}
{{- if and .concurrency_limits (not (or $.Values.extProc.enabled $.Values.filter.shadow)) -}}
{{- println "config.concurrency_limits: only the service counts requests, and extProc.enabled is false; set it to true, or remove the limits" -}}
{{- end -}}
{{- if and .rate_limits (not (or $.Values.extProc.enabled $.Values.filter.shadow)) -}}
{{- println "config.rate_limits: only the service counts requests, and extProc.enabled is false; set it to true, or remove the limits" -}}
{{- end -}}
{{- if hasKey . "shadow" -}}
{{- println "config.shadow: remove it and set filter.shadow, which also keeps the rest of the chart from changing requests" -}}
{{- end -}}
{{- if hasKey . "decided_by" -}}
{{- println "config.decided_by: remove it; the chart sets it from filter.attach and mtls.callers" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Every cell that `config.placement` names. */}}
{{- define "cellgate.check.placement" -}}
{{- $placement := default dict .Values.config.placement -}}
{{- range $table := list "overrides" "exact" "prefixes" -}}
{{- range $key, $cell := default dict (get $placement $table) -}}
{{- include "cellgate.checkCell" (dict "root" $ "path" (printf "config.placement.%s.%s" $table $key) "cell" $cell) -}}
{{- end -}}
{{- end -}}
{{- with get $placement "default" -}}
{{- include "cellgate.checkCell" (dict "root" $ "path" "config.placement.default" "cell" .) -}}
{{- end -}}
{{- with get (default dict (get $placement "slots")) "weights" -}}
{{- $weights := . -}}
{{- $sum := 0 -}}
{{- range $cell, $weight := $weights -}}
{{- $sum = add $sum (int64 $weight) -}}
{{- include "cellgate.checkCell" (dict "root" $ "path" "config.placement.slots.weights" "cell" $cell) -}}
{{- end -}}
{{- if not $sum -}}
{{- println "config.placement.slots.weights: every weight is 0, so no cell can take the slots; give at least one cell a weight above 0" -}}
{{- end -}}
{{- range $cell := keys $.Values.cells | sortAlpha -}}
{{- if not (hasKey $weights $cell) -}}
{{- printf "config.placement.slots.weights: %s has no weight; add one, or 0 to give the cell no slots" $cell | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cellgate.check.policy" -}}
{{- range $reason, $answer := default dict .Values.config.policy -}}
{{- if kindIs "map" $answer -}}
{{- with $answer.use -}}
{{- if ne (toString .) "default" -}}
{{- include "cellgate.checkCell" (dict "root" $ "path" (printf "config.policy.%s.use" $reason) "cell" .) -}}
{{- else if not (hasKey (default dict $.Values.config.placement) "default") -}}
{{- printf "config.policy.%s.use: the default cell is not set; set config.placement.default, or name a cell" $reason | println -}}
{{- end -}}
{{- end -}}
{{- else if and (eq (toString $answer) "defer") (not (or $.Values.extProc.enabled $.Values.filter.shadow)) -}}
{{- printf "config.policy.%s: defer needs the service, and extProc.enabled is false; set it to true, or choose another action" $reason | println -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cellgate.check.limits" -}}
{{- $inspect := include "cellgate.inspectBytes" . -}}
{{- $buffer := include "cellgate.bytes" (default "0" .Values.filter.bufferBytes) -}}
{{- if not $inspect -}}
{{- printf "config.limits.inspect_bytes: %v is not a valid size; write for example 65536, 64KiB or 1MiB" .Values.config.limits.inspect_bytes | println -}}
{{- else if or (lt (int64 $inspect) 1024) (gt (int64 $inspect) 16777216) -}}
{{- printf "config.limits.inspect_bytes: %v is out of range; use 1KiB to 16MiB" .Values.config.limits.inspect_bytes | println -}}
{{- end -}}
{{- $stream := include "cellgate.bytes" (default "16MiB" (default dict .Values.config.limits).stream_bytes) -}}
{{- if and $inspect $stream (lt (int64 $stream) (int64 $inspect)) -}}
{{- printf "config.limits.stream_bytes: %s is less than config.limits.inspect_bytes (%s); raise it" $stream $inspect | println -}}
{{- end -}}
{{- if not $buffer -}}
{{- printf "filter.bufferBytes: %v is not a valid size; write for example 65536, 64KiB or 1MiB" .Values.filter.bufferBytes | println -}}
{{- else if and .Values.filter.bufferBytes $inspect (gt (int64 $inspect) (int64 $buffer)) -}}
{{- printf "filter.bufferBytes: it is less than config.limits.inspect_bytes (%s), so Envoy would answer 413 before the filter decides; raise it" $inspect | println -}}
{{- end -}}
{{- end -}}
