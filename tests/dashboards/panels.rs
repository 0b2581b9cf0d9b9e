//! A panel in Grafana's format.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    expand::{Expressions, datasource, optional},
    kinds::{custom, options},
    source::{Datasource, Field, Format, Mapping, Panel, Query, Threshold},
};

pub const RUNBOOKS: &str = "https://github.com/learningequality/nutritionfacts/blob/main/docs/runbooks";

pub fn panel(panel: &Panel, default: Datasource, expressions: &Expressions, place: &Value) -> Value {
    let source = panel.datasource.unwrap_or(default);
    let runbooks =
        panel.runbooks.iter().map(|alert| link(&format!("Runbook: {alert}"), &format!("{RUNBOOKS}/{alert}.md")));
    let links: Vec<_> = runbooks.chain(panel.links.iter().map(|to| link(&to.title, &to.url))).collect();
    let targets = panel.queries.iter().zip('A'..='Z');
    let targets: Vec<_> = targets.map(|(query, id)| target(query, id, source, expressions)).collect();
    let mut made = json!({
        "id": panel.id,
        "type": panel.kind.name(),
        "title": panel.title,
        "description": panel.description.trim(),
        "datasource": datasource(source),
        "gridPos": place,
        "targets": targets,
        "options": options(panel),
        "fieldConfig": {"defaults": defaults(panel, source), "overrides": overrides(&panel.fields)},
        "links": links,
        "transformations": panel.transformations,
    });
    optional(&mut made, "interval", panel.interval.as_ref());
    made
}

fn target(query: &Query, id: char, source: Datasource, expressions: &Expressions) -> Value {
    let format = match query.format {
        Some(Format::Heatmap) => "heatmap",
        Some(Format::Table) => "table",
        None if source == Datasource::Postgres => "table",
        Some(Format::TimeSeries) | None => "time_series",
    };
    let mut target =
        json!({"refId": id.to_string(), "datasource": datasource(source), "editorMode": "code", "format": format});
    match (source, &query.expr, &query.sql) {
        (Datasource::Prometheus, Some(expr), None) => {
            target["expr"] = expressions.expand(expr).into();
            target["legendFormat"] = query.legend.as_deref().unwrap_or("__auto").into();
            target["instant"] = query.instant.into();
            target["range"] = (!query.instant).into();
        }
        (Datasource::Postgres, None, Some(sql)) => {
            target["rawQuery"] = true.into();
            target["rawSql"] = expressions.sql(sql).into();
        }
        _ => panic!("a query is either an `expr` of Prometheus or `sql` of PostgreSQL, as the panel's datasource"),
    }
    target
}

fn defaults(panel: &Panel, source: Datasource) -> Value {
    let empty = match source {
        Datasource::Prometheus => "No series",
        Datasource::Postgres => "No rows",
    };
    let mode = if panel.thresholds.is_empty() || panel.kind.name() == "timeseries" {
        json!({"mode": "palette-classic"})
    } else {
        json!({"mode": "thresholds"})
    };
    let mut defaults = json!({
        "unit": panel.unit,
        "noValue": panel.empty.as_deref().unwrap_or(empty),
        "color": mode,
        "custom": custom(panel),
        "mappings": mappings(&panel.mappings),
        "thresholds": thresholds(&panel.thresholds),
    });
    optional(&mut defaults, "decimals", panel.decimals);
    optional(&mut defaults, "min", panel.min);
    optional(&mut defaults, "max", panel.max);
    defaults
}

fn overrides(fields: &BTreeMap<String, Field>) -> Vec<Value> {
    let one = |(name, field): (&String, &Field)| {
        let by = if name.starts_with('/') { "byRegexp" } else { "byName" };
        json!({"matcher": {"id": by, "options": name}, "properties": properties(field)})
    };
    fields.iter().map(one).collect()
}

fn properties(field: &Field) -> Vec<Value> {
    let mut all: Vec<(String, Value)> = Vec::new();
    let mut set = |id: &str, value: Option<Value>| all.extend(value.map(|value| (id.to_owned(), value)));
    set("displayName", field.name.as_ref().map(|name| json!(name)));
    set("unit", field.unit.as_ref().map(|unit| json!(unit)));
    set("decimals", field.decimals.map(|decimals| json!(decimals)));
    set("color", field.color.as_ref().map(|color| json!({"mode": "fixed", "fixedColor": color})));
    set("thresholds", (!field.thresholds.is_empty()).then(|| thresholds(&field.thresholds)));
    set("mappings", (!field.mappings.is_empty()).then(|| mappings(&field.mappings)));
    let links: Vec<_> = field.links.iter().map(|to| json!({"title": to.title, "url": to.url})).collect();
    set("links", (!links.is_empty()).then(|| json!(links)));
    set("custom.width", field.width.map(|width| json!(width)));
    let hidden = json!({"legend": true, "tooltip": true, "viz": true});
    set("custom.hideFrom", field.hidden.then_some(hidden));
    all.extend(field.custom.iter().map(|(name, value)| (format!("custom.{name}"), value.clone())));
    all.into_iter().map(|(id, value)| json!({"id": id, "value": value})).collect()
}

fn thresholds(thresholds: &[Threshold]) -> Value {
    let mut steps: Vec<_> = thresholds.iter().map(|step| json!({"color": step.color, "value": step.from})).collect();
    if steps.is_empty() {
        steps.push(json!({"color": "green", "value": null}));
    }
    json!({"mode": "absolute", "steps": steps})
}

fn mappings(mappings: &BTreeMap<String, Mapping>) -> Value {
    let mut results = json!({});
    for (index, (value, mapping)) in mappings.iter().enumerate() {
        results[value] = json!({"text": mapping.text, "index": index});
        optional(&mut results[value], "color", mapping.color.as_ref());
    }
    if mappings.is_empty() { json!([]) } else { json!([{"type": "value", "options": results}]) }
}

fn link(title: &str, url: &str) -> Value {
    json!({
        "type": "link", "title": title, "url": url, "tooltip": "", "icon": "external link", "tags": [],
        "asDropdown": false, "targetBlank": true, "includeVars": false, "keepTime": false,
    })
}
