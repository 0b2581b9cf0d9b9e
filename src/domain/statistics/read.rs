//! From body to rows.

use std::borrow::Cow;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{ChannelRow, FacilityRow, StatisticsReport, Usage};
use crate::domain::{
    Timestamp,
    json::{Entries, NotAnObject, Raw},
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
/// Members kept of a list or object within an entry: a client sends 50 at most (PROTOCOL.md 7.2), but one of `dis` for
/// each kind of browser.
const MAX_MEMBERS: usize = 100;
const MAX_DEVICES: usize = 5_000;

/// A report as sent, checked to be a JSON object; its entries are not read yet.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    pi: Option<Raw<'a>>,
    channels: Option<Raw<'a>>,
    facilities: Option<Raw<'a>>,
}

impl<'a> Envelope<'a> {
    /// Reads any JSON object.
    ///
    /// # Errors
    /// The text is not a JSON object.
    pub fn read(body: &'a str) -> Result<Self, NotAnObject> {
        let mut envelope = Self { pi: None, channels: None, facilities: None };
        let mut entries = Entries::of_object(body)?;
        while let Some((key, value)) = entries.next_entry()? {
            match &*key {
                "pi" => envelope.pi = Some(value),
                "c" => envelope.channels = Some(value),
                "f" => envelope.facilities = Some(value),
                _ => {}
            }
        }
        Ok(envelope)
    }

    /// The rows to keep, of a body that had `sent` bytes; `None` if they take more than `most` bytes. What is no object in the
    /// lists, or says nothing, is left out, and what no such column can hold is empty or 0.
    #[must_use]
    pub fn into_report(self, id: Uuid, received_at: Timestamp, sent: usize, most: usize) -> Option<StatisticsReport> {
        let pi = self.pi.map_or_else(String::new, cut);
        let mut report = StatisticsReport {
            id,
            received_at,
            pingback: Uuid::try_parse(&pi).ok(),
            pi,
            channels: Vec::new(),
            facilities: Vec::new(),
        };
        // Counted on the way: a small text can make large rows, and none may be made before it is known to fit.
        let mut left = most.checked_sub(report.bytes())?;
        let entries = MAX_ENTRIES.min(FEW_ENTRIES + sent / BYTES_OF_ENTRY);
        let rows = objects(self.channels).map(channel).filter(|row| *row != no_channel(row.position));
        for row in rows.take(entries) {
            left = left.checked_sub(row.bytes())?;
            report.channels.push(row);
        }
        let rows = objects(self.facilities).map(facility).filter(|row| *row != no_facility(row.position));
        for row in rows.take(entries) {
            left = left.checked_sub(row.bytes())?;
            report.facilities.push(row);
        }
        Some(report)
    }
}

/// The objects of a list, with their positions.
fn objects(list: Option<Raw<'_>>) -> impl Iterator<Item = (i32, Raw<'_>)> {
    let elements = list.into_iter().flat_map(Raw::elements);
    (0..).zip(elements).filter(|(_, value)| value.is_object())
}

fn no_channel(position: i32) -> ChannelRow {
    let (popular_ids, popular_counts) = ("[]".into(), "[]".into());
    ChannelRow { position, popular_ids, popular_counts, usage: Usage::none(), ..Default::default() }
}

fn no_facility(position: i32) -> FacilityRow {
    let (settings, devices) = ("{}".into(), "{}".into());
    FacilityRow { position, settings, devices, usage: Usage::none(), ..Default::default() }
}

