//! Objects by their identity in Kubernetes.

use std::{collections::BTreeMap, path::Path};

use serde_json::Value;

/// By type, namespace and name.
pub type Objects = BTreeMap<String, Value>;

/// The objects of a YAML stream.
///
/// # Panics
/// If one occurs twice.
pub fn objects(stream: &str) -> Objects {
    let mut objects = Objects::new();
    for object in serde_saphyr::from_multiple::<Value>(stream).unwrap() {
        // A template that renders to nothing.
        if object.is_null() {
            continue;
        }
        let id = id(&object);
        assert!(objects.insert(id.clone(), object).is_none(), "{id} is there twice");
    }
    objects
}

/// Such as `apps/v1 Deployment telemetry/nutritionfacts`.
pub fn id(object: &Value) -> String {
    let part = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{} {} {}/{}", part("/apiVersion"), part("/kind"), part("/metadata/namespace"), part("/metadata/name"))
}

/// The differences of two values, as lines for people.
pub fn unlike(place: &str, left: &Value, right: &Value, lines: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) => {
            let mut names: Vec<_> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let (a, b) = (a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null));
                unlike(&format!("{place}.{name}"), a, b, lines);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                unlike(&format!("{place}[{index}]"), a, b, lines);
            }
        }
        _ if left == right => {}
        _ => lines.push(format!("{place}: {left} in the chart, {right} in kustomize")),
    }
}

/// Whether a file of a ConfigMap is YAML, by its name.
pub fn is_yaml(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == "yaml")
}
