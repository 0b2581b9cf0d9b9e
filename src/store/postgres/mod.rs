//! The store in PostgreSQL: one statement per batch.

mod counting;
mod leadership;
mod rollups;

use std::sync::LazyLock;

use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, Postgres as Db, Row, migrate::Migrator, postgres::PgArguments,
    query::Query,
};
use tokio::time::timeout;
use uuid::Uuid;

pub use self::leadership::Candidate;
use super::{
    MigrationError, SetAside, StoreError, Write,
    connections::{Connections, Lease},
    error::classify,
    partitions,
    server::Server,
    tally::Tally,
};
use crate::{
    config::sections,
    domain::{Timestamp, new_id, pingback::PingbackRow, statistics::StatisticsReport},
};

static MIGRATIONS: Migrator = {
    let mut migrations = sqlx::migrate!("migrations/postgres");
    // sqlx's lock belongs to a session, which a pooler does not give.
    migrations.locking = false;
    migrations
};

/// A write that the store plans, permits and commits like any other: it fails where there is no schema, no right to
/// write, or a server that only lets us read.
const WRITE_NOTHING: &str = "INSERT INTO set_aside SELECT * FROM set_aside WHERE false";

/// Key of the advisory lock under which the schema changes: "nutr" and a number.
const MIGRATIONS_LOCK: i64 = 0x6e75_7472_0000_0001;

/// PostgreSQL: `check_violation`; without a constraint's name it is a partition that is missing.
const CHECK_VIOLATION: &str = "23514";

/// A month that another process has just made may be out of sight of a connection for a moment (seen in PostgreSQL 13).
const MONTH_ATTEMPTS: usize = 3;

static NEW_PINGBACKS: LazyLock<String> = LazyLock::new(|| pingbacks("", "VALUES ($24, $1)"));
static REPLAYED_PINGBACKS: LazyLock<String> = LazyLock::new(|| {
    let inserted = "SELECT $24, array_agg(id) FROM inserted HAVING count(*) > 0";
    pingbacks(&format!("{REPLAY} RETURNING id"), inserted)
});
static NEW_STATISTICS: LazyLock<String> = LazyLock::new(|| statistics(""));
static REPLAYED_STATISTICS: LazyLock<String> = LazyLock::new(|| statistics(REPLAY));
const REPLAY: &str = "ON CONFLICT (id) DO NOTHING";

fn pingbacks(replay: &str, uncounted: &str) -> String {
    let sql = include_str!("../sql/postgres_pingbacks.sql");
    sql.replace("/*replay*/", replay).replace("/*uncounted*/", uncounted)
}

fn statistics(replay: &str) -> String {
    include_str!("../sql/postgres_statistics.sql").replace("/*replay*/", replay)
}

/// A PostgreSQL server, reached when it is needed.
#[derive(Debug)]
pub struct Postgres {
    connections: Connections,
    tally: Tally<Uuid>,
}

impl Postgres {
    pub(super) fn new(server: Server, store: &sections::Store) -> Self {
        let connections =
            Connections::new(server, store.max_connections, store.acquire_timeout, store.statement_timeout);
        Self { connections, tally: Tally::default() }
    }

    pub(super) async fn migrate(&self, now: Timestamp) -> Result<(), MigrationError> {
        let mut connection = self.connections.single().await?;
        // One transaction holds the lock and all migrations: it is all or nothing, and no pooler can part it.
        let mut transaction = connection.begin().await?;
        if self.connections.server.pooled {
            // The migrator names its statements, and those of the last one to migrate may still be there.
            transaction.execute("DEALLOCATE ALL").await?;
        }
        let months = partitions::MONTHS_LOCK;
        let lock = format!("SELECT pg_advisory_xact_lock({MIGRATIONS_LOCK}), pg_advisory_xact_lock({months})");
        transaction.execute(sqlx::raw_sql(AssertSqlSafe(lock))).await?;
        // Not `run`, whose future is not provably Send (sqlx documents this way out).
        MIGRATIONS.run_direct(None, &mut *transaction, false).await?;
        partitions::make_missing(&mut transaction, &partitions::around(now)).await?;
        transaction.commit().await?;
        let _ = connection.close().await;
        Ok(())
    }

    pub(super) async fn write_pingbacks(&self, rows: &[&PingbackRow], write: Write) -> Result<(), StoreError> {
        let sql = match write {
            Write::New => &NEW_PINGBACKS,
            Write::Replay => &REPLAYED_PINGBACKS,
        };
        let Some(batch) = rows.first().map(|row| new_id(row.received_at, fastrand::u128(..))) else { return Ok(()) };
        let mut result = self.execute(bind_pingbacks(sql, rows, batch)).await;
        for _ in 0..MONTH_ATTEMPTS {
            if !matches!(&result, Err(StoreError::Rejected { reason }) if reason == CHECK_VIOLATION) {
                break;
            }
            self.make_months_of(rows.iter().map(|row| row.id)).await?;
            result = self.execute(bind_pingbacks(sql, rows, batch)).await;
        }
        match (&result, write) {
            (Ok(()), Write::New) => self.tally.fold(batch, rows),
            // Some may have been there, or it may have happened: the database knows.
            (Ok(()), Write::Replay) | (Err(StoreError::Unavailable { .. }), _) => self.tally.leave([batch]),
            (Err(StoreError::Rejected { .. }), _) => {}
        }
        result
    }

    pub(super) async fn count_due(&self) {
        self.tally.due().await;
    }

    pub(super) async fn write_statistics(&self, reports: &[&StatisticsReport], write: Write) -> Result<(), StoreError> {
        let sql = match write {
            Write::New => &NEW_STATISTICS,
            Write::Replay => &REPLAYED_STATISTICS,
        };
        let json = serde_json::to_string(reports).map_err(|_| StoreError::Rejected { reason: "encoding".into() })?;
        self.execute(sqlx::query(AssertSqlSafe(sql.as_str())).bind(json)).await
    }

