//! What the digest reads and writes in PostgreSQL.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use chrono::NaiveDate;
use sqlx::{
    AssertSqlSafe, FromRow, Postgres as Db, Row, Transaction,
    postgres::{PgArguments, PgRow},
    query::Query,
    types::Json,
};
use uuid::Uuid;

use super::{changes, column};
use crate::{
    domain::digest::{
        facts::{Before, Changes, Key, Known, Ping, Said, Usual},
        usage::{Channel, ChannelEntry, Facility, FacilityEntry, Sessions},
    },
    store::books::{self, Batch, Books, ENTRIES, KNOWN, Kind, Place, SAID, StoredReport},
};

/// Batches of one step at most.
const BATCHES: i64 = 64;

/// A transaction of the digest.
pub(super) struct PostgresBooks<'c> {
    pub transaction: Transaction<'c, Db>,
    /// Whether statements are kept prepared.
    pub persistent: bool,
}

impl PostgresBooks<'_> {
    async fn fetch(&mut self, query: Query<'_, Db, PgArguments>) -> sqlx::Result<Vec<PgRow>> {
        query.persistent(self.persistent).fetch_all(&mut *self.transaction).await
    }

    async fn execute(&mut self, query: Query<'_, Db, PgArguments>) -> sqlx::Result<()> {
        query.persistent(self.persistent).execute(&mut *self.transaction).await.map(|_| ())
    }
}

/// The columns of a [`Ping`].
const PING: &str = "pings.id, pings.received_at, pings.instance_id, pings.profile, pings.country, pings.subdivision";

fn ping(row: &PgRow) -> sqlx::Result<Ping> {
    let (id, received_at, instance_id, profile, country, subdivision): (_, _, String, _, _, _) =
        FromRow::from_row(row)?;
    Ok(Ping { id, received_at, instance_id: instance_id.into(), profile, country, subdivision })
}

