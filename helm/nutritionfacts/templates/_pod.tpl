{{/* What all pods have in common. */}}

{{/* Takes (dict "root" $ "image" .Values.image). */}}
{{- define "nutritionfacts.image" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry -}}
{{- $name := $registry | empty | ternary .image.repository (printf "%s/%s" $registry .image.repository) -}}
{{- if .image.digest -}}
{{- $name }}@{{ .image.digest }}
{{- else -}}
{{- $name }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "nutritionfacts.container" -}}
image: {{ include "nutritionfacts.image" (dict "root" . "image" .Values.image) | quote }}
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- with .Values.containerSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Scheduling and pull secrets of a pod. Without environment variables for Services, of which old clusters have hundreds. */}}
{{- define "nutritionfacts.placement" -}}
enableServiceLinks: false
{{- with concat (.Values.global.imagePullSecrets | default list) (.Values.imagePullSecrets | default list) | uniq }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "nutritionfacts.podSecurityContext" -}}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The spread over zones and hosts counts pods of this release and revision. */}}
{{- define "nutritionfacts.spread" -}}
{{- $selector := dict "matchLabels" (include "nutritionfacts.selectorLabels" (dict "root" . "component" "server") | fromYaml) -}}
{{- $spread := list -}}
{{- range .Values.topologySpreadConstraints -}}
{{- $own := hasKey . "labelSelector" | ternary dict (dict "labelSelector" $selector "matchLabelKeys" (list "pod-template-hash")) -}}
{{- $spread = append $spread (merge (deepCopy .) $own) -}}
{{- end -}}
{{- with $spread -}}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}
