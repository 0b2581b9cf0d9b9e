//! Everything that a pod takes from ConfigMaps, Secrets and claims is in the release, or on the list of objects made by others.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, KeyToPath, Volume};

use super::{
    manifest::{Manifest, Object},
    pods::Workload,
    release::{RELEASES, Release, walk},
};

const DATABASE: Outside = ("Secret", "nutritionfacts-database", &["password"]);
const PRIVACY: Outside = ("Secret", "nutritionfacts-privacy", &["privacy.key"]);
const CNPG_APP: &[&str] = &["host", "port", "dbname", "username", "password"];

/// Kind, name, and the keys that are used.
type Outside = (&'static str, &'static str, &'static [&'static str]);

/// Objects that must exist before the release: the documentation of each case names them.
fn outside(case: &str) -> Vec<Outside> {
    match case {
        "autoscaling" | "capacity" | "external" | "external-pgbouncer" | "keda" | "load-balancer"
        | "network-policy" | "replicas-elsewhere" | "scheduling" | "profile-production" => vec![DATABASE, PRIVACY],
        "profile-airgap" | "profile-production-airgap" => vec![DATABASE, PRIVACY, ("Secret", "registry-internal", &[])],
        "cnpg" | "cnpg-spec" => vec![
            PRIVACY,
            ("Secret", "kolibri-nutritionfacts-db-app", CNPG_APP),
            ("Secret", "kolibri-nutritionfacts-db-ca", &["ca.crt"]),
        ],
        "cnpg-attach" => {
            vec![PRIVACY, ("Secret", "telemetry-pg-app", CNPG_APP), ("Secret", "telemetry-pg-ca", &["ca.crt"])]
        }
        "external-secret" | "migrations-job" => vec![PRIVACY, ("Secret", "cluster-example-app", CNPG_APP)],
        "external-secret-keys" => {
            vec![(
                "Secret",
                "postgres-credentials",
                &["endpoint", "endpoint-port", "db", "login", "pass", "telemetry-key"],
            )]
        }
        "external-tls" => vec![DATABASE, PRIVACY, ("ConfigMap", "company-authorities", &["root.pem"])],
        "external-certificate" => vec![PRIVACY, ("Secret", "database-client-tls", &["ca.crt"])],
        "privacy-file" | "privacy-none" | "privacy-raw" => vec![DATABASE],
        "embedded-existing-claim" => vec![("PersistentVolumeClaim", "telemetry-data", &[])],
        "split-rights" => vec![("ServiceAccount", "telemetry", &[])],
        "extras" => vec![("Secret", "owners", &["privacy"]), ("ConfigMap", "more-settings", &[])],
        "live-config" => vec![("ConfigMap", "more-messages", &[])],
        "live-config-gitops" => vec![("ConfigMap", "telemetry-live", &[])],
        "images" => vec![("Secret", "mirror", &[]), ("Secret", "another", &[])],
        "ingress" => vec![("Secret", "telemetry-tls", &[])],
        _ => vec![],
    }
}

/// A reference of a pod or an Ingress: kind, name, keys.
#[derive(Debug)]
struct Taken {
    kind: &'static str,
    name: String,
    keys: Vec<String>,
}

fn taken(kind: &'static str, name: &str, keys: impl IntoIterator<Item = String>) -> Taken {
    Taken { kind, name: name.to_owned(), keys: keys.into_iter().collect() }
}

fn keys(items: Option<&Vec<KeyToPath>>) -> Vec<String> {
    items.into_iter().flatten().map(|item| item.key.clone()).collect()
}

fn of_volume(volume: &Volume) -> Vec<Taken> {
    let mut found = vec![];
    if let Some(source) = &volume.config_map {
        found.push(taken("ConfigMap", &source.name, keys(source.items.as_ref())));
    }
    if let Some(source) = &volume.secret {
        found.push(taken("Secret", source.secret_name.as_deref().unwrap_or_default(), keys(source.items.as_ref())));
    }
    if let Some(source) = &volume.persistent_volume_claim {
        found.push(taken("PersistentVolumeClaim", &source.claim_name, []));
    }
    assert!(volume.projected.is_none(), "projected volumes are not understood here");
    found
}

