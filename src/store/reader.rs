//! Reads a store, also while a server writes it: for the survey.

use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use futures_util::TryStreamExt;
use sqlx::{ConnectOptions, Connection, FromRow, PgConnection, SqliteConnection, sqlite::SqliteConnectOptions};
use thiserror::Error;

use super::{EMBEDDED, MigrationError, OpenError, StoreError, error::classify, server::Server, sqlite};
use crate::{
    config::{secret::Secret, sections},
    domain::{
        Timestamp, new_id,
        period::Period,
        survey::{Sighting, Survey, Traits},
    },
};

/// A read-only connection.
#[derive(Debug)]
pub enum Reader {
    /// To a server.
    Postgres(Box<PgConnection>),
    /// To a file that a running server may be writing.
    Sqlite(Box<SqliteConnection>),
}

/// Why the store cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The configuration of the store is invalid.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The server cannot be reached.
    #[error(transparent)]
    Server(#[from] MigrationError),
    /// The database does not exist yet.
    #[error("there is no database at {}", .0.display())]
    Missing(PathBuf),
    /// The database user lacks a right.
    #[error("the user may not read the tables of pings: connect as the server's user, or grant SELECT on these tables")]
    Forbidden,
    /// The database file can be read, but its write-ahead log cannot.
    #[error("cannot read {} with its write-ahead log (-wal): copy both into a writable folder, or stop the server", .0.display())]
    Log(PathBuf),
    /// The error occurred while reading.
    #[error("cannot read the store (is its schema of this version?)")]
    Store(#[source] StoreError),
}

/// Counts of a period whose pings may be deleted.
const COUNTED: &str = "SELECT release, os, country, CAST(sum(instances) AS bigint) FROM activity
    WHERE grain = $1 AND begins = $2 AND (ordinary OR $3) GROUP BY release, os, country";

/// The last ping of each installation within two ids. SQLite takes the columns from the row with the largest id.
const POSTGRES_SIGHTINGS: &str =
    "SELECT DISTINCT ON (instance_id) instance_id, coalesce(mode, ''), coalesce(os, ''), coalesce(kolibri_version, ''), country,
        coalesce(language, '')
    FROM pingbacks WHERE id >= $1 AND id < $2 AND instance_id <> '' ORDER BY instance_id, id DESC";
const SQLITE_SIGHTINGS: &str =
    "SELECT instance_id, coalesce(mode, ''), coalesce(os, ''), coalesce(kolibri_version, ''), country,
        coalesce(language, ''), max(id)
    FROM pingbacks WHERE id >= $1 AND id < $2 AND instance_id <> '' GROUP BY instance_id";

/// Reports of facilities of ordinary installations (or of all, by $3) within two ids. Implausible numbers are
/// left out, as in the digest.
const LEARNERS: &str = "SELECT facility_id, max(learners)
    FROM facility_statistics AS facility
    JOIN statistics ON statistics.id = facility.statistics_id
    LEFT JOIN pings ON pings.id = statistics.pingback_id
    LEFT JOIN profiles ON profiles.instance_id = pings.instance_id AND profiles.profile = pings.profile
    WHERE statistics_id >= $1 AND statistics_id < $2 AND statistics.id >= $1 AND statistics.id < $2
        AND facility_id <> '' AND learners <= 1000000 AND (coalesce(profiles.mode, '') = '' OR $3)
    GROUP BY facility_id";

impl ReadError {
    fn of(error: &sqlx::Error) -> Self {
        match classify(error) {
            StoreError::Unavailable { reason, .. } if reason == "42501" => Self::Forbidden,
            error => Self::Store(error),
        }
    }
}

/// Opens a database file for reading, even if a server writes it or its folder is read-only.
async fn open_file(file: &Path) -> Result<SqliteConnection, ReadError> {
    // Sort in memory: a container may have no writable disk.
    let options = SqliteConnectOptions::new().filename(file).read_only(true).pragma("temp_store", "memory");
    let options = options.disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(|error| ReadError::of(&error))?;
    let Err(error) = sqlx::raw_sql("SELECT 1 FROM sqlite_schema LIMIT 1").execute(&mut connection).await else {
        return Ok(connection);
    };
    let _ = connection.close().await;
    // SQLite needs files beside the database, unless nobody writes it and there are none.
    match std::fs::metadata(sqlite::log_of(file)) {
        Ok(log) if log.len() > 0 => Err(ReadError::Log(file.to_owned())),
        _ => {
            let still = SqliteConnection::connect_with(&options.immutable(true)).await;
            still.map_err(|_| ReadError::of(&error))
        }
    }
}

impl Reader {
    /// Connects without creating or changing anything.
    ///
    /// # Errors
    ///
    /// See [`ReadError`].
    pub async fn open(store: &sections::Store) -> Result<Self, ReadError> {
        let url = store.url.as_ref().map(Secret::expose);
        let file = match url {
            None if store.host.is_none() => Path::new(EMBEDDED),
            Some(url) if url.starts_with("sqlite:") => sqlite::path_of(url)?,
            _ => {
                let mut connection = Server::new(store)?.connect("0").await?;
                // One transaction: a pooler cannot split it, and no setting is left behind.
                let only = sqlx::raw_sql("BEGIN READ ONLY").execute(&mut connection).await;
                only.map_err(|error| ReadError::of(&error))?;
                return Ok(Self::Postgres(Box::new(connection)));
            }
        };
        if !file.exists() {
            return Err(ReadError::Missing(file.to_owned()));
        }
        let connection = open_file(file).await?;
        Ok(Self::Sqlite(Box::new(connection)))
    }

    /// The day before which pings may have been deleted.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn sealed_before(&mut self) -> Result<NaiveDate, ReadError> {
        const SQL: &str = "SELECT sealed_before FROM store_state";
        let read = match self {
            Self::Postgres(connection) => sqlx::query_scalar(SQL).fetch_one(&mut **connection).await,
            Self::Sqlite(connection) => sqlx::query_scalar(SQL).fetch_one(&mut **connection).await,
        };
        read.map_err(|error| ReadError::of(&error))
    }

    /// Adds the counts of a period to the survey.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn counted(&mut self, period: Period, others_too: bool, survey: &mut Survey) -> Result<(), ReadError> {
        survey.only_counts();
        let grain = period.grain.name();
        let read: sqlx::Result<Vec<(String, String, String, i64)>> = match self {
            Self::Postgres(connection) => {
                let query = sqlx::query_as(COUNTED).bind(grain).bind(period.begins).bind(others_too);
                query.fetch_all(&mut **connection).await
            }
            Self::Sqlite(connection) => {
                let query = sqlx::query_as(COUNTED).bind(grain).bind(period.begins).bind(others_too);
                query.fetch_all(&mut **connection).await
            }
        };
        for (version, os, country, count) in read.map_err(|error| ReadError::of(&error))? {
            survey.count(Traits { os, version, country, language: String::new() }, u64::try_from(count).unwrap_or(0));
        }
        Ok(())
    }

    /// Adds the pings and reports between two moments (the second exclusive) to the survey.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn survey(
        &mut self,
        (since, until): (Timestamp, Timestamp),
        others_too: bool,
        survey: &mut Survey,
    ) -> Result<(), ReadError> {
        // The smallest ids of their moments.
        let (first, end) = (new_id(since, 0), new_id(until, 0));
        let read = async {
            match self {
                Self::Postgres(connection) => {
                    let mut rows = sqlx::query(POSTGRES_SIGHTINGS).bind(first).bind(end).fetch(&mut **connection);
                    while let Some(row) = rows.try_next().await? {
                        survey.see(sighting(FromRow::from_row(&row)?));
                    }
                    drop(rows);
                    let query = sqlx::query(LEARNERS).bind(first).bind(end).bind(others_too);
                    let mut rows = query.fetch(&mut **connection);
                    while let Some(row) = rows.try_next().await? {
                        hear(survey, FromRow::from_row(&row)?);
                    }
                }
                Self::Sqlite(connection) => {
                    let (first, end) = (first.to_string(), end.to_string());
                    let mut rows = sqlx::query(SQLITE_SIGHTINGS).bind(&first).bind(&end).fetch(&mut **connection);
                    while let Some(row) = rows.try_next().await? {
                        survey.see(sighting(FromRow::from_row(&row)?));
                    }
                    drop(rows);
                    let query = sqlx::query(LEARNERS).bind(&first).bind(&end).bind(others_too);
                    let mut rows = query.fetch(&mut **connection);
                    while let Some(row) = rows.try_next().await? {
                        hear(survey, FromRow::from_row(&row)?);
                    }
                }
            }
            Ok(())
        };
        read.await.map_err(|error: sqlx::Error| ReadError::of(&error))
    }
}

fn sighting(
    (instance_id, mode, os, version, country, language): (String, String, String, String, String, String),
) -> Sighting {
    Sighting { instance_id, mode, traits: Traits { os, version, country, language } }
}

fn hear(survey: &mut Survey, (facility, learners): (String, i64)) {
    survey.hear(facility, u64::try_from(learners).unwrap_or(0));
}
