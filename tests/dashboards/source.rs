//! The format of `dashboards/source/*.yaml`, and of `dashboards/shared.yaml`.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// One dashboard.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub uid: String,
    pub title: String,
    pub description: String,
    /// The data source of panels and variables that do not name another one.
    pub datasource: Datasource,
    #[serde(default = "from")]
    pub from: String,
    #[serde(default = "refresh")]
    pub refresh: String,
    /// In addition to `nutritionfacts`, by which dashboards find each other.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Shared variables that select what is shown; `$where` in an expression is replaced by their matchers.
    #[serde(default)]
    pub scope: Vec<String>,
    #[serde(default)]
    pub variables: Vec<Variable>,
    /// `{{name}}` in SQL is replaced by one of these.
    #[serde(default)]
    pub snippets: BTreeMap<String, String>,
    pub rows: Vec<Row>,
}

/// What dashboards have in common.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shared {
    /// Those that a scope names.
    pub variables: Vec<Variable>,
    /// Of each dashboard with a scope.
    pub annotations: Vec<Annotation>,
    /// `@name(5m)` in an expression is replaced by one of these, in parentheses and with `$window` replaced.
    pub expressions: BTreeMap<String, String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Datasource {
    Prometheus,
    Postgres,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    pub name: String,
    pub label: String,
    /// Of Prometheus.
    pub query: Option<String>,
    /// Of PostgreSQL.
    pub sql: Option<String>,
    /// A fixed list of labels and values.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// The initially selected one.
    #[serde(default)]
    pub default: Vec<String>,
    #[serde(default)]
    pub multi: bool,
    #[serde(default)]
    pub all: bool,
    /// The value for "All"; without it, the list of all values.
    pub all_value: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Annotation {
    pub name: String,
    pub color: String,
    pub expr: String,
    pub title: String,
    pub text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub title: String,
    #[serde(default)]
    pub collapsed: bool,
    pub panels: Vec<Panel>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    pub id: u32,
    pub title: String,
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What it shows, what is normal, and what to do.
    pub description: String,
    pub unit: String,
    pub decimals: Option<u32>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Width, of 24.
    pub width: Option<u32>,
    pub height: Option<u32>,
    /// Text if there is no data.
    pub empty: Option<String>,
    pub datasource: Option<Datasource>,
    pub queries: Vec<Query>,
    /// The smallest step.
    pub interval: Option<String>,
    #[serde(default)]
    pub stacked: bool,
    #[serde(default)]
    pub thresholds: Vec<Threshold>,
    /// By value: text and colour.
    #[serde(default)]
    pub mappings: BTreeMap<String, Mapping>,
    /// By the name of a field, or `/a regular expression/`.
    #[serde(default)]
    pub fields: BTreeMap<String, Field>,
    /// Merged over the defaults of the kind of panel.
    #[serde(default)]
    pub options: Map<String, Value>,
    /// Merged over them in `fieldConfig.defaults.custom`.
    #[serde(default)]
    pub custom: Map<String, Value>,
    /// In Grafana's format.
    #[serde(default)]
    pub transformations: Vec<Value>,
    /// Names of alerts.
    #[serde(default)]
    pub runbooks: Vec<String>,
    #[serde(default)]
    pub links: Vec<Link>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Barchart,
    Bargauge,
    Heatmap,
    Piechart,
    Stat,
    StateTimeline,
    Table,
    Timeseries,
}

/// Either `expr`, of Prometheus, or `sql`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    pub expr: Option<String>,
    pub sql: Option<String>,
    pub legend: Option<String>,
    #[serde(default)]
    pub instant: bool,
    pub format: Option<Format>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Heatmap,
    Table,
    TimeSeries,
}

/// Without `from`, the colour below all thresholds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    pub color: String,
    pub from: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    pub text: String,
    pub color: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    pub name: Option<String>,
    pub unit: Option<String>,
    pub decimals: Option<u32>,
    pub color: Option<String>,
    /// Width of a table column in pixels.
    pub width: Option<u32>,
    #[serde(default)]
    pub hidden: bool,
    #[serde(default)]
    pub thresholds: Vec<Threshold>,
    #[serde(default)]
    pub mappings: BTreeMap<String, Mapping>,
    #[serde(default)]
    pub links: Vec<Link>,
    /// Merged over the `custom` of the panel.
    #[serde(default)]
    pub custom: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    pub title: String,
    pub url: String,
}

fn from() -> String {
    "now-6h".to_owned()
}

fn refresh() -> String {
    "1m".to_owned()
}

/// All sources by the name of their file.
pub fn sources() -> BTreeMap<String, Source> {
    let entries = fs::read_dir(Path::new(ROOT).join("dashboards/source")).unwrap();
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    entries.map(|entry| entry.unwrap().path()).map(|path| (name(&path), read(&path))).collect()
}

pub fn shared() -> Shared {
    read(&Path::new(ROOT).join("dashboards/shared.yaml"))
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
