//! The store in PostgreSQL: one statement per batch.

mod books;
mod changes;
mod digest;
mod leadership;
mod periods;
mod write;

use std::{sync::LazyLock, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, Postgres as Db, Row,
    migrate::Migrator,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use tokio::{sync::Mutex, time::timeout};
use uuid::Uuid;

pub use self::leadership::Candidate;
use super::{
    MigrationError, SetAside, StoreError,
    connections::{Connections, Lease},
    digest::Waiting,
    error::classify,
    fresh::Fresh,
    migrations::{POSTGRES, migrator},
    months,
    server::Server,
    state::{Shared, State},
};
use crate::{config::sections, domain::Timestamp};

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| migrator(&POSTGRES));

/// A write that PostgreSQL plans, permits and commits like any other: it fails if the schema or the right to write is missing,
/// or the server is read-only.
const WRITE_NOTHING: &str = "INSERT INTO set_aside SELECT * FROM set_aside WHERE false";

/// Key of the advisory lock under which the schema changes: "nutr" and a number.
const MIGRATIONS_LOCK: i64 = 0x6e75_7472_0000_0001;

/// How long a migration waits for a session that locks a table, or for another server that migrates.
const LOCK_WAIT: Duration = Duration::from_secs(20);

/// A PostgreSQL server; connections are opened when needed.
#[derive(Debug)]
pub struct Postgres {
    connections: Connections,
    state: Shared,
    fresh: Fresh<Uuid>,
    digester: Mutex<Digester>,
}

/// State of the digest between two steps.
#[derive(Debug, Default)]
struct Digester {
    /// `None` after a failure, until the next use.
    connection: Option<PgConnection>,
    waiting: Waiting<Uuid>,
}

impl Postgres {
    pub(super) fn new(server: Server, store: &sections::Store) -> Self {
        let connections =
            Connections::new(server, store.max_connections, store.acquire_timeout, store.statement_timeout);
        Self { connections, state: Shared::default(), fresh: Fresh::default(), digester: Mutex::default() }
    }

    pub(super) async fn migrate(&self, now: Timestamp) -> Result<(), MigrationError> {
        let mut connection = self.connections.single().await?;
        // One transaction holds the lock and all migrations: all or nothing, and a pooler cannot split it.
        let mut transaction = connection.begin().await?;
        if self.connections.server.pooled {
            // The migrator names its statements, and those of an earlier migration may still exist.
            transaction.execute("DEALLOCATE ALL").await?;
        }
        // The lock's holder is reported, and the migration is retried.
        let patience = format!("SET LOCAL lock_timeout = {}", LOCK_WAIT.as_millis());
        transaction.execute(sqlx::raw_sql(AssertSqlSafe(patience))).await?;
        let months_lock = months::MONTHS_LOCK;
        let lock = format!("SELECT pg_advisory_xact_lock({MIGRATIONS_LOCK}), pg_advisory_xact_lock({months_lock})");
        transaction.execute(sqlx::raw_sql(AssertSqlSafe(lock))).await?;
        compatible(&mut transaction).await?;
        // Not `run`, whose future is not provably Send (sqlx documents this workaround).
        MIGRATIONS.run_direct(None, &mut *transaction, false).await?;
        months::make_missing(&mut transaction, &months::around(now)).await?;
        transaction.commit().await?;
        let state = read_state(&mut connection).await;
        self.state.set(state.map_err(|error| classify(&error))?);
        let _ = connection.close().await;
        Ok(())
    }

    pub(super) fn state(&self) -> &Shared {
        &self.state
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
        // A script is sent and run in one round trip, so a pooler cannot split it.
        const SQL: &str = "SELECT catalogue::text FROM message_snapshot";
        let mut lease = self.connections.lease().await?;
        let outcome = timeout(self.connections.limit(), lease.fetch_optional(sqlx::raw_sql(SQL))).await;
        lease.settle(outcome)?.map(|row| row.try_get(0).map_err(|error| classify(&error))).transpose()
    }

    pub(super) async fn prepare_months(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut lease = self.connections.lease().await?;
        let months = months::around(now);
        let outcome = timeout(self.connections.limit(), months::make(&mut lease, &months, false)).await;
        lease.settle(outcome)
    }

    pub(super) async fn months_ahead(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut lease = self.connections.lease().await?;
        let outcome = timeout(self.connections.limit(), months::ahead(&mut lease, now)).await;
        lease.settle(outcome)
    }

