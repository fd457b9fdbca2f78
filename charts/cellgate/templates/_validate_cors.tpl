{{/* Checks of `routes.cors`. */}}

{{- define "cellgate.check.cors" -}}
{{- with .Values.routes.cors -}}
{{- if and $.Values.routes.enabled (eq $.Values.routes.api "gateway-api") -}}
{{- println "routes.cors: the Gateway API's standard channel has no CORS filter before version 1.5; set routes.api to istio, or remove routes.cors" -}}
{{- end -}}
{{- if not .allowOrigins -}}
{{- println "routes.cors.allowOrigins: this value is required in a CORS policy; list the allowed origins, for example [{ exact: https://app.example.com }]" -}}
{{- end -}}
{{- $credentials := .allowCredentials -}}
{{- range $i, $origin := .allowOrigins -}}
{{- if ne 1 (pick $origin "exact" "prefix" "regex" | values | compact | len) -}}
{{- printf "routes.cors.allowOrigins[%d]: an origin needs exactly one of exact, prefix and regex, and it must not be empty" $i | println -}}
{{- else if and $credentials (include "cellgate.matchesAnyOrigin" (include "cellgate.originRegex" $origin)) -}}
{{- printf "routes.cors.allowCredentials: allowOrigins[%d] matches every origin, so any page could send requests with its visitors' cookies; remove allowCredentials, or list the origins" $i | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Prints `yes` if a regular expression matches any origin: two invalid ones stand for all. */}}
{{- define "cellgate.matchesAnyOrigin" -}}
{{- range list "https://a.invalid" "http://cellgate.invalid:8080" -}}
{{- if regexMatch (printf "^(?:%s)$" $) . }}yes{{ end -}}
{{- end -}}
{{- end -}}
