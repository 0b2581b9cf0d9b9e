//! The embedded store: SQLite in a file that one server owns.

mod books;
mod digest;
mod periods;
mod statistics;
mod write;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    ops::{Deref, DerefMut},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::SecondsFormat;
use serde::Serialize;
use sqlx::{
    ConnectOptions, Connection, Row, SqliteConnection,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::sync::{Mutex, MutexGuard};

use super::{
    MigrationError, OpenError, SetAside, StoreError,
    digest::Waiting,
    error::classify,
    fresh::Fresh,
    migrations::{SQLITE, migrator},
    state::{Shared, State},
};
use crate::domain::Timestamp;

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| migrator(&SQLITE));

/// A database file, its only writer, and the lock that excludes other processes.
#[derive(Debug)]
pub struct Sqlite {
    /// `None` after a failure, until the next use.
    writer: Mutex<Option<SqliteConnection>>,
    closed: AtomicBool,
    options: SqliteConnectOptions,
    folder: PathBuf,
    state: Shared,
    fresh: Fresh<i64>,
    /// Batches that could not be digested.
    waiting: Mutex<Waiting<i64>>,
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

/// Path of the write-ahead log of a database file.
pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

impl Sqlite {
    pub(super) async fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = prepare(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // KiB. A batch changes few pages except the last ones; the digest reads `installations` in order.
            .pragma("cache_size", "-4096")
            // Bytes: a slow reader lets the log grow, and this truncates it afterwards.
            .pragma("journal_size_limit", "67108864")
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
            state: Shared::default(),
            fresh: Fresh::default(),
            waiting: Mutex::default(),
            _lock: lock,
        })
    }

    /// Size of the write-ahead log in bytes.
    pub(super) fn log_size(&self) -> u64 {
        std::fs::metadata(log_of(self.options.get_filename())).map(|log| log.len()).unwrap_or_default()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) async fn migrate(&self) -> Result<(), MigrationError> {
        let mut writer = self.writer().await?;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        compatible(&mut transaction).await?;
        // Not `run`, whose future is not provably Send (sqlx documents this workaround).
        MIGRATIONS.run_direct(None, &mut *transaction, false).await?;
        let state = read_state(&mut transaction).await?;
        transaction.commit().await?;
        statistics::forget_unfinished(&mut writer, None).await?;
        self.state.set(state);
        Ok(writer.settle(Ok(()))?)
    }

    pub(super) fn state(&self) -> &Shared {
        &self.state
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

    /// Commits a row and its removal: a transaction that writes no page would also succeed on a full disk.
    pub(super) async fn health(&self) -> Result<(), StoreError> {
        const SQL: &str = r#"BEGIN IMMEDIATE;
            INSERT INTO set_aside (id, received_at, kind, instance_id, reason, "row") VALUES ('', '', '', '', '', '{}');
            DELETE FROM set_aside WHERE id = '';
            COMMIT"#;
        let mut writer = self.writer().await?;
        let result = sqlx::raw_sql(SQL).execute(&mut *writer).await.map(|_| ());
        writer.settle(result)
    }

    pub(super) async fn outbox(&self) -> Result<(i64, Duration), StoreError> {
        const SQL: &str =
            "SELECT count(*), max(0.0, (julianday('now') - julianday(min(written_at))) * 86400.0) FROM outbox";
        let mut writer = self.writer().await?;
        let result = sqlx::query_as::<_, (i64, Option<f64>)>(SQL).fetch_one(&mut *writer).await;
        let (batches, age) = writer.settle(result)?;
        Ok((batches, Duration::try_from_secs_f64(age.unwrap_or_default()).unwrap_or_default()))
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

/// The connection in use. Closed when dropped: only [`Writer::settle`] returns it.
struct Writer<'a> {
    connection: SqliteConnection,
    place: MutexGuard<'a, Option<SqliteConnection>>,
}

impl Writer<'_> {
    /// Keeps the connection if the result leaves it in a known state, and converts the error.
    ///
    /// When the disk is full SQLite rolls back by itself, after which sqlx's own transaction counter stays wrong.
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

/// Creates the folders and the file, accessible only by this user, and locks it.
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
    // Before SQLite opens it: closing the file in another way drops SQLite's own locks.
    create(path)?;
    Ok(lock)
}

/// Checks whether this version can use the schema, if a later version has changed it.
async fn compatible(connection: &mut SqliteConnection) -> Result<(), MigrationError> {
    const IS_NEW: &str = "SELECT count(*) = 0 FROM sqlite_schema WHERE name = '_sqlx_migrations'";
    const LATER: &str = "SELECT (SELECT max(version) FROM _sqlx_migrations), oldest_program FROM store_state";
    if sqlx::query_scalar(IS_NEW).fetch_one(&mut *connection).await? {
        return Ok(());
    }
    let newest = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default();
    let (applied, oldest): (i64, i64) = sqlx::query_as(LATER).fetch_one(connection).await?;
    if applied <= newest || oldest <= newest { Ok(()) } else { Err(MigrationError::Newer { version: applied }) }
}

async fn read_state(connection: &mut SqliteConnection) -> sqlx::Result<State> {
    let row = sqlx::query("SELECT generation, sealed_before FROM store_state").fetch_one(connection).await?;
    Ok(State {
        generation: row.try_get(0)?,
        // Without a server: whoever restores an earlier state of the file must stop this process first.
        table: 0,
        started: Timestamp::UNIX_EPOCH,
        sealed_before: row.try_get(1)?,
    })
}

fn json(value: &(impl Serialize + ?Sized)) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
fn text(moment: Timestamp) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Micros, true)
}
