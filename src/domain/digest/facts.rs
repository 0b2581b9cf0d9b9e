//! What the digest of pings reads and writes: rows of the store, in its words.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::NaiveDate;
use uuid::Uuid;

use crate::domain::{Timestamp, period::Period};

/// A ping, as far as something follows from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ping {
    /// Its key.
    pub id: Uuid,
    /// Its moment.
    pub received_at: Timestamp,
    /// Not empty, where something is to follow.
    pub instance_id: Arc<str>,
    /// What the installation said of itself.
    pub profile: Uuid,
    /// ISO 3166-1 code, or `''`.
    pub country: String,
    /// ISO 3166-2 code, or `''`.
    pub subdivision: String,
}

impl Ping {
    /// Pings of an installation sort by this. (Ids alone would do for those that this program makes.)
    pub(super) fn order(&self) -> (Timestamp, Uuid) {
        (self.received_at, self.id)
    }
}

/// What a profile says, as far as something follows from it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Said {
    /// As sent.
    pub kolibri_version: String,
    /// `''` is an ordinary installation.
    pub mode: String,
    /// The operating system.
    pub os: String,
    /// As `3.9.2`.
    pub python_version: String,
    /// As sent.
    pub database_id: String,
    /// As sent.
    pub language: String,
    /// As sent.
    pub timezone: String,
    /// As sent.
    pub installer: String,
}

impl Said {
    /// Major and minor version of Python, or `''`.
    #[must_use]
    pub fn python(&self) -> &str {
        let version = self.python_version.as_str();
        version.match_indices('.').nth(1).map_or(version, |(end, _)| &version[..end])
    }
}

/// An installation and one of its profiles.
pub type Key = (Arc<str>, Uuid);

/// An installation as the pings digested before have left it.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Its first ping.
    pub first_seen: Timestamp,
    /// The version then.
    pub first_version: String,
    /// Whether it had no mode then.
    pub first_ordinary: bool,
    /// Its latest ping.
    pub last_seen: Timestamp,
    /// What it said with it.
    pub profile: Uuid,
    /// The version in it.
    pub kolibri_version: String,
    /// Whether it has no mode there.
    pub ordinary: bool,
    /// Where the latest ping came from.
    pub country: String,
    /// Where the latest ping came from.
    pub subdivision: String,
}

/// Pings of an installation that all say the same. Nearly always they come after its latest, and that said the same too.
#[derive(Debug, Clone, Copy)]
pub struct Usual<'a> {
    /// Which one.
    pub instance_id: &'a str,
    /// What all of them say.
    pub profile: Uuid,
    /// The moment of the first.
    pub from: Timestamp,
    /// The last.
    pub last: &'a Ping,
    /// How many.
    pub pings: i64,
}

/// What was known of an installation whose pings were usual indeed.
#[derive(Debug, Clone, PartialEq)]
pub struct Before {
    /// Which one.
    pub instance_id: String,
    /// Its latest ping before these.
    pub last_seen: Timestamp,
    /// Whether it has no mode.
    pub ordinary: bool,
}

/// An installation that is new, or of which something else has changed: its row, but for the number of pings.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// Which one.
    pub instance_id: Arc<str>,
    /// What holds from now on.
    pub known: Known,
    /// So many more pings.
    pub pings: i64,
    /// What the profile of the latest ping says.
    pub said: Said,
}

/// A ping whose version differs from that of the ping before.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionChange {
    /// The installation.
    pub instance_id: Arc<str>,
    /// The ping.
    pub id: Uuid,
    /// Its moment.
    pub changed_at: Timestamp,
    /// Before.
    pub from_version: String,
    /// With this ping.
    pub to_version: String,
    /// Whether this ping had no mode.
    pub ordinary: bool,
}

/// Day of the later of two pings, whether that one had no mode, and hours: they were at least this long.
pub type Gap = (NaiveDate, bool, i32);

/// What is to be written.
#[derive(Debug, Default, PartialEq)]
pub struct Changes {
    /// Installations whose pings were not usual.
    pub changed: Vec<Changed>,
    /// Changes of version that there are now.
    pub versions: Vec<VersionChange>,
    /// Changes of version that there are no longer, as a ping came in between.
    pub no_versions: Vec<Key>,
    /// How many times between two pings there are more or fewer.
    pub gaps: BTreeMap<Gap, i64>,
    /// Periods whose counts are no longer right.
    pub periods: BTreeSet<Period>,
}
