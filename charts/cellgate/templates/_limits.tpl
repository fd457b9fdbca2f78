{{/* Envoy's limits, derived from the filter's own limit, so that Envoy does not answer 413 first. They apply to
everything that the proxies serve, so they are few, and other EnvoyFilters override them (envoyfilter-limits.yaml). */}}

{{/* Envoy's buffer limit for a request, in bytes. Istio's gateways have 32 KiB. Other proxies have Envoy's 1 MiB,
and their listeners serve the whole workload, so without `bufferBytes` their limit is only raised. Takes a dict of
`root` and `attach`. */}}
{{- define "cellgate.bufferBytes" -}}
{{- $inspect := include "cellgate.inspectBytes" .root | int64 -}}
{{- if .root.Values.filter.bufferBytes -}}
{{ include "cellgate.bytes" .root.Values.filter.bufferBytes }}
{{- else if eq .attach.type "gateway" -}}
{{ $inspect }}
{{- else -}}
{{ max 1048576 $inspect }}
{{- end -}}
{{- end -}}

{{- define "cellgate.connectionManager" -}}
name: envoy.filters.network.http_connection_manager
typed_config:
  "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
  {{- with .root.Values.filter.streamIdleTimeout }}
  # Closes a request whose service stops answering in FULL_DUPLEX_STREAMED mode.
  stream_idle_timeout: {{ include "cellgate.protoDuration" . }}
  {{- end }}
  {{- with .root.Values.filter.requestTimeout }}
  # Limits a slow body while the filter holds it.
  request_timeout: {{ include "cellgate.protoDuration" . }}
  {{- end }}
  {{- if .root.Values.filter.refuseUnderscores }}
  common_http_protocol_options:
    # Many servers read x_cell as x-cell. The filter removes it in any case.
    headers_with_underscores_action: REJECT_REQUEST
  {{- end }}
  http2_protocol_options:
    # The HTTP/2 counterpart of the listener's buffer limit. The protocol's minimum is 65535.
    initial_stream_window_size: {{ max 65535 (include "cellgate.bufferBytes" . | int64) }}
  {{- with include "cellgate.localReplies" . | trim }}
  # Headers for the proxies' own answers. Envoy uses the first matching entry, and merged lists are appended, so these
  # entries come before all others: each matches only requests for Cellgate's hosts, or deferred requests.
  local_reply_config:
    mappers:
      {{- . | nindent 6 }}
  {{- end }}
{{- end -}}
