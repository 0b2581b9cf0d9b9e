//! A pingback: what any Kolibri since 0.7 may send, and the row made of it (PROTOCOL.md section 4).

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    Timestamp,
    extra::{self, Unknown},
    json::{Entries, NotAnObject, Raw},
    mode::{self, ModeRule},
    platform,
    privacy::Privacy,
    text,
};

/// Characters kept of `instance_id` and `version`.
const ID_LENGTH: usize = 100;
/// Characters kept of all other text.
const TEXT_LENGTH: usize = 500;

/// A pingback as read: text cleaned and cut, except for hardware identifiers, which the privacy rules see whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Pingback {
    /// `instance_id`.
    pub instance_id: String,
    /// `version`.
    pub version: String,
    /// `mode`.
    pub mode: String,
    platform: String,
    sysversion: String,
    database_id: String,
    system_id: String,
    node_id: String,
    language: String,
    timezone: String,
    uptime: i64,
    client_time: Option<Timestamp>,
    installer: String,
    project: String,
    unknown: Map<String, Value>,
    dropped: Vec<String>,
    cut: Vec<&'static str>,
}

/// What is known about a ping besides its body.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// UUIDv7 of `received_at`.
    pub id: Uuid,
    /// By our clock.
    pub received_at: Timestamp,
    /// Of the sender.
    pub address: IpAddr,
}

/// The known keys; their order is that of [`KEYS`].
#[derive(Clone, Copy)]
enum Key {
    InstanceId,
    Version,
    Mode,
    Platform,
    Sysversion,
    DatabaseId,
    SystemId,
    NodeId,
    Macaddress,
    Language,
    Timezone,
    Uptime,
    Timestamp,
    Installer,
    Project,
}

const KEYS: [(&str, Key); 15] = [
    ("instance_id", Key::InstanceId),
    ("version", Key::Version),
    ("mode", Key::Mode),
    ("platform", Key::Platform),
    ("sysversion", Key::Sysversion),
    ("database_id", Key::DatabaseId),
    ("system_id", Key::SystemId),
    ("node_id", Key::NodeId),
    ("macaddress", Key::Macaddress),
    ("language", Key::Language),
    ("timezone", Key::Timezone),
    ("uptime", Key::Uptime),
    ("timestamp", Key::Timestamp),
    ("installer", Key::Installer),
    ("project", Key::Project),
];

/// The names of the known keys; all others are kept in `extra`.
pub fn keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(name, _)| *name)
}

/// The last value of each known key.
struct Fields<'a> {
    values: [Option<Raw<'a>>; KEYS.len()],
    cut: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    fn get(&self, key: Key) -> Option<Raw<'a>> {
        self.values[key as usize]
    }

    fn whole(&self, key: Key) -> String {
        self.get(key).map(|value| text::text(value).into_owned()).unwrap_or_default()
    }

    fn text(&mut self, key: Key, length: usize) -> String {
        let Some(value) = self.get(key) else { return String::new() };
        let (text, was_cut) = text::cut(text::text(value), length);
        if was_cut {
            self.cut.push(KEYS[key as usize].0);
        }
        text
    }
}

impl Pingback {
    /// Reads any JSON object: each field is optional and may be of any type and length.
    ///
    /// # Errors
    /// The text is not a JSON object.
    pub fn read(body: &str) -> Result<Self, NotAnObject> {
        let mut fields = Fields { values: [None; KEYS.len()], cut: Vec::new() };
        let mut unknown = Unknown::default();
        let mut entries = Entries::of_object(body)?;
        while let Some((key, value)) = entries.next_entry()? {
            match KEYS.iter().find(|(name, _)| *name == key) {
                Some((_, known)) => fields.values[*known as usize] = Some(value),
                None => unknown.add(key, value),
            }
        }
        let node_id = match fields.whole(Key::NodeId) {
            empty if empty.is_empty() => fields.whole(Key::Macaddress),
            node_id => node_id,
        };
        let (unknown, dropped) = unknown.finish();
        Ok(Self {
            instance_id: fields.text(Key::InstanceId, ID_LENGTH),
            version: fields.text(Key::Version, ID_LENGTH),
            mode: fields.text(Key::Mode, TEXT_LENGTH),
            platform: fields.text(Key::Platform, TEXT_LENGTH),
            sysversion: fields.text(Key::Sysversion, TEXT_LENGTH),
            database_id: fields.text(Key::DatabaseId, TEXT_LENGTH),
            system_id: fields.whole(Key::SystemId),
            node_id,
            language: fields.text(Key::Language, TEXT_LENGTH),
            timezone: fields.text(Key::Timezone, TEXT_LENGTH),
            uptime: fields.get(Key::Uptime).map_or(0, text::integer),
            client_time: fields.get(Key::Timestamp).and_then(|value| text::moment(&text::text(value))),
            installer: fields.text(Key::Installer, TEXT_LENGTH),
            project: fields.text(Key::Project, TEXT_LENGTH),
            unknown,
            dropped,
            cut: fields.cut,
        })
    }

