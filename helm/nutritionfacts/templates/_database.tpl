{{/* The database and the secrets. Never a single URL: a password may contain any character, so it is passed as a file,
and the program combines the parts. */}}

{{/* The section `store` of config.yaml. */}}
{{- define "nutritionfacts.store" -}}
{{- $database := .Values.database -}}
{{- $store := dict -}}
{{- if eq $database.mode "embedded" -}}
{{- $store = dict "url" "sqlite:///data/nutritionfacts.db" -}}
{{- else if eq $database.mode "dev" -}}
{{- $store = dict "host" (include "nutritionfacts.databaseName" .) "database" "nutritionfacts" "user" "nutritionfacts" -}}
{{- else if and (eq $database.mode "external") $database.external.host -}}
{{- $store = pick $database.external "host" "port" "database" "user" -}}
{{- end -}}
{{- if include "nutritionfacts.databaseSecret" . -}}
{{- $_ := set $store "password_file" "/run/secrets/nutritionfacts-database/password" -}}
{{- end -}}
{{- if include "nutritionfacts.databaseCa" . -}}
{{- $_ := set $store "ssl_root_cert" "/etc/nutritionfacts-database-ca/ca.crt" -}}
{{- $_ := set $store "ssl_mode" "verify-full" -}}
{{- end -}}
{{- toYaml $store -}}
{{- end -}}

{{/* Name of the Secret with the password; empty if there is none. */}}
{{- define "nutritionfacts.databaseSecret" -}}
{{- if eq .Values.database.mode "dev" -}}
{{- include "nutritionfacts.databaseName" . -}}
{{- else if eq .Values.database.mode "cnpg" -}}
{{- include "nutritionfacts.clusterName" . }}-app
{{- else if eq .Values.database.mode "external" -}}
{{- .Values.database.external.existingSecret -}}
{{- end -}}
{{- end -}}

{{/* Its keys; for `cnpg` and `dev` they are fixed. */}}
{{- define "nutritionfacts.databaseKeys" -}}
{{- $known := dict "host" "host" "port" "port" "database" "dbname" "user" "username" "password" "password" -}}
{{- if eq .Values.database.mode "external" -}}
{{- $known = merge (deepCopy .Values.database.external.secretKeys) $known -}}
{{- end -}}
{{- toYaml $known -}}
{{- end -}}

{{/* The volume source of the CA certificate; empty if there is none. Only the certificate is
mounted: CloudNativePG stores the CA's key in the same Secret. */}}
{{- define "nutritionfacts.databaseCa" -}}
{{- $ca := .Values.database.ca -}}
{{- $items := list (dict "key" ($ca.key | default "ca.crt") "path" "ca.crt") -}}
{{- if $ca.existingSecret -}}
{{- dict "secret" (dict "secretName" $ca.existingSecret "items" $items) | toYaml -}}
{{- else if $ca.existingConfigMap -}}
{{- dict "configMap" (dict "name" $ca.existingConfigMap "items" $items) | toYaml -}}
{{- else if eq .Values.database.mode "cnpg" -}}
{{- dict "secret" (dict "secretName" (printf "%s-ca" (include "nutritionfacts.clusterName" .)) "items" $items) | toYaml -}}
{{- end -}}
{{- end -}}

{{/* Name of the Secret with the privacy key; empty if there is none. */}}
{{- define "nutritionfacts.privacySecret" -}}
{{- .Values.privacy.existingSecret | default (eq .Values.database.mode "dev" | ternary (include "nutritionfacts.databaseName" .) "") -}}
{{- end -}}

{{/* If the Secret also contains the address, everything except the password is passed as environment variables. */}}
{{- define "nutritionfacts.databaseEnv" -}}
{{- if or (eq .Values.database.mode "cnpg") (and (eq .Values.database.mode "external") (not .Values.database.external.host)) -}}
{{- $keys := include "nutritionfacts.databaseKeys" . | fromYaml -}}
{{- range $part := list "host" "port" "database" "user" }}
- name: NUTRITIONFACTS__STORE__{{ upper $part }}
  valueFrom:
    secretKeyRef:
      name: {{ include "nutritionfacts.databaseSecret" $ | quote }}
      key: {{ get $keys $part | quote }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "nutritionfacts.secretVolumes" -}}
{{- with include "nutritionfacts.databaseSecret" . }}
- name: database
  secret:
    secretName: {{ . | quote }}
    items:
      - key: {{ get (include "nutritionfacts.databaseKeys" $ | fromYaml) "password" | quote }}
        path: password
{{- end }}
{{- with include "nutritionfacts.databaseCa" . }}
- name: database-ca
  {{- . | nindent 2 }}
{{- end }}
{{- with include "nutritionfacts.privacySecret" . }}
- name: privacy
  secret:
    secretName: {{ . | quote }}
    items:
      - key: {{ and $.Values.privacy.existingSecret $.Values.privacy.secretKey | default "privacy.key" | quote }}
        path: privacy.key
{{- end }}
{{- end -}}

{{/* Whole folders, never `subPath`, which is not updated after a change. */}}
{{- define "nutritionfacts.secretMounts" -}}
{{- if include "nutritionfacts.databaseSecret" . }}
- name: database
  mountPath: /run/secrets/nutritionfacts-database
  readOnly: true
{{- end }}
{{- if include "nutritionfacts.databaseCa" . }}
- name: database-ca
  mountPath: /etc/nutritionfacts-database-ca
  readOnly: true
{{- end }}
{{- if include "nutritionfacts.privacySecret" . }}
- name: privacy
  mountPath: /run/secrets/nutritionfacts-privacy
  readOnly: true
{{- end }}
{{- end -}}

{{/* The migration Job has only these. */}}
{{- define "nutritionfacts.migrateVolumes" -}}
{{- include "nutritionfacts.secretVolumes" . }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "nutritionfacts.migrateMounts" -}}
{{- include "nutritionfacts.secretMounts" . }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}
