//! Names: long ones are cut, no two objects have the same, and every referenced object exists.

use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::Value;

use super::{
    manifest::{Manifest, items},
    release::{Findings, GUARDED, LONG, RELEASES, Release, walk},
    support::{
        helm::NAMESPACE,
        render::{CASES, side_by_side},
    },
};

/// The longest name that Helm gives a release.
fn with_a_long_release() -> Vec<Release> {
    let name = "r".repeat(53);
    let cases: Vec<_> = CASES.iter().filter(|case| case.name != "names").collect();
    side_by_side(&cases, |case| Release::of(case.render_as(&name)))
}

/// Longest name. The rest of the 63 characters is for suffixes by controllers: the revision of a `StatefulSet` has
/// eleven in a label, and `CloudNativePG` itself limits names to 50.
fn limit(kind: &str) -> usize {
    match kind {
        "StatefulSet" => 52,
        "Cluster" => 50,
        "Deployment" => 53,
        "CustomResourceDefinition" => 253,
        _ => 63,
    }
}

fn is_name(text: &str) -> bool {
    let inner =
        |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || "-.".contains(character);
    !text.is_empty() && text.chars().all(inner) && !text.starts_with(['-', '.']) && !text.ends_with(['-', '.'])
}

fn check_names(release: &Release, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for manifest in &release.manifests {
        let (kind, name) = (manifest.kind(), manifest.name());
        let (length, limit) = (name.len(), limit(kind));
        findings.check(manifest, length <= limit, format!("the name has {length} characters, and may have {limit}"));
        let may_have_dots = kind == "CustomResourceDefinition";
        findings.check(manifest, is_name(name) && (may_have_dots || !name.contains('.')), "this is no name");
        findings.check(manifest, seen.insert((kind, manifest.namespace(), name)), "there are two of this name");
    }
}

#[test]
fn names_are_short_enough_and_unique() {
    walk(&RELEASES, check_names);
}

#[test]
fn names_are_short_enough_with_a_long_name_override() {
    walk(&LONG, check_names);
}

#[test]
fn names_are_short_enough_with_a_long_release_name() {
    let releases = with_a_long_release();
    walk(&releases, check_names);
    walk(&releases, check_references);
}

#[test]
fn every_object_has_a_namespace() {
    walk(&RELEASES, |release, findings| {
        for manifest in release.ours() {
            let is_global = manifest.kind() == "CustomResourceDefinition";
            let namespace = manifest.namespace();
            let expected = match (release.case.name.as_str(), manifest.kind()) {
                _ if is_global => "",
                ("monitoring", "ConfigMap") if manifest.label("grafana_dashboard").is_some() => "monitoring",
                ("pod-monitor", "PodMonitor") => "monitoring",
                ("names", _) => "telemetry",
                _ => NAMESPACE,
            };
            findings.check(manifest, namespace == expected, format!("is in {namespace:?} instead of {expected:?}"));
        }
    });
}

/// References of an object to others of the same release: place, kind, name.
fn references(manifest: &Manifest) -> Vec<(String, String, String)> {
    fn text(value: &Value) -> String {
        value.as_str().unwrap_or_default().to_owned()
    }
    let spec = &manifest.source["spec"];
    let mut found = vec![];
    let mut add = |place: &str, kind: &str, name: &Value| found.push((place.to_owned(), kind.to_owned(), text(name)));
    match manifest.kind() {
        "HorizontalPodAutoscaler" | "ScaledObject" => {
            let target = &spec["scaleTargetRef"];
            add("spec.scaleTargetRef", target["kind"].as_str().unwrap_or_default(), &target["name"]);
        }
        "StatefulSet" => add("spec.serviceName", "Service", &spec["serviceName"]),
        "RoleBinding" => add("roleRef", "Role", &manifest.source["roleRef"]["name"]),
        "HTTPRoute" => {
            for backend in items(&spec["rules"]).iter().flat_map(|rule| items(&rule["backendRefs"])) {
                add("backendRefs", "Service", &backend["name"]);
            }
        }
        "Ingress" => {
            for path in items(&spec["rules"]).iter().flat_map(|rule| items(&rule["http"]["paths"])) {
                add("backend", "Service", &path["backend"]["service"]["name"]);
            }
        }
        _ => {}
    }
    found
}

fn check_references(release: &Release, findings: &mut Findings) {
    for manifest in &release.manifests {
        for (place, kind, name) in references(manifest) {
            let mut complaint = format!("{place} names {kind} {name}, which is not there");
            if let Some(other) = release.of_kind(&kind).next() {
                let _ = write!(complaint, "; there is {}", other.name());
            }
            findings.check(manifest, release.find(&kind, &name).is_some(), complaint);
        }
    }
}

#[test]
fn every_referenced_object_exists() {
    for releases in [&RELEASES, &GUARDED, &LONG] {
        walk(releases, check_references);
    }
}

/// The addresses in a pod's environment are those of Services of the release.
#[test]
fn the_test_pod_uses_existing_services() {
    walk(&LONG, |release, findings| {
        for manifest in release.of_kind("Pod") {
            let args = items(&manifest.source["spec"]["containers"][0]["args"]);
            for url in args.iter().filter_map(Value::as_str).filter_map(|arg| arg.strip_prefix("http://")) {
                let (host, port) = url.split_once(':').unwrap_or((url, "80"));
                let ports = release.find("Service", host).map(|service| service.source["spec"]["ports"].clone());
                let ports = ports.unwrap_or_default();
                let leads = items(&ports).iter().any(|found| found["port"].as_u64() == port.parse().ok());
                findings.check(manifest, leads, format!("asks {url}, where there is no Service"));
            }
        }
    });
}
