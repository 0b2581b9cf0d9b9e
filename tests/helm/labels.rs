//! Labels and selectors: each selector matches its own objects, and no others.

use serde_json::Value;

use super::{
    manifest::{Manifest, Object},
    pods::{Labels, matches, wanted},
    release::{GUARDED, LONG, RELEASES, Release, walk},
};

const OF_OBJECTS: [&str; 7] = [
    "app.kubernetes.io/component",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/name",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/version",
    "helm.sh/chart",
];
/// A version would restart the pods with each release of the chart.
const NOT_OF_PODS: [&str; 3] = ["app.kubernetes.io/version", "helm.sh/chart", "app.kubernetes.io/managed-by"];

/// A valid value of a label in Kubernetes.
fn is_value(text: &str) -> bool {
    let ends_well = |end: Option<char>| end.is_none_or(|end| end.is_ascii_alphanumeric());
    let inner = |character: char| character.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&character);
    text.len() <= 63 && ends_well(text.chars().next()) && ends_well(text.chars().last()) && text.chars().all(inner)
}

#[test]
fn every_object_has_the_recommended_labels() {
    for releases in [&RELEASES, &LONG] {
        walk(releases, |release, findings| {
            for manifest in release.ours() {
                for label in OF_OBJECTS {
                    let value = manifest.label(label).unwrap_or_default();
                    findings.check(manifest, !value.is_empty(), format!("the label {label} is missing"));
                }
                let labels = manifest.metadata.labels.iter().flatten();
                for (label, value) in labels {
                    findings.check(
                        manifest,
                        is_value(value),
                        format!("the label {label} is {value:?}, which is refused"),
                    );
                }
            }
        });
    }
}

#[test]
fn every_pod_has_the_recommended_labels_without_a_version() {
    walk(&RELEASES, |release, findings| {
        // Standalone pods are objects, which nothing restarts.
        for workload in release.workloads().into_iter().filter(|workload| workload.manifest.kind() != "Pod") {
            for label in OF_OBJECTS {
                let has = workload.labels.contains_key(label);
                let should = !NOT_OF_PODS.contains(&label);
                findings.check(
                    workload.manifest,
                    has == should,
                    format!("{label} of its pods: {has} instead of {should}"),
                );
            }
        }
    });
}

#[test]
fn common_labels_are_everywhere_and_in_no_selector() {
    walk(&LONG, |release, findings| {
        for manifest in release.ours() {
            findings.check(manifest, manifest.label("cost-center") == Some("4711"), "a common label is missing");
            for (path, selector) in selectors(&manifest.source) {
                findings.check(manifest, !selector.contains_key("cost-center"), format!("a common label is in {path}"));
            }
        }
        for workload in release.workloads() {
            findings.check(
                workload.manifest,
                workload.labels.contains_key("cost-center"),
                "a common label of pods is missing",
            );
        }
    });
}

/// Every place that selects by labels: `matchLabels`, and the `selector` of a Service.
fn selectors(source: &Value) -> Vec<(String, Labels)> {
    fn walk(value: &Value, path: &str, found: &mut Vec<(String, Labels)>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            let is_selector = name == "matchLabels" || path == ".spec.selector";
            if let Ok(labels) = serde_json::from_value(value.clone())
                && is_selector
            {
                found.push((path.clone(), labels));
            }
            walk(value, &path, found);
        }
        for (index, value) in value.as_array().into_iter().flatten().enumerate() {
            walk(value, &format!("{path}.{index}"), found);
        }
    }
    let mut found = vec![];
    walk(source, "", &mut found);
    found
}

