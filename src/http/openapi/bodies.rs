//! Bodies of requests, for the OpenAPI document only: bodies are parsed by `domain`, which accepts far more than this.
//! Tests below compare the two. For the meaning of the keys see docs/protocol.md, 4 and 7.

#![expect(dead_code, reason = "only the schemas of these types are used")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

/// A pingback. Every key is optional and may be null; values of other types are accepted too, and
/// stored if they make sense. Longer text is cut. Unknown keys are stored, up to 64 keys and 16 KiB.
#[derive(JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
pub struct Pingback {
    /// Identifier of the installation; cut at 100 characters.
    #[schemars(example = &"76a787a26c9bd603f36e717b075126f3")]
    instance_id: Option<String>,
    /// Kolibri's version; decides the form of the reply. Cut at 100 characters, all other text at 500.
    #[schemars(example = &"0.19.5")]
    version: Option<String>,
    /// Run mode; empty for an ordinary installation.
    #[schemars(example = &"android-debug")]
    mode: Option<String>,
    /// Python's description of the operating system.
    #[schemars(example = &"Linux-6.1.0-18-amd64-x86_64-with-glibc2.36")]
    platform: Option<String>,
    /// Python's own long version string.
    #[schemars(example = &"3.11.2 (main, Mar 13 2023, 12:18:29) [GCC 12.2.0]")]
    sysversion: Option<String>,
    /// Identifier of the database.
    #[schemars(example = &"0d332af830ea4e22a024c388c8519513")]
    database_id: Option<String>,
    /// Hash of a machine identifier; stored according to `privacy.identifiers`.
    #[schemars(example = &"4ebf63602f0e9a85980f")]
    system_id: Option<String>,
    /// Hash of a network hardware address; stored according to `privacy.identifiers`.
    #[schemars(example = &"57264edf6aa203f69c65")]
    node_id: Option<String>,
    /// Replaces an empty `node_id`.
    #[schemars(example = &"00:00:5e:00:53:01")]
    macaddress: Option<String>,
    /// Language code of the device.
    #[schemars(example = &"sw-tz")]
    language: Option<String>,
    /// IANA name of the time zone.
    #[schemars(example = &"Etc/UTC")]
    timezone: Option<String>,
    /// Minutes since the device began to send pings.
    #[schemars(example = 5)]
    uptime: Option<i64>,
    /// The device's own clock, as a date-time with an offset.
    #[schemars(example = &"2026-11-23T19:48:59.537Z")]
    timestamp: Option<String>,
    /// How Kolibri was installed.
    #[schemars(example = &"apk - 0.19.5-0.1.7.1-debug")]
    installer: Option<String>,
    /// Free text, set by whoever deployed the device.
    #[schemars(example = &"endless-key-android")]
    project: Option<String>,
}

/// A statistics report. Every key is optional and may be null; values of other types are accepted
/// too, and stored if they make sense. Unknown keys are stored, up to a limit.
#[derive(JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
pub struct Statistics {
    /// The `id` from the reply to the pingback. Unknown ids are accepted.
    #[schemars(example = &"0191f0a5-8c1e-7d3a-b1c2-5f6e7a8b9c0d")]
    pi: Option<String>,
    /// One entry for each channel.
    c: Option<Vec<Option<Channel>>>,
    /// One entry for each facility.
    f: Option<Vec<Option<Facility>>>,
}

/// The counts of a channel.
#[derive(JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
pub struct Channel {
    /// The first 10 digits of the channel's id.
    #[schemars(example = &"46c7a46ece")]
    ci: Option<String>,
    /// The channel's version.
    #[schemars(example = 12)]
    v: Option<i64>,
    /// Last update of the channel, `YYYY-MM-DD`.
    #[schemars(example = &"2024-02-29")]
    u: Option<String>,
    /// First digits of the ids of the most used contents.
    #[schemars(example = ["13fc7746e9", "7e55db001d"])]
    pi: Option<Vec<Option<String>>>,
    /// Sessions of each of these.
    #[schemars(example = [3, 2])]
    pc: Option<Vec<Option<i64>>>,
    /// Storage in MiB.
    #[schemars(example = 15.058_865_547_180_176)]
    s: Option<f64>,
    #[serde(flatten)]
    usage: Usage,
}

/// The counts of a facility.
#[derive(JsonSchema)]
#[schemars(extend("additionalProperties" = true))]
pub struct Facility {
    /// A hash of the facility's id.
    #[schemars(example = &"wTeh2IXxuS")]
    fi: Option<String>,
    /// Settings: `preset` and booleans.
    #[schemars(example = serde_json::json!({"preset": "formal", "registered": false}))]
    s: Option<BTreeMap<String, Value>>,
    /// Learners.
    #[schemars(example = 24)]
    lc: Option<i64>,
    /// Login sessions of learners.
    #[schemars(example = 72)]
    llc: Option<i64>,
    /// Coaches and administrators.
    #[schemars(example = 12)]
    cc: Option<i64>,
    /// Their login sessions.
    #[schemars(example = 9)]
    clc: Option<i64>,
    /// First use, `YYYY-MM-DD`.
    #[schemars(example = &"2023-03-01")]
    f: Option<String>,
    /// Last use, `YYYY-MM-DD`.
    #[schemars(example = &"2023-12-15")]
    l: Option<String>,
    /// Lessons.
    #[schemars(example = 1)]
    lec: Option<i64>,
    /// Exams.
    #[schemars(example = 1)]
    ec: Option<i64>,
    /// Exam logs.
    #[schemars(example = 6)]
    elc: Option<i64>,
    /// Attempt logs.
    #[schemars(example = 81)]
    alc: Option<i64>,
    /// Exam attempt logs.
    #[schemars(example = 12)]
    ealc: Option<i64>,
    /// Classes.
    #[schemars(example = 1)]
    crc: Option<i64>,
    /// Groups.
    #[schemars(example = 1)]
    grc: Option<i64>,
    /// Login sessions by client device, as `Android,9/Chrome Mobile,86`.
    #[schemars(example = serde_json::json!({"Android,9/Chrome Mobile,86": 20}))]
    dis: Option<BTreeMap<String, Option<i64>>>,
    /// On devices with only a part of the users: a hash of that part.
    #[schemars(example = &"h0kXr1Zq/+")]
    sh: Option<String>,
    #[serde(flatten)]
    usage: Usage,
}

