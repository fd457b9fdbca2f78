{{/* Checks of extProc.tracing. */}}

{{- define "cellgate.check.tracing" -}}
{{- if and .Values.extProc.enabled .Values.extProc.tracing.endpoint -}}
{{- with .Values.extProc.tracing -}}
{{- if regexMatch "^[^/]*//[^/]*@" .endpoint -}}
{{- println "extProc.tracing.endpoint: a password in a URL is visible to others; remove what is in front of @, and set extProc.tracing.headers" -}}
{{- else if not (regexMatch "^https?://([^/@?#\\s:\\[\\]]+|\\[[0-9a-fA-F:.]+\\])(:[0-9]{1,5})?(/[^?#\\s]*)?$" .endpoint) -}}
{{- printf "extProc.tracing.endpoint: %v is not the URL of a receiver; write http://HOST:PORT, or https://HOST:PORT for TLS" .endpoint | println -}}
{{- end -}}
{{- if and (hasPrefix "http:" .endpoint) .tls.caKey -}}
{{- println "extProc.tracing.tls: the endpoint has no TLS; write https:// in extProc.tracing.endpoint, or remove tls.caKey" -}}
{{- else if and .tls.caKey (not (or .tls.configMap .tls.secret)) -}}
{{- println "extProc.tracing.tls.caKey: nothing has this key; set extProc.tracing.tls.secret or extProc.tracing.tls.configMap" -}}
{{- end -}}
{{- if ne (empty .headers.secret) (empty .headers.key) -}}
{{- println "extProc.tracing.headers: a file needs a Secret and its key; set both secret and key, or none" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
