//! Dashboards and alerts: they reach Grafana and Prometheus unchanged, and do not depend on names that differ between
//! installations.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use super::{
    identity::{changed_chart, render_by},
    manifest::items,
    release::Release,
    support::{helm::Helm, render::Case},
};

/// Every reference to a data source whose name may differ.
pub fn fixed_sources(dashboard: &Value) -> Vec<String> {
    let mut found = vec![];
    if dashboard.get("__inputs").is_some() {
        found.push("__inputs".to_owned());
    }
    match dashboard {
        Value::Object(fields) => {
            for (name, value) in fields {
                let uid = value.get("uid").unwrap_or(value).as_str();
                if name == "datasource" && uid.is_some_and(|uid| !uid.starts_with('$') && uid != "-- Grafana --") {
                    found.push(value.to_string());
                }
                found.extend(fixed_sources(value));
            }
        }
        Value::Array(items) => found.extend(items.iter().flat_map(fixed_sources)),
        _ => {}
    }
    found
}

/// Alerts without a page, or with a page elsewhere.
pub fn without_runbook(groups: &Value) -> Vec<String> {
    let rules = items(groups).iter().flat_map(|group| items(&group["rules"]));
    let alerts =
        rules.filter(|rule| rule["alert"].is_string()).map(|rule| (rule["alert"].as_str().unwrap_or_default(), rule));
    let has = |(name, rule): &(&str, &Value)| {
        let url = rule["annotations"]["runbook_url"].as_str().unwrap_or_default();
        let page = format!("docs/runbooks/{name}.md");
        url.ends_with(&page) && Path::new(env!("CARGO_MANIFEST_DIR")).join(page).exists()
    };
    alerts.filter(|alert| !has(alert)).map(|(name, _)| name.to_owned()).collect()
}

/// The groups of rules of a release.
pub fn groups(release: &Release) -> Value {
    let rule = release.of_kind("PrometheusRule").next().expect("there is a PrometheusRule");
    rule.source["spec"]["groups"].clone()
}

fn dashboard() -> Value {
    json!({"panels": [{
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "targets": [{"legendFormat": "{{ route }}"}],
    }]})
}

#[test]
fn a_fixed_data_source_is_detected() {
    assert_eq!(fixed_sources(&dashboard()), Vec::<String>::new());
    for bad in [
        json!({"__inputs": []}),
        json!({"panels": [{"datasource": {"uid": "P1"}}]}),
        json!({"panels": [{"datasource": "Prometheus"}]}),
    ] {
        assert_eq!(fixed_sources(&bad).len(), 1, "{bad}");
    }
}

/// With braces that do not belong to templates.
#[test]
fn dashboards_reach_grafana_unchanged() {
    let chart = changed_chart(|_, text| text);
    let (folder, text) = (chart.path().join("files/dashboards"), dashboard().to_string());
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("some.json"), &text).unwrap();
    let release = Release::of(render_by(chart.path(), Case::named("monitoring"), &Value::Null));
    let config_map = release.find("ConfigMap", "kolibri-nutritionfacts-some").expect("each dashboard has a ConfigMap");
    assert_eq!(config_map.label("grafana_dashboard"), Some("1"));
    assert_eq!(config_map.annotation("grafana_folder"), Some("Kolibri"));
    assert_eq!(config_map.source["data"]["some.json"].as_str().map(str::trim), Some(text.as_str()));
}

#[test]
fn alerts_reach_prometheus_unchanged_or_as_set_by_values() {
    let some = "{alert: Some, expr: 'up == 0', for: 5m, annotations: {summary: '{{ $labels.pod }}'}}";
    let other = "{alert: Other, expr: 'up == 1'}";
    let chart = changed_chart(|_, text| text);
    fs::write(chart.path().join("files/alerts.yaml"), format!("groups: [{{name: a, rules: [{some}, {other}]}}]\n"))
        .unwrap();
    let case = Case::named("profile-production");
    let of = |alerts: Value| {
        let values = json!({"prometheusRule": {"alerts": alerts}});
        groups(&Release::of(render_by(chart.path(), case, &values)))
    };
    let plain = of(json!({}));
    assert_eq!(plain[0]["rules"][0]["annotations"]["summary"], "{{ $labels.pod }}");
    assert_eq!(plain[0]["rules"][0]["for"], "5m");
    assert_eq!(without_runbook(&plain), ["Some", "Other"], "it would be found out");
    let changed = of(json!({"Some": {"severity": "page", "for": "9m"}, "Other": {"enabled": false}}));
    let rules = items(&changed[0]["rules"]);
    assert_eq!(rules.len(), 1);
    assert_eq!((&rules[0]["for"], &rules[0]["labels"]["severity"]), (&json!("9m"), &json!("page")));
    let cut = of(json!({"Other": {"expr": "up > 2"}}));
    assert_eq!(cut[0]["rules"][1]["expr"], "up > 2");
    let values = json!({"prometheusRule": {"alerts": {"Sme": {}}}});
    let refusal = Helm::Three.template(chart.path().to_str().unwrap(), &case.arguments, &values).unwrap_err();
    assert!(refusal.contains("no alert of this chart: Sme"), "{refusal}");
}

