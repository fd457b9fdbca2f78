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
{{- /* None is Istio's default, and its validation refuses 0s. */}}
{{- if include "cellgate.milliseconds" $traffic.timeout | int64 }}
timeout: {{ $traffic.timeout }}
{{- end }}
retries:
  {{- if int64 $traffic.retries.attempts }}
  {{- omit $traffic.retries "budget" (ternary "" "perTryTimeout" (ne (default "" $traffic.retries.perTryTimeout) "")) | toYaml | nindent 2 }}
  {{- else }}
  # Said, because Istio retries twice by default.
  attempts: 0
  {{- end }}
{{- with .root.Values.routes.cors }}
corsPolicy:
  {{- toYaml . | nindent 2 }}
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
{{- end -}}

{{/* The hosts and routes of a VirtualService. */}}
{{- define "cellgate.virtualService" -}}
hosts:
  {{- toYaml .Values.routes.hosts | nindent 2 }}
http:
  {{- with .Values.routes.extra }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .Values.routes.cors }}
  # A preflight names no tenant: Istio's cors filter answers it here, and none of them reaches the cell.
  - name: {{ include "cellgate.fullname" $ }}-preflight
    match:
      - method: { exact: OPTIONS }
        headers: { origin: {}, access-control-request-method: {} }
    {{- $first := include "cellgate.cellNames" $ | fromJsonArray | first }}
    route:
      {{- include "cellgate.destinations" (dict "root" $ "cell" $first) | trim | nindent 6 }}
    headers: { request: { remove: [x-cellgate-defer, {{ lower $.Values.config.routing_header }}] } }
    corsPolicy:
      {{- merge (dict "unmatchedPreflights" (default "IGNORE" .unmatchedPreflights)) . | toYaml | nindent 6 }}
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
timeouts: { request: {{ $traffic.timeout }} }
backendRefs:
  - {{ include "cellgate.backendRef" $cell }}
{{- end -}}