    pub(super) async fn set_aside(&self, row: &SetAside) -> Result<(), StoreError> {
        const SQL: &str = r#"INSERT INTO set_aside (id, received_at, kind, instance_id, reason, "row")
            VALUES ($1, $2, $3, $4, $5, $6::json) ON CONFLICT (id) DO NOTHING"#;
        let query = sqlx::query(SQL).bind(row.id).bind(row.received_at).bind(row.kind);
        self.execute(query.bind(&row.instance_id).bind(&row.reason).bind(&row.row)).await
    }

    pub(super) async fn save_message_snapshot(&self, catalogue: &str) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO message_snapshot (id, catalogue) VALUES (1, $1::json)
            ON CONFLICT (id) DO UPDATE SET catalogue = excluded.catalogue";
        self.execute(sqlx::query(SQL).bind(catalogue)).await
    }

    pub(super) async fn message_snapshot(&self) -> Result<Option<String>, StoreError> {
        // As a script, which one round trip sends and runs: no pooler can part it.
        const SQL: &str = "SELECT catalogue::text FROM message_snapshot";
        let mut lease = self.connections.lease().await?;
        let outcome = timeout(self.connections.limit(), lease.fetch_optional(sqlx::raw_sql(SQL))).await;
        lease.settle(outcome)?.map(|row| row.try_get(0).map_err(|error| classify(&error))).transpose()
    }

    pub(super) async fn prepare_months(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut lease = self.connections.lease().await?;
        let months = partitions::around(now);
        let outcome = timeout(self.connections.limit(), partitions::make(&mut lease, &months, false)).await;
        lease.settle(outcome)
    }

    pub(super) async fn months_ahead(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut lease = self.connections.lease().await?;
        let outcome = timeout(self.connections.limit(), partitions::ahead(&mut lease, now)).await;
        lease.settle(outcome)
    }

    async fn make_months_of(&self, ids: impl Iterator<Item = Uuid>) -> Result<(), StoreError> {
        let mut lease = self.connections.lease().await?;
        let months = partitions::of_ids(ids);
        let outcome = timeout(self.connections.limit(), partitions::make(&mut lease, &months, true)).await;
        lease.settle(outcome)
    }

    pub(super) async fn health(&self) -> Result<(), StoreError> {
        let mut lease = self.connections.lease().await?;
        let outcome = timeout(self.connections.limit(), lease.execute(sqlx::raw_sql(WRITE_NOTHING))).await;
        lease.settle(outcome).map(|_| ())
    }

    pub(super) fn connections(&self) -> (usize, usize) {
        self.connections.count()
    }

    pub(super) async fn close(&self) {
        self.connections.close().await;
    }

    /// Beside those that pings share, and without a limit of time.
    async fn spare_connection(&self) -> Result<PgConnection, StoreError> {
        self.connections.single().await.map_err(|error| match error {
            MigrationError::Store(error) => error,
            other => StoreError::unavailable(other.to_string()),
        })
    }

    /// Runs one statement, which commits itself.
    async fn execute(&self, query: Query<'_, Db, PgArguments>) -> Result<(), StoreError> {
        let pooled = self.connections.server.pooled;
        let query = query.persistent(!pooled);
        let mut lease: Lease<'_> = self.connections.lease().await?;
        let outcome = timeout(self.connections.limit(), async {
            if pooled { in_transaction(&mut lease, query).await } else { lease.execute(query).await.map(|_| ()) }
        })
        .await;
        lease.settle(outcome)
    }
}

/// sqlx parses in one round trip and runs in the next; only a transaction keeps a pooler from parting the two.
async fn in_transaction(connection: &mut PgConnection, query: Query<'_, Db, PgArguments>) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    transaction.execute(query).await?;
    transaction.commit().await
}

fn bind_pingbacks<'q>(sql: &'q str, rows: &[&'q PingbackRow], batch: Uuid) -> Query<'q, Db, PgArguments> {
    fn column<'q, T>(rows: &[&'q PingbackRow], of: impl Fn(&'q PingbackRow) -> T) -> Vec<T> {
        rows.iter().map(|row| of(row)).collect()
    }
    sqlx::query(AssertSqlSafe(sql))
        .bind(column(rows, |row| row.id))
        .bind(column(rows, |row| row.received_at))
        .bind(column(rows, |row| row.instance_id.as_str()))
        .bind(column(rows, |row| row.kolibri_version.as_str()))
        .bind(column(rows, |row| row.mode.as_str()))
        .bind(column(rows, |row| row.platform.as_str()))
        .bind(column(rows, |row| row.os))
        .bind(column(rows, |row| row.sysversion.as_str()))
        .bind(column(rows, |row| row.python_version.as_str()))
        .bind(column(rows, |row| row.database_id.as_str()))
        .bind(column(rows, |row| row.system_id.as_str()))
        .bind(column(rows, |row| row.node_id.as_str()))
        .bind(column(rows, |row| row.language.as_str()))
        .bind(column(rows, |row| row.timezone.as_str()))
        .bind(column(rows, |row| row.uptime))
        .bind(column(rows, |row| row.client_time))
        .bind(column(rows, |row| row.installer.as_str()))
        .bind(column(rows, |row| row.project.as_str()))
        .bind(column(rows, |row| row.ip.as_str()))
        .bind(column(rows, |row| row.country.as_str()))
        .bind(column(rows, |row| row.subdivision.as_str()))
        .bind(column(rows, |row| row.privacy_notice.as_str()))
        .bind(column(rows, |row| row.extra.as_str()))
        .bind(batch)
}
