//! Which messages each client gets: immutable, and prepared when messages change, so that a reply costs microseconds.

use std::net::IpAddr;

use bytes::Bytes;
use chrono::NaiveDate;

use crate::domain::{
    message::{Message, Stage, preview},
    version::Version,
};

/// Modes with a special meaning (docs/protocol.md, 11.3).
const STAGED: &str = "staged-msgs";
const STAGED_FOR_VERSION: &str = "staged-msgs-ver-";
const PREVIEW: &str = "msg-";

/// All messages that may be sent, the newest first.
#[derive(Debug, Default)]
pub struct Catalogue(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    message: Message,
    /// In the format for clients; shared by all replies.
    json: Bytes,
    /// The same with a range of all versions, for testers.
    json_for_all_versions: Bytes,
}

/// Who sent the ping.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// Version of Kolibri.
    pub version: &'a Version,
    /// As sent, or as assigned by the rules.
    pub mode: &'a str,
    /// As sent.
    pub instance_id: &'a str,
    /// The client's address.
    pub address: IpAddr,
}

impl Catalogue {
    /// The messages must have different ids.
    pub fn new<'a>(messages: impl IntoIterator<Item = &'a Message>) -> Self {
        let mut messages: Vec<_> = messages
            .into_iter()
            .filter(|message| matches!(message.stage(), Stage::Active | Stage::Staged))
            .cloned()
            .collect();
        messages.sort_by(|a, b| b.date().cmp(&a.date()).then_with(|| a.id().cmp(b.id())));
        let entry = |message: Message| Entry {
            json: message.json().into(),
            json_for_all_versions: message.json_for_all_versions().into(),
            message,
        };
        Self(messages.into_iter().map(entry).collect())
    }

    /// The full set for a client, as JSON objects: the device withdraws all others (docs/protocol.md, 5.1).
    #[must_use]
    pub fn choose(&self, sender: Sender<'_>, today: NaiveDate) -> Vec<Bytes> {
        let tests = sender.mode.starts_with(STAGED);
        let feigned = sender.mode.strip_prefix(STAGED_FOR_VERSION).and_then(Version::read);
        let version = feigned.as_ref().unwrap_or(sender.version);
        let for_sender = |Entry { message, .. }: &&Entry| {
            (tests || message.stage() == Stage::Active)
                && message.range().contains(version)
                && is_addressed(message, sender)
        };
        let json = |entry: &Entry| if tests { &entry.json_for_all_versions } else { &entry.json }.clone();
        let mut chosen: Vec<_> = self.0.iter().filter(for_sender).map(json).collect();
        if sender.mode.starts_with(PREVIEW) {
            chosen.push(preview(sender.mode, today).into());
        }
        chosen
    }
}

fn is_addressed(message: &Message, sender: Sender<'_>) -> bool {
    let audience = message.audience();
    let address = sender.address.to_canonical();
    (audience.instances.is_empty() || audience.instances.contains(sender.instance_id))
        && (audience.networks.is_empty() || audience.networks.iter().any(|network| network.contains(&address)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn catalogue(changes: &[(&str, Value)]) -> Catalogue {
        let messages: Vec<_> = changes
            .iter()
            .map(|(id, change)| {
                let mut document = json!({
                    "id": id, "stage": "Active", "date": "2026-11-01",
                    "translations": {"en": {"title": "T", "message": "M"}},
                });
                document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
                Message::read(&document).unwrap()
            })
            .collect();
        Catalogue::new(&messages)
    }

    /// The ids with the ranges that are sent.
    fn chosen(catalogue: &Catalogue, version: &str, mode: &str, instance_id: &str, address: &str) -> Vec<String> {
        let version = Version::read(version).unwrap();
        let sender = Sender { version: &version, mode, instance_id, address: address.parse().unwrap() };
        let today = NaiveDate::from_ymd_opt(2026, 11, 24).unwrap();
        let name = |json: &Bytes| {
            let message: Value = serde_json::from_slice(json).unwrap();
            format!("{} {}", message["msg_id"].as_str().unwrap(), message["version_range"].as_str().unwrap())
        };
        catalogue.choose(sender, today).iter().map(name).collect()
    }

    #[test]
    fn messages_are_chosen_by_stage() {
        let all = catalogue(&[
            ("draft", json!({"stage": "Draft"})),
            ("staged", json!({"stage": "Staged", "versionRange": "<0.19.0"})),
            ("active", json!({"versionRange": "<0.18.0"})),
            ("withdrawn", json!({"stage": "Withdrawn"})),
        ]);
        let by_mode = |mode| chosen(&all, "0.17.5", mode, "", "192.0.2.1");
        assert_eq!(by_mode(""), ["active <0.18.0"]);
        assert_eq!(by_mode("demoserver"), ["active <0.18.0"]);
        assert_eq!(by_mode("staged-msgs"), ["active *", "staged *"]);
        assert_eq!(by_mode("staged-msgs-ver-0.18.2"), ["staged *"]);
        assert_eq!(by_mode("staged-msgs-ver-unreadable"), ["active *", "staged *"]);
        assert_eq!(by_mode("msg-hello"), ["active <0.18.0", "msg-hello "]);
    }

    #[test]
    fn messages_are_chosen_by_version() {
        let all = catalogue(&[
            ("a", json!({"versionRange": "<0.16.0"})),
            ("b", json!({"versionRange": ">=0.15.0,<0.18.0"})),
            ("c", json!({})),
        ]);
        let by_version = |version| chosen(&all, version, "", "", "192.0.2.1").join(", ");
        assert_eq!(by_version("0.14.7"), "a <0.16.0, c *");
        assert_eq!(by_version("0.16.0a3"), "a <0.16.0, b >=0.15.0,<0.18.0, c *");
        assert_eq!(by_version("0.16.0"), "b >=0.15.0,<0.18.0, c *");
        assert_eq!(by_version("0.19.5"), "c *");
    }

    #[test]
    fn messages_are_chosen_by_audience() {
        let all = catalogue(&[
            ("instance", json!({"audience": {"instances": ["abc", "def"]}})),
            ("network", json!({"audience": {"networks": ["10.0.0.0/8", "2001:db8::/32"]}})),
            ("both", json!({"audience": {"instances": ["abc"], "networks": ["10.0.0.0/8"]}})),
        ]);
        let to = |instance, address| {
            let names = chosen(&all, "0.17.5", "", instance, address);
            names.iter().map(|name| name.trim_end_matches(" *").to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(to("abc", "192.0.2.1"), ["instance"]);
        assert_eq!(to("xyz", "10.1.2.3"), ["network"]);
        assert_eq!(to("xyz", "::ffff:10.1.2.3"), ["network"]);
        assert_eq!(to("xyz", "2001:db8::1"), ["network"]);
        assert_eq!(to("abc", "10.1.2.3"), ["both", "instance", "network"]);
        assert!(to("", "192.0.2.1").is_empty());
    }

    #[test]
    fn the_newest_message_comes_first() {
        let all = catalogue(&[
            ("b", json!({})),
            ("old", json!({"date": "2025-01-01"})),
            ("a", json!({})),
            ("new", json!({"date": "2026-12-01"})),
        ]);
        assert_eq!(chosen(&all, "0.17.5", "", "", "192.0.2.1"), ["new *", "a *", "b *", "old *"]);
    }
}
