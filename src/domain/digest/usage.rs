//! From statistics reports to facilities and channels. Reports repeat totals, so they are never added up: of a facility the
//! largest report counts, of a channel on an installation the latest.

use std::collections::BTreeMap;

use chrono::{Datelike, SecondsFormat};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

use super::demographics::Demographics;
use crate::domain::Timestamp;

/// What no device can have seen is left out, so that nobody spoils a sum.
const MOST_PEOPLE: i64 = 1_000_000;
const MOST_USAGE: i64 = 1_000_000_000_000;
const MOST_MIB: f64 = 1e9;

/// A report, and what is known of its sender.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Its key.
    pub id: Uuid,
    /// Its moment.
    pub received_at: Timestamp,
    /// `''` if its ping is not there, or has none.
    pub instance_id: String,
    /// Whether its ping had no mode; true if it is not there.
    pub ordinary: bool,
    /// Of its ping, or `''`.
    pub country: String,
}

/// Counters of sessions and minutes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Sessions {
    /// With content, signed in.
    pub user_sessions: i64,
    /// With content, not signed in.
    pub anonymous_sessions: i64,
    /// Spent in them.
    pub user_minutes: i64,
    /// Spent in them.
    pub anonymous_minutes: i64,
}

/// A row of `facility_statistics`, as far as something follows from it; texts are JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct FacilityEntry {
    /// Of its report.
    pub report: Uuid,
    /// Within the report.
    pub position: i32,
    /// Not empty.
    pub facility_id: String,
    /// `settings.preset`.
    pub preset: String,
    /// People.
    pub learners: i64,
    /// People.
    pub coaches: i64,
    /// Sessions.
    pub learner_logins: i64,
    /// Counters.
    pub sessions: Sessions,
    /// An object.
    pub sessions_by_kind: String,
    /// An object.
    pub learner_demographics: String,
    /// An object.
    pub coach_demographics: String,
}

/// A row of `channel_statistics`, as far as something follows from it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelEntry {
    /// Of its report.
    pub report: Uuid,
    /// Within the report.
    pub position: i32,
    /// Not empty.
    pub channel_id: String,
    /// Room that it takes.
    pub storage_mib: f64,
    /// Counters.
    pub sessions: Sessions,
}

/// What makes one report of a facility count before another: a number, then the newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rank {
    number: i64,
    report: Uuid,
    position: i32,
}

/// A row of `facilities`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facility {
    /// A hash made by devices.
    pub facility_id: String,
    /// Of all reports.
    #[serde(serialize_with = "in_microseconds")]
    pub first_reported: Timestamp,
    /// Of all reports.
    #[serde(serialize_with = "in_microseconds")]
    pub last_reported: Timestamp,
    /// The report with the most learners.
    pub largest: Rank,
    /// Of the largest report's sender.
    pub ordinary: bool,
    /// Of the largest report's sender.
    pub country: String,
    /// Of the largest report.
    pub preset: String,
    /// Of the largest report.
    pub learners: i64,
    /// Of the largest report.
    pub coaches: i64,
    /// Of the largest report.
    pub learner_demographics: Demographics,
    /// Of the largest report.
    pub coach_demographics: Demographics,
    /// The report with the most sessions.
    pub busiest: Rank,
    /// Of the busiest report: a JSON object.
    pub sessions_by_kind: Value,
    /// The most of any report.
    pub learner_logins: i64,
    /// The most of any report, each.
    #[serde(flatten)]
    pub sessions: Sessions,
}

/// A row of `channels`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Channel {
    /// The first ten digits.
    pub channel_id: String,
    /// Where it is.
    pub instance_id: String,
    /// The latest report that has it.
    pub report: Uuid,
    /// In that report.
    pub position: i32,
    /// Its moment.
    #[serde(serialize_with = "in_microseconds")]
    pub last_reported: Timestamp,
    /// Of its sender.
    pub ordinary: bool,
    /// Of its sender.
    pub country: String,
    /// As reported.
    pub storage_mib: f64,
    /// As reported.
    #[serde(flatten)]
    pub sessions: Sessions,
}

/// `YYYY-MM-DDTHH:MM:SS.ffffffZ`, as SQLite has it.
fn in_microseconds<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&moment.to_rfc3339_opts(SecondsFormat::Micros, true))
}

impl Sessions {
    fn is_credible(&self) -> bool {
        let Self { user_sessions, anonymous_sessions, user_minutes, anonymous_minutes } = *self;
        [user_sessions, anonymous_sessions, user_minutes, anonymous_minutes].iter().all(|count| *count <= MOST_USAGE)
    }

