//! Strict YAML, for configuration and messages.

use std::fmt;

use serde_json::Value;
use serde_saphyr::Error;

use super::complaint::printable;

/// Why a text is not valid YAML. The parser's own message is not used, since it may quote the text and so a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YamlError {
    /// Line and column, from 1, if known.
    pub place: Option<(u64, u64)>,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.problem)
    }
}

/// Parses one document into a tree; `Null` if it is empty.
///
/// # Errors
/// Where the text is invalid, and why.
pub fn tree(text: &str) -> Result<Value, YamlError> {
    if text.chars().all(char::is_whitespace) {
        return Ok(Value::Null);
    }
    let options = serde_saphyr::options! { strict_booleans: true, leading_zero_numbers_as_strings: true };
    serde_saphyr::from_str_with_options::<Value>(text, options).map_err(|error| {
        let error = error.without_snippet();
        let problem = match error {
            Error::DuplicateMappingKey { key: Some(key), .. } => {
                format!("the key `{}` is set twice", printable(key))
            }
            Error::DuplicateMappingKey { .. } => "a key is set twice".into(),
            Error::MultipleDocuments { .. } => "a second YAML document begins; only one is allowed".into(),
            Error::UnknownAnchor { .. } => "an alias has no anchor; text that begins with `*` needs quotes".into(),
            _ => "this is not valid YAML".into(),
        };
        YamlError { place: error.location().map(|at| (at.line(), at.column())), problem }
    })
}