/// Counts of both channels and facilities.
#[derive(JsonSchema)]
pub struct Usage {
    /// Summary logs started.
    #[schemars(example = 108)]
    ss: Option<i64>,
    /// Summary logs completed.
    #[schemars(example = 54)]
    sc: Option<i64>,
    /// Sessions by kind of content.
    #[schemars(example = serde_json::json!({"video": 36, "exercise": 27}))]
    sk: Option<BTreeMap<String, Option<i64>>>,
    /// Sessions of users.
    #[schemars(example = 108)]
    suc: Option<i64>,
    /// Sessions of anonymous visitors.
    #[schemars(example = 9)]
    sac: Option<i64>,
    /// Minutes of users.
    #[schemars(example = 563)]
    sut: Option<i64>,
    /// Minutes of anonymous visitors.
    #[schemars(example = 9)]
    sat: Option<i64>,
    /// Demographics of learners: objects of numbers or null.
    #[schemars(example = serde_json::json!({"bys": {"a": 2010.0, "sd": 1.41, "ts": 15}, "gc": {"FEMALE": 5}}))]
    dsl: Option<BTreeMap<String, BTreeMap<String, Option<f64>>>>,
    /// Demographics of users other than learners.
    #[schemars(example = serde_json::json!({"bys": {"a": null, "sd": null, "ts": null}, "gc": {"MALE": 12}}))]
    dsnl: Option<BTreeMap<String, BTreeMap<String, Option<f64>>>>,
    /// Users with sessions.
    #[schemars(example = 27)]
    uwl: Option<i64>,
    /// Visitors with sessions.
    #[schemars(example = 4)]
    vwl: Option<i64>,
    /// Anonymous sessions without a visitor's id.
    #[schemars(example = 2)]
    sacnv: Option<i64>,
}

#[cfg(test)]
mod tests {
    use schemars::schema_for;
    use serde_json::{Map, json};
    use uuid::Uuid;

    use crate::domain::{
        Timestamp,
        pingback::{self, Arrival, Ping, Pingback},
        place::Place,
        privacy::{Key, Privacy},
        profile::Profile,
        statistics::{Envelope, StatisticsReport},
    };

    fn properties(schema: &schemars::Schema) -> Map<String, serde_json::Value> {
        schema.get("properties").and_then(|properties| properties.as_object()).unwrap().clone()
    }

    fn rows(body: &serde_json::Value) -> (Ping, Profile) {
        let (id, address) = (Uuid::nil(), "192.0.2.1".parse().unwrap());
        let arrival = Arrival { id, received_at: Timestamp::UNIX_EPOCH, address, place: Place::default() };
        let privacy = Privacy::Raw { notice_version: "1".into(), key: Key::new(&"k".repeat(32)).unwrap() };
        Pingback::read(&body.to_string()).unwrap().into_rows(arrival, &privacy)
    }

    fn report(body: &serde_json::Value) -> StatisticsReport {
        Envelope::read(&body.to_string())
            .unwrap()
            .into_report((Uuid::nil(), Timestamp::UNIX_EPOCH), &Privacy::None, usize::MAX, usize::MAX)
            .unwrap()
            .0
    }

    #[test]
    fn the_documented_keys_of_a_pingback_are_those_that_are_read() {
        let described = properties(&schema_for!(super::Pingback));
        let mut known: Vec<_> = pingback::keys().collect();
        known.sort_unstable();
        let mut names: Vec<_> = described.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, known);
    }

    /// The example of each key changes the row, compared with an empty body.
    #[test]
    fn every_documented_key_is_stored() {
        for (key, schema) in properties(&schema_for!(super::Pingback)) {
            let kept = rows(&json!({ key.clone(): schema["examples"][0] }));
            assert!(kept != rows(&json!({})) && kept.0.extra == "{}", "{key}");
        }
        for (list, schema) in [("c", schema_for!(super::Channel)), ("f", schema_for!(super::Facility))] {
            for (key, schema) in properties(&schema) {
                let with = report(&json!({ list: [{ key.clone(): schema["examples"][0] }] }));
                assert_ne!(with, report(&json!({ list: [{}] })), "{list}: {key}");
            }
        }
        let example = &properties(&schema_for!(super::Statistics))["pi"]["examples"][0];
        assert_ne!(report(&json!({ "pi": example })), report(&json!({})));
    }

    #[test]
    fn every_key_is_optional_nullable_and_described() {
        for schema in [
            schema_for!(super::Pingback),
            schema_for!(super::Statistics),
            schema_for!(super::Channel),
            schema_for!(super::Facility),
        ] {
            assert_eq!((schema.get("required"), &schema.get("additionalProperties").unwrap()), (None, &&json!(true)));
            for (key, schema) in properties(&schema) {
                assert!(
                    schema["type"].as_array().is_some_and(|types| types.contains(&json!("null"))),
                    "{key}: {schema}"
                );
                assert!(schema["description"].is_string(), "{key}");
            }
        }
    }
}
