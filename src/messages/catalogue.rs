//! Which messages each client gets: immutable, and prepared when messages change, so that a reply costs microseconds.

use bytes::Bytes;
use chrono::NaiveDate;

use crate::domain::{
    message::{Audience, Message, Stage, is_installer, is_language, preview},
    origin::Origin,
    version::Version,
};

/// Modes with a special meaning (docs/protocol.md, 11.3).
const STAGED: &str = "staged-msgs";
const STAGED_FOR_VERSION: &str = "staged-msgs-ver-";
const PREVIEW: &str = "msg-";

/// All messages that may be sent, the newest first; also those whose day has not come.
#[derive(Debug, Default)]
pub struct Catalogue(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    message: Message,
    is_for_everybody: bool,
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
    /// The client's address and country.
    pub origin: Origin,
    /// As sent.
    pub installer: &'a str,
    /// See [`Profile::os`](crate::domain::profile::Profile::os).
    pub os: &'a str,
    /// As sent.
    pub language: &'a str,
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
            is_for_everybody: message.audience().is_everybody(),
            message,
        };
        Self(messages.into_iter().map(entry).collect())
    }

    /// The full set for a client, as JSON objects: the device withdraws all others (docs/protocol.md, 5.1).
    ///
    /// Devices show only the newest message, so that one of a later day would hide all others from now on: until its day only
    /// testers get it.
    #[must_use]
    pub fn choose(&self, sender: Sender<'_>, today: NaiveDate) -> Vec<Bytes> {
        let tests = sender.mode.starts_with(STAGED);
        let feigned = sender.mode.strip_prefix(STAGED_FOR_VERSION).and_then(Version::read);
        let version = feigned.as_ref().unwrap_or(sender.version);
        let addressed = Addressed::new(sender, tests);
        let early = if tests { 0 } else { self.0.partition_point(|entry| entry.message.date() > today) };
        let for_sender = |entry: &&Entry| {
            (tests || entry.message.stage() == Stage::Active)
                && entry.message.range().contains(version)
                && (entry.is_for_everybody || addressed.is_in(entry.message.audience()))
        };
        let json = |entry: &Entry| if tests { &entry.json_for_all_versions } else { &entry.json }.clone();
        let mut chosen: Vec<_> = self.0[early..].iter().filter(for_sender).map(json).collect();
        if sender.mode.starts_with(PREVIEW) {
            chosen.push(preview(sender.mode, today).into());
        }
        chosen
    }
}

/// A sender as audiences see it.
struct Addressed<'a> {
    sender: Sender<'a>,
    /// `None` for testers: their mode says that they test, and not which installations they stand for.
    mode: Option<&'a str>,
}

impl<'a> Addressed<'a> {
    fn new(sender: Sender<'a>, tests: bool) -> Self {
        // Whoever looks at the preview gets what an ordinary installation gets.
        let mode = if sender.mode.starts_with(PREVIEW) { "" } else { sender.mode };
        Self { sender, mode: (!tests).then_some(mode) }
    }

    /// Matches every list that has entries.
    fn is_in(&self, audience: &Audience) -> bool {
        let Audience { instances, networks, countries, installers, os, modes, languages } = audience;
        let Sender { instance_id, origin, installer, os: system, language, .. } = self.sender;
        (instances.is_empty() || instances.contains(instance_id))
            && (networks.is_empty() || networks.iter().any(|network| network.contains(&origin.address)))
            && (countries.is_empty() || origin.country.is_some_and(|country| countries.contains(&country)))
            && (installers.is_empty() || installers.iter().any(|named| is_installer(installer, named)))
            && (os.is_empty() || os.contains(&system))
            && (languages.is_empty() || languages.iter().any(|named| is_language(language, named)))
            && (modes.is_empty()
                || self.mode.is_none_or(|mode| modes.iter().any(|named| named.eq_ignore_ascii_case(mode))))
    }
}

#[cfg(test)]
mod tests;
