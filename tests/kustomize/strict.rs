//! Objects are valid for Kubernetes: no unknown keys and no duplicates.

use std::collections::BTreeSet;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::{ConfigMap, Namespace, Secret, Service, ServiceAccount},
        networking::v1::{Ingress, NetworkPolicy},
        policy::v1::PodDisruptionBudget,
        rbac::v1::{Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    object::{Objects, id, objects},
    tools::build,
    tree::{Tree, overlays},
};

/// Kinds of operators, which have no types here.
const FOREIGN: [&str; 4] = ["Cluster", "HTTPRoute", "PrometheusRule", "ServiceMonitor"];

/// # Panics
/// If an object has fields that its type does not have.
pub fn check(objects: &Objects) {
    for object in objects.values() {
        let read: fn(&Value) -> Value = match object["kind"].as_str().unwrap() {
            "ConfigMap" => again::<ConfigMap>,
            "CustomResourceDefinition" => again::<CustomResourceDefinition>,
            "Deployment" => again::<Deployment>,
            "Ingress" => again::<Ingress>,
            "Namespace" => again::<Namespace>,
            "NetworkPolicy" => again::<NetworkPolicy>,
            "PodDisruptionBudget" => again::<PodDisruptionBudget>,
            "Role" => again::<Role>,
            "RoleBinding" => again::<RoleBinding>,
            "Secret" => again::<Secret>,
            "Service" => again::<Service>,
            "ServiceAccount" => again::<ServiceAccount>,
            "StatefulSet" => again::<StatefulSet>,
            kind if FOREIGN.contains(&kind) => continue,
            kind => panic!("{}: {kind} is not known to these tests", id(object)),
        };
        let mut lost = Vec::new();
        missing(&id(object), object, &read(object), &mut lost);
        assert!(lost.is_empty(), "not known to Kubernetes: {lost:#?}");
        named_once(&id(object), object);
    }
}

/// An object parsed by its type, which drops unknown fields.
fn again<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
    let typed: T = serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{}: {error}", id(object)));
    serde_json::to_value(typed).unwrap()
}

/// The lost fields.
fn missing(place: &str, before: &Value, after: &Value, lost: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before {
                match after.get(name) {
                    Some(other) => missing(&format!("{place}.{name}"), value, other, lost),
                    None => lost.push(format!("{place}.{name}")),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (value, other)) in before.iter().zip(after).enumerate() {
                missing(&format!("{place}[{index}]"), value, other, lost);
            }
        }
        _ if before == after => {}
        _ => lost.push(format!("{place}: {before} became {after}")),
    }
}

/// Names of variables, volumes and ports are unique, and so are paths of mounts: Kubernetes merges by these.
fn named_once(place: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let key = match name.as_str() {
                    "env" | "volumes" | "containers" | "ports" => "name",
                    "volumeMounts" => "mountPath",
                    _ => "",
                };
                let names = value.as_array().into_iter().flatten().filter_map(|item| item[key].as_str());
                let mut seen = BTreeSet::new();
                for found in names {
                    assert!(seen.insert(found), "{place}.{name}: {found} is there twice");
                }
                named_once(&format!("{place}.{name}"), value);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| named_once(place, item)),
        _ => {}
    }
}

#[test]
fn every_overlay_is_strictly_valid_for_kubernetes() {
    let tree = Tree::new();
    for overlay in overlays() {
        check(&build(&tree, &format!("overlays/{overlay}")));
    }
}

#[test]
#[should_panic(expected = "Deployment /a.spec.replcias")]
fn a_mistyped_key_is_detected() {
    let text =
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replcias: 1, selector: {}, template: {}}}";
    check(&objects(text));
}

#[test]
#[should_panic(expected = "PORT is there twice")]
fn a_duplicate_variable_is_detected() {
    let pod = "{spec: {containers: [{name: a, env: [{name: PORT}, {name: PORT}]}]}}";
    check(&objects(&format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: a}}, spec: {{selector: {{}}, template: {pod}}}}}"
    )));
}