    fn most(self, other: Self) -> Self {
        Self {
            user_sessions: self.user_sessions.max(other.user_sessions),
            anonymous_sessions: self.anonymous_sessions.max(other.anonymous_sessions),
            user_minutes: self.user_minutes.max(other.user_minutes),
            anonymous_minutes: self.anonymous_minutes.max(other.anonymous_minutes),
        }
    }
}

impl Facility {
    /// By one report; nothing if its numbers cannot be.
    fn of(report: &Report, entry: FacilityEntry) -> Option<Self> {
        let people = entry.learners.max(entry.coaches);
        let is_credible = people <= MOST_PEOPLE && entry.learner_logins <= MOST_USAGE && entry.sessions.is_credible();
        let rank = |number| Rank { number, report: report.id, position: entry.position };
        let demographics = |text: &str| Demographics::read(text, report.received_at.year());
        is_credible.then(|| Self {
            first_reported: report.received_at,
            last_reported: report.received_at,
            largest: rank(entry.learners),
            ordinary: report.ordinary,
            country: report.country.clone(),
            learners: entry.learners,
            coaches: entry.coaches,
            learner_demographics: demographics(&entry.learner_demographics),
            coach_demographics: demographics(&entry.coach_demographics),
            busiest: rank(entry.sessions.user_sessions + entry.sessions.anonymous_sessions),
            learner_logins: entry.learner_logins,
            sessions: entry.sessions,
            facility_id: entry.facility_id,
            preset: entry.preset,
            sessions_by_kind: serde_json::from_str(&entry.sessions_by_kind).unwrap_or_default(),
        })
    }

    /// By the reports of both; their order does not matter.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let first_reported = self.first_reported.min(other.first_reported);
        let last_reported = self.last_reported.max(other.last_reported);
        let learner_logins = self.learner_logins.max(other.learner_logins);
        let sessions = self.sessions.most(other.sessions);
        let (mut largest, busiest) = if other.largest > self.largest { (other, self) } else { (self, other) };
        if busiest.busiest > largest.busiest {
            largest.busiest = busiest.busiest;
            largest.sessions_by_kind = busiest.sessions_by_kind;
        }
        Self { first_reported, last_reported, learner_logins, sessions, ..largest }
    }
}

/// What each facility of these reports comes to, by them alone.
#[must_use]
pub fn facilities(reports: &BTreeMap<Uuid, Report>, entries: Vec<FacilityEntry>) -> BTreeMap<String, Facility> {
    let mut facilities = BTreeMap::new();
    for entry in entries {
        let facility = reports.get(&entry.report).and_then(|report| Facility::of(report, entry));
        let Some(facility) = facility else { continue };
        let merged = match facilities.remove(&facility.facility_id) {
            Some(other) => facility.merge(other),
            None => facility,
        };
        facilities.insert(merged.facility_id.clone(), merged);
    }
    facilities
}