    /// Gives a mode to a sender that has sent none.
    pub fn settle_mode(&mut self, rules: &[ModeRule], address: IpAddr) {
        if self.mode.is_empty() {
            mode::unsent(&self.version, rules, address.to_canonical(), &self.instance_id).clone_into(&mut self.mode);
        }
    }

    /// The row to keep. After this nothing holds an address or hardware identifier that the rules do not allow.
    #[must_use]
    pub fn into_row(mut self, arrival: Arrival, privacy: &Privacy) -> PingbackRow {
        let mut hardware = |column: &'static str, value| {
            let (value, was_cut) = text::cut(privacy.hardware(column, value).into(), TEXT_LENGTH);
            if was_cut {
                self.cut.push(column);
            }
            value
        };
        let system_id = hardware("system_id", self.system_id);
        let node_id = hardware("node_id", self.node_id);
        privacy.unknown_keys(&mut self.unknown);
        extra::fit(&mut self.unknown, &mut self.dropped);
        PingbackRow {
            id: arrival.id,
            received_at: arrival.received_at,
            os: platform::os(&self.platform, &self.installer, &self.mode),
            python_version: platform::python_version(&self.sysversion).to_owned(),
            instance_id: self.instance_id,
            kolibri_version: self.version,
            mode: self.mode,
            platform: self.platform,
            sysversion: self.sysversion,
            database_id: self.database_id,
            system_id,
            node_id,
            language: self.language,
            timezone: self.timezone,
            uptime: self.uptime,
            client_time: self.client_time,
            installer: self.installer,
            project: self.project,
            ip: privacy.address(arrival.address),
            country: String::new(),
            subdivision: String::new(),
            privacy_notice: privacy.notice_version().to_owned(),
            extra: extra_column(self.unknown, &self.cut, self.dropped),
        }
    }
}

/// Unknown keys with what happened to the others, as JSON text.
fn extra_column(mut unknown: Map<String, Value>, cut: &[&str], dropped: Vec<String>) -> String {
    if !cut.is_empty() {
        unknown.insert("_cut".into(), cut.into());
    }
    if !dropped.is_empty() {
        unknown.insert("_dropped".into(), dropped.into());
    }
    if unknown.is_empty() { "{}".into() } else { Value::Object(unknown).to_string() }
}

