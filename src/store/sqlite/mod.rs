//! The store in a file of ours alone: SQLite.

mod counting;

use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions, TryLockError},
    ops::{Deref, DerefMut},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use chrono::SecondsFormat;
use serde::Serialize;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Sqlite as Db, SqliteConnection,
    migrate::Migrator,
    query::Query,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::sync::{Mutex, MutexGuard};

use super::{MigrationError, OpenError, SetAside, StoreError, Write, error::classify, tally::Tally};
use crate::domain::{Timestamp, pingback::PingbackRow, statistics::StatisticsReport};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// A database file, its one writer, and the lock that keeps others out.
#[derive(Debug)]
pub struct Sqlite {
    /// None after a failure, until it is needed again.
    writer: Mutex<Option<SqliteConnection>>,
    closed: AtomicBool,
    options: SqliteConnectOptions,
    folder: PathBuf,
    tally: Tally<i64>,
    /// Held by whoever counts.
    counting: Mutex<()>,
    _lock: File,
}

/// The path in `sqlite://PATH`.
pub(super) fn path_of(url: &str) -> Result<&Path, OpenError> {
    let path = url.strip_prefix("sqlite://").unwrap_or_default();
    if path.is_empty() || path.contains(['?', '#']) || path.starts_with(':') {
        return Err(OpenError::SqlitePath);
    }
    Ok(Path::new(path))
}

impl Sqlite {
    pub(super) async fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = prepare(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // KiB. A batch changes few pages besides the last ones; strokes go through `instances` in order.
            .pragma("cache_size", "-4096")
            .busy_timeout(Duration::from_secs(5))
            .disable_statement_logging();
        let connection = SqliteConnection::connect_with(&options)
            .await
            .map_err(|error| OpenError::Sqlite { path: path.into(), source: classify(&error) })?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self {
            writer: Mutex::new(Some(connection)),
            closed: AtomicBool::new(false),
            options,
            folder,
            tally: Tally::default(),
            counting: Mutex::default(),
            _lock: lock,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) async fn migrate(&self) -> Result<(), MigrationError> {
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        // Not `run`, whose future is not provably Send (sqlx documents this way out).
        MIGRATIONS.run_direct(None, &mut *transaction, false).await?;
        transaction.commit().await?;
        Ok(writer.settle(Ok(()))?)
    }

    pub(super) async fn write_pingbacks(&self, rows: &[&PingbackRow], write: Write) -> Result<(), StoreError> {
        let mut writer = self.writer().await?;
        let result = insert_pingbacks(&mut writer, rows, write).await;
        if let Ok(Some((batch, fresh))) = &result {
            self.tally.fold(*batch, fresh);
        }
        writer.settle(result.map(|_| ()))
    }

    pub(super) async fn count_due(&self) {
        self.tally.due().await;
    }

    pub(super) async fn write_statistics(&self, reports: &[&StatisticsReport], write: Write) -> Result<(), StoreError> {
        let mut writer = self.writer().await?;
        let result = insert_statistics(&mut writer, reports, write).await;
        writer.settle(result)
    }

    pub(super) async fn set_aside(&self, row: &SetAside) -> Result<(), StoreError> {
        const SQL: &str = r#"INSERT INTO set_aside (id, received_at, kind, instance_id, reason, "row")
            VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO NOTHING"#;
        let mut writer = self.writer().await?;
        let query = sqlx::query(SQL).bind(row.id.to_string()).bind(text(row.received_at)).bind(row.kind);
        let query = query.bind(&row.instance_id).bind(&row.reason).bind(&row.row);
        let result = query.execute(&mut *writer).await.map(|_| ());
        writer.settle(result)
    }

    pub(super) async fn save_message_snapshot(&self, catalogue: &str) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO message_snapshot (id, catalogue) VALUES (1, ?1)
            ON CONFLICT (id) DO UPDATE SET catalogue = excluded.catalogue";
        let mut writer = self.writer().await?;
        let result = sqlx::query(SQL).bind(catalogue).execute(&mut *writer).await.map(|_| ());
        writer.settle(result)
    }

