//! From body to rows.

use std::borrow::Cow;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{ChannelRow, FacilityRow, StatisticsReport, Usage};
use crate::domain::{
    Timestamp,
    extra::{self, Unknown},
    json::{Entries, NotAnObject, Raw},
    privacy::Privacy,
    text,
};

/// Characters kept of a text.
const TEXT_LENGTH: usize = 500;
/// Entries kept of each of the two lists; the largest aggregation servers have some ten thousand.
const MAX_ENTRIES: usize = 50_000;
/// Of each list a few entries, and one more for each so many bytes as sent: a device's entry has some hundred, packed not less
/// than thirty, and what packs better was made to take room.
const FEW_ENTRIES: usize = 16;
const BYTES_OF_ENTRY: usize = 8;
/// Members kept of a list or object within an entry: a client sends 50 at most (docs/protocol.md, 7.2), but one of `dis` for
/// each kind of browser.
const MAX_MEMBERS: usize = 100;
const MAX_DEVICES: usize = 5_000;
/// The groups of demographics.
const BIRTH_YEARS: &str = "bys";
const GENDERS: &str = "gc";
/// Bytes kept of the unknown keys of all entries, and one more for each byte as sent: a new key of every entry has room, and what
/// packs better was made to take room.
const FEW_UNKNOWN: usize = 16 * 1024;

/// A report as sent, checked to be a JSON object; its entries are not read yet.
#[derive(Debug, Clone, Default)]
pub struct Envelope<'a> {
    pi: Option<Raw<'a>>,
    channels: Option<Raw<'a>>,
    facilities: Option<Raw<'a>>,
    unknown: Unknown<'a>,
}

/// How many keys nobody knows, by the place where they were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnknownKeys {
    /// Beside `pi`, `c` and `f`.
    pub report: usize,
    /// In entries of `c` and their demographics.
    pub channels: usize,
    /// In entries of `f` and their demographics.
    pub facilities: usize,
}

/// What the rows of a report may still take. Counted on the way: a small text can make large rows, and none may be made before it
/// is known to fit.
struct Room<'a> {
    privacy: &'a Privacy,
    bytes: usize,
    unknown_bytes: usize,
    cut: Vec<&'static str>,
    dropped: Vec<String>,
    keys: UnknownKeys,
}

impl<'a> Envelope<'a> {
    /// Reads any JSON object.
    ///
    /// # Errors
    /// The text is not a JSON object.
    pub fn read(body: &'a str) -> Result<Self, NotAnObject> {
        let mut envelope = Self::default();
        let mut entries = Entries::of_object(body)?;
        while let Some((key, value)) = entries.next_entry()? {
            match &*key {
                "pi" => envelope.pi = Some(value),
                "c" => envelope.channels = Some(value),
                "f" => envelope.facilities = Some(value),
                _ => envelope.unknown.add(key, value),
            }
        }
        Ok(envelope)
    }

    /// The rows to keep, of a body that had `sent` bytes; `None` if they take more than `most` bytes. What is no object in the
    /// lists, or says nothing, is left out, and what no such column can hold is empty or 0.
    #[must_use]
    pub fn into_report(
        self,
        (id, received_at): (Uuid, Timestamp),
        privacy: &Privacy,
        sent: usize,
        most: usize,
    ) -> Option<(StatisticsReport, UnknownKeys)> {
        let (pi, is_cut) = self.pi.map_or_else(Default::default, |pi| text::cut(text::text(pi), TEXT_LENGTH));
        let mut report = StatisticsReport {
            id,
            received_at,
            pingback: Uuid::try_parse(&pi).ok(),
            pi,
            channels: Vec::new(),
            facilities: Vec::new(),
            extra: Cow::default(),
        };
        let mut room = Room {
            privacy,
            bytes: most.checked_sub(report.bytes())?,
            unknown_bytes: FEW_UNKNOWN.saturating_add(sent),
            cut: Vec::new(),
            dropped: Vec::new(),
            keys: UnknownKeys { report: self.unknown.len(), ..UnknownKeys::default() },
        };
        room.cut.extend(is_cut.then_some("pi"));
        let entries = MAX_ENTRIES.min(FEW_ENTRIES + sent / BYTES_OF_ENTRY);
        for (position, entry) in objects(self.channels) {
            let row = channel(position, entry, &mut room);
            if report.channels.len() < entries && row != no_channel(position) {
                room.take(row.bytes())?;
                report.channels.push(row);
            }
        }
        for (position, entry) in objects(self.facilities) {
            let row = facility(position, entry, &mut room);
            if report.facilities.len() < entries && row != no_facility(position) {
                room.take(row.bytes())?;
                report.facilities.push(row);
            }
        }
        let (unknown, dropped) = self.unknown.keep(extra::MAX_BYTES, privacy);
        for key in dropped {
            extra::note(&mut room.dropped, key.into());
        }
        report.extra = extra::column(unknown, &room.cut, std::mem::take(&mut room.dropped));
        room.take(report.extra.len())?;
        Some((report, room.keys))
    }
}

