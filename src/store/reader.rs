//! A store that is only read, beside the server that writes it: for the survey.

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

/// A connection that reads.
#[derive(Debug)]
pub enum Reader {
    /// To a server.
    Postgres(Box<PgConnection>),
    /// To the file of a server that may be running.
    Sqlite(Box<SqliteConnection>),
}

/// Why it cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// What the configuration says of the store is wrong.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A server that cannot be reached.
    #[error(transparent)]
    Server(#[from] MigrationError),
    /// There is no database yet.
    #[error("there is no database at {}", .0.display())]
    Missing(PathBuf),
    /// The user of the database lacks the right.
    #[error(
        "the user may not read the tables of pings: the report needs the server's user, or one who may read as much"
    )]
    Forbidden,
    /// The file can be read, but what beside it has not been copied into it cannot.
    #[error("{} cannot be read beside its log (-wal): copy both to where you may write, or stop the server", .0.display())]
    Log(PathBuf),
    /// While reading.
    #[error("cannot read the store (is its schema of this version?)")]
    Store(#[source] StoreError),
}

/// Of a period that was counted before its pings were deleted.
const COUNTED: &str = "SELECT release, os, country, CAST(sum(instances) AS bigint) FROM activity
    WHERE grain = $1 AND begins = $2 AND (ordinary OR $3) GROUP BY release, os, country";

/// Of the last ping of each installation within two ids. SQLite takes the columns from the row of the greatest id.
const POSTGRES_SIGHTINGS: &str =
    "SELECT DISTINCT ON (instance_id) instance_id, coalesce(mode, ''), coalesce(os, ''), coalesce(kolibri_version, ''), country,
        coalesce(language, '')
    FROM pingbacks WHERE id >= $1 AND id < $2 AND instance_id <> '' ORDER BY instance_id, id DESC";
const SQLITE_SIGHTINGS: &str =
    "SELECT instance_id, coalesce(mode, ''), coalesce(os, ''), coalesce(kolibri_version, ''), country,
        coalesce(language, ''), max(id)
    FROM pingbacks WHERE id >= $1 AND id < $2 AND instance_id <> '' GROUP BY instance_id";

/// What facilities of ordinary installations (or of all, by $3) reported within two ids. A number that no facility can have is
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

/// Opens a database file to read it, whoever writes it, and wherever nothing can be written.
async fn open_file(file: &Path) -> Result<SqliteConnection, ReadError> {
    // Sorting needs no place on a disk: a container may have none.
    let options = SqliteConnectOptions::new().filename(file).read_only(true).pragma("temp_store", "memory");
    let options = options.disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(|error| ReadError::of(&error))?;
    let Err(error) = sqlx::raw_sql("SELECT 1 FROM sqlite_schema LIMIT 1").execute(&mut connection).await else {
        return Ok(connection);
    };
    let _ = connection.close().await;
    // SQLite needs files beside the database, unless nobody writes it and there is nothing beside it.
    match std::fs::metadata(sqlite::log_of(file)) {
        Ok(log) if log.len() > 0 => Err(ReadError::Log(file.to_owned())),
        _ => {
            let still = SqliteConnection::connect_with(&options.immutable(true)).await;
            still.map_err(|_| ReadError::of(&error))
        }
    }
}

impl Reader {
    /// Connects; nothing is made or changed.
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
                // One transaction: no pooler parts it, and no setting stays behind in one.
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

    /// Reads into the survey what was counted of a period.
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

    /// Reads into the survey what pinged and reported from one moment to before another.
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
