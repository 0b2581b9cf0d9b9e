//! Resources: memory requests equal limits, and there are no CPU limits.

use super::release::{RELEASES, walk};

#[test]
fn our_containers_have_a_memory_limit_and_no_cpu_limit() {
    walk(&RELEASES, |release, findings| {
        for workload in release.workloads() {
            let is_server = workload.manifest.kind() == "Deployment";
            // This case unsets them.
            if release.case.name == "unset" && is_server {
                findings.check(
                    workload.manifest,
                    workload.own_containers().all(|container| container.resources.is_none()),
                    "has resources",
                );
                continue;
            }
            for container in workload.own_containers() {
                let resources = container.resources.clone().unwrap_or_default();
                let (requests, limits) = (resources.requests.unwrap_or_default(), resources.limits.unwrap_or_default());
                let memory = (requests.get("memory"), limits.get("memory"));
                let is_equal = memory.0.is_some() && memory.0 == memory.1;
                findings.check(workload.manifest, is_equal, format!("{}: memory is {memory:?}", container.name));
                findings.check(
                    workload.manifest,
                    requests.contains_key("cpu"),
                    format!("{}: asks for no CPU", container.name),
                );
                findings.check(
                    workload.manifest,
                    !limits.contains_key("cpu"),
                    format!("{}: has a limit of CPU", container.name),
                );
            }
        }
    });
}

/// A mirror contains the images of `images.txt`, and no others are used.
#[test]
fn every_image_is_listed_in_images_txt() {
    let listed = include_str!("../../helm/nutritionfacts/images.txt");
    walk(&RELEASES, |release, findings| {
        for workload in release.workloads() {
            for container in workload.own_containers() {
                let image = container.image.clone().unwrap_or_default();
                let in_registry = |image: &str, registry: &str| {
                    image.strip_prefix(registry).map(|rest| rest.trim_start_matches('/').to_owned())
                };
                let of_listed = |line: &str| line.split_once('/').map_or(line, |(_, path)| path).to_owned();
                let expected = match release.case.name.as_str() {
                    "images" => in_registry(&image, "mirror.example.org:5000"),
                    "profile-airgap" | "profile-production-airgap" => in_registry(&image, "registry.internal"),
                    _ => listed.lines().find(|line| *line == image).map(of_listed),
                };
                let by_digest = image.contains("@sha256:");
                let found = expected
                    .as_ref()
                    .is_some_and(|path| by_digest || listed.lines().any(|line| of_listed(line) == *path));
                findings.check(workload.manifest, found, format!("takes {image}, which images.txt does not list"));
            }
        }
    });
}
