//! What a run of the Tiltfile would deploy.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::Run;

/// The objects, by kind and name.
pub struct Stack {
    pub objects: BTreeMap<String, Value>,
}

impl Stack {
    /// # Panics
    /// If an object is there twice, as Tilt would refuse.
    pub fn of(run: &Run) -> Self {
        let mut objects = BTreeMap::new();
        for call in run.calls("k8s_yaml") {
            let text = call["yaml"].as_str().expect("it is a text");
            for object in serde_saphyr::from_multiple::<Value>(text).expect("it is YAML") {
                let id = id(&object);
                assert!(objects.insert(id.clone(), object).is_none(), "{id} is there twice");
            }
        }
        Self { objects }
    }

    /// The objects of a kind.
    pub fn kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.values().filter(move |object| object["kind"] == kind)
    }

    /// What has pods, which Tilt makes resources of, by name.
    pub fn workloads(&self) -> BTreeMap<String, &Value> {
        let all = self.objects.values().filter(|object| object.pointer("/spec/template/spec/containers").is_some());
        all.map(|object| (text(&object["metadata"]["name"]), object)).collect()
    }

    /// The images, without their tags: so Tilt looks for them.
    pub fn images(&self) -> BTreeSet<String> {
        let images = self.workloads().into_values().flat_map(containers).map(|container| text(&container["image"]));
        images.map(|image| untagged(&image)).collect()
    }
}

/// As Tilt selects it, `name:kind`.
pub fn id(object: &Value) -> String {
    format!("{}:{}", text(&object["metadata"]["name"]), text(&object["kind"]).to_lowercase())
}

/// The containers of a workload.
pub fn containers(workload: &Value) -> Vec<&Value> {
    let containers = workload.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    containers.into_iter().flatten().collect()
}

fn untagged(image: &str) -> String {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name.to_owned(),
        _ => image.to_owned(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
