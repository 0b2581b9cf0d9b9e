//! Counting the days, weeks and months in which something has changed.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Connection, FromRow, PgConnection, Postgres as Db, Row, Transaction,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use tokio::time::timeout;

use super::{Postgres, column};
use crate::{
    domain::{
        digest::activity::Counted,
        new_id,
        period::{Grain, Period, midnight},
    },
    store::{
        StoreError,
        error::classify,
        periods::{self, CountError, Due},
    },
};

/// Keys of the advisory locks under which periods are counted, one for each grain: "nutr" and a number.
const LOCKS: [i64; 3] = [0x6e75_7472_0000_0005, 0x6e75_7472_0000_0006, 0x6e75_7472_0000_0007];

/// The server's limit of one count. Some hundred million pings take half an hour.
const LONGEST: Duration = Duration::from_hours(2);
/// A failure counts as so long at most: a period that fails is tried again within an hour.
const LONGEST_FAILURE: Duration = Duration::from_mins(6);
/// How long a server that does not keep its limit is waited for beyond it.
const MARGIN: Duration = Duration::from_mins(1);

/// The latest period that has changed since it was counted, or is no longer the last one, and is due. When it is due, not whether,
/// is decided by the clock of the database; a clock that was put back makes it due at once. While many batches wait for the digest
/// (after an import, say) what has passed would soon be counted again, so it is counted less often.
const DUE: &str = "SELECT begins, changes, begins = latest AS is_last
    FROM periods, store_state, (SELECT max(begins) AS latest FROM periods WHERE grain = $1) AS latest
    WHERE grain = $1 AND (changes <> counted OR provisional AND begins < latest) AND begins >= sealed_before
        AND (tried_at > now() OR CASE
            WHEN begins < latest AND (SELECT count(*) FROM outbox
                WHERE written_at BETWEEN now() - interval '2 hours' AND now() - interval '1 minute') >= 100
            THEN coalesce(tried_at, added_at) + 10 * greatest($2 * interval '1 second', $3 * took) <= now()
            ELSE tried_at IS NULL OR tried_at + greatest($2 * interval '1 second', $3 * took) <= now()
        END)
    ORDER BY begins DESC LIMIT 1";

/// One processor, and memory for the groups. A server that knows how looks now and then whether the process is still there.
const GENTLY: &str = "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off; SET LOCAL work_mem = '128MB'; \
    SELECT set_config('client_connection_check_interval', '10s', true) WHERE current_setting('server_version_num')::int >= 140000";

impl Postgres {
    pub(in crate::store) async fn count_period(&self, grain: Grain) -> Result<Option<Period>, CountError> {
        // On a connection that is there: so none is opened for nothing.
        let found = self.rows(due(grain)).await?;
        let Some(row) = found.first() else { return Ok(None) };
        let mut period = due_of(grain, row).map_err(|error| classify(&error))?.period;
        let failed = |error| CountError { period: Some(period), error };
        let mut connection = self.spare_connection().await.map_err(failed)?;
        let started = Instant::now();
        let outcome = timeout(LONGEST + MARGIN, count(&mut connection, &mut period)).await;
        let result = outcome.map_err(|_| StoreError::timeout("a count", LONGEST)).flatten();
        let _ = connection.close().await;
        let result = result.map_err(|error| CountError { period: Some(period), error });
        if result.is_err() {
            // Others are counted first. If that cannot be written, nothing can, and the first error says more.
            let _ = self.tried(period, started.elapsed().min(LONGEST_FAILURE)).await;
        }
        Ok(result?.then_some(period))
    }

    async fn tried(&self, period: Period, took: Duration) -> Result<(), StoreError> {
        const SQL: &str =
            "UPDATE periods SET tried_at = now(), took = $3 * interval '1 second' WHERE grain = $1 AND begins = $2";
        let query = sqlx::query(SQL).bind(period.grain.name()).bind(period.begins).bind(took.as_secs_f64());
        self.execute(query).await
    }
}

fn due(grain: Grain) -> Query<'static, Db, PgArguments> {
    let (seconds, times) = periods::pauses(grain);
    sqlx::query(DUE).bind(grain.name()).bind(seconds).bind(times)
}

fn due_of(grain: Grain, row: &PgRow) -> sqlx::Result<Due> {
    let period = Period { grain, begins: row.try_get(0)? };
    Ok(Due { period, changes: row.try_get(1)?, is_last: row.try_get(2)? })
}

