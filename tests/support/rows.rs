//! Reads rows of either store as JSON objects of the same form.

use std::{collections::BTreeSet, str::FromStr};

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use tokio::runtime::{Builder, Runtime};

use super::eventually;

pub type Row = Map<String, Value>;

const JSON_COLUMNS: [&str; 9] = [
    "extra",
    "popular_ids",
    "popular_counts",
    "sessions_by_kind",
    "learner_demographics",
    "non_learner_demographics",
    "settings",
    "devices",
    "row",
];
const TIME_COLUMNS: [&str; 4] = ["received_at", "client_time", "first_seen", "last_seen"];

/// The columns of `instances`. From the fifth on they describe the latest ping: the last one by `received_at` and `id`.
pub const INSTANCE: &[&str] = &[
    "instance_id",
    "first_seen",
    "last_seen",
    "pings",
    "kolibri_version",
    "mode",
    "platform",
    "os",
    "sysversion",
    "python_version",
    "database_id",
    "language",
    "timezone",
    "installer",
    "project",
    "country",
    "subdivision",
];

/// A reader beside the server.
pub struct Rows {
    runtime: Runtime,
    connection: Store,
}

enum Store {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Rows {
    pub fn open(url: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(async {
            if url.starts_with("postgres") {
                let mut connection = PgConnection::connect(url).await.unwrap();
                sqlx::query("SET TIME ZONE 'UTC'").execute(&mut connection).await.unwrap();
                Store::Postgres(connection)
            } else {
                let options = SqliteConnectOptions::from_str(url).unwrap().read_only(true);
                let options = options.journal_mode(SqliteJournalMode::Wal).busy_timeout(super::LIMIT);
                Store::Sqlite(SqliteConnection::connect_with(&options).await.unwrap())
            }
        });
        Self { runtime, connection }
    }

    /// All rows of a table in the order of the first column.
    pub fn all(&mut self, table: &str) -> Vec<Row> {
        self.query(table, None)
    }

    /// The rows whose column has this text.
    pub fn with(&mut self, table: &str, column: &str, text: &str) -> Vec<Row> {
        self.query(table, Some((column, text)))
    }

    /// The only row whose column has this text.
    pub fn one(&mut self, table: &str, column: &str, text: &str) -> Row {
        let mut rows = self.with(table, column, text);
        assert_eq!(rows.len(), 1, "rows of {table} with {column} = {text:?}: {rows:#?}");
        rows.remove(0)
    }

    pub fn count(&mut self, table: &str) -> usize {
        self.all(table).len()
    }

    /// Batches that are not digested yet.
    pub fn undigested(&mut self) -> i64 {
        self.number("SELECT count(*) FROM outbox")
    }

    /// Rows of `instances`, once all existing pings are digested.
    pub fn digested(&mut self) -> Vec<Row> {
        eventually("all pings are digested", || (self.undigested() == 0).then_some(()));
        self.all("instances")
    }

    /// Number of pings of this installation, once all existing pings are digested.
    pub fn pings(&mut self, instance: &str) -> u64 {
        self.digested();
        self.one("instances", "instance_id", instance)["pings"].as_u64().unwrap()
    }

    /// The single number that a query returns.
    pub fn number(&mut self, sql: &str) -> i64 {
        let sql = AssertSqlSafe(sql);
        let number = match &mut self.connection {
            Store::Postgres(connection) => self.runtime.block_on(sqlx::query_scalar(sql).fetch_one(connection)),
            Store::Sqlite(connection) => self.runtime.block_on(sqlx::query_scalar(sql).fetch_one(connection)),
        };
        number.unwrap()
    }

    pub fn ids(&mut self, table: &str) -> BTreeSet<String> {
        self.all(table).iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }

    fn query(&mut self, table: &str, condition: Option<(&str, &str)>) -> Vec<Row> {
        let text = condition.map_or("", |(_, text)| text);
        let texts: Vec<String> = match &mut self.connection {
            Store::Postgres(connection) => {
                let clause = condition.map_or("$1 = ''".into(), |(column, _)| format!("\"{column}\"::text = $1"));
                let sql = format!("SELECT to_jsonb(t)::text FROM \"{table}\" t WHERE {clause} ORDER BY 1");
                let query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(text);
                self.runtime.block_on(query.fetch_all(connection)).unwrap()
            }
            Store::Sqlite(connection) => self.runtime.block_on(async {
                let columns = sqlx::query_scalar("SELECT name FROM pragma_table_info(?)").bind(table);
                let columns: Vec<String> = columns.fetch_all(&mut *connection).await.unwrap();
                assert!(!columns.is_empty(), "no table {table}");
                let pairs: Vec<String> = columns.iter().map(|name| format!("'{name}', \"{name}\"")).collect();
                let clause = condition.map_or("?1 = ''".into(), |(column, _)| format!("\"{column}\" = ?1"));
                let sql =
                    format!("SELECT json_object({}) FROM \"{table}\" WHERE {clause} ORDER BY 1", pairs.join(", "));
                sqlx::query_scalar(AssertSqlSafe(sql)).bind(text).fetch_all(connection).await.unwrap()
            }),
        };
        texts.iter().map(|text| alike(serde_json::from_str(text).unwrap())).collect()
    }
}

/// JSON columns as values, times as `YYYY-MM-DDTHH:MM:SS.ffffffZ`, whatever the store's types.
fn alike(mut row: Row) -> Row {
    for (column, value) in &mut row {
        let Some(text) = value.as_str() else { continue };
        if JSON_COLUMNS.contains(&column.as_str()) {
            *value = serde_json::from_str(text).unwrap();
        } else if TIME_COLUMNS.contains(&column.as_str()) {
            let moment: DateTime<Utc> = text.parse().unwrap();
            *value = moment.to_rfc3339_opts(SecondsFormat::Micros, true).into();
        }
    }
    row
}
