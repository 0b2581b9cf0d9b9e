//! Generated files are committed, also in the chart, which cannot use files outside its folder; this fails if any is stale
//! or left over.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

use super::{
    expand::dashboard,
    source::{ROOT, shared, sources},
};

#[test]
fn the_dashboards_are_fresh() {
    let shared = shared();
    let made: BTreeMap<_, _> = sources()
        .iter()
        .map(|(name, source)| (format!("{name}.json"), format!("{:#}\n", dashboard(source, &shared))))
        .collect();
    let mut stale = Vec::new();
    for folder in ["dashboards", "helm/nutritionfacts/files/dashboards"] {
        let folder = Path::new(ROOT).join(folder);
        if env::var_os("UPDATE").is_some() {
            write(&folder, &made);
        }
        let names: BTreeSet<_> = names(&folder).into_iter().chain(made.keys().cloned()).collect();
        stale.extend(names.into_iter().map(|name| folder.join(name)).filter(|path| is_stale(path, &made)));
    }
    assert!(stale.is_empty(), "run `UPDATE=1 cargo test --test dashboards fresh`, as these are stale: {stale:#?}");
}

fn write(folder: &Path, made: &BTreeMap<String, String>) {
    fs::create_dir_all(folder).unwrap();
    for name in names(folder).iter().filter(|name| !made.contains_key(*name)) {
        fs::remove_file(folder.join(name)).unwrap();
    }
    for (name, text) in made {
        fs::write(folder.join(name), text).unwrap();
    }
}

fn is_stale(path: &PathBuf, made: &BTreeMap<String, String>) -> bool {
    fs::read_to_string(path).ok().as_ref() != made.get(path.file_name().unwrap().to_str().unwrap())
}

/// The dashboards in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| Path::new(name).extension().is_some_and(|end| end == "json")).collect()
}
