//! The digest in PostgreSQL: one step a transaction, under a lock, on a connection of its own.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use tokio::time::timeout;
use uuid::Uuid;

use super::{Digester, Postgres, books::PostgresBooks};
use crate::{
    domain::digest::pings::Ping,
    store::{
        StoreError,
        digest::{Digested, Waiting, Whose, own_step, step},
        error::classify,
    },
};

/// Key of the advisory lock under which a step is taken: "nutr" and a number.
const LOCK: i64 = 0x6e75_7472_0000_0004;
/// Rows of one step: some tenths of a second.
const ROWS: usize = 10_000;
/// The server's limit of a statement; a step takes some tenths of a second. A dead process's statement must not hold the lock.
const STATEMENT: Duration = Duration::from_mins(1);
/// The limit of a whole step, as a server that has stopped answering does not keep its own.
const STEP: Duration = Duration::from_mins(5);

/// Few rows out of large tables, by their keys, on one processor: pings must not notice.
const BY_KEY: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
    SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL plan_cache_mode = force_custom_plan";

impl Postgres {
    pub(in crate::store) async fn digest(&self, whose: Whose) -> Result<Digested, StoreError> {
        let mut digester = self.digester.lock().await;
        let own = if whose == Whose::Own { self.fresh.take(ROWS) } else { Vec::new() };
        if own.is_empty() && whose == Whose::Own {
            return Ok(Digested { behind: self.fresh.is_behind(), ..Digested::default() });
        }
        let connection = match digester.connection.take() {
            Some(connection) => connection,
            None => self.spare_connection().await?,
        };
        let outcome = timeout(STEP, self.keeping(connection, &mut digester, whose, own)).await;
        let result = outcome.unwrap_or_else(|_| Err(StoreError::timeout("a digest", STEP)));
        self.fresh.after(whose, &result);
        let done = Digested::or_refused(result)?;
        Ok(Digested { behind: self.fresh.is_behind(), ..done })
    }

    pub(in crate::store) async fn much_to_digest(&self) {
        self.fresh.many().await;
    }

    /// Keeps the connection if what was done with it leaves no doubt about it.
    async fn keeping(
        &self,
        mut connection: PgConnection,
        digester: &mut Digester,
        whose: Whose,
        own: Vec<(Uuid, Vec<Ping>)>,
    ) -> Result<Digested, StoreError> {
        let result = self.steps(&mut connection, &mut digester.waiting, whose, own).await;
        if result.as_ref().err().is_none_or(StoreError::spares_connection) {
            digester.connection = Some(connection);
        }
        result
    }

    async fn steps(
        &self,
        connection: &mut PgConnection,
        waiting: &mut Waiting<Uuid>,
        whose: Whose,
        own: Vec<(Uuid, Vec<Ping>)>,
    ) -> Result<Digested, StoreError> {
        let Whose::Others { age } = whose else {
            return self.transaction(connection, async |books| own_step(books, own, ROWS).await).await;
        };
        let mut taken = Vec::new();
        let mut result = self
            .transaction(connection, async |books| {
                step(books, (ROWS, age), self.fresh.batches(), waiting, &mut taken).await
            })
            .await;
        if matches!(result, Err(StoreError::Rejected { .. })) && taken.len() > 1 {
            // It must not keep the others from it.
            taken.clear();
            result = self
                .transaction(connection, async |books| {
                    step(books, (1, age), self.fresh.batches(), waiting, &mut taken).await
                })
                .await;
        }
        if matches!(result, Err(StoreError::Rejected { .. })) {
            waiting.add(taken);
        }
        result
    }

    async fn transaction(
        &self,
        connection: &mut PgConnection,
        work: impl AsyncFnOnce(&mut PostgresBooks<'_>) -> sqlx::Result<Digested>,
    ) -> Result<Digested, StoreError> {
        let persistent = !self.connections.server.pooled;
        let done = async {
            let mut transaction = connection.begin().await?;
            let sql = format!(
                "SET LOCAL statement_timeout = {}; {BY_KEY}; SELECT pg_try_advisory_xact_lock({LOCK})",
                STATEMENT.as_millis()
            );
            let row = transaction.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
            if !row.try_get::<bool, _>(0)? {
                transaction.rollback().await?;
                return Ok(Digested { busy: true, ..Digested::default() });
            }
            let mut books = PostgresBooks { transaction, persistent };
            let result = work(&mut books).await;
            if result.is_ok() {
                books.transaction.commit().await?;
            } else {
                // The lock goes with it. If this fails too, the connection ends.
                let _ = books.transaction.rollback().await;
            }
            result
        };
        done.await.map_err(|error: sqlx::Error| classify(&error))
    }
}
