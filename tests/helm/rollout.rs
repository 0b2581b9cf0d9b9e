//! Replicas: how many there are, how they are replaced, and how long each has to stop.

use std::time::Duration;

use serde_json::json;

use super::{
    manifest::items,
    program::loaded,
    release::{RELEASES, Release, walk},
};

/// What controls the number of servers.
fn is_scaled_by_others(release: &Release) -> bool {
    let scalers = ["HorizontalPodAutoscaler", "ScaledObject"];
    scalers.iter().any(|kind| release.of_kind(kind).next().is_some()) || release.case.name == "replicas-elsewhere"
}

fn is_embedded(release: &Release) -> bool {
    !loaded(release).store.is_postgres()
}

#[test]
fn a_pod_is_killed_five_seconds_after_delay_and_grace() {
    walk(&RELEASES, |release, findings| {
        let Some(server) = release.server() else { return };
        let shutdown = loaded(release).shutdown.clone();
        let wanted = shutdown.delay + shutdown.grace + Duration::from_secs(5);
        let wanted = wanted.as_secs() + u64::from(wanted.subsec_nanos() > 0);
        let seconds = server.spec.termination_grace_period_seconds.map(i64::unsigned_abs);
        findings.check(
            server.manifest,
            seconds == Some(wanted),
            format!("is killed after {seconds:?} s instead of {wanted}"),
        );
    });
    let seconds = Release::named("shutdown").server().unwrap().spec.termination_grace_period_seconds;
    assert_eq!(seconds, Some(126), "1 m 30 s, 30.5 s and 5 s");
}

#[test]
fn replicas_are_not_set_if_something_scales_them() {
    let mut scaled = 0;
    walk(&RELEASES, |release, findings| {
        let Some((manifest, deployment)) = release.deployment() else { return };
        let replicas = deployment.spec.replicas;
        let others = is_scaled_by_others(release);
        scaled += usize::from(others);
        findings.check(manifest, replicas.is_none() == others, format!("replicas: {replicas:?}"));
        let scalers = ["HorizontalPodAutoscaler", "ScaledObject"].map(|kind| release.of_kind(kind).count());
        findings.check(manifest, scalers.iter().sum::<usize>() <= 1, "two scale it");
    });
    assert_eq!(scaled, 3, "autoscaling, keda and replicas-elsewhere");
}

#[test]
fn a_disruption_budget_exists_for_several_pods_and_never_blocks_a_drain() {
    walk(&RELEASES, |release, findings| {
        let Some((deployment, _)) = release.deployment() else { return };
        let replicas = deployment.source["spec"]["replicas"].as_i64();
        let several = is_scaled_by_others(release) || replicas.is_some_and(|replicas| replicas > 1);
        let budgets: Vec<_> = release.of_kind("PodDisruptionBudget").collect();
        findings.check(
            deployment,
            budgets.len() == usize::from(several),
            format!("{} budgets for {replicas:?} pods", budgets.len()),
        );
        for budget in budgets {
            let spec = &budget.source["spec"];
            findings.check(
                budget,
                spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow",
                "a pod that is not ready cannot be evicted",
            );
            let allowed = if release.case.name == "scheduling" {
                ("minAvailable", json!("75%"))
            } else {
                ("maxUnavailable", json!(1))
            };
            findings.check(budget, spec[allowed.0] == allowed.1, format!("{}: {}", allowed.0, spec[allowed.0]));
            let both = spec.get("minAvailable").is_some() && spec.get("maxUnavailable").is_some();
            findings.check(budget, !both, "says both how many must stay and how many may go");
        }
    });
}

#[test]
fn no_server_is_stopped_before_another_is_ready() {
    walk(&RELEASES, |release, findings| {
        let Some((deployment, _)) = release.deployment() else { return };
        let strategy = &deployment.source["spec"]["strategy"];
        let wanted = if is_embedded(release) {
            // Two processes never share the volume.
            json!({"type": "Recreate"})
        } else {
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}})
        };
        findings.check(deployment, *strategy == wanted, format!("{strategy} instead of {wanted}"));
    });
}

#[test]
fn the_embedded_store_has_one_server_and_its_volume() {
    walk(&RELEASES, |release, findings| {
        let Some((deployment, _)) = release.deployment() else { return };
        let embedded = is_embedded(release);
        let replicas = &deployment.source["spec"]["replicas"];
        findings.check(deployment, !embedded || *replicas == 1, format!("{replicas} servers on one volume"));
        let volumes = items(&deployment.source["spec"]["template"]["spec"]["volumes"]);
        let has = volumes.iter().any(|volume| volume.get("persistentVolumeClaim").is_some());
        findings.check(deployment, has == embedded, format!("has a claim: {has} instead of {embedded}"));
        for claim in release.of_kind("PersistentVolumeClaim") {
            let keeps = claim.annotation("helm.sh/resource-policy") == Some("keep");
            findings.check(claim, keeps, "goes with the release, and the pings and the privacy key with it");
        }
    });
}

#[test]
fn pods_are_spread_if_possible() {
    walk(&RELEASES, |release, findings| {
        let Some(server) = release.server() else { return };
        let constraints = server.spec.topology_spread_constraints.iter().flatten();
        let found: Vec<_> =
            constraints.map(|one| (one.topology_key.as_str(), one.when_unsatisfiable.as_str(), one.max_skew)).collect();
        let (zone, host) = ("topology.kubernetes.io/zone", "kubernetes.io/hostname");
        let wanted = match release.case.name.as_str() {
            "scheduling" => vec![(zone, "DoNotSchedule", 1)],
            "unset" => vec![],
            _ => vec![(zone, "ScheduleAnyway", 1), (host, "ScheduleAnyway", 1)],
        };
        findings.check(server.manifest, found == wanted, format!("{found:?} instead of {wanted:?}"));
    });
}

/// Ingresses and routes serve port 80 without a redirect, because old Kolibri versions lose the body when redirected.
#[test]
fn ingresses_and_routes_do_not_redirect() {
    walk(&RELEASES, |release, findings| {
        for ingress in release.of_kind("Ingress").filter(|_| release.case.name != "ingress-paths") {
            for (name, value) in [
                ("nginx.ingress.kubernetes.io/ssl-redirect", "false"),
                ("nginx.ingress.kubernetes.io/force-ssl-redirect", "false"),
                ("nginx.org/redirect-to-https", "false"),
                ("nginx.org/ssl-redirect", "false"),
                ("haproxy-ingress.github.io/ssl-redirect", "false"),
                ("haproxy.org/ssl-redirect", "false"),
                ("traefik.ingress.kubernetes.io/router.entrypoints", "web,websecure"),
                ("kubernetes.io/ingress.allow-http", "true"),
            ] {
                let found = ingress.annotation(name);
                findings.check(ingress, found == Some(value), format!("{name}: {found:?}"));
            }
        }
        for route in release.of_kind("HTTPRoute") {
            let spec = &route.source["spec"];
            let parents = items(&spec["parentRefs"]);
            findings.check(
                route,
                parents.iter().all(|parent| parent.get("sectionName").is_none()),
                "is on one listener only",
            );
            let filters = items(&spec["rules"]).iter().flat_map(|rule| items(&rule["filters"]));
            let redirects = filters.map(|filter| &filter["type"]).any(|kind| kind == "RequestRedirect");
            findings.check(route, !redirects, "redirects");
        }
    });
}
