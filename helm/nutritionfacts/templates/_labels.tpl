{{/* Labels. Selectors are immutable, so they contain nothing that values or a chart version can change. */}}

{{/* Takes (dict "root" $ "component" "server"). */}}
{{- define "nutritionfacts.selectorLabels" -}}
app.kubernetes.io/name: {{ include "nutritionfacts.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of an object; also takes "extra" with additional labels. */}}
{{- define "nutritionfacts.labels" -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- $labels := include "nutritionfacts.selectorLabels" . | fromYaml -}}
{{- $_ := set $labels "helm.sh/chart" $chart -}}
{{- $_ := set $labels "app.kubernetes.io/version" (.root.Chart.AppVersion | replace "+" "_") -}}
{{- $_ := set $labels "app.kubernetes.io/part-of" "nutritionfacts" -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- toYaml (merge $labels (deepCopy (.extra | default dict)) (deepCopy (.root.Values.commonLabels | default dict))) -}}
{{- end -}}

{{/* Labels of pods: without the chart's version, otherwise every chart release would restart them. */}}
{{- define "nutritionfacts.podLabels" -}}
{{- $labels := include "nutritionfacts.selectorLabels" . | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/part-of" "nutritionfacts" -}}
{{- toYaml (merge $labels (deepCopy (.extra | default dict)) (deepCopy (.root.Values.commonLabels | default dict))) -}}
{{- end -}}

{{/* The namespace and labels of an object's metadata. */}}
{{- define "nutritionfacts.metadata" -}}
namespace: {{ .namespace | default (include "nutritionfacts.namespace" .root) | quote }}
labels:
  {{- include "nutritionfacts.labels" . | nindent 2 }}
{{- end -}}
