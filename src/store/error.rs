//! Errors, classified by what the caller must do, and their derivation from database errors.

use std::{io, path::PathBuf, time::Duration};

use sqlx::{error::DatabaseError, migrate::MigrateError, postgres::PgDatabaseError};
use thiserror::Error;

/// An error, classified by what the caller must do.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The store does not accept rows now: retry later (whether this write took place is unknown).
    #[error("the store is unavailable ({reason}){}", advice(reason))]
    Unavailable {
        /// What is known about the cause: an SQLSTATE or a kind of failure; never text from the database.
        reason: String,
        /// A statement, or the wait for a connection, timed out.
        timeout: bool,
    },
    /// The state known to the writer has changed; nothing was written. See [`super::Store::write_pings`].
    #[error("the store has changed")]
    Stale,
    /// The store rejects one of the rows; none was written, or only reports before it (see [`super::Store::write_statistics`]).
    #[error("the store rejects a row ({reason})")]
    Rejected {
        /// SQLSTATE and constraint name only (docs/privacy.md: DETAIL quotes rows).
        reason: String,
    },
}

impl StoreError {
    /// Two writers were in conflict, and this one was rolled back: nothing was written, and it may retry at once.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Unavailable { reason, .. } if reason == DEADLOCK || reason == SERIALIZATION)
    }

    /// The rows of the statement may be at fault, or too many for its timeout; other rows may succeed.
    pub(super) fn is_about_rows(&self) -> bool {
        match self {
            Self::Rejected { .. } => true,
            Self::Unavailable { timeout, .. } => *timeout,
            Self::Stale => false,
        }
    }

    /// The server responded and only this statement failed: its connection is still good.
    pub(super) fn spares_connection(&self) -> bool {
        match self {
            Self::Rejected { .. } | Self::Stale => true,
            Self::Unavailable { reason, .. } => reason == STATEMENT_TIMEOUT || self.is_conflict(),
        }
    }

    pub(super) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into(), timeout: false }
    }

    pub(super) fn timeout(what: &str, limit: Duration) -> Self {
        Self::Unavailable { reason: format!("{what} within {limit:?}"), timeout: true }
    }
}

/// What is wrong and what to do about it, if waiting does not help; otherwise empty.
fn advice(reason: &str) -> String {
    // An SQLSTATE, a primary result code of SQLite, or the beginning of a reason.
    let code = reason.strip_prefix("SQLite ").map(|code| code.split(' ').next().unwrap_or_default());
    let primary = code.and_then(|code| code.parse::<u32>().ok()).map(|code| format!("SQLite {}", code & 0xff));
    let is_meant = |with: &str| primary.as_ref().map_or_else(|| reason.starts_with(with), |primary| primary == with);
    ADVICE.iter().find(|(with, _)| is_meant(with)).map(|(_, advice)| format!(": {advice}")).unwrap_or_default()
}

/// Keyed by the beginning of a reason.
const ADVICE: [(&str, &str); 20] = [
    (
        "28P01",
        "the password is wrong, or there is no such user: check `store.user`, `store.password`, `store.password_file`",
    ),
    ("28000", "the server rejects this user: check its pg_hba.conf, and whether it requires TLS (`store.ssl_mode`)"),
    ("3F000", "the user has no schema for its tables: create schema public, or set the user's search_path"),
    ("42P06", "a schema of this name exists: does it belong to another installation? Each needs its own database"),
    ("42P07", "a table of this name exists: does it belong to another installation? Each needs its own database"),
    ("3D000", "the database does not exist: create it with this user as owner and encoding UTF8"),
    (
        "42501",
        "the user lacks a permission: make it the owner of the database, or grant it CREATE on the database and on schema public",
    ),
    (
        "55P03",
        "another session holds a lock that is required (migration or query): see pg_blocking_pids() in PostgreSQL",
    ),
    ("53300", "the server has no connection left: raise its max_connections, or lower `store.max_connections`"),
    ("SQLite 5", "another program holds the lock of the database file: end its transaction"),
    ("SQLite 8", "the user may not write the database file or its folder: check their owner and mode"),
    ("SQLite 10", "the file system reports an error: check the system log"),
    ("SQLite 11", "the database file is damaged: restore a backup"),
    ("SQLite 13", "the disk is full"),
    ("SQLite 14", "cannot open the database file or a file beside it: check their owner, and the limit of open files"),
    ("SQLite 26", "the file is not an SQLite database"),
    ("read-only", "the server is read-only: connect to the primary"),
    (NO_SUCH_HOST, "check the host in `store.url` or `store.host`, and the DNS"),
    ("TLS", "check `store.ssl_mode`, `store.ssl_root_cert`, and the name in the server's certificate"),
    ("password file", "check `store.password_file`, and whether the server may read it"),
];
const NO_SUCH_HOST: &str = "the host name is not known";

const DEADLOCK: &str = "40P01";
const SERIALIZATION: &str = "40001";
const STATEMENT_TIMEOUT: &str = "57014";

/// Why the store cannot be opened: the configuration or the environment, not the state of a server.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The URL begins neither with `sqlite://` nor with `postgres://`.
    #[error("store.url must begin with sqlite:// or postgres://")]
    Scheme,
    /// The URL is `sqlite://` without a path, or with parameters.
    #[error("store.url must be sqlite:// and the path of a file, without parameters")]
    SqlitePath,
    /// A parameter, variable or file for the connection to PostgreSQL is invalid.
    #[error("{what}")]
    ConnInfo {
        /// Which one, and what is wrong; never its value.
        what: String,
    },
    /// Not a valid URL of PostgreSQL. The cause is not included: it may quote the password.
    #[error("store.url is not a valid URL of PostgreSQL (are special characters of the password percent-encoded?)")]
    PostgresUrl,
    /// A required file or folder cannot be used.
    #[error("cannot use {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A second server on the same file would break the guarantees of the first.
    #[error("another process uses the database: {} is locked", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// SQLite does not open the file.
    #[error("SQLite cannot open {}", path.display())]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// Why not.
        source: StoreError,
    },
}

