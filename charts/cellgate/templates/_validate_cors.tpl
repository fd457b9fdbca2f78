{{/* Checks of `routes.cors`. */}}

{{- define "cellgate.check.cors" -}}
{{- with .Values.routes.cors -}}
{{- if and $.Values.routes.enabled (eq $.Values.routes.api "gateway-api") -}}
{{- println "routes.cors: an HTTPRoute's CORS filter is not in the standard channel of the Gateway API before 1.5; use routes.api istio" -}}
{{- end -}}
{{- if not .allowOrigins -}}
{{- println "routes.cors.allowOrigins: name the origins of the pages, for example [{ exact: https://app.example.com }]" -}}
{{- end -}}
{{- $credentials := .allowCredentials -}}
{{- range $i, $origin := .allowOrigins -}}
{{- if ne 1 (pick $origin "exact" "prefix" "regex" | values | compact | len) -}}
{{- printf "routes.cors.allowOrigins[%d]: say one of exact, prefix and regex, and what it is" $i | println -}}
{{- else if and $credentials (include "cellgate.isAnyOrigin" (include "cellgate.originOf" $origin)) -}}
{{- printf "routes.cors.allowCredentials: leave it out, or name the origins; allowOrigins[%d] takes pages of every origin, which would act with their visitors' cookies" $i | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Not empty if a regular expression takes origins of which nobody has thought. */}}
{{- define "cellgate.isAnyOrigin" -}}
{{- range list "https://a.invalid" "http://cellgate.invalid:8080" -}}
{{- if regexMatch (printf "^(?:%s)$" $) . }}yes{{ end -}}
{{- end -}}
{{- end -}}
