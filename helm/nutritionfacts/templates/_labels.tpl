{{/* Labels. Selectors are immutable, so they hold nothing that a person or a version may change. */}}

{{/* Takes (dict "root" $ "component" "server"). */}}
{{- define "nutritionfacts.selectorLabels" -}}
app.kubernetes.io/name: {{ include "nutritionfacts.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of an object; takes "extra", labels of its own, too. */}}
{{- define "nutritionfacts.labels" -}}
{{- $chart := printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" -}}
{{- $labels := include "nutritionfacts.selectorLabels" . | fromYaml -}}
{{- $_ := set $labels "helm.sh/chart" $chart -}}
{{- $_ := set $labels "app.kubernetes.io/version" (.root.Chart.AppVersion | replace "+" "_") -}}
{{- $_ := set $labels "app.kubernetes.io/part-of" "nutritionfacts" -}}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- toYaml (merge $labels (deepCopy (.extra | default dict)) (deepCopy (.root.Values.commonLabels | default dict))) -}}
{{- end -}}

{{/* Labels of pods: no version of the chart, or every release of it would restart them. */}}
{{- define "nutritionfacts.podLabels" -}}
{{- $labels := include "nutritionfacts.selectorLabels" . | fromYaml -}}
{{- $_ := set $labels "app.kubernetes.io/part-of" "nutritionfacts" -}}
{{- toYaml (merge $labels (deepCopy (.extra | default dict)) (deepCopy (.root.Values.commonLabels | default dict))) -}}
{{- end -}}

{{/* The metadata of an object, but for a name or annotations: namespace and labels. */}}
{{- define "nutritionfacts.metadata" -}}
namespace: {{ .namespace | default (include "nutritionfacts.namespace" .root) | quote }}
labels:
  {{- include "nutritionfacts.labels" . | nindent 2 }}
{{- end -}}
