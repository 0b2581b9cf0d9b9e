//! A database with a generated fleet.

use chrono::Utc;
use nutritionfacts::{
    config::{secret::Secret, sections},
    domain::{Timestamp, period::Grain},
    store::{Store, Whose},
};
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

use crate::support::postgres::shared;

pub struct Fleet {
    pub store: Store,
    pub connection: PgConnection,
    pub database: String,
}

impl Fleet {
    /// An empty database with the schema.
    pub async fn empty() -> Self {
        let database = format!("fleet_{}", fastrand::u64(..));
        let url = shared().create_icu_database(&database).await;
        let section = sections::Store { url: Some(Secret::from(url)), ..sections::Store::default() };
        let store = Store::open(&section).await.unwrap();
        store.migrate(now()).await.unwrap();
        Self { store, connection: shared().connect(&database).await, database }
    }

    /// With this number of installations, each of which pinged so often on average; nothing is derived from their pings yet.
    pub async fn of(installations: u32, pings: u32) -> Self {
        let mut fleet = Self::empty().await;
        let sql = include_str!("fleet.sql");
        let sql = sql.replace(":installations", &installations.to_string()).replace(":pings", &pings.to_string());
        fleet.run(&sql).await;
        fleet
    }

    /// Digests everything in the outbox, and counts all periods.
    pub async fn derive(&self) {
        while self.store.digest(Whose::OTHERS).await.unwrap().batches > 0 {}
        for grain in Grain::ALL {
            while self.store.count_period(grain).await.unwrap().is_some() {}
        }
    }

    pub async fn run(&mut self, sql: &str) {
        self.connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }

    /// One value as text.
    pub async fn text(&mut self, sql: &str) -> String {
        let sql = format!("SELECT (({sql})::text)");
        self.connection.fetch_one(AssertSqlSafe(sql)).await.unwrap().get(0)
    }
}

/// The database's clock is the real one, so this must be too.
#[expect(clippy::disallowed_methods, reason = "the fleet ends now")]
pub fn now() -> Timestamp {
    Utc::now()
}
