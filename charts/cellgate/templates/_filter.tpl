{{/* The patches of one EnvoyFilter. Each template takes a dict of `root` and `attach`, and mostly `port`: a listener's port,
or 0 for all of them. docs/envoy.md says why each setting is there. */}}

{{/* istiod has no context of its own for waypoints: it patches their listeners as inbound ones of a sidecar. */}}
{{- define "cellgate.patchContext" -}}
{{ index (dict "gateway" "GATEWAY" "sidecar-inbound" "SIDECAR_INBOUND" "sidecar-outbound" "SIDECAR_OUTBOUND" "waypoint" "SIDECAR_INBOUND") .attach.type }}
{{- end -}}

{{/* The HTTP connection managers of the listeners: TCP ones have none, so they stay as they are. A waypoint has a second
connection manager in front, for the tunnels; only `main_internal` sees the requests in them. */}}
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

{{/* The same, at the router, the last filter. Takes what `cellgate.httpMatch` prints. */}}
{{- define "cellgate.routerMatch" -}}
{{- . }}
      subFilter: { name: envoy.filters.http.router }
{{- end -}}

{{/* Name of the filter in the chain, and of its configuration. A proxy that has two of them needs two names. */}}
{{- define "cellgate.filterName" -}}
{{ include "cellgate.fullname" .root }}-{{ .attach.name }}
{{- end -}}

{{/* The filter's place in the chain. Its configuration comes by ECDS, because only there does the proxy's agent fetch a module.
The agent answers a failed download with an RBAC filter that denies everything, hence the second type. */}}
{{- define "cellgate.filterReference" -}}
name: {{ include "cellgate.filterName" . }}
config_discovery:
  config_source:
    ads: {}
    # Without a time limit: a listener that starts without the filter would let the client's own header through.
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
    # Without it a paused request never gets its body.
    allow_on_headers_stop_iteration: true
    # The default answers 503 for ever after one crash; FAIL_OPEN would let a client's own header through.
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
  # The proxy's agent downloads it and tells Envoy the file: `cluster` is required, and not used.
  http_uri: { uri: {{ quote .url }}, timeout: 30s, cluster: _ }
  sha256: {{ quote .sha256 }}
{{- else -}}
local: { filename: {{ quote .path }} }
{{- end -}}
{{- end -}}

{{/* The name that a cell's route has in Envoy: istiod counts the rules of an HTTPRoute.
Takes a dict of `root`, `cell` (its name) and `index`. */}}
{{- define "cellgate.boundRoute" -}}
{{- if eq .root.Values.routes.api "gateway-api" -}}
{{ .root.Release.Namespace }}.{{ include "cellgate.fullname" .root }}.{{ .index }}
{{- else -}}
{{ include "cellgate.routeName" . }}
{{- end -}}
{{- end -}}
