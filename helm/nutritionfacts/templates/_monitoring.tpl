{{/* How a monitor scrapes. Takes the monitor's values. */}}
{{- define "nutritionfacts.scrape" -}}
path: /metrics
scheme: http
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with .relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Groups of rules: those of files/alerts.yaml as modified by `alerts`, then the additional ones. As YAML, never
through `tpl`: their texts contain Prometheus' `{{ $labels }}`. */}}
{{- define "nutritionfacts.ruleGroups" -}}
{{- $groups := list -}}
{{- range $group := (.Files.Get "files/alerts.yaml" | fromYaml).groups -}}
{{- $rules := list -}}
{{- range $rule := $group.rules -}}
{{- $change := get ($.Values.prometheusRule.alerts | default dict) ($rule.alert | default "") | default dict -}}
{{- if or $change.labels $change.severity -}}
{{- $severity := $change.severity | empty | ternary dict (dict "severity" $change.severity) -}}
{{- $_ := set $rule "labels" (mergeOverwrite (deepCopy ($rule.labels | default dict)) ($change.labels | default dict) $severity) -}}
{{- end -}}
{{- with $change.annotations -}}
{{- $_ := set $rule "annotations" (mergeOverwrite (deepCopy ($rule.annotations | default dict)) .) -}}
{{- end -}}
{{- if not (kindIs "invalid" $change.threshold) -}}
{{- $_ := set $rule "expr" (regexReplaceAll (include "nutritionfacts.threshold" .) $rule.expr (printf "${1}%v" $change.threshold)) -}}
{{- end -}}
{{- $rule = mergeOverwrite (deepCopy $rule) (pick $change "for" "expr") -}}
{{- if ne (toString $change.enabled) "false" -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- end -}}
{{- with $rules -}}
{{- $groups = append $groups (merge (dict "rules" .) $group) -}}
{{- end -}}
{{- end -}}
{{- $groups = concat $groups (.Values.prometheusRule.additionalGroups | default list) -}}
{{- $groups | empty | ternary "[]" (toYaml $groups) -}}
{{- end -}}

{{/* Names in `alerts` that are not alerts of the chart: they would be ignored silently. */}}
{{- define "nutritionfacts.unknownAlerts" -}}
{{- $known := list -}}
{{- range (.Files.Get "files/alerts.yaml" | fromYaml).groups -}}
{{- range .rules -}}
{{- $known = append $known (.alert | default "") -}}
{{- end -}}
{{- end -}}
{{- range $name := keys (.Values.prometheusRule.alerts | default dict) | sortAlpha -}}
{{- if not (has $name $known) }} {{ $name }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* The position of an expression's threshold: in the comparison at its end. */}}
{{- define "nutritionfacts.threshold" -}}
([<>] )[0-9.]+\s*$
{{- end -}}

{{/* Alerts without a threshold for which one is set. */}}
{{- define "nutritionfacts.withoutThreshold" -}}
{{- range (.Files.Get "files/alerts.yaml" | fromYaml).groups -}}
{{- range .rules -}}
{{- $change := get ($.Values.prometheusRule.alerts | default dict) (.alert | default "") | default dict -}}
{{- if and (not (kindIs "invalid" $change.threshold)) (not (regexMatch (include "nutritionfacts.threshold" .) .expr)) }} {{ .alert }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
