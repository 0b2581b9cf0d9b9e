//! A simple model of docs/protocol.md, 14: the expected row for a body.

use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::support::{rows::Row, server::KEY};

/// How a value is converted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Text,
    Number,
    Float,
    Date,
    List,
    Object,
}

/// Key as sent, column, kind.
pub type Field = (&'static str, &'static str, Kind);

use Kind::{Date, Float, List, Number, Object, Text};

pub const USAGE: [Field; 12] = [
    ("ss", "summaries_started", Number),
    ("sc", "summaries_completed", Number),
    ("sk", "sessions_by_kind", Object),
    ("suc", "user_sessions", Number),
    ("sac", "anonymous_sessions", Number),
    ("sut", "user_minutes", Number),
    ("sat", "anonymous_minutes", Number),
    ("dsl", "learner_demographics", Object),
    ("dsnl", "non_learner_demographics", Object),
    ("uwl", "users", Number),
    ("vwl", "visitors", Number),
    ("sacnv", "anonymous_sessions_without_visitor", Number),
];

pub const CHANNEL: [Field; 6] = [
    ("ci", "channel_id", Text),
    ("v", "version", Number),
    ("u", "updated", Date),
    ("pi", "popular_ids", List),
    ("pc", "popular_counts", List),
    ("s", "storage_mib", Float),
];

pub const FACILITY: [Field; 17] = [
    ("fi", "facility_id", Text),
    ("s", "settings", Object),
    ("lc", "learners", Number),
    ("llc", "learner_logins", Number),
    ("cc", "coaches", Number),
    ("clc", "coach_logins", Number),
    ("f", "first_used", Date),
    ("l", "last_used", Date),
    ("lec", "lessons", Number),
    ("ec", "exams", Number),
    ("elc", "exam_logs", Number),
    ("alc", "attempt_logs", Number),
    ("ealc", "exam_attempt_logs", Number),
    ("crc", "classes", Number),
    ("grc", "groups", Number),
    ("dis", "devices", Object),
    ("sh", "user_subset", Text),
];

/// Keys of a pingback that become text columns unchanged.
pub const PLAIN: [(&str, &str, usize); 8] = [
    ("instance_id", "instance_id", 100),
    ("version", "kolibri_version", 100),
    ("platform", "platform", 500),
    ("sysversion", "sysversion", 500),
    ("database_id", "database_id", 500),
    ("language", "language", 500),
    ("timezone", "timezone", 500),
    ("installer", "installer", 500),
];

/// The keys that a pingback may hold.
pub const KNOWN: [&str; 15] = [
    "instance_id",
    "version",
    "mode",
    "platform",
    "sysversion",
    "database_id",
    "system_id",
    "node_id",
    "macaddress",
    "language",
    "timezone",
    "uptime",
    "timestamp",
    "installer",
    "project",
];

/// The columns of a pingback, except those that depend on its arrival (`id`, `received_at`, `ip`, region).
pub fn pingback(body: &Map<String, Value>) -> Row {
    let mut row = Row::new();
    let mut cut = vec![];
    for (key, column, limit) in PLAIN.into_iter().chain([("mode", "mode", 500), ("project", "project", 500)]) {
        let whole = text(body.get(key));
        let short: String = whole.chars().take(limit).collect();
        if short != whole {
            cut.push(key);
        }
        row.insert(column.into(), short.into());
    }
    let version = text(body.get("version"));
    if row["mode"] == "" && version.contains("dev") {
        row.insert("mode".into(), "dev".into());
    }
    let node = Some(text(body.get("node_id"))).filter(|id| !id.is_empty());
    let node = node.unwrap_or_else(|| text(body.get("macaddress")));
    row.insert("node_id".into(), pseudonym("node_id", &node).into());
    row.insert("system_id".into(), pseudonym("system_id", &text(body.get("system_id"))).into());
    row.insert("os".into(), os(body).into());
    row.insert("python_version".into(), python_version(&text(body.get("sysversion"))).into());
    row.insert("uptime".into(), number(body.get("uptime")).into());
    row.insert("client_time".into(), client_time(body.get("timestamp")));
    row.insert("privacy_notice".into(), "".into());
    let mut extra: Map<String, Value> = body
        .iter()
        .filter(|(key, _)| !KNOWN.contains(&key.as_str()))
        .map(|(key, value)| (clean(key), cleaned(value)))
        .collect();
    if !cut.is_empty() {
        extra.insert("_cut".into(), json!(cut));
    }
    row.insert("extra".into(), extra.into());
    row
}

