//! Errors of a configuration: which layer and key, what was found, what is allowed, what to do.

use std::fmt;

/// One error. Never contains a value, since any value may be a secret in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The layer or layers that set the key, such as `file /etc/x.yaml` or `environment NUTRITIONFACTS__HTTP__LISTEN`.
    pub layer: String,
    /// The path of the key, such as `ingest.mode_rules[0].networks`; `None` if it concerns the whole layer.
    pub key: Option<String>,
    /// What was found, and what is allowed.
    pub problem: String,
    /// What to do about it, unless that is obvious.
    pub remedy: Option<String>,
    /// Whether the layer could not be read at all, so that its content is unknown.
    pub unreadable: bool,
}

impl Complaint {
    /// An error of a key.
    pub fn new(layer: impl Into<String>, key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..Self::of_layer(layer, problem) }
    }

    /// An error of a whole layer.
    pub fn of_layer(layer: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { layer: layer.into(), key: None, problem: problem.into(), remedy: None, unreadable: false }
    }

    /// Adds a remedy.
    #[must_use]
    pub fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.layer)?;
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.problem)?;
        if let Some(remedy) = &self.remedy {
            write!(f, "; {remedy}")?;
        }
        Ok(())
    }
}

/// A key as it may be printed. Text that cannot be a key is replaced: it may be a secret
/// (`--set postgres://user:password@…`) or contain escape sequences of terminals.
pub(super) fn printable(name: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(plain) { name } else { "(not a key)" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_names_layer_key_problem_and_remedy_in_one_line() {
        let complaint = Complaint::new("file a.yaml", "http.listen", "got a number").remedy("quote it");
        assert_eq!(complaint.to_string(), "file a.yaml: http.listen: got a number; quote it");
        assert_eq!(Complaint::of_layer("--set", "needs `key.path=value`").to_string(), "--set: needs `key.path=value`");
    }

    #[test]
    fn text_that_cannot_be_a_key_is_not_printed() {
        assert_eq!(printable("max_body"), "max_body");
        assert_eq!(printable("postgres://n:hunter2@db"), "(not a key)");
        assert_eq!(printable(""), "(not a key)");
    }
}
