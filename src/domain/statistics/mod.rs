//! A statistics report: the counts of channels and facilities of one installation (docs/protocol.md, 7).

mod read;

use std::borrow::Cow;

use chrono::NaiveDate;
use serde::Serialize;
use uuid::Uuid;

use super::Timestamp;

pub use read::{Envelope, UnknownKeys};

/// One row of `statistics` with its rows of `channel_statistics` and `facility_statistics`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatisticsReport {
    /// UUIDv7 of `received_at`.
    pub id: Uuid,
    /// Time of arrival, by the server's clock.
    pub received_at: Timestamp,
    /// The pingback's id as the client sent it, cleaned; `''` if absent or not a scalar.
    pub pi: String,
    /// `pi` read as a UUID; the store keeps it as `pingback_id` only if such a pingback exists.
    pub pingback: Option<Uuid>,
    /// One per readable entry of `c`.
    pub channels: Vec<ChannelRow>,
    /// One per readable entry of `f`.
    pub facilities: Vec<FacilityRow>,
    /// A JSON object (its text) of unknown keys; `_dropped` lists those not stored, `_cut` the texts that were cut; keys of
    /// entries as `c.KEY` and `f.KEY`.
    pub extra: Cow<'static, str>,
}

/// Fields of both channel and facility entries.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Usage {
    /// `ss`: summary logs started.
    pub summaries_started: i64,
    /// `sc`: summary logs completed.
    pub summaries_completed: i64,
    /// `sk`: a JSON object (its text), content kind to sessions.
    pub sessions_by_kind: String,
    /// `suc`: sessions of users.
    pub user_sessions: i64,
    /// `sac`: sessions of anonymous visitors.
    pub anonymous_sessions: i64,
    /// `sut`: minutes spent by users.
    pub user_minutes: i64,
    /// `sat`: minutes spent by anonymous visitors.
    pub anonymous_minutes: i64,
    /// `dsl`: a JSON object (its text).
    pub learner_demographics: String,
    /// `dsnl`: a JSON object (its text).
    pub non_learner_demographics: String,
    /// `uwl`: distinct users with sessions.
    pub users: i64,
    /// `vwl`: distinct visitors with sessions.
    pub visitors: i64,
    /// `sacnv`: anonymous sessions without a visitor id.
    pub anonymous_sessions_without_visitor: i64,
}

/// One row of `channel_statistics` (docs/protocol.md, 7.2).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ChannelRow {
    /// Index in the list as sent, from 0.
    pub position: i32,
    /// `ci`: the first 10 digits of the channel id.
    pub channel_id: String,
    /// `v`.
    pub version: i64,
    /// `u`: last update of the channel.
    pub updated: Option<NaiveDate>,
    /// `pi`: a JSON list (its text) of strings.
    pub popular_ids: String,
    /// `pc`: a JSON list (its text) of integers.
    pub popular_counts: String,
    /// `s`: MiB.
    pub storage_mib: f64,
    /// A JSON object (its text) of unknown keys; those of demographics as `dsl.KEY` and `dsnl.KEY`.
    pub extra: Cow<'static, str>,
    /// The common columns.
    #[serde(flatten)]
    pub usage: Usage,
}

/// One row of `facility_statistics` (docs/protocol.md, 7.3).
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct FacilityRow {
    /// Index in the list as sent, from 0.
    pub position: i32,
    /// `fi`: a hash computed by the device.
    pub facility_id: String,
    /// `s`: a JSON object (its text).
    pub settings: String,
    /// `lc`.
    pub learners: i64,
    /// `llc`.
    pub learner_logins: i64,
    /// `cc`.
    pub coaches: i64,
    /// `clc`.
    pub coach_logins: i64,
    /// `f`.
    pub first_used: Option<NaiveDate>,
    /// `l`.
    pub last_used: Option<NaiveDate>,
    /// `lec`.
    pub lessons: i64,
    /// `ec`.
    pub exams: i64,
    /// `elc`.
    pub exam_logs: i64,
    /// `alc`.
    pub attempt_logs: i64,
    /// `ealc`.
    pub exam_attempt_logs: i64,
    /// `crc`.
    pub classes: i64,
    /// `grc`.
    pub groups: i64,
    /// `dis`: a JSON object (its text), client device to login sessions.
    pub devices: String,
    /// `sh`: a hash computed by the device.
    pub user_subset: String,
    /// As in a channel entry.
    pub extra: Cow<'static, str>,
    /// The common columns.
    #[serde(flatten)]
    pub usage: Usage,
}

impl StatisticsReport {
    /// Size in memory, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let channels = self.channels.iter().map(ChannelRow::bytes);
        let facilities = self.facilities.iter().map(FacilityRow::bytes);
        size_of::<Self>() + self.pi.len() + self.extra.len() + channels.sum::<usize>() + facilities.sum::<usize>()
    }
}

impl ChannelRow {
    fn bytes(&self) -> usize {
        let texts = [&self.channel_id, &self.popular_ids, &self.popular_counts];
        size_of::<Self>() + texts.map(String::len).iter().sum::<usize>() + self.extra.len() + self.usage.bytes()
    }
}

impl FacilityRow {
    fn bytes(&self) -> usize {
        let texts = [&self.facility_id, &self.settings, &self.devices, &self.user_subset];
        size_of::<Self>() + texts.map(String::len).iter().sum::<usize>() + self.extra.len() + self.usage.bytes()
    }
}

impl Usage {
    /// Size in memory beyond the row itself, in bytes.
    fn bytes(&self) -> usize {
        let texts = [&self.sessions_by_kind, &self.learner_demographics, &self.non_learner_demographics];
        texts.map(String::len).iter().sum()
    }
}