impl Books for PostgresBooks<'_> {
    type Id = Uuid;

    async fn batches(&mut self, age: Duration, but: &[Uuid]) -> sqlx::Result<Vec<Batch<Uuid>>> {
        const SQL: &str = "SELECT batch, kind = 'pings', ids FROM outbox
            WHERE batch <> ALL ($1) AND ($2 = 0 OR kind <> 'pings' OR written_at <= now() - $2 * interval '1 second') ORDER BY batch LIMIT $3";
        let rows = self.fetch(sqlx::query(SQL).bind(but).bind(age.as_secs_f64()).bind(BATCHES)).await?;
        rows.iter()
            .map(|row| {
                let kind = if row.try_get(1)? { Kind::Pings } else { Kind::Statistics };
                Ok(Batch { id: row.try_get(0)?, kind, ids: row.try_get(2)? })
            })
            .collect()
    }

    async fn remove(&mut self, batches: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
        let query = sqlx::query("DELETE FROM outbox WHERE batch = ANY ($1) RETURNING batch").bind(batches);
        self.fetch(query).await?.iter().map(|row| row.try_get(0)).collect()
    }

    async fn undigested(&mut self, ids: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
        const SQL: &str = "SELECT unnest(ids) FROM outbox WHERE kind = 'pings' AND least_id <= $3 AND greatest_id >= $2
            INTERSECT SELECT unnest($1::uuid[])";
        let query = sqlx::query(SQL).bind(ids).bind(ids.first()).bind(ids.last());
        self.fetch(query).await?.iter().map(|row| row.try_get(0)).collect()
    }

    async fn pings(&mut self, ids: &[Uuid]) -> sqlx::Result<Vec<Ping>> {
        let sql = format!("SELECT {PING} FROM pings WHERE id = ANY ($1) AND id >= $2 AND id <= $3");
        let query = sqlx::query(AssertSqlSafe(sql)).bind(ids).bind(ids.first()).bind(ids.last());
        self.fetch(query).await?.iter().map(ping).collect()
    }

    async fn pings_between(&mut self, instances: &[&str], (from, to): (Uuid, Uuid)) -> sqlx::Result<Vec<Ping>> {
        let sql = format!("SELECT {PING} FROM pings WHERE id >= $1 AND id < $2 AND instance_id = ANY ($3)");
        self.fetch(sqlx::query(AssertSqlSafe(sql)).bind(from).bind(to).bind(instances))
            .await?
            .iter()
            .map(ping)
            .collect()
    }

    async fn pings_at(&mut self, places: &[(&str, Uuid, Uuid)]) -> sqlx::Result<Vec<Ping>> {
        let sql = format!(
            "SELECT {PING} FROM unnest($1::text[], $2::uuid[], $3::uuid[]) AS place (instance_id, least, beyond)
            JOIN pings ON pings.instance_id = place.instance_id AND pings.id >= place.least AND pings.id < place.beyond"
        );
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(places.iter().map(|place| place.0).collect::<Vec<_>>())
            .bind(places.iter().map(|place| place.1).collect::<Vec<_>>())
            .bind(places.iter().map(|place| place.2).collect::<Vec<_>>());
        self.fetch(query).await?.iter().map(ping).collect()
    }

    async fn usual(&mut self, usual: &[Usual<'_>]) -> sqlx::Result<Vec<Before>> {
        let usual: Vec<_> = usual.iter().collect();
        let query = sqlx::query(include_str!("../sql/postgres_digest_usual.sql"))
            .bind(column(&usual, |usual| usual.instance_id))
            .bind(column(&usual, |usual| usual.profile))
            .bind(column(&usual, |usual| usual.from))
            .bind(column(&usual, |usual| usual.last.received_at))
            .bind(column(&usual, |usual| usual.pings))
            .bind(column(&usual, |usual| usual.last.country.as_str()))
            .bind(column(&usual, |usual| usual.last.subdivision.as_str()));
        let rows = self.fetch(query).await?;
        rows.iter().map(|row| FromRow::from_row(row).map(books::before)).collect()
    }

    async fn known(&mut self, instances: &[&str]) -> sqlx::Result<HashMap<String, Known>> {
        let sql = format!("SELECT {KNOWN} FROM installations WHERE instance_id = ANY ($1)");
        let rows = self.fetch(sqlx::query(AssertSqlSafe(sql)).bind(instances)).await?;
        rows.iter().map(|row| FromRow::from_row(row).map(books::known)).collect()
    }

    async fn said(&mut self, keys: &BTreeSet<Key>) -> sqlx::Result<HashMap<Key, Said>> {
        let sql = format!(
            "SELECT {SAID} FROM unnest($1::text[], $2::uuid[]) AS key (instance_id, profile)
            JOIN profiles ON profiles.instance_id = key.instance_id AND profiles.profile = key.profile"
        );
        let query = sqlx::query(AssertSqlSafe(sql))
            .bind(keys.iter().map(|key| &*key.0).collect::<Vec<_>>())
            .bind(keys.iter().map(|key| key.1).collect::<Vec<_>>());
        let rows = self.fetch(query).await?;
        rows.iter().map(|row| FromRow::from_row(row).map(books::said)).collect()
    }

    async fn save(&mut self, changes: &Changes) -> sqlx::Result<()> {
        if !changes.changed.is_empty() {
            self.execute(changes::changed(&changes.changed)).await?;
        }
        if !changes.no_versions.is_empty() {
            self.execute(changes::no_versions(&changes.no_versions)).await?;
        }
        if !changes.versions.is_empty() {
            self.execute(changes::versions(&changes.versions)).await?;
        }
        self.execute(changes::gaps(&changes.gaps)).await?;
        if changes.gaps.values().any(|gaps| *gaps < 0) {
            const NONE: &str = "DELETE FROM ping_gaps WHERE gaps = 0 AND day = ANY ($1)";
            let days: Vec<NaiveDate> = changes.gaps.keys().map(|gap| gap.0).collect();
            self.execute(sqlx::query(NONE).bind(days)).await?;
        }
        self.execute(changes::periods(&changes.periods)).await
    }

    async fn reports(&mut self, ids: &[Uuid]) -> sqlx::Result<Vec<StoredReport>> {
        const SQL: &str =
            "SELECT id, received_at, pingback_id FROM statistics WHERE id = ANY ($1) AND id >= $2 AND id <= $3";
        let rows = self.fetch(sqlx::query(SQL).bind(ids).bind(ids.first()).bind(ids.last())).await?;
        rows.iter()
            .map(|row| {
                Ok(StoredReport { id: row.try_get(0)?, received_at: row.try_get(1)?, pingback: row.try_get(2)? })
            })
            .collect()
    }

    async fn facility_entries(&mut self, (after, position): Place, last: Uuid) -> sqlx::Result<Vec<FacilityEntry>> {
        const SQL: &str = "SELECT statistics_id, position, facility_id, coalesce(settings ->> 'preset', ''), learners, coaches, \
            learner_logins, user_sessions, anonymous_sessions, user_minutes, anonymous_minutes, sessions_by_kind::text, \
            learner_demographics::text, non_learner_demographics::text FROM facility_statistics \
            WHERE statistics_id >= $1 AND (statistics_id, position) > ($1, $2) AND statistics_id <= $3 AND facility_id <> ''
            ORDER BY statistics_id, position LIMIT $4";
        let query = sqlx::query(SQL).bind(after).bind(position).bind(last).bind(i32::from(ENTRIES));
        let rows = self.fetch(query).await?;
        rows.iter()
            .map(|row| {
                Ok(FacilityEntry {
                    report: row.try_get(0)?,
                    position: row.try_get(1)?,
                    facility_id: row.try_get(2)?,
                    preset: row.try_get(3)?,
                    learners: row.try_get(4)?,
                    coaches: row.try_get(5)?,
                    learner_logins: row.try_get(6)?,
                    sessions: sessions(row, 7)?,
                    sessions_by_kind: row.try_get(11)?,
                    learner_demographics: row.try_get(12)?,
                    coach_demographics: row.try_get(13)?,
                })
            })
            .collect()
    }

    async fn channel_entries(&mut self, (after, position): Place, last: Uuid) -> sqlx::Result<Vec<ChannelEntry>> {
        const SQL: &str = "SELECT statistics_id, position, channel_id, storage_mib, user_sessions, anonymous_sessions, \
            user_minutes, anonymous_minutes FROM channel_statistics \
            WHERE statistics_id >= $1 AND (statistics_id, position) > ($1, $2) AND statistics_id <= $3 AND channel_id <> ''
            ORDER BY statistics_id, position LIMIT $4";
        let query = sqlx::query(SQL).bind(after).bind(position).bind(last).bind(i32::from(ENTRIES));
        let rows = self.fetch(query).await?;
        rows.iter()
            .map(|row| {
                Ok(ChannelEntry {
                    report: row.try_get(0)?,
                    position: row.try_get(1)?,
                    channel_id: row.try_get(2)?,
                    storage_mib: row.try_get(3)?,
                    sessions: sessions(row, 4)?,
                })
            })
            .collect()
    }

    async fn facilities(&mut self, ids: &[&str]) -> sqlx::Result<Vec<Facility>> {
        const SQL: &str = "SELECT to_json(facilities)::text FROM facilities WHERE facility_id = ANY ($1)";
        let rows = self.fetch(sqlx::query(SQL).bind(ids)).await?;
        rows.iter().map(|row| facility(row.try_get(0)?)).collect()
    }

    async fn save_facilities(&mut self, facilities: &[Facility]) -> sqlx::Result<()> {
        self.execute(sqlx::query(include_str!("../sql/postgres_facilities.sql")).bind(Json(facilities))).await
    }

    async fn save_channels(&mut self, channels: &[Channel]) -> sqlx::Result<()> {
        self.execute(sqlx::query(include_str!("../sql/postgres_channels.sql")).bind(Json(channels))).await
    }
}

fn sessions(row: &PgRow, from: usize) -> sqlx::Result<Sessions> {
    Ok(Sessions {
        user_sessions: row.try_get(from)?,
        anonymous_sessions: row.try_get(from + 1)?,
        user_minutes: row.try_get(from + 2)?,
        anonymous_minutes: row.try_get(from + 3)?,
    })
}

fn facility(text: &str) -> sqlx::Result<Facility> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()))
}
