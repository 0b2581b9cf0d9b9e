//! Errors of a message, with remedies.

use std::fmt;

/// One violated rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The path, such as `translations`, `en`, `title`; empty for the whole message.
    pub path: Vec<String>,
    /// What is wrong.
    pub what: String,
    /// What to do about it, unless that is obvious.
    pub remedy: Option<String>,
}

impl Problem {
    pub(super) fn new(path: &[&str], what: impl Into<String>) -> Self {
        Self { path: path.iter().map(ToString::to_string).collect(), what: what.into(), remedy: None }
    }

    pub(super) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            let names: Vec<_> = self.path.iter().map(|name| printable(name)).collect();
            write!(f, "{}: ", names.join("."))?;
        }
        f.write_str(&self.what)?;
        self.remedy.iter().try_for_each(|remedy| write!(f, "; {remedy}"))
    }
}

/// Keys may be any text, which must not disturb a log or a terminal.
fn printable(name: &str) -> &str {
    let is_plain = !name.is_empty() && name.len() <= 64 && !name.chars().any(char::is_control);
    if is_plain { name } else { "(not a key)" }
}
