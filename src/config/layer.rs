//! A layer: one file, variable, flag or ConfigMap, and how its text is parsed.

use std::{fmt, path::Path};

use serde_json::{Map, Value};

use super::{
    complaint::{Complaint, printable},
    schema::Key,
    yaml,
};

/// Prefix of the variables that set a key. Two underscores, because Kubernetes sets `NUTRITIONFACTS_PORT` and similar
/// variables in every container of a namespace with a service of that name.
pub(super) const PREFIX: &str = "NUTRITIONFACTS__";

/// Prefix of the name of a layer that is a ConfigMap, as `kubectl` writes it.
pub(super) const CONFIG_MAP: &str = "configmap/";

/// The origin of a key that no layer sets.
pub const DEFAULT: &str = "default";

/// Kind of a layer; decides which keys it may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A YAML file.
    File,
    /// A ConfigMap that is followed. It sets only live keys, so that a process behaves the same whether or not the API server
    /// was reachable at start.
    ConfigMap,
    /// An environment variable.
    Environment,
    /// A command-line flag, which other users of the machine can see in `ps`.
    Flag,
}

impl Source {
    /// Its name in `x-sources` of the schema, and as a label of metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::ConfigMap => "config_map",
            Self::Environment => "environment",
            Self::Flag => "flag",
        }
    }
}

/// A named set of values; later layers override earlier ones, key by key.
#[derive(Clone, PartialEq)]
pub struct Layer {
    pub(super) name: String,
    pub(super) source: Source,
    content: Content,
}

#[derive(Clone, PartialEq)]
enum Content {
    Yaml(String),
    Text { path: Vec<String>, text: String },
    Broken { problem: String, fault: Fault },
}

/// Why a layer has no values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is malformed.
    Form,
    /// It cannot be read.
    Unreadable,
    /// It does not exist.
    Missing,
}

/// Omits the content, which may include secrets.
impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Trims whitespace around texts: Secrets that were made by hand, and YAML blocks, end with a line feed.
fn trimmed(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.trim().to_owned()),
        Value::Array(items) => items.into_iter().map(trimmed).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, trimmed(value))).collect(),
        other => other,
    }
}

impl Layer {
    /// A file, from its text.
    pub fn file(path: impl fmt::Display, text: impl Into<String>) -> Self {
        Self { name: format!("file {path}"), source: Source::File, content: Content::Yaml(text.into()) }
    }

    /// An environment variable that sets one key (`http.listen`).
    pub fn variable(name: &str, key: &str, text: impl Into<String>) -> Self {
        Self::text(format!("environment {name}"), Source::Environment, key, text.into())
    }

    /// A flag that sets one key.
    pub fn flag(name: &str, key: &str, text: impl Into<String>) -> Self {
        Self::text(name.to_owned(), Source::Flag, key, text.into())
    }

    fn text(name: String, source: Source, key: &str, text: String) -> Self {
        let path = key.split('.').map(str::to_owned).collect();
        Self { name, source, content: Content::Text { path, text } }
    }

    /// A layer that could not be read, or is malformed.
    pub(super) fn broken(name: impl Into<String>, source: Source, problem: impl Into<String>, fault: Fault) -> Self {
        Self { name: name.into(), source, content: Content::Broken { problem: problem.into(), fault } }
    }

    /// The configuration in a ConfigMap, from its text.
    pub fn config_map(name: &str, text: impl Into<String>) -> Self {
        Self { name: config_map_name(name), source: Source::ConfigMap, content: Content::Yaml(text.into()) }
    }

    /// Turns the mounted copy of a ConfigMap into the layer of that ConfigMap; `None` if the file does not exist.
    pub(super) fn into_config_map(self, name: &str) -> Option<Self> {
        let is_missing = matches!(self.content, Content::Broken { fault: Fault::Missing, .. });
        (!is_missing).then(|| Self { name: config_map_name(name), source: Source::ConfigMap, ..self })
    }

    /// The path, if it is a file.
    pub(super) fn path(&self) -> Option<&Path> {
        self.name.strip_prefix("file ").filter(|_| self.source == Source::File).map(Path::new)
    }

    /// Whether the layer may set this key.
    pub(super) fn may_set(&self, key: Key<'_>) -> bool {
        self.source != Source::ConfigMap || key.is_live()
    }

    /// The name used in errors.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind of the layer.
    pub fn source(&self) -> Source {
        self.source
    }

    /// Its values as a tree, `Null` if it has none.
    pub(super) fn values(&self) -> Result<Value, Complaint> {
        match &self.content {
            Content::Broken { problem, fault } => {
                let unreadable = *fault != Fault::Form;
                Err(Complaint { unreadable, ..Complaint::of_layer(&self.name, problem) })
            }
            Content::Yaml(text) => match yaml::tree(text) {
                Ok(tree) => Ok(trimmed(tree)),
                Err(error) => Err(Complaint::of_layer(&self.name, error.to_string())),
            },
            Content::Text { text, .. } if text.trim().is_empty() => Ok(Value::Null),
            Content::Text { path, text } => {
                let value = trimmed(self.read(path, text.trim())?);
                Ok(path.iter().rev().fold(value, |value, name| Value::Object(Map::from_iter([(name.clone(), value)]))))
            }
        }
    }

