//! The body of a pingback, from its bytes to its rows, in each privacy mode.

#![no_main]

use std::{net::IpAddr, net::SocketAddr, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use nutritionfacts::domain::{
    Timestamp,
    mode::ModeRule,
    origin::Origin,
    pingback::{Arrival, Ping, Pingback},
    place::Place,
    privacy::{Key, Privacy},
    profile::{Description, Profile},
};
use nutritionfacts_fuzz::{json_column, modelled, modelled_integer, strictly_an_object, text, text_column, texts};
use serde_json::{Value, json};
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

static KEY: LazyLock<Key> =
    LazyLock::new(|| Key::new("a key for the fuzzer only, long enough").expect("32 characters or more"));
static PSEUDONYMOUS: LazyLock<Privacy> = LazyLock::new(|| Privacy::Pseudonymous(KEY.clone()));
static RAW: LazyLock<Privacy> = LazyLock::new(|| Privacy::Raw { notice_version: "7".into(), key: KEY.clone() });
static RULES: LazyLock<Vec<ModeRule>> = LazyLock::new(|| {
    let network = "203.0.113.0/24".parse().expect("a network");
    vec![
        ModeRule { instances: vec!["a".into()], mode: "by instance".into(), ..ModeRule::default() },
        ModeRule { networks: vec![network], mode: "by network".into(), ..ModeRule::default() },
    ]
});

fuzz_target!(|body: &[u8]| {
    let Some(text) = text(body) else { return };
    let strict = strictly_an_object(&text);
    let Ok(pingback) = Pingback::read(&text) else {
        assert!(strict.is_none(), "refuses what a strict parser takes");
        return;
    };
    let sent = pingback.description;
    let raw = rows(pingback.clone(), &RAW);
    let pseudonymous = rows(pingback.clone(), &PSEUDONYMOUS);
    let none = rows(pingback, &Privacy::None);
    for (rows, privacy) in [(&raw, &*RAW), (&pseudonymous, &PSEUDONYMOUS), (&none, &Privacy::None)] {
        fits(rows);
        is_remembered(&sent, &rows.1, privacy);
    }
    only_pseudonyms(&pseudonymous);
    assert_eq!([&none.1.system_id, &none.1.node_id, &none.0.ip], ["", "", ""]);
    assert_eq!((raw.0.ip.as_str(), raw.1.privacy_notice.as_str()), (SENDER, "7"));
    // What the privacy mode does not concern is the same in all.
    for other in [&pseudonymous, &none] {
        assert_eq!(described(&raw.1), described(&other.1));
        assert_eq!((raw.0.uptime, raw.0.client_time), (other.0.uptime, other.0.client_time));
    }
    if let Some(sent) = &strict {
        agrees(sent, &raw);
    }
    planted(&text, &raw, &sent);
});

type Rows = (Ping, Profile);

fn rows(pingback: Pingback<'_>, privacy: &Privacy) -> Rows {
    let (id, address) = (Uuid::nil(), SENDER.parse().expect("an address"));
    let arrival = Arrival { id, received_at: Timestamp::UNIX_EPOCH, address, place: Place::default() };
    let profile = profile(&pingback.description, privacy);
    let ping = pingback.into_ping(arrival, profile.described(), privacy);
    (ping, profile)
}

fn profile(sent: &Description<'_>, privacy: &Privacy) -> Profile {
    let mut draft = Profile::read(sent);
    draft.settle_mode(&RULES, Origin::new(SENDER.parse().expect("an address"), None));
    draft.into_profile(privacy)
}

/// The text by which a sender is remembered is what it sent, and makes the same profile once more.
fn is_remembered(sent: &Description<'_>, made: &Profile, privacy: &Privacy) {
    let joined = sent.joined();
    let again = Description::of_joined(&joined);
    assert_eq!(&again, sent);
    assert!(sent.is(&joined) && again.is(&joined), "not recognised: {joined:?}");
    assert_eq!(again.joined(), joined);
    assert_eq!(&profile(&again, privacy), made);
    // The last byte ends the last value.
    let (shorter, longer) = (&joined[..joined.len() - 1], format!("{joined}\u{1}"));
    assert!(!sent.is(shorter) && !sent.is(&longer), "taken for another: {joined:?}");
}

fn described(profile: &Profile) -> [&str; 12] {
    [
        &profile.instance_id,
        &profile.kolibri_version,
        &profile.mode,
        &profile.platform,
        profile.os,
        &profile.sysversion,
        &profile.python_version,
        &profile.database_id,
        &profile.language,
        &profile.timezone,
        &profile.installer,
        &profile.project,
    ]
}

/// The rows fit their columns, and each other.
fn fits((ping, profile): &Rows) {
    for text in described(profile).into_iter().chain([profile.system_id.as_str(), &profile.node_id]) {
        text_column(text, TEXT);
    }
    text_column(&profile.instance_id, ID);
    text_column(&profile.kolibri_version, ID);
    assert!(["windows", "macos", "linux", "android", "chromeos", "other", ""].contains(&profile.os));
    assert!(profile.sysversion.starts_with(&profile.python_version));
    assert!(ping.uptime >= 0);
    assert_eq!((&ping.instance_id, ping.profile), (&profile.instance_id, profile.id));
    let mut extra = json_column(&ping.extra);
    let extra = extra.as_object_mut().expect("`extra` is an object");
    assert_eq!(extra.remove("_cut"), (!profile.cut.is_empty()).then(|| json!(profile.cut)));
    assert!(profile.cut.len() <= 13, "{:?}", profile.cut);
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
fn only_pseudonyms((ping, profile): &Rows) {
    assert_eq!((ping.ip.as_str(), profile.privacy_notice.as_str()), (NETWORK, ""));
    for id in [&profile.system_id, &profile.node_id] {
        assert!(id.is_empty() || id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    }
    let extra = json_column(&ping.extra);
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

/// The rows hold what a simple model makes of the object.
fn agrees(sent: &Value, (ping, profile): &Rows) {
    let node_id = match modelled(sent.get("node_id"), TEXT) {
        Some(empty) if empty.is_empty() => sent.get("macaddress"),
        _ => sent.get("node_id"),
    };
    for (column, sent, length) in [
        (&*profile.instance_id, sent.get("instance_id"), ID),
        (&profile.kolibri_version, sent.get("version"), ID),
        (&profile.platform, sent.get("platform"), TEXT),
        (&profile.sysversion, sent.get("sysversion"), TEXT),
        (&profile.database_id, sent.get("database_id"), TEXT),
        (&profile.system_id, sent.get("system_id"), TEXT),
        (&profile.node_id, node_id, TEXT),
        (&profile.language, sent.get("language"), TEXT),
        (&profile.timezone, sent.get("timezone"), TEXT),
        (&profile.installer, sent.get("installer"), TEXT),
        (&profile.project, sent.get("project"), TEXT),
    ] {
        if let Some(expected) = modelled(sent, length) {
            assert_eq!(column, expected);
        }
    }
    if let Some(mode) = modelled(sent.get("mode"), TEXT) {
        let by_rule = if profile.kolibri_version.contains("dev") {
            "dev"
        } else if &*profile.instance_id == "a" {
            "by instance"
        } else {
            "by network"
        };
        assert_eq!(profile.mode, if mode.is_empty() { by_rule } else { &mode });
    }
    if let Some(uptime) = modelled_integer(sent.get("uptime")) {
        assert_eq!(ping.uptime, uptime);
    }
}

/// Addresses among unknown keys are removed, whatever stands around them. Who sends other identifiers is taken for another.
fn planted(text: &str, without: &Rows, sent: &Description<'_>) {
    let Some(start) = text.find('{') else { return };
    let (before, rest) = text.split_at(start + 1);
    let comma = if rest.trim_start_matches([' ', '\t', '\n', '\r']).starts_with('}') { "" } else { "," };
    let list: Vec<_> = PLANTED.iter().map(|address| format!(r#"{{"at": " {address} "}}"#)).collect();
    let plants = list.join(",");
    let body = format!(
        r#"{before}"planted": [{plants}], "node_id": "{0}", "macaddress": "{0}", "system_id": "{0}"{comma}{rest}"#,
        PLANTED[5]
    );
    let pingback = Pingback::read(&body).expect("an object with further entries");
    assert_eq!(pingback.description.is(&sent.joined()), pingback.description == *sent);
    let rows = rows(pingback, &PSEUDONYMOUS);
    fits(&rows);
    only_pseudonyms(&rows);
    let sent_too = |address: &str| {
        let mut found = described(&without.1).iter().any(|text| text.contains(address));
        texts(&json_column(&without.0.extra), &mut |text| found |= text.contains(address));
        found
    };
    for address in PLANTED {
        let extra = &rows.0.extra;
        assert!(!extra.contains(address) || sent_too(address), "{address} is still there: {extra}");
    }
}
