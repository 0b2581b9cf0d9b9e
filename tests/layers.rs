//! Modules import only from strictly lower layers; the layers are those of the picture in `src/lib.rs`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// From the top, as in the picture.
const LAYERS: [&[&str]; 7] = [
    &["cli"],
    &["http", "cluster"],
    &["ingest", "messages", "geoip", "maintenance", "leadership"],
    &["store"],
    &["telemetry", "lifecycle"],
    &["config"],
    &["domain"],
];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().rev().position(|modules| modules.contains(&module))
}

fn sources() -> Vec<PathBuf> {
    let mut found = vec![];
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// `src/http/body.rs` → `http`; `src/lifecycle.rs` → `lifecycle`.
fn top_module(path: &Path) -> String {
    let inside = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
    inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// The top-level modules that a source imports after `root::`, by `use`, inline, or in a group.
fn named_after(root: &str, source: &str) -> BTreeSet<String> {
    let code: String =
        source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let start = format!("{root}::");
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(&start) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == ':') {
            continue; // the end of a longer word, or a path of something else
        }
        let path = code[at + start.len()..].trim_start();
        match path.strip_prefix('{') {
            Some(group) => names.extend(heads_of_group(group)),
            None => names.extend(word(path)),
        }
    }
    names
}

/// `a, b::{c, d}, e as f}` → a, b, e
fn heads_of_group(group: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut depth = 0;
    let mut at_head = true;
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            letter if at_head && !letter.is_whitespace() => {
                names.extend(word(&group[at..]));
                at_head = false;
            }
            _ => {}
        }
    }
    names
}

fn word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
    (!word.is_empty()).then_some(word)
}

/// Every import in `source`, a file of `module`, that does not lead to a lower layer.
fn climbs(module: &str, source: &str) -> Vec<String> {
    let Some(own) = layer(module) else {
        return vec![format!("`{module}` is in no layer: add it to the picture in src/lib.rs and to LAYERS")];
    };
    // `super::super::` may lead to the root as well: only one way to write it is allowed.
    let around = named_after("super::super", source).into_iter().map(|name| format!("super::super::{name}"));
    named_after("crate", source)
        .into_iter()
        .chain(around)
        .filter(|name| name != module && layer(name).is_none_or(|other| other >= own))
        .map(|name| format!("`{module}` may not import `{name}`"))
        .collect()
}

#[test]
fn modules_import_only_from_lower_layers() {
    let faults: Vec<String> = sources()
        .iter()
        .filter(|path| !["lib", "main"].contains(&top_module(path).as_str()))
        .flat_map(|path| {
            let faults = climbs(&top_module(path), &fs::read_to_string(path).unwrap());
            faults.into_iter().map(move |fault| format!("{}: {fault}", path.display()))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_picture_in_lib_rs_shows_these_layers() {
    let library = include_str!("../src/lib.rs");
    for (number, modules) in (0..LAYERS.len()).rev().zip(LAYERS) {
        let start = format!("//! {number}  ");
        let line = library.lines().find_map(|line| line.strip_prefix(&start)).expect("a line for each layer");
        // Neighbours are separated by two spaces, the description by three or more.
        let shown: Vec<&str> = line.split("   ").next().unwrap().split("  ").map(str::trim).collect();
        assert_eq!(shown, modules, "layer {number}");
    }
    assert!(!library.contains(&format!("//! {}  ", LAYERS.len())), "the picture has more layers than LAYERS");
}

#[test]
fn main_uses_the_library_only() {
    let main = include_str!("../src/main.rs");
    assert!(named_after("crate", main).is_empty(), "main.rs has no modules of its own");
    assert!(!main.lines().any(|line| line.trim_start().trim_start_matches("pub ").starts_with("mod ")));
    let used = named_after("nutritionfacts", main);
    assert!(used.iter().all(|module| module == "cli"), "main.rs reaches past the command line: {used:?}");
}

#[test]
fn every_form_of_import_is_detected() {
    for (module, source) in [
        ("domain", "use crate::config::Config;"),
        ("domain", "fn f() { crate::http::serve() }"),
        ("store", "use crate::{domain::{self, Id}, ingest};"),
        ("store", "use crate::{\n    domain,\n    http::{body, state as other},\n};"),
        ("telemetry", "use crate::lifecycle::Stop;"),
        ("config", "pub(in crate::store) fn f() {}"),
        ("http", "use crate::cluster::Watch;"),
        ("domain", "use super::super::config::Config;"),
        ("attic", ""),
    ] {
        assert_eq!(climbs(module, source).len(), 1, "{module}: {source}");
    }
    for (module, source) in [
        ("store", "use crate::{domain::{self, http}, config};"),
        ("store", "use crate::store::sqlite; // like crate::http::body"),
        ("http", "use other_crate::cli; use axum::crate_like::cli;"),
    ] {
        assert_eq!(climbs(module, source), Vec::<String>::new(), "{module}: {source}");
    }
}
