{{/* The patches of one EnvoyFilter. Each template takes a dict of `root` and `attach`, and most take `port`: the
port of a listener, or 0 for all listeners. docs/envoy.md explains the settings. */}}

{{/* istiod has no patch context for waypoints: it patches their listeners as a sidecar's inbound listeners. */}}
{{- define "cellgate.patchContext" -}}
{{ index (dict "gateway" "GATEWAY" "sidecar-inbound" "SIDECAR_INBOUND" "sidecar-outbound" "SIDECAR_OUTBOUND" "waypoint" "SIDECAR_INBOUND") .attach.type }}
{{- end -}}

{{/* Matches the HTTP connection managers of the listeners; TCP listeners have none and stay unchanged. A waypoint
has another connection manager in front, for tunnels; only `main_internal` sees the requests inside them. */}}
{{- define "cellgate.httpMatch" -}}
context: {{ include "cellgate.patchContext" . }}
listener:
  {{- if eq .attach.type "waypoint" }}
  name: main_internal
  {{- end }}
  {{- with .port }}
  portNumber: {{ int64 . }}
  {{- end }}
  filterChain:
    filter:
      name: envoy.filters.network.http_connection_manager
{{- end -}}

{{/* The same match at the router, the last HTTP filter. Takes the output of `cellgate.httpMatch`. */}}
{{- define "cellgate.routerMatch" -}}
{{- . }}
      subFilter: { name: envoy.filters.http.router }
{{- end -}}

{{/* The same match at the fault filter, the first filter that takes its settings from the route. It is behind all
filters of authentication and authorization. Takes the output of `cellgate.httpMatch`. */}}
{{- define "cellgate.faultMatch" -}}
{{- . }}
      subFilter: { name: envoy.filters.http.fault }
{{- end -}}

{{/* The name of the filter in the chain, and of its configuration. A proxy with two filters needs two names. */}}
{{- define "cellgate.filterName" -}}
{{ include "cellgate.fullname" .root }}-{{ .attach.name }}
{{- end -}}

{{/* The filter in the chain. Its configuration comes through ECDS, because the proxy's agent fetches modules only
there. If the download fails, the agent substitutes an RBAC filter that denies all requests, hence the second type. */}}
{{- define "cellgate.filterReference" -}}
name: {{ include "cellgate.filterName" . }}
config_discovery:
  config_source:
    ads: {}
    # No timeout: a listener that starts without the filter would accept a client's own routing header.
    initial_fetch_timeout: 0s
    resource_api_version: V3
  type_urls:
    - type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
    - type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
{{- end -}}

{{- define "cellgate.filterExtension" -}}
name: {{ include "cellgate.filterName" . }}
typed_config:
  "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
  config:
    name: cellgate
    # Without this a paused request never gets its body.
    allow_on_headers_stop_iteration: true
    # The default answers 503 forever after one crash. FAIL_OPEN would accept a client's own routing header.
    failure_policy: FAIL_RELOAD
    reload_config: { backoff: { base_interval: 0.05s } }
    configuration:
      "@type": type.googleapis.com/google.protobuf.StringValue
      value: {{ include "cellgate.filterConfig" . | quote }}
    vm_config:
      runtime: envoy.wasm.runtime.v8
      code:
        {{- include "cellgate.module" .root.Values.filter.module | nindent 8 }}
{{- end -}}

{{- define "cellgate.module" -}}
{{- if .url -}}
remote:
  # The proxy's agent downloads the module and gives Envoy the file. `cluster` is required but not used.
  http_uri: { uri: {{ quote .url }}, timeout: 30s, cluster: _ }
  sha256: {{ quote .sha256 }}
{{- else -}}
local: { filename: {{ quote .path }} }
{{- end -}}
{{- end -}}

{{/* The name of a cell's route in Envoy: for an HTTPRoute istiod numbers the rules. Takes a dict of `root`, `cell`
(its name) and `index`. */}}
{{- define "cellgate.envoyRouteName" -}}
{{- if eq .root.Values.routes.api "gateway-api" -}}
{{ .root.Release.Namespace }}.{{ include "cellgate.fullname" .root }}.{{ .index }}
{{- else -}}
{{ include "cellgate.routeName" . }}
{{- end -}}
{{- end -}}