impl Room<'_> {
    fn take(&mut self, bytes: usize) -> Option<()> {
        self.bytes = self.bytes.checked_sub(bytes)?;
        Some(())
    }

    /// A text column; that it was cut is told with the report.
    fn text(&mut self, name: &'static str, value: Raw<'_>) -> String {
        let (text, is_cut) = text::cut(text::text(value), TEXT_LENGTH);
        if is_cut && !self.cut.contains(&name) {
            self.cut.push(name);
        }
        text
    }

    /// The column of an entry of `list`; what does not fit is told with the report.
    fn extra(&mut self, list: &str, unknown: Unknown<'_>) -> Cow<'static, str> {
        let (kept, dropped) = unknown.keep(self.unknown_bytes, self.privacy);
        for key in dropped {
            extra::note(&mut self.dropped, format!("{list}.{key}").into());
        }
        let column = extra::column(kept, &[], Vec::new());
        self.unknown_bytes = self.unknown_bytes.saturating_sub(column.len());
        column
    }
}

/// The objects of a list, with their positions.
fn objects(list: Option<Raw<'_>>) -> impl Iterator<Item = (i32, Raw<'_>)> {
    let elements = list.into_iter().flat_map(Raw::elements);
    (0..).zip(elements).filter(|(_, value)| value.is_object())
}

fn no_channel(position: i32) -> ChannelRow {
    let (popular_ids, popular_counts) = ("[]".into(), "[]".into());
    ChannelRow { position, popular_ids, popular_counts, extra: "{}".into(), usage: Usage::none(), ..Default::default() }
}

fn no_facility(position: i32) -> FacilityRow {
    let (settings, devices) = ("{}".into(), "{}".into());
    FacilityRow { position, settings, devices, extra: "{}".into(), usage: Usage::none(), ..Default::default() }
}

fn channel(position: i32, entry: Raw<'_>, room: &mut Room<'_>) -> ChannelRow {
    let mut row = no_channel(position);
    let mut unknown = Unknown::default();
    for (key, value) in entry.entries() {
        match &*key {
            "ci" => row.channel_id = room.text("c.ci", value),
            "v" => row.version = text::integer(value),
            "u" => row.updated = text::date(value),
            "pi" => row.popular_ids = list(value, |value| cut(value).into()),
            "pc" => row.popular_counts = list(value, |value| text::integer(value).into()),
            "s" => row.storage_mib = text::real(value),
            _ => row.usage.take(key, value, &mut unknown),
        }
    }
    room.keys.channels += unknown.len();
    row.extra = room.extra("c", unknown);
    row
}

fn facility(position: i32, entry: Raw<'_>, room: &mut Room<'_>) -> FacilityRow {
    let mut row = no_facility(position);
    let mut unknown = Unknown::default();
    for (key, value) in entry.entries() {
        match &*key {
            "fi" => row.facility_id = room.text("f.fi", value),
            "s" => row.settings = object(value, scalar),
            "lc" => row.learners = text::integer(value),
            "llc" => row.learner_logins = text::integer(value),
            "cc" => row.coaches = text::integer(value),
            "clc" => row.coach_logins = text::integer(value),
            "f" => row.first_used = text::date(value),
            "l" => row.last_used = text::date(value),
            "lec" => row.lessons = text::integer(value),
            "ec" => row.exams = text::integer(value),
            "elc" => row.exam_logs = text::integer(value),
            "alc" => row.attempt_logs = text::integer(value),
            "ealc" => row.exam_attempt_logs = text::integer(value),
            "crc" => row.classes = text::integer(value),
            "grc" => row.groups = text::integer(value),
            "dis" => row.devices = counts(value, MAX_DEVICES),
            "sh" => row.user_subset = room.text("f.sh", value),
            _ => row.usage.take(key, value, &mut unknown),
        }
    }
    room.keys.facilities += unknown.len();
    row.extra = room.extra("f", unknown);
    row
}

