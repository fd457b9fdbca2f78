{{/* Traces: options and variables of the service, the files that they name, and the way to the receiver. Each prints nothing
without an endpoint. */}}

{{- define "cellgate.tracing.args" -}}
{{- with .Values.extProc.tracing -}}
{{- if .endpoint -}}
- {{ printf "--otlp-endpoint=%s" .endpoint | quote }}
- {{ printf "--otlp-protocol=%s" .protocol | quote }}
{{- if .tls.caKey }}
- --otlp-ca=/etc/cellgate-tracing/ca.crt
{{- end }}
{{- if .headers.key }}
- --otlp-headers-file=/etc/cellgate-tracing/headers
{{- end }}
- --trace-sample-percent={{ include "cellgate.decimal" .samplePercent }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A number without an exponent: Helm prints 0.00001 as 1e-05. */}}
{{- define "cellgate.decimal" -}}
{{ regexReplaceAll "[.]?0*$" (printf "%.7f" (float64 .)) "" }}
{{- end -}}

{{/* Whose spans they are: by the variable of OpenTelemetry, unless extraEnv has it. The id is the one that the semantic
conventions advise for a container in Kubernetes. */}}
{{- define "cellgate.tracing.env" -}}
{{- $own := false -}}
{{- range .Values.extProc.extraEnv -}}
{{- $own = or $own (eq "OTEL_RESOURCE_ATTRIBUTES" (toString .name)) -}}
{{- end -}}
{{- if and .Values.extProc.tracing.endpoint (not $own) -}}
- name: CELLGATE_POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ printf "service.instance.id=%s.$(CELLGATE_POD_NAME).ext-proc,k8s.namespace.name=%s,k8s.pod.name=$(CELLGATE_POD_NAME),k8s.container.name=ext-proc" .Release.Namespace .Release.Namespace | quote }}
{{- end -}}
{{- end -}}

{{/* One volume, so that each file has the same path whatever its key. */}}
{{- define "cellgate.tracing.volume" -}}
{{- with .Values.extProc.tracing -}}
{{- if and .endpoint (or .tls.caKey .headers.key) -}}
- name: tracing
  projected:
    defaultMode: 0440
    sources:
      {{- if .tls.caKey }}
      - {{ ternary "configMap" "secret" (ne .tls.configMap "") }}:
          name: {{ default .tls.secret .tls.configMap }}
          items:
            - { key: {{ quote .tls.caKey }}, path: ca.crt }
      {{- end }}
      {{- if .headers.key }}
      - secret:
          name: {{ .headers.secret }}
          items:
            - { key: {{ quote .headers.key }}, path: headers }
      {{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A rule of the NetworkPolicy's egress: a Service is allowed by its namespace, and any other server by its port alone. */}}
{{- define "cellgate.tracing.egress" -}}
{{- with .Values.extProc.tracing.endpoint -}}
{{- $authority := regexReplaceAll "^https?://([^/]*).*$" . "${1}" -}}
{{- $host := regexReplaceAll ":[0-9]+$" $authority "" -}}
{{- $port := default (ternary "443" "80" (hasPrefix "https:" .)) (regexFind ":[0-9]+$" $authority | trimPrefix ":") -}}
{{- $namespaces := include "cellgate.serviceNamespaces" (dict "root" $ "host" $host) -}}
- ports:
    - { protocol: TCP, port: {{ int64 $port }} }
    {{- if fromJsonArray $namespaces }}
    # The receiver's ztunnel, in ambient mode.
    - { protocol: TCP, port: 15008 }
  to:
    {{- include "cellgate.namespacePeers" $namespaces | indent 4 }}
    {{- end }}
{{- end -}}
{{- end -}}
