{{/* Envoy's limits, from the same numbers that the filter gets: Envoy's own 413 must not come first. */}}

{{/* Bytes that Envoy holds of a request. Istio's gateways have 32 KiB; other proxies have Envoy's 1 MiB, and their listeners
carry everything that the workload does, so without `bufferBytes` they are only ever raised.
Takes a dict of `root` and `attach`. */}}
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
  # Ends a request whose service has gone silent in FULL_DUPLEX_STREAMED mode.
  stream_idle_timeout: {{ include "cellgate.protoDuration" . }}
  {{- end }}
  {{- with .root.Values.filter.requestTimeout }}
  # Bounds a slow body while the filter holds it.
  request_timeout: {{ include "cellgate.protoDuration" . }}
  {{- end }}
  {{- if .root.Values.filter.refuseUnderscores }}
  common_http_protocol_options:
    # x_cell is another spelling of x-cell to many servers. The filter strips it too.
    headers_with_underscores_action: REJECT_REQUEST
  {{- end }}
  local_reply_config:
    # A page reads refusals by the CORS headers; a client repeats what was one too many for the service.
    mappers:
      {{- include "cellgate.localReplies" . | fromJsonArray | toYaml | nindent 6 }}
  http2_protocol_options:
    # HTTP/2's counterpart of the listener's limit. The protocol's own minimum is 65535.
    initial_stream_window_size: {{ max 65535 (include "cellgate.bufferBytes" . | int64) }}
{{- end -}}
