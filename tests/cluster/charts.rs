//! The API server validates the objects of the charts, in a namespace with the Pod Security profile `restricted`.

use serde_json::Value;

use super::{
    kubectl::{Namespace, kubectl},
    support::{
        eventually,
        render::{RENDERS, side_by_side},
    },
};

/// Kinds of operators that need not be installed: `tests/helm/schemas` has their schemas.
const SKIPPED: [&str; 6] = ["Cluster", "HTTPRoute", "PodMonitor", "PrometheusRule", "ScaledObject", "ServiceMonitor"];

const DEFINITION: &str = "CustomResourceDefinition";
/// Server-side, as in Helm 4; also because a dashboard is too large for the annotation of client-side apply.
const SERVER_SIDE: &[&str] = &["--server-side", "--force-conflicts"];

fn restricted() -> Namespace {
    let namespace = Namespace::new();
    let labels = ["enforce", "warn", "audit"].map(|mode| format!("pod-security.kubernetes.io/{mode}=restricted"));
    let labels = labels.iter().map(String::as_str);
    let arguments: Vec<_> = ["label", "namespace", &namespace.name].into_iter().chain(labels).collect();
    kubectl(&arguments, "").unwrap();
    // Pods are refused until their service account exists.
    eventually("the namespace has its account", || namespace.kubectl(&["get", "serviceaccount", "default"], "").ok());
    namespace
}

/// Errors of the API server about objects, each in this namespace whatever its own is. A warning counts as an error.
fn judge(namespace: &Namespace, objects: Vec<Value>, options: &[&str]) -> Result<String, String> {
    let here = |mut object: Value| {
        if object["metadata"].get("namespace").is_some() {
            object["metadata"]["namespace"] = namespace.name.clone().into();
        }
        object
    };
    let items: Vec<_> = objects.into_iter().map(here).collect();
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items});
    let common = ["apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "-f", "-"];
    namespace.kubectl(&[&common, options].concat(), &list.to_string())
}

fn is_of(object: &Value, kinds: &[&str]) -> bool {
    object["kind"].as_str().is_some_and(|kind| kinds.contains(&kind))
}

#[test]
fn the_api_server_accepts_every_object_of_every_case() {
    let namespace = restricted();
    let said = side_by_side(&RENDERS, |render| {
        let objects =
            render.documents.iter().filter(|object| !is_of(object, &SKIPPED) && !is_of(object, &[DEFINITION]));
        let objects: Vec<_> = objects.cloned().collect();
        let count = objects.len();
        // Nothing remains of the chart that contains only the definition.
        if count == 0 {
            Ok((0, 0))
        } else {
            judge(&namespace, objects, SERVER_SIDE).map(|said| (count, said.lines().count()))
        }
    });
    let complaints =
        RENDERS.iter().zip(&said).filter_map(|(render, said)| Some((&render.case.name, said.as_ref().err()?)));
    let complaints: Vec<_> = complaints.map(|(case, refusal)| format!("case {case}: {refusal}")).collect();
    assert!(complaints.is_empty(), "{} of {} cases:\n{}", complaints.len(), said.len(), complaints.join("\n"));
    let counts: Vec<_> = said.into_iter().flatten().collect();
    assert!(counts.iter().all(|(count, told)| count == told), "some were not looked at: {counts:?}");
    assert!(counts.iter().map(|(count, _)| count).sum::<usize>() > 400, "{counts:?}");
}

/// It exists already, created by kubectl, whose fields a server-side apply must take over first.
#[test]
fn the_api_server_accepts_the_definition_of_every_case() {
    let namespace = restricted();
    let mut definitions: Vec<&Value> = vec![];
    for object in RENDERS.iter().flat_map(|render| &render.documents).filter(|object| is_of(object, &[DEFINITION])) {
        if !definitions.contains(&object) {
            definitions.push(object);
        }
    }
    assert!(definitions.len() >= 2, "one of each chart");
    for definition in definitions {
        judge(&namespace, vec![definition.clone()], &[]).unwrap();
    }
}

/// For workloads the API server only warns about their pods, so warnings count.
#[test]
fn the_api_server_rejects_pods_that_are_not_restricted() {
    let namespace = restricted();
    let render = RENDERS.iter().find(|render| render.case.name == "migrations-job").unwrap();
    for kind in ["Deployment", "Job", "Pod"] {
        let mut object = render.documents.iter().find(|object| object["kind"] == kind).unwrap().clone();
        judge(&namespace, vec![object.clone()], SERVER_SIDE).unwrap();
        let spec = if kind == "Pod" { &mut object["spec"] } else { &mut object["spec"]["template"]["spec"] };
        spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = true.into();
        let refusal = judge(&namespace, vec![object], SERVER_SIDE).unwrap_err();
        assert!(refusal.contains("allowPrivilegeEscalation != false"), "{kind}: {refusal}");
    }
}