fn of_container(container: &Container) -> Vec<Taken> {
    let mut found = vec![];
    for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
        found.extend(source.config_map_key_ref.iter().map(|key| taken("ConfigMap", &key.name, [key.key.clone()])));
        found.extend(source.secret_key_ref.iter().map(|key| taken("Secret", &key.name, [key.key.clone()])));
    }
    for source in container.env_from.iter().flatten() {
        found.extend(source.config_map_ref.iter().map(|all| taken("ConfigMap", &all.name, [])));
        found.extend(source.secret_ref.iter().map(|all| taken("Secret", &all.name, [])));
    }
    found
}

fn of_workload(workload: &Workload<'_>) -> Vec<Taken> {
    let mut found: Vec<_> = workload.spec.volumes.iter().flatten().flat_map(of_volume).collect();
    found.extend(workload.containers().flat_map(of_container));
    found.extend(workload.spec.image_pull_secrets.iter().flatten().map(|secret| taken("Secret", &secret.name, [])));
    let account = workload.spec.service_account_name.iter();
    // Every namespace has this one.
    found.extend(account.filter(|name| *name != "default").map(|name| taken("ServiceAccount", name, [])));
    found
}

fn of_ingress(manifest: &Manifest) -> Vec<Taken> {
    let Object::Ingress(ingress) = &manifest.object else { return vec![] };
    let tls = ingress.spec.iter().flat_map(|spec| spec.tls.iter().flatten());
    tls.filter_map(|tls| tls.secret_name.as_ref()).map(|name| taken("Secret", name, [])).collect()
}

/// The keys of an object of the release.
fn keys_of(manifest: &Manifest) -> BTreeSet<String> {
    let texts = |data: Option<&std::collections::BTreeMap<String, String>>| {
        data.into_iter().flatten().map(|(key, _)| key.clone()).collect()
    };
    match &manifest.object {
        Object::ConfigMap(config_map) => texts(config_map.data.as_ref()),
        Object::Secret(secret) => texts(secret.string_data.as_ref()),
        _ => BTreeSet::new(),
    }
}

fn all(release: &Release) -> Vec<(&Manifest, Taken)> {
    let mut found = vec![];
    for workload in release.workloads() {
        found.extend(of_workload(&workload).into_iter().map(|taken| (workload.manifest, taken)));
    }
    for manifest in &release.manifests {
        found.extend(of_ingress(manifest).into_iter().map(|taken| (manifest, taken)));
    }
    found
}

#[test]
fn every_reference_is_in_the_release_or_on_the_list() {
    walk(&RELEASES, |release, findings| {
        let outside = outside(&release.case.name);
        for (manifest, Taken { kind, name, keys }) in all(release) {
            let known: Option<BTreeSet<String>> = if let Some(found) = release.find(kind, &name) {
                Some(keys_of(found))
            } else {
                let listed = outside.iter().find(|(outside, known, _)| *outside == kind && *known == name);
                listed.map(|(_, _, keys)| keys.iter().map(|key| (*key).to_owned()).collect())
            };
            findings.check(manifest, known.is_some(), format!("takes {kind} {name}, which nobody makes"));
            for key in keys {
                let has = known.as_ref().is_none_or(|known| known.contains(&key));
                findings.check(manifest, has, format!("takes the key {key} of {kind} {name}, which it does not have"));
            }
        }
    });
}

/// The list has no unused entries, so that it shows what a user must create.
#[test]
fn every_entry_of_the_list_is_used() {
    walk(&RELEASES, |release, findings| {
        let all = all(release);
        for (kind, name, keys) in outside(&release.case.name) {
            let taken: Vec<_> = all.iter().filter(|(_, taken)| taken.kind == kind && taken.name == name).collect();
            findings.check_all(!taken.is_empty(), format!("{kind} {name} is on the list, and nothing takes it"));
            for key in keys {
                let is_read = taken.iter().any(|(_, taken)| taken.keys.iter().any(|taken| taken == key));
                findings
                    .check_all(is_read, format!("the key {key} of {kind} {name} is on the list, and nothing reads it"));
            }
        }
    });
}

/// Hooks that run before the release cannot use objects of the release.
#[test]
fn hooks_before_the_release_do_not_use_its_objects() {
    walk(&RELEASES, |release, findings| {
        for (manifest, taken) in all(release) {
            if manifest.hook().is_some_and(|hook| hook.contains("pre-")) {
                let found = release.find(taken.kind, &taken.name);
                let is_earlier = found.is_none_or(|found| found.hook().is_some());
                findings.check(
                    manifest,
                    is_earlier,
                    format!("takes {} {}, which is not there yet", taken.kind, taken.name),
                );
            }
        }
    });
}