/// Why the migration failed; the schema is unchanged.
#[derive(Debug, Error)]
pub enum MigrationError {
    /// The store is down, or rejects the connection: a retry may succeed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Acknowledged requests would not be durable.
    #[error("commits would not be durable: turn on `{setting}` in PostgreSQL")]
    NotDurable {
        /// The setting that is off.
        setting: &'static str,
    },
    /// Not every text that Kolibri sends could be stored.
    #[error("the database's encoding is not UTF8: create it with ENCODING 'UTF8'")]
    Encoding,
    /// A migration failed.
    #[error(
        "migration {version} failed ({reason}), the schema is unchanged{}; fix the cause and run `nutritionfacts migrate` again",
        advice(reason)
    )]
    Failed {
        /// The number at the beginning of the file name.
        version: i64,
        /// As in [`StoreError`].
        reason: String,
    },
    /// The schema was migrated by a later version of this program.
    #[error(
        "the schema is of a later version (migration {version} is unknown to this one): run that version, or restore a backup"
    )]
    Newer {
        /// The unknown migration.
        version: i64,
    },
    /// An applied migration differs from the one in this program.
    #[error(
        "migration {version} differs from the one that was applied: run the version that applied it, or restore a backup"
    )]
    Changed {
        /// The migration that differs.
        version: i64,
    },
}

impl MigrationError {
    /// Whether a retry may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(StoreError::Unavailable { .. }))
    }
}

impl From<MigrateError> for MigrationError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) => Self::Store(classify(&error)),
            MigrateError::ExecuteMigration(error, version) => {
                let lost = is_about_the_server(&error);
                match classify(&error) {
                    StoreError::Unavailable { reason, .. } | StoreError::Rejected { reason } if !lost => {
                        Self::Failed { version, reason }
                    }
                    error => Self::Store(error),
                }
            }
            MigrateError::VersionMissing(version) => Self::Newer { version },
            MigrateError::VersionMismatch(version) | MigrateError::Dirty(version) => Self::Changed { version },
            _ => Self::Store(StoreError::unavailable("migrations")),
        }
    }
}

impl From<sqlx::Error> for MigrationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(classify(&error))
    }
}

/// Whether a statement failed because of the state of the server or the network, and may succeed later unchanged.
fn is_about_the_server(error: &sqlx::Error) -> bool {
    match error {
        // 08: connection; 25006: read-only; 40: rollback for another transaction; 53: resources; 55: locks; 57: an operator.
        sqlx::Error::Database(error) => {
            let code = error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::code);
            code.is_some_and(|code| code == "25006" || matches!(code.get(..2), Some("08" | "40" | "53" | "55" | "57")))
        }
        error => matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)),
    }
}

/// Classifies an error without its texts: message and detail quote rows.
pub(super) fn classify(error: &sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => by_sqlstate(error.code(), error.constraint()),
            None => by_sqlite_code(error.as_ref()),
        },
        // The TLS library reports invalid certificates only by text, without a kind.
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            StoreError::unavailable(format!("TLS: {error}"))
        }
        // The standard library has no kind for it.
        sqlx::Error::Io(error) if error.to_string().starts_with("failed to lookup address") => {
            StoreError::unavailable(NO_SUCH_HOST)
        }
        sqlx::Error::Io(error) => StoreError::unavailable(format!("connection: {}", error.kind())),
        // Configuration: certificates and keys, as no URL is read by the library.
        sqlx::Error::Tls(error) | sqlx::Error::Configuration(error) => StoreError::unavailable(format!("TLS: {error}")),
        sqlx::Error::Protocol(_) => StoreError::unavailable("protocol"),
        sqlx::Error::Encode(_) => StoreError::Rejected { reason: "encoding".into() },
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => StoreError::Rejected { reason: "decoding".into() },
        sqlx::Error::ConfigFile(_) => StoreError::unavailable("configuration"),
        sqlx::Error::WorkerCrashed => StoreError::unavailable("worker crashed"),
        _ => StoreError::unavailable("driver"),
    }
}

/// Classes of <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn by_sqlstate(code: &str, constraint: Option<&str>) -> StoreError {
    match code.get(..2) {
        // 21: the statement cannot take these rows together; 22: data; 23: constraints; 44: check option;
        // 54: a limit of the database; P0: raised by a trigger.
        Some("21" | "22" | "23" | "44" | "54" | "P0") => {
            let constraint = constraint.map(|name| format!(" {name}")).unwrap_or_default();
            StoreError::Rejected { reason: format!("{code}{constraint}") }
        }
        // In all other cases the rows are not at fault. In 42 neither: the schema is missing (yet).
        _ => StoreError::Unavailable { reason: code.into(), timeout: code == STATEMENT_TIMEOUT },
    }
}

/// Codes of <https://www.sqlite.org/rescode.html>; the low byte is the primary one.
fn by_sqlite_code(error: &dyn DatabaseError) -> StoreError {
    let code = error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or_default();
    let refused = match code & 0xff {
        4 => "ABORT",
        18 => "TOOBIG",
        19 => "CONSTRAINT",
        20 => "MISMATCH",
        _ => "",
    };
    if refused.is_empty() {
        // BUSY is the only one about time: another process locks the file.
        return StoreError::Unavailable { reason: format!("SQLite {code}"), timeout: code & 0xff == 5 };
    }
    StoreError::Rejected { reason: format!("SQLite {code} {refused}") }
}
