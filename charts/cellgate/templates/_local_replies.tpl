{{/* Headers for answers that a proxy gives itself: Cellgate's refusals, and Envoy's own answers in place of a cell. */}}

{{/* Entries of `local_reply_config.mappers`, or nothing. Takes a dict of `root` and `attach`.

A page may read an answer only if CORS headers allow it. Envoy's cors filter adds them to the answers of cells, but
not to answers of filters before it nor to direct responses. A sidecar-inbound needs none: the gateway in front of
it adds them.

Requests that no replica of the service accepted, because all are overloaded or absent, may be sent again: nothing
has processed them. The service's own 503 has Retry-After already. A request has the deferral header only while its
decision is outstanding. */}}
{{- define "cellgate.localReplies" -}}
{{- $cors := and .root.Values.routes.enabled .root.Values.routes.cors (ne .attach.type "sidecar-inbound") -}}
{{- $defers := eq "true" (include "cellgate.defers" .) -}}
{{- if and $cors $defers }}
- filter:
    and_filter:
      filters:
        {{- include "cellgate.corsFilters" .root | nindent 8 }}
        {{- include "cellgate.deferredFilters" . | nindent 8 }}
  headers_to_add:
    {{- include "cellgate.corsHeaders" .root | trim | nindent 4 }}
    {{- include "cellgate.retryAfter" . | nindent 4 }}
{{- end }}
{{- if $cors }}
- filter:
    and_filter:
      filters:
        {{- include "cellgate.corsFilters" .root | nindent 8 }}
  headers_to_add:
    {{- include "cellgate.corsHeaders" .root | trim | nindent 4 }}
{{- end }}
{{- if $defers }}
- filter:
    and_filter:
      filters:
        {{- include "cellgate.deferredFilters" . | nindent 8 }}
  headers_to_add:
    {{- include "cellgate.retryAfter" . | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "cellgate.deferredFilters" -}}
- status_code_filter:
    # Envoy requires a runtime key by which this number could be overridden.
    comparison: { op: EQ, value: { default_value: 503, runtime_key: cellgate.overloaded_status } }
- header_filter: { header: { name: x-cellgate-defer, present_match: true } }
{{- end -}}

{{- define "cellgate.retryAfter" -}}
- header: { key: retry-after, value: "1" }
  append_action: ADD_IF_ABSENT
{{- end -}}

{{/* Matches a request for one of the hosts from a page of an allowed origin. Takes the root. */}}
{{- define "cellgate.corsFilters" -}}
- header_filter:
    header: { name: ":authority", string_match: { safe_regex: { regex: {{ include "cellgate.hostPattern" . | quote }} } } }
- header_filter:
    header: { name: origin, string_match: { safe_regex: { regex: {{ include "cellgate.originPattern" . | quote }} } } }
{{- end -}}

{{- define "cellgate.corsHeaders" -}}
{{- $headers := list (list "access-control-allow-origin" "%REQ(ORIGIN)%") (list "vary" "origin") -}}
{{- with .Values.routes.cors -}}
{{- if .allowCredentials -}}
{{- $headers = append $headers (list "access-control-allow-credentials" "true") -}}
{{- end -}}
{{- with .exposeHeaders -}}
{{- /* `%` starts a format of Envoy. */ -}}
{{- $headers = append $headers (list "access-control-expose-headers" (join "," . | replace "%" "%%")) -}}
{{- end -}}
{{- end -}}
{{- range $headers }}
- header: { key: {{ first . }}, value: {{ last . | quote }} }
  append_action: OVERWRITE_IF_EXISTS_OR_ADD
{{- end -}}
{{- end -}}

{{/* `routes.hosts` as a regular expression for `:authority`. A service of the mesh has several names. Takes the
root. */}}
{{- define "cellgate.hostPattern" -}}
{{- $names := list -}}
{{- range .Values.routes.hosts -}}
{{- $host := lower (toString .) -}}
{{- if eq $host "*" -}}
{{- $names = append $names ".*" -}}
{{- else if hasPrefix "*." $host -}}
{{- $names = append $names (printf ".+%s" (trimPrefix "*" $host | regexQuoteMeta)) -}}
{{- else -}}
{{- range include "cellgate.hostAliases" $host | fromJsonArray -}}
{{- $names = append $names (regexQuoteMeta .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ printf "(?i)(%s)(:[0-9]+)?" (uniq $names | join "|") }}
{{- end -}}

{{/* `routes.cors.allowOrigins` as one regular expression. Takes the root. */}}
{{- define "cellgate.originPattern" -}}
{{- $patterns := list -}}
{{- range .Values.routes.cors.allowOrigins -}}
{{- $patterns = append $patterns (include "cellgate.originRegex" .) -}}
{{- end -}}
{{ printf "(%s)" (join "|" $patterns) }}
{{- end -}}

{{/* One of Istio's StringMatches as a regular expression. In Envoy's cors filter an exact `*` matches every origin. */}}
{{- define "cellgate.originRegex" -}}
{{- if eq (toString .exact) "*" -}}
.*
{{- else if .exact -}}
{{ regexQuoteMeta .exact }}
{{- else if .prefix -}}
{{ regexQuoteMeta .prefix }}.*
{{- else -}}
(?:{{ .regex }})
{{- end -}}
{{- end -}}
