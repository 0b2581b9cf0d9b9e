//! Files that are generated from the code are committed; this fails if one is stale.
//!
//! `UPDATE=1 cargo test --test generated` regenerates them.

use std::{env, fmt::Write as _, fs, path::Path};

use nutritionfacts::{
    cluster::kolibri_message,
    config::{Key, schema},
    http::openapi,
    telemetry::metrics::Metrics,
};

/// Compares a file with its generated content, or writes it.
#[track_caller]
fn fresh(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var_os("UPDATE").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, expected).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == expected, "{path} is stale; run `UPDATE=1 cargo test --test generated`");
}

#[test]
fn the_schema_is_fresh() {
    fresh("docs/config.schema.json", &format!("{:#}\n", schema()));
}

#[test]
fn the_openapi_document_is_fresh() {
    fresh("docs/openapi.json", &openapi::text());
}

/// Charts cannot use files outside their folder, so each has a copy. That of `kustomize/base` is generated from the first.
#[test]
fn the_definitions_of_the_custom_resource_are_fresh() {
    for folder in ["helm/nutritionfacts/files", "helm/nutritionfacts-crds/files"] {
        fresh(&format!("{folder}/crd.yaml"), &kolibri_message::yaml());
    }
}

#[test]
fn the_table_of_keys_is_fresh() {
    fresh_table("docs/configuration.md", "keys", &keys());
}

#[test]
fn the_table_of_metrics_is_fresh() {
    fresh_table("docs/observability.md", "metrics", &metrics());
}

/// Compares the part of a page between two marks.
#[track_caller]
fn fresh_table(path: &str, of: &str, table: &str) {
    let begin = format!("<!-- {of}: made by `UPDATE=1 cargo test --test generated` -->\n");
    let end = format!("<!-- end of {of} -->\n");
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let (before, rest) = page.split_once(&begin).expect("the page has the mark where the table begins");
    let (_, after) = rest.split_once(&end).expect("the page has the mark where the table ends");
    fresh(path, &format!("{before}{begin}{table}{end}{after}"));
}

fn metrics() -> String {
    let mut table = "| metric | type | labels | what it is |\n|---|---|---|---|\n".to_owned();
    for (name, kind, labels, meaning) in Metrics::ALL {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(table, "| `{name}` | {kind} | {} | {} |", labels.join(", "), meaning.trim());
    }
    table
}

fn keys() -> String {
    let mut table = "| key | allowed | default | live | what it is |\n|---|---|---|---|---|\n".to_owned();
    for (path, key) in Key::all() {
        let default = key.default().map(|value| format!("`{}`", value.to_string().trim_matches('"')));
        let live = if key.is_live() { "yes" } else { "" };
        let (allowed, default, description) = (key.allowed(), default.unwrap_or_default(), key.description());
        let cells = [&format!("`{path}`"), &allowed, &default, live, description].map(|cell| cell.replace('|', "\\|"));
        let _ = writeln!(table, "| {} |", cells.join(" | "));
    }
    table
}
