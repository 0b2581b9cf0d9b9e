//! What is wrong with a message, and what to do about it.

use std::fmt;

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it is, as `translations`, `en`, `title`; empty for the whole message.
    pub path: Vec<String>,
    /// What is wrong.
    pub what: String,
    /// What to do, where that is not evident.
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

/// What stands in the place of a key may be anything, and must not meddle with a log or a terminal.
fn printable(name: &str) -> &str {
    let is_plain = !name.is_empty() && name.len() <= 64 && !name.chars().any(char::is_control);
    if is_plain { name } else { "(no name of a key)" }
}
