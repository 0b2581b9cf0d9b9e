//! Alerts: the rules, their tests by `promtool`, and a runbook for each.
//!
//! `UPDATE=1 cargo test --test alerts` regenerates the chart's copy.

#[path = "../support/runbooks.rs"]
mod pages;
mod promtool;
mod runbooks;
#[path = "../support/promtool.rs"]
mod tool;

use std::{collections::BTreeSet, env, fs, path::Path};

use nutritionfacts::telemetry::metrics::Metrics;
use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const RULES: &str = "dashboards/alerts.yaml";
const COPY: &str = "helm/nutritionfacts/files/alerts.yaml";
/// Metrics of other programs.
const FOREIGN: [&str; 2] = ["kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes"];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All rules of all groups.
fn rules() -> Vec<Value> {
    let file = yaml(RULES);
    let groups = file["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).cloned().collect()
}

/// The alerts by name.
fn alerts() -> Vec<(String, Value)> {
    let named = rules().into_iter().filter_map(|rule| Some((rule["alert"].as_str()?.to_owned(), rule)));
    let alerts: Vec<_> = named.collect();
    assert!(!alerts.is_empty(), "there are no alerts");
    alerts
}

/// Anything that looks like the name of one of our metrics, of a recording rule, or of a metric of kubelet.
fn metrics_of(expression: &str) -> BTreeSet<&str> {
    let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && !"_:".contains(letter));
    words.filter(|word| ["nutritionfacts", "kubelet"].iter().any(|of| word.starts_with(of) && *word != *of)).collect()
}

/// The names of one of our metrics in Prometheus: a histogram has three.
fn is_ours(name: &str) -> bool {
    Metrics::ALL.iter().any(|(ours, kind, ..)| {
        let suffix = name.strip_prefix(ours);
        suffix.is_some_and(|rest| match *kind {
            "histogram" => ["_bucket", "_count", "_sum"].contains(&rest),
            _ => rest.is_empty(),
        })
    })
}

/// The metrics that an expression may use.
fn is_known(name: &str) -> bool {
    let recorded = || rules().iter().any(|rule| rule["record"] == name);
    is_ours(name) || FOREIGN.contains(&name) || recorded()
}

/// A chart cannot use files outside its folder.
#[test]
fn the_copy_of_the_chart_is_fresh() {
    let rules = read(RULES);
    if env::var_os("UPDATE").is_some() {
        fs::write(Path::new(ROOT).join(COPY), &rules).unwrap();
    }
    assert!(read(COPY) == rules, "{COPY} is stale; run `UPDATE=1 cargo test --test alerts`");
}

#[test]
fn every_alert_has_a_severity_and_a_runbook() {
    for (name, rule) in alerts() {
        assert!(name.starts_with("Nutritionfacts"), "{name}: of what?");
        let severity = rule["labels"]["severity"].as_str().unwrap_or_default();
        assert!(["critical", "warning", "info"].contains(&severity), "{name}: {severity}");
        let annotation = |key: &str| rule["annotations"][key].as_str().unwrap_or_default().to_owned();
        for key in ["summary", "description"] {
            assert!(!annotation(key).is_empty(), "{name} lacks {key}");
        }
        let runbook = format!("https://github.com/learningequality/nutritionfacts/blob/main/docs/runbooks/{name}.md");
        assert_eq!(annotation("runbook_url"), runbook, "{name}");
        let dashboard = annotation("dashboard_url");
        assert!(is_panel(&dashboard).unwrap_or(false), "{name}: {dashboard:?} is no panel");
    }
}

/// Whether a path within Grafana leads to one of our panels.
fn is_panel(address: &str) -> Option<bool> {
    let (name, panel) = address.strip_prefix("/d/nutritionfacts-")?.split_once("?viewPanel=panel-")?;
    let panel: u64 = panel.parse().ok()?;
    let dashboard: Value = serde_json::from_str(&read(&format!("dashboards/{name}.json"))).unwrap();
    let panels = dashboard["panels"].as_array()?.iter();
    let mut all = panels.flat_map(|panel| panel["panels"].as_array().into_iter().flatten().chain([panel]));
    let has_its_name = dashboard["uid"] == format!("nutritionfacts-{name}");
    Some(has_its_name && all.any(|of| of["type"] != "row" && of["id"] == panel))
}

#[test]
fn every_alert_has_a_unique_name() {
    let names: Vec<_> = alerts().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
}

#[test]
fn expressions_use_existing_metrics() {
    assert_eq!(
        metrics_of("sum(rate(kubelet_a{b=\"c\"}[5m])) / nutritionfacts:d_e"),
        ["kubelet_a", "nutritionfacts:d_e"].into()
    );
    for rule in rules() {
        let expression = rule["expr"].as_str().unwrap();
        let unknown: Vec<_> = metrics_of(expression).into_iter().filter(|name| !is_known(name)).collect();
        assert_eq!(unknown, Vec::<&str>::new(), "{}{}", rule["alert"], rule["record"]);
        assert!(!metrics_of(expression).is_empty(), "{expression} names none");
    }
}
