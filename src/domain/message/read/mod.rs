//! Turns a document into a message, or returns all its errors.
//!
//! The rules are those of clients: if a client cannot store one message, it discards the whole reply and so sends
//! no statistics, and some versions do not ping again until they are restarted (docs/protocol.md, 5.3 and 10.1).

mod audience;

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde_json::{Map, Value};

use super::{
    Audience, Message, Problem, Stage, Translation,
    limits::{MAX_ID, MAX_LANGUAGE, MAX_LINK, MAX_MESSAGE, MAX_RANGE, MAX_TITLE, MAX_TRANSLATIONS},
};
use crate::domain::{
    version::Range,
    wording::{kind, nearest},
};

const KEYS: [&str; 7] = ["id", "stage", "versionRange", "linkUrl", "date", "translations", "audience"];
/// The stages and their names in documents.
pub const STAGES: [(&str, Stage); 4] =
    [("Draft", Stage::Draft), ("Staged", Stage::Staged), ("Active", Stage::Active), ("Withdrawn", Stage::Withdrawn)];

/// Kolibri's fallback language; without it the page of a device in another language fails (docs/protocol.md, 10.2).
pub const FALLBACK_LANGUAGE: &str = "en";

const LANGUAGE_FORM: &str = "write it as Kolibri does, in lower case: `en`, `sw-tz`, `pt-br`";

impl Message {
    /// Reads a document.
    ///
    /// # Errors
    /// All violated rules.
    pub fn read(document: &Value) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let message = problems.message(document);
        match message {
            Some(message) if problems.0.is_empty() => Ok(message),
            _ => Err(problems.0),
        }
    }
}

