//! Generates the JSON that Grafana provisions and imports from a source.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    layout::Layout,
    panels::panel,
    source::{Annotation, Datasource, Shared, Source, Variable},
};

/// The schema version of Grafana 12.3 and 13; older versions accept it.
const SCHEMA_VERSION: u32 = 42;

/// Ids of rows, to which nothing links, begin after those of panels.
pub const FIRST_ROW: usize = 1000;

/// Abbreviations in expressions.
pub struct Expressions<'a> {
    matchers: String,
    named: &'a BTreeMap<String, String>,
    snippets: &'a BTreeMap<String, String>,
}

impl Expressions<'_> {
    pub fn sql(&self, sql: &str) -> String {
        let replace =
            |sql: String, (name, text): (&String, &String)| sql.replace(&format!("{{{{{name}}}}}"), text.trim());
        let sql = self.snippets.iter().fold(sql.trim().to_owned(), replace);
        assert!(!sql.contains("{{"), "there is no such snippet: {sql}");
        sql
    }

    pub fn expand(&self, expr: &str) -> String {
        let mut expr = expr.trim().to_owned();
        while let Some((before, rest)) = expr.split_once('@') {
            let (name, rest) = rest.split_once('(').expect("`@name(window)`");
            let (window, after) = rest.split_once(')').expect("`@name(window)`");
            let named = self.named.get(name).unwrap_or_else(|| panic!("shared.yaml has no expression {name}"));
            expr = format!("{before}({}){after}", named.trim().replace("$window", window));
        }
        assert!(!expr.contains("$where") || !self.matchers.is_empty(), "`$where` needs a scope: {expr}");
        expr.replace("$where", &self.matchers)
    }
}

pub fn dashboard(source: &Source, shared: &Shared) -> Value {
    let matchers: Vec<_> = source.scope.iter().map(|name| format!("{name}=~\"${name}\"")).collect();
    let expressions =
        Expressions { matchers: matchers.join(", "), named: &shared.expressions, snippets: &source.snippets };
    let mut annotations = vec![built_in()];
    if !source.scope.is_empty() {
        annotations.extend(shared.annotations.iter().map(|annotation| annotated(annotation, &expressions)));
    }
    let mut tags = vec!["nutritionfacts"];
    tags.extend(source.tags.iter().map(String::as_str));
    json!({
        "id": null,
        "uid": source.uid,
        "title": source.title,
        "description": source.description.trim(),
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "timezone": "browser",
        "fiscalYearStartMonth": 0,
        "preload": false,
        "refresh": source.refresh,
        "tags": tags,
        "time": {"from": source.from, "to": "now"},
        "timepicker": {},
        "links": [{
            "type": "dashboards", "title": "nutritionfacts", "tags": ["nutritionfacts"], "icon": "external link",
            "asDropdown": false, "includeVars": true, "keepTime": true, "targetBlank": false, "tooltip": "", "url": "",
        }],
        "annotations": {"list": annotations},
        "templating": {"list": variables(source, shared)},
        "panels": panels(source, &expressions),
    })
}

/// Collapsed rows contain their panels; panels of other rows follow them.
fn panels(source: &Source, expressions: &Expressions) -> Vec<Value> {
    let (mut all, mut layout) = (Vec::new(), Layout::new());
    for (index, row) in source.rows.iter().enumerate() {
        let place = layout.row();
        let mut inside: Vec<_> =
            row.panels.iter().map(|of| panel(of, source.datasource, expressions, &layout.panel(of))).collect();
        let folded = if row.collapsed { std::mem::take(&mut inside) } else { Vec::new() };
        all.push(json!({
            "id": FIRST_ROW + index, "type": "row", "title": row.title, "collapsed": row.collapsed, "gridPos": place,
            "panels": folded,
        }));
        all.append(&mut inside);
    }
    all
}

