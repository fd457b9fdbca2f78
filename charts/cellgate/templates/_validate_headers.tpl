{{/* Checks of header names: the routing header, and those that hold a key. Cellgate's own check has the same lists. */}}

{{- define "cellgate.check.headers" -}}
{{- $routing := toString .Values.config.routing_header -}}
{{- $folded := lower $routing | replace "_" "-" -}}
{{- $ends := list "connection" "content-length" "expect" "host" "http2-settings" "keep-alive" "proxy-authenticate" "proxy-authorization" "proxy-connection" "te" "trailer" "transfer-encoding" "upgrade" -}}
{{- $taken := concat $ends (list "authorization" "cookie" "range" "via" "forwarded" "date" "origin" "referer" "user-agent" "accept" "cache-control" "x-request-id" "traceparent" "tracestate" "grpc-timeout") -}}
{{- if or (has $folded $taken) (regexMatch "^(content-|x-envoy-|x-forwarded-|accept-|if-|sec-)" $folded) -}}
{{- printf "config.routing_header: %s has a meaning of its own; choose a header of yours, such as x-cell" $routing | println -}}
{{- else if hasPrefix "x-cellgate-" $folded -}}
{{- printf "config.routing_header: %s begins with x-cellgate-, which is Cellgate's own; choose another, such as x-cell" $routing | println -}}
{{- else if and .Values.filter.refuseUnderscores (contains "_" $routing) -}}
{{- printf "config.routing_header: write %s with `-`; filter.refuseUnderscores refuses header names with `_`" $routing | println -}}
{{- end -}}
{{- range $i, $source := .Values.config.key -}}
{{- if hasKey $source "header" -}}
{{- $name := lower (toString $source.header) -}}
{{- if has $name $ends -}}
{{- printf "config.key[%d].header: %s is between a client and the next server (RFC 9110), and Envoy takes or changes it; choose another header for the key" $i $name | println -}}
{{- else if and $.Values.filter.refuseUnderscores (contains "_" $name) -}}
{{- printf "config.key[%d].header: no request with %s arrives, because filter.refuseUnderscores refuses header names with `_`; write it with `-`, or set that to false" $i $name | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
