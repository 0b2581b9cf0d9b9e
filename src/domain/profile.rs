//! The profile of an installation: the same texts in each of its pings, until something changes.

use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use super::{
    json::Raw,
    mode::{self, ModeRule},
    origin::Origin,
    platform,
    privacy::Privacy,
    text,
};

/// Characters kept of `instance_id` and `version`.
const ID_LENGTH: usize = 100;
/// Characters kept of all other text.
const TEXT_LENGTH: usize = 500;
/// Separates two values in [`Description::joined`]; does not occur in JSON.
const SEPARATOR: char = '\u{1}';

/// The keys, in the order of [`KEYS`].
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
    Installer,
    Project,
}

const KEYS: [(&str, Key); 13] = [
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
    ("installer", Key::Installer),
    ("project", Key::Project),
];

/// The names of the keys.
pub fn keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(name, _)| *name)
}

/// The values of the keys as they were sent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Description<'a>([Option<Raw<'a>>; KEYS.len()]);

impl<'a> Description<'a> {
    /// Takes the value if the key is one of these; returns whether it is. The last of duplicate keys wins.
    pub(super) fn take(&mut self, key: &str, value: Raw<'a>) -> bool {
        let known = KEYS.iter().find(|(name, _)| *name == key);
        if let Some((_, known)) = known {
            self.0[*known as usize] = Some(value);
        }
        known.is_some()
    }

    /// The installation's id as it was sent, quotes and escapes included; `''` if absent.
    #[must_use]
    pub fn instance(&self) -> &'a str {
        self.get(Key::InstanceId).map_or("", Raw::as_str)
    }

    /// All values as one text, which [`Self::of_joined`] splits again.
    #[must_use]
    pub fn joined(&self) -> Box<str> {
        let mut joined = String::with_capacity(self.texts().map(|text| text.len() + 1).sum());
        for text in self.texts() {
            joined.push_str(text);
            joined.push(SEPARATOR);
        }
        joined.into()
    }

    /// Splits what [`Self::joined`] returned.
    #[must_use]
    pub fn of_joined(joined: &'a str) -> Self {
        let mut values = [None; KEYS.len()];
        for (value, text) in values.iter_mut().zip(joined.split(SEPARATOR)) {
            *value = Raw::of_value(text);
        }
        Self(values)
    }

    /// Whether these are, byte for byte, the joined values.
    #[must_use]
    pub fn is(&self, joined: &str) -> bool {
        let mut rest = joined.as_bytes();
        for text in self.texts() {
            let after = rest.strip_prefix(text.as_bytes()).and_then(|rest| rest.strip_prefix(&[SEPARATOR as u8]));
            let Some(after) = after else { return false };
            rest = after;
        }
        rest.is_empty()
    }

    fn texts(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|value| value.map_or("", Raw::as_str))
    }

    fn get(&self, key: Key) -> Option<Raw<'a>> {
        self.0[key as usize]
    }

    fn whole(&self, key: Key) -> String {
        self.get(key).map(|value| text::text(value).into_owned()).unwrap_or_default()
    }
}

/// A description as read: text is cleaned and cut, except hardware identifiers, which the privacy rules need in full.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// `instance_id`.
    pub instance_id: Arc<str>,
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
    installer: String,
    project: String,
    cut: Vec<&'static str>,
}

impl Draft {
    /// Sets the mode of an installation that has sent none.
    pub fn settle_mode(&mut self, rules: &[ModeRule], origin: Origin) {
        if self.mode.is_empty() {
            mode::unsent(&self.version, rules, origin, &self.instance_id).clone_into(&mut self.mode);
        }
    }

