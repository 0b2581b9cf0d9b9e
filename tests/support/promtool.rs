//! The command `promtool`, which parses rules and expressions as Prometheus does.

use std::{fs, path::Path, process::Command};

use serde_json::json;

/// Runs it in a folder; returns its errors, if any.
///
/// # Panics
/// Without `promtool`, with how to install it.
pub fn promtool(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("promtool").current_dir(folder).args(arguments).output();
    let output = output.unwrap_or_else(|error| {
        panic!("cannot run `promtool`: {error}; install the package `prometheus` of Debian, or https://prometheus.io/download")
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(()) } else { Err(text(&output.stdout) + &text(&output.stderr)) }
}

/// Errors in expressions.
pub fn check(expressions: &[String]) -> Result<(), String> {
    let record = |(number, expr): (usize, &String)| json!({"record": format!("number_{number}"), "expr": expr});
    let rules: Vec<_> = expressions.iter().enumerate().map(record).collect();
    let folder = tempfile::tempdir().unwrap();
    // JSON is YAML.
    let file = json!({"groups": [{"name": "a", "rules": rules}]});
    fs::write(folder.path().join("rules.yaml"), file.to_string()).unwrap();
    promtool(folder.path(), &["check", "rules", "rules.yaml"])
}
