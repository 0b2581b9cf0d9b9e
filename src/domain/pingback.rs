//! A pingback: what any Kolibri since 0.7 may send, and what is stored of it (docs/protocol.md, 4): a [`Ping`] with what
//! changes from ping to ping, and a [`Profile`] with the rest.

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use serde::Serialize;
use uuid::Uuid;

use super::{
    Timestamp,
    extra::{self, Unknown},
    json::{Entries, NotAnObject, Raw},
    place::Place,
    privacy::Privacy,
    profile::{self, Described, Description, Profile},
    text,
};

/// Keys that change from ping to ping.
const UPTIME: &str = "uptime";
const TIMESTAMP: &str = "timestamp";

/// The names of the known keys; all others are kept in `extra`.
pub fn keys() -> impl Iterator<Item = &'static str> {
    profile::keys().chain([UPTIME, TIMESTAMP])
}

/// A parsed pingback; its values are not cleaned or copied yet.
#[derive(Debug, Clone)]
pub struct Pingback<'a> {
    /// The values for the profile.
    pub description: Description<'a>,
    uptime: Option<Raw<'a>>,
    timestamp: Option<Raw<'a>>,
    unknown: Unknown<'a>,
}

/// What is known about a ping in addition to its body.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// UUIDv7 of `received_at`.
    pub id: Uuid,
    /// By the server's clock.
    pub received_at: Timestamp,
    /// Address of the client.
    pub address: IpAddr,
    /// Looked up from the whole address.
    pub place: Place,
}

impl<'a> Pingback<'a> {
    /// Reads any JSON object: each field is optional and may have any type and length. The last of duplicate keys wins.
    ///
    /// # Errors
    /// The text is not a JSON object.
    pub fn read(body: &'a str) -> Result<Self, NotAnObject> {
        let mut pingback =
            Self { description: Description::default(), uptime: None, timestamp: None, unknown: Unknown::default() };
        let mut entries = Entries::of_object(body)?;
        while let Some((key, value)) = entries.next_entry()? {
            if pingback.description.take(&key, value) {
                continue;
            }
            match &*key {
                UPTIME => pingback.uptime = Some(value),
                TIMESTAMP => pingback.timestamp = Some(value),
                _ => pingback.unknown.add(key, value),
            }
        }
        Ok(pingback)
    }

    /// Number of unknown keys.
    #[must_use]
    pub const fn unknown_keys(&self) -> usize {
        self.unknown.len()
    }

    /// The ping to store. It contains no address that the privacy rules do not allow.
    #[must_use]
    pub fn into_ping(self, arrival: Arrival, described: Described<'_>, privacy: &Privacy) -> Ping {
        let (unknown, dropped) = self.unknown.keep(extra::MAX_BYTES, privacy);
        Ping {
            id: arrival.id,
            received_at: arrival.received_at,
            instance_id: described.instance_id,
            profile: described.profile,
            uptime: self.uptime.map_or(0, text::integer),
            client_time: self.timestamp.and_then(|value| text::moment(&text::text(value))),
            ip: privacy.address(arrival.address),
            country: arrival.place.country().to_owned(),
            subdivision: arrival.place.subdivision().to_owned(),
            extra: extra::column(unknown, described.cut, dropped),
        }
    }

    /// Ping and profile together, for a client whose mode does not depend on rules.
    #[must_use]
    pub fn into_rows(self, arrival: Arrival, privacy: &Privacy) -> (Ping, Profile) {
        let profile = Profile::read(&self.description).into_profile(privacy);
        let ping = self.into_ping(arrival, profile.described(), privacy);
        (ping, profile)
    }
}