    pub(super) async fn message_snapshot(&self) -> Result<Option<String>, StoreError> {
        const SQL: &str = "SELECT catalogue FROM message_snapshot";
        let mut writer = self.writer().await?;
        let result = sqlx::query_scalar(SQL).fetch_optional(&mut *writer).await;
        writer.settle(result)
    }

    /// Commits a row and its removal: what writes no page also succeeds on a full disk.
    pub(super) async fn health(&self) -> Result<(), StoreError> {
        const SQL: &str = r#"BEGIN IMMEDIATE;
            INSERT INTO set_aside (id, received_at, kind, instance_id, reason, "row") VALUES ('', '', '', '', '', '{}');
            DELETE FROM set_aside WHERE id = '';
            COMMIT"#;
        let mut writer = self.writer().await?;
        let result = sqlx::raw_sql(SQL).execute(&mut *writer).await.map(|_| ());
        writer.settle(result)
    }

    pub(super) fn connections(&self) -> (usize, usize) {
        match self.writer.try_lock() {
            Ok(writer) => (usize::from(writer.is_some()), 0),
            Err(_) => (0, 1),
        }
    }

    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(connection) = self.writer.lock().await.take() {
            let _ = connection.close().await;
        }
    }

    async fn writer(&self) -> Result<Writer<'_>, StoreError> {
        let mut writer = self.writer.lock().await;
        if self.closed.load(Ordering::Relaxed) {
            return Err(StoreError::unavailable("closed"));
        }
        let connection = match writer.take() {
            Some(connection) => connection,
            None => SqliteConnection::connect_with(&self.options).await.map_err(|error| classify(&error))?,
        };
        Ok(Writer { connection, place: writer })
    }
}

/// The connection in use. Dropped, it is closed: only [`Writer::settle`] keeps it.
struct Writer<'a> {
    connection: SqliteConnection,
    place: MutexGuard<'a, Option<SqliteConnection>>,
}

impl Writer<'_> {
    /// Keeps the connection if what was done with it leaves no doubt about it, and names the error.
    ///
    /// When the disk is full SQLite rolls back by itself, after which sqlx's own count of transactions is wrong for ever.
    fn settle<T>(mut self, result: Result<T, sqlx::Error>) -> Result<T, StoreError> {
        let result = result.map_err(|error| classify(&error));
        if !matches!(result, Err(StoreError::Unavailable { .. })) {
            *self.place = Some(self.connection);
        }
        result
    }
}

impl Deref for Writer<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.connection
    }
}

impl DerefMut for Writer<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }
}

/// Makes the folders and the file, readable by us alone, and locks it.
fn prepare(path: &Path) -> Result<File, OpenError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::File { path, source }
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
    }
    let create =
        |path: &Path| OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(failed(path));
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let lock = create(&lock_path)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { path: lock_path }),
        Err(TryLockError::Error(source)) => return Err(OpenError::File { path: lock_path, source }),
    }
    // Before SQLite opens it: closing a file by other means drops SQLite's own locks.
    create(path)?;
    Ok(lock)
}

/// The new rows, and the number of their batch.
async fn insert_pingbacks<'a>(
    connection: &mut SqliteConnection,
    rows: &[&'a PingbackRow],
    write: Write,
) -> Result<Option<(i64, Vec<&'a PingbackRow>)>, sqlx::Error> {
    const UNCOUNTED: &str = "INSERT INTO uncounted (ids) VALUES (?1)";
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let fresh = match write {
        Write::New => rows.to_vec(),
        Write::Replay => without_present(&mut transaction, rows).await?,
    };
    if fresh.is_empty() {
        return Ok(None);
    }
    insert_rows(&mut transaction, &fresh).await?;
    let ids: Vec<u8> = fresh.iter().flat_map(|row| row.id.into_bytes()).collect();
    let batch = sqlx::query(UNCOUNTED).bind(ids).execute(&mut *transaction).await?.last_insert_rowid();
    transaction.commit().await?;
    Ok(Some((batch, fresh)))
}

