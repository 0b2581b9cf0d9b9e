//! What is wrong with a configuration: which layer, which key, what it got, what is allowed, what to do.

use std::fmt;

/// One thing that is wrong. Never holds a value, since any value may be a secret in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The layer or layers that set it, as `file /etc/x.yaml` or `environment NUTRITIONFACTS__HTTP__LISTEN`.
    pub layer: String,
    /// The path of the key, as `ingest.mode_rules[0].networks`; none if the whole layer is concerned.
    pub key: Option<String>,
    /// What was found, and what is allowed.
    pub problem: String,
    /// What to do about it, where that is not evident.
    pub remedy: Option<String>,
    /// Whether the layer could not be read at all, so that nothing is known about what it holds.
    pub unreadable: bool,
}

impl Complaint {
    /// A complaint about a key.
    pub fn new(layer: impl Into<String>, key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..Self::of_layer(layer, problem) }
    }

    /// A complaint about a whole layer.
    pub fn of_layer(layer: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { layer: layer.into(), key: None, problem: problem.into(), remedy: None, unreadable: false }
    }

    /// The same with a remedy.
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

/// A name as it may be shown: only what could be a key. Whatever else stands in the place of a key may be a secret
/// (`--set postgres://user:password@…`) or meddle with the terminal.
pub(super) fn printable(name: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(plain) { name } else { "(no name of a key)" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_names_layer_key_problem_and_remedy() {
        let complaint = Complaint::new("file a.yaml", "http.listen", "got a number").remedy("quote it");
        assert_eq!(complaint.to_string(), "file a.yaml: http.listen: got a number; quote it");
        assert_eq!(Complaint::of_layer("--set", "needs `key.path=value`").to_string(), "--set: needs `key.path=value`");
    }

    #[test]
    fn only_names_are_printed() {
        assert_eq!(printable("max_body"), "max_body");
        assert_eq!(printable("postgres://n:hunter2@db"), "(no name of a key)");
        assert_eq!(printable(""), "(no name of a key)");
    }
}
