//! Writes rows in PostgreSQL: one statement per batch (docs/decisions/0010-one-statement-per-batch.md).

use std::sync::LazyLock;

use sqlx::{AssertSqlSafe, Postgres as Db, Row, postgres::PgArguments, query::Query};
use tokio::time::timeout;
use uuid::Uuid;

use super::{Postgres, column, read_state};
use crate::{
    domain::{new_id, pingback::Ping, profile::Profile, statistics::StatisticsReport},
    store::{StoreError, Write, error::classify, months, state::State},
};

/// PostgreSQL's `check_violation`; without a constraint name it means that a partition is missing.
const CHECK_VIOLATION: &str = "23514";

/// A month that another process has just created may be invisible to a connection for a moment (seen in PostgreSQL 13).
const MONTH_ATTEMPTS: usize = 3;

/// For a batch without and with profiles that may not be stored yet.
static NEW_PINGS: LazyLock<[String; 2]> = LazyLock::new(|| ["", PROFILES].map(|profiles| pings(Write::New, profiles)));
static REPLAYED_PINGS: LazyLock<[String; 2]> =
    LazyLock::new(|| ["", PROFILES].map(|profiles| pings(Write::Replay, profiles)));
static NEW_STATISTICS: LazyLock<String> = LazyLock::new(|| statistics(""));
static REPLAYED_STATISTICS: LazyLock<String> = LazyLock::new(|| statistics("ON CONFLICT DO NOTHING"));
const PROFILES: &str = include_str!("../sql/postgres_profiles.sql");

fn pings(write: Write, profiles: &str) -> String {
    let (replay, noted) = match write {
        Write::New => {
            ("", "SELECT $11, 'pings', $1[1], $1[array_length($1, 1)], $1 WHERE EXISTS (SELECT FROM present)")
        }
        Write::Replay => (
            "ON CONFLICT DO NOTHING RETURNING id",
            "SELECT $11, 'pings', min(id::text)::uuid, max(id::text)::uuid, array_agg(id) FROM inserted HAVING count(*) > 0",
        ),
    };
    let sql = include_str!("../sql/postgres_pings.sql").replace("/*replay*/", replay);
    sql.replace("/*noted*/", noted).replace("/*profiles*/", profiles)
}

fn statistics(replay: &str) -> String {
    include_str!("../sql/postgres_statistics.sql").replace("/*replay*/", replay)
}

impl Postgres {
    /// The state of the store in an epoch; reads it if it is unknown.
    async fn known_state(&self, epoch: u32) -> Result<State, StoreError> {
        if let Some(state) = self.state.get_in(epoch)? {
            return Ok(state);
        }
        let mut lease = self.connections.lease().await?;
        let outcome = timeout(self.connections.limit(), read_state(&mut lease)).await;
        self.state.set(lease.settle(outcome)?);
        // Another task may have invalidated it already.
        self.state.get_in(epoch)?.ok_or(StoreError::Stale)
    }

    pub(in crate::store) async fn write_pings(
        &self,
        pings: &[&Ping],
        profiles: &[&Profile],
        write: Write,
        epoch: u32,
    ) -> Result<(), StoreError> {
        let mut pings = pings.to_vec();
        pings.sort_unstable_by_key(|ping| ping.id);
        // Sorted and each once, so that two writers cannot deadlock.
        let mut profiles = profiles.to_vec();
        profiles.sort_unstable_by_key(|profile| (&profile.instance_id, profile.id));
        profiles.dedup_by_key(|profile| (&profile.instance_id, profile.id));
        let statements = match write {
            Write::New => &NEW_PINGS,
            Write::Replay => &REPLAYED_PINGS,
        };
        let sql = &statements[usize::from(!profiles.is_empty())];
        let Some(batch) = pings.first().map(|ping| new_id(ping.received_at, fastrand::u128(..))) else { return Ok(()) };
        let query = |state| bind_profiles(bind_pings(sql, &pings, batch, state), &profiles);
        self.write(epoch, pings.iter().map(|ping| ping.id), query).await?;
        if write == Write::New {
            self.fresh.add(batch, &pings);
        } else {
            // Some may exist already and be digested: the outbox has the truth.
            self.fresh.fall_behind();
        }
        Ok(())
    }

