//! Rejected values, with the path of the error.

use std::fs;

use serde_json::{Value, json};

use super::support::{
    helm::{CHART, Helm},
    render::{Case, side_by_side},
};

/// A path as the program writes it, and a value for it.
fn at(path: &str, value: Value) -> Value {
    path.rsplit('.').fold(value, |value, name| match name.parse::<usize>() {
        Ok(_) => json!([value]),
        Err(_) => json!({name: value}),
    })
}

/// Whether an error names the place and the key, as Helm does: `at '/image': additional properties 'tagg' not allowed`.
fn names(refusal: &str, path: &str) -> bool {
    let pointer = format!("/{}", path.replace('.', "/"));
    let (parent, name) = pointer.rsplit_once('/').expect("it begins with a slash");
    let of_parent = |line: &str| line.contains(&format!("at '{parent}'")) && line.contains(&format!("'{name}'"));
    refusal.lines().any(|line| line.contains(&format!("at '{pointer}'")) || of_parent(line))
}

/// Mistyped keys and invalid values, at all levels. The path is that of the error.
fn table() -> Vec<(&'static str, Value)> {
    vec![
        ("replicas", json!(3)),
        ("Image", json!({})),
        ("imagePullSecret", json!([])),
        ("global.imageRegistri", json!("a")),
        ("global.image", json!("a")),
        ("image.tagg", json!("a")),
        ("image.pullpolicy", json!("Always")),
        ("image.pullPolicy", json!("always")),
        ("image.digest", json!("sha256:1")),
        ("imagePullSecrets.0.nam", json!("a")),
        ("database.type", json!("dev")),
        ("database.mode", json!("postgres")),
        ("database.external.hostname", json!("a")),
        ("database.external.port", json!("5432")),
        ("database.external.port", json!(65_536)),
        ("database.external.secretKeys.pass", json!("a")),
        ("database.cnpg.storage.class", json!("a")),
        ("database.dev.persistence.enable", json!(true)),
        ("database.embedded.accessModes.0", json!("ReadWriteMany")),
        ("database.ca.secret", json!("a")),
        ("migrations.mode", json!("hook")),
        ("migrations.job.timeout", json!(1)),
        ("privacy.key", json!("a")),
        ("config.htpp", json!({})),
        ("config.http.lisen", json!("0.0.0.0:8080")),
        ("config.http.listen", json!("0.0.0.0:9000")),
        ("config.http.trusted_proxies.0", json!("10.0.0.0/33 ")),
        ("config.ingest.lanes", json!(17)),
        ("config.ingest.mode_rules.0.net", json!([])),
        ("config.store.password", json!("a")),
        ("config.store.url", json!("a")),
        ("config.store.ssl_mode", json!("verify")),
        ("config.privacy.key", json!("a")),
        ("config.kubernetes", json!({})),
        ("config.telemetry.log.levl", json!("info")),
        ("config.telemetry.tracing.sample_ratio", json!(2)),
        ("config.shutdown.delay", json!(5)),
        ("liveConfig.http", json!({})),
        ("liveConfig.config.store", json!({})),
        ("liveConfig.config.http.listen", json!("0.0.0.0:8080")),
        ("liveConfig.config.http.max_bodi", json!("1 MiB")),
        ("liveConfig.name", json!("Live_Config")),
        ("messages.0.titel", json!("a")),
        ("messages.0.stage", json!("active")),
        ("messages.0.translations.en.titel", json!("a")),
        ("messages.0.audience.network", json!([])),
        ("watch.configmap", json!(true)),
        ("crds.install", json!(true)),
        ("rbac.enabled", json!(true)),
        ("serviceAccount.annotation", json!({})),
        ("autoscaling.minReplica", json!(1)),
        ("autoscaling.behavior.scaleDown.policies.0.periodSecond", json!(1)),
        ("keda.triggers.0.meta", json!({})),
        ("podDisruptionBudget.maxUnavailabe", json!(1)),
        ("updateStrategy.rollingUpdate.maxUnavaliable", json!(0)),
        ("resources.request", json!({})),
        ("resources.limits.memory", json!([])),
        ("startupProbe.failureTreshold", json!(1)),
        ("livenessProbe.httpGet.paths", json!("/")),
        ("podSecurityContext.runAsNonroot", json!(true)),
        ("containerSecurityContext.capabilities.dropp", json!([])),
        ("tolerations.0.efect", json!("NoSchedule")),
        ("affinity.podAntiAffinity.preferred", json!([])),
        ("topologySpreadConstraints.0.topologyKeys", json!("a")),
        ("extraEnv.0.valeu", json!("a")),
        ("extraVolumes.0.configmap", json!({})),
        ("extraContainers.0.imagee", json!("a")),
        ("service.type", json!("ExternalName")),
        ("service.targetPort", json!(80)),
        ("ingress.host", json!("a")),
        ("ingress.hosts.0.paths.0.pathtype", json!("Prefix")),
        ("ingress.tls.0.secret", json!("a")),
        ("httpRoute.parentRefs.0.gateway", json!("a")),
        ("httpRoute.matches.0.path.typ", json!("a")),
        ("networkPolicy.publicFrom.0.podSelectr", json!({})),
        ("networkPolicy.dns.port", json!(53)),
        ("serviceMonitor.interval", json!("thirty")),
        ("serviceMonitor.metricRelabelings.0.source_labels", json!([])),
        ("prometheusRule.alerts.Some.severty", json!("page")),
        ("prometheusRule.alerts.Some.threshold", json!("high")),
        ("prometheusRule.additionalGroups.0.rules.0.exp", json!("1")),
        ("grafanaDashboards.label", json!({})),
        ("extraObjects.0", json!(5)),
    ]
}

