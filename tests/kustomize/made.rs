//! Files generated from the chart: the base's objects, and for each component what it adds to them.
//!
//! Objects go into separate files, ConfigMaps into files for a generator. Changes of a component to an object of the base are
//! patches, which are written by hand; the tests of equality check them.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use super::{
    difference::{DEFINITION, DIFFERENCES},
    equality::{BASE, values},
    object::{Objects, is_yaml},
    tools::{NAME, chart},
};

const HEADER: &str = "# Made by `UPDATE=1 cargo test --test kustomize fresh`; do not edit.\n";

/// The generated files of the base or a component.
pub struct Made {
    /// Content by file name, in its folder.
    pub files: BTreeMap<String, String>,
    /// What its kustomization contains for them.
    pub block: String,
}

/// For a folder of `kustomize/`: `base`, `crd`, or a component.
pub fn made(unit: &str) -> Made {
    if unit == "crd" {
        return of(&Objects::new(), &definition());
    }
    let base = plain(chart(NAME, &[BASE]));
    match unit.strip_prefix("components/") {
        None => of(&Objects::new(), &base),
        Some(component) => of(&base, &plain(chart(NAME, &[BASE, &values(component)]))),
    }
}

/// The definition, which differs from the chart's only in its place.
fn definition() -> Objects {
    let mut objects = chart(NAME, &[BASE]);
    objects.retain(|_, object| object["kind"] == DEFINITION);
    for object in objects.values_mut() {
        for (_, level) in DIFFERENCES {
            level(object);
        }
    }
    objects
}

/// The additions of some objects to others.
fn of(before: &Objects, after: &Objects) -> Made {
    let (mut files, mut resources, mut generators) = (BTreeMap::new(), Vec::new(), String::new());
    for (id, object) in after {
        if object["kind"] == "ConfigMap" {
            generators += &generator(before.get(id), object, &mut files);
        } else if !before.contains_key(id) {
            let file = file_name(object);
            files.insert(file.clone(), format!("{HEADER}{}\n", yaml(object).trim_end()));
            resources.push(file);
        }
    }
    resources.sort();
    // A kustomization without any key would be an error, so an empty list is written.
    let mut block = String::from("resources: []\n");
    if !resources.is_empty() {
        block = format!("resources:\n  - {}\n", resources.join("\n  - "));
    }
    if !generators.is_empty() {
        let _ = write!(block, "configMapGenerator:\n{generators}");
    }
    Made { files, block }
}

/// A ConfigMap that is new, or its additions.
fn generator(before: Option<&Value>, object: &Value, files: &mut BTreeMap<String, String>) -> String {
    let mut names = Vec::new();
    for (name, text) in object["data"].as_object().unwrap() {
        if before.is_none_or(|before| before["data"][name] != *text) {
            let header = if is_yaml(name) { HEADER } else { "" };
            files.insert(name.clone(), format!("{header}{}", text.as_str().unwrap()));
            names.push(name.as_str());
        }
    }
    if names.is_empty() {
        return String::new();
    }
    let name = object["metadata"]["name"].as_str().unwrap();
    let mut entry = format!("  - name: {name}\n");
    if before.is_some() {
        entry += "    behavior: merge\n";
    }
    let _ = writeln!(entry, "    files:\n      - {}", names.join("\n      - "));
    if before.is_none() {
        entry += "    options:\n";
        // Only configuration that needs a restart gets a name that changes with it.
        if name != "nutritionfacts-config" {
            entry += "      disableNameSuffixHash: true\n";
        }
        entry += "      labels:\n";
        for (key, value) in object["metadata"]["labels"].as_object().unwrap() {
            let _ = writeln!(entry, "        {key}: {value}");
        }
    }
    entry
}

/// Without fields that only the chart needs, and without a namespace, which overlays set.
fn plain(objects: Objects) -> Objects {
    let mut plain = Objects::new();
    for (id, mut object) in objects {
        let text = object["data"].clone();
        if !DIFFERENCES.iter().all(|(_, level)| level(&mut object)) {
            continue;
        }
        if !text.is_null() {
            object["data"] = text;
        }
        object["metadata"].as_object_mut().unwrap().remove("namespace");
        // kustomize sets it where the ServiceAccount is.
        let subjects = object.get_mut("subjects").and_then(Value::as_array_mut);
        for subject in subjects.into_iter().flatten() {
            subject.as_object_mut().unwrap().remove("namespace");
        }
        plain.insert(id, object);
    }
    plain
}

/// Such as `deployment.yaml`, or `service-admin.yaml` for `nutritionfacts-admin`.
fn file_name(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap();
    let name = object["metadata"]["name"].as_str().unwrap();
    if kind == DEFINITION {
        return "crd.yaml".to_owned();
    }
    let rest = name.strip_prefix(NAME).unwrap();
    format!("{}{rest}.yaml", kind.to_lowercase())
}

fn yaml(object: &Value) -> String {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 100 };
    serde_saphyr::to_string_with_options(object, options).unwrap()
}
