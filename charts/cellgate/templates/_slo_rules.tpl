{{/* Recording rules of the objectives in monitoring.slo. An error rate is a ratio of sums: the bad requests of a window, divided
by all requests of the same window. docs/operate.md has the formulas. */}}

{{/* All requests, and the bad ones, of each target: `part` is who counts them. A counter with labels does not exist before
it counts, and `increase` does not see the value with which it appears. So each sum is 0 for a target that has not counted
yet. The two sides of an `or` are series of one scrape: a failed scrape lacks both. The sums keep all labels of their target:
a sum over two targets would fall when one of them ends, and look like a counter that begins anew.

Requests that Cellgate leaves alone are not counted.

Envoy counts a service that does not answer in time as `message_timeouts`, and not as `streams_failed`. Each listener has its
own counters, which end with it, so they are recorded without a sum. */}}
{{- define "cellgate.rules.requests" -}}
{{- $root := . -}}
{{- $at := include "cellgate.alerts.service" . -}}
{{- $ext := "envoy_http_ext_proc_cellgate" -}}
{{- $all := dict -}}
{{- $availability := dict -}}
{{- $correctness := dict -}}
{{- if .Values.filter.enabled -}}
{{- $left := "host_excluded|method_excluded|path_excluded|excepted|preflight|upgrade" -}}
{{- $rest := printf "or 0 * sum without (outcome, reason) (%s)" (include "cellgate.alerts.always" "") -}}
{{- $reason := "sum without (outcome, reason) ({__name__=~\"cellgate_decisions_(cell|reject|defer|pass)_%s\"} or {__name__=\"cellgate_decisions\",reason=\"%s\"})" -}}
{{- $names := printf "{__name__=~\"cellgate_decisions_(cell|reject|defer|pass)_[a-z0-9_]+\",__name__!~\"cellgate_decisions_pass_(%s)\"} or {__name__=\"cellgate_decisions\",outcome!=\"\",reason!~\"%s\"}" $left $left -}}
{{- $_ := set $all "filter" (printf "sum without (outcome, reason) (%s) %s" $names $rest) -}}
{{- $_ := set $availability "filter" (printf "%s %s" (printf $reason "body_unread" "body_unread") $rest) -}}
{{- $_ := set $correctness "filter" (printf "%s %s" (printf $reason "cell_mismatch" "cell_mismatch") $rest) -}}
{{- end -}}
{{- if .Values.extProc.enabled -}}
{{- $rest := printf "or 0 * sum without (version, build) (%s)" (include "cellgate.alerts.always" .) -}}
{{- $of := printf "sum without (outcome, reason, tier) (cellgate_decisions_total{%s%%s}) %s" $at $rest -}}
{{- $_ := set $all "service" (printf $of ",reason!~\"host_excluded|method_excluded|path_excluded|excepted|preflight|upgrade\"") -}}
{{- $_ := set $availability "service" (printf $of ",reason=~\"overloaded|limit_unknown|body_unread\"") -}}
{{- $_ := set $correctness "service" (printf $of ",reason=\"cell_mismatch\"") -}}
{{- $_ := set $availability "protocol" (printf "cellgate_protocol_errors_total{%s} %s" $at $rest) -}}
{{- range $name := list "streams_failed" "message_timeouts" -}}
{{- $_ := set $availability (printf "stream_%s" $name) (printf "%s_%s or 0 * %s_streams_started" $ext $name $ext) -}}
{{- end -}}
{{- end -}}
{{- range $part := keys $all | sortAlpha }}
- record: cellgate:requests:total
  expr: {{ get $all $part }}
  labels: { release: {{ include "cellgate.alerts.releaseName" $root }}, part: {{ $part }} }
{{- end }}
{{- range $sli, $parts := dict "availability" $availability "correctness" $correctness }}
{{- range $part := keys $parts | sortAlpha }}
- record: cellgate:bad_requests:total
  expr: {{ get $parts $part }}
  labels: { release: {{ include "cellgate.alerts.releaseName" $root }}, sli: {{ $sli }}, part: {{ $part }} }
{{- end }}
{{- end }}
{{- end -}}

