//! The folder `kustomize/`, and a temporary copy of it for overlays of tests.

use std::{fs, path::Path};

use tempfile::TempDir;

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The names of the components.
pub fn components() -> Vec<String> {
    folders("components")
}

/// The names of the overlays.
pub fn overlays() -> Vec<String> {
    folders("overlays")
}

/// The base, the definition and all components, from `kustomize/`.
pub fn units() -> Vec<String> {
    let components = components().into_iter().map(|name| format!("components/{name}"));
    ["base".to_owned(), "crd".to_owned()].into_iter().chain(components).collect()
}

fn folders(of: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(ROOT).join("kustomize").join(of)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(!names.is_empty(), "there are no {of}");
    names
}

/// A copy of `kustomize/`: kustomize accepts no absolute paths, and tests must not write into the real one.
pub struct Tree(TempDir);

impl Tree {
    pub fn new() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        copy(&Path::new(ROOT).join("kustomize"), tree.path());
        tree
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Adds an overlay of the base with some components in a namespace; returns its folder.
    pub fn overlay(&self, namespace: &str, components: &[&str]) -> String {
        let folder = format!("overlays/try-{}", components.join("-"));
        let components: Vec<_> = components.iter().map(|name| format!("../../components/{name}")).collect();
        let text = serde_json::json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
            "namespace": namespace, "resources": ["../../base"], "components": components,
        });
        fs::create_dir_all(self.path().join(&folder)).unwrap();
        fs::write(self.path().join(&folder).join("kustomization.yaml"), text.to_string()).unwrap();
        folder
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
