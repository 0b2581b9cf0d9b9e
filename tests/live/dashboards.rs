//! Dashboards as Grafana would query them.

use serde_json::Value;

use crate::{place::Place, support::grafana};

const DASHBOARDS: [&str; 3] = ["service", "slo", "configuration"];
const STEP: &str = "5s";

/// Grafana's variables: "All" for each, and windows that fit a scrape per second. Of two names, the longer one comes first.
const FILLED_IN: [(&str, &str); 6] = [
    ("$__rate_interval", "15s"),
    ("$__interval", STEP),
    ("$__range", "5m"),
    ("$namespace", ".*"),
    ("$instance", ".*"),
    ("$job", ".*"),
];

fn fill(expr: &str) -> String {
    let expr = FILLED_IN.iter().fold(expr.to_owned(), |expr, (name, value)| expr.replace(name, value));
    assert!(!expr.contains('$'), "something is not filled in: {expr}");
    expr
}

/// Whether it contains a number.
fn is_data(series: &[Value]) -> bool {
    let points = series.iter().flat_map(|one| {
        let list = one["values"].as_array().cloned().unwrap_or_default();
        list.into_iter().chain(one.get("value").cloned())
    });
    let mut numbers = points.filter_map(|point| point[1].as_str()?.parse::<f64>().ok());
    numbers.any(f64::is_finite)
}

/// Panels of all dashboards without data.
pub fn without_data(place: &Place) -> Vec<String> {
    DASHBOARDS.iter().flat_map(|name| panels(place, name).into_iter().chain(around(place, name))).collect()
}

fn panels(place: &Place, name: &str) -> Vec<String> {
    let mut empty = Vec::new();
    for panel in grafana::panels(name) {
        for target in &panel.targets {
            let expr = fill(grafana::query(target));
            let series = if target["instant"] == true {
                place.prometheus.query(&expr)
            } else {
                place.prometheus.range(&expr, place.begun, STEP)
            };
            if !is_data(&series) {
                empty.push(format!("{name}, panel {} ({}): no data for {expr}", panel.id, panel.title));
            }
        }
    }
    assert!(grafana::panels(name).len() > 5, "{name} has no panels");
    empty
}

/// Queries of annotations and variables.
fn around(place: &Place, name: &str) -> Vec<String> {
    let dashboard = grafana::dashboard(name);
    let mut empty = Vec::new();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for annotation in list(&dashboard["annotations"]["list"]) {
        let Some(expr) = annotation["expr"].as_str().map(fill) else { continue };
        if !is_data(&place.prometheus.range(&expr, place.begun, STEP)) {
            empty.push(format!("{name}, annotation {}: no data for {expr}", annotation["name"]));
        }
    }
    for variable in list(&dashboard["templating"]["list"]) {
        let Some(query) = variable["query"]["query"].as_str() else { continue };
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).unwrap();
        let (series, label) = inner.rsplit_once(", ").unwrap();
        if place.prometheus.label_values(&fill(series), label).is_empty() {
            empty.push(format!("{name}, variable {}: nothing to choose from", variable["name"]));
        }
    }
    empty
}
