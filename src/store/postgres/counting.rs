//! `instances` in PostgreSQL: what this process folded by a stroke, all else by SQL. Whoever deletes a batch's row of
//! `uncounted` counts it, in the same transaction: once, whoever else is at it or dies at it.

use std::{io, sync::LazyLock, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection, Postgres as Db,
    postgres::PgArguments,
    query::{Query, QueryScalar},
};
use tokio::time::timeout;
use uuid::Uuid;

use super::Postgres;
use crate::{
    domain::{Timestamp, new_id},
    store::{
        StoreError, instances,
        tally::{Folded, Line},
    },
};

/// Installations of one statement of a stroke: far from any time limit.
const SLICE: usize = 1_000;
/// Batches that SQL counts in one transaction: some thousand pings.
const STEP: usize = 10;

static COUNT: LazyLock<String> =
    LazyLock::new(|| count("unnest($1::uuid[], $2::timestamptz[], $3::bigint[]) AS lines (id, first, pings)"));
static COUNT_THESE: LazyLock<String> = LazyLock::new(|| take_and_count("batch = ANY ($1::uuid[])"));
static COUNT_OLD: LazyLock<String> = LazyLock::new(|| take_and_count("batch < $1"));

fn count(lines: &str) -> String {
    let sql = include_str!("../sql/postgres_count.sql").replace("/*lines*/", lines);
    format!("{sql}{}", instances::merge("LEAST", "GREATEST"))
}

/// What somebody else is counting is passed over.
fn take_and_count(which: &str) -> String {
    let lines = "(SELECT unnest(ids) AS id, NULL::timestamptz AS first, 1 AS pings FROM taken) AS lines";
    format!(
        "WITH chosen AS MATERIALIZED (
            SELECT batch FROM uncounted WHERE {which} ORDER BY batch LIMIT {STEP} FOR UPDATE SKIP LOCKED
        ), taken AS (
            DELETE FROM uncounted USING chosen WHERE uncounted.batch = chosen.batch RETURNING uncounted.ids
        ), counted AS (
            {}
        )
        SELECT count(*) FROM taken",
        count(lines)
    )
}

impl Postgres {
    /// The stroke; then, by SQL, what only SQL can count.
    pub(in crate::store) async fn count_own(&self) -> Result<(), StoreError> {
        let mut folded = self.tally.take();
        let stroke = if folded.batches.is_empty() { Ok(true) } else { self.stroke(&mut folded).await };
        if !matches!(stroke, Ok(true)) {
            folded.left.append(&mut folded.batches);
        }
        let mut result = stroke.map(|_| ());
        while result.is_ok() && !folded.left.is_empty() {
            let step = folded.left.split_off(folded.left.len().saturating_sub(STEP));
            result = self.take_and_count(COUNT_THESE.as_str(), |query| query.bind(step.clone())).await.map(|_| ());
            if result.is_err() {
                folded.left.extend(step);
            }
        }
        if result.is_err() {
            self.tally.leave(folded.left);
        }
        result
    }

    /// Counts what was committed before that moment and nobody has counted: their processes are gone.
    pub(in crate::store) async fn count_left(&self, before: Option<Timestamp>) -> Result<(), StoreError> {
        let before = before.map_or(Uuid::max(), |before| new_id(before, 0));
        while self.take_and_count(COUNT_OLD.as_str(), |query| query.bind(before)).await? > 0 {}
        Ok(())
    }

    /// False: somebody else counted one of these batches, so nothing was done.
    async fn stroke(&self, folded: &mut Folded<Uuid>) -> Result<bool, StoreError> {
        let (limit, persistent) = (self.connections.limit(), !self.connections.server.pooled);
        let mut lease = self.connections.lease().await?;
        let outcome = async {
            let mut transaction = within(limit, lease.begin()).await?;
            let delete = sqlx::query("DELETE FROM uncounted WHERE batch = ANY ($1)").bind(&folded.batches);
            let deleted = within(limit, delete.persistent(persistent).execute(&mut *transaction)).await?;
            if usize::try_from(deleted.rows_affected()) != Ok(folded.batches.len()) {
                within(limit, transaction.rollback()).await?;
                return Ok(false);
            }
            while !folded.installations.is_empty() {
                let slice = folded.slice(SLICE);
                let lines: Vec<Line> = slice.iter().flat_map(|(_, pings)| pings.lines()).collect();
                within(limit, bind(&lines).persistent(persistent).execute(&mut *transaction)).await?;
            }
            within(limit, transaction.commit()).await?;
            Ok(true)
        }
        .await;
        lease.settle(Ok(outcome))
    }

    /// Counts some of the batches by SQL alone; how many.
    async fn take_and_count(
        &self,
        sql: &'static str,
        bind: impl FnOnce(Number) -> Number + Send,
    ) -> Result<i64, StoreError> {
        let (limit, persistent) = (self.connections.limit(), !self.connections.server.pooled);
        let mut lease = self.connections.lease().await?;
        let query = bind(sqlx::query_scalar(AssertSqlSafe(sql))).persistent(persistent);
        let outcome = within(limit, async {
            // For the pooler's sake, as in `execute`.
            let mut transaction = lease.begin().await?;
            let batches = query.fetch_one(&mut *transaction).await?;
            transaction.commit().await?;
            Ok(batches)
        })
        .await;
        lease.settle(Ok(outcome))
    }
}

type Number = QueryScalar<'static, Db, i64, PgArguments>;

fn bind(lines: &[Line]) -> Query<'static, Db, PgArguments> {
    sqlx::query(AssertSqlSafe(COUNT.as_str()))
        .bind(lines.iter().map(|line| line.id).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.first).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| i64::from(line.count)).collect::<Vec<_>>())
}

/// A step of a transaction: a server that has stopped answering does not keep its own limit.
async fn within<T>(limit: Duration, step: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(limit, step).await.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
}
