//! Writes the changes derived from pings in PostgreSQL.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{Postgres as Db, postgres::PgArguments, query::Query};

use super::column;
use crate::domain::{
    digest::facts::{Changed, Gap, Key, VersionChange},
    period::Period,
    version::{build, release},
};

type Statement<'q> = Query<'q, Db, PgArguments>;

pub(super) fn changed(changed: &[Changed]) -> Statement<'_> {
    let rows: Vec<_> = changed.iter().collect();
    sqlx::query(include_str!("../sql/postgres_digest_changed.sql"))
        .bind(column(&rows, |row| &*row.instance_id))
        .bind(column(&rows, |row| row.known.first_seen))
        .bind(column(&rows, |row| row.known.last_seen))
        .bind(column(&rows, |row| row.pings))
        .bind(column(&rows, |row| row.known.profile))
        .bind(column(&rows, |row| row.known.ordinary))
        .bind(column(&rows, |row| row.known.first_ordinary))
        .bind(column(&rows, |row| row.known.country.as_str()))
        .bind(column(&rows, |row| row.known.subdivision.as_str()))
        .bind(column(&rows, |row| row.known.kolibri_version.as_str()))
        .bind(column(&rows, |row| release(&row.known.kolibri_version)))
        .bind(column(&rows, |row| build(&row.known.kolibri_version)))
        .bind(column(&rows, |row| row.said.mode.as_str()))
        .bind(column(&rows, |row| row.said.os.as_str()))
        .bind(column(&rows, |row| row.said.python()))
        .bind(column(&rows, |row| row.said.installer.as_str()))
        .bind(column(&rows, |row| row.said.language.as_str()))
        .bind(column(&rows, |row| row.said.timezone.as_str()))
        .bind(column(&rows, |row| row.said.database_id.as_str()))
        .bind(column(&rows, |row| row.known.first_version.as_str()))
        .bind(column(&rows, |row| release(&row.known.first_version)))
        .bind(column(&rows, |row| build(&row.known.first_version)))
}

pub(super) fn no_versions(keys: &[Key]) -> Statement<'_> {
    const SQL: &str = "DELETE FROM version_changes USING unnest($1::text[], $2::uuid[]) AS gone (instance_id, id)
        WHERE version_changes.instance_id = gone.instance_id AND version_changes.id = gone.id";
    let keys: Vec<_> = keys.iter().collect();
    sqlx::query(SQL).bind(column(&keys, |key| &*key.0)).bind(column(&keys, |key| key.1))
}

pub(super) fn versions(versions: &[VersionChange]) -> Statement<'_> {
    let rows: Vec<_> = versions.iter().collect();
    sqlx::query(include_str!("../sql/postgres_digest_versions.sql"))
        .bind(column(&rows, |row| &*row.instance_id))
        .bind(column(&rows, |row| row.id))
        .bind(column(&rows, |row| row.changed_at))
        .bind(column(&rows, |row| row.from_version.as_str()))
        .bind(column(&rows, |row| row.to_version.as_str()))
        .bind(column(&rows, |row| release(&row.from_version)))
        .bind(column(&rows, |row| release(&row.to_version)))
        .bind(column(&rows, |row| build(&row.to_version)))
        .bind(column(&rows, |row| row.ordinary))
}

pub(super) fn gaps(gaps: &BTreeMap<Gap, i64>) -> Statement<'static> {
    const SQL: &str = "INSERT INTO ping_gaps (day, ordinary, at_least_hours, gaps)
        SELECT day, ordinary, at_least_hours, gaps
        FROM unnest($1::date[], $2::boolean[], $3::integer[], $4::bigint[]) AS more (day, ordinary, at_least_hours, gaps)
        ON CONFLICT (day, ordinary, at_least_hours) DO UPDATE SET gaps = ping_gaps.gaps + excluded.gaps";
    sqlx::query(SQL)
        .bind(gaps.keys().map(|gap| gap.0).collect::<Vec<_>>())
        .bind(gaps.keys().map(|gap| gap.1).collect::<Vec<_>>())
        .bind(gaps.keys().map(|gap| gap.2).collect::<Vec<_>>())
        .bind(gaps.values().copied().collect::<Vec<_>>())
}

pub(super) fn periods(periods: &BTreeSet<Period>) -> Statement<'static> {
    const SQL: &str = "INSERT INTO periods (grain, begins, changes)
        SELECT grain, begins, 1 FROM unnest($1::text[], $2::date[]) AS changed (grain, begins)
        ON CONFLICT (grain, begins) DO UPDATE SET changes = periods.changes + 1";
    sqlx::query(SQL)
        .bind(periods.iter().map(|period| period.grain.name()).collect::<Vec<_>>())
        .bind(periods.iter().map(|period| period.begins).collect::<Vec<_>>())
}
