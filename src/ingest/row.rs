//! The two kinds of rows, which are queued and written in the same way.

use std::sync::Arc;

use serde::Serialize;

use super::{Outcome, profiles::Source};
use crate::{
    domain::{pingback::Ping, profile::Profile, statistics::StatisticsReport},
    store::{SetAside, Store, StoreError, Write},
};

/// Limit of repetitions of a write that finds the store changed; it does not legitimately change more often.
const MOST_CHANGES: usize = 5;

/// A kind of row with a queue of its own.
pub trait Row: Send + Sync + Sized + 'static {
    /// The name of the writer tasks.
    const NAME: &'static str;

    /// Whether a single row can be too large for the store to write within the timeout.
    const CAN_BE_TOO_LARGE: bool;

    /// The key by which a lane is chosen.
    fn key(&self) -> &str;

    /// Writes the rows; fails if the store has changed meanwhile.
    fn write_now(store: &Store, rows: &[Self], write: Write) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The outcome of a row that was written.
    fn outcome(&self, store: &Store) -> Outcome;

    /// The row for the table `set_aside`.
    fn set_aside(&self, reason: String) -> SetAside;

    /// As `write_now`, repeated if the store has changed.
    fn write(store: &Store, rows: &[Self], write: Write) -> impl Future<Output = Result<(), StoreError>> + Send {
        async move {
            for _ in 0..MOST_CHANGES {
                match Self::write_now(store, rows, write).await {
                    Err(StoreError::Stale) => {}
                    result => return result,
                }
            }
            Err(StoreError::Unavailable { reason: "the store changes all the time".into(), timeout: false })
        }
    }
}

/// A ping and its sender.
pub struct PingRow {
    /// What changes from ping to ping.
    pub ping: Ping,
    /// The profile.
    pub source: Arc<Source>,
    /// The row of the profile, if it had to be made for this ping.
    pub profile: Option<Box<Profile>>,
}

impl Row for PingRow {
    const NAME: &'static str = "pingback writer";
    const CAN_BE_TOO_LARGE: bool = false;

    fn key(&self) -> &str {
        &self.ping.instance_id
    }

    async fn write_now(store: &Store, rows: &[Self], write: Write) -> Result<(), StoreError> {
        let epoch = store.epoch();
        let kept = || rows.iter().filter(|row| !store.is_sealed(row.ping.received_at));
        let pings: Vec<_> = kept().map(|row| &row.ping).collect();
        let unknown = || kept().filter(|row| !row.source.is_stored(epoch));
        let made: Vec<_> = unknown().filter(|row| row.profile.is_none()).map(|row| row.source.profile()).collect();
        let profiles: Vec<_> = unknown().filter_map(|row| row.profile.as_deref()).chain(&made).collect();
        store.write_pings(&pings, &profiles, write, epoch).await?;
        for row in kept() {
            row.source.set_stored(epoch);
        }
        Ok(())
    }

    fn outcome(&self, store: &Store) -> Outcome {
        if store.is_sealed(self.ping.received_at) { Outcome::Expired } else { Outcome::Stored }
    }

    fn set_aside(&self, reason: String) -> SetAside {
        #[derive(Serialize)]
        struct Whole<'a> {
            #[serde(flatten)]
            ping: &'a Ping,
            #[serde(flatten)]
            profile: &'a Profile,
        }
        let profile = self.profile.as_deref().map_or_else(|| self.source.profile(), Clone::clone);
        let whole = Whole { ping: &self.ping, profile: &profile };
        SetAside {
            id: self.ping.id,
            received_at: self.ping.received_at,
            kind: "pingback",
            instance_id: self.ping.instance_id.to_string(),
            reason,
            row: serde_json::to_string(&whole).unwrap_or_default(),
        }
    }
}

impl Row for StatisticsReport {
    const NAME: &'static str = "statistics writer";
    const CAN_BE_TOO_LARGE: bool = true;

    fn key(&self) -> &str {
        &self.pi
    }

    async fn write_now(store: &Store, rows: &[Self], write: Write) -> Result<(), StoreError> {
        let epoch = store.epoch();
        let kept: Vec<_> = rows.iter().filter(|report| !store.is_sealed(report.received_at)).collect();
        store.write_statistics(&kept, write, epoch).await
    }

    fn outcome(&self, store: &Store) -> Outcome {
        if store.is_sealed(self.received_at) { Outcome::Expired } else { Outcome::Stored }
    }

    fn set_aside(&self, reason: String) -> SetAside {
        SetAside {
            id: self.id,
            received_at: self.received_at,
            kind: "statistics",
            instance_id: String::new(),
            reason,
            row: serde_json::to_string(self).unwrap_or_default(),
        }
    }
}
