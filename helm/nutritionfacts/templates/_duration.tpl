{{/* Times as the program writes them (`5s`, `1m30s`, `1m 30s`, `500ms`), in seconds, as Kubernetes wants them. */}}

{{/* Seconds, with a fraction. Takes (dict "text" "5s" "key" "shutdown.delay"). */}}
{{- define "nutritionfacts.seconds" -}}
{{- $units := dict
  "ns" 0.000000001 "nsec" 0.000000001 "us" 0.000001 "usec" 0.000001 "µs" 0.000001 "ms" 0.001 "msec" 0.001
  "s" 1.0 "sec" 1.0 "second" 1.0 "seconds" 1.0 "m" 60.0 "min" 60.0 "minute" 60.0 "minutes" 60.0
  "h" 3600.0 "hr" 3600.0 "hour" 3600.0 "hours" 3600.0 -}}
{{- $sum := 0.0 -}}
{{- if ne .text "0" -}}
{{- range regexFindAll "[0-9.]+ *[a-zA-Zµ]+" .text -1 -}}
{{- $unit := regexFind "[a-zA-Zµ]+" . -}}
{{- if not (hasKey $units $unit) -}}
{{- fail (printf "config.%s: %q has a unit that is none of %s" $.key $.text (keys $units | sortAlpha | join ", ")) -}}
{{- end -}}
{{- $sum = addf $sum (mulf (regexFind "[0-9.]+" . | float64) (get $units $unit)) -}}
{{- end -}}
{{- end -}}
{{- $sum -}}
{{- end -}}

{{/* SIGKILL follows five seconds after the program's own delay and grace. */}}
{{- define "nutritionfacts.terminationGracePeriodSeconds" -}}
{{- $shutdown := (.Values.config | default dict).shutdown | default dict -}}
{{- $delay := include "nutritionfacts.seconds" (dict "text" ($shutdown.delay | default "5s") "key" "shutdown.delay") -}}
{{- $grace := include "nutritionfacts.seconds" (dict "text" ($shutdown.grace | default "25s") "key" "shutdown.grace") -}}
{{- /* Rounded first, so that 0.1 + 0.2 does not exceed 0.3. */ -}}
{{- round (addf (float64 $delay) (float64 $grace) 5) 6 | ceil | int64 -}}
{{- end -}}