/// One row of `pings`: what changes from ping to ping. The sender is described by its profile.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ping {
    /// UUIDv7 of `received_at`.
    pub id: Uuid,
    /// Time of arrival, by the server's clock.
    pub received_at: Timestamp,
    /// Same as in its profile.
    pub instance_id: Arc<str>,
    /// Its profile: see [`Profile::id`].
    pub profile: Uuid,
    /// Minutes, at least 0.
    pub uptime: i64,
    /// The device's own clock; `None` if unreadable.
    pub client_time: Option<Timestamp>,
    /// According to the privacy rules: address, network or `''`.
    pub ip: String,
    /// ISO 3166-1 code, or `''`.
    pub country: String,
    /// ISO 3166-2 code, or `''`.
    pub subdivision: String,
    /// A JSON object (its text) of unknown keys.
    pub extra: Cow<'static, str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::privacy;

    fn rows(body: &str, privacy: &Privacy) -> (Ping, Profile) {
        let arrival = Arrival {
            id: Uuid::nil(),
            received_at: Timestamp::from_timestamp_micros(1_700_000_000_000_000).unwrap(),
            address: "203.0.113.7".parse().unwrap(),
            place: Place::of("TZ", "02"),
        };
        Pingback::read(body).unwrap().into_rows(arrival, privacy)
    }

    fn key() -> privacy::Key {
        privacy::Key::new(&"k".repeat(32)).unwrap()
    }

    fn raw() -> Privacy {
        Privacy::Raw { notice_version: "7".into(), key: key() }
    }

    #[test]
    fn a_real_pingback_is_read_into_ping_and_profile() {
        let body = r#"{"database_id": "bf", "installer": "apk - 1", "instance_id": "46", "language": "sw-tz", "mode": "", "node_id": "b7",
            "platform": "Linux-6.1.0", "project": "p", "system_id": "", "sysversion": "3.11.7 (main)", "timestamp": "2026-11-23T19:48:38.200Z",
            "timezone": "Etc/UTC", "uptime": 5, "version": "0.17.5"}"#;
        let (ping, profile) = rows(body, &raw());
        let Profile { instance_id, kolibri_version, mode, os, python_version, node_id, privacy_notice, .. } = &profile;
        assert_eq!((&**instance_id, kolibri_version.as_str(), mode.as_str()), ("46", "0.17.5", ""));
        assert_eq!((*os, python_version.as_str(), ping.uptime), ("android", "3.11.7", 5));
        assert_eq!(ping.client_time.unwrap().to_rfc3339(), "2026-11-23T19:48:38.200+00:00");
        assert_eq!((node_id.as_str(), ping.ip.as_str(), privacy_notice.as_str()), ("b7", "203.0.113.7", "7"));
        assert_eq!((&*ping.extra, &*ping.instance_id, ping.profile), ("{}", "46", profile.id));
        assert_eq!((ping.country.as_str(), ping.subdivision.as_str()), ("TZ", "TZ-02"));
    }

    #[test]
    fn an_empty_object_is_a_pingback() {
        let (ping, _) = rows("{}", &Privacy::None);
        assert_eq!((&*ping.instance_id, ping.uptime, ping.client_time, &*ping.extra), ("", 0, None, "{}"));
    }

    #[test]
    fn the_last_of_duplicate_keys_wins() {
        let long = "m".repeat(501);
        let body = format!(r#"{{"mode": "{long}", "mo\u0064e": "a", "uptime": 3, "uptime": null}}"#);
        let (ping, profile) = rows(&body, &raw());
        assert_eq!((profile.mode.as_str(), ping.uptime, &*ping.extra), ("a", 0, "{}"));
    }

    #[test]
    fn long_text_is_cut_and_listed_in_extra() {
        let body = format!(
            r#"{{"instance_id": "{}", "project": "{}", "node_id": "{}"}}"#,
            "i".repeat(101),
            "é".repeat(501),
            "n".repeat(501)
        );
        let (ping, kept) = rows(&body, &raw());
        assert_eq!((kept.instance_id.len(), kept.project.chars().count(), kept.node_id.len()), (100, 500, 500));
        assert_eq!(ping.extra, r#"{"_cut":["instance_id","project","node_id"]}"#);
        let (_, hashed) = rows(&body, &Privacy::Pseudonymous(key()));
        assert_eq!(hashed.node_id.len(), 32);
    }

    /// Found by the fuzz target `pingback`: `[removed]` is longer than the shortest address.
    #[test]
    fn unknown_keys_stay_under_their_limit_without_addresses() {
        let body = format!(r#"{{"x": [{}"::"], "y": "::"}}"#, r#""::","#.repeat(3000));
        let (ping, _) = rows(&body, &Privacy::Pseudonymous(key()));
        assert_eq!(ping.extra, r#"{"_dropped":["x"],"y":"[removed]"}"#);
        assert!(rows(&body, &raw()).0.extra.contains("::"));
    }
}
