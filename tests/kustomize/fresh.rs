//! Generated files are committed; this fails if any is stale or left over.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

use super::{
    made::made,
    tree::{ROOT, units},
};

const BEGIN: &str = "# made by `UPDATE=1 cargo test --test kustomize fresh`\n";
const END: &str = "# end of what is made\n";
/// Files that people write.
const BY_HAND: [&str; 3] = ["kustomization.yaml", "values.yaml", "deployment.patch.yaml"];

#[test]
fn the_base_and_the_components_are_fresh() {
    let mut stale = Vec::new();
    for unit in units() {
        let folder = Path::new(ROOT).join("kustomize").join(&unit);
        let made = made(&unit);
        let mut files = made.files;
        files.insert("kustomization.yaml".into(), with_block(&folder.join("kustomization.yaml"), &made.block));
        if env::var_os("UPDATE").is_some() {
            write(&folder, &files);
        }
        stale.extend(unlike(&folder, &files));
    }
    assert!(stale.is_empty(), "run `UPDATE=1 cargo test --test kustomize fresh`, as these are stale: {stale:#?}");
}

/// A kustomization with the generated part between the marks.
fn with_block(path: &Path, block: &str) -> String {
    let text = fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap_or_else(|| panic!("{} lacks {BEGIN}", path.display()));
    let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("{} lacks {END}", path.display()));
    format!("{before}{BEGIN}{block}{END}{after}")
}

fn write(folder: &Path, files: &BTreeMap<String, String>) {
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    for name in names(folder) {
        if !files.contains_key(&name) && !BY_HAND.contains(&name.as_str()) {
            fs::remove_file(folder.join(name)).unwrap();
        }
    }
}

/// Files with wrong content, or that should not exist.
fn unlike(folder: &Path, files: &BTreeMap<String, String>) -> Vec<PathBuf> {
    let stale = |name: &String| match files.get(name) {
        Some(text) => fs::read_to_string(folder.join(name)).unwrap_or_default() != *text,
        None => !BY_HAND.contains(&name.as_str()),
    };
    let names: BTreeSet<_> = names(folder).into_iter().chain(files.keys().cloned()).collect();
    names.into_iter().filter(stale).map(|name| folder.join(name)).collect()
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
