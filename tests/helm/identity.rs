//! Which changes restart pods: their template changes with configuration that needs a restart, and with nothing
//! else.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    release::Release,
    support::{
        helm::{CHART, Helm},
        render::{CASES, Case, RENDERS, Render, documents, side_by_side},
    },
};

/// The part that controllers compare to decide whether pods must be replaced.
pub fn pod_templates(render: &Render) -> Vec<Value> {
    let of_controllers = render
        .documents
        .iter()
        .filter(|object| ["Deployment", "StatefulSet"].map(Value::from).contains(&object["kind"]));
    of_controllers.map(|object| object["spec"]["template"].clone()).collect()
}

/// A copy of the chart with other texts in its files.
pub fn changed_chart(change: impl Fn(&Path, String) -> String) -> TempDir {
    fn copy(from: &Path, to: &Path, change: &dyn Fn(&Path, String) -> String) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let target = to.join(path.file_name().unwrap());
            if path.is_dir() {
                copy(&path, &target, change);
            } else {
                fs::write(target, change(&path, fs::read_to_string(&path).unwrap())).unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    copy(Path::new(CHART), folder.path(), &change);
    folder
}

pub fn render_by(chart: &Path, case: &Case, values: &Value) -> Render {
    let text = Helm::Three.template(chart.to_str().unwrap(), &case.arguments, values);
    let text = text.unwrap_or_else(|refusal| panic!("case {}: {refusal}", case.name));
    Render { case: case.clone(), documents: documents(&text), text }
}

fn server_cases() -> Vec<&'static Case> {
    CASES.iter().filter(|case| case.is_server()).collect()
}

fn before(case: &Case) -> &'static Render {
    RENDERS.iter().find(|render| render.case.name == case.name).expect("every case is rendered")
}

#[test]
fn a_new_chart_version_does_not_restart_pods() {
    let chart =
        changed_chart(
            |path, text| {
                if path.ends_with("Chart.yaml") { text.replace("\nversion: ", "\nversion: 7") } else { text }
            },
        );
    for (case, after) in server_cases()
        .into_iter()
        .zip(side_by_side(&server_cases(), |case| render_by(chart.path(), case, &Value::Null)))
    {
        let before = before(case);
        assert_ne!(before.text, after.text, "the labels of objects name the version");
        assert_eq!(pod_templates(before), pod_templates(&after), "case {}", case.name);
        let claims = |render: &Render| -> Vec<Value> {
            render
                .documents
                .iter()
                .map(|object| object["spec"]["volumeClaimTemplates"].clone())
                .filter(Value::is_array)
                .collect()
        };
        assert_eq!(claims(before), claims(&after), "case {}: Kubernetes refuses a change of these", case.name);
    }
}

#[test]
fn a_new_program_version_restarts_the_servers() {
    let chart = changed_chart(|path, text| {
        if path.ends_with("Chart.yaml") { text.replace("\nappVersion: ", "\nappVersion: 7") } else { text }
    });
    let case = Case::named("dev");
    let (before, after) = (pod_templates(before(case)), pod_templates(&render_by(chart.path(), case, &Value::Null)));
    let differ: Vec<_> = before.iter().zip(&after).map(|(before, after)| before != after).collect();
    let servers: Vec<_> =
        before.iter().map(|template| template["spec"]["containers"][0]["name"] == "nutritionfacts").collect();
    assert_eq!(differ, servers, "and the database stays as it is");
}

/// In every case, `config` restarts pods, and `liveConfig` and `messages` do not.
#[test]
fn live_configuration_does_not_restart_pods() {
    let message = json!({"id": "a", "stage": "Active", "date": "2026-11-24", "translations": {"en": {"title": "T", "message": "M"}}});
    let live = json!({
        "liveConfig": {"config": {"api": {"reply": "empty"}, "messages": {"files": ["/etc/some-messages"]}}},
        "messages": [message],
    });
    let cases: Vec<_> = server_cases().into_iter().filter(|case| case.name != "live-config-gitops").collect();
    for (case, after) in cases.iter().zip(side_by_side(&cases, |case| case.render(&live))) {
        let before = before(case);
        assert_ne!(before.text, after.text, "case {}: it changed nothing", case.name);
        assert_eq!(pod_templates(before), pod_templates(&after), "case {}", case.name);
    }
}

/// Labels and annotations of objects, scaling, and network access do not concern the pod template.
#[test]
fn values_that_do_not_concern_pods_do_not_restart_them() {
    for values in [
        json!({"service": {"annotations": {"a": "b"}, "labels": {"a": "b"}, "port": 8000}}),
        json!({"networkPolicy": {"enabled": true}}),
        json!({"podDisruptionBudget": {"enabled": false}}),
        json!({"replicaCount": 7}),
        json!({"ingress": {"enabled": true, "hosts": [{"host": "a.example.org"}]}}),
        json!({"rbac": {"create": false}, "crds": {"enabled": false}}),
    ] {
        let case = Case::named("external");
        assert_eq!(pod_templates(before(case)), pod_templates(&case.render(&values)), "{values}");
    }
}

#[test]
fn values_that_need_a_restart_restart_pods() {
    let case = Case::named("external");
    for values in [
        json!({"config": {"http": {"max_connections": 7}}}),
        json!({"config": {"ingest": {"lanes": 2}}}),
        json!({"config": {"telemetry": {"log": {"format": "json"}}}}),
        json!({"config": {"shutdown": {"delay": "6s"}}}),
        json!({"database": {"external": {"host": "other.example.org"}}}),
        json!({"database": {"external": {"existingSecret": "other"}}}),
        json!({"database": {"ca": {"existingSecret": "other"}}}),
        json!({"privacy": {"existingSecret": "other"}}),
        json!({"liveConfig": {"name": "other"}}),
        json!({"watch": {"messageResources": false}}),
        json!({"watch": {"configMap": false}}),
        json!({"extraEnv": [{"name": "A", "value": "b"}]}),
    ] {
        assert_ne!(pod_templates(before(case)), pod_templates(&case.render(&values)), "{values}");
    }
}

/// The checksum depends on the configuration, not on the object or on live configuration.
#[test]
fn the_checksum_depends_on_the_configuration() {
    let checksum = |release: &Release| {
        let (deployment, _) = release.deployment().unwrap();
        let annotations = &deployment.source["spec"]["template"]["metadata"]["annotations"];
        annotations["checksum/config"].as_str().expect("the pods have a checksum").to_owned()
    };
    let (external, same, other) = ("external", "replicas-elsewhere", "external-pgbouncer");
    assert_eq!(checksum(Release::named(external)), checksum(Release::named(same)));
    assert_ne!(checksum(Release::named(external)), checksum(Release::named(other)));
    for name in ["external", "live-config", "messages"] {
        assert_eq!(checksum(Release::named(name)).len(), 64);
    }
}
