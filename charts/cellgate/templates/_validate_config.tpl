{{/* Checks of `config`: what Cellgate itself would refuse later, in the proxies, where nobody looks. */}}

{{- define "cellgate.check.config" -}}
{{- with .Values.config -}}
{{- if not .key -}}
{{- println "config.key: say where the tenant is, for example [{ json: /tenant/id }]" -}}
{{- end -}}
{{- if not (pick (default dict .placement) "overrides" "exact" "prefixes" "slots" "default") -}}
{{- println "config.placement: say which key belongs where, for example { slots: {} } for equal shares" -}}
{{- end -}}
{{- if not (regexMatch "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$" (toString .routing_header)) -}}
{{- printf "config.routing_header: %v is no header name" .routing_header | println -}}
{{- end -}}
{{- $header := .routing_header | toString | lower | replace "_" "-" -}}
{{- include "cellgate.checkHeaderName" (dict "root" $ "path" "config.routing_header" "name" .routing_header) -}}
{{- $sources := list -}}
{{- range $i, $source := .key -}}
{{- if hasKey $source "header" -}}
{{- include "cellgate.checkHeaderName" (dict "root" $ "path" (printf "config.key[%d].header" $i) "name" $source.header) -}}
{{- $source = dict "header" (lower (toString $source.header)) -}}
{{- if eq $header (replace "_" "-" $source.header) -}}
{{- printf "config.key[%d].header: name another header than %s, which is removed from every request" $i $source.header | println -}}
{{- end -}}
{{- end -}}
{{- if has $source $sources -}}
{{- printf "config.key[%d]: leave %s out, it is in the list already" $i (toJson $source) | println -}}
{{- end -}}
{{- $sources = append $sources $source -}}
{{- end -}}
{{- range (default dict .applies_to).methods -}}
{{- if and (ne . (upper .)) (has (upper .) (list "GET" "HEAD" "POST" "PUT" "PATCH" "DELETE" "OPTIONS" "TRACE" "CONNECT")) -}}
{{- printf "config.applies_to.methods: write %s in capitals, as requests do" . | println -}}
{{- end -}}
{{- end -}}
{{- if hasKey . "cells" -}}
{{- println "config.cells: leave it out; the chart fills it from cells" -}}
{{- end -}}
{{- if hasKey . "shadow" -}}
{{- println "config.shadow: leave it out and set filter.shadow, which keeps the rest of the chart from changing anything too" -}}
{{- end -}}
{{- if hasKey . "decided_by" -}}
{{- println "config.decided_by: leave it out; the chart fills it from filter.attach and mtls.callers" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A line if a header cannot carry a key or a decision: it is about the connection or the message, and proxies change it on the
way (RFC 9110, 7.6.1), or Envoy refuses its name. Takes a dict of `root`, `path` and `name`. */}}
{{- define "cellgate.checkHeaderName" -}}
{{- $ours := list "connection" "content-length" "expect" "host" "keep-alive" "proxy-connection" "te" "trailer" "transfer-encoding" "upgrade" -}}
{{- if has (lower (toString .name)) $ours -}}
{{- printf "%s: name another header than %v, which is about the connection or the message: proxies change it, and Envoy answers 400 to other values" .path .name | println -}}
{{- end -}}
{{- if and .root.Values.filter.refuseUnderscores (contains "_" (toString .name)) -}}
{{- printf "%s: write %v with `-`; filter.refuseUnderscores refuses header names with `_`" .path .name | println -}}
{{- end -}}
{{- end -}}

{{/* Every place in `config.placement` that names a cell. */}}
{{- define "cellgate.check.places" -}}
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
{{- println "config.placement.slots.weights: give at least one cell a weight above 0, or the slots have nowhere to go" -}}
{{- end -}}
{{- range $cell := keys $.Values.cells | sortAlpha -}}
{{- if not (hasKey $weights $cell) -}}
{{- printf "config.placement.slots.weights: name %s too, with 0 to drain it" $cell | println -}}
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
{{- printf "config.policy.%s.use: set config.placement.default, or name a cell" $reason | println -}}
{{- end -}}
{{- end -}}
{{- else if and (eq (toString $answer) "defer") (not (or $.Values.extProc.enabled $.Values.filter.shadow)) -}}
{{- printf "config.policy.%s: nobody takes what is deferred; set extProc.enabled, or give another answer" $reason | println -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cellgate.check.limits" -}}
{{- $inspect := include "cellgate.inspectBytes" . -}}
{{- $buffer := include "cellgate.bytes" (default "0" .Values.filter.bufferBytes) -}}
{{- if not $inspect -}}
{{- printf "config.limits.inspect_bytes: %v is no size; write 65536, 64KiB or 1MiB" .Values.config.limits.inspect_bytes | println -}}
{{- else if or (lt (int64 $inspect) 1024) (gt (int64 $inspect) 16777216) -}}
{{- printf "config.limits.inspect_bytes: choose from 1KiB to 16MiB, not %v" .Values.config.limits.inspect_bytes | println -}}
{{- end -}}
{{- $stream := include "cellgate.bytes" (default "16MiB" (default dict .Values.config.limits).stream_bytes) -}}
{{- if and $inspect $stream (lt (int64 $stream) (int64 $inspect)) -}}
{{- printf "config.limits.stream_bytes: raise %s to at least inspect_bytes (%s)" $stream $inspect | println -}}
{{- end -}}
{{- if not $buffer -}}
{{- printf "filter.bufferBytes: %v is no size; write 65536, 64KiB or 1MiB" .Values.filter.bufferBytes | println -}}
{{- else if and .Values.filter.bufferBytes $inspect (gt (int64 $inspect) (int64 $buffer)) -}}
{{- printf "filter.bufferBytes: raise it to at least config.limits.inspect_bytes (%s), or Envoy answers 413 before the filter is asked" $inspect | println -}}
{{- end -}}
{{- end -}}
