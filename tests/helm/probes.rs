//! Probes: all three, at paths that the program serves, each for its purpose.

use k8s_openapi::{
    api::core::v1::{Container, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{
    pods::SERVER,
    release::{RELEASES, walk},
    support::{http::Connection, server::Setup},
};

/// This case unsets them.
const OWN: &str = "unset";

fn probes(container: &Container) -> [(&'static str, Option<&Probe>); 3] {
    [
        ("startupProbe", container.startup_probe.as_ref()),
        ("livenessProbe", container.liveness_probe.as_ref()),
        ("readinessProbe", container.readiness_probe.as_ref()),
    ]
}

#[test]
fn the_server_has_all_three_probes() {
    walk(&RELEASES, |release, findings| {
        let Some(server) = release.server() else { return };
        let container = server.container(SERVER).expect("the server's pod has the server");
        for (name, probe) in probes(container) {
            if release.case.name != OWN {
                findings.check(
                    server.manifest,
                    probe.is_some_and(|probe| probe.http_get.is_some()),
                    format!("{name} is missing"),
                );
            }
            let Some(port) = probe.and_then(|probe| Some(probe.http_get.as_ref()?.port.clone())) else { continue };
            let IntOrString::String(port) = port else {
                findings.check(server.manifest, false, format!("{name} names its port by a number"));
                continue;
            };
            findings.check(
                server.manifest,
                server.has_port(&port),
                format!("{name} asks the port {port}, which is not there"),
            );
        }
    });
}

#[test]
fn the_database_of_the_release_has_all_three_probes() {
    walk(&RELEASES, |release, findings| {
        for workload in release.workloads().iter().filter(|workload| workload.manifest.kind() == "StatefulSet") {
            for container in workload.containers() {
                for (name, probe) in probes(container) {
                    let asks = probe.is_some_and(|probe| probe.exec.is_some());
                    findings.check(workload.manifest, asks, format!("{}: {name} is missing", container.name));
                }
            }
        }
    });
}

/// The program itself, requested at each probed path of the cases.
#[test]
fn the_program_serves_every_path_that_is_probed() {
    let program = Setup::sqlite().start();
    let mut answers = std::collections::BTreeMap::new();
    let mut is_served = |port: &str, path: &str| {
        *answers.entry((port.to_owned(), path.to_owned())).or_insert_with(|| {
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let reply = match port {
                "http" => program.ask(request.as_bytes()),
                _ => Connection::open(program.admin).ask(request.as_bytes()),
            };
            reply.status == 200
        })
    };
    walk(&RELEASES, |release, findings| {
        let Some(server) = release.server() else { return };
        let container = server.container(SERVER).expect("the server's pod has the server");
        for (name, probe) in probes(container) {
            let Some(get) = probe.and_then(|probe| probe.http_get.as_ref()) else { continue };
            let IntOrString::String(port) = &get.port else { continue };
            let path = get.path.clone().unwrap_or_default();
            findings.check(
                server.manifest,
                is_served(port, &path),
                format!("{name}: nothing is at {path} of the port {port}"),
            );
        }
    });
    assert!(!is_served("admin", "/healthz"), "a path that is not served would be found out");
}

#[test]
fn each_probe_requests_the_right_path() {
    walk(&RELEASES, |release, findings| {
        let Some(server) = release.server().filter(|_| release.case.name != OWN) else { return };
        let container = server.container(SERVER).expect("the server's pod has the server");
        let seconds = |probe: &Probe| probe.failure_threshold.unwrap_or(3) * probe.period_seconds.unwrap_or(10);
        for ((name, probe), path) in probes(container).into_iter().zip(["/startupz", "/livez", "/readyz"]) {
            let Some(probe) = probe else { continue };
            let asked = probe.http_get.as_ref().and_then(|get| get.path.clone()).unwrap_or_default();
            findings.check(server.manifest, asked == path, format!("{name} asks {asked}"));
            let period = probe.period_seconds.unwrap_or(10);
            let is_apart = probe.timeout_seconds.unwrap_or(1) <= period;
            findings.check(server.manifest, is_apart, format!("{name} takes longer than {period} s"));
        }
        let (startup, liveness) = (container.startup_probe.as_ref(), container.liveness_probe.as_ref());
        findings.check(
            server.manifest,
            startup.is_some_and(|probe| seconds(probe) >= 3600),
            "a long migration is killed",
        );
        findings.check(server.manifest, liveness.is_some_and(|probe| seconds(probe) >= 30), "a busy server is killed");
        let deadline = server.manifest.source["spec"]["progressDeadlineSeconds"].as_i64().unwrap_or(600);
        let waits = startup.is_some_and(|probe| i64::from(seconds(probe)) <= deadline);
        findings.check(server.manifest, waits, "a rollout counts as stuck while it may still migrate");
    });
}