fn variables(source: &Source, shared: &Shared) -> Vec<Value> {
    let mut used: BTreeSet<_> = source.rows.iter().flat_map(|row| &row.panels).filter_map(|of| of.datasource).collect();
    used.insert(source.datasource);
    if !source.scope.is_empty() {
        used.insert(Datasource::Prometheus);
    }
    let named = |name: &String| {
        let found = shared.variables.iter().find(|variable| variable.name == *name);
        found.unwrap_or_else(|| panic!("shared.yaml has no variable {name}"))
    };
    let chosen = source.scope.iter().map(named).chain(&source.variables);
    used.into_iter().map(datasource_variable).chain(chosen.map(variable)).collect()
}

fn datasource_variable(of: Datasource) -> Value {
    let (name, label, plugin) = identity(of);
    json!({
        "name": name, "label": label, "type": "datasource", "query": plugin, "refresh": 1, "regex": "", "hide": 0,
        "includeAll": false, "multi": false, "options": [], "current": {"text": "", "value": ""},
    })
}

fn variable(variable: &Variable) -> Value {
    let mut chosen: Vec<(&str, &str)> = Vec::new();
    for value in &variable.default {
        let shown = variable.values.iter().find(|(_, of)| *of == value);
        chosen.push((shown.map_or(value, |(text, _)| text), value));
    }
    if variable.all && chosen.is_empty() {
        chosen.push(("All", "$__all"));
    }
    let (texts, values): (Vec<_>, Vec<_>) = chosen.into_iter().unzip();
    let current = if variable.multi {
        json!({"text": texts, "value": values})
    } else {
        // Without a default, Grafana uses the first one.
        json!({"text": texts.first().unwrap_or(&""), "value": values.first().unwrap_or(&"")})
    };
    let mut made = json!({
        "name": variable.name, "label": variable.label, "multi": variable.multi, "includeAll": variable.all,
        "current": current, "hide": 0, "options": [],
    });
    optional(&mut made, "allValue", variable.all_value.as_ref());
    // Refreshed when the time range changes, and sorted by name.
    let queried = match (&variable.query, &variable.sql) {
        (Some(query), None) => {
            let query = json!({"query": query, "qryType": 1, "refId": "PrometheusVariableQueryEditor-VariableQuery"});
            Some((Datasource::Prometheus, query))
        }
        (None, Some(sql)) => Some((Datasource::Postgres, sql.trim().into())),
        (None, None) => None,
        _ => panic!("{} is of `query`, `sql` or `values`", variable.name),
    };
    if let Some((source, query)) = queried {
        made["type"] = "query".into();
        made["datasource"] = datasource(source);
        made["query"] = query;
        (made["refresh"], made["regex"], made["sort"]) = (2.into(), "".into(), 1.into());
    } else {
        made["type"] = "custom".into();
        let values: Vec<_> = variable.values.iter().map(|(text, value)| format!("{text} : {value}")).collect();
        made["query"] = values.join(",").into();
    }
    made
}

fn annotated(annotation: &Annotation, expressions: &Expressions) -> Value {
    let expr = expressions.expand(&annotation.expr);
    let source = datasource(Datasource::Prometheus);
    json!({
        "name": annotation.name, "iconColor": annotation.color, "enable": true, "hide": false, "datasource": source,
        "titleFormat": annotation.title, "textFormat": annotation.text, "tagKeys": "", "useValueForTime": false,
        "target": {"refId": "Anno", "expr": expr, "interval": "60s"},
        // The location that Grafana before 12 reads.
        "expr": expr, "step": "60s",
    })
}

/// Annotations that users write into the dashboard.
fn built_in() -> Value {
    json!({
        "builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": true, "hide": true,
        "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts", "type": "dashboard",
    })
}

/// By a variable, because the name of the data source differs between installations.
pub fn datasource(of: Datasource) -> Value {
    let (name, _, plugin) = identity(of);
    json!({"type": plugin, "uid": format!("${{{name}}}")})
}

fn identity(of: Datasource) -> (&'static str, &'static str, &'static str) {
    match of {
        Datasource::Prometheus => ("prometheus", "Prometheus", "prometheus"),
        Datasource::Postgres => ("postgres", "PostgreSQL", "grafana-postgresql-datasource"),
    }
}

pub fn optional(object: &mut Value, name: &str, value: Option<impl Serialize>) {
    if let Some(value) = value {
        object[name] = json!(value);
    }
}
