//! Months: one partition per month of the tables of pings and statistics, bounded by two UUIDv7.

use std::collections::{BTreeSet, HashSet};

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;

use crate::domain::Timestamp;

/// Key of the advisory lock for creating months: "nutr" and a number.
pub(super) const MONTHS_LOCK: i64 = 0x6e75_7472_0000_0002;

/// The tables that are partitioned by month.
const TABLES: [&str; 4] = ["pings", "statistics", "channel_statistics", "facility_statistics"];

/// Number of months that are created in advance.
const AHEAD: u32 = 3;

/// The first day of a month, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Month(NaiveDate);

impl Month {
    fn of(moment: DateTime<Utc>) -> Option<Self> {
        moment.date_naive().with_day(1).map(Self)
    }

    /// The month of a row with this id; `None` if the id contains no time.
    fn of_id(id: Uuid) -> Option<Self> {
        let millis = i64::try_from(id.as_u128() >> 80).ok()?;
        Self::of(DateTime::from_timestamp_millis(millis)?)
    }

    /// The name of the month's partition of a table.
    fn of_table(self, table: &str) -> String {
        format!("{table}_{:04}_{:02}", self.0.year(), self.0.month())
    }

    /// The smallest id of this month.
    fn begin(self) -> Uuid {
        let millis = self.0.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis();
        Uuid::from_u128(u128::try_from(millis).unwrap_or_default() << 80)
    }

    fn next(self) -> Option<Self> {
        self.0.checked_add_months(Months::new(1)).map(Self)
    }
}

/// The current month, the one before (for late pings) and those in advance.
pub(super) fn around(now: Timestamp) -> BTreeSet<Month> {
    let Some(present) = Month::of(now) else { return BTreeSet::new() };
    let before = present.0.checked_sub_months(Months::new(1)).map(Month);
    let from = before.unwrap_or(present);
    std::iter::successors(Some(from), |month| month.next()).take(AHEAD as usize + 2).collect()
}

/// The months of these ids.
pub(super) fn of_ids(ids: impl Iterator<Item = Uuid>) -> BTreeSet<Month> {
    ids.filter_map(Month::of_id).collect()
}

/// Creates missing partitions of these months, in a transaction of its own.
///
/// With `wait` they exist when it returns; without, another process may still be creating them.
pub(super) async fn make(
    connection: &mut PgConnection,
    months: &BTreeSet<Month>,
    wait: bool,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let lock = if wait {
        format!("SELECT pg_advisory_xact_lock({MONTHS_LOCK}) IS NOT NULL")
    } else {
        format!("SELECT pg_try_advisory_xact_lock({MONTHS_LOCK})")
    };
    let row = sqlx::raw_sql(AssertSqlSafe(lock)).fetch_one(&mut *transaction).await?;
    if sqlx::Row::try_get::<bool, _>(&row, 0)? {
        make_missing(&mut transaction, months).await?;
    }
    transaction.commit().await
}

/// Creates missing partitions within the caller's transaction, which holds the lock.
pub(super) async fn make_missing(connection: &mut PgConnection, months: &BTreeSet<Month>) -> Result<(), sqlx::Error> {
    let attached = attached(connection).await?;
    for (month, table) in months.iter().flat_map(|month| TABLES.map(|table| (month, table))) {
        let Some(next) = month.next().filter(|_| !attached.contains(&month.of_table(table))) else { continue };
        let name = free_name(connection, &month.of_table(table)).await?;
        // Created separately and then attached: unlike PARTITION OF this neither waits for writers nor blocks them.
        let sql = format!(
            "CREATE TABLE {name} (LIKE {table} INCLUDING ALL);
            ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{}') TO ('{}')",
            month.begin(),
            next.begin()
        );
        connection.execute(AssertSqlSafe(sql)).await?;
    }
    Ok(())
}

/// The name, or the name with a number if it is taken: a detached month still exists under its name.
async fn free_name(connection: &mut PgConnection, name: &str) -> Result<String, sqlx::Error> {
    let names = std::iter::once(name.to_owned()).chain((2..).map(|number| format!("{name}_{number}")));
    for name in names {
        let taken = format!("SELECT to_regclass('{name}') IS NOT NULL");
        let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(taken))).await?;
        if !sqlx::Row::try_get::<bool, _>(&row, 0)? {
            return Ok(name);
        }
    }
    Ok(name.to_owned())
}

/// Number of months after the current one that exist, up to the first gap.
pub(super) async fn ahead(connection: &mut PgConnection, now: Timestamp) -> Result<usize, sqlx::Error> {
    let attached = attached(connection).await?;
    let is_made = |month: &Month| TABLES.iter().all(|table| attached.contains(&month.of_table(table)));
    let after = Month::of(now).and_then(Month::next);
    Ok(std::iter::successors(after, |month| month.next()).take_while(is_made).count())
}

/// The attached months, by the names that they have, or would have if the names had been free.
async fn attached(connection: &mut PgConnection) -> Result<HashSet<String>, sqlx::Error> {
    const ATTACHED: &str = "SELECT substring(part.relname FROM '^.*_[0-9]{4}_[0-9]{2}') \
        FROM pg_inherits JOIN pg_class AS part ON part.oid = inhrelid \
        WHERE inhparent IN ('pings'::regclass, 'statistics'::regclass, 'channel_statistics'::regclass, \
            'facility_statistics'::regclass)";
    let rows = sqlx::raw_sql(ATTACHED).fetch_all(connection).await?;
    rows.iter().filter_map(|row| sqlx::Row::try_get(row, 0).transpose()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::new_id;

    #[test]
    fn a_month_contains_the_ids_of_its_time() {
        let last: Timestamp = "2026-12-31T23:59:59.999999Z".parse().unwrap();
        let first: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        let december = Month::of(last).unwrap();
        let january = december.next().unwrap();
        assert_eq!(january.of_table("pings"), "pings_2027_01");
        for random in [0, u128::MAX] {
            assert!(new_id(last, random) >= december.begin() && new_id(last, random) < january.begin());
            assert!(new_id(first, random) >= january.begin());
            assert_eq!(Month::of_id(new_id(last, random)), Some(december));
            assert_eq!(Month::of_id(new_id(first, random)), Some(january));
        }
    }

    #[test]
    fn months_around_a_moment_include_the_previous_one_and_three_ahead() {
        let months = around("2026-01-31T12:00:00Z".parse().unwrap()).into_iter();
        let names: Vec<String> = months.map(|month| month.of_table("pings")).collect();
        assert_eq!(names[0], "pings_2025_12");
        assert_eq!(names.last().unwrap(), "pings_2026_04");
        assert_eq!(names.len(), 5);
    }
}
