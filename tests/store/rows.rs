//! Rows for tests, and reading them back as text, so that both stores can be compared.

use std::{
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
    str::FromStr,
    time::Duration,
};

use chrono::{DateTime, NaiveDate, Utc};
use nutritionfacts::{
    config::{secret::Secret, sections},
    domain::{
        new_id,
        pingback::Ping,
        profile::Profile,
        statistics::{ChannelRow, FacilityRow, StatisticsReport, Usage},
    },
    store::{Store, StoreError, Whose, Write},
};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, Row, SqliteConnection,
    postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::postgres::shared;

/// The current time of the tests.
pub fn now() -> DateTime<Utc> {
    "2026-11-24T12:00:00.000001Z".parse().unwrap()
}

/// A ping with its profile.
#[derive(Debug, Clone)]
pub struct Sighting {
    pub ping: Ping,
    pub profile: Profile,
}

/// A ping of an installation, some seconds after [`now`].
pub fn ping(instance: &str, seconds: i64) -> Sighting {
    ping_at(instance, now() + Duration::from_secs(seconds.unsigned_abs())).saying(|profile| {
        profile.kolibri_version = format!("0.18.{seconds}");
    })
}

/// A ping of an installation.
pub fn ping_at(instance: &str, received_at: DateTime<Utc>) -> Sighting {
    let profile = Profile {
        id: Uuid::nil(),
        instance_id: instance.into(),
        kolibri_version: "0.18.0".into(),
        mode: String::new(),
        platform: "Linux-6.1".into(),
        os: "linux",
        sysversion: "3.9.2 (default)".into(),
        python_version: "3.9.2".into(),
        database_id: "d".into(),
        system_id: "s".into(),
        node_id: "n".into(),
        language: "sw".into(),
        timezone: "Africa/Nairobi".into(),
        installer: "deb".into(),
        project: "p".into(),
        privacy_notice: String::new(),
        cut: Box::default(),
    };
    let ping = Ping {
        id: new_id(received_at, fastrand::u128(..)),
        received_at,
        instance_id: instance.into(),
        profile: Uuid::nil(),
        uptime: 17,
        client_time: Some(received_at),
        ip: "192.0.2.0".into(),
        country: "KE".into(),
        subdivision: "KE-30".into(),
        extra: r#"{"a":1}"#.into(),
    };
    Sighting { ping, profile }.saying(|_| {})
}

impl Sighting {
    /// The same with another profile.
    pub fn saying(mut self, change: impl FnOnce(&mut Profile)) -> Self {
        change(&mut self.profile);
        self.profile.id = Uuid::nil();
        let mut hasher = DefaultHasher::new();
        format!("{:?}", self.profile).hash(&mut hasher);
        self.profile.id = Uuid::from_u64_pair(hasher.finish(), !hasher.finish());
        self.ping.profile = self.profile.id;
        self
    }

    /// The same with another ping.
    pub fn with(mut self, change: impl FnOnce(&mut Ping)) -> Self {
        change(&mut self.ping);
        self
    }
}

/// Writes pings with all their profiles, even if the store changes.
pub async fn write(store: &Store, rows: &[impl std::borrow::Borrow<Sighting>], write: Write) -> Result<(), StoreError> {
    let pings: Vec<_> = rows.iter().map(|row| &row.borrow().ping).collect();
    let profiles: Vec<_> = rows.iter().map(|row| &row.borrow().profile).collect();
    loop {
        match store.write_pings(&pings, &profiles, write, store.epoch()).await {
            Err(StoreError::Stale) => {}
            result => return result,
        }
    }
}

/// Writes reports.
pub async fn write_reports(
    store: &Store,
    reports: &[impl std::borrow::Borrow<StatisticsReport> + Sync],
    write: Write,
) -> Result<(), StoreError> {
    store.write_statistics(reports, write, store.epoch()).await
}

/// Digests everything that can be digested.
pub async fn digest(store: &Store) {
    for whose in [Whose::Own, Whose::OTHERS] {
        loop {
            let done = store.digest(whose).await.unwrap();
            assert_eq!(done.dangling, 0, "each ping has its profile");
            if done.batches == 0 && !done.busy {
                break;
            }
        }
    }
}

/// A report with one facility and this number of channels.
pub fn report(pi: &str, channels: i32) -> StatisticsReport {
    report_at(pi, channels, now())
}

/// The same at another time.
pub fn report_at(pi: &str, channels: i32, received_at: DateTime<Utc>) -> StatisticsReport {
    let usage = Usage {
        summaries_started: 1,
        summaries_completed: 2,
        sessions_by_kind: r#"{"video":3}"#.into(),
        user_sessions: 4,
        anonymous_sessions: 5,
        user_minutes: 6,
        anonymous_minutes: i64::MAX,
        learner_demographics: r#"{"count":7}"#.into(),
        non_learner_demographics: "{}".into(),
        users: 8,
        visitors: 9,
        anonymous_sessions_without_visitor: 10,
    };
    let channel = |position| ChannelRow {
        position,
        channel_id: "0123456789".into(),
        version: 11,
        updated: NaiveDate::from_ymd_opt(2026, 2, 28),
        popular_ids: r#"["a"]"#.into(),
        popular_counts: "[12]".into(),
        storage_mib: 0.1 + 0.2,
        extra: r#"{"new":16}"#.into(),
        usage: usage.clone(),
    };
    let facility = FacilityRow {
        position: 0,
        facility_id: "f".into(),
        settings: "{}".into(),
        learners: 13,
        first_used: None,
        last_used: NaiveDate::from_ymd_opt(2026, 11, 1),
        groups: 14,
        devices: r#"{"Android":15}"#.into(),
        user_subset: "u".into(),
        extra: "{}".into(),
        usage: usage.clone(),
        ..FacilityRow::default()
    };
    StatisticsReport {
        id: new_id(received_at, fastrand::u128(..)),
        received_at,
        pi: pi.into(),
        pingback: pi.parse().ok(),
        channels: (0..channels).map(channel).collect(),
        facilities: vec![facility],
        extra: r#"{"newer":17}"#.into(),
    }
}