/// The latest entry of each channel on each installation, of these reports alone.
#[must_use]
pub fn channels(reports: &BTreeMap<Uuid, Report>, entries: Vec<ChannelEntry>) -> BTreeMap<(String, String), Channel> {
    let mut channels: BTreeMap<(String, String), Channel> = BTreeMap::new();
    for entry in entries {
        let is_credible = (0.0..=MOST_MIB).contains(&entry.storage_mib) && entry.sessions.is_credible();
        let Some(report) = reports.get(&entry.report).filter(|report| is_credible && !report.instance_id.is_empty())
        else {
            continue;
        };
        let key = (entry.channel_id.clone(), report.instance_id.clone());
        if channels.get(&key).is_some_and(|other| (other.report, other.position) >= (entry.report, entry.position)) {
            continue;
        }
        let channel = Channel {
            channel_id: entry.channel_id,
            instance_id: report.instance_id.clone(),
            report: report.id,
            position: entry.position,
            last_reported: report.received_at,
            ordinary: report.ordinary,
            country: report.country.clone(),
            storage_mib: entry.storage_mib,
            sessions: entry.sessions,
        };
        channels.insert(key, channel);
    }
    channels
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::new_id;

    fn report(number: u8) -> Report {
        let received_at = Timestamp::from_timestamp(1_790_000_000 + i64::from(number), 0).unwrap();
        Report {
            id: new_id(received_at, number.into()),
            received_at,
            instance_id: ["", "a", "b"][usize::from(number % 3)].into(),
            ordinary: !number.is_multiple_of(4),
            country: ["", "KE"][usize::from(number % 2)].into(),
        }
    }

    fn entry((number, position, facility, learners, sessions): (u8, i32, u8, i64, i64)) -> FacilityEntry {
        FacilityEntry {
            report: report(number).id,
            position,
            facility_id: facility.to_string(),
            preset: format!("preset {number} {position}"),
            learners,
            coaches: learners % 3,
            learner_logins: sessions % 5,
            sessions: Sessions { user_sessions: sessions, anonymous_minutes: learners, ..Sessions::default() },
            sessions_by_kind: format!("{{\"{number} {position}\": 1}}"),
            learner_demographics: "{}".into(),
            coach_demographics: "{}".into(),
        }
    }

    fn merged(all: impl IntoIterator<Item = BTreeMap<String, Facility>>) -> BTreeMap<String, Facility> {
        let mut merged: BTreeMap<String, Facility> = BTreeMap::new();
        for (id, facility) in all.into_iter().flatten() {
            let facility = match merged.remove(&id) {
                Some(other) => other.merge(facility),
                None => facility,
            };
            merged.insert(id, facility);
        }
        merged
    }

    proptest! {
        #[test]
        fn reports_in_any_order_lead_to_the_same_facilities(
            entries in proptest::collection::btree_set((0_u8..12, 0_i32..2, 0_u8..2, 0_i64..4, 0_i64..4), 1..20).prop_map(Vec::from_iter).prop_shuffle(),
            size in 1_usize..5,
        ) {
            let reports: BTreeMap<_, _> = (0..12).map(|number| (report(number).id, report(number))).collect();
            let of = |entries: &[_]| facilities(&reports, entries.iter().copied().map(entry).collect());
            let at_once = of(&entries);
            prop_assert_eq!(merged(entries.chunks(size).map(of)), at_once.clone());
            let facility = |id: u8| entries.iter().filter(move |entry| entry.2 == id);
            for id in 0..2 {
                let largest = facility(id).max_by_key(|entry| (entry.3, report(entry.0).id, entry.1));
                prop_assert_eq!(largest.map(|largest| entry(*largest).preset), at_once.get(&id.to_string()).map(|facility| facility.preset.clone()));
                let most = facility(id).map(|entry| entry.4).max();
                prop_assert_eq!(most, at_once.get(&id.to_string()).map(|facility| facility.sessions.user_sessions));
            }
        }
    }

    #[test]
    fn the_latest_report_of_a_channel_counts() {
        let reports: BTreeMap<_, _> = (0..6).map(|number| (report(number).id, report(number))).collect();
        let entry = |number, position, storage_mib| ChannelEntry {
            report: report(number).id,
            position,
            channel_id: "c".into(),
            storage_mib,
            sessions: Sessions::default(),
        };
        // Of installation "a" the later of 1 and 4, of "b" 2 with its last entry, of nobody 0; 5 tells of a petabyte.
        let entries = vec![
            entry(4, 0, 40.0),
            entry(1, 0, 10.0),
            entry(2, 1, 21.0),
            entry(2, 0, 20.0),
            entry(0, 0, 0.0),
            entry(5, 0, 1e10),
        ];
        let channels: Vec<_> = channels(&reports, entries).into_values().collect();
        let told: Vec<_> = channels.iter().map(|channel| (channel.instance_id.as_str(), channel.storage_mib)).collect();
        assert_eq!(told, [("a", 40.0), ("b", 21.0)]);
        assert_eq!((channels[0].ordinary, channels[1].country.as_str()), (false, ""));
    }

    #[test]
    fn numbers_that_no_device_can_have_are_left_out() {
        let reports = BTreeMap::from([(report(1).id, report(1))]);
        let of = |entry| facilities(&reports, vec![entry]).len();
        let fine = entry((1, 0, 0, MOST_PEOPLE, MOST_USAGE));
        assert_eq!(of(fine.clone()), 1);
        assert_eq!(of(FacilityEntry { learners: i64::MAX, ..fine.clone() }), 0);
        assert_eq!(of(FacilityEntry { coaches: MOST_PEOPLE + 1, ..fine.clone() }), 0);
        assert_eq!(of(FacilityEntry { learner_logins: MOST_USAGE + 1, ..fine.clone() }), 0);
        let sessions = Sessions { anonymous_minutes: MOST_USAGE + 1, ..Sessions::default() };
        assert_eq!(of(FacilityEntry { sessions, ..fine }), 0);
    }
}
