//! The store of rows: PostgreSQL or SQLite, with the same operations.

mod books;
mod connections;
mod conninfo;
mod digest;
mod error;
mod fresh;
mod migrations;
mod months;
mod neighbours;
mod periods;
mod postgres;
mod reader;
mod server;
mod sqlite;
mod state;
mod targets;
mod volume;

use std::{borrow::Borrow, io, path::Path, sync::Arc, time::Duration};

use serde::Serialize;
use uuid::Uuid;

pub use self::{
    digest::{Digested, Whose},
    error::{MigrationError, OpenError, StoreError},
    periods::CountError,
    reader::{ReadError, Reader},
    volume::Volume,
};
use self::{postgres::Postgres, server::Server, sqlite::Sqlite};
use crate::{
    config::{secret::Secret, sections},
    domain::{
        Timestamp,
        period::{Grain, Period},
        pingback::Ping,
        profile::Profile,
        statistics::StatisticsReport,
    },
};

/// Path of the embedded store if `store` sets none.
const EMBEDDED: &str = "data/nutritionfacts.db";

/// An open store; clones share it.
#[derive(Debug, Clone)]
pub enum Store {
    /// A server, which may be down for a while.
    Postgres(Arc<Postgres>),
    /// A file that this process owns.
    Sqlite(Arc<Sqlite>),
}

/// See [`Store::candidate`].
#[derive(Debug)]
pub struct Candidate(Option<postgres::Candidate>);

/// Whether rows may exist already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// Rows have new ids: the fast statement.
    New,
    /// After a failure with unknown outcome: existing rows are skipped and not counted again.
    Replay,
}

/// A row that the store rejected, kept for a person to inspect.
#[derive(Debug, Clone, Serialize)]
pub struct SetAside {
    /// The id that the row would have had.
    pub id: Uuid,
    /// Time of arrival.
    pub received_at: Timestamp,
    /// `pingback` or `statistics`.
    pub kind: &'static str,
    /// Of a pingback; `''` otherwise.
    pub instance_id: String,
    /// SQLSTATE and constraint name only.
    pub reason: String,
    /// The row as a JSON object (its text).
    pub row: String,
}

impl Store {
    /// Opens the store that `store` describes. Does not connect to PostgreSQL yet: it may be down.
    ///
    /// # Errors
    ///
    /// Errors that do not go away by waiting: see [`OpenError`].
    pub async fn open(store: &sections::Store) -> Result<Self, OpenError> {
        let url = store.url.as_ref().map(Secret::expose);
        match url {
            None if store.host.is_none() => Self::open_file(Path::new(EMBEDDED)).await,
            Some(url) if url.starts_with("sqlite:") => Self::open_file(sqlite::path_of(url)?).await,
            _ => {
                let server = Server::new(store)?;
                Ok(Self::Postgres(Arc::new(Postgres::new(server, store))))
            }
        }
    }

