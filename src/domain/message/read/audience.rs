//! Reads the key `audience`.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde_json::Value;

use super::{
    super::{
        Audience, Problem,
        limits::{
            MAX_COUNTRIES, MAX_INSTALLERS, MAX_INSTANCE, MAX_INSTANCES, MAX_LANGUAGES, MAX_MODES, MAX_NETWORKS,
            MAX_SENT, MAX_SYSTEMS,
        },
    },
    LANGUAGE_FORM, Problems, is_language, wrong,
};
use crate::domain::{country::Country, platform::SYSTEMS, wording::nearest};

const KEYS: [&str; 7] = ["instances", "networks", "countries", "installers", "os", "modes", "languages"];

impl Problems {
    pub(super) fn audience(&mut self, value: &Value) -> Option<Audience> {
        let fields = self.object(&["audience"], value, &KEYS)?;
        let before = self.0.len();
        let audience = Audience {
            instances: self
                .list("instances", fields.get("instances"), MAX_INSTANCES)
                .filter_map(|(path, value)| Some(self.line(&path.each(), value, MAX_INSTANCE)?.to_owned()))
                .collect(),
            networks: self
                .list("networks", fields.get("networks"), MAX_NETWORKS)
                .filter_map(|(path, value)| self.network(&path.each(), value))
                .collect(),
            countries: self
                .list("countries", fields.get("countries"), MAX_COUNTRIES)
                .filter_map(|(path, value)| self.country(&path.each(), value))
                .collect::<BTreeSet<_>>(),
            installers: self
                .list("installers", fields.get("installers"), MAX_INSTALLERS)
                .filter_map(|(path, value)| Some(self.line(&path.each(), value, MAX_SENT)?.to_owned()))
                .collect(),
            os: self
                .list("os", fields.get("os"), MAX_SYSTEMS)
                .filter_map(|(path, value)| self.system(&path.each(), value))
                .collect(),
            modes: self
                .list("modes", fields.get("modes"), MAX_MODES)
                .filter_map(|(path, value)| self.mode(&path.each(), value))
                .collect(),
            languages: self
                .list("languages", fields.get("languages"), MAX_LANGUAGES)
                .filter_map(|(path, value)| self.language(&path.each(), value))
                .collect(),
        };
        (self.0.len() == before).then_some(audience)
    }

    /// The entries of a list with their paths; none for a list that is missing or invalid.
    fn list<'a>(
        &mut self,
        name: &'static str,
        value: Option<&'a Value>,
        max: usize,
    ) -> impl Iterator<Item = (EntryPath, &'a Value)> + use<'a> {
        let path = &["audience", name];
        let entries = match value {
            None => &[][..],
            Some(Value::Array(entries)) if entries.len() <= max => entries,
            Some(Value::Array(entries)) => {
                let what = format!("has {} entries, allowed are {max}", entries.len());
                self.0.push(Problem::new(path, what));
                &[]
            }
            Some(other) => {
                self.0.push(wrong(path, other, "a list"));
                &[]
            }
        };
        entries.iter().enumerate().map(move |(index, value)| (EntryPath { name, index: index.to_string() }, value))
    }

    fn network(&mut self, path: &[&str], value: &Value) -> Option<IpNet> {
        let text = self.line(path, value, usize::MAX)?;
        text.parse().ok().or_else(|| {
            self.complain(Problem::new(path, "is not a network").remedy("write it as `10.0.0.0/8` or `2001:db8::/32`"))
        })
    }

    fn country(&mut self, path: &[&str], value: &Value) -> Option<Country> {
        let text = self.line(path, value, usize::MAX)?;
        Country::read(text).or_else(|| {
            let problem = Problem::new(path, "is not a country's code of ISO 3166-1");
            self.complain(match Country::meant_by(text) {
                Some(meant) => problem.remedy(format!("did you mean `{meant}`?")),
                None => problem.remedy("write two capital letters, as `TZ`"),
            })
        })
    }

    fn system(&mut self, path: &[&str], value: &Value) -> Option<&'static str> {
        let text = self.line(path, value, usize::MAX)?;
        SYSTEMS.into_iter().find(|system| *system == text).or_else(|| {
            let names = SYSTEMS.map(|system| format!("`{system}`")).join(", ");
            let problem = Problem::new(path, format!("is not one of {names}"));
            self.complain(match nearest(text, SYSTEMS.into_iter()) {
                Some(meant) => problem.remedy(format!("did you mean `{meant}`?")),
                None => problem,
            })
        })
    }

    /// A mode may be empty, as that of an ordinary installation is.
    fn mode(&mut self, path: &[&str], value: &Value) -> Option<String> {
        if value.as_str() == Some("") {
            return Some(String::new());
        }
        Some(self.line(path, value, MAX_SENT)?.to_owned())
    }

    fn language(&mut self, path: &[&str], value: &Value) -> Option<String> {
        let text = self.line(path, value, usize::MAX)?;
        if !is_language(text) {
            return self.complain(Problem::new(path, "is not a language code").remedy(LANGUAGE_FORM));
        }
        Some(text.to_owned())
    }
}

/// Path of a list entry.
struct EntryPath {
    name: &'static str,
    index: String,
}

impl EntryPath {
    fn each(&self) -> [&str; 3] {
        ["audience", self.name, &self.index]
    }
}
