//! Everything that moves pods, under load: no acknowledged ping is lost or stored twice, and none fails.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    load::Load,
    release::{DEPLOYMENT, DEV, Release},
    support::{eventually, helm::CHART},
};

#[test]
fn no_ping_is_lost_when_pods_are_replaced() {
    let release = Release::begin_beside_definition();
    let set = "service.type=NodePort,crds.enabled=false,replicaCount=3";
    release.helm_upgrade(CHART, &["--values", DEV, "--set", set]);
    let load = Load::start(release.address());
    let calm = |what: &str, work: &dyn Fn()| assert_eq!(load.failures_during(what, work), 0, "requests failed: {what}");

    calm("helm upgrade", &|| {
        let set = format!("{set},config.ingest.lanes=2");
        release.helm_upgrade(CHART, &["--values", DEV, "--set", &set]);
    });
    for replicas in ["1", "3"] {
        calm(&format!("scale to {replicas}"), &|| {
            release.kubectl(&["scale", DEPLOYMENT, &format!("--replicas={replicas}")]).unwrap();
            release.wait_for_rollout();
            let wanted: usize = replicas.parse().unwrap();
            eventually("the wanted number of pods", || (release.pods().len() == wanted).then_some(()));
        });
    }
    calm("delete a pod", &|| {
        release.kubectl(&["delete", "pod", &release.pods()[0]]).unwrap();
        release.wait_for_rollout();
    });
    calm("evict all pods", &|| {
        for pod in release.pods() {
            // As a drain does: repeatedly, while the disruption budget does not allow it.
            eventually("the eviction is granted", || evict(&release, &pod).ok());
            eventually("the pod goes", || release.kubectl(&["get", "pod", &pod]).is_err().then_some(()));
        }
        release.wait_for_rollout();
    });
    let during = load.failures_during("restart the database", || {
        release.kubectl(&["delete", "pod", "nf-nutritionfacts-db-0"]).unwrap();
        release.kubectl(&["wait", "--for=condition=Ready", "pod/nf-nutritionfacts-db-0", "--timeout=2m"]).unwrap();
        // Each server reconnects to the database after its own delay.
        eventually("no ping fails any more", || load.is_calm_for(500));
    });
    println!("while the database was away {during} pings were refused");
    let mut kept = load.stop();
    let rows = release.sql("SELECT instance_id, count(*) FROM pingbacks WHERE instance_id <> '' GROUP BY 1");
    let stored: BTreeMap<&str, usize> =
        rows.lines().filter_map(|row| row.split_once('|')).map(|(id, count)| (id, count.parse().unwrap())).collect();
    for (id, count) in &mut kept {
        *count = stored.get(id.as_str()).copied().unwrap_or_default();
    }
    let missing = kept.values().filter(|count| **count == 0).count();
    let doubled = stored.values().filter(|count| **count > 1).count();
    println!(
        "{} pings were answered 200, {} are stored, {missing} are missing, {doubled} are doubled",
        kept.len(),
        stored.len()
    );
    assert!(kept.len() > 1000);
    assert_eq!((missing, doubled), (0, 0));
}

fn evict(release: &Release, pod: &str) -> Result<String, String> {
    let eviction = json!({
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": release.namespace},
    });
    let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction", release.namespace);
    release.kubectl_with(&["create", "--raw", &path, "-f", "-"], &eviction.to_string())
}