#[test]
fn mistyped_keys_and_invalid_values_are_rejected_with_their_path() {
    let table = table();
    assert!(table.len() >= 40, "{}", table.len());
    let outcomes = side_by_side(&table, |(path, value)| Case::named("external").try_render(&at(path, value.clone())));
    for ((path, _), outcome) in table.iter().zip(outcomes) {
        let Err(refusal) = outcome else { panic!("{path} is taken") };
        assert!(names(&refusal, path), "{path}: {refusal}");
    }
}

/// The same with Helm 4, for one of each kind of error.
#[test]
fn helm_4_also_rejects_with_the_path() {
    let case = Case::named("external");
    for path in ["image.tagg", "config.http.lisen", "liveConfig.config.store", "messages.0.titel", "service.type"] {
        let value = table().into_iter().find(|(known, _)| *known == path).expect("it is in the table").1;
        let refusal = Helm::Four.template(case.chart, &case.arguments, &at(path, value)).unwrap_err();
        assert!(names(&refusal, path), "{path}: {refusal}");
    }
}

/// Every key of values.yaml with an additional letter, all at once.
#[test]
fn every_key_is_rejected_if_mistyped() {
    fn mistype(schema: &Value, defaults: &Value, path: &str, found: &mut Vec<String>) -> Value {
        let mut fields = serde_json::Map::new();
        for (name, default) in defaults.as_object().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            found.push(format!("{path}x"));
            fields.insert(format!("{name}x"), default.clone());
            if default.is_object() && !schema["properties"][name]["properties"].is_null() {
                fields.insert(name.clone(), mistype(&schema["properties"][name], default, &path, found));
            }
        }
        Value::Object(fields)
    }
    let read = |file: &str| -> Value {
        serde_saphyr::from_str(&fs::read_to_string(format!("{CHART}/{file}")).unwrap()).unwrap()
    };
    let mut mistyped = vec![];
    let values = mistype(&read("values.schema.json"), &read("values.yaml"), "", &mut mistyped);
    assert!(mistyped.len() > 150, "{}", mistyped.len());
    let refusal = Case::named("external").try_render(&values).unwrap_err();
    let taken: Vec<_> = mistyped.iter().filter(|path| !names(&refusal, path)).collect();
    assert!(taken.is_empty(), "these are taken: {taken:?}\n{refusal}");
}

/// Keys that an umbrella chart passes are its own.
#[test]
fn keys_of_an_umbrella_chart_are_accepted() {
    for values in [
        json!({"global": {"storageClass": "a", "domain": {"a": 1}}}),
        json!({"enabled": true}),
        json!({"x-anchor": {}}),
    ] {
        assert!(Case::named("external").try_render(&values).is_ok(), "{values}");
    }
}

/// Each value is valid by itself: all contradictions are reported at once, with what to do.
#[test]
fn contradicting_values_are_rejected_with_what_to_do() {
    let (embedded, external) = ("embedded", "external");
    for (case, values, words) in [
        (
            external,
            json!({"database": {"external": {"host": "", "existingSecret": ""}}}),
            "needs `database.external.existingSecret`",
        ),
        (external, json!({"privacy": {"existingSecret": ""}}), "head -c 32 /dev/urandom | base64 >privacy.key"),
        (
            external,
            json!({"privacy": {"existingSecret": null}}),
            "kubectl --namespace here create secret generic nutritionfacts-privacy",
        ),
        (embedded, json!({"replicaCount": 2}), "set `replicaCount: 1`"),
        (embedded, json!({"autoscaling": {"enabled": true}}), "neither `autoscaling` nor `keda`"),
        (embedded, json!({"migrations": {"mode": "job"}}), "leave it at `startup`"),
        ("cnpg", json!({"database": {"cnpg": {"create": false}}}), "needs `database.cnpg.cluster`"),
        ("external-tls", json!({"database": {"ca": {"existingSecret": "a"}}}), "one of them holds the certificate"),
        (external, json!({"liveConfig": {"create": false, "config": {"api": {"reply": "empty"}}}}), "would go nowhere"),
        (external, json!({"liveConfig": {"name": "kolibri-nutritionfacts-config"}}), "choose another"),
        (
            "autoscaling",
            json!({"keda": {"enabled": true, "triggers": [{"type": "cpu", "metadata": {}}]}}),
            "enable one",
        ),
        (
            "autoscaling",
            json!({"autoscaling": {"targetCPUUtilizationPercentage": null, "targetMemoryUtilizationPercentage": null}}),
            "something to go by",
        ),
        (external, json!({"keda": {"enabled": true}}), "`keda.triggers` is empty"),
        ("monitoring", json!({"podMonitor": {"enabled": true}}), "scrape everything twice"),
        ("monitoring", json!({"adminService": {"enabled": false}}), "or take `podMonitor`"),
        (
            "monitoring",
            json!({"prometheusRule": {"alerts": {"NoSuch": {"enabled": false}}}}),
            "no alert of this chart: NoSuch",
        ),
        (external, json!({"ingress": {"enabled": true}}), "`ingress.hosts` is empty"),
        (external, json!({"httpRoute": {"enabled": true}}), "`httpRoute.parentRefs` is empty"),
        (external, json!({"config": {"shutdown": {"delay": "1 fortnight"}}}), "config.shutdown.delay"),
    ] {
        let refusal = Case::named(case).try_render(&values).expect_err(&values.to_string());
        assert!(refusal.contains(words), "{values}: {refusal}");
    }
}