/// The rows whose id is not there yet, each once.
async fn without_present<'a>(
    connection: &mut SqliteConnection,
    rows: &[&'a PingbackRow],
) -> Result<Vec<&'a PingbackRow>, sqlx::Error> {
    const SQL: &str = "SELECT id FROM pingbacks WHERE id IN (SELECT value FROM json_each(?1))";
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let present: Vec<String> = sqlx::query_scalar(SQL).bind(json(&ids)?).fetch_all(connection).await?;
    let mut seen: HashSet<_> = present.iter().filter_map(|id| id.parse().ok()).collect();
    Ok(rows.iter().copied().filter(|row| seen.insert(row.id)).collect())
}

/// Inserts by statements of [`ROWS`] rows, which SQLite keeps prepared, and one for the rest.
///
/// Twice as fast as a JSON list that SQLite takes apart (docs/decisions/0013-sqlite-values.md).
async fn insert_rows(connection: &mut SqliteConnection, rows: &[&PingbackRow]) -> Result<(), sqlx::Error> {
    const HEAD: &str = "INSERT INTO pingbacks (id, received_at, instance_id, kolibri_version, mode, platform, os, \
        sysversion, python_version, database_id, system_id, node_id, language, timezone, uptime, client_time, \
        installer, project, ip, country, subdivision, privacy_notice, extra)";
    for chunk in rows.chunks(ROWS) {
        let row = format!("({}?)", "?, ".repeat(22));
        let sql = format!("{HEAD} VALUES {}{row}", format!("{row}, ").repeat(chunk.len() - 1));
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(chunk.len() == ROWS);
        chunk.iter().fold(query, |query, row| bind(query, row)).execute(&mut *connection).await?;
    }
    Ok(())
}

fn bind<'q>(query: Insert<'q>, row: &'q PingbackRow) -> Insert<'q> {
    let query = query.bind(row.id.to_string()).bind(text(row.received_at)).bind(&row.instance_id);
    let query = query.bind(&row.kolibri_version).bind(&row.mode).bind(&row.platform).bind(row.os);
    let query = query.bind(&row.sysversion).bind(&row.python_version).bind(&row.database_id);
    let query = query.bind(&row.system_id).bind(&row.node_id).bind(&row.language).bind(&row.timezone);
    let query = query.bind(row.uptime).bind(row.client_time.map(text)).bind(&row.installer).bind(&row.project);
    let query = query.bind(&row.ip).bind(&row.country).bind(&row.subdivision).bind(&row.privacy_notice);
    query.bind(&row.extra)
}

type Insert<'q> = Query<'q, Db, SqliteArguments>;

/// Rows of one statement: 23 columns of 100 rows are far from SQLite's 32,766 parameters, more are no faster.
const ROWS: usize = 100;

async fn insert_statistics(
    connection: &mut SqliteConnection,
    reports: &[&StatisticsReport],
    write: Write,
) -> Result<(), sqlx::Error> {
    const SQL: &str = "INSERT INTO statistics (id, received_at, pingback_id, pi)
        VALUES (?1, ?2, (SELECT id FROM pingbacks WHERE id = ?3), ?4)";
    const REPLAY: &str = "INSERT INTO statistics (id, received_at, pingback_id, pi)
        VALUES (?1, ?2, (SELECT id FROM pingbacks WHERE id = ?3), ?4) ON CONFLICT (id) DO NOTHING";
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for report in reports {
        let id = report.id.to_string();
        let insert = sqlx::query(if write == Write::New { SQL } else { REPLAY });
        let insert = insert.bind(&id).bind(text(report.received_at));
        let insert = insert.bind(report.pingback.map(|id| id.to_string())).bind(&report.pi);
        if insert.execute(&mut *transaction).await?.rows_affected() == 0 {
            continue;
        }
        let channels = sqlx::query(include_str!("../sql/sqlite_channels.sql")).bind(&id).bind(json(&report.channels)?);
        channels.execute(&mut *transaction).await?;
        let facilities =
            sqlx::query(include_str!("../sql/sqlite_facilities.sql")).bind(&id).bind(json(&report.facilities)?);
        facilities.execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

fn json(value: &impl Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
fn text(moment: Timestamp) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Micros, true)
}
