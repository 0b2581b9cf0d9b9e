//! Prometheus and Grafana find what they look at, and are let in by the namespace.

use nutritionfacts_tilt::{Stack, Tools, World, containers};
use serde_json::{Value, json};

fn stack() -> Stack {
    Stack::of(&World::new(&Tools::all()).run())
}

fn file(stack: &Stack, map: &str, key: &str) -> Value {
    serde_saphyr::from_str(stack.objects[map]["data"][key].as_str().unwrap()).unwrap()
}

fn has_port(stack: &Stack, service: &str, port: u64) -> bool {
    let service = &stack.objects[&format!("{service}:service")];
    service["spec"]["ports"].as_array().unwrap().iter().any(|found| found["port"] == port)
}

#[test]
fn prometheus_scrapes_the_admin_service() {
    let stack = stack();
    let config = file(&stack, "prometheus:configmap", "prometheus.yml");
    let discovery = &config["scrape_configs"][0]["dns_sd_configs"][0];
    let name = discovery["names"][0].as_str().unwrap();
    let service = name.strip_suffix(".nutritionfacts-dev.svc").expect("the name has the namespace");
    assert!(has_port(&stack, service, discovery["port"].as_u64().unwrap()), "{name}");
    // Only a name without an address of its own leads to each pod.
    assert_eq!(stack.objects[&format!("{service}:service")]["spec"]["clusterIP"], "None");
}

#[test]
fn grafana_finds_its_sources() {
    let stack = stack();
    let sources = file(&stack, "grafana-provisioning:configmap", "datasources.yaml");
    for source in sources["datasources"].as_array().unwrap() {
        let url = source["url"].as_str().unwrap().trim_start_matches("http://");
        let (service, port) = url.split_once(':').unwrap();
        assert!(has_port(&stack, service, port.parse().unwrap()), "{url}");
    }
    let secret = &stack.objects["nutritionfacts-db:secret"]["stringData"]["password"];
    let postgres = &sources["datasources"][1];
    assert_eq!(&postgres["secureJsonData"]["password"], secret);
    let config = file(&stack, "nutritionfacts-config:configmap", "config.yaml");
    assert_eq!(
        (&postgres["user"], &postgres["jsonData"]["database"]),
        (&config["store"]["user"], &config["store"]["database"])
    );
}

#[test]
fn all_pods_are_in_the_namespace_and_as_restricted_as_it_asks() {
    let stack = stack();
    assert_eq!(stack.kind("Namespace").count(), 1);
    for object in stack.objects.values() {
        let is_global = ["Namespace", "CustomResourceDefinition"].iter().any(|kind| object["kind"] == *kind);
        assert!(is_global || object["metadata"]["namespace"] == "nutritionfacts-dev", "{object}");
    }
    for (name, workload) in stack.workloads() {
        let pod = &workload["spec"]["template"]["spec"]["securityContext"];
        assert_eq!(
            (&pod["runAsNonRoot"], &pod["seccompProfile"]["type"]),
            (&json!(true), &json!("RuntimeDefault")),
            "{name}"
        );
        for container in containers(workload) {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(context["capabilities"]["drop"], json!(["ALL"]), "{name}");
        }
    }
}

/// A mount of one file would never follow a change.
#[test]
fn every_mount_is_of_a_volume_and_of_a_whole_folder() {
    for (name, workload) in stack().workloads() {
        let volumes = ["/spec/template/spec/volumes", "/spec/volumeClaimTemplates"].map(|list| workload.pointer(list));
        let volumes: Vec<_> = volumes.into_iter().flatten().flat_map(|list| list.as_array().unwrap()).collect();
        for mount in
            containers(workload).into_iter().flat_map(|container| container["volumeMounts"].as_array().unwrap())
        {
            assert!(mount.get("subPath").is_none(), "{name}: {mount}");
            let is_there = |volume: &&Value| {
                volume["name"] == mount["name"] || volume.pointer("/metadata/name") == Some(&mount["name"])
            };
            assert!(volumes.iter().any(is_there), "{name}: {mount}");
        }
    }
}
