//! Reads dashboards and fills in queries as Grafana does.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

/// A panel with its queries.
pub struct Panel {
    pub id: u32,
    pub title: String,
    /// From the file, for PostgreSQL or Prometheus; [`query`] returns the text of each.
    pub targets: Vec<Value>,
}

pub fn dashboard(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("dashboards/{name}.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// All panels of `dashboards/NAME.json` with queries.
pub fn panels(name: &str) -> Vec<Panel> {
    let dashboard = dashboard(name);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let all = list(&dashboard["panels"]).into_iter().flat_map(|panel| {
        let mut inner = list(&panel["panels"]);
        inner.push(panel);
        inner
    });
    all.filter(|panel| panel["type"] != "row")
        .map(|panel| Panel {
            id: u32::try_from(panel["id"].as_u64().unwrap()).unwrap(),
            title: panel["title"].as_str().unwrap().to_owned(),
            targets: list(&panel["targets"]),
        })
        .collect()
}

/// The SQL or the expression of a target.
pub fn query(target: &Value) -> &str {
    target["rawSql"].as_str().or(target["expr"].as_str()).unwrap()
}

/// Values of the variables of the Installations dashboard: the given ones, and all values for the others.
pub async fn all_of(connection: &mut PgConnection, given: &[(&str, &[&str])]) -> BTreeMap<String, String> {
    let quote = |values: &[String]| values.iter().map(|value| format!("'{value}'")).collect::<Vec<_>>().join(",");
    let mut variables = BTreeMap::new();
    for variable in dashboard("installations")["templating"]["list"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        let values: Vec<String> = if let Some((_, values)) = given.iter().find(|(of, _)| *of == name) {
            values.iter().map(ToString::to_string).collect()
        } else if let Some(sql) =
            variable["query"]["rawSql"].as_str().or(variable["query"].as_str()).filter(|sql| sql.contains("SELECT"))
        {
            let rows = connection.fetch_all(AssertSqlSafe(sql)).await.unwrap();
            rows.iter().map(|row| row.get::<String, _>(0)).collect()
        } else {
            continue;
        };
        variables.insert(name.to_owned(), quote(&values));
    }
    variables
}

/// Replaces macros and variables; the range is given as SQL.
pub fn fill(sql: &str, variables: &BTreeMap<String, String>, (since, until): (&str, &str)) -> String {
    let mut sql = sql.replace("$__timeFrom()", &format!("({since})")).replace("$__timeTo()", &format!("({until})"));
    while let Some((before, rest)) = sql.split_once("$__timeFilter(") {
        let (column, after) = rest.split_once(')').unwrap();
        sql = format!("{before}{column} BETWEEN {since} AND {until}{after}");
    }
    for (name, values) in variables {
        sql = sql.replace(&format!("${{{name}:sqlstring}}"), values);
    }
    assert!(!sql.contains("$_") && !sql.contains("${"), "something is not filled in: {sql}");
    sql
}
