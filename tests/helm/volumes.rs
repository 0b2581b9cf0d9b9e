//! Volumes and mounts match.

use std::collections::BTreeSet;

use super::release::{RELEASES, walk};

#[test]
fn every_mount_has_its_volume_and_every_volume_is_mounted() {
    walk(&RELEASES, |release, findings| {
        for workload in release.workloads() {
            let volumes = workload.spec.volumes.iter().flatten().map(|volume| volume.name.as_str());
            let mut unused = BTreeSet::new();
            for volume in volumes.chain(workload.claims.iter().copied()) {
                findings.check(workload.manifest, unused.insert(volume), format!("there are two volumes {volume}"));
            }
            let known = unused.clone();
            for container in workload.containers() {
                let mut paths = BTreeSet::new();
                for mount in container.volume_mounts.iter().flatten() {
                    let (name, path) = (mount.name.as_str(), mount.mount_path.as_str());
                    unused.remove(name);
                    findings.check(workload.manifest, known.contains(name), format!("{path} has no volume: {name}"));
                    findings.check(workload.manifest, paths.insert(path), format!("{path} is mounted twice"));
                }
            }
            findings.check(workload.manifest, unused.is_empty(), format!("nothing mounts {unused:?}"));
        }
    });
}

/// With a read-only root filesystem, every written path needs a volume.
#[test]
fn only_volumes_for_data_are_writable() {
    walk(&RELEASES, |release, findings| {
        for workload in release.workloads() {
            for container in workload.own_containers() {
                for mount in container.volume_mounts.iter().flatten().filter(|mount| mount.read_only != Some(true)) {
                    let data = ["/data", "/var/lib/postgresql/data", "/var/run/postgresql", "/tmp"];
                    let path = mount.mount_path.as_str();
                    findings.check(workload.manifest, data.contains(&path), format!("{path} is writable"));
                }
            }
        }
    });
}
