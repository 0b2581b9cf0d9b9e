{{/* Names. The first part is cut to 53 characters, so that every name with its suffix has at most 63. */}}

{{- define "nutritionfacts.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{/* The first part of all names: the release's name and the chart's, or only one if it contains the other. */}}
{{- define "nutritionfacts.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $full | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "nutritionfacts.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end -}}

{{- define "nutritionfacts.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | empty | ternary "default" (include "nutritionfacts.fullname" .)) -}}
{{- end -}}

{{- define "nutritionfacts.configName" -}}
{{- include "nutritionfacts.fullname" . }}-config
{{- end -}}

{{- define "nutritionfacts.liveName" -}}
{{- .Values.liveConfig.name | default (printf "%s-live" (include "nutritionfacts.fullname" .)) -}}
{{- end -}}

{{- define "nutritionfacts.adminName" -}}
{{- include "nutritionfacts.fullname" . }}-admin
{{- end -}}

{{- define "nutritionfacts.dataClaimName" -}}
{{- .Values.database.embedded.existingClaim | default (printf "%s-data" (include "nutritionfacts.fullname" .)) -}}
{{- end -}}

{{/* The database of `dev`, and the Cluster that `cnpg` creates. Shorter than others: a StatefulSet appends a hash of eleven
characters to its name in a label, and CloudNativePG allows 50. */}}
{{- define "nutritionfacts.databaseName" -}}
{{- include "nutritionfacts.fullname" . | trunc 47 | trimSuffix "-" }}-db
{{- end -}}

{{- define "nutritionfacts.clusterName" -}}
{{- .Values.database.cnpg.cluster | default (include "nutritionfacts.databaseName" .) -}}
{{- end -}}
