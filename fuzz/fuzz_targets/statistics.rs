//! The body of a statistics report, from its bytes to the rows.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nutritionfacts::domain::{
    Timestamp,
    privacy::{Key, Privacy},
    statistics::{ChannelRow, Envelope, FacilityRow, StatisticsReport, Usage},
};
use nutritionfacts_fuzz::{json_column, modelled, modelled_integer, strictly_an_object, text, text_column};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Characters kept of a text.
const TEXT: usize = 500;
/// Members kept of a list or object.
const MEMBERS: usize = 5_000;

fuzz_target!(|body: &[u8]| {
    let Some(text) = text(body) else { return };
    let strict = strictly_an_object(&text);
    let Ok(envelope) = Envelope::read(&text) else {
        assert!(strict.is_none(), "refuses what a strict parser takes");
        return;
    };
    let rows = |privacy: &Privacy, most| {
        envelope.clone().into_report((Uuid::nil(), Timestamp::UNIX_EPOCH), privacy, body.len(), most).map(|made| made.0)
    };
    let privacy = Privacy::Pseudonymous(Key::new(&"k".repeat(32)).expect("a key"));
    let report = rows(&privacy, usize::MAX).expect("no limit");
    assert!(rows(&privacy, report.bytes() - 1).is_none(), "what is too large is not made");
    text_column(&report.pi, TEXT);
    json_column(&report.extra);
    let extras = report.channels.iter().map(|row| &row.extra).chain(report.facilities.iter().map(|row| &row.extra));
    let unknown: usize = extras.map(|extra| object(extra).len().min(1) * extra.len()).sum();
    assert!(unknown <= 16 * 1024 + body.len() + 2 * (report.channels.len() + report.facilities.len()), "{unknown}");
    assert!(report.extra.len() <= 64 * 1024, "{}", report.extra.len());
    assert!(report.pingback.is_none_or(|id| Uuid::try_parse(&report.pi) == Ok(id)));
    report.channels.iter().for_each(channel);
    report.facilities.iter().for_each(facility);
    assert!(report.channels.is_sorted_by(|left, right| left.position < right.position));
    assert!(report.facilities.is_sorted_by(|left, right| left.position < right.position));
    if let Some(sent) = &strict {
        agrees(sent, &report);
    }
});

fn channel(row: &ChannelRow) {
    text_column(&row.channel_id, TEXT);
    assert!(row.version >= 0 && row.position >= 0);
    assert!(row.storage_mib.is_finite() && row.storage_mib.is_sign_positive(), "{}", row.storage_mib);
    for id in list(&row.popular_ids) {
        text_column(id.as_str().expect("a list of strings"), TEXT);
    }
    assert!(list(&row.popular_counts).iter().all(|count| count.as_i64().is_some_and(|count| count >= 0)));
    usage(&row.usage);
}

fn facility(row: &FacilityRow) {
    text_column(&row.facility_id, TEXT);
    text_column(&row.user_subset, TEXT);
    for (key, value) in object(&row.settings) {
        text_column(&key, TEXT);
        assert!(!value.is_object() && !value.is_array(), "settings hold scalars: {value}");
        if let Some(text) = value.as_str() {
            text_column(text, TEXT);
        }
    }
    counts(&row.devices);
    let numbers = [
        row.learners,
        row.learner_logins,
        row.coaches,
        row.coach_logins,
        row.lessons,
        row.exams,
        row.exam_logs,
        row.attempt_logs,
        row.exam_attempt_logs,
        row.classes,
        row.groups,
        row.position.into(),
    ];
    assert!(numbers.iter().all(|number| *number >= 0));
    usage(&row.usage);
}

fn usage(usage: &Usage) {
    counts(&usage.sessions_by_kind);
    for text in [&usage.learner_demographics, &usage.non_learner_demographics] {
        for group in object(text).values() {
            let group = group.as_object().expect("demographics hold objects");
            assert!(group.values().all(|value| value.is_number() || value.is_null()), "{text}");
        }
    }
    let numbers = [
        usage.summaries_started,
        usage.summaries_completed,
        usage.user_sessions,
        usage.anonymous_sessions,
        usage.user_minutes,
        usage.anonymous_minutes,
        usage.users,
        usage.visitors,
        usage.anonymous_sessions_without_visitor,
    ];
    assert!(numbers.iter().all(|number| *number >= 0));
}

/// A column of name to number.
fn counts(text: &str) {
    for (key, value) in object(text) {
        text_column(&key, TEXT);
        assert!(value.as_i64().is_some_and(|count| count >= 0), "{text}");
    }
}

fn object(text: &str) -> Map<String, Value> {
    match json_column(text) {
        Value::Object(map) if map.len() <= MEMBERS => map,
        other => panic!("not an object of at most {MEMBERS} members: {other}"),
    }
}

fn list(text: &str) -> Vec<Value> {
    match json_column(text) {
        Value::Array(list) if list.len() <= MEMBERS => list,
        other => panic!("not a list of at most {MEMBERS} members: {other}"),
    }
}

/// The rows hold what a simple model makes of the object.
fn agrees(sent: &Value, report: &StatisticsReport) {
    if let Some(pi) = modelled(sent.get("pi"), TEXT) {
        assert_eq!(report.pi, pi);
    }
    // Those that say nothing are left out.
    let channels = entries(sent, "c");
    assert!(report.channels.len() <= channels.len());
    for row in &report.channels {
        let sent = at(&channels, row.position);
        same_text(sent, "ci", &row.channel_id);
        same_number(sent, "v", row.version);
        same_number(sent, "uwl", row.usage.users);
        if let Some(storage) = sent.get("s").and_then(Value::as_f64) {
            assert_eq!(row.storage_mib.to_bits(), (storage.max(0.0) + 0.0).to_bits());
        }
    }
    let facilities = entries(sent, "f");
    assert!(report.facilities.len() <= facilities.len());
    for row in &report.facilities {
        let sent = at(&facilities, row.position);
        same_text(sent, "fi", &row.facility_id);
        same_text(sent, "sh", &row.user_subset);
        same_number(sent, "lc", row.learners);
        same_number(sent, "sut", row.usage.user_minutes);
    }
}

fn entries<'a>(sent: &'a Value, key: &str) -> Vec<(usize, &'a Value)> {
    let list = sent.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().enumerate().filter(|(_, entry)| entry.is_object()).collect()
}

fn at<'a>(entries: &[(usize, &'a Value)], position: i32) -> &'a Value {
    let found = entries.iter().find(|(index, _)| usize::try_from(position) == Ok(*index));
    found.expect("an entry for each row").1
}

#[track_caller]
fn same_text(sent: &Value, key: &str, column: &str) {
    if let Some(expected) = modelled(sent.get(key), TEXT) {
        assert_eq!(column, expected, "{key}");
    }
}

#[track_caller]
fn same_number(sent: &Value, key: &str, column: i64) {
    if let Some(expected) = modelled_integer(sent.get(key)) {
        assert_eq!(column, expected, "{key}");
    }
}
