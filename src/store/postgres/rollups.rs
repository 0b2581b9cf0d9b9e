//! The tables that the views of the schema `reporting` read: pings counted by period, and what follows from one ping to the
//! next (docs/decisions/0080-rollups.md).

use std::time::Duration;

use chrono::NaiveDate;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Postgres as Db, Row, Transaction};
use tokio::time::timeout;

use super::Postgres;
use crate::{
    domain::Timestamp,
    store::{StoreError, error::classify},
};

/// Key of the advisory lock under which a step is taken: "nutr" and a number.
const LOCK: i64 = 0x6e75_7472_0000_0004;

/// Younger ones are left for later, as one with a smaller id may still be under way.
const SETTLED: Duration = Duration::from_mins(10);
/// What one step reads at most, so that none takes long.
const PINGS: i64 = 50_000;
const REPORTS: i64 = 5_000;
/// Beyond, a step is given up; it is repeated later.
const LONGEST: Duration = Duration::from_mins(15);

/// A step uses one processor only, so that pings do not notice.
const GENTLY: &str = "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off; SET LOCAL work_mem = '64MB'";

/// The newest period that has not been counted, or was while it lasted and more than an hour ago. Within a day after its end it
/// is counted again, for what came late.
const DUE: &str = "
SELECT grain, begins::date, ends::date
FROM (SELECT received_at AS first FROM pingbacks ORDER BY id LIMIT 1) AS pings
CROSS JOIN (VALUES ('day'), ('week'), ('month')) AS grains (grain)
CROSS JOIN LATERAL generate_series(date_trunc(grain, first AT TIME ZONE 'UTC'), $1 AT TIME ZONE 'UTC', ('1 ' || grain)::interval) AS begins
CROSS JOIN LATERAL (SELECT begins + ('1 ' || grain)::interval AS ends) AS _
LEFT JOIN rollup_periods AS period USING (grain, begins)
WHERE counted_at IS NULL OR counted_at < least((ends + interval '1 day') AT TIME ZONE 'UTC', $1 - interval '1 hour')
ORDER BY begins DESC, grain LIMIT 1";

const FORGET: &str = "WITH retention AS (DELETE FROM rollup_retention WHERE $1 = 'month' AND month = $2)
    DELETE FROM rollup_activity WHERE grain = $1 AND begins = $2";
const COUNTED: &str = "INSERT INTO rollup_periods (grain, begins, counted_at) VALUES ($1, $2, $3)
    ON CONFLICT (grain, begins) DO UPDATE SET counted_at = excluded.counted_at";

/// A day, week or month.
struct Period {
    grain: String,
    begins: NaiveDate,
    ends: NaiveDate,
}

impl Postgres {
    /// Brings the rollups up to `now`; false if another process is at it.
    pub(in crate::store) async fn roll_up(&self, now: Timestamp) -> Result<bool, StoreError> {
        let mut connection = self.spare_connection().await?;
        loop {
            let step = timeout(LONGEST, step(&mut connection, now)).await;
            match step.map_err(|_| StoreError::timeout("a rollup", LONGEST))?.map_err(|error| classify(&error))? {
                Step::More => {}
                Step::Done => break,
                Step::Busy => return Ok(false),
            }
        }
        let _ = connection.close().await;
        Ok(true)
    }
}

enum Step {
    More,
    Done,
    Busy,
}

/// One transaction; each is repeated as a whole or not at all.
async fn step(connection: &mut PgConnection, now: Timestamp) -> Result<Step, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let lock = format!("SELECT pg_try_advisory_xact_lock({LOCK})");
    let row = transaction.fetch_one(sqlx::raw_sql(AssertSqlSafe(lock))).await?;
    if !row.try_get::<bool, _>(0)? {
        return Ok(Step::Busy);
    }
    transaction.execute(sqlx::raw_sql(GENTLY)).await?;
    let more = follow(&mut transaction, include_str!("../sql/rollup_steps.sql"), now, PINGS).await?
        || follow(&mut transaction, include_str!("../sql/rollup_usage.sql"), now, REPORTS).await?
        || count_one(&mut transaction, now).await?;
    transaction.commit().await?;
    Ok(if more { Step::More } else { Step::Done })
}

/// Reads on from a cursor; whether there was something.
async fn follow(
    transaction: &mut Transaction<'_, Db>,
    sql: &'static str,
    now: Timestamp,
    most: i64,
) -> Result<bool, sqlx::Error> {
    let row = sqlx::query(sql).bind(now - SETTLED).bind(most).persistent(false).fetch_one(&mut **transaction).await?;
    Ok(row.try_get::<i64, _>(0)? > 0)
}

/// Counts the period that is due, if one is.
async fn count_one(transaction: &mut Transaction<'_, Db>, now: Timestamp) -> Result<bool, sqlx::Error> {
    let due = sqlx::query(DUE).bind(now).persistent(false).fetch_optional(&mut **transaction).await?;
    let Some(row) = due else { return Ok(false) };
    let period = Period { grain: row.try_get(0)?, begins: row.try_get(1)?, ends: row.try_get(2)? };
    let of_period = |sql| sqlx::query(sql).bind(&period.grain).bind(period.begins).persistent(false);
    of_period(FORGET).execute(&mut **transaction).await?;
    of_period(include_str!("../sql/rollup_period.sql")).bind(period.ends).execute(&mut **transaction).await?;
    of_period(COUNTED).bind(now).execute(&mut **transaction).await?;
    Ok(true)
}
