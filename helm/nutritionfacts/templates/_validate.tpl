{{/* Contradicting values, which the schema cannot detect. All are reported at once, as by the program. */}}
{{- define "nutritionfacts.validate" -}}
{{- $complaints := include "nutritionfacts.complaints" . | trim -}}
{{- if $complaints -}}
{{- fail (printf "\n\nthese values do not go together:\n\n%s\n" $complaints) -}}
{{- end -}}
{{- end -}}

{{- define "nutritionfacts.complaints" -}}
{{- $values := .Values -}}
{{- $mode := $values.database.mode -}}
{{- $namespace := include "nutritionfacts.namespace" . -}}
{{- if and (eq $mode "external") (not $values.database.external.host) (not $values.database.external.existingSecret) }}
- `database.mode: external` needs `database.external.existingSecret`, and `database.external.host` unless the Secret has it.
  The password's Secret is made by
    kubectl --namespace {{ $namespace }} create secret generic nutritionfacts-database --from-literal=password='…'
  To look around without a PostgreSQL of your own take `-f profiles/dev.yaml`, or `-f profiles/embedded.yaml` for SQLite.
{{- end }}
{{- if include "nutritionfacts.privacyKeyMissing" . }}
- `privacy.existingSecret` is missing: the pseudonyms need a key that outlives the database. These two commands make it:
    head -c 32 /dev/urandom | base64 >privacy.key
    kubectl --namespace {{ $namespace }} create secret generic nutritionfacts-privacy --from-file=privacy.key
  Then set `privacy.existingSecret: nutritionfacts-privacy`, and keep the file: another key starts new pseudonyms.
{{- end }}
{{- if eq $mode "embedded" }}
{{- if include "nutritionfacts.several" . }}
- `database.mode: embedded` is one process on one volume: set `replicaCount: 1`, and neither `autoscaling` nor `keda`.
{{- end }}
{{- end }}
{{- if and (eq $values.migrations.mode "job") (or (has $mode (list "dev" "embedded")) (and (eq $mode "cnpg") $values.database.cnpg.create)) }}
- `migrations.mode: job` needs a database that is there before this release: leave it at `startup`.
{{- end }}
{{- if and (eq $mode "cnpg") (not $values.database.cnpg.create) (not $values.database.cnpg.cluster) }}
- `database.cnpg.create: false` needs `database.cnpg.cluster`, the Cluster to attach to.
{{- end }}
{{- if and $values.database.ca.existingSecret $values.database.ca.existingConfigMap }}
- `database.ca.existingSecret` and `database.ca.existingConfigMap` are both set: one of them holds the certificate.
{{- end }}
{{- if and (not $values.liveConfig.create) (or $values.liveConfig.config $values.messages) }}
- `liveConfig.create: false` leaves the ConfigMap to others, so `liveConfig.config` and `messages` would go nowhere.
{{- end }}
{{- if has (include "nutritionfacts.liveName" .) (list "config" (include "nutritionfacts.configName" .)) }}
- `liveConfig.name` is taken by the other configuration: choose another.
{{- end }}
{{- if and $values.autoscaling.enabled $values.keda.enabled }}
- `autoscaling` and `keda` would work against each other: enable one.
{{- end }}
{{- with $values.autoscaling }}
{{- if and .enabled (not (or .targetCPUUtilizationPercentage .targetMemoryUtilizationPercentage .metrics)) }}
- `autoscaling` needs something to go by: a target of CPU or memory, or `metrics`.
{{- end }}
{{- end }}
{{- if and $values.keda.enabled (not $values.keda.triggers) }}
- `keda.triggers` is empty: nothing would ever scale.
{{- end }}
{{- if and $values.serviceMonitor.enabled $values.podMonitor.enabled }}
- `serviceMonitor` and `podMonitor` would scrape everything twice: enable one.
{{- end }}
{{- if and $values.serviceMonitor.enabled (not $values.adminService.enabled) }}
- `serviceMonitor` finds the pods by `adminService`: enable that, or take `podMonitor`.
{{- end }}
{{- if $values.prometheusRule.enabled }}
{{- with include "nutritionfacts.unknownAlerts" . }}
- `prometheusRule.alerts` names what is no alert of this chart:{{ . }}.
{{- end }}
{{- with include "nutritionfacts.withoutThreshold" . }}
- `prometheusRule.alerts` sets the threshold of what has none, where `expr` could be set:{{ . }}.
{{- end }}
{{- end }}
{{- if and $values.ingress.enabled (not $values.ingress.hosts) }}
- `ingress.hosts` is empty: `[{host: telemetry.example.org}]`.
{{- end }}
{{- if and $values.httpRoute.enabled (not $values.httpRoute.parentRefs) }}
- `httpRoute.parentRefs` is empty: name the Gateway, `[{name: my-gateway, namespace: gateways}]`.
{{- end }}
{{- end -}}

{{/* Not if the program needs no key, or gets it in another way. */}}
{{- define "nutritionfacts.privacyKeyMissing" -}}
{{- $privacy := (.Values.config | default dict).privacy | default dict -}}
{{- $given := or (include "nutritionfacts.privacySecret" .) $privacy.key_file .Values.extraEnvFrom -}}
{{- range .Values.extraEnv -}}
{{- $given = or $given (eq .name "NUTRITIONFACTS__PRIVACY__KEY") -}}
{{- end -}}
{{- if and (ne .Values.database.mode "embedded") (eq ($privacy.identifiers | default "pseudonymous") "pseudonymous") (not $given) -}}
true
{{- end -}}
{{- end -}}
