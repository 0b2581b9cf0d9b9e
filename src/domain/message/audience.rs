//! Who gets a message.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::Serialize;

use crate::domain::country::Country;

/// What stands between the name of an installer and its version (docs/protocol.md, 9.3).
const BEFORE_VERSION: [&str; 2] = [" - ", " Version: "];

/// Who gets a message; everybody if empty. Never sent to clients.
///
/// A client must match every list that has entries, and matches a list if it matches one of its entries.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Audience {
    /// Ids of installations.
    pub instances: BTreeSet<String>,
    /// Networks of clients.
    pub networks: Vec<IpNet>,
    // An older program, which does not know these, can read the messages that have none: `message_snapshot`.
    /// Countries of clients; an unknown country is in no list.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub countries: BTreeSet<Country>,
    /// Installers, with or without their version: see [`is_installer`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub installers: Vec<String>,
    /// Operating systems, of [`SYSTEMS`](crate::domain::platform::SYSTEMS).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub os: Vec<&'static str>,
    /// Modes; `''` is an ordinary installation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub modes: Vec<String>,
    /// Languages, with or without their region: see [`is_language`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
}

impl Audience {
    /// Whether everybody gets the message.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        let Self { instances, networks, countries, installers, os, modes, languages } = self;
        instances.is_empty()
            && networks.is_empty()
            && countries.is_empty()
            && [installers, modes, languages].iter().all(|list| list.is_empty())
            && os.is_empty()
    }
}

/// Whether a client that sends this is of the installer that a message names: the same text, or the same before the version.
/// `Windows` covers `Windows - 1.6.6`, and not `Windows App - 0.4.4`. Capital letters do not matter.
#[must_use]
pub fn is_installer(sent: &str, named: &str) -> bool {
    rest(sent, named).is_some_and(|rest| rest.is_empty() || BEFORE_VERSION.iter().any(|mark| rest.starts_with(mark)))
}

/// Whether a client that sends this uses the language that a message names: `pt` covers `pt-br` (RFC 4647, 3.3.1). Capital
/// letters do not matter.
#[must_use]
pub fn is_language(sent: &str, named: &str) -> bool {
    rest(sent, named).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// What follows the beginning of a text.
fn rest<'a>(text: &'a str, beginning: &str) -> Option<&'a str> {
    let (begins, rest) = text.split_at_checked(beginning.len())?;
    begins.eq_ignore_ascii_case(beginning).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_installer_is_named_with_or_without_its_version() {
        for (sent, named, is) in [
            ("Windows", "Windows", true),
            ("Windows - 1.6.6", "Windows", true),
            ("Windows - 1.6.6", "windows", true),
            ("Windows - 1.6.6", "Windows - 1.6.6", true),
            ("Windows - 1.6.66", "Windows - 1.6.6", false),
            ("Windows App - 0.4.4", "Windows", false),
            ("Windows App - 0.4.4", "Windows App", true),
            ("Windows", "Windows App", false),
            ("deb kolibri-server - 0.5.1~beta1-0ubuntu1", "deb kolibri", false),
            ("deb kolibri-server - 0.5.1~beta1-0ubuntu1", "deb kolibri-server", true),
            ("apk - 0.19.5-0.1.7.1-debug", "apk", true),
            ("apk - Release of the Ministry - 2", "apk - Release of the Ministry", true),
            ("kolibri(apt) with kolibri-server Version: 0.3.5-0ubuntu1", "kolibri(apt) with kolibri-server", true),
            ("kolibri(apt) with kolibri-server Version: 0.3.5-0ubuntu1", "kolibri(apt)", false),
            ("", "Unknown", false),
            ("é", "e", false),
            ("é - 1", "é", true),
        ] {
            assert_eq!(is_installer(sent, named), is, "{sent}, {named}");
        }
    }

    #[test]
    fn a_language_is_named_with_or_without_its_region() {
        for (sent, named, is) in [
            ("sw-tz", "sw-tz", true),
            ("sw-tz", "sw", true),
            ("sw", "sw-tz", false),
            ("es-419", "es", true),
            ("es-419", "es-es", false),
            ("zh-hans", "zh", true),
            ("pt-BR", "pt-br", true),
            ("ka", "k", false),
            ("kab", "ka", false),
            ("", "en", false),
        ] {
            assert_eq!(is_language(sent, named), is, "{sent}, {named}");
        }
    }

    proptest! {
        /// Whatever is sent and named: each names itself, and nothing panics.
        #[test]
        fn every_text_names_itself(sent in ".{0,12}", named in ".{0,6}") {
            prop_assert!(is_installer(&sent, &sent) && is_language(&sent, &sent));
            let longer = format!("{named} - {sent}");
            prop_assert!(is_installer(&longer, &named));
            if is_installer(&sent, &named) {
                prop_assert!(sent.len() == named.len() || sent.contains(' '));
            }
        }
    }
}
