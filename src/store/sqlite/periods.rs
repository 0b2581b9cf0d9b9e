//! Counting the days, weeks and months in which something has changed: read beside the writer, then written in one go.

use std::time::Instant;

use sqlx::{ConnectOptions, Connection, FromRow, SqliteConnection};

use super::{Sqlite, json, text};
use crate::{
    domain::{
        digest::activity::Counted,
        new_id,
        period::{Grain, Period, midnight},
    },
    store::{
        error::classify,
        periods::{self, CountError, Due},
    },
};

/// The latest period that has changed since it was counted, or is no longer the last one, and is due. When it is due, not whether,
/// is decided by the clock; one that was put back makes it due at once.
const DUE: &str = "SELECT begins, changes, begins = (SELECT max(begins) FROM periods WHERE grain = ?1) AS is_last
    FROM periods, store_state
    WHERE grain = ?1 AND begins >= sealed_before
        AND (changes <> counted OR provisional AND begins < (SELECT max(begins) FROM periods WHERE grain = ?1))
        AND (tried_at IS NULL OR tried_at > unixepoch('now', 'subsec')
            OR tried_at + max(?2, ?3 * took) <= unixepoch('now', 'subsec'))
    ORDER BY begins DESC LIMIT 1";

impl Sqlite {
    pub(in crate::store) async fn count_period(&self, grain: Grain) -> Result<Option<Period>, CountError> {
        let mut reader = self.options.clone().read_only(true).connect().await.map_err(|error| classify(&error))?;
        let begun = Instant::now();
        let read = read(&mut reader, grain).await;
        let _ = reader.close().await;
        let Some((due, counted)) = read.map_err(|error| classify(&error))? else { return Ok(None) };
        let mut writer = self.writer().await?;
        let result = match counted {
            Ok(counted) => write(&mut writer, due, &counted, begun.elapsed().as_secs_f64()).await,
            Err(error) => Err(error),
        };
        if result.is_err() {
            // Others are counted first. If that cannot be written, nothing can, and the first error says more.
            let _ = tried(&mut writer, due.period, begun.elapsed().as_secs_f64()).await;
        }
        let is_counted = writer.settle(result).map_err(|error| CountError { period: Some(due.period), error })?;
        Ok(is_counted.then_some(due.period))
    }
}

/// The period that is due, and what it comes to: of one snapshot.
async fn read(connection: &mut SqliteConnection, grain: Grain) -> sqlx::Result<Option<(Due, sqlx::Result<Counted>)>> {
    let mut transaction = connection.begin().await?;
    let (seconds, times) = periods::pauses(grain);
    let due = sqlx::query_as(DUE).bind(grain.name()).bind(seconds).bind(times);
    let Some((begins, changes, is_last)) = due.fetch_optional(&mut *transaction).await? else { return Ok(None) };
    let due = Due { period: Period { grain, begins }, changes, is_last };
    Ok(Some((due, count(&mut transaction, due).await)))
}

async fn count(connection: &mut SqliteConnection, Due { period, is_last, .. }: Due) -> sqlx::Result<Counted> {
    let grain = period.grain;
    let (begin, is_month) = (midnight(period.begins), grain == Grain::Month);
    let query = if is_last {
        sqlx::query(include_str!("../sql/sqlite_last_period.sql")).bind(text(begin)).bind(is_month)
    } else {
        let (from, to) = (new_id(begin, 0).to_string(), new_id(midnight(period.ends()), 0).to_string());
        sqlx::query(include_str!("../sql/sqlite_period.sql")).bind(from).bind(to).bind(text(begin)).bind(is_month)
    };
    let mut counted = Counted::default();
    for row in query.fetch_all(connection).await? {
        counted.add(periods::group(FromRow::from_row(&row)?));
    }
    Ok(counted)
}

async fn tried(connection: &mut SqliteConnection, period: Period, took: f64) -> sqlx::Result<()> {
    const SQL: &str =
        "UPDATE periods SET tried_at = unixepoch('now', 'subsec'), took = ?3 WHERE grain = ?1 AND begins = ?2";
    let query = sqlx::query(SQL).bind(period.grain.name()).bind(period.begins).bind(took);
    query.execute(connection).await.map(|_| ())
}

/// Puts the new rows of a period in the place of the old ones; not if it was sealed meanwhile.
async fn write(
    connection: &mut SqliteConnection,
    Due { period, changes, is_last }: Due,
    counted: &Counted,
    took: f64,
) -> sqlx::Result<bool> {
    const ACTIVITY: &str = "INSERT INTO activity (grain, begins, ordinary, release, build, os, country, instances, new_instances, pings)
        SELECT ?1, ?2, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7 FROM json_each(?3)";
    const COHORTS: &str = "INSERT INTO cohorts (month, cohort, ordinary, instances)
        SELECT ?1, value ->> 0, value ->> 1, value ->> 2 FROM json_each(?2)";
    // If something has changed meanwhile, `changes` says so.
    const COUNTED: &str =
        "UPDATE periods SET counted = ?3, provisional = ?4, tried_at = unixepoch('now', 'subsec'), took = ?5
        WHERE grain = ?1 AND begins = ?2 AND begins >= (SELECT sealed_before FROM store_state)";
    let (grain, begins) = (period.grain.name(), period.begins);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let none = sqlx::query("DELETE FROM activity WHERE grain = ?1 AND begins = ?2").bind(grain).bind(begins);
    none.execute(&mut *transaction).await?;
    let activity = counted.activity.iter().map(|(kind, counts)| {
        let (instances, new, pings) = (counts.instances, counts.new_instances, counts.pings);
        (kind.ordinary, &kind.release, kind.build, &kind.os, &kind.country, instances, new, pings)
    });
    let activity = json(&activity.collect::<Vec<_>>())?;
    sqlx::query(ACTIVITY).bind(grain).bind(begins).bind(activity).execute(&mut *transaction).await?;
    if period.grain == Grain::Month {
        sqlx::query("DELETE FROM cohorts WHERE month = ?1").bind(begins).execute(&mut *transaction).await?;
        let cohorts = counted.cohorts.iter().map(|((cohort, ordinary), instances)| (cohort, ordinary, instances));
        let cohorts = json(&cohorts.collect::<Vec<_>>())?;
        sqlx::query(COHORTS).bind(begins).bind(cohorts).execute(&mut *transaction).await?;
    }
    let update = sqlx::query(COUNTED).bind(grain).bind(begins).bind(changes).bind(is_last).bind(took);
    if update.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Ok(false);
    }
    transaction.commit().await?;
    Ok(true)
}
