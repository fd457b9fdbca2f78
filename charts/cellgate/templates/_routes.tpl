{{/* What the two kinds of routes share. */}}

{{/* A VirtualService's destinations of one cell: one, or one for each of its versions.
Takes a dict of `root` and `cell` (the cell's name). */}}
{{- define "cellgate.destinations" -}}
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

{{/* Of a name that no other VirtualService's route has: the EnvoyFilter's patches find the routes by it.
Takes a dict of `root` and `cell` (the cell's name). */}}
{{- define "cellgate.routeName" -}}
{{ include "cellgate.fullname" .root }}-{{ .cell }}
{{- end -}}

{{/* Everything of a VirtualService's route but its name and match. Takes a dict of `root`, `cell`, and `undecided` for the route
of requests that have no cell. */}}
{{- define "cellgate.route" -}}
{{- $cell := index .root.Values.cells .cell -}}
{{- $traffic := include "cellgate.traffic" . | fromJson -}}
route:
  {{- include "cellgate.destinations" . | trim | nindent 2 }}
headers:
  request:
    # A routing header that leads here is nobody's decision.
    remove: [x-cellgate-defer{{ if .undecided }}, {{ lower .root.Values.config.routing_header }}{{ end }}]
  {{- if .root.Values.routes.cors }}
  response:
    # A cache must not give one origin's answer to another. Envoy's cors filter does not say it.
    add: { vary: origin }
  {{- end }}
{{- /* None is Istio's default, and its validation refuses 0s. */}}
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
  # Said, because Istio retries twice by default.
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

{{/* Istio's default hands a preflight of an origin that is not allowed to the route's destination. A preflight has no cell. */}}
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
  # A browser asks before it sends, without a body and without a key. Envoy's cors filter answers on this route; a destination is
  # only there because a route must have one, and is not reached.
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
  # Without a decision there is no cell. Said, so that no other route takes such a request.
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

{{/* Everything of an HTTPRoute's rule but its match. Takes a dict of `root` and `cell`. */}}
{{- define "cellgate.rule" -}}
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
