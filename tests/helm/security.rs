//! The Pod Security profile "restricted" for every pod, according to
//! <https://kubernetes.io/docs/concepts/security/pod-security-standards/> for 1.37.

use k8s_openapi::api::core::v1::{Container, PodSpec, SeccompProfile};
use serde_json::{Value, json};

use super::{
    manifest::items,
    release::{RELEASES, walk},
};

const VOLUMES: [&str; 8] =
    ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];
const SYSCTLS: [&str; 11] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
];

fn seccomp(profile: Option<&SeccompProfile>) -> Option<bool> {
    profile.map(|profile| ["RuntimeDefault", "Localhost"].contains(&profile.type_.as_str()))
}

/// The violations of a pod.
fn refused(pod: &PodSpec) -> Vec<String> {
    let mut found = vec![];
    let context = pod.security_context.clone().unwrap_or_default();
    for (name, field) in [("hostNetwork", pod.host_network), ("hostPID", pod.host_pid), ("hostIPC", pod.host_ipc)] {
        found.extend((field == Some(true)).then(|| name.to_owned()));
    }
    for volume in pod.volumes.iter().flatten() {
        // A volume that was parsed can be serialised.
        let json = serde_json::to_value(volume).expect("it has a JSON form");
        let kinds: Vec<_> = json
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .filter(|name| *name != "name")
            .collect();
        found.extend(
            (!kinds.iter().all(|kind| VOLUMES.contains(kind)))
                .then(|| format!("the volume {} is {kinds:?}", volume.name)),
        );
    }
    for sysctl in context.sysctls.iter().flatten() {
        found.extend((!SYSCTLS.contains(&sysctl.name.as_str())).then(|| format!("the sysctl {}", sysctl.name)));
    }
    let options = json!([context.se_linux_options, context.app_armor_profile, context.windows_options]);
    found.extend(items(&options).iter().filter(|option| !option.is_null()).map(|option| format!("{option}")));
    found.extend((context.run_as_user == Some(0)).then(|| "runs as root".to_owned()));
    found.extend((seccomp(context.seccomp_profile.as_ref()) == Some(false)).then(|| "seccompProfile".to_owned()));
    for container in pod.init_containers.iter().flatten().chain(&pod.containers) {
        let of_pod = (context.run_as_non_root, seccomp(context.seccomp_profile.as_ref()));
        found.extend(
            refused_container(container, of_pod).into_iter().map(|fault| format!("{}: {fault}", container.name)),
        );
    }
    found
}

fn refused_container(container: &Container, (non_root, profile): (Option<bool>, Option<bool>)) -> Vec<String> {
    let context = container.security_context.clone().unwrap_or_default();
    let capabilities = context.capabilities.clone().unwrap_or_default();
    let drops_all = capabilities.drop.iter().flatten().any(|name| name == "ALL");
    let adds = capabilities.add.iter().flatten().any(|name| name != "NET_BIND_SERVICE");
    let has_options =
        context.se_linux_options.is_some() || context.app_armor_profile.is_some() || context.windows_options.is_some();
    let host_port = container.ports.iter().flatten().any(|port| port.host_port.is_some_and(|port| port != 0));
    let probes = [&container.startup_probe, &container.liveness_probe, &container.readiness_probe];
    let names_host = |probe: &k8s_openapi::api::core::v1::Probe| {
        probe.http_get.as_ref().is_some_and(|get| get.host.is_some())
            || probe.tcp_socket.as_ref().is_some_and(|socket| socket.host.is_some())
    };
    let faults = [
        (context.privileged == Some(true), "is privileged"),
        (context.allow_privilege_escalation != Some(false), "allowPrivilegeEscalation is not false"),
        (context.run_as_non_root.or(non_root) != Some(true), "runAsNonRoot is not true"),
        (context.run_as_user == Some(0), "runs as root"),
        (seccomp(context.seccomp_profile.as_ref()).or(profile) != Some(true), "seccompProfile is not RuntimeDefault"),
        (!drops_all, "does not drop all capabilities"),
        (adds, "adds capabilities"),
        (context.proc_mount.is_some_and(|mount| mount != "Default"), "procMount"),
        (has_options, "has options of SELinux, AppArmor or Windows"),
        (host_port, "takes a port of the node"),
        (probes.into_iter().flatten().any(names_host), "probes another host"),
    ];
    faults.into_iter().filter(|(is_fault, _)| *is_fault).map(|(_, fault)| fault.to_owned()).collect()
}

#[test]
fn every_pod_complies_with_the_restricted_profile() {
    walk(&RELEASES, |release, findings| {
        for workload in release.workloads() {
            let refused = refused(workload.spec);
            findings.check(workload.manifest, refused.is_empty(), refused.join("; "));
        }
    });
}

/// In addition to the profile.
#[test]
fn our_containers_have_a_read_only_root_and_no_service_variables() {
    walk(&RELEASES, |release, findings| {
        for workload in release.workloads() {
            let old = workload.spec.enable_service_links != Some(false);
            findings.check(workload.manifest, !old, "enableServiceLinks is not false");
            for container in workload.own_containers() {
                let context = container.security_context.clone().unwrap_or_default();
                let is_read_only = context.read_only_root_filesystem == Some(true);
                findings.check(workload.manifest, is_read_only, format!("{}: the root is writable", container.name));
            }
        }
    });
}

/// One violation each in a valid pod.
#[test]
fn the_checks_find_violations_of_the_profile() {
    let good = json!({
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{
            "name": "a",
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
            "ports": [{"containerPort": 1}],
        }],
        "volumes": [{"name": "v", "emptyDir": {}}],
    });
    let read = |pod: &Value| refused(&serde_json::from_value(pod.clone()).unwrap());
    assert_eq!(read(&good), Vec::<String>::new());
    for (place, value) in [
        ("/hostNetwork", json!(true)),
        ("/hostPID", json!(true)),
        ("/hostIPC", json!(true)),
        ("/securityContext/runAsNonRoot", json!(false)),
        ("/securityContext/runAsUser", json!(0)),
        ("/securityContext/seccompProfile", json!(null)),
        ("/securityContext/seccompProfile/type", json!("Unconfined")),
        ("/securityContext/sysctls", json!([{"name": "kernel.msgmax", "value": "1"}])),
        ("/securityContext/seLinuxOptions", json!({"user": "root"})),
        ("/volumes/0", json!({"name": "v", "hostPath": {"path": "/"}})),
        ("/containers/0/securityContext", json!(null)),
        ("/containers/0/securityContext/allowPrivilegeEscalation", json!(true)),
        ("/containers/0/securityContext/privileged", json!(true)),
        ("/containers/0/securityContext/runAsNonRoot", json!(false)),
        ("/containers/0/securityContext/runAsUser", json!(0)),
        ("/containers/0/securityContext/procMount", json!("Unmasked")),
        ("/containers/0/securityContext/seccompProfile", json!({"type": "Unconfined"})),
        ("/containers/0/securityContext/capabilities/drop", json!(["NET_RAW"])),
        ("/containers/0/securityContext/capabilities/add", json!(["SYS_ADMIN"])),
        ("/containers/0/ports/0/hostPort", json!(80)),
        ("/containers/0/livenessProbe", json!({"httpGet": {"host": "example.org", "port": 1}})),
        ("/initContainers", json!([{"name": "b"}])),
    ] {
        let mut pod = good.clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        match pod.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[0] = value,
            fields => fields[name] = value,
        }
        assert_ne!(read(&pod), Vec::<String>::new(), "{place}");
    }
}
