//! Alerts as Prometheus evaluates them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::{eventually, prometheus::Prometheus};

const RULES: &str = include_str!("../../dashboards/alerts.yaml");

pub struct Alerts {
    expressions: BTreeMap<String, String>,
    /// Alerts that have not fired yet.
    unseen: BTreeSet<String>,
}

impl Alerts {
    pub fn new() -> Self {
        let expressions: BTreeMap<_, _> = rules("alert").into_iter().collect();
        assert!(expressions.len() > 10, "{expressions:?}");
        let unseen = expressions.keys().cloned().collect();
        Self { expressions, unseen }
    }

    /// Whether the condition holds for the servers of a job.
    fn holds(&self, prometheus: &Prometheus, name: &str, job: &str) -> bool {
        let expr = self.expressions.get(name).unwrap_or_else(|| panic!("there is no alert {name}"));
        prometheus.query(expr).iter().any(|series| series["metric"]["job"] == job)
    }

    /// Waits until the condition holds, and checks that its texts are complete.
    pub fn see(&mut self, prometheus: &Prometheus, name: &str, job: &str) {
        eventually(&format!("{name} of {job}"), || self.holds(prometheus, name, job).then_some(()));
        let active = eventually(&format!("{name} of {job} is on the list of alerts"), || {
            let alerts = prometheus.ask("alerts");
            let mut list = alerts["alerts"].as_array().unwrap().iter();
            list.find(|alert| alert["labels"]["alertname"] == name && alert["labels"]["job"] == job).cloned()
        });
        let text = active["annotations"].to_string();
        assert!(!text.contains("error expanding") && !text.contains("no value"), "{name}: {text}");
        self.unseen.remove(name);
    }

    /// Waits until the condition does not hold any more.
    pub fn see_the_end(&self, prometheus: &Prometheus, name: &str, job: &str) {
        eventually(&format!("the end of {name} of {job}"), || (!self.holds(prometheus, name, job)).then_some(()));
    }

    /// Waits until no condition holds except these.
    pub fn see_none_but(&self, prometheus: &Prometheus, exceptions: &[&str], job: &str) {
        for name in self.expressions.keys().filter(|name| !exceptions.contains(&name.as_str())) {
            self.see_the_end(prometheus, name, job);
        }
    }

    pub fn unseen(&self) -> &BTreeSet<String> {
        &self.unseen
    }
}

/// Recording rules without results for a job, and errors of Prometheus in any rule.
pub fn faults(prometheus: &Prometheus, job: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, expr) in rules("record") {
        for expr in [&expr, &name] {
            if !prometheus.query(expr).iter().any(|series| series["metric"]["job"] == job) {
                faults.push(format!("{name}: no data for {expr}"));
            }
        }
    }
    for group in prometheus.ask("rules")["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            if rule["health"] != "ok" {
                faults.push(format!("{}: {} {}", rule["name"], rule["health"], rule["lastError"]));
            }
        }
    }
    faults
}

/// Name and expression of each rule of a kind.
fn rules(kind: &str) -> Vec<(String, String)> {
    let file: Value = serde_saphyr::from_str(RULES).unwrap();
    let groups = file["groups"].as_array().unwrap().iter();
    let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
    let text = |rule: &Value, key: &str| rule[key].as_str().map(str::to_owned);
    let named = rules.filter_map(|rule| Some((text(rule, kind)?, text(rule, "expr").unwrap())));
    let named: Vec<_> = named.collect();
    assert!(!named.is_empty(), "no rule is of the kind {kind}");
    named
}
