{{/* What all pods of the chart share: the service's, and those of helm's hooks. */}}

{{/* `true` on OpenShift, whose admission gives each namespace its own user and group ids, and refuses all others. */}}
{{- define "cellgate.isOpenShift" -}}
{{- $said := toString (kindIs "invalid" .Values.openshift | ternary "auto" .Values.openshift) -}}
{{ ternary (.Capabilities.APIVersions.Has "security.openshift.io/v1") (eq $said "true") (eq $said "auto") }}
{{- end -}}

{{/* A pod's securityContext. Takes a dict of `root`, and `files` for pods whose volumes the group must be able to read. */}}
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

{{/* A map with another one over it, as YAML: each field of the latter counts whole, null takes one out. Takes a dict of `base` and `over`. */}}
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

{{/* The names of the Secrets that images are pulled with, as JSON: said as names, or as Kubernetes does. */}}
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

{{/* Where the pods may run. */}}
{{- define "cellgate.placement" -}}
{{- with .Values.extProc.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.extProc.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Takes cells out that a values file has set to null, so that nobody else has to know: `cells: { cell-b: null }` in a second
file is Helm's way to say it. Every template that looks at cells begins with it. */}}
{{- define "cellgate.init" -}}
{{- range $name := keys (default dict .Values.cells) -}}
{{- if kindIs "invalid" (get $.Values.cells $name) -}}
{{- $_ := unset $.Values.cells $name -}}
{{- end -}}
{{- end -}}
{{- end -}}
