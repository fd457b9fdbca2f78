{{/* Checks of what goes into proxies and pods. */}}

{{- define "cellgate.check.filter" -}}
{{- with .Values.filter -}}
{{- if and .enabled (not .attach) -}}
{{- println "filter.attach: say which proxies get the filter, at least one entry; or set filter.enabled to false" -}}
{{- end -}}
{{- if and $.Values.routes.enabled (not .enabled) -}}
{{- printf "filter.enabled: without the filter a client's own %s is believed; set routes.enabled to false too, and write the routes yourself" $.Values.config.routing_header | println -}}
{{- end -}}
{{- if and .shadow $.Values.routes.enabled -}}
{{- printf "filter.shadow: set routes.enabled to false; the filter does not set %s, so these routes would refuse every request" $.Values.config.routing_header | println -}}
{{- end -}}
{{- if and .shadow $.Values.extProc.enabled -}}
{{- println "filter.shadow: set extProc.enabled to false; nothing is deferred, so the service has nothing to do" -}}
{{- end -}}
{{- $names := dict -}}
{{- range $i, $attach := .attach -}}
{{- $path := printf "filter.attach[%d]" $i -}}
{{- if not (include "cellgate.isLabel" .name) -}}
{{- printf "%s.name: give it a name of small letters, digits and `-`" $path | println -}}
{{- end -}}
{{- if not (has .type (list "gateway" "sidecar-inbound" "sidecar-outbound" "waypoint")) -}}
{{- printf "%s.type: say gateway, sidecar-inbound, sidecar-outbound or waypoint" $path | println -}}
{{- end -}}
{{- if not (include "cellgate.isLabel" .namespace) -}}
{{- printf "%s.namespace: say the proxies' namespace" $path | println -}}
{{- end -}}
{{- if eq (toString .name) "guard" -}}
{{- printf "%s.name: give it another name; the chart has an EnvoyFilter of this one" $path | println -}}
{{- end -}}
{{- if hasSuffix "-limits" (toString .name) -}}
{{- printf "%s.name: give it a name without -limits at its end; the chart's own EnvoyFilters end so" $path | println -}}
{{- end -}}
{{- if hasKey $names (toString .name) -}}
{{- printf "%s.name: %s is there twice; give each entry a name of its own" $path .name | println -}}
{{- end -}}
{{- $_ := set $names (toString .name) true -}}
{{- if and .selector .targetRefs -}}
{{- printf "%s: say either selector or targetRefs, not both" $path | println -}}
{{- else if not (or .selector .targetRefs) -}}
{{- printf "%s: say selector or targetRefs; with neither the filter would be in every proxy of the namespace" $path | println -}}
{{- else if and (eq (toString .type) "waypoint") (not .targetRefs) -}}
{{- printf "%s.targetRefs: name the waypoint's Gateway; Istio ignores selectors for waypoints" $path | println -}}
{{- end -}}
{{- if and (eq (toString .namespace) $.Values.istio.namespace) (hasPrefix "sidecar" (toString .type)) -}}
{{- printf "%s.namespace: in Istio's own namespace the selector would choose pods of the whole mesh; attach to the workload's namespace" $path | println -}}
{{- end -}}
{{- if and .serviceAccount (not (include "cellgate.isHostName" .serviceAccount)) -}}
{{- printf "%s.serviceAccount: %v is no service account's name; one entry for each, without wildcards" $path .serviceAccount | println -}}
{{- else if and $.Values.mtls.enabled (not .serviceAccount) -}}
{{- printf "%s.serviceAccount: say the proxies' service account, who may call the service and the cells; or set mtls.enabled to false" $path | println -}}
{{- end -}}
{{- with .cell -}}
{{- include "cellgate.checkCell" (dict "root" $ "path" (printf "%s.cell" $path) "cell" .) -}}
{{- if ne (toString $attach.type) "sidecar-inbound" -}}
{{- printf "%s.cell: leave it out; only a workload behind sidecar-inbound is a cell" $path | println -}}
{{- end -}}
{{- end -}}
{{- if and .ports (eq (toString .type) "waypoint") -}}
{{- printf "%s.ports: leave it out; a waypoint has one listener for all ports" $path | println -}}
{{- end -}}
{{- range .ports -}}
{{- if not (include "cellgate.isPort" .) -}}
{{- printf "%s.ports: %v is no port" $path . | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := pick . "streamIdleTimeout" "requestTimeout" -}}
{{- if and $value (not (include "cellgate.milliseconds" $value)) -}}
{{- printf "filter.%s: %v is no duration; write 30s, 500ms or 1m30s" $name $value | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cellgate.check.module" -}}
{{- if .Values.filter.enabled -}}
{{- with .Values.filter.module -}}
{{- if and .url .path -}}
{{- println "filter.module: say either url or path, not both" -}}
{{- else if .url -}}
{{- if not (regexMatch "^(oci|https?)://[^/]+/" .url) -}}
{{- printf "filter.module.url: %s should start with oci:// or https://, and name a file or an image" .url | println -}}
{{- end -}}
{{- if hasSuffix ":latest" .url -}}
{{- printf "filter.module.url: say a version instead of %s; what latest means changes under you" .url | println -}}
{{- end -}}
{{- if not .sha256 -}}
{{- println "filter.module.sha256: pin the module; what a registry serves tomorrow runs in your gateways" -}}
{{- else if not (regexMatch "^[0-9a-f]{64}$" (toString .sha256)) -}}
{{- printf "filter.module.sha256: %v is not 64 hexadecimal digits in small letters; leave out sha256:" .sha256 | println -}}
{{- end -}}
{{- else if not .path -}}
{{- println "filter.module.url: say where the filter is, as oci:// or https://, or set path to a file in the proxies" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cellgate.check.extProc" -}}
{{- if .Values.extProc.enabled -}}
{{- with .Values.image -}}
{{- if not .repository -}}
{{- println "image.repository: say where the image is, for example registry.example/cellgate; or set extProc.enabled to false" -}}
{{- end -}}
{{- if regexMatch ":[^/]*$" (default "" .repository) -}}
{{- printf "image.repository: %s has a tag or digest in it; say that in image.tag or image.digest" .repository | println -}}
{{- end -}}
{{- if eq (toString .tag) "latest" -}}
{{- println "image.tag: say a version; what latest means changes under you" -}}
{{- end -}}
{{- if and .digest (not (regexMatch "^sha256:[0-9a-f]{64}$" .digest)) -}}
{{- printf "image.digest: %s is not sha256: and 64 hexadecimal digits" .digest | println -}}
{{- end -}}
{{- end -}}
{{- with .Values.extProc -}}
{{- $held := include "cellgate.bytes" .maxHeldBytes -}}
{{- $streamed := include "cellgate.bytes" (default "16MiB" (default dict $.Values.config.limits).stream_bytes) -}}
{{- $memory := include "cellgate.quantityBytes" (default dict .resources.limits).memory -}}
{{- if not $held -}}
{{- printf "extProc.maxHeldBytes: %v is no size; write 512MiB or 1GiB" .maxHeldBytes | println -}}
{{- else if and $streamed (lt (int64 $held) (int64 $streamed)) -}}
{{- printf "extProc.maxHeldBytes: raise %v to at least config.limits.stream_bytes (%s), what one request may need" .maxHeldBytes $streamed | println -}}
{{- end -}}
{{- if or (not $memory) (not (int64 $memory)) -}}
{{- println "extProc.resources.limits.memory: say a limit such as 768Mi, more than extProc.maxHeldBytes" -}}
{{- else if and $held (le (int64 $memory) (int64 $held)) -}}
{{- printf "extProc.resources.limits.memory: raise %v above extProc.maxHeldBytes (%v), or the pod is killed before it can refuse" .resources.limits.memory .maxHeldBytes | println -}}
{{- end -}}
{{- with .autoscaling -}}
{{- if and (ne .type "none") (gt (int64 .minReplicas) (int64 .maxReplicas)) -}}
{{- printf "extProc.autoscaling.minReplicas: %v is more than maxReplicas (%v); swap them" .minReplicas .maxReplicas | println -}}
{{- end -}}
{{- if and (eq .type "keda") (not .prometheusAddress) -}}
{{- println "extProc.autoscaling.prometheusAddress: say where Prometheus is, for example http://prometheus.monitoring.svc:9090; keda asks it" -}}
{{- end -}}
{{- end -}}
{{- $decision := include "cellgate.milliseconds" .decisionTimeout -}}
{{- $message := include "cellgate.milliseconds" .messageTimeout -}}
{{- if not (and $decision $message) -}}
{{- printf "extProc.decisionTimeout and messageTimeout: %v and %v must both be durations such as 10s" .decisionTimeout .messageTimeout | println -}}
{{- else if ge (int64 $decision) (int64 $message) -}}
{{- printf "extProc.messageTimeout: make %s longer than decisionTimeout (%s), so that the service answers before Envoy gives up" .messageTimeout .decisionTimeout | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
