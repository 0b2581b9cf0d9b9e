//! Reads the key `audience`.

use ipnet::IpNet;
use serde_json::{Map, Value};

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
            instances: self.list(fields, "instances", MAX_INSTANCES, |problems, path, value| {
                problems.owned_line(path, value, MAX_INSTANCE)
            }),
            networks: self.list(fields, "networks", MAX_NETWORKS, Self::network),
            countries: self.list(fields, "countries", MAX_COUNTRIES, Self::country),
            installers: self.list(fields, "installers", MAX_INSTALLERS, |problems, path, value| {
                problems.owned_line(path, value, MAX_SENT)
            }),
            os: self.list(fields, "os", MAX_SYSTEMS, Self::system),
            modes: self.list(fields, "modes", MAX_MODES, Self::mode),
            languages: self.list(fields, "languages", MAX_LANGUAGES, Self::language),
        };
        (self.0.len() == before).then_some(audience)
    }

    /// What is read of the entries of a list; nothing of a list that is missing or invalid.
    fn list<T, C: FromIterator<T>>(
        &mut self,
        fields: &Map<String, Value>,
        name: &'static str,
        max: usize,
        read: impl Fn(&mut Self, &[&str], &Value) -> Option<T>,
    ) -> C {
        let path = &["audience", name];
        let entries = match fields.get(name) {
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
        let entries = entries.iter().enumerate();
        entries.filter_map(|(index, value)| read(self, &["audience", name, &index.to_string()], value)).collect()
    }

    fn owned_line(&mut self, path: &[&str], value: &Value, max: usize) -> Option<String> {
        self.line(path, value, max).map(str::to_owned)
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
        self.owned_line(path, value, MAX_SENT)
    }

    fn language(&mut self, path: &[&str], value: &Value) -> Option<String> {
        let text = self.line(path, value, usize::MAX)?;
        if !is_language(text) {
            return self.complain(Problem::new(path, "is not a language code").remedy(LANGUAGE_FORM));
        }
        Some(text.to_owned())
    }
}
