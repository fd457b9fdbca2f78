{{/* Checks of header names: the routing header, and header sources of the key. The lists are the same as in
Cellgate's own check. */}}

{{- define "cellgate.check.headers" -}}
{{- $routing := toString .Values.config.routing_header -}}
{{- $folded := lower $routing | replace "_" "-" -}}
{{- $hopByHop := list "connection" "content-length" "expect" "host" "http2-settings" "keep-alive" "proxy-authenticate" "proxy-authorization" "proxy-connection" "te" "trailer" "transfer-encoding" "upgrade" -}}
{{- $reserved := concat $hopByHop (list "authorization" "cookie" "range" "via" "forwarded" "date" "origin" "referer" "user-agent" "accept" "cache-control" "x-request-id" "traceparent" "tracestate" "grpc-timeout") -}}
{{- if or (has $folded $reserved) (regexMatch "^(content-|x-envoy-|x-forwarded-|accept-|if-|sec-)" $folded) -}}
{{- printf "config.routing_header: %s is a standard header or one of Envoy's; choose a header that nothing else uses, for example x-cell" $routing | println -}}
{{- else if hasPrefix "x-cellgate-" $folded -}}
{{- printf "config.routing_header: %s begins with x-cellgate-, which Cellgate reserves; choose another header, for example x-cell" $routing | println -}}
{{- else if and .Values.filter.refuseUnderscores (contains "_" $routing) -}}
{{- printf "config.routing_header: filter.refuseUnderscores refuses header names with `_`, such as %s; write the name with `-`" $routing | println -}}
{{- end -}}
{{- range $i, $source := .Values.config.key -}}
{{- if hasKey $source "header" -}}
{{- $name := lower (toString $source.header) -}}
{{- if has $name $hopByHop -}}
{{- printf "config.key[%d].header: %s applies to one connection (RFC 9110), and Envoy removes or changes it; read the key from another header" $i $name | println -}}
{{- else if and $.Values.filter.refuseUnderscores (contains "_" $name) -}}
{{- printf "config.key[%d].header: filter.refuseUnderscores refuses every request with the header %s; write the name with `-`, or set filter.refuseUnderscores to false" $i $name | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
