{{/* Headers for the answers that a proxy gives by itself: refusals of Cellgate, and what Envoy says in the cells' place. */}}

{{/* Entries of `local_reply_config.mappers`, or nothing. Takes a dict of `root` and `attach`.

A page may read an answer to its script if the answer says so. Envoy's cors filter adds that to what comes from a cell; it does not
see what is answered before it, and skips direct responses. Behind a gateway there is one in front, which does it.

What no replica of the service took, for it has more than it can or none is there, may be sent again: nobody has worked on it. The
service's own 503 says so already. The marker is on a request while its decision is outstanding, and only then. */}}
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
    # Envoy wants a name by which this number could be overridden at run time.
    comparison: { op: EQ, value: { default_value: 503, runtime_key: cellgate.overloaded_status } }
- header_filter: { header: { name: x-cellgate-defer, present_match: true } }
{{- end -}}

{{- define "cellgate.retryAfter" -}}
- header: { key: retry-after, value: "1" }
  append_action: ADD_IF_ABSENT
{{- end -}}

{{/* A request for one of the hosts, from a page of an allowed origin. Takes the root. */}}
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
{{- /* A % begins one of Envoy's formats. */ -}}
{{- $headers = append $headers (list "access-control-expose-headers" (join "," . | replace "%" "%%")) -}}
{{- end -}}
{{- end -}}
{{- range $headers }}
- header: { key: {{ first . }}, value: {{ last . | quote }} }
  append_action: OVERWRITE_IF_EXISTS_OR_ADD
{{- end -}}
{{- end -}}

{{/* `routes.hosts` as a regular expression for `:authority`. A service of the mesh has more than one name. Takes the root. */}}
{{- define "cellgate.hostPattern" -}}
{{- $names := list -}}
{{- range .Values.routes.hosts -}}
{{- $host := lower (toString .) -}}
{{- if eq $host "*" -}}
{{- $names = append $names ".*" -}}
{{- else if hasPrefix "*." $host -}}
{{- $names = append $names (printf ".+%s" (trimPrefix "*" $host | regexQuoteMeta)) -}}
{{- else -}}
{{- range include "cellgate.namesOf" $host | fromJsonArray -}}
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
{{- $patterns = append $patterns (include "cellgate.originOf" .) -}}
{{- end -}}
{{ printf "(%s)" (join "|" $patterns) }}
{{- end -}}

{{/* One of Istio's StringMatches as a regular expression. To Envoy's cors filter an exact `*` is every origin. */}}
{{- define "cellgate.originOf" -}}
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
