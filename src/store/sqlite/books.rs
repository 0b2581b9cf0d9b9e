//! What the digest reads and writes in SQLite; rows travel as JSON lists.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use futures_util::TryStreamExt;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, FromRow, Row, Sqlite as Db, Transaction,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use uuid::Uuid;

use super::{json as json_text, text};
use crate::{
    domain::{
        Timestamp,
        digest::{
            facts::{Before, Changed, Changes, Key, Known, Ping, Said, Usual},
            usage::{Channel, ChannelEntry, Facility, FacilityEntry, Sessions},
        },
        version::{build, release},
    },
    store::books::{self, Batch, Books, ENTRIES, KNOWN, Kind, Place, SAID, StoredReport},
};

/// A transaction of the digest.
pub(super) struct SqliteBooks<'c>(pub Transaction<'c, Db>);

impl SqliteBooks<'_> {
    async fn fetch(&mut self, query: Query<'_, Db, SqliteArguments>) -> sqlx::Result<Vec<SqliteRow>> {
        query.fetch_all(&mut *self.0).await
    }

    async fn execute(&mut self, query: Query<'_, Db, SqliteArguments>) -> sqlx::Result<()> {
        query.execute(&mut *self.0).await.map(|_| ())
    }
}

/// The columns of a [`Ping`].
const PING: &str = "pings.id, pings.received_at, pings.instance_id, pings.profile, pings.country, pings.subdivision";

fn ping(row: &SqliteRow) -> sqlx::Result<Ping> {
    let (id, received_at, instance_id, profile, country, subdivision): (String, _, String, _, _, _) =
        FromRow::from_row(row)?;
    Ok(Ping { id: uuid(&id)?, received_at, instance_id: instance_id.into(), profile, country, subdivision })
}

