{{/* Envoy's ext_proc filter, directly after Cellgate's filter. It opens a stream only for deferred requests, in the
body mode of the deferral header. The templates take a dict of `root` and `attach`. */}}

{{- define "cellgate.extProcFilter" -}}
name: {{ include "cellgate.filterName" . }}-ext-proc
typed_config:
  "@type": type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher
  extension_config:
    name: composite
    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.composite.v3.Composite }
  xds_matcher:
    matcher_list:
      matchers:
        {{- range $mode := list "buffer" "stream" "headers" }}
        - predicate:
            single_predicate:
              input:
                name: deferral
                typed_config:
                  "@type": type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput
                  header_name: x-cellgate-defer
              value_match: { prefix: "{{ $mode }};" }
          on_match:
            action:
              name: {{ $mode }}
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.http.composite.v3.ExecuteFilterAction
                typed_config:
                  name: cellgate-{{ $mode }}
                  typed_config:
                    {{- include "cellgate.extProcMode" (dict "root" $.root "mode" $mode) | nindent 20 }}
        {{- end }}
{{- end -}}

{{/* Takes a dict of `root` and `mode`. `failure_mode_allow` stays false: a request without a decision of the
service is refused. */}}
{{- define "cellgate.extProcMode" -}}
{{- $host := include "cellgate.extProcHost" .root -}}
"@type": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor
grpc_service:
  envoy_grpc:
    cluster_name: {{ include "cellgate.extProcClusterName" .root }}
    # The default is the cluster's name, which contains `|`: HTTP/2 servers refuse that.
    authority: {{ $host }}
  # Envoy marks the ids of the requests that it traces. Without the id, a proxy in front of the service would choose by chance
  # once more, and from Envoy 1.39 on cut most traces there.
  initial_metadata: [{ key: x-request-id, value: "%STREAM_ID%" }]
{{- $streams := and (eq .mode "stream") (eq .root.Values.extProc.bodyMode "stream") }}
{{/* In the mode `stream`, Envoy has no such timeout for requests, but it has one for responses. */ -}}
message_timeout: {{ include "cellgate.protoDuration" .root.Values.extProc.messageTimeout }}
# The counters of this filter, http.*.ext_proc.cellgate.*, apart from those of another team's ext_proc filter.
stat_prefix: cellgate
# 503 instead of Envoy's 500: the request is not at fault and may be sent again.
status_on_error: { code: ServiceUnavailable }
# Without this Envoy drops the service's metadata for the access log.
metadata_options:
  receiving_namespaces: { untyped: [cellgate] }
  {{- if include "cellgate.readsClaims" .root }}
  # Without this Envoy does not send the verified claims.
  forwarding_namespaces: { untyped: [envoy.filters.http.jwt_authn] }
  {{- end }}
# For rate limits: the filter's decision, and the values of `peer` and `client_address`. No client can write them. They
# are here without limits too: when a limit is added, connections of the old listener get the filter's new configuration.
request_attributes:
  - filter_state['wasm.cellgate_handover']
  - connection.uri_san_peer_certificate
  - source.address
{{- $headers := false -}}
{{- $end := not (empty .root.Values.config.concurrency_limits) -}}
{{- range .root.Values.config.rate_limits -}}
{{- if .settle -}}
{{- $headers = true -}}
{{- $end = or $end (hasKey .settle "response_trailer") -}}
{{- end -}}
{{- end -}}
{{- if and (or $headers $end) (not $streams) }}
# For limits that need the response: the service asks for its parts, of the requests that such a limit counts.
allow_mode_override: true
{{- end }}
processing_mode:
  request_header_mode: SEND
  {{- if eq .mode "headers" }}
  request_body_mode: NONE
  request_trailer_mode: SKIP
  {{- else }}
  request_body_mode: {{ ternary "FULL_DUPLEX_STREAMED" "BUFFERED" $streams }}
  request_trailer_mode: SEND
  {{- end }}
  {{- if and (or $headers $end) $streams }}
  # For limits that need the response: Envoy ignores an override in this mode. With its trailers, Envoy keeps the stream
  # open until the response has ended.
  {{- end }}
  response_header_mode: {{ ternary "SEND" "SKIP" (and $headers $streams) }}
  response_trailer_mode: {{ ternary "SEND" "SKIP" (and $end $streams) }}
{{- end -}}

{{/* Patches HTTP/2 keepalive into the service's cluster, because a DestinationRule cannot set it before Istio 1.31.
MERGE replaces the whole map entry, so istiod's setting for a gRPC port, HTTP/2, is repeated here.
`http.idleTimeout`, `maxRequestsPerConnection` and `maxConcurrentStreams` of a DestinationRule are lost, so the
chart does not set them. */}}
{{- define "cellgate.extProcCluster" -}}
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    # Detects a frozen service after at most seven seconds.
    explicit_http_config:
      http2_protocol_options:
        connection_keepalive: { interval: 5s, timeout: 2s }
        # Above it, Envoy stops reading the client of an upload that waits for the byte budget.
        initial_stream_window_size: 262144
{{- end -}}