    /// Checks whether the section describes a store that can be opened, without opening it.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn check(store: &sections::Store) -> Result<(), OpenError> {
        match store.url.as_ref().map(Secret::expose) {
            None if store.host.is_none() => Ok(()),
            Some(url) if url.starts_with("sqlite:") => sqlite::path_of(url).map(|_| ()),
            _ => Server::new(store).map(|_| ()),
        }
    }

    async fn open_file(path: &Path) -> Result<Self, OpenError> {
        Ok(Self::Sqlite(Arc::new(Sqlite::open(path).await?)))
    }

    /// `postgres` or `sqlite`, as in the labels of metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::Sqlite(_) => "sqlite",
        }
    }

    /// The folder of an embedded store.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Postgres(_) => None,
            Self::Sqlite(store) => Some(store.folder()),
        }
    }

    /// Migrates the schema to this version and creates the months around `now`. Many processes may run this at once.
    ///
    /// # Errors
    ///
    /// The schema is unchanged then; the error says what to do.
    pub async fn migrate(&self, now: Timestamp) -> Result<(), MigrationError> {
        match self {
            Self::Postgres(store) => store.migrate(now).await,
            Self::Sqlite(store) => store.migrate().await,
        }
    }

    /// Writes pings, all or none, with those of their profiles that may not exist yet: all that were not written in this
    /// epoch.
    ///
    /// # Errors
    ///
    /// `Unavailable`: the outcome is unknown, so retry with [`Write::Replay`]. `Stale`: another epoch has begun;
    /// retry with its state.
    pub async fn write_pings(
        &self,
        pings: &[&Ping],
        profiles: &[&Profile],
        write: Write,
        epoch: u32,
    ) -> Result<(), StoreError> {
        if pings.is_empty() {
            return Ok(());
        }
        match self {
            Self::Postgres(store) => store.write_pings(pings, profiles, write, epoch).await,
            Self::Sqlite(store) => store.write_pings(pings, profiles, write, epoch).await,
        }
    }

    /// While it stays the same, profiles that were written exist.
    pub fn epoch(&self) -> u32 {
        self.state().epoch()
    }

    /// Whether pings of this time are not stored any more, because retention has deleted their month or begun to.
    pub fn is_sealed(&self, received_at: Timestamp) -> bool {
        self.state().is_sealed(received_at)
    }

    fn state(&self) -> &state::Shared {
        match self {
            Self::Postgres(store) => store.state(),
            Self::Sqlite(store) => store.state(),
        }
    }

    /// Digests some of the batches in the outbox.
    ///
    /// # Errors
    ///
    /// `Unavailable`; nothing is lost in any case (docs/decisions/0015-one-outbox.md).
    pub async fn digest(&self, whose: Whose) -> Result<Digested, StoreError> {
        match self {
            Self::Postgres(store) => store.digest(whose).await,
            Self::Sqlite(store) => store.digest(whose).await,
        }
    }

    /// Waits until there are many rows to digest.
    pub async fn much_to_digest(&self) {
        match self {
            Self::Postgres(store) => store.much_to_digest().await,
            Self::Sqlite(store) => store.much_to_digest().await,
        }
    }

    /// Number of batches in the outbox, and the age of the oldest one, by the database's clock.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn outbox(&self) -> Result<(i64, Duration), StoreError> {
        match self {
            Self::Postgres(store) => store.outbox().await,
            Self::Sqlite(store) => store.outbox().await,
        }
    }

    /// Counts a period of this length that has changed, if one is due, and returns it.
    ///
    /// # Errors
    ///
    /// See [`CountError`]: other periods are counted first, then this one is retried.
    pub async fn count_period(&self, grain: Grain) -> Result<Option<Period>, CountError> {
        match self {
            Self::Postgres(store) => store.count_period(grain).await,
            Self::Sqlite(store) => store.count_period(grain).await,
        }
    }

    /// How far this process's clock is ahead of the database's, in seconds.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn clock_ahead(&self, now: impl Fn() -> Timestamp + Send) -> Result<i64, StoreError> {
        match self {
            Self::Postgres(store) => store.clock_ahead(now).await,
            // It has no clock of its own.
            Self::Sqlite(_) => Ok(0),
        }
    }

    /// Writes statistics reports with their channels and facilities: all or none; the embedded store writes a thousand entries at a
    /// time. There, reports before a rejected one are stored: retry with [`Write::Replay`].
    ///
    /// # Errors
    ///
    /// As [`Self::write_pings`].
    pub async fn write_statistics(
        &self,
        reports: &[impl Borrow<StatisticsReport> + Sync],
        write: Write,
        epoch: u32,
    ) -> Result<(), StoreError> {
        let reports: Vec<&StatisticsReport> = reports.iter().map(Borrow::borrow).collect();
        if reports.is_empty() {
            return Ok(());
        }
        match self {
            Self::Postgres(store) => store.write_statistics(&reports, write, epoch).await,
            Self::Sqlite(store) => store.write_statistics(&reports, write, epoch).await,
        }
    }

    /// Stores a row that the store rejected; repeating it with the same id has no effect.
    ///
    /// # Errors
    ///
    /// As [`Self::write_pings`].
    pub async fn set_aside(&self, row: &SetAside) -> Result<(), StoreError> {
        match self {
            Self::Postgres(store) => store.set_aside(row).await,
            Self::Sqlite(store) => store.set_aside(row).await,
        }
    }

    /// Saves the active messages, as JSON text.
    ///
    /// # Errors
    ///
    /// As [`Self::write_pings`].
    pub async fn save_message_snapshot(&self, catalogue: &str) -> Result<(), StoreError> {
        match self {
            Self::Postgres(store) => store.save_message_snapshot(catalogue).await,
            Self::Sqlite(store) => store.save_message_snapshot(catalogue).await,
        }
    }

    /// The messages that were saved last, if any.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn message_snapshot(&self) -> Result<Option<String>, StoreError> {
        match self {
            Self::Postgres(store) => store.message_snapshot().await,
            Self::Sqlite(store) => store.message_snapshot().await,
        }
    }

    /// Returns a candidate for the leadership among all processes that share the store, as long as it lives.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn candidate(&self) -> Result<Candidate, StoreError> {
        match self {
            Self::Postgres(store) => Ok(Candidate(Some(store.candidate().await?))),
            // The store belongs to this process alone.
            Self::Sqlite(_) => Ok(Candidate(None)),
        }
    }

    /// Whether the candidate is the leader now; of all candidates one is.
    ///
    /// # Errors
    ///
    /// `Unavailable`: it is not the leader any more, and a new candidate is needed.
    pub async fn leads(&self, candidate: &mut Candidate) -> Result<bool, StoreError> {
        match (self, candidate) {
            (Self::Postgres(store), Candidate(Some(candidate))) => store.leads(candidate).await,
            _ => Ok(true),
        }
    }

    /// Creates the months that pings of the near future need.
    ///
    /// # Errors
    ///
    /// `Unavailable`; a ping whose month is missing creates it.
    pub async fn prepare_months(&self, now: Timestamp) -> Result<(), StoreError> {
        match self {
            Self::Postgres(store) => store.prepare_months(now).await,
            Self::Sqlite(_) => Ok(()),
        }
    }

    /// Number of complete months after the current one that exist without a gap; `None` if the store has no months.
    ///
    /// # Errors
    ///
    /// `Unavailable`.
    pub async fn months_ahead(&self, now: Timestamp) -> Result<Option<usize>, StoreError> {
        match self {
            Self::Postgres(store) => store.months_ahead(now).await.map(Some),
            Self::Sqlite(_) => Ok(None),
        }
    }

    /// The volume of an embedded store.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn volume(&self) -> io::Result<Option<Volume>> {
        self.folder().map(Volume::of).transpose()
    }

    /// Size of the write-ahead log of an embedded store, in bytes.
    pub fn log_size(&self) -> u64 {
        match self {
            Self::Postgres(_) => 0,
            Self::Sqlite(store) => store.log_size(),
        }
    }

    /// Checks with one round trip whether the store accepts rows now.
    ///
    /// # Errors
    ///
    /// `Unavailable`, also if it is read-only.
    pub async fn health(&self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(store) => store.health().await,
            Self::Sqlite(store) => store.health().await,
        }
    }

    /// Number of idle and of used connections.
    pub fn connections(&self) -> (usize, usize) {
        match self {
            Self::Postgres(store) => store.connections(),
            Self::Sqlite(store) => store.connections(),
        }
    }

    /// Waits for running operations and closes the store; every later call returns `Unavailable`.
    pub async fn close(&self) {
        match self {
            Self::Postgres(store) => store.close().await,
            Self::Sqlite(store) => store.close().await,
        }
    }
}
