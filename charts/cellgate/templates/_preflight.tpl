{{/* Checks of the cluster. `helm template` and a client-side dry run cannot look into a cluster, so they skip these
checks. */}}

{{- define "cellgate.check.preflight" -}}
{{- if and .Values.preflight (lookup "v1" "Namespace" "" "default") -}}
{{- include "cellgate.preflight.kinds" . -}}
{{- include "cellgate.preflight.istio" . -}}
{{- include "cellgate.preflight.namespaces" . -}}
{{- include "cellgate.preflight.secrets" . -}}
{{- include "cellgate.preflight.neighbours" . -}}
{{- end -}}
{{- end -}}

{{- define "cellgate.preflight.kinds" -}}
{{- $kinds := dict -}}
{{- $_ := set $kinds "networking.istio.io/v1/DestinationRule" "install Istio first" -}}
{{- if eq .Values.routes.api "gateway-api" -}}
{{- $_ := set $kinds "gateway.networking.k8s.io/v1/HTTPRoute" "install the Gateway API's CRDs, or set routes.api to istio" -}}
{{- end -}}
{{- if eq .Values.extProc.autoscaling.type "keda" -}}
{{- $_ := set $kinds "keda.sh/v1alpha1/ScaledObject" "install KEDA, or set extProc.autoscaling.type to hpa" -}}
{{- end -}}
{{- if .Values.extProc.externalSecrets -}}
{{- $_ := set $kinds "external-secrets.io/v1/ExternalSecret" "install External Secrets, or make the Secrets yourself" -}}
{{- end -}}
{{- if .Values.monitoring.serviceMonitor.enabled -}}
{{- $_ := set $kinds "monitoring.coreos.com/v1/ServiceMonitor" "install the Prometheus operator, or switch monitoring.serviceMonitor off" -}}
{{- end -}}
{{- if .Values.monitoring.prometheusRule.enabled -}}
{{- $_ := set $kinds "monitoring.coreos.com/v1/PrometheusRule" "install the Prometheus operator, or switch monitoring.prometheusRule off" -}}
{{- end -}}
{{- if include "cellgate.hasTelemetry" . -}}
{{- $_ := set $kinds "telemetry.istio.io/v1/Telemetry" "install the CRDs of Istio's Telemetry API, or switch istio.telemetry.tracing and istio.telemetry.accessLog off" -}}
{{- end -}}
{{- range $kind, $remedy := $kinds -}}
{{- if not ($.Capabilities.APIVersions.Has $kind) -}}
{{- printf "%s: the cluster has no such kind; %s" $kind $remedy | println -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Istio's version as MAJOR.MINOR, from the label of istiod's Deployment or the tag of its image. Empty if istiod
runs elsewhere, or without a cluster. */}}
{{- define "cellgate.istioVersion" -}}
{{- $name := include "cellgate.istiodName" . -}}
{{- $version := "" -}}
{{- if .Values.preflight -}}
{{- with lookup "apps/v1" "Deployment" .Values.istio.namespace $name -}}
{{- $version = index (default dict .metadata.labels) "app.kubernetes.io/version" -}}
{{- range .spec.template.spec.containers -}}
{{- if and (not $version) (eq .name "discovery") -}}
{{- $version = regexFind "[^:/]+$" .image -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ regexFind "^[0-9]+[.][0-9]+" (default "" $version | toString) }}
{{- end -}}

{{- define "cellgate.istiodName" -}}
{{ ternary (printf "istiod-%s" .Values.istio.revision) "istiod" (ne .Values.istio.revision "") }}
{{- end -}}

{{- define "cellgate.preflight.istio" -}}
{{- $version := include "cellgate.istioVersion" . -}}
{{- if and $version (semverCompare "<1.28.0" (printf "%s.0" $version)) -}}
{{- printf "istio: %s is version %s; update Istio to 1.28 or newer, because Cellgate needs Envoy 1.36" (include "cellgate.istiodName" .) $version | println -}}
{{- end -}}
{{- end -}}

