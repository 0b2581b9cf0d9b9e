//! Whatever the Tiltfile names is there: resources, objects, ports, files, images.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use nutritionfacts_tilt::{ROOT, Run, Stack, Tools, World, containers};
use serde_json::Value;

/// Each way in which the whole stack is deployed.
fn runs() -> Vec<(String, Run)> {
    let tools = Tools::all();
    let mut runs = Vec::new();
    for deploy in ["helm", "kustomize"] {
        for subcommand in ["up", "ci"] {
            let world = World { subcommand: subcommand.into(), ..World::new(&tools) };
            let run = world.set("deploy", deploy).run();
            assert_eq!(run.failure, None, "{deploy} {subcommand}");
            runs.push((format!("{deploy} {subcommand}"), run));
        }
    }
    runs
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    items(value).filter_map(Value::as_str)
}

/// All resources, by name.
fn resources(run: &Run) -> BTreeMap<&str, &Value> {
    let mut resources = BTreeMap::new();
    for resource in run.calls("k8s_resource").chain(run.calls("local_resource")) {
        let name = resource["name"].as_str().unwrap();
        assert!(resources.insert(name, resource).is_none(), "{name} is there twice");
    }
    resources
}

#[test]
fn every_workload_is_a_resource_and_the_other_way_round() {
    for (what, run) in runs() {
        let stack = Stack::of(&run);
        let named: BTreeSet<_> = run.calls("k8s_resource").map(|call| call["workload"].as_str().unwrap()).collect();
        let found: BTreeSet<_> = stack.workloads().into_keys().collect();
        assert_eq!(
            named.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>(),
            Vec::from_iter(&found),
            "{what}"
        );
    }
}

/// Tilt finds workloads and their Services; what is left would stand below "uncategorized", and wait for nothing.
#[test]
fn every_other_object_belongs_to_one_resource() {
    for (what, run) in runs() {
        let stack = Stack::of(&run);
        let mut left: BTreeSet<_> = stack.objects.keys().filter(|id| !found_by_tilt(id)).map(String::as_str).collect();
        for resource in run.calls("k8s_resource") {
            for id in texts(&resource["objects"]) {
                assert!(left.remove(id), "{what}: {id} is not there, or is taken");
            }
        }
        assert!(left.is_empty(), "{what}: {left:?} belong to no resource");
    }
}

fn found_by_tilt(id: &str) -> bool {
    [":deployment", ":statefulset", ":service"].iter().any(|kind| id.ends_with(kind))
}

#[test]
fn every_forwarded_port_is_one_of_a_container_and_used_once() {
    for (what, run) in runs() {
        let stack = Stack::of(&run);
        let mut taken = BTreeSet::new();
        for resource in run.calls("k8s_resource") {
            for forward in items(&resource["port_forwards"]) {
                let workload = stack.workloads()[resource["workload"].as_str().unwrap()];
                let mut ports = containers(workload).into_iter().flat_map(|container| items(&container["ports"]));
                assert!(ports.any(|port| port["containerPort"] == forward["container"]), "{what}: {forward}");
                assert!(taken.insert(forward["local"].to_string()), "{what}: {forward} is taken");
            }
        }
        // Links lead where something is forwarded.
        for resource in run.calls("k8s_resource") {
            for link in items(&resource["links"]) {
                let url = link["url"].as_str().unwrap();
                let port = url.split(['/', ':']).find(|part| part.parse::<u16>().is_ok()).unwrap();
                assert!(taken.contains(port), "{what}: {url}");
            }
        }
    }
}

#[test]
fn every_dependency_is_a_resource() {
    for (what, run) in runs() {
        let resources = resources(&run);
        for (name, resource) in &resources {
            for needed in texts(&resource["resource_deps"]) {
                assert!(resources.contains_key(needed), "{what}: {name} waits for {needed}");
            }
            let labels: Vec<_> = texts(&resource["labels"]).collect();
            assert!(!labels.is_empty(), "{what}: {name} has no label");
            // As one types it after `tilt trigger`.
            let is_plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
            assert!(name.chars().all(is_plain), "{what}: {name}");
        }
    }
}

#[test]
fn every_path_is_there() {
    for (what, run) in runs() {
        // Folders that the Tiltfile makes itself.
        let made: BTreeSet<_> = run
            .calls("local")
            .filter(|call| call["command"][0] == "mkdir")
            .collect::<Vec<_>>()
            .into_iter()
            .filter_map(|call| call["command"].as_array()?.last()?.as_str())
            .collect();
        for call in run.calls("path") {
            for path in texts(&call["paths"]) {
                assert!(
                    made.contains(path) || Path::new(ROOT).join(path).exists(),
                    "{what}: {}: {path}",
                    call["function"]
                );
            }
        }
        for command in run.calls("local_resource").chain(run.calls("local")).map(|call| &call["command"]) {
            let program = command[0].as_str().unwrap_or_else(|| panic!("{what}: write {command} as a list"));
            // `tilt/build` makes it, which comes before.
            if !program.contains('/') || program.starts_with("target/tilt/") {
                continue;
            }
            let file =
                Path::new(ROOT).join(program).metadata().unwrap_or_else(|error| panic!("{what}: {program}: {error}"));
            assert_eq!(file.permissions().mode() & 0o111, 0o111, "{what}: {program} cannot be run");
        }
    }
}

#[test]
fn every_image_is_deployed_and_its_files_come_from_its_context() {
    for (what, run) in runs() {
        let deployed = Stack::of(&run).images();
        let mut built = BTreeSet::new();
        for image in run.calls("docker_build") {
            let (name, context) = (image["ref"].as_str().unwrap(), image["context"].as_str().unwrap());
            assert!(deployed.contains(name), "{what}: nobody runs {name}");
            built.insert(name.to_owned());
            let steps: Vec<_> = items(&image["live_update"]).collect();
            assert!(!steps.is_empty(), "{what}: {name} is not updated in place");
            for sync in steps.iter().filter(|step| step["step"] == "sync") {
                let local = sync["local"].as_str().unwrap();
                assert!(Path::new(local).starts_with(context), "{what}: {local} is not in {context}");
                // What is replaced is where the image has it.
                let dockerfile =
                    std::fs::read_to_string(Path::new(ROOT).join(image["dockerfile"].as_str().unwrap())).unwrap();
                let remote = Path::new(sync["remote"].as_str().unwrap());
                let folder = if local == context { remote } else { remote.parent().unwrap() };
                assert!(
                    dockerfile.contains(&format!(" {}/\n", folder.display())),
                    "{what}: {} lacks {}",
                    name,
                    folder.display()
                );
            }
            // Tilt runs commands only after all files are there.
            assert!(steps.iter().map(|step| step["step"] == "run").is_sorted(), "{what}: {name}");
        }
        // What has no registry can only come from here.
        let own = deployed.into_iter().filter(|name| !name.contains('/'));
        assert_eq!(own.filter(|name| !built.contains(name)).collect::<Vec<_>>(), [""; 0], "{what}");
    }
}