/// The chart's own alerts by name, as changed by values.
fn alerts(changes: &Value) -> BTreeMap<String, Value> {
    let values = json!({"prometheusRule": {"alerts": changes}});
    let rendered =
        Case::named("profile-production").try_render(&values).unwrap_or_else(|refusal| panic!("{changes}: {refusal}"));
    let groups = groups(&Release::of(rendered));
    let rules = items(&groups).iter().flat_map(|group| items(&group["rules"]));
    rules.filter_map(|rule| Some((rule["alert"].as_str()?.to_owned(), rule.clone()))).collect()
}

fn shipped() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/alerts.yaml");
    serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Also recording rules, which values cannot change.
#[test]
fn all_rules_reach_prometheus() {
    assert_eq!(groups(Release::named("profile-production")), shipped()["groups"]);
}

#[test]
fn each_alert_can_be_disabled_and_tuned() {
    let plain = alerts(&json!({}));
    assert!(!plain.is_empty());
    let each = |change: Value| plain.keys().map(|name| (name.clone(), change.clone())).collect::<Value>();
    assert!(alerts(&each(json!({"enabled": false}))).is_empty());
    let change =
        json!({"severity": "page", "for": "9h", "expr": "vector(1)", "labels": {"a": "b"}, "annotations": {"c": "d"}});
    for (name, rule) in alerts(&each(change)) {
        assert_eq!((&rule["for"], &rule["expr"]), (&json!("9h"), &json!("vector(1)")), "{name}");
        assert_eq!(rule["labels"], json!({"a": "b", "severity": "page"}), "{name}");
        assert_eq!(rule["annotations"]["c"], "d", "{name}");
        assert_eq!(rule["annotations"]["summary"], plain[&name]["annotations"]["summary"], "{name}");
    }
    let all_but_one = alerts(&json!({"NutritionfactsStoreDown": {"enabled": false}}));
    assert_eq!(all_but_one.len() + 1, plain.len());
}

/// The number at the end of an expression; without one, a value would have no effect and is rejected.
#[test]
fn a_threshold_can_be_set_if_the_alert_has_one() {
    let plain = alerts(&json!({}));
    let ends_in_one = |rule: &&Value| {
        let expression = rule["expr"].as_str().unwrap().trim_end();
        let mut words = expression.rsplitn(3, ' ');
        words.next().is_some_and(|end| end.parse::<f64>().is_ok())
            && words.next().is_some_and(|sign| "<>".contains(sign))
    };
    let (with, without): (Vec<_>, Vec<_>) = plain.iter().partition(|(_, rule)| ends_in_one(rule));
    assert!(with.len() > 5 && without.len() > 5, "{} and {}", with.len(), without.len());
    let all: Value = with.iter().map(|(name, _)| ((*name).clone(), json!({"threshold": 0.125}))).collect();
    let changed = alerts(&all);
    for (name, rule) in with {
        let (before, after) = (rule["expr"].as_str().unwrap().trim_end(), changed[name]["expr"].as_str().unwrap());
        let (head, _) = before.rsplit_once(' ').unwrap();
        assert_eq!(after, format!("{head} 0.125"), "{name}");
    }
    for (name, _) in without {
        let values = json!({"prometheusRule": {"alerts": {name: {"threshold": 1}}}});
        let refusal = Case::named("profile-production").try_render(&values).expect_err(name);
        assert!(refusal.contains(&format!("`expr` could be set: {name}.")), "{refusal}");
    }
}
