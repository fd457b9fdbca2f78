{{/* The store of rate limits that all replicas share: options of the service, the files that they name, and the way there.
Each prints nothing if there is no store. */}}

{{- define "cellgate.limitStore.args" -}}
{{- with .Values.extProc.limitStore -}}
{{- if .url -}}
- {{ printf "--limit-store=%s" .url | quote }}
- --limit-secret-file=/etc/cellgate-limit-store/limit-secret
{{- with .cluster }}
- --limit-store-cluster={{ . }}
{{- end }}
{{- with .user }}
- {{ printf "--limit-store-user=%s" . | quote }}
{{- end }}
{{- if .secret.passwordKey }}
- --limit-store-password-file=/etc/cellgate-limit-store/password
{{- end }}
{{- if .tls.caKey }}
- --limit-store-ca=/etc/cellgate-limit-store/ca.crt
{{- end }}
{{- if .tls.clientCertKey }}
- --limit-store-cert=/etc/cellgate-limit-store/tls.crt
- --limit-store-key=/etc/cellgate-limit-store/tls.key
{{- end }}
- --limit-store-timeout={{ .timeout }}
- {{ printf "--limit-store-prefix=%s" .prefix | quote }}
# While the store is gone, a limit with `when_store_fails: local` gives each replica this part.
- --limit-store-replicas={{ include "cellgate.maxReplicas" $ }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The most replicas in normal operation. A rollout has one more for a moment. */}}
{{- define "cellgate.maxReplicas" -}}
{{- with .Values.extProc -}}
{{ ternary .replicas .autoscaling.maxReplicas (eq .autoscaling.type "none") | int64 }}
{{- end -}}
{{- end -}}

{{/* One volume, so that each file has the same path whatever its key. */}}
{{- define "cellgate.limitStore.volume" -}}
{{- with .Values.extProc.limitStore -}}
{{- if .url -}}
- name: limit-store
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ .secret.name }}
          items:
            - { key: {{ quote .secret.limitSecretKey }}, path: limit-secret }
            {{- with .secret.passwordKey }}
            - { key: {{ quote . }}, path: password }
            {{- end }}
      {{- with .tls }}
      {{- if .caKey }}
      - {{ ternary "configMap" "secret" (ne .configMap "") }}:
          name: {{ default .secret .configMap }}
          items:
            - { key: {{ quote .caKey }}, path: ca.crt }
      {{- end }}
      {{- if .clientCertKey }}
      - secret:
          name: {{ .secret }}
          items:
            - { key: {{ quote .clientCertKey }}, path: tls.crt }
            - { key: {{ quote .clientKeyKey }}, path: tls.key }
      {{- end }}
      {{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The servers of the URL, as a JSON list of maps with `host` and `port`. */}}
{{- define "cellgate.limitStore.servers" -}}
{{- $servers := list -}}
{{- range regexReplaceAll "^rediss?://([^/]*).*$" .Values.extProc.limitStore.url "${1}" | splitList "," -}}
{{- $port := default "6379" (regexFind ":[0-9]+$" . | trimPrefix ":") -}}
{{- $servers = append $servers (dict "host" (regexReplaceAll ":[0-9]+$" . "") "port" (int64 $port)) -}}
{{- end -}}
{{ toJson $servers }}
{{- end -}}

{{/* Rules of the NetworkPolicy's egress: a Service is allowed by its namespace, and any other server by its port alone. */}}
{{- define "cellgate.limitStore.egress" -}}
{{- if .Values.extProc.limitStore.url -}}
{{- $ports := dict -}}
{{- range include "cellgate.limitStore.servers" . | fromJsonArray -}}
{{- $namespaces := include "cellgate.serviceNamespaces" (dict "root" $ "host" .host) -}}
{{- $rule := printf "%d %s" (int64 .port) $namespaces -}}
{{- $_ := set $ports $rule (dict "port" (int64 .port) "namespaces" $namespaces) -}}
{{- end -}}
{{- range $ports }}
- ports:
    - { protocol: TCP, port: {{ int64 .port }} }
    {{- if fromJsonArray .namespaces }}
    # The store's ztunnel, in ambient mode.
    - { protocol: TCP, port: 15008 }
  to:
    {{- include "cellgate.namespacePeers" .namespaces | indent 4 }}
    {{- end }}
{{- end }}
{{- end -}}
{{- end -}}
