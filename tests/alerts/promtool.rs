//! `promtool`: is it a query, and does each alert fire when it must and only then?

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::{Value, json};

use super::{ROOT, RULES, alerts, yaml};

const TESTS: [&str; 2] = ["dashboards/alerts.test.yaml", "dashboards/alerts.long.test.yaml"];

/// Runs it: its complaint, if it has one.
///
/// # Panics
/// Without `promtool`, with how to install it.
fn promtool(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("promtool").current_dir(ROOT).args(arguments).output();
    let output = output.unwrap_or_else(|error| {
        panic!("cannot run `promtool`: {error}; install the package `prometheus` of Debian, or https://prometheus.io/download")
    });
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(()) } else { Err(text(&output.stdout) + &text(&output.stderr)) }
}

/// Complaints about expressions.
pub fn check(expressions: &[String]) -> Result<(), String> {
    let record = |(number, expr): (usize, &String)| json!({"record": format!("number_{number}"), "expr": expr});
    let rules: Vec<_> = expressions.iter().enumerate().map(record).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    fs::write(&file, json!({"groups": [{"name": "a", "rules": rules}]}).to_string()).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()])
}

#[test]
fn the_rules_are_rules() {
    promtool(&["check", "rules", RULES]).unwrap_or_else(|complaint| panic!("{complaint}"));
    assert!(check(&["sum(".to_owned()]).is_err(), "it would be found out");
}

#[test]
fn alerts_fire_when_they_must_and_only_then() {
    promtool(&["test", "rules", TESTS[0]]).unwrap_or_else(|complaint| panic!("{complaint}"));
}

#[test]
fn alerts_that_look_back_for_days_do_so_too() {
    promtool(&["test", "rules", TESTS[1]]).unwrap_or_else(|complaint| panic!("{complaint}"));
}

/// Whether it fires, of each look at an alert.
fn looks() -> BTreeMap<String, Vec<bool>> {
    let mut looks = BTreeMap::<_, Vec<bool>>::new();
    for file in TESTS.map(yaml) {
        for test in file["tests"].as_array().unwrap() {
            for look in test["alert_rule_test"].as_array().unwrap() {
                let fires = look.get("exp_alerts").and_then(Value::as_array).is_some_and(|alerts| !alerts.is_empty());
                looks.entry(look["alertname"].as_str().unwrap().to_owned()).or_default().push(fires);
            }
        }
    }
    looks
}

#[test]
fn every_alert_is_seen_firing_and_silent() {
    let mut looks = looks();
    for (name, _) in alerts() {
        let seen = looks.remove(&name).unwrap_or_default();
        assert!(seen.contains(&true), "no test sees {name} fire");
        assert!(seen.contains(&false), "no test sees {name} silent");
    }
    // A name that no alert has is silent for ever.
    assert!(looks.is_empty(), "no such alerts: {:?}", looks.keys());
}

/// `promtool` passes over a file of rules that is not there.
#[test]
fn the_tests_are_of_these_rules() {
    for file in TESTS.map(yaml) {
        assert_eq!(file["rule_files"], json!([Path::new(RULES).file_name().unwrap().to_str().unwrap()]));
    }
}
