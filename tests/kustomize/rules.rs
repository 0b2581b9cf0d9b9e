//! Rules for every kustomization.

use std::{fs, path::Path};

use serde_json::Value;

use super::{
    object::Objects,
    tools::build,
    tree::{ROOT, Tree, overlays, units},
};

/// Deprecated fields, or those that need flags or a network.
const BANNED: [(&str, &str); 7] = [
    ("commonLabels", "`labels`, which leaves selectors alone"),
    ("bases", "`resources`"),
    ("patchesStrategicMerge", "`patches`"),
    ("patchesJson6902", "`patches`"),
    ("vars", "`replacements`"),
    ("helmCharts", "the base, which is made from the chart"),
    ("helmChartInflationGenerator", "the base, which is made from the chart"),
];

/// Each folder with its kustomization.
fn kustomizations() -> Vec<(String, Value)> {
    let folders = units().into_iter().chain(overlays().into_iter().map(|name| format!("overlays/{name}")));
    let read = |folder: String| {
        let text =
            fs::read_to_string(Path::new(ROOT).join("kustomize").join(&folder).join("kustomization.yaml")).unwrap();
        let value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{folder}: {error}"));
        (folder, value)
    };
    folders.map(read).collect()
}

#[test]
fn nothing_deprecated_is_used() {
    for (folder, kustomization) in kustomizations() {
        for (field, instead) in BANNED {
            assert!(kustomization.get(field).is_none(), "{folder}: {field}: use {instead}");
        }
    }
}

#[test]
fn every_component_is_of_kind_component() {
    for (folder, kustomization) in kustomizations() {
        let kind = if folder.starts_with("components/") { "Component" } else { "Kustomization" };
        assert_eq!(kustomization["kind"], kind, "{folder}");
    }
}

/// It must also build in an air gap, and from old versions of these files.
#[test]
fn all_used_files_are_in_the_repository() {
    for (folder, kustomization) in kustomizations() {
        for field in ["resources", "components", "configurations", "transformers", "generators"] {
            for path in kustomization[field].as_array().into_iter().flatten() {
                let path = Path::new(ROOT).join("kustomize").join(&folder).join(path.as_str().unwrap());
                assert!(path.exists(), "{folder}: {field}: {} is not there", path.display());
            }
        }
    }
}

/// The server watches this name, and the Role allows it.
#[test]
fn the_live_config_map_keeps_its_name() {
    let tree = Tree::new();
    for overlay in overlays() {
        let objects = build(&tree, &format!("overlays/{overlay}"));
        let has = |objects: &Objects, name: &str| {
            objects.values().any(|object| object["kind"] == "ConfigMap" && object["metadata"]["name"] == name)
        };
        assert!(has(&objects, "nutritionfacts-live"), "{overlay}");
        let role = objects.values().find(|object| object["kind"] == "Role").unwrap();
        assert_eq!(role["rules"][0]["resourceNames"][0], "nutritionfacts-live", "{overlay}");
    }
}

/// Without the hash, a changed configuration would not restart pods.
#[test]
fn a_changed_configuration_restarts_the_pods_and_a_live_one_does_not() {
    let tree = Tree::new();
    let template = |tree: &Tree| {
        let objects = build(tree, "overlays/dev");
        objects["apps/v1 Deployment nutritionfacts-dev/nutritionfacts"]["spec"]["template"].clone()
    };
    let change = |file: &str, from: &str, to: &str| {
        let path = tree.path().join("overlays/dev").join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} lacks {from}");
        fs::write(path, text.replace(from, to)).unwrap();
    };
    let before = template(&tree);
    change("live.patch.yaml", "info,nutritionfacts=debug", "warn");
    assert_eq!(template(&tree), before);
    change("config.patch.yaml", "format: text", "format: json");
    assert_ne!(template(&tree), before);
}

/// `overlays/dev` must not need any objects created beforehand.
#[test]
fn the_dev_overlay_has_all_that_it_refers_to() {
    let objects = build(&Tree::new(), "overlays/dev");
    let has = |kind: &str, name: &Value| {
        objects.values().any(|object| object["kind"] == kind && object["metadata"]["name"] == *name)
    };
    assert!(has("Namespace", &"nutritionfacts-dev".into()));
    for object in objects.values() {
        assert!(
            ["Namespace", "CustomResourceDefinition"].iter().any(|kind| object["kind"] == *kind)
                || object["metadata"]["namespace"] == "nutritionfacts-dev",
            "{object} is elsewhere"
        );
        let Some(pod) = object.pointer("/spec/template/spec") else { continue };
        for volume in pod["volumes"].as_array().unwrap() {
            for (field, kind, name) in [("secret", "Secret", "secretName"), ("configMap", "ConfigMap", "name")] {
                let Some(source) = volume.get(field) else { continue };
                assert!(has(kind, &source[name]), "{kind} {} is not there", source[name]);
            }
        }
        for variable in pod.pointer("/containers/0/env").and_then(Value::as_array).into_iter().flatten() {
            assert!(variable.get("valueFrom").is_none(), "{variable}");
        }
    }
}
