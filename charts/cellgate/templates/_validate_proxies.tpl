{{/* Checks of the values for proxies and pods. */}}

{{- define "cellgate.check.filter" -}}
{{- with .Values.filter -}}
{{- if and .enabled (not .attach) -}}
{{- println "filter.attach: this value is required; add an entry for the proxies that get the filter, or set filter.enabled to false" -}}
{{- end -}}
{{- if and $.Values.routes.enabled (not .enabled) -}}
{{- printf "filter.enabled: without the filter the routes would trust a client's own %s header; set routes.enabled to false too, and write the routes yourself" $.Values.config.routing_header | println -}}
{{- end -}}
{{- if and .shadow $.Values.routes.enabled -}}
{{- printf "filter.shadow: in shadow mode the filter does not set %s, so the routes would reject every request; set routes.enabled to false" $.Values.config.routing_header | println -}}
{{- end -}}
{{- if and .shadow $.Values.extProc.enabled -}}
{{- println "filter.shadow: in shadow mode the filter defers no request, so the service is not needed; set extProc.enabled to false" -}}
{{- end -}}
{{- $names := dict -}}
{{- range $i, $attach := .attach -}}
{{- $path := printf "filter.attach[%d]" $i -}}
{{- if not (include "cellgate.isLabel" .name) -}}
{{- printf "%s.name: the name is missing or not valid; use lower-case letters, digits and `-`" $path | println -}}
{{- end -}}
{{- if not (has .type (list "gateway" "sidecar-inbound" "sidecar-outbound" "waypoint")) -}}
{{- printf "%s.type: the type is missing or not valid; set gateway, sidecar-inbound, sidecar-outbound or waypoint" $path | println -}}
{{- end -}}
{{- if not (include "cellgate.isLabel" .namespace) -}}
{{- printf "%s.namespace: the namespace is missing or not valid; set the namespace of the proxies" $path | println -}}
{{- end -}}
{{- if eq (toString .name) "guard" -}}
{{- printf "%s.name: the chart uses the name guard for another EnvoyFilter; choose another name" $path | println -}}
{{- end -}}
{{- if hasSuffix "-limits" (toString .name) -}}
{{- printf "%s.name: the chart uses names that end in -limits for other EnvoyFilters; choose another name" $path | println -}}
{{- end -}}
{{- if hasKey $names (toString .name) -}}
{{- printf "%s.name: the name %s appears twice; give each entry a different name" $path .name | println -}}
{{- end -}}
{{- $_ := set $names (toString .name) true -}}
{{- if and .selector .targetRefs -}}
{{- printf "%s: selector and targetRefs are both set; remove one of them" $path | println -}}
{{- else if not (or .selector .targetRefs) -}}
{{- printf "%s: without selector and targetRefs the filter would be in every proxy of the namespace; set one of them" $path | println -}}
{{- else if and (eq (toString .type) "waypoint") (not .targetRefs) -}}
{{- printf "%s.targetRefs: Istio ignores selectors for waypoints; name the waypoint's Gateway here instead" $path | println -}}
{{- end -}}
{{- if and (eq (toString .namespace) $.Values.istio.namespace) (hasPrefix "sidecar" (toString .type)) -}}
{{- printf "%s.namespace: in Istio's root namespace the selector would match pods of the whole mesh; set the namespace of the workload" $path | println -}}
{{- end -}}
{{- if and .serviceAccount (not (include "cellgate.isHostName" .serviceAccount)) -}}
{{- printf "%s.serviceAccount: %v is not a valid service account name; write one name without wildcards, and one entry for each account" $path .serviceAccount | println -}}
{{- else if and $.Values.mtls.enabled (not .serviceAccount) -}}
{{- printf "%s.serviceAccount: this value is required while mtls.enabled is true, because it allows the proxies to call the service and the cells; set it, or set mtls.enabled to false" $path | println -}}
{{- end -}}
{{- with .cell -}}
{{- include "cellgate.checkCell" (dict "root" $ "path" (printf "%s.cell" $path) "cell" .) -}}
{{- if ne (toString $attach.type) "sidecar-inbound" -}}
{{- printf "%s.cell: only an entry of type sidecar-inbound can name its cell; remove it" $path | println -}}
{{- end -}}
{{- end -}}
{{- if and .position (hasPrefix "sidecar" (toString .type)) -}}
{{- printf "%s.position: only an entry of type gateway or waypoint has a position; remove it, because in a sidecar the filter is always behind authentication" $path | println -}}
{{- end -}}
{{- with include "cellgate.readsClaims" $ -}}
{{- if eq (toString $attach.type) "sidecar-outbound" -}}
{{- printf "%s.type: there is a claim in %s, and Istio verifies no tokens in outbound listeners of sidecars; attach the filter to a gateway, a waypoint or sidecar-inbound" $path . | println -}}
{{- else if and (has $attach.type (list "gateway" "waypoint")) (ne (toString $attach.position) "after_authentication") -}}
{{- printf "%s.position: there is a claim in %s, and a filter in front of jwt_authn finds no claims; set after_authentication" $path . | println -}}
{{- end -}}
{{- end -}}
{{- if and .ports (eq (toString .type) "waypoint") -}}
{{- printf "%s.ports: a waypoint has one listener for all ports; remove it" $path | println -}}
{{- end -}}
{{- range .ports -}}
{{- if not (include "cellgate.isPort" .) -}}
{{- printf "%s.ports: %v is not a valid port; use 1 to 65535" $path . | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := pick . "streamIdleTimeout" "requestTimeout" -}}
{{- if and $value (not (include "cellgate.milliseconds" $value)) -}}
{{- printf "filter.%s: %v is not a valid duration; write for example 30s, 500ms or 1m30s" $name $value | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cellgate.check.module" -}}
{{- if .Values.filter.enabled -}}
{{- with .Values.filter.module -}}
{{- if and .url .path -}}
{{- println "filter.module: url and path are both set; remove one of them" -}}
{{- else if .url -}}
{{- if not (regexMatch "^(oci|https?)://[^/]+/" .url) -}}
{{- printf "filter.module.url: %s is not a valid address; it must start with oci:// or https:// and name an image or a file" .url | println -}}
{{- end -}}
{{- if hasSuffix ":latest" .url -}}
{{- printf "filter.module.url: the image behind %s can change at any time; use a version as the tag" .url | println -}}
{{- end -}}
{{- if not .sha256 -}}
{{- println "filter.module.sha256: this value is required with url, so that a changed module does not run in your gateways; set the digest of the release's filter (docs/install.md, step 1)" -}}
{{- else if regexMatch "^0{64}$" (toString .sha256) -}}
{{- println "filter.module.sha256: this placeholder of zeros is the digest of no module, and the proxies would reject every request; set the digest of the release's filter (docs/install.md, step 1)" -}}
{{- else if not (regexMatch "^[0-9a-f]{64}$" (toString .sha256)) -}}
{{- printf "filter.module.sha256: %v is not a valid checksum; write 64 lower-case hexadecimal digits, without sha256:" .sha256 | println -}}
{{- end -}}
{{- else if not .path -}}
{{- println "filter.module.url: the filter's address is missing; set an oci:// or https:// address, or set filter.module.path to a file in the proxies" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cellgate.check.extProc" -}}
{{- if .Values.extProc.enabled -}}
{{- with .Values.image -}}
{{- if not .repository -}}
{{- println "image.repository: this value is required; set the image, for example registry.example/cellgate, or set extProc.enabled to false" -}}
{{- end -}}
{{- if regexMatch ":[^/]*$" (default "" .repository) -}}
{{- printf "image.repository: %s contains a tag or a digest; move it to image.tag or image.digest" .repository | println -}}
{{- end -}}
{{- if eq (toString .tag) "latest" -}}
{{- println "image.tag: the image behind latest can change at any time; set a version" -}}
{{- end -}}
{{- if and .digest (not (regexMatch "^sha256:[0-9a-f]{64}$" .digest)) -}}
{{- printf "image.digest: %s is not a valid digest; write sha256: and 64 lower-case hexadecimal digits" .digest | println -}}
{{- end -}}
{{- if regexMatch "^sha256:0{64}$" (default "" .digest) -}}
{{- println "image.digest: this placeholder of zeros is the digest of no image; set the digest of the release's image, or leave it empty and set image.tag (docs/install.md, step 1)" -}}
{{- end -}}
{{- end -}}
{{- with .Values.extProc -}}
{{- $held := include "cellgate.bytes" .maxHeldBytes -}}
{{- $streamed := include "cellgate.bytes" (default "16MiB" (default dict $.Values.config.limits).stream_bytes) -}}
{{- $memory := include "cellgate.quantityBytes" (default dict .resources.limits).memory -}}
{{- if not $held -}}
{{- printf "extProc.maxHeldBytes: %v is not a valid size; write for example 512MiB or 1GiB" .maxHeldBytes | println -}}
{{- else if and $streamed (lt (int64 $held) (int64 $streamed)) -}}
{{- printf "extProc.maxHeldBytes: %v is less than config.limits.stream_bytes (%s), which a single request may use; raise it" .maxHeldBytes $streamed | println -}}
{{- end -}}
{{- if or (not $memory) (not (int64 $memory)) -}}
{{- println "extProc.resources.limits.memory: the limit is missing or not valid; set one above extProc.maxHeldBytes, for example 768Mi" -}}
{{- else if and $held (le (int64 $memory) (int64 $held)) -}}
{{- printf "extProc.resources.limits.memory: %v is not more than extProc.maxHeldBytes (%v), so the pod would be killed before it can refuse requests; raise it" .resources.limits.memory .maxHeldBytes | println -}}
{{- else if and $held (or $.Values.config.rate_limits $.Values.config.descriptor_limits) (le (int64 $memory) (add (int64 $held) (mul 160 (int64 .maxLimitKeys)))) -}}
{{- printf "extProc.resources.limits.memory: %v is not more than extProc.maxHeldBytes (%v) and 160 bytes for each of the %d keys of extProc.maxLimitKeys; raise it, or lower one of the two" .resources.limits.memory .maxHeldBytes (int64 .maxLimitKeys) | println -}}
{{- end -}}
{{- with .autoscaling -}}
{{- if and (ne .type "none") (gt (int64 .minReplicas) (int64 .maxReplicas)) -}}
{{- printf "extProc.autoscaling.minReplicas: %v is more than maxReplicas (%v); lower it, or raise maxReplicas" .minReplicas .maxReplicas | println -}}
{{- end -}}
{{- if and (eq .type "keda") (not .prometheusAddress) -}}
{{- println "extProc.autoscaling.prometheusAddress: this value is required with type keda; set the address of Prometheus, for example http://prometheus.monitoring.svc:9090" -}}
{{- end -}}
{{- end -}}
{{- $decision := include "cellgate.milliseconds" .decisionTimeout -}}
{{- $budget := include "cellgate.milliseconds" .budgetTimeout -}}
{{- $message := include "cellgate.milliseconds" .messageTimeout -}}
{{- if not (and $decision $budget $message) -}}
{{- printf "extProc.decisionTimeout, extProc.budgetTimeout and extProc.messageTimeout: %v, %v and %v must all be valid durations, for example 10s" .decisionTimeout .budgetTimeout .messageTimeout | println -}}
{{- else if ge (add (int64 $decision) (int64 $budget)) (int64 $message) -}}
{{- printf "extProc.messageTimeout: %s is not longer than extProc.decisionTimeout and extProc.budgetTimeout together (%s and %s), so Envoy would time out before the service answers; raise it" .messageTimeout .decisionTimeout .budgetTimeout | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
