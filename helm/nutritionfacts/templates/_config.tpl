{{/* Configuration of the program. */}}

{{/* The folder of the live ConfigMap's copy has its name: by that the program knows whose copy it is. */}}
{{- define "nutritionfacts.liveFolder" -}}
/etc/nutritionfacts/{{ include "nutritionfacts.liveName" . }}
{{- end -}}

{{/* config.yaml: what the chart knows, under what `config` says. */}}
{{- define "nutritionfacts.config" -}}
{{- $config := dict "http" (dict "listen" "[::]:8080") "admin" (dict "listen" "[::]:8081") -}}
{{- $_ := set $config "store" (include "nutritionfacts.store" . | fromYaml) -}}
{{- if include "nutritionfacts.privacySecret" . -}}
{{- $_ := set $config "privacy" (dict "key_file" "/run/secrets/nutritionfacts-privacy/privacy.key") -}}
{{- end -}}
{{- $config = mergeOverwrite $config (deepCopy (.Values.config | default dict)) -}}
{{- $_ := set $config "messages" (dict "files" (include "nutritionfacts.messageFiles" (dict "root" . "config" .Values.config) | fromYamlArray)) -}}
{{- /* `kubernetes.enabled` stays at its default, on inside a pod; these say what it is for. */ -}}
{{- $maps := .Values.watch.configMap | empty | ternary list (list (include "nutritionfacts.liveName" .)) -}}
{{- $_ := set $config "kubernetes" (dict "config_maps" $maps "message_resources" (.Values.watch.messageResources | default false)) -}}
{{- toYaml $config -}}
{{- end -}}

{{/* config.yaml of the live ConfigMap. A list there replaces the one below, so it must name the live folder again. */}}
{{- define "nutritionfacts.liveConfig" -}}
{{- $config := deepCopy (.Values.liveConfig.config | default dict) -}}
{{- if hasKey ($config.messages | default dict) "files" -}}
{{- $_ := set $config.messages "files" (include "nutritionfacts.messageFiles" (dict "root" . "config" $config) | fromYamlArray) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* The folder of the live ConfigMap, then what is configured. */}}
{{- define "nutritionfacts.messageFiles" -}}
{{- $configured := ((.config | default dict).messages | default dict).files | default list -}}
{{- prepend $configured (include "nutritionfacts.liveFolder" .root) | toYaml -}}
{{- end -}}

{{/* messages.yaml: one document for each. Without any it is there all the same: an empty folder would look like a volume
that is not mounted, and what is out of sight stays in force. */}}
{{- define "nutritionfacts.messages" -}}
{{- if .Values.messages -}}
{{- range $index, $message := .Values.messages -}}
{{- if $index }}
---
{{ end -}}
{{- toYaml $message -}}
{{- end -}}
{{- else -}}
# No messages.
{{- end -}}
{{- end -}}

{{/* "true" if the pod talks to the API server. */}}
{{- define "nutritionfacts.watches" -}}
{{- if or .Values.watch.configMap .Values.watch.messageResources -}}true{{- end -}}
{{- end -}}