/// One row of `pingbacks`, after cleaning, cutting and the privacy rules.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PingbackRow {
    /// UUIDv7 of `received_at`.
    pub id: Uuid,
    /// The moment of arrival, by our clock.
    pub received_at: Timestamp,
    /// As sent; `''` if absent: then there is no row in `instances`.
    pub instance_id: String,
    /// As sent.
    pub kolibri_version: String,
    /// See [`super::mode`].
    pub mode: String,
    /// As sent.
    pub platform: String,
    /// `windows`, `macos`, `linux`, `android`, `chromeos`, `other` or `''`.
    pub os: &'static str,
    /// As sent.
    pub sysversion: String,
    /// The leading number of `sysversion`, as `3.9.2`.
    pub python_version: String,
    /// As sent.
    pub database_id: String,
    /// By the privacy rules.
    pub system_id: String,
    /// By the privacy rules; also filled from `macaddress`.
    pub node_id: String,
    /// As sent.
    pub language: String,
    /// As sent.
    pub timezone: String,
    /// Minutes, from 0.
    pub uptime: i64,
    /// The device's own clock; `None` if unreadable.
    pub client_time: Option<Timestamp>,
    /// As sent.
    pub installer: String,
    /// As sent.
    pub project: String,
    /// By the privacy rules: address, network or `''`.
    pub ip: String,
    /// ISO 3166-1 code, or `''`.
    pub country: String,
    /// ISO 3166-2 code, or `''`.
    pub subdivision: String,
    /// The version of the notice under which a raw row was stored, or `''`.
    pub privacy_notice: String,
    /// A JSON object (its text) of unknown keys.
    pub extra: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::privacy;

    fn row(body: &str, privacy: &Privacy) -> PingbackRow {
        let arrival = Arrival {
            id: Uuid::nil(),
            received_at: Timestamp::from_timestamp_micros(1_700_000_000_000_000).unwrap(),
            address: "203.0.113.7".parse().unwrap(),
        };
        let mut pingback = Pingback::read(body).unwrap();
        pingback.settle_mode(&[], arrival.address);
        pingback.into_row(arrival, privacy)
    }

    fn raw() -> Privacy {
        Privacy::Raw { notice_version: "7".into() }
    }

    #[test]
    fn a_real_pingback() {
        let body = r#"{"database_id": "bf", "installer": "apk - 1", "instance_id": "46", "language": "sw-tz", "mode": "", "node_id": "b7",
            "platform": "Linux-6.1.0", "project": "p", "system_id": "", "sysversion": "3.11.7 (main)", "timestamp": "2026-11-23T19:48:38.200Z",
            "timezone": "Etc/UTC", "uptime": 5, "version": "0.17.5"}"#;
        let row = row(body, &raw());
        assert_eq!((row.instance_id.as_str(), row.kolibri_version.as_str(), row.mode.as_str()), ("46", "0.17.5", ""));
        assert_eq!((row.os, row.python_version.as_str(), row.uptime), ("android", "3.11.7", 5));
        assert_eq!(row.client_time.unwrap().to_rfc3339(), "2026-11-23T19:48:38.200+00:00");
        assert_eq!((row.node_id.as_str(), row.ip.as_str(), row.privacy_notice.as_str()), ("b7", "203.0.113.7", "7"));
        assert_eq!(row.extra, "{}");
    }

    #[test]
    fn an_empty_object() {
        let row = row("{}", &Privacy::None);
        assert_eq!((row.instance_id.as_str(), row.uptime, row.client_time, row.extra.as_str()), ("", 0, None, "{}"));
    }

    #[test]
    fn the_last_of_equal_keys() {
        let long = "m".repeat(501);
        let row = row(&format!(r#"{{"mode": "{long}", "mo\u0064e": "a", "uptime": 3, "uptime": null}}"#), &raw());
        assert_eq!((row.mode.as_str(), row.uptime, row.extra.as_str()), ("a", 0, "{}"));
    }

    #[test]
    fn long_text_is_cut_and_said_so() {
        let body = format!(
            r#"{{"instance_id": "{}", "project": "{}", "node_id": "{}"}}"#,
            "i".repeat(101),
            "é".repeat(501),
            "n".repeat(501)
        );
        let kept = row(&body, &raw());
        assert_eq!((kept.instance_id.len(), kept.project.chars().count(), kept.node_id.len()), (100, 500, 500));
        assert_eq!(kept.extra, r#"{"_cut":["instance_id","project","node_id"]}"#);
        let hashed = row(&body, &Privacy::Pseudonymous(privacy::Key::new(&"k".repeat(32)).unwrap()));
        assert_eq!(hashed.node_id.len(), 32);
    }

    /// Found by the fuzz target `pingback`: `[removed]` is longer than the shortest address.
    #[test]
    fn unknown_keys_stay_under_their_cap_without_addresses() {
        let body = format!(r#"{{"x": [{}"::"], "y": "::"}}"#, r#""::","#.repeat(3000));
        let kept = row(&body, &Privacy::Pseudonymous(privacy::Key::new(&"k".repeat(32)).unwrap()));
        assert_eq!(kept.extra, r#"{"_dropped":["x"],"y":"[removed]"}"#);
        assert!(row(&body, &raw()).extra.contains("::"));
    }

    #[test]
    fn a_hardware_address_fills_the_node_id() {
        assert_eq!(row(r#"{"macaddress": "aa:bb"}"#, &raw()).node_id, "aa:bb");
        assert_eq!(row(r#"{"macaddress": "aa:bb", "node_id": "n"}"#, &raw()).node_id, "n");
    }

    #[test]
    fn development_versions_are_told_by_mode() {
        assert_eq!(row(r#"{"version": "0.16.0.dev0+git.1"}"#, &raw()).mode, "dev");
        assert_eq!(row(r#"{"version": "0.16.0.dev0+git.1", "mode": "demoserver"}"#, &raw()).mode, "demoserver");
    }
}
