{{/* Checks of extProc.limitStore. */}}

{{- define "cellgate.check.limitStore" -}}
{{- if and .Values.extProc.enabled .Values.extProc.limitStore.url -}}
{{- with .Values.extProc.limitStore -}}
{{- $hosts := regexReplaceAll "^rediss?://([^/]*).*$" .url "${1}" -}}
{{- $database := regexFind "/[0-9]+$" .url | trimPrefix "/" -}}
{{- if contains "@" .url -}}
{{- println "extProc.limitStore.url: a password in a URL is visible to others; remove what is in front of @, and set extProc.limitStore.user and extProc.limitStore.secret.passwordKey" -}}
{{- else if not (regexMatch "^rediss?://[^/,@?#\\s]+(,[^/,@?#\\s]+)*(/[0-9]*)?$" .url) -}}
{{- printf "extProc.limitStore.url: %v is not the URL of a store; write redis://HOST:PORT/DATABASE, or rediss:// for TLS" .url | println -}}
{{- else -}}
{{- if and (contains "," $hosts) (not .cluster) -}}
{{- println "extProc.limitStore.url: several servers are a cluster; set extProc.limitStore.cluster to domain or key, or name one server" -}}
{{- end -}}
{{- if and .cluster (int64 (default "0" $database)) -}}
{{- printf "extProc.limitStore.url: a cluster has no database %s; remove the number" $database | println -}}
{{- end -}}
{{- if and (hasPrefix "redis:" .url) (or .tls.caKey .tls.clientCertKey .tls.clientKeyKey) -}}
{{- println "extProc.limitStore.tls: the URL has no TLS; write rediss:// in extProc.limitStore.url, or remove the keys of tls" -}}
{{- end -}}
{{- end -}}
{{- if not (and .secret.name .secret.limitSecretKey) -}}
{{- println "extProc.limitStore.secret: name and limitSecretKey are required with extProc.limitStore.url; name an existing Secret of the release's namespace, and its key with 32 hexadecimal digits" -}}
{{- end -}}
{{- if and .user (not .secret.passwordKey) -}}
{{- println "extProc.limitStore.user: a user needs a password; set extProc.limitStore.secret.passwordKey" -}}
{{- end -}}
{{- with .tls -}}
{{- if and .caKey (not (or .configMap .secret)) -}}
{{- println "extProc.limitStore.tls.caKey: nothing has this key; set extProc.limitStore.tls.secret or extProc.limitStore.tls.configMap" -}}
{{- end -}}
{{- if ne (empty .clientCertKey) (empty .clientKeyKey) -}}
{{- println "extProc.limitStore.tls: a certificate needs its private key; set both clientCertKey and clientKeyKey, or none" -}}
{{- else if and .clientCertKey (not .secret) -}}
{{- println "extProc.limitStore.tls.clientCertKey: a private key must be in a Secret; set extProc.limitStore.tls.secret" -}}
{{- end -}}
{{- end -}}
{{- if not (int64 (include "cellgate.milliseconds" .timeout)) -}}
{{- printf "extProc.limitStore.timeout: %v is not a valid duration; write for example 5ms" .timeout | println -}}
{{- end -}}
{{- if not (regexMatch "^[A-Za-z0-9:._/-]{1,64}$" .prefix) -}}
{{- printf "extProc.limitStore.prefix: %q cannot begin a key; use 1 to 64 of the characters A-Z, a-z, 0-9 and :.-_/" .prefix | println -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
