//! The digest in PostgreSQL: one step a transaction, under a lock, on a connection of its own.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use tokio::time::timeout;
use uuid::Uuid;

use super::{Digester, Postgres, books::PostgresBooks};
use crate::store::{
    StoreError,
    digest::{Digested, Whose, own_step, step},
    error::classify,
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
        let mut taken = Vec::new();
        let result = if whose == Whose::Own && self.fresh.is_empty() {
            Ok(Digested::default())
        } else {
            let outcome = timeout(STEP, self.step(&mut digester, whose, &mut taken)).await;
            outcome.unwrap_or_else(|_| Err(StoreError::timeout("a digest", STEP)))
        };
        let result = if whose == Whose::Own { result } else { digester.waiting.after(taken, result) };
        self.fresh.after(whose, result)
    }

    pub(in crate::store) async fn much_to_digest(&self) {
        self.fresh.many().await;
    }

    /// `taken` is told which batches of others it is about, before anything can go wrong.
    async fn step(&self, digester: &mut Digester, whose: Whose, taken: &mut Vec<Uuid>) -> Result<Digested, StoreError> {
        let mut connection = match digester.connection.take() {
            Some(connection) => connection,
            None => self.spare_connection().await?,
        };
        let result = match whose {
            Whose::Own => {
                let own = async |books: &mut PostgresBooks<'_>| own_step(books, self.fresh.take(ROWS), ROWS).await;
                self.transaction(&mut connection, own).await
            }
            Whose::Others { age } => {
                let (fresh, waiting) = (self.fresh.batches(), &mut digester.waiting);
                let others =
                    async |books: &mut PostgresBooks<'_>| step(books, (ROWS, age), fresh, waiting, taken).await;
                self.transaction(&mut connection, others).await
            }
        };
        // If what was done with it leaves no doubt about it.
        if result.as_ref().err().is_none_or(StoreError::spares_connection) {
            digester.connection = Some(connection);
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