/// Collects errors. Each method returns `None` exactly if it has added one.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn message(&mut self, document: &Value) -> Option<Message> {
        let fields = self.object(&[], document, &KEYS)?;
        let id = self.required(fields, &["id"]).and_then(|value| self.name(value));
        let stage = self.required(fields, &["stage"]).and_then(|value| self.stage(value));
        let range = match fields.get("versionRange") {
            Some(value) => self.range(value),
            None => Some(("*".to_owned(), Range::all())),
        };
        let link_url = match fields.get("linkUrl") {
            Some(value) => self.link(value),
            None => Some(String::new()),
        };
        let date = self.required(fields, &["date"]).and_then(|value| self.date(value));
        let translations = self.required(fields, &["translations"]).and_then(|value| self.translations(value));
        let audience = match fields.get("audience") {
            Some(value) => self.audience(value),
            None => Some(Audience::default()),
        };
        let (version_range, range) = range?;
        Some(Message {
            id: id?,
            stage: stage?,
            version_range,
            range,
            link_url: link_url?,
            date: date?,
            translations: translations?,
            audience: audience?,
        })
    }

    fn complain<T>(&mut self, problem: Problem) -> Option<T> {
        self.0.push(problem);
        None
    }

    fn required<'a>(&mut self, fields: &'a Map<String, Value>, path: &[&str]) -> Option<&'a Value> {
        let name = path.last()?;
        fields.get(*name).or_else(|| self.complain(Problem::new(path, "is missing")))
    }

    /// An object without other keys than these.
    fn object<'a>(&mut self, path: &[&str], value: &'a Value, keys: &[&str]) -> Option<&'a Map<String, Value>> {
        let Value::Object(fields) = value else {
            let keys: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
            return self.complain(wrong(path, value, &format!("an object with {}", keys.join(", "))));
        };
        for name in fields.keys().filter(|name| !keys.contains(&name.as_str())) {
            let problem = Problem::new(&[path, &[name.as_str()]].concat(), "is not a key of a message");
            self.0.push(match nearest(name, keys.iter().copied()) {
                Some(meant) => problem.remedy(format!("did you mean `{meant}`?")),
                None => problem,
            });
        }
        Some(fields)
    }

    /// Text of one to `max` UTF-16 units, the strictest way of counting.
    fn text<'a>(&mut self, path: &[&str], value: &'a Value, max: usize) -> Option<&'a str> {
        let Value::String(text) = value else {
            let problem = wrong(path, value, "text");
            return self.complain(match value {
                Value::Null => problem.remedy("leave the key out"),
                Value::Number(_) | Value::Bool(_) => problem.remedy("put it in quotes"),
                _ => problem,
            });
        };
        let length = text.encode_utf16().count();
        if text.trim().is_empty() {
            self.complain(Problem::new(path, "is empty"))
        } else if length > max {
            self.complain(Problem::new(path, format!("has {length} characters, allowed are {max}")))
        } else if text.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\t')) {
            self.complain(Problem::new(path, "contains a control character"))
        } else {
            Some(text)
        }
    }

    /// Text without line breaks.
    fn line<'a>(&mut self, path: &[&str], value: &'a Value, max: usize) -> Option<&'a str> {
        let text = self.text(path, value, max)?;
        if text.contains(['\n', '\t']) {
            return self.complain(Problem::new(path, "contains a line break or a tab"));
        }
        Some(text)
    }

    fn name(&mut self, value: &Value) -> Option<String> {
        let path = &["id"];
        let id = self.line(path, value, MAX_ID)?;
        if id.contains(char::is_whitespace) {
            return self.complain(Problem::new(path, "contains a space"));
        }
        Some(id.to_owned())
    }

    fn stage(&mut self, value: &Value) -> Option<Stage> {
        let found = STAGES.iter().find(|(name, _)| value.as_str() == Some(name));
        if let Some((_, stage)) = found {
            return Some(*stage);
        }
        let problem = Problem::new(&["stage"], "is not one of `Draft`, `Staged`, `Active`, `Withdrawn`");
        let meant = value.as_str().and_then(|text| nearest(text, STAGES.iter().map(|(name, _)| *name)));
        self.complain(match meant {
            Some(meant) => problem.remedy(format!("did you mean `{meant}`?")),
            None => problem,
        })
    }

    fn range(&mut self, value: &Value) -> Option<(String, Range)> {
        const FORM: &str = "write `*`, or comparisons such as `>=0.15.0,<0.18.0`";
        let path = &["versionRange"];
        if value.as_str().is_some_and(|text| text.trim().is_empty()) {
            let problem = Problem::new(path, "is empty");
            return self.complain(problem.remedy("leave the key out or write `*` for all versions"));
        }
        let text = self.text(path, value, MAX_RANGE)?;
        let range = match Range::read(text) {
            Ok(range) => range,
            Err(error) => return self.complain(Problem::new(path, error.to_string()).remedy(FORM)),
        };
        if !range.has_final_bounds() {
            let what = "has a bound that is not a final version; Kolibri versions disagree about others";
            return self.complain(Problem::new(path, what).remedy("use the final version, as `<0.16.0`"));
        }
        Some((text.to_owned(), range))
    }

    fn link(&mut self, value: &Value) -> Option<String> {
        let path = &["linkUrl"];
        if value.as_str() == Some("") {
            return Some(String::new());
        }
        let link = self.line(path, value, MAX_LINK)?;
        let host = ["https://", "http://"].iter().find_map(|scheme| link.strip_prefix(scheme));
        if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
            return self.complain(Problem::new(path, "is not an address that begins with `https://` or `http://`"));
        }
        if link.contains(char::is_whitespace) {
            return self.complain(Problem::new(path, "contains a space").remedy("write it as `%20`"));
        }
        Some(link.to_owned())
    }

    fn date(&mut self, value: &Value) -> Option<NaiveDate> {
        let path = &["date"];
        let text = self.text(path, value, usize::MAX)?;
        let has_form = text.len() == 10
            && text.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            });
        let date = has_form.then(|| text.parse().ok()).flatten();
        // Python has no year 0.
        let date = date.filter(|_| !text.starts_with("0000"));
        date.or_else(|| {
            self.complain(Problem::new(path, "is not a date").remedy("write it as `2026-11-01`, without a time"))
        })
    }

    fn translations(&mut self, value: &Value) -> Option<BTreeMap<String, Translation>> {
        let path = "translations";
        let Value::Object(languages) = value else {
            return self.complain(wrong(&[path], value, "an object with a text for each language"));
        };
        if !languages.contains_key(FALLBACK_LANGUAGE) {
            let problem = Problem::new(&[path, FALLBACK_LANGUAGE], "is missing");
            self.0.push(problem.remedy("devices in a language without a translation show the English text"));
        }
        if languages.len() > MAX_TRANSLATIONS {
            let what = format!("has {} languages, allowed are {MAX_TRANSLATIONS}", languages.len());
            return self.complain(Problem::new(&[path], what));
        }
        let texts: Vec<_> = languages
            .iter()
            .filter_map(|(language, text)| {
                let path = &[path, language.as_str()];
                if !is_language(language) {
                    self.0.push(Problem::new(path, "is not a language code").remedy(LANGUAGE_FORM));
                }
                Some((language.clone(), self.translation(path, text)?))
            })
            .collect();
        (texts.len() == languages.len()).then(|| texts.into_iter().collect())
    }

    fn translation(&mut self, path: &[&str; 2], value: &Value) -> Option<Translation> {
        let fields = self.object(path, value, &["title", "message", "linkText"])?;
        let [outer, language] = *path;
        let title_path = &[outer, language, "title"];
        let title = self.required(fields, title_path).and_then(|value| self.line(title_path, value, MAX_TITLE));
        let message_path = &[outer, language, "message"];
        let message = self.required(fields, message_path).and_then(|value| self.text(message_path, value, MAX_MESSAGE));
        let link_text = match fields.get("linkText") {
            // The only text that may be null for clients: they show the address instead.
            None | Some(Value::Null) => Some(None),
            Some(value) => {
                self.line(&[outer, language, "linkText"], value, MAX_TITLE).map(|text| Some(text.to_owned()))
            }
        };
        Some(Translation { title: title?.to_owned(), message: message?.to_owned(), link_text: link_text? })
    }
}

fn wrong(path: &[&str], value: &Value, allowed: &str) -> Problem {
    Problem::new(path, format!("got {}, allowed is {allowed}", kind(value)))
}

/// `en`, `sw-tz`, `es-419`, `zh-hans` (docs/protocol.md, 9.6).
fn is_language(code: &str) -> bool {
    let mut parts = code.split('-');
    code.len() <= MAX_LANGUAGE
        && parts
            .next()
            .is_some_and(|part| (2..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_lowercase()))
        && parts
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
