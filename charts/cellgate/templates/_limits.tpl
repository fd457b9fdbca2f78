{{/* Envoy's limits, from the same numbers that the filter gets: Envoy's own 413 must not come first. They hold for everything
that the proxies serve, so they are as few as possible, and give way to what others say (envoyfilter-limits.yaml). */}}

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
    # x_cell is another spelling of x-cell to many servers. The filter removes it in any case.
    headers_with_underscores_action: REJECT_REQUEST
  {{- end }}
  http2_protocol_options:
    # HTTP/2's counterpart of the listener's limit. The protocol's own minimum is 65535.
    initial_stream_window_size: {{ max 65535 (include "cellgate.bufferBytes" . | int64) }}
  {{- with include "cellgate.localReplies" . | trim }}
  # What these proxies answer by themselves. Only the first of a list's entries that matches counts, and lists that are merged are
  # appended, so these come before everybody else's: each is for requests of Cellgate's hosts, or deferred ones, and no other.
  local_reply_config:
    mappers:
      {{- . | nindent 6 }}
  {{- end }}
{{- end -}}