    /// Compares with the middle of a round trip.
    pub(super) async fn clock_ahead(&self, now: impl Fn() -> Timestamp + Send) -> Result<i64, StoreError> {
        let mut lease = self.connections.lease().await?;
        let before = now();
        let outcome = timeout(self.connections.limit(), async {
            let row = lease.fetch_one(sqlx::raw_sql("SELECT clock_timestamp()")).await?;
            row.try_get::<Timestamp, _>(0)
        })
        .await;
        let after = now();
        let theirs = lease.settle(outcome)?;
        Ok((before + (after - before) / 2 - theirs).num_seconds())
    }

    pub(super) async fn outbox(&self) -> Result<(i64, Duration), StoreError> {
        const SQL: &str =
            "SELECT count(*), greatest(extract(epoch FROM now() - min(written_at)), 0)::float8 FROM outbox";
        let mut lease = self.connections.lease().await?;
        let outcome = timeout(self.connections.limit(), async {
            let row = lease.fetch_one(sqlx::raw_sql(SQL)).await?;
            Ok((row.try_get(0)?, row.try_get::<Option<f64>, _>(1)?))
        })
        .await;
        let (batches, age) = lease.settle(outcome)?;
        Ok((batches, Duration::try_from_secs_f64(age.unwrap_or_default()).unwrap_or_default()))
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
        if let Some(connection) = self.digester.lock().await.connection.take() {
            let _ = connection.close().await;
        }
    }

    /// A connection in addition to the pool, without a statement timeout.
    async fn spare_connection(&self) -> Result<PgConnection, StoreError> {
        self.connections.single().await.map_err(|error| match error {
            MigrationError::Store(error) => error,
            other => StoreError::unavailable(other.to_string()),
        })
    }

    /// Runs one statement in a transaction of its own.
    async fn execute(&self, query: Query<'_, Db, PgArguments>) -> Result<(), StoreError> {
        self.rows(query).await.map(|_| ())
    }

    /// Runs one statement and returns its rows.
    async fn rows(&self, query: Query<'_, Db, PgArguments>) -> Result<Vec<PgRow>, StoreError> {
        let pooled = self.connections.server.pooled;
        let query = query.persistent(!pooled);
        let mut lease: Lease<'_> = self.connections.lease().await?;
        let outcome = timeout(self.connections.limit(), async {
            if pooled { in_transaction(&mut lease, query).await } else { lease.fetch_all(query).await }
        })
        .await;
        lease.settle(outcome)
    }
}

/// sqlx parses in one round trip and runs in the next; only a transaction keeps a pooler from splitting them.
async fn in_transaction(connection: &mut PgConnection, query: Query<'_, Db, PgArguments>) -> sqlx::Result<Vec<PgRow>> {
    let mut transaction = connection.begin().await?;
    let rows = transaction.fetch_all(query).await?;
    transaction.commit().await?;
    Ok(rows)
}

/// Checks whether this version can use the schema, if a later version has changed it.
async fn compatible(connection: &mut PgConnection) -> Result<(), MigrationError> {
    const IS_NEW: &str = "SELECT to_regclass('_sqlx_migrations') IS NULL";
    const LATER: &str = "SELECT (SELECT max(version) FROM _sqlx_migrations), oldest_program FROM store_state";
    if connection.fetch_one(sqlx::raw_sql(IS_NEW)).await?.try_get(0)? {
        return Ok(());
    }
    let newest = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    let row = connection.fetch_one(sqlx::raw_sql(LATER)).await?;
    let (applied, oldest): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if applied <= newest || oldest <= newest { Ok(()) } else { Err(MigrationError::Newer { version: applied }) }
}

async fn read_state(connection: &mut PgConnection) -> sqlx::Result<State> {
    // A script is sent and run in one round trip, so a pooler cannot split it.
    const SQL: &str = "SELECT generation, tableoid::bigint, pg_postmaster_start_time(), sealed_before FROM store_state";
    let row = connection.fetch_one(sqlx::raw_sql(SQL)).await?;
    Ok(State {
        generation: row.try_get(0)?,
        table: row.try_get(1)?,
        started: row.try_get(2)?,
        sealed_before: row.try_get(3)?,
    })
}

fn column<'q, R, T>(rows: &[&'q R], of: impl Fn(&'q R) -> T) -> Vec<T> {
    rows.iter().map(|row| of(row)).collect()
}