/// The columns of one entry of `c` or `f`.
pub fn entry(fields: &[Field], body: &Map<String, Value>) -> Row {
    let column = |(key, column, kind): &Field| ((*column).to_owned(), value(*kind, body.get(*key)));
    fields.iter().chain(&USAGE).map(column).collect()
}

fn value(kind: Kind, value: Option<&Value>) -> Value {
    match kind {
        Text => text(value).into(),
        Number => number(value).into(),
        Float => value.and_then(Value::as_f64).unwrap_or_default().max(0.0).into(),
        Date => {
            value.filter(|date| date.as_str().is_some_and(|text| text.parse::<NaiveDate>().is_ok())).cloned().into()
        }
        List => value.filter(|list| list.is_array()).cloned().unwrap_or_else(|| json!([])),
        Object => value.filter(|object| object.is_object()).cloned().unwrap_or_else(|| json!({})),
    }
}

/// Whether a reply to this version is empty.
pub fn wants_silence(version: &str) -> bool {
    let mut parts = version.splitn(3, '.');
    let leading = |part: Option<&str>| -> Option<(u64, String)> {
        let part = part?;
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        Some((digits.parse().ok()?, part[digits.len()..].to_owned()))
    };
    let (Some((major, rest)), Some((minor, more))) = (leading(parts.next()), leading(parts.next())) else {
        return true;
    };
    let Some((patch, suffix)) = leading(parts.next()) else { return true };
    if !rest.is_empty() || !more.is_empty() {
        return true;
    }
    (major, minor) < (0, 11) || ((major, minor, patch) == (0, 11, 0) && suffix.starts_with(['a', 'b']))
}

pub fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => clean(text),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        _ => String::new(),
    }
}

fn clean(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

fn cleaned(value: &Value) -> Value {
    match value {
        Value::String(text) => clean(text).into(),
        Value::Array(list) => list.iter().map(cleaned).collect(),
        Value::Object(object) => {
            object.iter().map(|(key, value)| (clean(key), cleaned(value))).collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a float is truncated, and `as` clamps as the rule does")]
fn number(value: Option<&Value>) -> i64 {
    let read = match value {
        Some(Value::Number(number)) => number.as_f64().map(|float| number.as_i64().unwrap_or(float as i64)),
        Some(Value::String(text)) => text.parse::<i64>().ok(),
        _ => None,
    };
    read.unwrap_or(0).max(0)
}

fn client_time(value: Option<&Value>) -> Value {
    let moment = value.and_then(Value::as_str).and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    let moment = moment.filter(|moment| (1..=9999).contains(&moment.with_timezone(&Utc).year()));
    moment.map_or(Value::Null, |moment| moment.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Micros, true).into())
}

fn os(body: &Map<String, Value>) -> &'static str {
    let platform = text(body.get("platform"));
    let starts = [("Windows", "windows"), ("Darwin", "macos"), ("macOS", "macos"), ("Linux", "linux"), ("", "other")];
    if text(body.get("mode")).starts_with("android-") || text(body.get("installer")).starts_with("apk") {
        return "android";
    }
    match platform.as_str() {
        "" => "",
        text if text.contains("Android") => "android",
        text => starts.iter().find(|(start, _)| text.starts_with(start)).map_or("", |(_, name)| name),
    }
}

fn python_version(sysversion: &str) -> &str {
    let end = sysversion.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(sysversion.len());
    let number = sysversion[..end].trim_end_matches('.');
    // A version of Python has two or three short parts.
    let parts: Vec<&str> = number.split('.').collect();
    let well_formed = [2, 3].contains(&parts.len()) && parts.iter().all(|part| (1..=4).contains(&part.len()));
    if well_formed { number } else { "" }
}

/// docs/privacy.md, "Pseudonyms".
pub fn pseudonym(column: &str, value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    let mut hash = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("any length is a key");
    hash.update(format!("{column}:{value}").as_bytes());
    hash.finalize().into_bytes()[..16].iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Asserts that the row has these columns with these values; numbers may differ by the rounding of a store.
pub fn assert_columns(expected: &Row, row: &Row, case: &str) {
    for (column, value) in expected {
        let stored = row.get(column).unwrap_or_else(|| panic!("{case}: no column {column} in {row:#?}"));
        assert!(same(value, stored), "{case}: {column} should be {value} and is {stored}");
    }
}

pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || a.as_f64().zip(b.as_f64()).is_some_and(|(a, b)| (a - b).abs() <= 1e-12 * a.abs().max(b.abs()))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}
