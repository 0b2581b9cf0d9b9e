//! Prints the configuration as YAML that can be read back.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use super::load::Loaded;

/// The effective configuration as YAML, secrets redacted; if requested, with the layer of each key as a comment.
#[must_use]
pub fn show(loaded: &Loaded, with_origins: bool) -> String {
    let values = loaded.config.values();
    let mut text = String::new();
    section(&mut text, &values, "", with_origins.then_some(&loaded.origins));
    text
}

fn section(text: &mut String, values: &Value, path: &str, origins: Option<&BTreeMap<String, String>>) {
    let indent = "  ".repeat(if path.is_empty() { 0 } else { path.split('.').count() });
    for (name, value) in values.as_object().into_iter().flatten() {
        let path = super::schema::join(path, name);
        if value.is_object() {
            let _ = writeln!(text, "{indent}{name}:");
            section(text, value, &path, origins);
            continue;
        }
        // JSON is YAML: what needs quotes, and lists, are written as JSON.
        let _ = write!(text, "{indent}{name}: {}", scalar(value));
        if let Some(origin) = origins.and_then(|origins| origins.get(&path)) {
            let _ = write!(text, "  # {}", origin.escape_debug());
        }
        text.push('\n');
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        _ => value.to_string(),
    }
}

/// Whether the text needs no quotes: it begins with a letter and has no special meaning in YAML.
fn is_plain(text: &str) -> bool {
    let inner =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'_' | b'-' | b'.' | b'/' | b'=' | b',');
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(inner)
        && !text.ends_with(' ')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::{Layer, load};

    #[test]
    fn the_origin_of_each_key_is_a_comment() {
        let loaded = load(&[Layer::file("a\nb.yaml", "api: {reply: empty}")]).unwrap();
        let shown = show(&loaded, true);
        assert!(shown.contains("api:\n  reply: empty  # file a\\nb.yaml\n"), "{shown}");
        assert!(shown.contains("\n  max_body: \"16 MiB\"  # default\n"), "{shown}");
        assert!(!show(&loaded, false).contains('#'));
    }

    proptest! {
        #[test]
        fn a_shown_configuration_reads_back_as_the_same(mode in any::<String>(), host in "[!-~][ -~]{0,19}") {
            let values = serde_json::json!({
                "ingest": {"mode_rules": [{"instances": [mode], "mode": mode}]},
                "store": {"host": host, "user": host, "database": "n"},
                "privacy": {"identifiers": "none"},
            });
            let loaded = load(&[Layer::file("x", values.to_string())]).unwrap();
            let again = load(&[Layer::file("x", show(&loaded, true))]).unwrap();
            prop_assert_eq!(loaded.config, again.config);
        }
    }
}
