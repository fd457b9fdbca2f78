{{/* Templates for all pods of the chart: the service's, and those of Helm's hooks. */}}

{{/* `true` on OpenShift, which assigns user and group ids to each namespace and refuses all others. */}}
{{- define "cellgate.isOpenShift" -}}
{{- $mode := toString (kindIs "invalid" .Values.openshift | ternary "auto" .Values.openshift) -}}
{{ ternary (.Capabilities.APIVersions.Has "security.openshift.io/v1") (eq $mode "true") (eq $mode "auto") }}
{{- end -}}

{{/* A pod's securityContext. Takes a dict of `root`, and `files` for pods whose group must be able to read their
volumes. */}}
{{- define "cellgate.podSecurityContext" -}}
{{- $context := dict "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- if ne "true" (include "cellgate.isOpenShift" .root) -}}
{{- $_ := set $context "runAsUser" 65532 -}}
{{- $_ := set $context "runAsGroup" 65532 -}}
{{- if .files -}}
{{- $_ := set $context "fsGroup" 65532 -}}
{{- end -}}
{{- end -}}
{{- include "cellgate.overlay" (dict "base" $context "over" .root.Values.podSecurityContext) -}}
{{- end -}}

{{/* A container's securityContext. */}}
{{- define "cellgate.containerSecurityContext" -}}
{{- $context := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) -}}
{{- include "cellgate.overlay" (dict "base" $context "over" .Values.containerSecurityContext) -}}
{{- end -}}

{{/* A map with another map over it, as YAML: a field of the second replaces the whole field, and null removes it.
Takes a dict of `base` and `over`. */}}
{{- define "cellgate.overlay" -}}
{{- $merged := .base -}}
{{- range $field, $value := default dict .over -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $merged $field -}}
{{- else -}}
{{- $_ := set $merged $field $value -}}
{{- end -}}
{{- end -}}
{{ toYaml $merged }}
{{- end -}}

{{/* `true` if the additional options or variables of the service give it a certificate. */}}
{{- define "cellgate.hasCertificate" -}}
{{- range .Values.extProc.extraArgs -}}
{{- if hasPrefix "--tls-cert" (toString .) -}}true{{- end -}}
{{- end -}}
{{- range .Values.extProc.extraEnv -}}
{{- if eq (toString .name) "CELLGATE_TLS_CERT" -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* The names of the image pull Secrets, as JSON. The value has plain names or Kubernetes' form. */}}
{{- define "cellgate.pullSecrets" -}}
{{- $names := list -}}
{{- range .Values.image.pullSecrets -}}
{{- $names = append $names (kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "name") .) -}}
{{- end -}}
{{ toJson $names }}
{{- end -}}

{{- define "cellgate.imagePullSecrets" -}}
{{- with include "cellgate.pullSecrets" . | fromJsonArray -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* The account of the service's pods. */}}
{{- define "cellgate.serviceAccountName" -}}
{{- with .Values.serviceAccount -}}
{{- if .name -}}
{{ .name }}
{{- else if .create -}}
{{ include "cellgate.extProcName" $ }}
{{- else -}}
default
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The nodes where the pods may run. */}}
{{- define "cellgate.podScheduling" -}}
{{- with .Values.extProc.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.extProc.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Removes the cells that a values file sets to null: `cells: { cell-b: null }` in a second file is Helm's way to
remove one. Every template that reads cells calls it first. */}}
{{- define "cellgate.removeNullCells" -}}
{{- range $name := keys (default dict .Values.cells) -}}
{{- if kindIs "invalid" (get $.Values.cells $name) -}}
{{- $_ := unset $.Values.cells $name -}}
{{- end -}}
{{- end -}}
{{- end -}}