    /// Parses text as YAML only if the key is not of type text, so that a password `0123` stays as it is.
    fn read(&self, path: &[String], text: &str) -> Result<Value, Complaint> {
        let mut key = Key::root();
        for (depth, name) in path.iter().enumerate() {
            match key.property(name) {
                Some(below) => key = below,
                None if key.properties().is_none() => {
                    let shown: Vec<_> = path.iter().map(|name| printable(name)).collect();
                    let problem = format!("`{}` has no keys below it", path[..depth].join("."));
                    let remedy =
                        if key.items().is_some() { "give the list as a whole, as `[…]`" } else { "cut it there" };
                    return Err(Complaint::new(&self.name, shown.join("."), problem).remedy(remedy));
                }
                // Reported later, with a suggestion, when the tree is checked.
                None => return Ok(Value::String(text.to_owned())),
            }
        }
        if key.takes("string") {
            return Ok(Value::String(text.to_owned()));
        }
        // A syntax error is reported as text of the wrong type: the check names what is allowed.
        Ok(yaml::tree(text).unwrap_or_else(|_| Value::String(text.to_owned())))
    }

    /// A key, spelled as in this layer.
    pub(super) fn spell(&self, path: &str) -> String {
        match self.content {
            Content::Text { .. } if self.source == Source::Environment => variable(path),
            _ => path.to_owned(),
        }
    }
}

fn config_map_name(name: &str) -> String {
    format!("{CONFIG_MAP}{name}")
}

/// The variable that sets a key.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(key: &str, text: &str) -> Value {
        Layer::flag("--set", key, text).values().unwrap()
    }

    #[test]
    fn text_is_parsed_by_the_type_of_its_key() {
        assert_eq!(set("store.password", "0123"), json!({"store": {"password": "0123"}}));
        assert_eq!(set("store.host", "true"), json!({"store": {"host": "true"}}));
        assert_eq!(set("store.pooler", "none"), json!({"store": {"pooler": "none"}}));
        assert_eq!(set("http.max_body", "2097152"), json!({"http": {"max_body": "2097152"}}));
        assert_eq!(set("ingest.lanes", "2"), json!({"ingest": {"lanes": 2}}));
        assert_eq!(set("http.trusted_proxies", "[10.0.0.0/8]"), json!({"http": {"trusted_proxies": ["10.0.0.0/8"]}}));
        assert_eq!(set("shutdown", "{delay: 1s}"), json!({"shutdown": {"delay": "1s"}}));
        assert_eq!(set("store.host", ""), Value::Null);
    }

    /// Secrets that were made by hand end with a line feed.
    #[test]
    fn whitespace_around_a_text_is_trimmed() {
        let url = json!({"store": {"url": "sqlite://x.db"}});
        assert_eq!(set("store.url", " sqlite://x.db\r\n"), url);
        assert_eq!(Layer::variable("A", "store.url", "sqlite://x.db\n").values().unwrap(), url);
        assert_eq!(Layer::file("x", "store:\n  url: |\n    sqlite://x.db\n").values().unwrap(), url);
        assert_eq!(
            set("http.trusted_proxies", "[' 10.0.0.0/8 ']"),
            json!({"http": {"trusted_proxies": ["10.0.0.0/8"]}})
        );
        assert_eq!(set("ingest.lanes", "2\n"), json!({"ingest": {"lanes": 2}}));
        assert_eq!(set("store.host", " \n"), Value::Null);
    }

    #[test]
    fn a_file_may_be_empty_or_hold_only_comments() {
        for text in ["", " \n", "# nothing\n", "---\n", "---\n# nothing\n...\n", "\u{feff}"] {
            assert_eq!(
                Layer::file("x", text).values().unwrap_or_else(|c| panic!("{text:?}: {c}")),
                Value::Null,
                "{text:?}"
            );
        }
    }

    #[test]
    fn only_strict_yaml_is_accepted() {
        let yes = Layer::file("x", "a: yes\nb: 0123\nc: true\nd: ~\n").values().unwrap();
        assert_eq!(yes, json!({"a": "yes", "b": "0123", "c": true, "d": null}));
    }

    #[test]
    fn invalid_yaml_is_reported_by_line_and_column_and_never_quoted() {
        for text in [
            "http: [hunter2",
            "a: 'hunter2",
            "a: b: hunter2",
            "password: *hunter2",
            "a: !!int hunter2",
            "a: {b: hunter2]",
        ] {
            let complaint = Layer::file("x", text).values().unwrap_err().to_string();
            assert!(!complaint.contains("hunter2"), "{complaint}");
            assert!(complaint.starts_with("file x: line 1, column "), "{text}: {complaint}");
        }
        let twice = Layer::file("x", "http: {}\nhttp: {}\n").values().unwrap_err();
        assert_eq!(twice.to_string(), "file x: line 2, column 1: the key `http` is set twice");
    }
}