fn uuid(text: &str) -> sqlx::Result<Uuid> {
    text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// As `profile` is compared with in JSON.
fn hex(id: Uuid) -> String {
    id.simple().to_string().to_uppercase()
}

impl Books for SqliteBooks<'_> {
    type Id = i64;

    async fn batches(&mut self, age: Duration, but: &[i64]) -> sqlx::Result<Vec<Batch<i64>>> {
        const SQL: &str = "SELECT batch, kind, ids FROM outbox WHERE batch NOT IN (SELECT value FROM json_each(?1))
            AND (?2 = 0 OR kind <> 'pings' OR unixepoch(written_at, 'subsec') <= unixepoch('now', 'subsec') - ?2) ORDER BY batch LIMIT 20";
        let rows = self.fetch(sqlx::query(SQL).bind(json_text(&but)?).bind(age.as_secs_f64())).await?;
        rows.iter()
            .map(|row| {
                let kind = if row.try_get::<&str, _>(1)? == "pings" { Kind::Pings } else { Kind::Statistics };
                Ok(Batch { id: row.try_get(0)?, kind, ids: ids(row.try_get(2)?) })
            })
            .collect()
    }

    async fn remove(&mut self, batches: &[i64]) -> sqlx::Result<Vec<i64>> {
        const SQL: &str = "DELETE FROM outbox WHERE batch IN (SELECT value FROM json_each(?1)) RETURNING batch";
        self.fetch(sqlx::query(SQL).bind(json_text(&batches)?)).await?.iter().map(|row| row.try_get(0)).collect()
    }

    async fn undigested(&mut self, pings: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
        const SQL: &str = "SELECT ids FROM outbox WHERE kind = 'pings' AND least_id <= ?2 AND greatest_id >= ?1";
        let (Some(first), Some(last)) = (pings.first(), pings.last()) else { return Ok(Vec::new()) };
        let query = sqlx::query(SQL).bind(first.to_string()).bind(last.to_string());
        let mut found = Vec::new();
        let mut rows = query.fetch(&mut *self.0);
        while let Some(row) = rows.try_next().await? {
            found.extend(ids(row.try_get(0)?).into_iter().filter(|id| pings.binary_search(id).is_ok()));
        }
        Ok(found)
    }

    async fn pings(&mut self, ids: &[Uuid]) -> sqlx::Result<Vec<Ping>> {
        let sql = format!("SELECT {PING} FROM pings WHERE id IN (SELECT value FROM json_each(?1))");
        self.fetch(sqlx::query(AssertSqlSafe(sql)).bind(json_text(&ids)?)).await?.iter().map(ping).collect()
    }

    async fn pings_between(&mut self, instances: &[&str], (from, to): (Uuid, Uuid)) -> sqlx::Result<Vec<Ping>> {
        let sql = format!(
            "SELECT {PING} FROM pings WHERE id >= ?1 AND id < ?2 AND instance_id IN (SELECT value FROM json_each(?3))"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(from.to_string()).bind(to.to_string());
        self.fetch(query.bind(json_text(&instances)?)).await?.iter().map(ping).collect()
    }

    async fn pings_at(&mut self, places: &[(&str, Uuid, Uuid)]) -> sqlx::Result<Vec<Ping>> {
        let sql = format!(
            "SELECT {PING} FROM json_each(?1) AS place CROSS JOIN pings
            ON pings.id >= place.value ->> 1 AND pings.id < place.value ->> 2 AND pings.instance_id = place.value ->> 0"
        );
        self.fetch(sqlx::query(AssertSqlSafe(sql)).bind(json_text(&places)?)).await?.iter().map(ping).collect()
    }

    async fn usual(&mut self, usual: &[Usual<'_>]) -> sqlx::Result<Vec<Before>> {
        let rows = usual.iter().map(|Usual { instance_id, profile, from, last, pings }| {
            let (profile, from, to) = (hex(*profile), text(*from), text(last.received_at));
            (instance_id, profile, from, to, pings, &last.country, &last.subdivision)
        });
        let rows = json_text(&rows.collect::<Vec<_>>())?;
        let rows = self.fetch(sqlx::query(include_str!("../sql/sqlite_digest_usual.sql")).bind(rows)).await?;
        rows.iter().map(|row| FromRow::from_row(row).map(books::before)).collect()
    }

    async fn known(&mut self, instances: &[&str]) -> sqlx::Result<HashMap<String, Known>> {
        let sql =
            format!("SELECT {KNOWN} FROM json_each(?1) AS name CROSS JOIN installations ON instance_id = name.value");
        let rows = self.fetch(sqlx::query(AssertSqlSafe(sql)).bind(json_text(&instances)?)).await?;
        rows.iter().map(|row| FromRow::from_row(row).map(books::known)).collect()
    }

    async fn said(&mut self, keys: &BTreeSet<Key>) -> sqlx::Result<HashMap<Key, Said>> {
        let sql = format!(
            "SELECT {SAID} FROM json_each(?1) AS key CROSS JOIN profiles
            ON instance_id = key.value ->> 0 AND profile = unhex(key.value ->> 1)"
        );
        let keys: Vec<_> = keys.iter().map(|(instance, profile)| (instance, hex(*profile))).collect();
        let rows = self.fetch(sqlx::query(AssertSqlSafe(sql)).bind(json_text(&keys)?)).await?;
        rows.iter().map(|row| FromRow::from_row(row).map(books::said)).collect()
    }

    async fn save(&mut self, changes: &Changes) -> sqlx::Result<()> {
        const PERIODS: &str = "INSERT INTO periods (grain, begins, changes)
            SELECT value ->> 0, value ->> 1, 1 FROM json_each(?1) WHERE true
            ON CONFLICT (grain, begins) DO UPDATE SET changes = changes + 1";
        const GAPS: &str = "INSERT INTO ping_gaps (day, ordinary, at_least_hours, gaps)
            SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true
            ON CONFLICT (day, ordinary, at_least_hours) DO UPDATE SET gaps = gaps + excluded.gaps";
        if !changes.changed.is_empty() {
            self.run(include_str!("../sql/sqlite_digest_changed.sql"), changed(&changes.changed)).await?;
        }
        if !changes.no_versions.is_empty() {
            const SQL: &str = "DELETE FROM version_changes WHERE (instance_id, id) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?1))";
            self.run(SQL, &changes.no_versions).await?;
        }
        if !changes.versions.is_empty() {
            const SQL: &str = "INSERT INTO version_changes (instance_id, id, changed_at, from_version, to_version, from_release, to_release, build, ordinary)
                SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8 FROM json_each(?1)";
            let rows = changes.versions.iter().map(|change| {
                let (from, to) = (&change.from_version, &change.to_version);
                let at = text(change.changed_at);
                (&change.instance_id, change.id, at, from, to, release(from), release(to), build(to), change.ordinary)
            });
            self.run(SQL, rows.collect::<Vec<_>>()).await?;
        }
        let gaps = changes.gaps.iter().map(|((day, ordinary, hours), gaps)| (day, ordinary, hours, gaps));
        self.run(GAPS, gaps.collect::<Vec<_>>()).await?;
        if changes.gaps.values().any(|gaps| *gaps < 0) {
            self.execute(sqlx::query("DELETE FROM ping_gaps WHERE gaps = 0")).await?;
        }
        let periods = changes.periods.iter().map(|period| (period.grain.name(), period.begins));
        self.run(PERIODS, periods.collect::<Vec<_>>()).await
    }

    async fn reports(&mut self, ids: &[Uuid]) -> sqlx::Result<Vec<StoredReport>> {
        const SQL: &str =
            "SELECT id, received_at, pingback_id FROM statistics WHERE id IN (SELECT value FROM json_each(?1))";
        let rows = self.fetch(sqlx::query(SQL).bind(json_text(&ids)?)).await?;
        rows.iter()
            .map(|row| {
                let (id, received_at, pingback): (String, Timestamp, Option<String>) = FromRow::from_row(row)?;
                Ok(StoredReport { id: uuid(&id)?, received_at, pingback: pingback.as_deref().map(uuid).transpose()? })
            })
            .collect()
    }

    async fn facility_entries(&mut self, (after, position): Place, last: Uuid) -> sqlx::Result<Vec<FacilityEntry>> {
        const SQL: &str = "SELECT statistics_id, position, facility_id, \
            CASE json_type(settings, '$.preset') WHEN 'text' THEN settings ->> '$.preset' ELSE '' END, learners, coaches, \
            learner_logins, user_sessions, anonymous_sessions, user_minutes, anonymous_minutes, sessions_by_kind, \
            learner_demographics, non_learner_demographics FROM facility_statistics \
            WHERE (statistics_id, position) > (?1, ?2) AND statistics_id <= ?3 AND facility_id <> ''
            ORDER BY statistics_id, position LIMIT ?4";
        let query = sqlx::query(SQL).bind(after.to_string()).bind(position).bind(last.to_string());
        let rows = self.fetch(query.bind(i32::from(ENTRIES))).await?;
        rows.iter()
            .map(|row| {
                Ok(FacilityEntry {
                    report: uuid(row.try_get(0)?)?,
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
        const SQL: &str =
            "SELECT statistics_id, position, channel_id, storage_mib, user_sessions, anonymous_sessions, \
            user_minutes, anonymous_minutes FROM channel_statistics \
            WHERE (statistics_id, position) > (?1, ?2) AND statistics_id <= ?3 AND channel_id <> ''
            ORDER BY statistics_id, position LIMIT ?4";
        let query = sqlx::query(SQL).bind(after.to_string()).bind(position).bind(last.to_string());
        let rows = self.fetch(query.bind(i32::from(ENTRIES))).await?;
        rows.iter()
            .map(|row| {
                Ok(ChannelEntry {
                    report: uuid(row.try_get(0)?)?,
                    position: row.try_get(1)?,
                    channel_id: row.try_get(2)?,
                    storage_mib: row.try_get(3)?,
                    sessions: sessions(row, 4)?,
                })
            })
            .collect()
    }

    async fn facilities(&mut self, ids: &[&str]) -> sqlx::Result<Vec<Facility>> {
        let rows =
            self.fetch(sqlx::query(include_str!("../sql/sqlite_facilities_known.sql")).bind(json_text(&ids)?)).await?;
        rows.iter()
            .map(|row| serde_json::from_str(row.try_get(0)?).map_err(|error| sqlx::Error::Decode(error.into())))
            .collect()
    }

    async fn save_facilities(&mut self, facilities: &[Facility]) -> sqlx::Result<()> {
        self.run(include_str!("../sql/sqlite_facilities_now.sql"), facilities).await
    }

    async fn save_channels(&mut self, channels: &[Channel]) -> sqlx::Result<()> {
        self.run(include_str!("../sql/sqlite_channels_now.sql"), channels).await
    }
}

impl SqliteBooks<'_> {
    /// A statement of which ?1 is a JSON list.
    async fn run(&mut self, sql: &'static str, rows: impl Serialize) -> sqlx::Result<()> {
        self.execute(sqlx::query(sql).bind(json_text(&rows)?)).await
    }
}

fn ids(bytes: &[u8]) -> Vec<Uuid> {
    bytes.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok()).collect()
}

fn sessions(row: &SqliteRow, from: usize) -> sqlx::Result<Sessions> {
    Ok(Sessions {
        user_sessions: row.try_get(from)?,
        anonymous_sessions: row.try_get(from + 1)?,
        user_minutes: row.try_get(from + 2)?,
        anonymous_minutes: row.try_get(from + 3)?,
    })
}

fn changed(changed: &[Changed]) -> Vec<Value> {
    let row = |row: &Changed| {
        let (known, said) = (&row.known, &row.said);
        json!([
            row.instance_id,
            text(known.first_seen),
            text(known.last_seen),
            row.pings,
            hex(known.profile),
            known.ordinary,
            known.first_ordinary,
            known.country,
            known.subdivision,
            known.kolibri_version,
            release(&known.kolibri_version),
            build(&known.kolibri_version),
            said.mode,
            said.os,
            said.python(),
            said.installer,
            said.language,
            said.timezone,
            said.database_id,
            known.first_version,
            release(&known.first_version),
            build(&known.first_version),
        ])
    };
    changed.iter().map(row).collect()
}
