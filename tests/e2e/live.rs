//! Changes by an administrator at run time.

use std::{env, fs};

use serde_json::{Value, json};

use super::{
    release::{DEV, Release},
    support::{eventually, helm::CHART},
};

const LIVE: &str = "configmap/nf-nutritionfacts-live";
const PING: &str = r#"{"instance_id": "0123456789abcdef0123456789abcdef", "version": "0.17.5", "mode": ""}"#;

fn restarts(release: &Release) -> Vec<(String, Value)> {
    let restarts = |pod: String| {
        let count = release.get(&format!("pod/{pod}"))["status"]["containerStatuses"][0]["restartCount"].clone();
        (pod, count)
    };
    release.pods().into_iter().map(restarts).collect()
}

#[test]
fn configuration_and_messages_change_without_a_restart() {
    let release = Release::begin_beside_definition();
    release.helm_upgrade(CHART, &["--values", DEV, "--set", "service.type=NodePort,crds.enabled=false,replicaCount=2"]);
    let before = restarts(&release);
    let edit = |text: &str| {
        let patch = json!({"data": {"config.yaml": text}}).to_string();
        release.kubectl(&["patch", LIVE, "--type=merge", "--patch", &patch]).unwrap();
    };
    // Each pod in turn answers a few.
    let all = |answers: bool| (0..10).all(|_| release.ping(PING).text().is_empty() != answers);

    edit("api: {reply: empty}");
    eventually("it is active everywhere", || all(false).then_some(()));
    edit("api: {reply: emtpy}");
    let told = eventually("an Event reports the error", || {
        let described = release.kubectl(&["describe", LIVE]).unwrap();
        described.lines().find(|line| line.contains("ConfigRejected")).map(str::to_owned)
    });
    assert!(told.contains("api.reply") && told.contains("did you mean `empty`?"), "{told}");
    assert!(all(false), "the last good configuration stays");
    edit("");
    eventually("the removal is active everywhere", || all(true).then_some(()));

    let message = json!({
        "apiVersion": "nutritionfacts.learningequality.org/v1alpha1", "kind": "KolibriMessage", "metadata": {"name": "hello"},
        "spec": {"stage": "Active", "date": "2026-11-01", "translations": {"en": {"title": "T", "message": "M"}}},
    });
    release.kubectl_with(&["apply", "-f", "-"], &message.to_string()).unwrap();
    release.kubectl(&["wait", "--for=condition=Published", "kmsg/hello", "--timeout=60s"]).unwrap();
    eventually("every pod sends it", || {
        (0..10).all(|_| release.ping(PING).json()["messages"][0]["msg_id"] == "hello").then_some(())
    });
    assert_eq!(restarts(&release), before, "no pod was restarted");

    // Where the API server's audit log can be read.
    if let Some(folder) = env::var_os("CONTROL_PLANE") {
        let log = fs::read_to_string(std::path::Path::new(&folder).join("audit.log")).unwrap();
        let user = format!("\"system:serviceaccount:{}:", release.namespace);
        let ours: Vec<_> = log.lines().filter(|line| line.contains(&user)).collect();
        assert!(!ours.is_empty());
        let refused: Vec<_> = ours.iter().filter(|line| line.contains("\"code\":403")).collect();
        assert!(refused.is_empty(), "{refused:#?}");
    }
}
