//! Writes pings in SQLite: in one transaction, by statements of many rows (docs/decisions/0013-sqlite-values.md).

use std::collections::HashSet;

use sqlx::{AssertSqlSafe, Connection, Sqlite as Db, SqliteConnection, query::Query, sqlite::SqliteArguments};
use uuid::Uuid;

use super::{Sqlite, json, read_state, text};
use crate::{
    domain::{pingback::Ping, profile::Profile},
    store::{StoreError, Write, state::Shared},
};

impl Sqlite {
    pub(in crate::store) async fn write_pings(
        &self,
        pings: &[&Ping],
        profiles: &[&Profile],
        write: Write,
        epoch: u32,
    ) -> Result<(), StoreError> {
        let mut writer = self.writer().await?;
        let known = (&self.state, epoch);
        let result = insert_pings(&mut writer, known, pings, profiles, write).await;
        let Some(batch) = writer.settle(result)? else { return Err(StoreError::Stale) };
        if write == Write::New {
            self.fresh.add(batch, pings);
        } else {
            // Some may exist already and be digested: the outbox has the truth.
            self.fresh.fall_behind();
        }
        Ok(())
    }
}

/// Whether the state is the same as in an epoch; records it then.
pub(super) async fn is_present(
    connection: &mut SqliteConnection,
    (known, epoch): (&Shared, u32),
) -> sqlx::Result<bool> {
    known.set(read_state(connection).await?);
    Ok(known.epoch() == epoch)
}

/// Returns the number of the batch; `None` if the state has changed, then nothing was written.
async fn insert_pings(
    connection: &mut SqliteConnection,
    known: (&Shared, u32),
    pings: &[&Ping],
    profiles: &[&Profile],
    write: Write,
) -> sqlx::Result<Option<i64>> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    if !is_present(&mut transaction, known).await? {
        return Ok(None);
    }
    let fresh = match write {
        Write::New => pings.to_vec(),
        Write::Replay => without_present(&mut transaction, pings).await?,
    };
    insert_profiles(&mut transaction, profiles).await?;
    insert_rows(&mut transaction, &fresh).await?;
    let batch = note(&mut transaction, "pings", fresh.iter().map(|ping| ping.id)).await?;
    transaction.commit().await?;
    Ok(Some(batch))
}

/// Puts a batch into the outbox; returns its number, or 0 if it is empty.
pub(super) async fn note(
    connection: &mut SqliteConnection,
    kind: &str,
    ids: impl Iterator<Item = Uuid>,
) -> sqlx::Result<i64> {
    const SQL: &str = "INSERT INTO outbox (kind, written_at, least_id, greatest_id, ids)
        VALUES (?1, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), ?2, ?3, ?4)";
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    let (Some(least), Some(greatest)) = (ids.first(), ids.last()) else { return Ok(0) };
    let query = sqlx::query(SQL).bind(kind).bind(least.to_string()).bind(greatest.to_string());
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.into_bytes()).collect();
    Ok(query.bind(bytes).execute(connection).await?.last_insert_rowid())
}

/// The rows whose id does not exist yet, each once.
async fn without_present<'a>(connection: &mut SqliteConnection, pings: &[&'a Ping]) -> sqlx::Result<Vec<&'a Ping>> {
    const SQL: &str = "SELECT id FROM pings WHERE id IN (SELECT value FROM json_each(?1))";
    let ids: Vec<_> = pings.iter().map(|ping| ping.id).collect();
    let present: Vec<String> = sqlx::query_scalar(SQL).bind(json(&ids)?).fetch_all(connection).await?;
    let mut seen: HashSet<_> = present.iter().filter_map(|id| id.parse().ok()).collect();
    Ok(pings.iter().copied().filter(|ping| seen.insert(ping.id)).collect())
}

type Insert<'q> = Query<'q, Db, SqliteArguments>;

/// Inserts by statements of [`ROWS`] rows between `head` and `tail`, which SQLite caches, and one for the rest.
///
/// Twice as fast as a JSON list that SQLite parses (docs/decisions/0013-sqlite-values.md).
async fn insert<T>(
    connection: &mut SqliteConnection,
    (head, tail): (&str, &str),
    columns: usize,
    rows: &[&T],
    bind: impl for<'q> Fn(Insert<'q>, &'q T) -> Insert<'q>,
) -> sqlx::Result<()> {
    for chunk in rows.chunks(ROWS) {
        let row = format!("({}?)", "?, ".repeat(columns - 1));
        let sql = format!("{head} VALUES {}{row}{tail}", format!("{row}, ").repeat(chunk.len() - 1));
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(chunk.len() == ROWS);
        chunk.iter().fold(query, |query, row| bind(query, row)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Rows per statement: 16 columns of 100 rows are far below SQLite's limit of 32,766 parameters, and more are not faster.
const ROWS: usize = 100;

async fn insert_rows(connection: &mut SqliteConnection, pings: &[&Ping]) -> sqlx::Result<()> {
    const HEAD: &str = "INSERT INTO pings (id, received_at, instance_id, profile, uptime, client_time, ip, country, \
        subdivision, extra)";
    insert(connection, (HEAD, ""), 10, pings, |query, ping: &Ping| {
        let query = query.bind(ping.id.to_string()).bind(text(ping.received_at)).bind(&*ping.instance_id);
        let query = query.bind(&ping.profile.as_bytes()[..]).bind(ping.uptime).bind(ping.client_time.map(text));
        query.bind(&ping.ip).bind(&ping.country).bind(&ping.subdivision).bind(&*ping.extra)
    })
    .await
}

async fn insert_profiles(connection: &mut SqliteConnection, profiles: &[&Profile]) -> sqlx::Result<()> {
    const HEAD: &str = "INSERT INTO profiles (instance_id, profile, kolibri_version, mode, platform, os, \
        sysversion, python_version, database_id, system_id, node_id, language, timezone, installer, project, \
        privacy_notice)";
    // An existing profile is left as it is, except that erased hardware identifiers are restored.
    const TAIL: &str = " ON CONFLICT (instance_id, profile) DO UPDATE SET system_id = excluded.system_id, \
        node_id = excluded.node_id WHERE (system_id, node_id) IS NOT (excluded.system_id, excluded.node_id)";
    insert(connection, (HEAD, TAIL), 16, profiles, |query, profile: &Profile| {
        let query = query.bind(&*profile.instance_id).bind(&profile.id.as_bytes()[..]).bind(&profile.kolibri_version);
        let query = query.bind(&profile.mode).bind(&profile.platform).bind(profile.os).bind(&profile.sysversion);
        let query = query.bind(&profile.python_version).bind(&profile.database_id).bind(&profile.system_id);
        let query = query.bind(&profile.node_id).bind(&profile.language).bind(&profile.timezone);
        query.bind(&profile.installer).bind(&profile.project).bind(&profile.privacy_notice)
    })
    .await
}