{{/* The sums of each window of the alerts, the error rate and the error budget. Every request has a decision of the filter, so
those of the service count only where no proxy is scraped. The proxies know more of failed calls than the service does. */}}
{{- define "cellgate.rules.slo" -}}
{{- $root := . -}}
{{- $slo := .Values.monitoring.slo -}}
{{- $at := include "cellgate.alerts.service" . -}}
{{- $release := include "cellgate.alerts.release" . -}}
{{- $slis := list -}}
{{- if or .Values.filter.enabled .Values.extProc.enabled -}}
{{- /* In shadow mode, a decision brings no request into a cell. */ -}}
{{- $slis = .Values.filter.shadow | ternary (list "availability") (list "availability" "correctness") -}}
{{- end -}}
{{- if .Values.extProc.enabled -}}
{{- $slis = append $slis "latency" -}}
{{- end -}}
{{- include "cellgate.rules.requests" . }}
{{- range $window := list "5m" "30m" "1h" "2h" "6h" "1d" "3d" -}}
{{- $all := printf "(sum(increase(cellgate:requests:total{%s,part=\"filter\"}[%s])) > 0) or sum(increase(cellgate:requests:total{%s,part=\"service\"}[%s])) or vector(0)" $release $window $release $window -}}
{{- $bad := printf "sum(increase(cellgate:bad_requests:total{%s,sli=\"%%s\",part=%%s}[%s]))" $release $window -}}
{{- $timed := printf "sum(increase(cellgate_decision_seconds_%%s{%s%%s}[%s]))" $at $window -}}
{{- $timedAll := printf $timed "count" "" -}}
{{- $of := dict
  "availability" (dict "all" $all "bad" (printf "(%s or vector(0)) + (%s or %s or vector(0))" (printf $bad "availability" "~\"filter|service\"") (printf $bad "availability" "~\"stream_.+\"") (printf $bad "availability" "\"protocol\"")))
  "correctness" (dict "all" $all "bad" (printf "%s or vector(0)" (printf $bad "correctness" "~\"filter|service\"")))
  "latency" (dict "all" (printf "%s or vector(0)" $timedAll) "bad" (printf "%s - %s or vector(0)" $timedAll (printf $timed "bucket" (printf ",le=\"%v\"" $slo.latencySeconds))))
-}}
{{- range $sli := $slis }}
{{- $series := printf "{sli=%q,%s}" $sli $release }}
- record: cellgate:sli_requests:increase{{ $window }}
  expr: {{ get (get $of $sli) "all" }}
  labels: { release: {{ include "cellgate.alerts.releaseName" $root }}, sli: {{ $sli }} }
- record: cellgate:sli_bad:increase{{ $window }}
  expr: {{ get (get $of $sli) "bad" }}
  labels: { release: {{ include "cellgate.alerts.releaseName" $root }}, sli: {{ $sli }} }
- record: cellgate:sli_error:ratio_rate{{ $window }}
  expr: cellgate:sli_bad:increase{{ $window }}{{ $series }} / (cellgate:sli_requests:increase{{ $window }}{{ $series }} > 0)
  labels: { release: {{ include "cellgate.alerts.releaseName" $root }}, sli: {{ $sli }} }
{{- end }}
{{- end }}
{{- range $sli := $slis }}
{{- $series := printf "{sli=%q,%s}" $sli $release }}
- record: cellgate:sli_error_budget:ratio
  expr: vector((100 - {{ index $slo $sli }}) / 100)
  labels: { release: {{ include "cellgate.alerts.releaseName" $root }}, sli: {{ $sli }} }
- record: cellgate:sli_error_budget_left:ratio
  expr: >-
    1 - sum_over_time(cellgate:sli_bad:increase5m{{ $series }}[30d])
    / (sum_over_time(cellgate:sli_requests:increase5m{{ $series }}[30d]) > 0)
    / cellgate:sli_error_budget:ratio{{ $series }}
  labels: { release: {{ include "cellgate.alerts.releaseName" $root }}, sli: {{ $sli }} }
{{- end }}
{{- end -}}
