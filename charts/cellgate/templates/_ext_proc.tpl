{{/* The service's filter behind Cellgate's: it opens a stream for deferred requests only, in the mode that the deferral asks
for. All templates take a dict of `root` and `attach`. */}}

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

{{/* Takes a dict of `root` and `mode`. `failure_mode_allow` stays false: a request that the service did not decide is refused. */}}
{{- define "cellgate.extProcMode" -}}
{{- $host := include "cellgate.extProcHost" .root -}}
{{- $streams := and (eq .mode "stream") (eq .root.Values.extProc.bodyMode "stream") -}}
"@type": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor
grpc_service:
  envoy_grpc:
    cluster_name: outbound|50051||{{ $host }}
    # The default is the cluster's name, and HTTP/2 servers refuse its `|`.
    authority: {{ $host }}
{{- if not $streams }}
# There is none for FULL_DUPLEX_STREAMED: stream_idle_timeout ends it.
message_timeout: {{ include "cellgate.protoDuration" .root.Values.extProc.messageTimeout }}
{{- end }}
# 503 rather than Envoy's 500: it is not the request's fault, and it may be sent again.
status_on_error: { code: ServiceUnavailable }
# Without it Envoy drops what the service says for the access log.
metadata_options: { receiving_namespaces: { untyped: [cellgate] } }
processing_mode:
  request_header_mode: SEND
  {{- if eq .mode "headers" }}
  request_body_mode: NONE
  request_trailer_mode: SKIP
  {{- else }}
  request_body_mode: {{ ternary "FULL_DUPLEX_STREAMED" "BUFFERED" $streams }}
  request_trailer_mode: SEND
  {{- end }}
  response_header_mode: SKIP
  response_trailer_mode: SKIP
{{- end -}}

{{/* Istio's DestinationRule has no HTTP/2 keep-alive before 1.31, so the cluster is patched. MERGE replaces the whole entry of
the map: what istiod puts there for a gRPC port, an HTTP/2 upstream, is said again here. Whatever a DestinationRule says about
`http.idleTimeout`, `maxRequestsPerConnection` or `maxConcurrentStreams` is lost, so the chart's own does not. */}}
{{- define "cellgate.extProcCluster" -}}
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    # A frozen service is noticed after seven seconds at most.
    explicit_http_config: { http2_protocol_options: { connection_keepalive: { interval: 5s, timeout: 2s } } }
{{- end -}}