fn channel((position, entry): (i32, Raw<'_>)) -> ChannelRow {
    let mut row = no_channel(position);
    for (key, value) in entry.entries() {
        match &*key {
            "ci" => row.channel_id = cut(value),
            "v" => row.version = text::integer(value),
            "u" => row.updated = text::date(value),
            "pi" => row.popular_ids = list(value, |value| cut(value).into()),
            "pc" => row.popular_counts = list(value, |value| text::integer(value).into()),
            "s" => row.storage_mib = text::real(value),
            key => row.usage.set(key, value),
        }
    }
    row
}

fn facility((position, entry): (i32, Raw<'_>)) -> FacilityRow {
    let mut row = no_facility(position);
    for (key, value) in entry.entries() {
        match &*key {
            "fi" => row.facility_id = cut(value),
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
            "sh" => row.user_subset = cut(value),
            key => row.usage.set(key, value),
        }
    }
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

    fn set(&mut self, key: &str, value: Raw<'_>) {
        match key {
            "ss" => self.summaries_started = text::integer(value),
            "sc" => self.summaries_completed = text::integer(value),
            "sk" => self.sessions_by_kind = counts(value, MAX_MEMBERS),
            "suc" => self.user_sessions = text::integer(value),
            "sac" => self.anonymous_sessions = text::integer(value),
            "sut" => self.user_minutes = text::integer(value),
            "sat" => self.anonymous_minutes = text::integer(value),
            "dsl" => self.learner_demographics = demographics(value),
            "dsnl" => self.non_learner_demographics = demographics(value),
            "uwl" => self.users = text::integer(value),
            "vwl" => self.visitors = text::integer(value),
            "sacnv" => self.anonymous_sessions_without_visitor = text::integer(value),
            _ => {}
        }
    }
}

fn cut(value: Raw<'_>) -> String {
    text::cut(text::text(value), TEXT_LENGTH).0
}

// The JSON columns have the shape that PROTOCOL.md gives them, whatever was sent: a query may rely on it.

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

/// PROTOCOL.md 7.4: an object of objects of numbers or null.
fn demographics(value: Raw<'_>) -> String {
    object(value, |group| {
        Value::Object(members(
            group,
            MAX_MEMBERS,
            |value| if value.number().is_some() { scalar(value) } else { Value::Null },
        ))
    })
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
mod tests {
    use super::*;

    fn report(body: &str) -> StatisticsReport {
        Envelope::read(body).unwrap().into_report(Uuid::nil(), Timestamp::UNIX_EPOCH, body.len(), usize::MAX).unwrap()
    }

    #[test]
    fn a_real_report() {
        let body = r#"{"pi": "0190163d-8694-739b-aea5-966c26f8ad91", "c": [{"ci": "46c7a46ece", "v": 12, "u": "2024-02-29", "s": 15.05,
            "pi": ["13fc7746e9"], "pc": [3], "sk": {"video": 36, "": 1}, "dsl": {"bys": {"a": 2010.0, "sd": null}, "gc": {"FEMALE": 5}}, "uwl": 27}],
            "f": [{"fi": "wTeh2IXxuS", "s": {"preset": "formal", "registered": false}, "lc": 24, "dis": {"Android,9/Chrome Mobile,86": 20}, "sat": 9}]}"#;
        let report = report(body);
        assert_eq!(report.pingback, Uuid::try_parse(&report.pi).ok());
        let channel = &report.channels[0];
        assert_eq!((channel.channel_id.as_str(), channel.version, channel.usage.users), ("46c7a46ece", 12, 27));
        assert_eq!((channel.popular_ids.as_str(), channel.popular_counts.as_str()), (r#"["13fc7746e9"]"#, "[3]"));
        assert_eq!(channel.usage.sessions_by_kind, r#"{"":1,"video":36}"#);
        assert_eq!(channel.usage.learner_demographics, r#"{"bys":{"a":2010.0,"sd":null},"gc":{"FEMALE":5}}"#);
        let facility = &report.facilities[0];
        assert_eq!(facility.settings, r#"{"preset":"formal","registered":false}"#);
        assert_eq!((facility.devices.as_str(), facility.learners), (r#"{"Android,9/Chrome Mobile,86":20}"#, 24));
        assert_eq!(facility.usage.anonymous_minutes, 9);
    }

    #[test]
    fn malformed_entries_are_kept_as_far_as_they_make_sense() {
        let report = report(
            r#"{"pi": 42, "c": [1, {"v": "x", "pi": 5, "pc": [1, "a", {}], "sk": [1], "dsl": {"bys": 1, "gc": {"a": "b", "c": [1]}}}, null, {}], "f": {"fi": "x"}}"#,
        );
        assert_eq!((report.pi.as_str(), report.pingback, report.facilities.len()), ("42", None, 0));
        assert_eq!(report.channels.iter().map(|row| row.position).collect::<Vec<_>>(), [1]);
        let row = &report.channels[0];
        assert_eq!((row.version, row.popular_ids.as_str(), row.popular_counts.as_str()), (0, "[]", "[1,0,0]"));
        assert_eq!(row.usage.learner_demographics, r#"{"bys":{},"gc":{"a":null,"c":null}}"#);
        assert_eq!((row.usage.sessions_by_kind.as_str(), row.storage_mib.to_bits()), ("{}", 0));
    }

    #[test]
    fn entries_that_say_nothing_and_those_that_cost_nothing_are_left_out() {
        let body = format!("{{\"c\": [{}{{}}], \"f\": [{{\"x\": 1}}]}}", "{},".repeat(60_000));
        assert_eq!((report(&body).channels.len(), report(&body).facilities.len()), (0, 0));
        let body = format!("{{\"c\": [{}{{}}]}}", "{\"v\":1},".repeat(60_000));
        let sent = |sent| {
            let envelope = Envelope::read(&body).unwrap();
            envelope.into_report(Uuid::nil(), Timestamp::UNIX_EPOCH, sent, usize::MAX).unwrap().channels.len()
        };
        assert_eq!((sent(body.len()), sent(182), sent(0)), (50_000, 38, 16));
    }

    #[test]
    fn entries_and_bytes_have_a_measure() {
        let body = r#"{"c": [{"pc": [9e18, 9e18, 9e18]}]}"#;
        let made = report(body);
        assert!(made.bytes() > made.channels[0].popular_counts.len());
        let within =
            |most| Envelope::read(body).unwrap().into_report(Uuid::nil(), Timestamp::UNIX_EPOCH, body.len(), most);
        assert_eq!(within(made.bytes()), Some(made.clone()));
        assert_eq!(within(made.bytes() - 1), None);
    }
}
