{{/* What is added to the answers that Envoy and Cellgate give themselves (Envoy's local_reply_config). */}}

{{/* The mappers, narrow enough to leave everybody else's answers alone: the first that matches is the only one, and other
EnvoyFilters' come behind. */}}
{{- define "cellgate.localReplies" -}}
{{- $overflow := list (dict "status_code_filter" (dict "comparison" (dict "op" "EQ" "value" (dict "default_value" 503 "runtime_key" "cellgate.retry_after"))))
  (dict "header_filter" (dict "header" (dict "name" "x-cellgate-defer" "present_match" true))) -}}
{{- /* The service's own answer has one already. */ -}}
{{- $retry := list (dict "header" (dict "key" "retry-after" "value" "1") "append_action" "ADD_IF_ABSENT") -}}
{{- $mappers := list -}}
{{- with .root.Values.routes.cors -}}
{{- $readable := include "cellgate.readableBy" $ | fromJsonArray -}}
{{- $headers := include "cellgate.corsHeaders" . | fromJsonArray -}}
{{- $mappers = append $mappers (dict "filter" (dict "and_filter" (dict "filters" (concat $overflow $readable))) "headers_to_add" (concat $headers $retry)) -}}
{{- $mappers = append $mappers (dict "filter" (dict "and_filter" (dict "filters" $readable)) "headers_to_add" $headers) -}}
{{- end -}}
{{- $mappers = append $mappers (dict "filter" (dict "and_filter" (dict "filters" $overflow)) "headers_to_add" $retry) -}}
{{ toJson $mappers }}
{{- end -}}

{{/* Whose pages may read the answers: those of the policy's origins, of the release's hosts. At least two filters, as JSON. */}}
{{- define "cellgate.readableBy" -}}
{{- $hosts := list -}}
{{- range .root.Values.routes.hosts -}}
{{- if eq . "*" -}}
{{- $hosts = append $hosts ".*" -}}
{{- else if hasPrefix "*" . -}}
{{- $hosts = append $hosts (printf ".+%s" (trimPrefix "*" . | regexQuoteMeta)) -}}
{{- else -}}
{{- $hosts = append $hosts (regexQuoteMeta .) -}}
{{- end -}}
{{- end -}}
{{- $host := printf "(?i)(%s)(:[0-9]+)?" (join "|" $hosts) -}}
{{- $origins := list -}}
{{- range .root.Values.routes.cors.allowOrigins -}}
{{- $match := dict -}}
{{- range $form, $text := . -}}
{{- $_ := set $match (ternary "safe_regex" $form (eq $form "regex")) (ternary (dict "regex" $text) $text (eq $form "regex")) -}}
{{- end -}}
{{- $origins = append $origins (dict "header_filter" (dict "header" (dict "name" "origin" "string_match" $match))) -}}
{{- end -}}
{{- $origin := first $origins -}}
{{- if gt (len $origins) 1 -}}
{{- $origin = dict "or_filter" (dict "filters" $origins) -}}
{{- end -}}
{{ list (dict "header_filter" (dict "header" (dict "name" ":authority" "string_match" (dict "safe_regex" (dict "regex" $host))))) $origin | toJson }}
{{- end -}}

{{/* The headers by which a page may read an answer, as JSON. Takes the policy. */}}
{{- define "cellgate.corsHeaders" -}}
{{- $set := "OVERWRITE_IF_EXISTS_OR_ADD" -}}
{{- $headers := list (dict "header" (dict "key" "access-control-allow-origin" "value" "%REQ(ORIGIN)%") "append_action" $set)
  (dict "header" (dict "key" "vary" "value" "origin") "append_action" "APPEND_IF_EXISTS_OR_ADD") -}}
{{- if .allowCredentials -}}
{{- $headers = append $headers (dict "header" (dict "key" "access-control-allow-credentials" "value" "true") "append_action" $set) -}}
{{- end -}}
{{- with .exposeHeaders -}}
{{- $headers = append $headers (dict "header" (dict "key" "access-control-expose-headers" "value" (join "," .)) "append_action" $set) -}}
{{- end -}}
{{ toJson $headers }}
{{- end -}}
