//! Expressions of Prometheus: they can be parsed, use existing metrics, and cover all metrics.

use std::collections::BTreeSet;

use nutritionfacts::telemetry::metrics::Metrics;
use serde_json::Value;

use super::{
    promtool::check,
    rules::{dashboards, list, panels},
};

/// Grafana's variables with example values. Of two names, the longer one comes first.
const FILLED_IN: [(&str, &str); 6] = [
    ("$__rate_interval", "5m"),
    ("$__interval", "1m"),
    ("$__range", "6h"),
    ("$namespace", ".*"),
    ("$job", ".*"),
    ("$instance", ".*"),
];

/// All expressions of a dashboard, in panels and annotations.
fn expressions(dashboard: &Value) -> Vec<String> {
    let targets = panels(dashboard).flat_map(|panel| list(&panel["targets"]));
    let annotations = list(&dashboard["annotations"]["list"]);
    targets.chain(annotations).filter_map(|of| of["expr"].as_str()).map(filled_in).collect()
}

fn filled_in(expr: &str) -> String {
    FILLED_IN.iter().fold(expr.to_owned(), |expr, (name, value)| expr.replace(name, value))
}

/// Our metrics in an expression; those of a histogram's parts as the histogram.
fn metrics(expr: &str) -> BTreeSet<String> {
    let words = expr.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("nutritionfacts_")).map(|word| histogram(word).to_owned()).collect()
}

fn histogram(word: &str) -> &str {
    let of = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
    of.filter(|name| Metrics::ALL.iter().any(|metric| metric.0 == *name && metric.1 == "histogram")).unwrap_or(word)
}

#[test]
fn expressions_use_existing_metrics_and_cover_all() {
    let exprs: Vec<_> = dashboards().values().flat_map(expressions).collect();
    let used: BTreeSet<_> = exprs.iter().flat_map(|expr| metrics(expr)).collect();
    let all: BTreeSet<_> = Metrics::ALL.iter().map(|metric| metric.0.to_owned()).collect();
    let unknown: Vec<_> = used.difference(&all).collect();
    assert!(unknown.is_empty(), "no such metrics: {unknown:?}");
    let left_out: Vec<_> = all.difference(&used).collect();
    assert!(left_out.is_empty(), "these are on no dashboard: {left_out:?}");
}

#[test]
fn a_renamed_metric_is_detected() {
    assert_eq!(metrics("rate(nutritionfacts_pings_total{a=\"b\"}[5m])"), ["nutritionfacts_pings_total".into()].into());
    let commits = "nutritionfacts_store_commit_duration_seconds";
    assert_eq!(metrics(&format!("{commits}_bucket / {commits}_count")), [commits.into()].into());
    assert_eq!(metrics("nutritionfacts_leader_count"), ["nutritionfacts_leader_count".into()].into());
}

#[test]
fn prometheus_can_parse_all_expressions() {
    let exprs: Vec<_> = dashboards().values().flat_map(expressions).collect();
    assert!(exprs.len() > 50, "{}", exprs.len());
    assert!(exprs.iter().all(|expr| !expr.contains('$')), "not filled in: {exprs:#?}");
    check(&exprs).unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn an_invalid_expression_is_detected() {
    assert!(check(&["sum(rate(a[5m]))".into()]).is_ok());
    let said = check(&["sum(rate(a[5m])".into()]).unwrap_err();
    assert!(said.contains("parse"), "{said}");
}