    /// The profile to store. It contains no hardware identifier that the privacy rules do not allow.
    #[must_use]
    pub fn into_profile(mut self, privacy: &Privacy) -> Profile {
        let mut hardware = |column: &'static str, value| {
            let (value, was_cut) = text::cut(privacy.hardware(column, value).into(), TEXT_LENGTH);
            if was_cut {
                self.cut.push(column);
            }
            value
        };
        let system_id = hardware("system_id", self.system_id);
        let node_id = hardware("node_id", self.node_id);
        let mut profile = Profile {
            id: Uuid::nil(),
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
            installer: self.installer,
            project: self.project,
            privacy_notice: privacy.notice_version().to_owned(),
            cut: self.cut.into(),
        };
        profile.id = privacy.profile(profile.texts());
        profile
    }
}

/// One row of `profiles`, after cleaning, cutting and the privacy rules.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// A hash of all other fields: the same texts under the same privacy key have the same hash.
    #[serde(rename = "profile")]
    pub id: Uuid,
    /// As sent; `''` if absent, then its pings belong to no installation.
    pub instance_id: Arc<str>,
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
    /// The leading number of `sysversion`, such as `3.9.2`.
    pub python_version: String,
    /// As sent.
    pub database_id: String,
    /// According to the privacy rules.
    pub system_id: String,
    /// According to the privacy rules; also set from `macaddress`.
    pub node_id: String,
    /// As sent.
    pub language: String,
    /// As sent.
    pub timezone: String,
    /// As sent.
    pub installer: String,
    /// As sent.
    pub project: String,
    /// The version of the notice under which a raw row was stored, or `''`.
    pub privacy_notice: String,
    /// Names of fields that were cut; each ping repeats them in `extra`.
    #[serde(skip)]
    pub cut: Box<[&'static str]>,
}

/// What a ping needs from its profile.
#[derive(Debug, Clone)]
pub struct Described<'a> {
    /// See [`Profile::id`].
    pub profile: Uuid,
    /// See [`Profile::instance_id`].
    pub instance_id: Arc<str>,
    /// See [`Profile::cut`].
    pub cut: &'a [&'static str],
}

impl Profile {
    /// Cleans and cuts the values.
    #[must_use]
    pub fn read(sent: &Description<'_>) -> Draft {
        let mut cut = Vec::new();
        let mut text = |key: Key, length: usize| {
            let Some(value) = sent.get(key) else { return String::new() };
            let (text, was_cut) = text::cut(text::text(value), length);
            if was_cut {
                cut.push(KEYS[key as usize].0);
            }
            text
        };
        Draft {
            instance_id: text(Key::InstanceId, ID_LENGTH).into(),
            version: text(Key::Version, ID_LENGTH),
            mode: text(Key::Mode, TEXT_LENGTH),
            platform: text(Key::Platform, TEXT_LENGTH),
            sysversion: text(Key::Sysversion, TEXT_LENGTH),
            database_id: text(Key::DatabaseId, TEXT_LENGTH),
            language: text(Key::Language, TEXT_LENGTH),
            timezone: text(Key::Timezone, TEXT_LENGTH),
            installer: text(Key::Installer, TEXT_LENGTH),
            project: text(Key::Project, TEXT_LENGTH),
            system_id: sent.whole(Key::SystemId),
            node_id: match sent.whole(Key::NodeId) {
                empty if empty.is_empty() => sent.whole(Key::Macaddress),
                node_id => node_id,
            },
            cut,
        }
    }

    /// What its pings need from it.
    #[must_use]
    pub fn described(&self) -> Described<'_> {
        Described { profile: self.id, instance_id: self.instance_id.clone(), cut: &self.cut }
    }

    /// All texts in the order of the columns.
    fn texts(&self) -> [&str; 15] {
        [
            &self.instance_id,
            &self.kolibri_version,
            &self.mode,
            &self.platform,
            self.os,
            &self.sysversion,
            &self.python_version,
            &self.database_id,
            &self.system_id,
            &self.node_id,
            &self.language,
            &self.timezone,
            &self.installer,
            &self.project,
            &self.privacy_notice,
        ]
    }
}

#[cfg(test)]
mod tests;