impl Usage {
    fn none() -> Self {
        let none = || "{}".to_owned();
        Self {
            sessions_by_kind: none(),
            learner_demographics: none(),
            non_learner_demographics: none(),
            ..Self::default()
        }
    }

    fn take<'a>(&mut self, key: Cow<'a, str>, value: Raw<'a>, unknown: &mut Unknown<'a>) {
        match &*key {
            "ss" => self.summaries_started = text::integer(value),
            "sc" => self.summaries_completed = text::integer(value),
            "sk" => self.sessions_by_kind = counts(value, MAX_MEMBERS),
            "suc" => self.user_sessions = text::integer(value),
            "sac" => self.anonymous_sessions = text::integer(value),
            "sut" => self.user_minutes = text::integer(value),
            "sat" => self.anonymous_minutes = text::integer(value),
            "dsl" => self.learner_demographics = demographics("dsl", value, unknown),
            "dsnl" => self.non_learner_demographics = demographics("dsnl", value, unknown),
            "uwl" => self.users = text::integer(value),
            "vwl" => self.visitors = text::integer(value),
            "sacnv" => self.anonymous_sessions_without_visitor = text::integer(value),
            _ => unknown.add(key, value),
        }
    }
}

fn cut(value: Raw<'_>) -> String {
    text::cut(text::text(value), TEXT_LENGTH).0
}

// The JSON columns have the shape that docs/protocol.md, 14.4 gives them, whatever was sent: a query may rely on it.

fn list(value: Raw<'_>, element: impl Fn(Raw<'_>) -> Value) -> String {
    Value::Array(value.elements().take(MAX_MEMBERS).map(element).collect()).to_string()
}

fn object(value: Raw<'_>, member: impl Fn(Raw<'_>) -> Value) -> String {
    Value::Object(members(value, MAX_MEMBERS, member)).to_string()
}

fn members(value: Raw<'_>, most: usize, member: impl Fn(Raw<'_>) -> Value) -> Map<String, Value> {
    let cut_key = |key: Cow<'_, str>| text::cut(key, TEXT_LENGTH).0;
    value.entries().take(most).map(|(key, value)| (cut_key(key), member(value))).collect()
}

fn counts(value: Raw<'_>, most: usize) -> String {
    Value::Object(members(value, most, |value| text::integer(value).into())).to_string()
}

/// docs/protocol.md, 7.4: an object of objects of numbers or null.
fn demographics<'a>(name: &str, value: Raw<'a>, unknown: &mut Unknown<'a>) -> String {
    let number = |value: Raw<'_>| if value.number().is_some() { scalar(value) } else { Value::Null };
    let mut groups = Map::new();
    for (key, group) in value.entries() {
        match &*key {
            BIRTH_YEARS => {
                let mut years = Map::new();
                for (key, value) in group.entries() {
                    match &*key {
                        "a" | "sd" | "ts" | "d" | "ns" => drop(years.insert(key.into_owned(), number(value))),
                        key => unknown.add(format!("{name}.{BIRTH_YEARS}.{key}").into(), value),
                    }
                }
                groups.insert(BIRTH_YEARS.into(), years.into());
            }
            GENDERS => drop(groups.insert(GENDERS.into(), members(group, MAX_MEMBERS, number).into())),
            key => unknown.add(format!("{name}.{key}").into(), group),
        }
    }
    Value::Object(groups).to_string()
}

fn scalar(value: Raw<'_>) -> Value {
    if value.string().is_some() {
        cut(value).into()
    } else if value.is_object() || value.is_list() {
        Value::Null
    } else {
        value.tree(1).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
