{{/* What all our pods may reach: DNS, and the database unless it is embedded. Always with ports, because a rule without ports allows all. */}}
{{- define "nutritionfacts.egress" -}}
{{- $policy := .Values.networkPolicy -}}
- ports:
    {{- range $policy.dns.ports | default (list 53) }}
    - {port: {{ int . }}, protocol: UDP}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
  {{- with $policy.dns.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- if ne .Values.database.mode "embedded" }}
- ports:
    - {port: {{ include "nutritionfacts.databasePort" . }}, protocol: TCP}
  {{- with $policy.database.to | default (include "nutritionfacts.databasePeers" . | fromYamlArray) }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "nutritionfacts.databasePort" -}}
{{- $external := and (eq .Values.database.mode "external") .Values.database.external.host .Values.database.external.port -}}
{{- .Values.networkPolicy.database.port | default $external | default 5432 | int -}}
{{- end -}}

{{- define "nutritionfacts.databasePeers" -}}
{{- if eq .Values.database.mode "dev" -}}
- podSelector:
    matchLabels:
      {{- include "nutritionfacts.selectorLabels" (dict "root" . "component" "database") | nindent 6 }}
{{- else if eq .Values.database.mode "cnpg" -}}
- podSelector:
    matchLabels:
      cnpg.io/cluster: {{ include "nutritionfacts.clusterName" . | quote }}
{{- else -}}
[]
{{- end -}}
{{- end -}}

{{/* The pod of `helm test`, which the configured peers do not include. */}}
{{- define "nutritionfacts.testPeer" -}}
{{- if .Values.adminService.enabled -}}
- podSelector:
    matchLabels:
      {{- include "nutritionfacts.selectorLabels" (dict "root" . "component" "test") | nindent 6 }}
{{- end -}}
{{- end -}}

{{/* The port of the trace collector in `config`; empty if there is none. */}}
{{- define "nutritionfacts.collectorPort" -}}
{{- $endpoint := (((.Values.config | default dict).telemetry | default dict).tracing | default dict).endpoint -}}
{{- if $endpoint -}}
{{- $url := urlParse $endpoint -}}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (eq $url.scheme "https" | ternary "443" "80") -}}
{{- end -}}
{{- end -}}