/// A store for one test, with direct access to its database.
pub struct Bench {
    pub store: Store,
    /// The database's URL.
    pub url: String,
    /// The folder of the file; removed with it.
    pub folder: Option<TempDir>,
}

impl Bench {
    /// An empty database in the shared server.
    pub async fn postgres() -> Self {
        let name = format!("t{:032x}", fastrand::u128(..));
        let url = shared().create_database(&name).await;
        Self { store: Store::open(&by_url(&url)).await.unwrap(), url, folder: None }
    }

    /// The same with the keys that a distributed database needs.
    pub async fn two_columns() -> Self {
        let bench = Self::postgres().await;
        bench.store.migrate(now()).await.unwrap();
        let months =
            bench.texts("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'pings'::regclass").await;
        for month in months {
            bench.execute(&format!("ALTER TABLE pings DETACH PARTITION {month}; DROP TABLE {month}")).await;
        }
        bench.execute("ALTER TABLE pings DROP CONSTRAINT pings_pkey, ADD PRIMARY KEY (id, instance_id)").await;
        bench
    }

    /// An empty database in a new file.
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("a/b/test.db").display());
        Self { store: Store::open(&by_url(&url)).await.unwrap(), url, folder: Some(folder) }
    }

    /// The process ends without closing the store, and another one begins.
    pub async fn reopen(&mut self) {
        if self.store.kind() == "sqlite" {
            // Its file stays locked while the store exists.
            let nowhere = format!("sqlite://{}", self.folder.as_ref().unwrap().path().join("nowhere.db").display());
            self.store = Store::open(&by_url(&nowhere)).await.unwrap();
        }
        // A process that another test is starting may have inherited the lock for a moment.
        let section = by_url(&self.url);
        let opened = std::cell::RefCell::new(None);
        until("it can be opened", async || {
            *opened.borrow_mut() = Store::open(&section).await.ok();
            opened.borrow().is_some()
        })
        .await;
        self.store = opened.into_inner().unwrap();
    }

    /// Runs statements.
    pub async fn execute(&self, sql: &str) {
        if self.store.kind() == "sqlite" {
            self.sqlite_connection().await.execute(AssertSqlSafe(sql)).await.unwrap();
        } else {
            self.postgres_connection().await.execute(AssertSqlSafe(sql)).await.unwrap();
        }
    }

    /// Rows of one text column.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        if self.store.kind() == "sqlite" {
            let mut connection = self.sqlite_connection().await;
            let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        } else {
            let mut connection = self.postgres_connection().await;
            let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        }
    }

    /// `SELECT count(*)` of the rest of the query.
    pub async fn count(&self, from: &str) -> usize {
        self.texts(&format!("SELECT CAST(count(*) AS text) FROM {from}")).await[0].parse().unwrap()
    }

    /// The whole table, each row as a JSON list with the columns in order, with times and JSON in a common format.
    pub async fn table(&self, name: &str, columns: &[&str], order: &str) -> Vec<String> {
        let list = columns
            .iter()
            .map(|column| {
                if self.store.kind() == "sqlite" {
                    return format!("coalesce(CAST({column} AS text), 'null')");
                }
                match *column {
                    "received_at" | "first_seen" | "last_seen" | "client_time" | "first_reported" | "last_reported" => format!(
                        "coalesce(to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), 'null')"
                    ),
                    // jsonb adds spaces between its parts.
                    "extra" => "replace(extra::text, ': ', ':')".into(),
                    _ => format!("coalesce({column}::text, 'null')"),
                }
            })
            .collect::<Vec<_>>()
            .join(" || '|' || ");
        self.texts(&format!("SELECT {list} FROM {name} ORDER BY {order}")).await
    }

    async fn sqlite_connection(&self) -> SqliteConnection {
        SqliteConnectOptions::from_str(&self.url).unwrap().connect().await.unwrap()
    }

    async fn postgres_connection(&self) -> PgConnection {
        PgConnectOptions::from_str(&self.url).unwrap().connect().await.unwrap()
    }
}

/// The section `store` with only a URL.
pub fn by_url(url: &str) -> sections::Store {
    sections::Store { url: Some(Secret::from(url.to_owned())), ..sections::Store::default() }
}

/// Waits until the condition holds; panics after a timeout that only a defect reaches.
pub async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let patience = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), patience).await.unwrap_or_else(|_| panic!("never: {what}"));
}
