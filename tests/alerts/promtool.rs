//! Checks by `promtool`: all rules are valid, and each alert fires when it must and only then.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use super::{ROOT, RULES, alerts, tool, yaml};

const TESTS: [&str; 3] =
    ["dashboards/alerts.test.yaml", "dashboards/alerts.long.test.yaml", "dashboards/alerts.year.test.yaml"];

fn promtool(arguments: &[&str]) -> Result<(), String> {
    tool::promtool(Path::new(ROOT), arguments)
}

#[test]
fn all_rules_are_valid() {
    promtool(&["check", "rules", RULES]).unwrap_or_else(|complaint| panic!("{complaint}"));
    assert!(tool::check(&["sum(".to_owned()]).is_err(), "it would be found out");
}

#[test]
fn alerts_fire_when_they_must_and_only_then() {
    promtool(&["test", "rules", TESTS[0]]).unwrap_or_else(|complaint| panic!("{complaint}"));
}

#[test]
fn alerts_over_days_fire_when_they_must_and_only_then() {
    promtool(&["test", "rules", TESTS[1]]).unwrap_or_else(|complaint| panic!("{complaint}"));
}

#[test]
fn alerts_over_a_year_fire_when_they_must_and_only_then() {
    promtool(&["test", "rules", TESTS[2]]).unwrap_or_else(|complaint| panic!("{complaint}"));
}

/// Whether each check of an alert expects it to fire.
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
fn every_alert_is_tested_firing_and_silent() {
    let mut looks = looks();
    for (name, _) in alerts() {
        let seen = looks.remove(&name).unwrap_or_default();
        assert!(seen.contains(&true), "no test sees {name} fire");
        assert!(seen.contains(&false), "no test sees {name} silent");
    }
    // An alert that does not exist would never fire.
    assert!(looks.is_empty(), "no such alerts: {:?}", looks.keys());
}

/// `promtool` ignores a rules file that does not exist.
#[test]
fn the_tests_use_these_rules() {
    for file in TESTS.map(yaml) {
        assert_eq!(file["rule_files"], json!([Path::new(RULES).file_name().unwrap().to_str().unwrap()]));
    }
}
