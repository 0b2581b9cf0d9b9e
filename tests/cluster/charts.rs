//! The API server itself judges what the charts make, in a namespace of the restricted profile of Pod Security.

use serde_json::Value;

use super::{
    kubectl::{Namespace, kubectl},
    support::{
        eventually,
        render::{RENDERS, side_by_side},
    },
};

/// Kinds of operators that need not be there: `tests/helm/schemas` has them.
const SKIPPED: [&str; 6] = ["Cluster", "HTTPRoute", "PodMonitor", "PrometheusRule", "ScaledObject", "ServiceMonitor"];

fn restricted() -> Namespace {
    let namespace = Namespace::new();
    let labels = ["enforce", "warn", "audit"].map(|mode| format!("pod-security.kubernetes.io/{mode}=restricted"));
    let labels = labels.iter().map(String::as_str);
    let arguments: Vec<_> = ["label", "namespace", &namespace.name].into_iter().chain(labels).collect();
    kubectl(&arguments, "").unwrap();
    // Pods are refused until the account is there that they run as.
    eventually("the namespace has its account", || namespace.kubectl(&["get", "serviceaccount", "default"], "").ok());
    namespace
}

/// What the API server says to objects, each in this namespace whichever its own is. A warning counts as a refusal.
fn judge(namespace: &Namespace, objects: Vec<Value>) -> Result<String, String> {
    let items: Vec<_> = objects
        .into_iter()
        .map(|mut object| {
            if object["metadata"].get("namespace").is_some() {
                object["metadata"]["namespace"] = namespace.name.clone().into();
            }
            object
        })
        .collect();
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items});
    let options =
        ["--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--warnings-as-errors"];
    namespace.kubectl(&[&["apply"], &options[..], &["-f", "-"]].concat(), &list.to_string())
}

#[test]
fn the_api_server_takes_every_object_of_every_case() {
    let namespace = restricted();
    let said = side_by_side(&RENDERS, |render| {
        let is_known = |object: &&Value| !SKIPPED.map(Value::from).contains(&object["kind"]);
        let objects: Vec<_> = render.documents.iter().filter(is_known).cloned().collect();
        let count = objects.len();
        judge(&namespace, objects).map(|said| (count, said.lines().count()))
    });
    let complaints: Vec<_> = RENDERS
        .iter()
        .zip(&said)
        .filter_map(|(render, said)| Some((&render.case.name, said.as_ref().err()?)))
        .collect();
    assert!(complaints.is_empty(), "{} of {} cases: {complaints:#?}", complaints.len(), said.len());
    for (count, told) in said.into_iter().flatten() {
        assert!(count > 0 && count == told, "{told} of {count} objects were looked at");
    }
}

/// The pods of what makes pods are only warned about, and that is what counts.
#[test]
fn the_api_server_would_refuse_what_is_not_restricted() {
    let namespace = restricted();
    let render = RENDERS.iter().find(|render| render.case.name == "migrations-job").unwrap();
    for kind in ["Deployment", "Job", "Pod"] {
        let mut object = render.documents.iter().find(|object| object["kind"] == kind).unwrap().clone();
        judge(&namespace, vec![object.clone()]).unwrap();
        let spec = if kind == "Pod" { &mut object["spec"] } else { &mut object["spec"]["template"]["spec"] };
        spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = true.into();
        let refusal = judge(&namespace, vec![object]).unwrap_err();
        assert!(refusal.contains("allowPrivilegeEscalation != false"), "{kind}: {refusal}");
    }
}