#[test]
fn a_workload_selects_its_own_pods_and_no_others() {
    for releases in [&RELEASES, &LONG] {
        walk(releases, |release, findings| {
            let workloads = release.workloads();
            for workload in workloads.iter().filter(|workload| workload.selector.is_some()) {
                let selector = wanted(workload.selector.expect("it was looked for"));
                for other in &workloads {
                    let is_own = std::ptr::eq(workload.manifest, other.manifest);
                    let (kind, name) = (other.manifest.kind(), other.manifest.name());
                    let selects = matches(&selector, &other.labels);
                    findings.check(
                        workload.manifest,
                        selects == is_own,
                        format!("selects the pods of {kind} {name}: {selects}"),
                    );
                }
            }
        });
    }
}

#[test]
fn a_service_selects_the_pods_of_one_workload() {
    walk(&RELEASES, |release, findings| {
        for manifest in &release.manifests {
            let Object::Service(service) = &manifest.object else { continue };
            let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone()).unwrap_or_default();
            let workloads = release.workloads();
            let found = workloads.iter().filter(|workload| matches(&selector, &workload.labels)).count();
            findings.check(
                manifest,
                !selector.is_empty() && found == 1,
                format!("selects the pods of {found} workloads"),
            );
        }
    });
}

#[test]
fn a_budget_a_spread_and_a_policy_select_the_pods_of_one_workload() {
    walk(&GUARDED, |release, findings| {
        for manifest in release.ours() {
            let own = |place: &str| {
                ["podSelector", "selector"].map(|name| format!(".spec.{name}.matchLabels")).contains(&place.to_owned())
            };
            let wanted: fn(&str) -> bool = match manifest.kind() {
                "Deployment" => |path| path.contains(".topologySpreadConstraints."),
                "NetworkPolicy" | "PodDisruptionBudget" | "PodMonitor" => |_| true,
                _ => continue,
            };
            for (path, selector) in selectors(&manifest.source) {
                if !wanted(&path) || (manifest.kind() == "NetworkPolicy" && !own(&path)) {
                    continue;
                }
                let workloads = release.workloads();
                let found = workloads.iter().filter(|workload| matches(&selector, &workload.labels)).count();
                findings.check(manifest, found == 1, format!("{path} selects the pods of {found} workloads"));
            }
        }
    });
}

/// Two releases in one namespace, where the name of one is a prefix of the other's.
#[test]
fn releases_in_one_namespace_do_not_select_each_other() {
    let pods_of = |manifest: &Manifest, release: &Release| -> Vec<String> {
        let hit = |labels: &Labels| {
            selectors(&manifest.source).iter().any(|(path, selector)| {
                // Selectors of other objects' pods use their own labels.
                // Selectors in values are the user's responsibility.
                !path.contains("gress.")
                    && !path.contains(".affinity.")
                    && !selector.is_empty()
                    && matches(selector, labels)
            })
        };
        release
            .workloads()
            .iter()
            .filter(|workload| hit(&workload.labels))
            .map(|workload| workload.manifest.name().to_owned())
            .collect()
    };
    let text = super::support::helm::Helm::Three;
    let neighbour = |case: &super::support::render::Case| {
        let mut arguments = vec!["template", "kolibri-two", case.chart, "--namespace", super::support::helm::NAMESPACE];
        arguments.extend(case.arguments.iter().map(String::as_str));
        let text = text.run(&arguments, "").unwrap();
        let documents = super::support::render::documents(&text);
        Release::of(super::support::render::Render { case: case.clone(), text, documents })
    };
    let names =
        ["dev", "network-policy-dev", "network-policy", "monitoring", "pod-monitor", "scheduling", "migrations-job"];
    let releases: Vec<_> = names.map(Release::named).into();
    for release in releases {
        let neighbour = neighbour(&release.case);
        for manifest in release.ours() {
            assert_eq!(
                pods_of(manifest, &neighbour),
                Vec::<String>::new(),
                "{}: {}",
                release.case.name,
                manifest.name()
            );
            let is_shared = manifest.kind() == "CustomResourceDefinition";
            assert!(
                is_shared || neighbour.find(manifest.kind(), manifest.name()).is_none(),
                "{} is there twice",
                manifest.name()
            );
        }
    }
}
