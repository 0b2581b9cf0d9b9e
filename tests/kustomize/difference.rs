//! The allowed differences between the chart and kustomize, with reasons. There are no others.

use serde_json::Value;

use super::object::{Objects, id, is_yaml};

/// Removes a difference from an object of either side; `false` removes the object.
type Level = fn(&mut Value) -> bool;

/// All of them, by reason.
pub const DIFFERENCES: [(&str, Level); 10] = [
    ("the chart's version is of no use to those who take no chart", |object| {
        take(object, "/metadata/labels", "helm.sh/chart");
        true
    }),
    ("who manages an object is what the two differ by", |object| {
        take(object, "/metadata/labels", "app.kubernetes.io/managed-by");
        true
    }),
    ("only Helm reads what it should keep", |object| {
        take(object, "/metadata/annotations", "helm.sh/resource-policy");
        true
    }),
    ("kustomize has no hooks, and so no `helm test`", |object| {
        object.pointer("/metadata/annotations/helm.sh~1hook").is_none()
    }),
    (
        "a changed configuration restarts pods by the hash in the ConfigMap's name, in the chart by a checksum",
        |object| {
            take(object, "/spec/template/metadata/annotations", "checksum/config");
            if object["kind"] == "ConfigMap" {
                unhash(&mut object["metadata"]["name"]);
            }
            let volumes = object.pointer_mut("/spec/template/spec/volumes").and_then(Value::as_array_mut);
            for volume in volumes.into_iter().flatten() {
                if let Some(name) = volume.pointer_mut("/configMap/name") {
                    unhash(name);
                }
            }
            true
        },
    ),
    ("kustomize cannot change the namespace in there; left out, a ServiceMonitor looks into its own", |object| {
        if object["kind"] == "ServiceMonitor" {
            take(object, "/spec", "namespaceSelector");
        }
        true
    }),
    ("files may have comments, so they are compared as what they say", |object| {
        if object["kind"] == "ConfigMap" {
            for (name, text) in object.get_mut("data").and_then(Value::as_object_mut).into_iter().flatten() {
                if is_yaml(name) {
                    *text = serde_saphyr::from_multiple::<Value>(text.as_str().unwrap()).unwrap().into();
                }
            }
        }
        true
    }),
    ("a patch puts first what it changes; the order of variables, volumes and mounts means nothing", |object| {
        let pod = object.pointer_mut("/spec/template/spec");
        if let Some(pod) = pod {
            sort(pod.get_mut("volumes"), "name");
            for container in pod["containers"].as_array_mut().into_iter().flatten() {
                sort(container.get_mut("env"), "name");
                sort(container.get_mut("volumeMounts"), "mountPath");
            }
        }
        true
    }),
    ("Helm makes the namespace by `--create-namespace`", |object| object["kind"] != "Namespace"),
    (
        "nothing keeps `kubectl delete -k` from what the whole cluster shares, so it is in a folder of its own",
        |object| object["kind"] != DEFINITION,
    ),
];

/// Objects of the whole cluster.
pub const DEFINITION: &str = "CustomResourceDefinition";

/// The objects without allowed differences.
pub fn levelled(objects: Objects) -> Objects {
    let mut levelled = Objects::new();
    for (_, mut object) in objects {
        if DIFFERENCES.iter().all(|(_, level)| level(&mut object)) {
            levelled.insert(id(&object), object);
        }
    }
    levelled
}

/// Removes a key from a mapping, and the mapping too if it becomes empty.
fn take(object: &mut Value, mapping: &str, key: &str) {
    let Some(found) = object.pointer_mut(mapping).and_then(Value::as_object_mut) else { return };
    if found.remove(key).is_some() && found.is_empty() {
        let (above, name) = mapping.rsplit_once('/').unwrap();
        object.pointer_mut(above).unwrap().as_object_mut().unwrap().remove(name);
    }
}

/// Only one ConfigMap has a hash: the server watches the live one by its name.
fn unhash(name: &mut Value) {
    if let Some((plain, hash)) = name.as_str().and_then(|name| name.rsplit_once('-'))
        && plain == "nutritionfacts-config"
        && hash.len() == 10
    {
        *name = plain.into();
    }
}

fn sort(list: Option<&mut Value>, key: &str) {
    if let Some(list) = list.and_then(Value::as_array_mut) {
        list.sort_by_key(|item| item[key].as_str().unwrap_or_default().to_owned());
    }
}
