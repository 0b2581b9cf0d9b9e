//! A message in the format for clients (docs/protocol.md, 10.1).

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use super::{Message, Translation, limits::MAX_ID};

#[derive(Serialize)]
struct Wire<'a> {
    msg_id: &'a str,
    version_range: &'a str,
    link_url: &'a str,
    i18n: BTreeMap<&'a str, Text<'a>>,
    timestamp: NaiveDate,
}

#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "these are the names that clients read")]
struct Text<'a> {
    title: &'a str,
    msg: &'a str,
    link_text: Option<&'a str>,
}

impl<'a> From<&'a Translation> for Text<'a> {
    fn from(translation: &'a Translation) -> Self {
        Self { title: &translation.title, msg: &translation.message, link_text: translation.link_text.as_deref() }
    }
}

impl Wire<'_> {
    fn json(&self) -> String {
        // Texts only, with keys that are texts.
        serde_json::to_string(self).expect("texts have a JSON form")
    }
}

impl Message {
    /// A JSON object, without the audience.
    #[must_use]
    pub fn json(&self) -> String {
        self.json_for(&self.version_range)
    }

    /// With a range of all versions, so that a tester's device shows it whatever version it runs (docs/protocol.md, 11.3).
    #[must_use]
    pub fn json_for_all_versions(&self) -> String {
        self.json_for("*")
    }

    fn json_for(&self, version_range: &str) -> String {
        let i18n = self.translations.iter().map(|(language, text)| (language.as_str(), text.into())).collect();
        Wire { msg_id: &self.id, version_range, link_url: &self.link_url, i18n, timestamp: self.date }.json()
    }
}

/// The message that a device requests by `mode` = `msg-<anything>`, to check that messages arrive (docs/protocol.md, 11.3).
#[must_use]
pub fn preview(mode: &str, today: NaiveDate) -> String {
    let text = |title, msg| Text { title, msg, link_text: None };
    let i18n = BTreeMap::from([
        ("en", text("Test message", "Messages of the telemetry server arrive at this device.")),
        ("es-es", text("Mensaje de prueba", "Los mensajes del servidor de telemetría llegan a este dispositivo.")),
    ]);
    let mut units = 0;
    let id: String = mode
        .chars()
        .take_while(|letter| {
            units += letter.len_utf16();
            units <= MAX_ID
        })
        .collect();
    Wire { msg_id: &id, version_range: "", link_url: "", i18n, timestamp: today }.json()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_message_is_written_as_clients_read_it() {
        let document = json!({
            "id": "upgrade", "stage": "Active", "versionRange": "<0.16.0", "linkUrl": "https://example.org", "date": "2026-11-01",
            "translations": {
                "en": {"title": "Upgrade", "message": "Please \"do\".\n", "linkText": "How"},
                "sw-tz": {"title": "T", "message": "M"},
            },
            "audience": {"instances": ["secret"], "networks": ["10.0.0.0/8"]},
        });
        let message = Message::read(&document).unwrap();
        let mut expected = json!({
            "msg_id": "upgrade", "version_range": "<0.16.0", "link_url": "https://example.org", "timestamp": "2026-11-01",
            "i18n": {
                "en": {"title": "Upgrade", "msg": "Please \"do\".\n", "link_text": "How"},
                "sw-tz": {"title": "T", "msg": "M", "link_text": null},
            },
        });
        assert_eq!(serde_json::from_str::<Value>(&message.json()).unwrap(), expected);
        expected["version_range"] = "*".into();
        assert_eq!(serde_json::from_str::<Value>(&message.json_for_all_versions()).unwrap(), expected);
    }

    #[test]
    fn the_id_of_a_preview_is_cut() {
        let today = NaiveDate::from_ymd_opt(2026, 11, 24).unwrap();
        let id = |mode: &str| serde_json::from_str::<Value>(&preview(mode, today)).unwrap()["msg_id"].clone();
        assert_eq!(id("msg-1"), "msg-1");
        assert_eq!(id(&format!("msg-{}", "x".repeat(60))), format!("msg-{}", "x".repeat(46)));
        assert_eq!(id(&format!("msg-{}", "😀".repeat(60))), format!("msg-{}", "😀".repeat(23)));
    }
}