    pub(in crate::store) async fn write_statistics(
        &self,
        reports: &[&StatisticsReport],
        write: Write,
        epoch: u32,
    ) -> Result<(), StoreError> {
        let sql = match write {
            Write::New => &NEW_STATISTICS,
            Write::Replay => &REPLAYED_STATISTICS,
        };
        let Some(first) = reports.first() else { return Ok(()) };
        let batch = new_id(first.received_at, fastrand::u128(..));
        let json = serde_json::to_string(reports).map_err(|_| StoreError::Rejected { reason: "encoding".into() })?;
        let mut named: Vec<_> = reports.iter().filter_map(|report| report.pingback).collect();
        named.sort_unstable();
        let write = |state: State| {
            sqlx::query(AssertSqlSafe(sql.as_str()))
                .bind(&json)
                .bind(&named)
                .bind(named.first().copied())
                .bind(named.last().copied())
                .bind(batch)
                .bind(state.generation)
                .bind(state.table)
                .bind(state.started)
        };
        self.write(epoch, reports.iter().map(|report| report.id), write).await
    }

    /// Runs a statement that returns whether the state was as expected; creates missing months.
    async fn write<'q>(
        &self,
        epoch: u32,
        ids: impl Iterator<Item = Uuid> + Clone,
        query: impl Fn(State) -> Query<'q, Db, PgArguments>,
    ) -> Result<(), StoreError> {
        let state = self.known_state(epoch).await?;
        let mut result = self.rows(query(state)).await;
        for _ in 0..MONTH_ATTEMPTS {
            if !matches!(&result, Err(StoreError::Rejected { reason }) if reason == CHECK_VIOLATION) {
                break;
            }
            self.make_months_of(ids.clone()).await?;
            result = self.rows(query(state)).await;
        }
        let is_written = result?.first().map_or(Ok(false), |row| row.try_get(0));
        if is_written.map_err(|error| classify(&error))? {
            return Ok(());
        }
        self.state.doubt();
        self.known_state(epoch).await?;
        Err(StoreError::Stale)
    }

    async fn make_months_of(&self, ids: impl Iterator<Item = Uuid>) -> Result<(), StoreError> {
        let mut lease = self.connections.lease().await?;
        let months = months::of_ids(ids);
        let outcome = timeout(self.connections.limit(), months::make(&mut lease, &months, true)).await;
        lease.settle(outcome)
    }
}

fn bind_pings<'q>(sql: &'q str, pings: &[&'q Ping], batch: Uuid, state: State) -> Query<'q, Db, PgArguments> {
    sqlx::query(AssertSqlSafe(sql))
        .bind(column(pings, |ping| ping.id))
        .bind(column(pings, |ping| ping.received_at))
        .bind(column(pings, |ping| &*ping.instance_id))
        .bind(column(pings, |ping| ping.profile))
        .bind(column(pings, |ping| ping.uptime))
        .bind(column(pings, |ping| ping.client_time))
        .bind(column(pings, |ping| ping.ip.as_str()))
        .bind(column(pings, |ping| ping.country.as_str()))
        .bind(column(pings, |ping| ping.subdivision.as_str()))
        .bind(column(pings, |ping| &*ping.extra))
        .bind(batch)
        .bind(state.generation)
        .bind(state.table)
        .bind(state.started)
}

fn bind_profiles<'q>(query: Query<'q, Db, PgArguments>, profiles: &[&'q Profile]) -> Query<'q, Db, PgArguments> {
    if profiles.is_empty() {
        return query;
    }
    query
        .bind(column(profiles, |profile| &*profile.instance_id))
        .bind(column(profiles, |profile| profile.id))
        .bind(column(profiles, |profile| profile.kolibri_version.as_str()))
        .bind(column(profiles, |profile| profile.mode.as_str()))
        .bind(column(profiles, |profile| profile.platform.as_str()))
        .bind(column(profiles, |profile| profile.os))
        .bind(column(profiles, |profile| profile.sysversion.as_str()))
        .bind(column(profiles, |profile| profile.python_version.as_str()))
        .bind(column(profiles, |profile| profile.database_id.as_str()))
        .bind(column(profiles, |profile| profile.system_id.as_str()))
        .bind(column(profiles, |profile| profile.node_id.as_str()))
        .bind(column(profiles, |profile| profile.language.as_str()))
        .bind(column(profiles, |profile| profile.timezone.as_str()))
        .bind(column(profiles, |profile| profile.installer.as_str()))
        .bind(column(profiles, |profile| profile.project.as_str()))
        .bind(column(profiles, |profile| profile.privacy_notice.as_str()))
}
