//! Network policies of every case: pods can reach what they need, and nothing else.

use k8s_openapi::{
    api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{
    manifest::{Manifest, Object},
    pods::{Labels, Workload, matches, wanted},
    program::loaded,
    release::{GUARDED, RELEASES, Release, walk},
};

/// Protocol and port, and the peers; an empty list means everybody.
type Opening<'a> = (String, Vec<&'a NetworkPolicyPeer>);

fn port(port: &NetworkPolicyPort) -> String {
    let number = match &port.port {
        Some(IntOrString::Int(number)) => number.to_string(),
        Some(IntOrString::String(name)) => name.clone(),
        None => "all".to_owned(),
    };
    format!("{} {number}", port.protocol.as_deref().unwrap_or("TCP"))
}

fn openings<'a>(ports: Option<&Vec<NetworkPolicyPort>>, peers: Option<&'a Vec<NetworkPolicyPeer>>) -> Vec<Opening<'a>> {
    let peers: Vec<_> = peers.into_iter().flatten().collect();
    match ports {
        None => vec![("all".to_owned(), peers)],
        Some(ports) => ports.iter().map(|one| (port(one), peers.clone())).collect(),
    }
}

fn egress(policy: &NetworkPolicySpec) -> Vec<Opening<'_>> {
    policy.egress.iter().flatten().flat_map(|rule| openings(rule.ports.as_ref(), rule.to.as_ref())).collect()
}

fn ingress(policy: &NetworkPolicySpec) -> Vec<Opening<'_>> {
    policy.ingress.iter().flatten().flat_map(|rule| openings(rule.ports.as_ref(), rule.from.as_ref())).collect()
}

/// The policy for a workload's pods.
fn policy<'a>(release: &'a Release, workload: &Workload<'_>) -> Option<(&'a Manifest, &'a NetworkPolicySpec)> {
    release.manifests.iter().find_map(|manifest| {
        let Object::NetworkPolicy(policy) = &manifest.object else { return None };
        let spec = policy.spec.as_ref()?;
        let selector = spec.pod_selector.as_ref().map(wanted).unwrap_or_default();
        matches(&selector, &workload.labels).then_some((manifest, spec))
    })
}

fn workload<'a>(release: &'a Release, kind: &str) -> Option<Workload<'a>> {
    release.workloads().into_iter().find(|workload| workload.manifest.kind() == kind)
}

/// Whether a peer selects these pods in the same namespace.
fn lets_in(peers: &[&NetworkPolicyPeer], labels: &Labels) -> bool {
    let is_theirs = |peer: &&NetworkPolicyPeer| {
        let everywhere = peer.namespace_selector.as_ref().is_some_and(|selector| wanted(selector).is_empty());
        let here = peer.namespace_selector.is_none();
        let pods = peer.pod_selector.as_ref().map(|selector| matches(&wanted(selector), labels));
        match pods {
            Some(matched) => matched && (here || everywhere),
            None => everywhere,
        }
    };
    peers.is_empty() || peers.iter().any(is_theirs)
}

/// Rules that the case adds.
fn is_extra(release: &Release, peers: &[&NetworkPolicyPeer]) -> bool {
    let of = |peer: &&NetworkPolicyPeer| peer.ip_block.as_ref().is_some_and(|block| block.cidr == "192.0.2.20/32");
    release.case.name == "network-policy" && peers.iter().any(of)
}

/// The ports that a pod with this configuration must reach.
fn needed(release: &Release, is_server: bool) -> Vec<String> {
    let loaded = loaded(release);
    let dns = if release.case.name == "openshift" { 5353 } else { 53 };
    let mut needed = vec![format!("UDP {dns}"), format!("TCP {dns}")];
    if loaded.store.is_postgres() {
        needed.push(format!("TCP {}", loaded.store.port.unwrap_or(5432)));
    }
    let kubernetes = &loaded.kubernetes;
    if is_server && (kubernetes.message_resources || !kubernetes.config_maps.is_empty()) {
        needed.extend(["TCP 443", "TCP 6443"].map(str::to_owned));
    }
    if let Some(endpoint) = loaded.telemetry.tracing.endpoint.as_ref().filter(|_| is_server) {
        let authority = endpoint.rsplit("//").next().unwrap_or_default().trim_end_matches('/');
        let default = if endpoint.starts_with("https") { "443" } else { "80" };
        needed.push(format!("TCP {}", authority.rsplit_once(':').map_or(default, |(_, port)| port)));
    }
    needed.sort();
    needed
}

