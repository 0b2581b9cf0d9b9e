//! Permissions: exactly those that the program uses, and a token only if it uses the API server.

use serde_json::{Value, json};

use super::{
    program::loaded,
    release::{RELEASES, walk},
};

/// The Role in the documentation and in kustomize (`tests/docs.rs` compares these two).
const SHIPPED: &str = include_str!("../../kustomize/base/role.yaml");

/// The rules that a configuration needs.
fn expected(kubernetes: &nutritionfacts::config::sections::Kubernetes) -> Vec<Value> {
    let shipped: Value = serde_saphyr::from_str(SHIPPED).unwrap();
    let mut rules = vec![];
    for mut rule in shipped["rules"].as_array().unwrap().clone() {
        let keeps = match rule["resources"][0].as_str().unwrap() {
            "configmaps" => {
                rule["resourceNames"] = json!(kubernetes.config_maps);
                !kubernetes.config_maps.is_empty()
            }
            "kolibrimessages" | "kolibrimessages/status" => kubernetes.message_resources,
            "events" => kubernetes.message_resources || !kubernetes.config_maps.is_empty(),
            other => panic!("nothing is known here of {other}"),
        };
        rules.extend(keeps.then_some(rule));
    }
    rules
}

#[test]
fn the_role_grants_what_the_program_uses() {
    walk(&RELEASES, |release, findings| {
        let Some((deployment, _)) = release.deployment() else { return };
        let expected = expected(&loaded(release).kubernetes);
        let found: Vec<_> = release.of_kind("Role").collect();
        // Others create it.
        if release.case.name == "split-rights" {
            findings.check(
                deployment,
                found.is_empty() && release.of_kind("RoleBinding").next().is_none(),
                "there is a Role",
            );
            return;
        }
        findings.check(
            deployment,
            found.len() == usize::from(!expected.is_empty()),
            format!("there are {} Roles", found.len()),
        );
        for role in found {
            let rules = &role.source["rules"];
            findings.check(role, *rules == json!(expected), format!("grants {rules} instead of {}", json!(expected)));
        }
        let kinds = ["ClusterRole", "ClusterRoleBinding"];
        findings.check(
            deployment,
            kinds.iter().all(|kind| release.of_kind(kind).next().is_none()),
            "grants in all namespaces",
        );
    });
}

#[test]
fn the_role_is_bound_only_to_the_account_of_the_server() {
    walk(&RELEASES, |release, findings| {
        let Some(server) = release.server() else { return };
        let bindings: Vec<_> = release.of_kind("RoleBinding").collect();
        findings.check(
            server.manifest,
            bindings.len() == release.of_kind("Role").count(),
            "Role and RoleBinding go together",
        );
        for binding in bindings {
            let account = json!([{"kind": "ServiceAccount", "name": server.spec.service_account_name, "namespace": server.manifest.namespace()}]);
            let subjects = &binding.source["subjects"];
            findings.check(binding, *subjects == account, format!("is for {subjects}"));
        }
    });
}

#[test]
fn a_token_is_mounted_only_if_something_is_watched() {
    walk(&RELEASES, |release, findings| {
        for workload in release.workloads() {
            let is_server = workload.manifest.kind() == "Deployment";
            let watches = is_server && {
                let kubernetes = &loaded(release).kubernetes;
                kubernetes.message_resources || !kubernetes.config_maps.is_empty()
            };
            let mounts = workload.spec.automount_service_account_token;
            findings.check(
                workload.manifest,
                mounts == Some(watches),
                format!("mounts a token: {mounts:?} instead of {watches}"),
            );
        }
        for account in release.of_kind("ServiceAccount") {
            let mounts = &account.source["automountServiceAccountToken"];
            findings.check(account, mounts == false, "gives every pod a token");
        }
    });
}
