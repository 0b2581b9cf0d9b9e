//! Errors named by what the caller must do, and how those of the databases are read.

use std::{io, path::PathBuf, time::Duration};

use sqlx::{error::DatabaseError, migrate::MigrateError, postgres::PgDatabaseError};
use thiserror::Error;

/// What went wrong, named by what the caller must do.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The store cannot take rows now: try again later (whether this write took place is not known).
    #[error("the store is unavailable ({reason}){}", advice(reason))]
    Unavailable {
        /// What is known about the cause: an SQLSTATE or a kind of failure; no text of the database.
        reason: String,
        /// A statement, or the wait for a connection, ran out of time.
        timeout: bool,
    },
    /// What the writer knew of the store is no longer so; nothing was written. See [`super::Store::write_pings`].
    #[error("the store has changed")]
    Stale,
    /// The store refuses one of the rows; none was written, or of reports those before it (see [`super::Store::write_statistics`]).
    #[error("the store refuses a row ({reason})")]
    Rejected {
        /// SQLSTATE and constraint name only (docs/privacy.md: DETAIL quotes rows).
        reason: String,
    },
}

impl StoreError {
    /// Two writers met, and this one gave way: nothing was written, and it may try again at once.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Unavailable { reason, .. } if reason == DEADLOCK || reason == SERIALIZATION)
    }

    /// The rows that the statement was about may be at fault, or be too many for its limit of time; others may do.
    pub(super) fn is_about_rows(&self) -> bool {
        match self {
            Self::Rejected { .. } => true,
            Self::Unavailable { timeout, .. } => *timeout,
            Self::Stale => false,
        }
    }

    /// The server answered and only this statement was at fault: its connection is as good as before.
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

/// What is wrong and what somebody has to do, where waiting does not repair it; empty for all else.
fn advice(reason: &str) -> String {
    // An SQLSTATE, a primary code of SQLite, or the beginning of what was said instead.
    let code = reason.strip_prefix("SQLite ").map(|code| code.split(' ').next().unwrap_or_default());
    let primary = code.and_then(|code| code.parse::<u32>().ok()).map(|code| format!("SQLite {}", code & 0xff));
    let is_meant = |with: &str| primary.as_ref().map_or_else(|| reason.starts_with(with), |primary| primary == with);
    ADVICE.iter().find(|(with, _)| is_meant(with)).map(|(_, advice)| format!(": {advice}")).unwrap_or_default()
}

/// By what a reason begins with.
const ADVICE: [(&str, &str); 20] = [
    (
        "28P01",
        "the password is wrong, or there is no such user: see `store.user`, `store.password`, `store.password_file`",
    ),
    (
        "28000",
        "the server does not let this user in: see its pg_hba.conf, and whether it asks for TLS (`store.ssl_mode`)",
    ),
    ("3F000", "the user has no schema to make tables in: create schema public, or set the user's search_path"),
    ("42P06", "a schema of this name is there: is it another installation's? Each needs a database of its own"),
    ("42P07", "a table of this name is there: is it another installation's? Each needs a database of its own"),
    ("3D000", "there is no such database: create it, owned by the user, with the encoding UTF8"),
    (
        "42501",
        "the user lacks a right: make it the owner of the database, or grant it CREATE on the database and on schema public",
    ),
    (
        "55P03",
        "another session holds a lock that is needed, a migration or a query: see pg_blocking_pids() in PostgreSQL",
    ),
    ("53300", "the server has no connection left: raise its max_connections, or lower `store.max_connections`"),
    ("SQLite 5", "another program holds the lock of the database file: end its transaction"),
    ("SQLite 8", "the user may not write the database file or its folder: see who owns them"),
    ("SQLite 10", "the file system reports an error: see the log of the system"),
    ("SQLite 11", "the database file is damaged: restore a backup"),
    ("SQLite 13", "the disk is full"),
    (
        "SQLite 14",
        "the database file, or what is beside it, cannot be opened: see who owns them, and the limit of open files",
    ),
    ("SQLite 26", "the file is no database of SQLite"),
    ("read-only", "the server only lets us read: the address must lead to the primary"),
    (NO_SUCH_HOST, "see the host in `store.url` or `store.host`, and the DNS"),
    ("TLS", "see `store.ssl_mode`, `store.ssl_root_cert`, and the name in the server's certificate"),
    ("password file", "see `store.password_file`, and who may read it"),
];
const NO_SUCH_HOST: &str = "the host name is not known";

