{{/* Configuration of the program. */}}

{{/* The folder with the mounted copy of the live ConfigMap has the ConfigMap's name, by which the program recognises the copy. */}}
{{- define "nutritionfacts.liveFolder" -}}
/etc/nutritionfacts/{{ include "nutritionfacts.liveName" . }}
{{- end -}}

{{/* config.yaml: settings derived from the chart's values, overridden by `config`. */}}
{{- define "nutritionfacts.config" -}}
{{- $config := dict "http" (dict "listen" "[::]:8080") "admin" (dict "listen" "[::]:8081") -}}
{{- $_ := set $config "store" (include "nutritionfacts.store" . | fromYaml) -}}
{{- if include "nutritionfacts.privacySecret" . -}}
{{- $_ := set $config "privacy" (dict "key_file" "/run/secrets/nutritionfacts-privacy/privacy.key") -}}
{{- end -}}
{{- /* The database that the image has. */ -}}
{{- $_ := set $config "geoip" (dict "database" "/usr/share/nutritionfacts/countries.mmdb") -}}
{{- $config = mergeOverwrite $config (deepCopy (.Values.config | default dict)) -}}
{{- $_ := set $config "messages" (dict "files" (include "nutritionfacts.messageFiles" (dict "root" . "config" .Values.config) | fromYamlArray)) -}}
{{- /* `kubernetes.enabled` keeps its default, which is on in a pod; these settings say what is watched. */ -}}
{{- $maps := .Values.watch.configMap | empty | ternary list (list (include "nutritionfacts.liveName" .)) -}}
{{- $_ := set $config "kubernetes" (dict "config_maps" $maps "message_resources" (.Values.watch.messageResources | default false)) -}}
{{- toYaml $config -}}
{{- end -}}

{{/* config.yaml of the live ConfigMap. A list in it replaces the one in config.yaml, so it must include the live folder again. */}}
{{- define "nutritionfacts.liveConfig" -}}
{{- $config := deepCopy (.Values.liveConfig.config | default dict) -}}
{{- if hasKey ($config.messages | default dict) "files" -}}
{{- $_ := set $config.messages "files" (include "nutritionfacts.messageFiles" (dict "root" . "config" $config) | fromYamlArray) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* The folder of the live ConfigMap, then the configured ones. */}}
{{- define "nutritionfacts.messageFiles" -}}
{{- $configured := ((.config | default dict).messages | default dict).files | default list -}}
{{- prepend $configured (include "nutritionfacts.liveFolder" .root) | toYaml -}}
{{- end -}}

{{/* messages.yaml: one document per message. The file exists even without messages: an empty folder would look like a volume
that is not mounted, and then the last messages would stay active. */}}
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

{{/* "true" if the pod uses the API server. */}}
{{- define "nutritionfacts.watches" -}}
{{- if or .Values.watch.configMap .Values.watch.messageResources -}}true{{- end -}}
{{- end -}}