{{/* Namespaces of the objects. The release's own is not checked, because Helm may create it. */}}
{{- define "cellgate.preflight.namespaces" -}}
{{- $wanted := dict -}}
{{- range $name, $cell := .Values.cells -}}
{{- $_ := set $wanted (include "cellgate.cellNamespace" (default dict $cell)) (printf "cells.%s.namespace" $name) -}}
{{- end -}}
{{- if .Values.filter.enabled -}}
{{- range $i, $attach := .Values.filter.attach -}}
{{- $_ := set $wanted (toString .namespace) (printf "filter.attach[%d].namespace" $i) -}}
{{- end -}}
{{- end -}}
{{- if .Values.routes.enabled -}}
{{- range .Values.routes.gateways -}}
{{- $_ := set $wanted (regexFind "^[^/]+/" . | trimSuffix "/") "routes.gateways" -}}
{{- end -}}
{{- range .Values.routes.parentRefs -}}
{{- $_ := set $wanted (default "" .namespace) "routes.parentRefs" -}}
{{- end -}}
{{- end -}}
{{- range $namespace, $path := omit $wanted "" .Release.Namespace -}}
{{- if not (lookup "v1" "Namespace" "" $namespace) -}}
{{- printf "%s: the namespace %s does not exist; create it before you install" $path $namespace | println -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Secrets that the pods mount or pull images with. Those of the chart's ExternalSecrets are created later. */}}
{{- define "cellgate.preflight.secrets" -}}
{{- if .Values.extProc.enabled -}}
{{- $made := list -}}
{{- range .Values.extProc.externalSecrets -}}
{{- $made = append $made .name -}}
{{- end -}}
{{- $wanted := dict -}}
{{- range .Values.extProc.secrets -}}
{{- $_ := set $wanted .name "extProc.secrets" -}}
{{- end -}}
{{- range include "cellgate.pullSecrets" . | fromJsonArray -}}
{{- $_ := set $wanted . "image.pullSecrets" -}}
{{- end -}}
{{- with .Values.extProc.limitStore -}}
{{- if .url -}}
{{- $_ := set $wanted .secret.name "extProc.limitStore.secret.name" -}}
{{- if .tls.secret -}}
{{- $_ := set $wanted .tls.secret "extProc.limitStore.tls.secret" -}}
{{- end -}}
{{- if and .tls.configMap (not (lookup "v1" "ConfigMap" $.Release.Namespace .tls.configMap)) -}}
{{- printf "extProc.limitStore.tls.configMap: the ConfigMap %s does not exist in the namespace %s; create it before you install" .tls.configMap $.Release.Namespace | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $path := omit $wanted "" -}}
{{- if not (or (has $name $made) (lookup "v1" "Secret" $.Release.Namespace $name)) -}}
{{- printf "%s: the Secret %s does not exist in the namespace %s; create it before you install" $path $name $.Release.Namespace | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Other releases in the same proxies: each filter removes the routing header of the one before it, so the last
filter decides for both. Attachments whose different labels select the same pod are not found. */}}
{{- define "cellgate.preflight.neighbours" -}}
{{- if .Values.filter.enabled -}}
{{- range $i, $attach := .Values.filter.attach -}}
{{- range (lookup "networking.istio.io/v1alpha3" "EnvoyFilter" $attach.namespace "").items -}}
{{- $labels := default dict .metadata.labels -}}
{{- $release := index $labels "app.kubernetes.io/instance" -}}
{{- $home := index (default dict .metadata.annotations) "meta.helm.sh/release-namespace" -}}
{{- $ours := and (eq $release $.Release.Name) (eq $home $.Release.Namespace) -}}
{{- if and (hasPrefix "cellgate-" (default "" (index $labels "helm.sh/chart"))) (not $ours) -}}
{{- $same := and $attach.selector (eq (toJson $attach.selector) (dig "workloadSelector" "labels" dict .spec | toJson)) -}}
{{- if or $same (and $attach.targetRefs (eq (toJson $attach.targetRefs) (toJson .spec.targetRefs))) -}}
{{- printf "filter.attach[%d]: the release %s already has its filter in these proxies, and two filters would remove each other's routing headers; attach one release to other proxies" $i $release | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
