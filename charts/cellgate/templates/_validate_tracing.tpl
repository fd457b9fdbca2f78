{{/* Checks of extProc.tracing. */}}

{{- define "cellgate.check.tracing" -}}
{{- if and .Values.extProc.enabled .Values.extProc.tracing.endpoint -}}
{{- with .Values.extProc.tracing -}}
{{- if regexMatch "^[^/]*//[^/]*@" .endpoint -}}
{{- println "extProc.tracing.endpoint: a password in a URL is visible to others; remove what is in front of @, and set extProc.tracing.headers" -}}
{{- else if not (regexMatch "^https?://([^/@?#\\s:\\[\\]]+|\\[[0-9a-fA-F:.]+\\])(:[0-9]{1,5})?(/[^?#\\s]*)?$" .endpoint) -}}
{{- printf "extProc.tracing.endpoint: %v is not the URL of a receiver; write http://HOST:PORT, or https://HOST:PORT for TLS" .endpoint | println -}}
{{- else -}}
{{- $port := regexReplaceAll "^https?://([^/]*).*$" .endpoint "${1}" | regexFind ":[0-9]+$" | trimPrefix ":" -}}
{{- if and $port (or (lt (atoi $port) 1) (gt (atoi $port) 65535)) -}}
{{- printf "extProc.tracing.endpoint: %s is not a port; write a number from 1 to 65535" $port | println -}}
{{- end -}}
{{- end -}}
{{- if and (gt (float64 .samplePercent) 0.0) (lt (float64 .samplePercent) 0.000001) -}}
{{- printf "extProc.tracing.samplePercent: %v is too small to sample a request; write 0, or at least 0.000001" .samplePercent | println -}}
{{- end -}}
{{- if and (hasPrefix "http:" .endpoint) .tls.caKey -}}
{{- println "extProc.tracing.tls: the endpoint has no TLS; write https:// in extProc.tracing.endpoint, or remove tls.caKey" -}}
{{- else if and .tls.caKey (not (or .tls.configMap .tls.secret)) -}}
{{- println "extProc.tracing.tls.caKey: nothing has this key; set extProc.tracing.tls.secret or extProc.tracing.tls.configMap" -}}
{{- end -}}
{{- if and .tls.configMap .tls.secret -}}
{{- println "extProc.tracing.tls: the authorities are in one object; set secret or configMap, and leave the other empty" -}}
{{- end -}}
{{- if ne (empty .headers.secret) (empty .headers.key) -}}
{{- println "extProc.tracing.headers: a file needs a Secret and its key; set both secret and key, or none" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