#[test]
fn a_pod_reaches_what_it_needs_and_nothing_else() {
    walk(&GUARDED, |release, findings| {
        for (kind, is_server) in [("Deployment", true), ("Job", false)] {
            let Some(workload) = workload(release, kind) else { continue };
            let Some((manifest, policy)) = policy(release, &workload) else {
                findings.check(workload.manifest, false, "has no policy");
                continue;
            };
            let both = policy.policy_types.clone().unwrap_or_default();
            findings.check(manifest, both == ["Ingress", "Egress"], format!("is about {both:?}"));
            let open = egress(policy);
            let mut ports: Vec<_> =
                open.iter().filter(|(_, peers)| !is_extra(release, peers)).map(|(port, _)| port.clone()).collect();
            ports.sort();
            let needed = needed(release, is_server);
            findings.check(manifest, ports == needed, format!("opens {ports:?} instead of {needed:?}"));
        }
    });
}

/// The database of the release, from both ends.
#[test]
fn only_the_server_can_reach_the_database_of_the_release() {
    walk(&GUARDED, |release, findings| {
        let (Some(server), Some(database)) = (workload(release, "Deployment"), workload(release, "StatefulSet")) else {
            return;
        };
        let of_server = policy(release, &server).map(|(_, policy)| egress(policy)).unwrap_or_default();
        let leads = of_server
            .iter()
            .any(|(port, to)| port == "TCP 5432" && lets_in(to, &database.labels) && !lets_in(to, &server.labels));
        findings.check(server.manifest, leads, "its policy does not lead to the database, or to more than that");
        let Some((manifest, policy)) = policy(release, &database) else {
            findings.check(database.manifest, false, "has no policy");
            return;
        };
        findings.check(manifest, egress(policy).is_empty(), "the database reaches something");
        for (port, from) in ingress(policy) {
            findings.check(manifest, port == "TCP postgres" && database.has_port("postgres"), format!("opens {port}"));
            findings.check(manifest, lets_in(&from, &server.labels), "keeps the server out");
            findings.check(manifest, !lets_in(&from, &database.labels), "lets others in");
        }
    });
}

#[test]
fn policies_select_an_operators_cluster_by_its_labels() {
    walk(&GUARDED, |release, findings| {
        let Some(server) = workload(release, "Deployment") else { return };
        let env = server.container("nutritionfacts").and_then(|container| container.env.clone()).unwrap_or_default();
        let secret = env.iter().find_map(|variable| Some(&variable.value_from.as_ref()?.secret_key_ref.as_ref()?.name));
        let Some(cluster) =
            secret.and_then(|name| name.strip_suffix("-app")).filter(|_| release.case.name.starts_with("cnpg"))
        else {
            return;
        };
        let labels = Labels::from([("cnpg.io/cluster".to_owned(), cluster.to_owned())]);
        let open = policy(release, &server).map(|(_, policy)| egress(policy)).unwrap_or_default();
        let leads = open.iter().any(|(port, to)| port == "TCP 5432" && !to.is_empty() && lets_in(to, &labels));
        findings.check(server.manifest, leads, format!("does not reach the Cluster {cluster}"));
    });
}

#[test]
fn pings_and_metrics_use_existing_ports() {
    walk(&GUARDED, |release, findings| {
        let Some(server) = workload(release, "Deployment") else { return };
        let Some((manifest, policy)) = policy(release, &server) else { return };
        let open = ingress(policy);
        for name in ["http", "admin"] {
            let is_open = open.iter().any(|(port, _)| *port == format!("TCP {name}"));
            findings.check(manifest, is_open && server.has_port(name), format!("the port {name} is shut"));
        }
        let known = open.iter().all(|(port, _)| ["TCP http", "TCP admin"].contains(&port.as_str()));
        findings.check(manifest, known, format!("opens {:?}", open.iter().map(|(port, _)| port).collect::<Vec<_>>()));
        if release.case.name == "network-policy" {
            let stranger = Labels::from([("app".to_owned(), "stranger".to_owned())]);
            findings.check(manifest, open.iter().all(|(_, from)| !lets_in(from, &stranger)), "lets strangers in");
        }
    });
}

/// `helm test` sends a ping from its own pod, and reads the metrics.
#[test]
fn the_test_pod_can_reach_the_server() {
    walk(&GUARDED, |release, findings| {
        let (Some(server), Some(test)) = (workload(release, "Deployment"), workload(release, "Pod")) else { return };
        let Some((manifest, policy)) = policy(release, &server) else { return };
        for name in ["http", "admin"] {
            let comes_in = ingress(policy)
                .iter()
                .any(|(port, from)| *port == format!("TCP {name}") && lets_in(from, &test.labels));
            findings.check(manifest, comes_in, format!("keeps `helm test` from the port {name}"));
        }
    });
}

#[test]
fn policies_exist_if_enabled() {
    walk(&RELEASES, |release, findings| {
        let asked =
            ["network-policy", "network-policy-dev", "openshift", "profile-production", "profile-production-airgap"];
        let has = release.of_kind("NetworkPolicy").next().is_some();
        findings.check_all(has == asked.contains(&release.case.name.as_str()), format!("has policies: {has}"));
    });
}
