//! Rules for every dashboard, checked in the JSON that Grafana gets.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::Value;

use super::{
    expand::dashboard,
    panels::RUNBOOKS,
    source::{ROOT, shared, sources},
};

/// All dashboards, by name.
pub fn dashboards() -> BTreeMap<String, Value> {
    let shared = shared();
    sources().iter().map(|(name, source)| (name.clone(), dashboard(source, &shared))).collect()
}

pub fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Including rows, and panels in collapsed rows.
fn all_panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(&dashboard["panels"]).flat_map(|panel| std::iter::once(panel).chain(list(&panel["panels"])))
}

/// Without rows.
pub fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    all_panels(dashboard).filter(|panel| panel["type"] != "row")
}

/// The errors of a dashboard.
fn faults(name: &str, dashboard: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |holds: bool, fault: String| faults.extend((!holds).then_some(fault));
    check(dashboard["uid"] == format!("nutritionfacts-{name}"), format!("its uid is {}", dashboard["uid"]));
    check(dashboard.get("__inputs").is_none(), "it has `__inputs`, which cannot be provisioned".into());
    check(list(&dashboard["tags"]).any(|tag| tag == "nutritionfacts"), "it has no tag to be found by".into());
    check(list(&dashboard["links"]).any(|link| link["type"] == "dashboards"), "it has no links to the others".into());
    check(sentences(text(&dashboard["description"])) >= 1, "it has no description".into());
    let mut ids = BTreeSet::new();
    for panel in all_panels(dashboard) {
        let place = &panel["gridPos"];
        check(ids.insert(panel["id"].to_string()), format!("the id {} is there twice", panel["id"]));
        let end = place["x"].as_u64().zip(place["w"].as_u64()).map_or(u64::MAX, |(x, width)| x + width);
        check(end <= 24, format!("{} is too wide", panel["title"]));
    }
    for panel in panels(dashboard) {
        for fault in panel_faults(panel) {
            check(false, format!("panel {} {}: {fault}", panel["id"], panel["title"]));
        }
    }
    let variables: BTreeSet<_> =
        list(&dashboard["templating"]["list"]).map(|variable| text(&variable["name"])).collect();
    for source in named(dashboard, "datasource") {
        let uid = text(&source["uid"]);
        let known =
            uid.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).is_some_and(|it| variables.contains(it));
        check(known || uid == "-- Grafana --", format!("{source} is no variable"));
    }
    faults
}

fn panel_faults(panel: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |holds: bool, fault: &str| faults.extend((!holds).then(|| fault.to_owned()));
    let defaults = &panel["fieldConfig"]["defaults"];
    check(!text(&panel["title"]).is_empty(), "it has no title");
    check(sentences(text(&panel["description"])) >= 2, "its description says less than two sentences");
    check(!text(&defaults["unit"]).is_empty(), "it has no unit");
    check(!text(&defaults["noValue"]).is_empty(), "nothing is said where there is no value");
    check(list(&panel["targets"]).count() > 0, "it has no query");
    let values: Vec<_> = list(&defaults["thresholds"]["steps"]).map(|step| step["value"].as_f64()).collect();
    check(values.first() == Some(&None), "its first threshold has a bound");
    check(values.is_sorted(), "its thresholds do not rise");
    for link in list(&panel["links"]).map(|link| text(&link["url"])) {
        let alert = link.strip_prefix(RUNBOOKS).and_then(|rest| rest.strip_prefix('/')?.strip_suffix(".md"));
        let elsewhere = !link.contains("/runbooks/");
        let is_page = |alert| Path::new(ROOT).join(format!("docs/runbooks/{alert}.md")).exists();
        check(elsewhere || alert.is_some_and(is_page), &format!("{link} is no runbook"));
    }
    faults
}

/// A number with a decimal point, or a file name, does not end a sentence.
fn sentences(text: &str) -> usize {
    text.split_whitespace().filter(|word| word.ends_with(['.', '?'])).count()
}

/// All values of this name, at any depth.
fn named<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    match value {
        Value::Object(fields) => {
            let deeper = fields.values().flat_map(|value| named(value, name));
            fields.get(name).into_iter().chain(deeper).collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| named(item, name)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn dashboards_comply_with_the_rules() {
    let dashboards = dashboards();
    let faults: Vec<_> = dashboards
        .iter()
        .flat_map(|(name, dashboard)| faults(name, dashboard).into_iter().map(move |fault| format!("{name}: {fault}")))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Links between dashboards lead to existing ones.
#[test]
fn links_lead_to_existing_dashboards() {
    let dashboards = dashboards();
    let uids: BTreeSet<_> = dashboards.values().map(|dashboard| text(&dashboard["uid"])).collect();
    for url in dashboards.values().flat_map(|dashboard| named(dashboard, "url")).map(text) {
        let uid = url.strip_prefix("/d/").map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
        assert!(uid.is_none_or(|uid| uids.contains(uid)), "{url} leads nowhere");
    }
}

/// Each rule finds a violation.
#[test]
fn every_rule_finds_a_violation() {
    let good = &dashboards()["slo"];
    let cases: [(&str, Value, &str); 10] = [
        ("/uid", "other".into(), "its uid"),
        ("/links", Value::Array(vec![]), "no links"),
        ("/panels/1/description", "One sentence only.".into(), "less than two"),
        ("/panels/1/fieldConfig/defaults/unit", "".into(), "no unit"),
        ("/panels/1/fieldConfig/defaults/noValue", "".into(), "nothing is said"),
        ("/panels/1/fieldConfig/defaults/thresholds/steps/1/value", 9.into(), "do not rise"),
        ("/panels/1/id", 2.into(), "twice"),
        ("/panels/1/gridPos/w", 25.into(), "too wide"),
        ("/panels/1/datasource/uid", "P1".into(), "no variable"),
        ("/panels/1/links/0/url", format!("{RUNBOOKS}/NoSuchAlert.md").into(), "no runbook"),
    ];
    for (path, value, expected) in cases {
        let mut bad = good.clone();
        *bad.pointer_mut(path).unwrap() = value;
        let found = faults("slo", &bad);
        assert!(found.len() == 1 && found[0].contains(expected), "{path}: {found:?}");
    }
}