/// Counts what is due, as a whole in one transaction, and tells which period that is. False if another process is at it or has been,
/// or the period was sealed meanwhile.
async fn count(connection: &mut PgConnection, period: &mut Period) -> Result<bool, StoreError> {
    // If something has changed meanwhile, `changes` says so.
    const COUNTED: &str =
        "UPDATE periods SET counted = $3, provisional = $4, tried_at = now(), took = $5 * interval '1 second'
        FROM store_state WHERE grain = $1 AND begins = $2 AND begins >= sealed_before";
    let grain = period.grain;
    let count = async {
        let mut transaction = connection.begin().await?;
        let begin = format!(
            "SET LOCAL statement_timeout = {}; {GENTLY}; SELECT pg_try_advisory_xact_lock({})",
            LONGEST.as_millis(),
            LOCKS[grain as usize],
        );
        let locked = sqlx::raw_sql(AssertSqlSafe(begin)).fetch_all(&mut *transaction).await?;
        if !locked.last().map_or(Ok(false), |row| row.try_get(0))? {
            return Ok(false);
        }
        let started = Instant::now();
        let found = due(grain).persistent(false).fetch_optional(&mut *transaction).await?;
        let Some(due) = found.map(|row| due_of(grain, &row)).transpose()? else { return Ok(false) };
        *period = due.period;
        let counted = read(&mut transaction, due).await?;
        write(&mut transaction, *period, &counted).await?;
        let counted = sqlx::query(COUNTED).bind(grain.name()).bind(period.begins).bind(due.changes);
        let counted = counted.bind(due.is_last).bind(started.elapsed().as_secs_f64()).persistent(false);
        if counted.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    };
    count.await.map_err(|error: sqlx::Error| classify(&error))
}

async fn read(transaction: &mut Transaction<'_, Db>, Due { period, is_last, .. }: Due) -> sqlx::Result<Counted> {
    let begin = midnight(period.begins);
    let is_month = period.grain == Grain::Month;
    let query = if is_last {
        sqlx::query(include_str!("../sql/postgres_last_period.sql")).bind(begin).bind(is_month)
    } else {
        let (from, to) = (new_id(begin, 0), new_id(midnight(period.ends()), 0));
        sqlx::query(include_str!("../sql/postgres_period.sql")).bind(from).bind(to).bind(begin).bind(is_month)
    };
    let mut rows = query.persistent(false).fetch(&mut **transaction);
    let mut counted = Counted::default();
    while let Some(row) = rows.try_next().await? {
        counted.add(periods::group(FromRow::from_row(&row)?));
    }
    Ok(counted)
}

/// Puts the new rows of a period in the place of the old ones.
async fn write(transaction: &mut Transaction<'_, Db>, period: Period, counted: &Counted) -> sqlx::Result<()> {
    const NO_ACTIVITY: &str = "DELETE FROM activity WHERE grain = $1 AND begins = $2";
    const ACTIVITY: &str = "INSERT INTO activity (grain, begins, ordinary, release, build, os, country, instances, new_instances, pings)
        SELECT $1, $2, ordinary, release, build, os, country, instances, new_instances, pings
        FROM unnest($3::boolean[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[])
            AS kind (ordinary, release, build, os, country, instances, new_instances, pings)";
    const NO_COHORTS: &str = "DELETE FROM cohorts WHERE month = $1";
    const COHORTS: &str = "INSERT INTO cohorts (month, cohort, ordinary, instances)
        SELECT $1, cohort, ordinary, instances
        FROM unnest($2::date[], $3::boolean[], $4::bigint[]) AS part (cohort, ordinary, instances)";
    let of_period = |sql| sqlx::query(sql).bind(period.grain.name()).bind(period.begins).persistent(false);
    of_period(NO_ACTIVITY).execute(&mut **transaction).await?;
    let kinds: Vec<_> = counted.activity.keys().collect();
    let counts: Vec<_> = counted.activity.values().collect();
    of_period(ACTIVITY)
        .bind(column(&kinds, |kind| kind.ordinary))
        .bind(column(&kinds, |kind| kind.release.as_str()))
        .bind(column(&kinds, |kind| kind.build))
        .bind(column(&kinds, |kind| kind.os.as_str()))
        .bind(column(&kinds, |kind| kind.country.as_str()))
        .bind(column(&counts, |counts| counts.instances))
        .bind(column(&counts, |counts| counts.new_instances))
        .bind(column(&counts, |counts| counts.pings))
        .execute(&mut **transaction)
        .await?;
    if period.grain == Grain::Month {
        let query = sqlx::query(NO_COHORTS).bind(period.begins).persistent(false);
        query.execute(&mut **transaction).await?;
        let query = sqlx::query(COHORTS)
            .bind(period.begins)
            .bind(counted.cohorts.keys().map(|cohort| cohort.0).collect::<Vec<_>>())
            .bind(counted.cohorts.keys().map(|cohort| cohort.1).collect::<Vec<_>>())
            .bind(counted.cohorts.values().copied().collect::<Vec<_>>());
        query.persistent(false).execute(&mut **transaction).await?;
    }
    Ok(())
}
