{{/* Templates for both kinds of routes. */}}

{{/* The destinations of one cell in a VirtualService: one, or one for each version. Takes a dict of `root` and
`cell` (the cell's name). */}}
{{- define "cellgate.cellDestinations" -}}
{{- $cell := index .root.Values.cells .cell -}}
{{- range default (list dict) $cell.versions }}
- destination:
    host: {{ $cell.host }}
    port: { number: {{ int64 $cell.port }} }
    {{- with .name }}
    subset: {{ . }}
    {{- end }}
  {{- if hasKey . "weight" }}
  weight: {{ int64 .weight }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* The name of a cell's route. No other VirtualService has this name, because the patches of the EnvoyFilter match
it. Takes a dict of `root` and `cell` (the cell's name). */}}
{{- define "cellgate.routeName" -}}
{{ include "cellgate.fullname" .root }}-{{ .cell }}
{{- end -}}

{{/* A route of a VirtualService without its name and match. Takes a dict of `root`, `cell`, and `undecided` for the
route of requests without a decision. */}}
{{- define "cellgate.route" -}}
{{- $cell := index .root.Values.cells .cell -}}
{{- $traffic := include "cellgate.traffic" . | fromJson -}}
route:
  {{- include "cellgate.cellDestinations" . | trim | nindent 2 }}
headers:
  request:
    # A cell gets no deferral header, and without a decision no routing header.
    remove: [x-cellgate-defer{{ if .undecided }}, {{ lower .root.Values.config.routing_header }}{{ end }}]
  {{- if or .root.Values.routes.cors .root.Values.routes.rateLimitFields }}
  response:
    {{- if .root.Values.routes.cors }}
    # A cache must not return an answer for one origin to another. Envoy's cors filter does not add this header.
    add: { vary: origin }
    {{- end }}
    {{- if .root.Values.routes.rateLimitFields }}
    # From the service's metadata. Envoy sets no field for a request that no limit counts.
    set:
      ratelimit: "%DYNAMIC_METADATA(cellgate:rate_limit)%"
      ratelimit-policy: "%DYNAMIC_METADATA(cellgate:rate_limit_policy)%"
      {{- if .root.Values.extProc.xRateLimitFields }}
      x-ratelimit-limit: "%DYNAMIC_METADATA(cellgate:x_rate_limit_limit)%"
      x-ratelimit-remaining: "%DYNAMIC_METADATA(cellgate:x_rate_limit_remaining)%"
      x-ratelimit-reset: "%DYNAMIC_METADATA(cellgate:x_rate_limit_reset)%"
      {{- end }}
    {{- end }}
  {{- end }}
{{- /* No timeout is Istio's default, and its validation refuses 0s. */}}
{{- if include "cellgate.milliseconds" $traffic.timeout | int64 }}
timeout: {{ $traffic.timeout }}
{{- end }}
retries:
  {{- if int64 $traffic.retries.attempts }}
  {{- $tries := omit $traffic.retries "budget" }}
  {{- if not (include "cellgate.milliseconds" $tries.perTryTimeout | int64) }}
  {{- $tries = omit $tries "perTryTimeout" }}
  {{- end }}
  {{- toYaml $tries | nindent 2 }}
  {{- else }}
  # Explicit, because Istio retries twice by default.
  attempts: 0
  {{- end }}
{{- with $traffic.fault }}
fault:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $cell.mirror }}
{{- $copy := index $.root.Values.cells .cell }}
mirrors:
  - destination: { host: {{ $copy.host }}, port: { number: {{ int64 $copy.port }} } }
    percentage: { value: {{ default 100 .percent }} }
{{- end }}
{{- with .root.Values.routes.cors }}
corsPolicy:
  {{- include "cellgate.corsPolicy" . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* By default Istio forwards a preflight of an origin that is not allowed to the destination. A preflight has no
cell. */}}
{{- define "cellgate.corsPolicy" -}}
{{ merge (deepCopy .) (dict "unmatchedPreflights" "IGNORE") | toYaml }}
{{- end -}}

{{/* The hosts and routes of a VirtualService. */}}
{{- define "cellgate.virtualService" -}}
hosts:
  {{- toYaml .Values.routes.hosts | nindent 2 }}
http:
  {{- with .Values.routes.extra }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- if .Values.routes.cors }}
  # Preflights have no body and no key. Envoy's cors filter answers them on this route. A route must have a destination,
  # but no request reaches it.
  - name: {{ include "cellgate.fullname" . }}-preflight
    match:
      - method: { exact: OPTIONS }
        headers: { origin: {}, access-control-request-method: {} }
    {{- include "cellgate.route" (dict "root" $ "cell" (include "cellgate.cellNames" . | fromJsonArray | first) "undecided" true) | nindent 4 }}
  {{- end }}
  {{- range $name := include "cellgate.cellNames" . | fromJsonArray }}
  - name: {{ include "cellgate.routeName" (dict "root" $ "cell" $name) }}
    match:
      - headers: { {{ lower $.Values.config.routing_header }}: { exact: {{ quote $name }} } }
    {{- include "cellgate.route" (dict "root" $ "cell" $name) | nindent 4 }}
  {{- end }}
  # Requests without a decision have no cell. This route keeps other VirtualServices from matching them.
  - name: undecided
    {{- with .Values.routes.undecided }}
    {{- if .cell }}
    {{- include "cellgate.route" (dict "root" $ "cell" .cell "undecided" true) | nindent 4 }}
    {{- else }}
    directResponse: { status: {{ int64 .reject }}, body: { string: "no cell\n" } }
    {{- end }}
    {{- end }}
{{- end -}}

{{/* A Gateway API backend of one cell. Takes the cell's values. */}}
{{- define "cellgate.backendRef" -}}
{{- $parts := splitList "." .host -}}
{ kind: Service, name: {{ index $parts 0 }}, namespace: {{ index $parts 1 }}, port: {{ int64 .port }} }
{{- end -}}

{{/* A rule of an HTTPRoute without its match. Takes a dict of `root` and `cell`. */}}
{{- define "cellgate.httpRouteRule" -}}
{{- $cell := index .root.Values.cells .cell -}}
{{- $traffic := include "cellgate.traffic" . | fromJson -}}
filters:
  - type: RequestHeaderModifier
    requestHeaderModifier: { remove: [x-cellgate-defer] }
  {{- with $cell.mirror }}
  - type: RequestMirror
    requestMirror: { backendRef: {{ include "cellgate.backendRef" (index $.root.Values.cells .cell) }} }
  {{- end }}
{{- if include "cellgate.milliseconds" $traffic.timeout | int64 }}
timeouts: { request: {{ $traffic.timeout }} }
{{- end }}
backendRefs:
  - {{ include "cellgate.backendRef" $cell }}
{{- end -}}
