//! `null` unsets any default: the result is a release, or an error that names what is missing, never a template
//! error.

use std::fs;

use serde_json::{Value, json};

use super::{
    manifest::{Object, items},
    release::Release,
    support::{
        helm::CHART,
        render::{Case, side_by_side},
    },
};

/// Cases that together enable everything, so that each default is tested; `mode` selects one of them.
fn base(path: &str) -> Case {
    let files: &[&str] = match path {
        _ if path.starts_with("database.dev") => &["dev-password", "network-policy-dev"],
        _ if path.starts_with("database.cnpg") || path.starts_with("keda") => &["keda", "cnpg"],
        _ if path.starts_with("database.embedded") || path.starts_with("podMonitor") || path.starts_with("watch") => {
            &["pod-monitor", "extras", "live-config"]
        }
        _ if path.starts_with("database.external.secretKeys") => &["external-secret-keys", "migrations-job"],
        _ => &[
            "monitoring",
            "http-route",
            "ingress",
            "live-config",
            "messages",
            "extras",
            "scheduling",
            "load-balancer",
            "external-tls",
            "network-policy",
            "migrations-job",
            "autoscaling",
            "external",
        ],
    };
    let values = files.iter().flat_map(|name| Case::named(name).arguments.clone()).collect();
    Case { name: path.to_owned(), chart: CHART, arguments: values }
}

fn read(file: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(format!("{CHART}/{file}")).unwrap()).unwrap()
}

/// All keys of values.yaml, and whether the schema makes them optional.
fn keys(schema: &Value, defaults: &Value, path: &str, found: &mut Vec<(String, bool)>) {
    let required = items(&schema["required"]);
    for (name, default) in defaults.as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let schema = &schema["properties"][name];
        found.push((path.clone(), required.contains(&json!(name))));
        // A typed key is a default as a whole, but Helm merges values into it key by key.
        if default.is_object() && !schema["properties"].is_null() {
            keys(schema, default, &path, found);
        } else if default.is_object() {
            found.extend(default.as_object().into_iter().flatten().map(|(name, _)| (format!("{path}.{name}"), false)));
        }
    }
}

fn nulled(path: &str) -> Value {
    path.rsplit('.').fold(Value::Null, |value, name| json!({name: value}))
}

fn refused_by_schema(refusal: &str, path: &str) -> bool {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let place = if parent.is_empty() { "at ''".to_owned() } else { format!("at '/{}'", parent.replace('.', "/")) };
    refusal.contains("the specifications of the schema")
        && refusal.contains(&place)
        && refusal.contains(&format!("'{name}'"))
}

#[test]
fn null_unsets_any_default() {
    let mut all = vec![];
    keys(&read("values.schema.json"), &read("values.yaml"), "", &mut all);
    assert!(all.len() > 200, "{}", all.len());
    let complaints = side_by_side(&all, |(path, is_required)| {
        let complain = |text: &str| Some(format!("{path}: {text}"));
        match base(path).try_render(&nulled(path)) {
            Ok(_) if *is_required => complain("the schema says that it is required"),
            Ok(render) => {
                let release = Release::of(render);
                let faults = release.manifests.iter().flat_map(|manifest| {
                    let broken = matches!(manifest.object, Object::Broken).then(|| "broken".to_owned());
                    manifest.faults.iter().cloned().chain(broken).map(|fault| format!("{} {fault}", manifest.kind()))
                });
                let faults: Vec<_> = faults.collect();
                if faults.is_empty() { None } else { complain(&faults.join("; ")) }
            }
            Err(refusal) if *is_required && refused_by_schema(&refusal, path) => None,
            Err(refusal) if !*is_required && refusal.contains("these values do not go together") => None,
            Err(refusal) => complain(refusal.trim()),
        }
    });
    let complaints: Vec<_> = complaints.into_iter().flatten().collect();
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), all.len(), complaints.join("\n"));
}

/// An unset value is removed, not replaced.
#[test]
fn an_unset_value_is_removed() {
    let release = Release::named("unset");
    let (deployment, _) = release.deployment().unwrap();
    let spec = &deployment.source["spec"];
    let container = &spec["template"]["spec"]["containers"][0];
    for (place, value) in [
        ("resources", &container["resources"]),
        ("progressDeadlineSeconds", &spec["progressDeadlineSeconds"]),
        ("revisionHistoryLimit", &spec["revisionHistoryLimit"]),
        ("topologySpreadConstraints", &spec["template"]["spec"]["topologySpreadConstraints"]),
        ("startupProbe.failureThreshold", &container["startupProbe"]["failureThreshold"]),
        ("readinessProbe.httpGet", &container["readinessProbe"]["httpGet"]),
        ("livenessProbe", &container["livenessProbe"]),
        ("podSecurityContext.runAsUser", &spec["template"]["spec"]["securityContext"]["runAsUser"]),
        ("image.pullPolicy", &container["imagePullPolicy"]),
    ] {
        assert!(value.is_null(), "{place}: {value}");
    }
    assert!(!container["startupProbe"]["httpGet"].is_null() && !container["readinessProbe"]["tcpSocket"].is_null());
}
