//! What the digest reads and writes, whichever store it is.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    time::Duration,
};

use uuid::Uuid;

use crate::domain::{
    Timestamp,
    digest::{
        facts::{Before, Changes, Key, Known, Ping, Said, Usual},
        usage::{Channel, ChannelEntry, Facility, FacilityEntry},
    },
};

/// Facilities or channels of reports that are read at once: some kilobytes each at most.
pub(super) const ENTRIES: u16 = 1_000;
/// What a batch holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Pings,
    Statistics,
}

/// A row of the outbox.
#[derive(Debug, Clone)]
pub(super) struct Batch<I> {
    pub id: I,
    pub kind: Kind,
    pub ids: Vec<Uuid>,
}

/// A statistics report as it is stored.
#[derive(Debug, Clone)]
pub(super) struct StoredReport {
    pub id: Uuid,
    pub received_at: Timestamp,
    pub pingback: Option<Uuid>,
}

/// A report and a position in it.
pub(super) type Place = (Uuid, i32);

/// What the digest reads and writes within one transaction. Ids and keys are given sorted.
pub(super) trait Books: Send {
    /// Names a batch.
    type Id: Copy + Eq + Hash + Send + Sync;

    /// The oldest batches that have been there for so long, but for some.
    fn batches(
        &mut self,
        age: Duration,
        but: &[Self::Id],
    ) -> impl Future<Output = sqlx::Result<Vec<Batch<Self::Id>>>> + Send;
    /// Takes batches out of the outbox; those that were there.
    fn remove(&mut self, batches: &[Self::Id]) -> impl Future<Output = sqlx::Result<Vec<Self::Id>>> + Send;
    /// Those of the pings that are in the outbox.
    fn undigested(&mut self, ids: &[Uuid]) -> impl Future<Output = sqlx::Result<Vec<Uuid>>> + Send;
    /// Pings by their ids, those without an installation too.
    fn pings(&mut self, ids: &[Uuid]) -> impl Future<Output = sqlx::Result<Vec<Ping>>> + Send;
    /// Pings of installations, from one id to before another.
    fn pings_between(
        &mut self,
        instances: &[&str],
        ids: (Uuid, Uuid),
    ) -> impl Future<Output = sqlx::Result<Vec<Ping>>> + Send;
    /// Pings of an installation from one id to before another, each.
    fn pings_at(&mut self, places: &[(&str, Uuid, Uuid)]) -> impl Future<Output = sqlx::Result<Vec<Ping>>> + Send;
    /// Writes what is usual indeed.
    fn usual(&mut self, usual: &[Usual<'_>]) -> impl Future<Output = sqlx::Result<Vec<Before>>> + Send;
    /// What is known of installations.
    fn known(&mut self, instances: &[&str]) -> impl Future<Output = sqlx::Result<HashMap<String, Known>>> + Send;
    /// What profiles say.
    fn said(&mut self, keys: &BTreeSet<Key>) -> impl Future<Output = sqlx::Result<HashMap<Key, Said>>> + Send;
    /// Writes what else follows.
    fn save(&mut self, changes: &Changes) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Reports by their ids.
    fn reports(&mut self, ids: &[Uuid]) -> impl Future<Output = sqlx::Result<Vec<StoredReport>>> + Send;
    /// The next [`ENTRIES`] facilities in the order of reports and positions, but for those without an id: after one, and up to
    /// those of the last report.
    fn facility_entries(
        &mut self,
        after: Place,
        last: Uuid,
    ) -> impl Future<Output = sqlx::Result<Vec<FacilityEntry>>> + Send;
    /// The same of channels.
    fn channel_entries(
        &mut self,
        after: Place,
        last: Uuid,
    ) -> impl Future<Output = sqlx::Result<Vec<ChannelEntry>>> + Send;
    /// Facilities as they are known.
    fn facilities(&mut self, ids: &[&str]) -> impl Future<Output = sqlx::Result<Vec<Facility>>> + Send;
    /// Writes facilities as they are now.
    fn save_facilities(&mut self, facilities: &[Facility]) -> impl Future<Output = sqlx::Result<()>> + Send;
    /// Writes channels where these are later than those that are there.
    fn save_channels(&mut self, channels: &[Channel]) -> impl Future<Output = sqlx::Result<()>> + Send;
}

/// Rows as both stores give them, in the order of [`KNOWN`] and [`SAID`].
type KnownRow = (String, Timestamp, String, bool, Timestamp, Uuid, String, bool, String, String);
type SaidRow = (String, Uuid, String, String, String, String, String, String, String, String);

/// The columns of what is known of an installation.
pub(super) const KNOWN: &str = "instance_id, first_seen, first_version, first_ordinary, last_seen, profile, \
    kolibri_version, ordinary, country, subdivision";
/// The columns of what a profile says.
pub(super) const SAID: &str = "profiles.instance_id, profiles.profile, kolibri_version, mode, os, python_version, \
    database_id, language, timezone, installer";

/// What is known of an installation, by its name.
pub(super) fn known(row: KnownRow) -> (String, Known) {
    let (
        instance_id,
        first_seen,
        first_version,
        first_ordinary,
        last_seen,
        profile,
        kolibri_version,
        ordinary,
        country,
        subdivision,
    ) = row;
    (
        instance_id,
        Known {
            first_seen,
            first_version,
            first_ordinary,
            last_seen,
            profile,
            kolibri_version,
            ordinary,
            country,
            subdivision,
        },
    )
}

/// What a profile says, by its key.
pub(super) fn said(row: SaidRow) -> (Key, Said) {
    let (instance_id, profile, kolibri_version, mode, os, python_version, database_id, language, timezone, installer) =
        row;
    let said = Said { kolibri_version, mode, os, python_version, database_id, language, timezone, installer };
    ((instance_id.into(), profile), said)
}

/// What was known of an installation whose pings were usual.
pub(super) fn before((instance_id, last_seen, ordinary): (String, Timestamp, bool)) -> Before {
    Before { instance_id, last_seen, ordinary }
}