const DEADLOCK: &str = "40P01";
const SERIALIZATION: &str = "40001";
const STATEMENT_TIMEOUT: &str = "57014";

/// Why the store cannot be opened: the configuration or the place, not the state of a server.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Neither `sqlite://` nor `postgres://`.
    #[error("store.url must begin with sqlite:// or postgres://")]
    Scheme,
    /// `sqlite://` without a path, or with parameters.
    #[error("store.url must be sqlite:// and the path of a file, without parameters")]
    SqlitePath,
    /// A parameter, variable or file that says how to reach PostgreSQL.
    #[error("{what}")]
    ConnInfo {
        /// What is wrong with which of them; no value.
        what: String,
    },
    /// Not readable as an URL of PostgreSQL. The cause is not told: it may quote the password.
    #[error(
        "store.url cannot be read as an URL of PostgreSQL (are special characters of the password percent-encoded?)"
    )]
    PostgresUrl,
    /// A file or folder that is needed.
    #[error("cannot use {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A second server on the same file would break what the first one promised.
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

/// Why the schema is not as this version needs it; it is left as it was.
#[derive(Debug, Error)]
pub enum MigrationError {
    /// The store is away, or refuses us: the same again later may work.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// "Answered means kept" would be untrue.
    #[error("commits would not be durable: turn on `{setting}` in PostgreSQL")]
    NotDurable {
        /// The setting that is off.
        setting: &'static str,
    },
    /// Not every text that Kolibri sends can be kept.
    #[error("the database's encoding is not UTF8: create it with ENCODING 'UTF8'")]
    Encoding,
    /// A migration ended with an error.
    #[error(
        "migration {version} failed ({reason}), the schema is as it was{}; remove the cause and run `nutritionfacts migrate` again",
        advice(reason)
    )]
    Failed {
        /// The number at the beginning of the file's name.
        version: i64,
        /// As in [`StoreError`].
        reason: String,
    },
    /// Made by a later version of this program.
    #[error(
        "the schema is of a later version (migration {version} is unknown here): run that version, or restore a backup"
    )]
    Newer {
        /// The unknown migration.
        version: i64,
    },
    /// An applied migration is not the one that this program holds.
    #[error("migration {version} was applied in another form: run the version that applied it, or restore a backup")]
    Changed {
        /// The migration that differs.
        version: i64,
    },
}

impl MigrationError {
    /// Whether the same again later may work.
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

/// Whether a statement of ours failed for the state of the server, or of the way to it, and may work later as it is.
fn is_about_the_server(error: &sqlx::Error) -> bool {
    match error {
        // 08: connection; 25006: read-only; 40: given way to another; 53: resources; 55: locks; 57: an operator.
        sqlx::Error::Database(error) => {
            let code = error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::code);
            code.is_some_and(|code| code == "25006" || matches!(code.get(..2), Some("08" | "40" | "53" | "55" | "57")))
        }
        error => matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)),
    }
}

/// Reads an error without its texts: message and detail quote rows.
pub(super) fn classify(error: &sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => by_sqlstate(error.code(), error.constraint()),
            None => by_sqlite_code(error.as_ref()),
        },
        // What a certificate lacks is told by the TLS library in a text of its own, without a kind.
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
        // All else is no row's fault. 42 too: the schema is not there (yet).
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
        // BUSY is the only one that is about time: somebody else holds the file.
        return StoreError::Unavailable { reason: format!("SQLite {code}"), timeout: code & 0xff == 5 };
    }
    StoreError::Rejected { reason: format!("SQLite {code} {refused}") }
}
