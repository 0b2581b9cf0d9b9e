//! The body of a pingback, from its bytes to the row, in each privacy mode.

#![no_main]

use std::{net::IpAddr, net::SocketAddr, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use nutritionfacts::domain::{
    Timestamp,
    mode::ModeRule,
    pingback::{Arrival, Pingback, PingbackRow},
    privacy::{Key, Privacy},
};
use nutritionfacts_fuzz::{json_column, modelled, modelled_integer, strictly_an_object, text, text_column, texts};
use serde_json::Value;
use uuid::Uuid;

/// Characters kept of `instance_id` and `version`, and of other texts.
const ID: usize = 100;
const TEXT: usize = 500;
/// Of unknown keys: how many, and bytes as JSON.
const KEYS: usize = 64;
const BYTES: usize = 16 * 1024;
/// The sender's address, and what is kept of it.
const SENDER: &str = "203.0.113.77";
const NETWORK: &str = "203.0.113.0/24";
/// Addresses in some notations; each is planted as a value of an unknown key.
const PLANTED: [&str; 6] = [
    "192.0.2.123",
    "192.0.2.123:4711",
    "2001:db8::beef:123",
    "[2001:db8::beef:123]:80",
    "fe80::beef:123%eth0",
    "be:ef:00:01:02:03",
];

static PSEUDONYMOUS: LazyLock<Privacy> = LazyLock::new(|| {
    Privacy::Pseudonymous(Key::new("a key for the fuzzer only, long enough").expect("32 characters or more"))
});
static RULES: LazyLock<Vec<ModeRule>> = LazyLock::new(|| {
    let network = "203.0.113.0/24".parse().expect("a network");
    vec![
        ModeRule { networks: vec![], instances: vec!["a".into()], mode: "by instance".into() },
        ModeRule { networks: vec![network], instances: vec![], mode: "by network".into() },
    ]
});

fuzz_target!(|body: &[u8]| {
    let Some(text) = text(body) else { return };
    let strict = strictly_an_object(&text);
    let Ok(pingback) = Pingback::read(&text) else {
        assert!(strict.is_none(), "refuses what a strict parser takes");
        return;
    };
    let raw = row(pingback.clone(), &Privacy::Raw { notice_version: "7".into() });
    let pseudonymous = row(pingback.clone(), &PSEUDONYMOUS);
    let none = row(pingback, &Privacy::None);
    for row in [&raw, &pseudonymous, &none] {
        fits(row);
    }
    only_pseudonyms(&pseudonymous);
    assert_eq!([&none.system_id, &none.node_id, &none.ip], ["", "", ""]);
    assert_eq!((raw.ip.as_str(), raw.privacy_notice.as_str()), (SENDER, "7"));
    // What the privacy mode does not concern is the same in all.
    for other in [&pseudonymous, &none] {
        assert_eq!(described(&raw), described(other));
    }
    if let Some(sent) = &strict {
        agrees(sent, &raw);
    }
    planted(&text, &raw);
});

fn row(mut pingback: Pingback, privacy: &Privacy) -> PingbackRow {
    let arrival =
        Arrival { id: Uuid::nil(), received_at: Timestamp::UNIX_EPOCH, address: SENDER.parse().expect("an address") };
    pingback.settle_mode(&RULES, arrival.address);
    pingback.into_row(arrival, privacy)
}

fn described(row: &PingbackRow) -> [&str; 12] {
    [
        &row.instance_id,
        &row.kolibri_version,
        &row.mode,
        &row.platform,
        row.os,
        &row.sysversion,
        &row.python_version,
        &row.database_id,
        &row.language,
        &row.timezone,
        &row.installer,
        &row.project,
    ]
}

/// The row fits its columns.
fn fits(row: &PingbackRow) {
    for text in described(row).into_iter().chain([row.system_id.as_str(), &row.node_id]) {
        text_column(text, TEXT);
    }
    text_column(&row.instance_id, ID);
    text_column(&row.kolibri_version, ID);
    assert!(["windows", "macos", "linux", "android", "chromeos", "other", ""].contains(&row.os));
    assert!(row.sysversion.starts_with(&row.python_version));
    assert!(row.uptime >= 0);
    let mut extra = json_column(&row.extra);
    let extra = extra.as_object_mut().expect("`extra` is an object");
    if let Some(cut) = extra.remove("_cut") {
        assert!(cut.as_array().is_some_and(|columns| !columns.is_empty() && columns.len() <= 15), "{cut}");
    }
    if let Some(dropped) = extra.remove("_dropped") {
        let names = dropped.as_array().expect("`_dropped` is a list");
        assert!((1..=KEYS).contains(&names.len()), "{} names", names.len());
        names.iter().for_each(|name| text_column(name.as_str().expect("a name"), ID));
    }
    assert!(extra.len() <= KEYS);
    let size = serde_json::to_string(extra).expect("a tree has a text").len();
    assert!(size <= BYTES + 2, "{size} bytes of unknown keys");
}

/// No hardware identifier and no address as such.
fn only_pseudonyms(row: &PingbackRow) {
    assert_eq!((row.ip.as_str(), row.privacy_notice.as_str()), (NETWORK, ""));
    for id in [&row.system_id, &row.node_id] {
        assert!(id.is_empty() || id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    }
    let extra = json_column(&row.extra);
    for (key, value) in extra.as_object().into_iter().flatten() {
        if key != "_dropped" {
            values(value, &mut |text| {
                let text = text.trim();
                assert!(text.parse::<IpAddr>().is_err() && text.parse::<SocketAddr>().is_err(), "{key}: {text}");
            });
        }
    }
}

fn values(value: &Value, seen: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => seen(text),
        Value::Array(list) => list.iter().for_each(|value| values(value, seen)),
        Value::Object(map) => map.values().for_each(|value| values(value, seen)),
        _ => {}
    }
}

/// The row holds what a simple model makes of the object.
fn agrees(sent: &Value, row: &PingbackRow) {
    let node_id = match modelled(sent.get("node_id"), TEXT) {
        Some(empty) if empty.is_empty() => sent.get("macaddress"),
        _ => sent.get("node_id"),
    };
    for (column, sent, length) in [
        (&row.instance_id, sent.get("instance_id"), ID),
        (&row.kolibri_version, sent.get("version"), ID),
        (&row.platform, sent.get("platform"), TEXT),
        (&row.sysversion, sent.get("sysversion"), TEXT),
        (&row.database_id, sent.get("database_id"), TEXT),
        (&row.system_id, sent.get("system_id"), TEXT),
        (&row.node_id, node_id, TEXT),
        (&row.language, sent.get("language"), TEXT),
        (&row.timezone, sent.get("timezone"), TEXT),
        (&row.installer, sent.get("installer"), TEXT),
        (&row.project, sent.get("project"), TEXT),
    ] {
        if let Some(expected) = modelled(sent, length) {
            assert_eq!(column, &expected);
        }
    }
    if let Some(mode) = modelled(sent.get("mode"), TEXT) {
        let by_rule = if row.kolibri_version.contains("dev") {
            "dev"
        } else if row.instance_id == "a" {
            "by instance"
        } else {
            "by network"
        };
        assert_eq!(row.mode, if mode.is_empty() { by_rule } else { &mode });
    }
    if let Some(uptime) = modelled_integer(sent.get("uptime")) {
        assert_eq!(row.uptime, uptime);
    }
}

/// Addresses among unknown keys are removed, whatever stands around them.
fn planted(text: &str, without: &PingbackRow) {
    let Some(start) = text.find('{') else { return };
    let (before, rest) = text.split_at(start + 1);
    let comma = if rest.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('}') { "" } else { "," };
    let list: Vec<_> = PLANTED.iter().map(|address| format!(r#"{{"at": " {address} "}}"#)).collect();
    let plants = list.join(",");
    let body = format!(
        r#"{before}"planted": [{plants}], "node_id": "{0}", "macaddress": "{0}", "system_id": "{0}"{comma}{rest}"#,
        PLANTED[5]
    );
    let row = row(Pingback::read(&body).expect("an object with further entries"), &PSEUDONYMOUS);
    fits(&row);
    only_pseudonyms(&row);
    let sent_too = |address: &str| {
        let mut found = described(without).iter().any(|text| text.contains(address));
        texts(&json_column(&without.extra), &mut |text| found |= text.contains(address));
        found
    };
    for address in PLANTED {
        assert!(!row.extra.contains(address) || sent_too(address), "{address} is still there: {}", row.extra);
    }
}
