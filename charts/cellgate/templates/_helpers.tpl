{{/* Names, labels and identities that several templates use. `include` returns text, so lists and maps are printed
as JSON: read them with `fromJsonArray` and `fromJson`. */}}

{{/* The prefix of all object names. */}}
{{- define "cellgate.fullname" -}}
{{ default .Release.Name .Values.fullnameOverride }}
{{- end -}}

{{- define "cellgate.extProcName" -}}
{{ include "cellgate.fullname" . }}-ext-proc
{{- end -}}

{{/* The host name of the ext-proc service. Istio names Envoy's cluster after it. */}}
{{- define "cellgate.extProcHost" -}}
{{ include "cellgate.extProcName" . }}.{{ .Release.Namespace }}.svc.cluster.local
{{- end -}}

{{/* The label app.kubernetes.io/name. */}}
{{- define "cellgate.appName" -}}
{{ default "cellgate" .Values.nameOverride }}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "cellgate.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "cellgate.appName" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Selects the pods of the ext-proc service and no other pods of the release. It must never change: a Deployment's
selector is immutable. */}}
{{- define "cellgate.selectorLabels" -}}
app.kubernetes.io/name: {{ include "cellgate.appName" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: ext-proc
{{- end -}}

{{- define "cellgate.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The cells' names in a stable order, as JSON. */}}
{{- define "cellgate.cellNames" -}}
{{ keys .Values.cells | sortAlpha | toJson }}
{{- end -}}

{{/* The namespace of one cell's objects, from `namespace` or from a host of the form SERVICE.NAMESPACE.svc.…; empty
if both are missing. Takes the cell's values. */}}
{{- define "cellgate.cellNamespace" -}}
{{- $host := default "" .host | toString -}}
{{- if .namespace -}}
{{ .namespace }}
{{- else if regexMatch "^[^.]+[.][^.]+[.]svc[.].+" $host -}}
{{ index (splitList "." $host) 1 }}
{{- end -}}
{{- end -}}

{{/* The traffic settings of one cell, as JSON: `traffic`, overridden by the cell's own values. Takes a dict of
`root` and `cell` (the cell's name). */}}
{{- define "cellgate.traffic" -}}
{{- $own := index .root.Values.cells .cell -}}
{{- $traffic := deepCopy .root.Values.traffic -}}
{{- $merged := mergeOverwrite $traffic (deepCopy (omit $own "host" "port" "namespace" "workload" "drain" "versions" "mirror")) -}}
{{- /* The two are alternatives: one replaces the other. */ -}}
{{- if hasKey (default dict $merged.loadBalancer) "consistentHash" -}}
{{- $_ := set $merged "loadBalancer" (omit $merged.loadBalancer "simple") -}}
{{- end -}}
{{- with $own.tls -}}
{{- $_ := set $merged "tls" . -}}
{{- end -}}
{{ toJson $merged }}
{{- end -}}

{{/* The identities of the attached proxies that forward requests to cells, as JSON, in the form
`TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT` of AuthorizationPolicies. A workload behind `sidecar-inbound` only receives
requests, so it is not among them; if its filter defers, it is in `cellgate.proxyPrincipals`. */}}
{{- define "cellgate.gatewayPrincipals" -}}
{{- $principals := list -}}
{{- range .Values.filter.attach -}}
{{- if and .serviceAccount (ne .type "sidecar-inbound") -}}
{{- $principals = append $principals (printf "%s/ns/%s/sa/%s" $.Values.mtls.trustDomain .namespace .serviceAccount) -}}
{{- end -}}
{{- end -}}
{{ $principals | uniq | sortAlpha | toJson }}
{{- end -}}

{{/* The identities of the attached proxies whose filter defers. They may call the ext-proc service. */}}
{{- define "cellgate.proxyPrincipals" -}}
{{- $principals := list -}}
{{- range .Values.filter.attach -}}
{{- if and .serviceAccount (eq "true" (include "cellgate.defers" (dict "root" $ "attach" .))) -}}
{{- $principals = append $principals (printf "%s/ns/%s/sa/%s" $.Values.mtls.trustDomain .namespace .serviceAccount) -}}
{{- end -}}
{{- end -}}
{{ $principals | uniq | sortAlpha | toJson }}
{{- end -}}

{{/* The identities of `namespace/serviceaccount` entries. Takes a dict of `root` and `accounts`. */}}
{{- define "cellgate.principals" -}}
{{- $principals := list -}}
{{- range .accounts -}}
{{- $parts := splitList "/" . -}}
{{- $principals = append $principals (printf "%s/ns/%s/sa/%s" $.root.Values.mtls.trustDomain (first $parts) (last $parts)) -}}
{{- end -}}
{{ $principals | uniq | sortAlpha | toJson }}
{{- end -}}

{{/* The identities that may send the routing header: the gateways and mtls.callers. */}}
{{- define "cellgate.callerPrincipals" -}}
{{- $callers := include "cellgate.principals" (dict "root" . "accounts" .Values.mtls.callers) | fromJsonArray -}}
{{ concat (include "cellgate.gatewayPrincipals" . | fromJsonArray) $callers | uniq | sortAlpha | toJson }}
{{- end -}}

{{/* The namespaces of a host that may be a Service of the cluster, or a pod of one, as a JSON array. Empty for any other host. `NAME`
is a Service in the namespace of the release. `A.B` is the Service A of the namespace B, or the pod A of a Service B beside the
release; with a dot at its end, it is neither. Takes a dict of `root` and `host`. */}}
{{- define "cellgate.serviceNamespaces" -}}
{{- $host := .host | lower | trimSuffix "." -}}
{{- $labels := splitList "." $host -}}
{{- $namespaces := list -}}
{{- $isName := true -}}
{{- range $labels }}{{ if not (include "cellgate.isLabel" .) }}{{ $isName = false }}{{ end }}{{ end -}}
{{- $count := len $labels -}}
{{- if $isName -}}
{{- if and (eq 1 $count) (not (hasSuffix "." .host)) -}}
{{- $namespaces = list .root.Release.Namespace -}}
{{- else if and (eq 2 $count) (not (hasSuffix "." .host)) -}}
{{- $namespaces = list (index $labels 1) .root.Release.Namespace | uniq -}}
{{- else if and (ge $count 3) (eq "svc" (index $labels 2)) -}}
{{- $namespaces = list (index $labels 1) -}}
{{- else if and (ge $count 4) (eq "svc" (index $labels 3)) -}}
{{- $namespaces = list (index $labels 2) -}}
{{- end -}}
{{- end -}}
{{ toJson $namespaces }}
{{- end -}}

{{/* The peers of an egress rule in these namespaces. Takes a JSON array. */}}
{{- define "cellgate.namespacePeers" -}}
{{- range fromJsonArray . }}
- namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: {{ quote . }} } }
{{- end }}
{{- end -}}

{{/* The namespaces of all attached proxies, as JSON. */}}
{{- define "cellgate.attachNamespaces" -}}
{{- $namespaces := list -}}
{{- range .Values.filter.attach -}}
{{- $namespaces = append $namespaces .namespace -}}
{{- end -}}
{{ $namespaces | uniq | sortAlpha | toJson }}
{{- end -}}

{{/* `true` if a cell's workload is in the mesh, by the TLS mode of its clients. Policies have an effect only there.
Takes a dict of `root` and `cell`. */}}
{{- define "cellgate.isMeshCell" -}}
{{- $traffic := include "cellgate.traffic" . | fromJson -}}
{{ eq "ISTIO_MUTUAL" (default dict $traffic.tls).mode }}
{{- end -}}
