{{/* Number of pods. */}}

{{/* "true" if something other than the Deployment sets the number of replicas. */}}
{{- define "nutritionfacts.scaled" -}}
{{- if or .Values.autoscaling.enabled .Values.keda.enabled (kindIs "invalid" .Values.replicaCount) -}}true{{- end -}}
{{- end -}}

{{/* "true" if there may be more than one pod. */}}
{{- define "nutritionfacts.several" -}}
{{- if .Values.autoscaling.enabled -}}
{{- if gt (int .Values.autoscaling.maxReplicas) 1 -}}true{{- end -}}
{{- else if .Values.keda.enabled -}}
{{- if gt (int .Values.keda.maxReplicas) 1 -}}true{{- end -}}
{{- else if kindIs "invalid" .Values.replicaCount -}}
{{- if ne .Values.database.mode "embedded" -}}true{{- end -}}
{{- else if gt (int .Values.replicaCount) 1 -}}true
{{- end -}}
{{- end -}}
