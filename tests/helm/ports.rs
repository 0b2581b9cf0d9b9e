//! Ports: named, unique in a pod, and existing wherever they are referenced.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::{
    manifest::{Manifest, Object, items},
    pods::{Workload, matches},
    release::{RELEASES, Release, walk},
};

#[test]
fn ports_have_unique_names_and_numbers_in_a_pod() {
    walk(&RELEASES, |release, findings| {
        for workload in release.workloads() {
            let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
            for port in workload.containers().flat_map(|container| container.ports.iter().flatten()) {
                let name = port.name.clone().unwrap_or_default();
                let number = port.container_port;
                let is_name = !name.is_empty() && name.len() <= 15;
                findings.check(workload.manifest, is_name, format!("port {number} has the name {name:?}"));
                findings.check(workload.manifest, names.insert(name.clone()), format!("there are two ports {name}"));
                let own = numbers.insert((number, port.protocol.clone()));
                findings.check(workload.manifest, own, format!("there are two ports {number}"));
            }
        }
    });
}

#[test]
fn the_ports_of_a_service_have_names_and_lead_to_ports_of_the_pods() {
    walk(&RELEASES, |release, findings| {
        for manifest in &release.manifests {
            let Object::Service(service) = &manifest.object else { continue };
            let Some(spec) = &service.spec else { continue };
            let selector = spec.selector.clone().unwrap_or_default();
            let workloads = release.workloads();
            let pods: Vec<_> = workloads.iter().filter(|workload| matches(&selector, &workload.labels)).collect();
            let mut names = BTreeSet::new();
            for port in spec.ports.iter().flatten() {
                let name = port.name.clone().unwrap_or_default();
                findings.check(
                    manifest,
                    !name.is_empty() && names.insert(name.clone()),
                    format!("{name:?} is no name for a port"),
                );
                let Some(IntOrString::String(target)) = &port.target_port else {
                    findings.check(manifest, false, "leads to a port by its number");
                    continue;
                };
                let is_there = !pods.is_empty() && pods.iter().all(|pod| pod.has_port(target));
                findings.check(manifest, is_there, format!("leads to the port {target}, which the pods do not have"));
            }
        }
    });
}

/// Metrics and `/config` must not be public.
#[test]
fn the_public_service_has_only_the_public_port() {
    walk(&RELEASES, |release, findings| {
        for manifest in
            release.of_kind("Service").filter(|service| service.label("app.kubernetes.io/component") == Some("server"))
        {
            let ports = items(&manifest.source["spec"]["ports"]);
            let targets: Vec<_> = ports.iter().map(|port| port["targetPort"].clone()).collect();
            findings.check(manifest, targets == ["http"], format!("leads to {targets:?}"));
        }
    });
}

/// The Services to which an Ingress or route leads, with the port by name or number.
fn backends(release: &Release) -> Vec<(&Manifest, Value, Value)> {
    let mut found = vec![];
    for manifest in &release.manifests {
        let rules = items(&manifest.source["spec"]["rules"]);
        for rule in rules {
            for path in items(&rule["http"]["paths"]) {
                let service = &path["backend"]["service"];
                found.push((manifest, service["name"].clone(), service["port"]["name"].clone()));
            }
            for backend in items(&rule["backendRefs"]) {
                found.push((manifest, backend["name"].clone(), backend["port"].clone()));
            }
        }
    }
    found
}

#[test]
fn ingresses_and_routes_lead_to_a_port_of_the_public_service() {
    walk(&RELEASES, |release, findings| {
        for (manifest, name, port) in backends(release) {
            let service = release.find("Service", name.as_str().unwrap_or_default());
            let ports = service.map(|service| service.source["spec"]["ports"].clone()).unwrap_or_default();
            let is_there = items(&ports).iter().any(|found| found["name"] == port || found["port"] == port);
            findings.check(manifest, is_there, format!("leads to {name} at {port}, which is not there"));
            let is_public = service.and_then(|service| service.label("app.kubernetes.io/component")) == Some("server");
            findings.check(manifest, is_public, format!("leads to {name}, which is not for the world"));
        }
    });
}

#[test]
fn a_monitor_finds_a_port_with_metrics() {
    walk(&RELEASES, |release, findings| {
        for manifest in &release.manifests {
            let (spec, kind) = (&manifest.source["spec"], manifest.kind());
            let (endpoints, of) = match kind {
                "ServiceMonitor" => (&spec["endpoints"], "Service"),
                "PodMonitor" => (&spec["podMetricsEndpoints"], "Pod"),
                _ => continue,
            };
            let selector = serde_json::from_value(spec["selector"]["matchLabels"].clone()).unwrap_or_default();
            let ports: Vec<Vec<String>> = if of == "Service" {
                let services = release
                    .of_kind("Service")
                    .filter(|service| matches(&selector, &service.metadata.labels.clone().unwrap_or_default()));
                let names = |service: &Manifest| -> Vec<String> {
                    let ports = items(&service.source["spec"]["ports"]);
                    ports.iter().filter_map(|port| port["name"].as_str().map(str::to_owned)).collect()
                };
                services.map(names).collect()
            } else {
                let workloads = release.workloads();
                let pods = workloads.iter().filter(|workload| matches(&selector, &workload.labels));
                let ports = |pod: &Workload<'_>| -> Vec<String> {
                    let ports = pod.containers().flat_map(|container| container.ports.iter().flatten());
                    ports.filter_map(|port| port.name.clone()).collect()
                };
                pods.map(ports).collect()
            };
            findings.check(manifest, ports.len() == 1, format!("finds {} of kind {of}", ports.len()));
            for endpoint in items(endpoints) {
                let port = endpoint["port"].as_str().unwrap_or_default();
                findings.check(manifest, endpoint["path"] == "/metrics", "scrapes another path");
                findings.check(manifest, port == "admin", format!("scrapes the port {port}"));
                let is_there = ports.iter().flatten().any(|name| name == port);
                findings.check(manifest, is_there, format!("scrapes the port {port}, which is not there"));
            }
            let namespaces = &spec["namespaceSelector"]["matchNames"];
            let own = release.deployment().map(|(deployment, _)| deployment.namespace()).unwrap_or_default();
            findings.check(manifest, *namespaces == serde_json::json!([own]), format!("looks in {namespaces}"));
        }
    });
}
