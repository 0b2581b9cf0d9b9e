//! The JSON Schema of the configuration: the only source of which keys exist, what each allows, and which are live.
//!
//! Extensions to the standard keywords: `x-live` (applied without a restart), `x-secret` (never shown), `x-sources` (the
//! only kinds of layer that may set it), `x-kind`, `x-min` and `x-max` (see `units`).

use std::{collections::BTreeSet, sync::LazyLock};

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::Config;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    // Without `$ref`, every key is reached along its path, here and in the values schema of the chart.
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Config>().to_value()
});

/// The JSON Schema of a configuration file.
#[must_use]
pub fn schema() -> &'static Value {
    &SCHEMA
}

/// One key: a leaf of the schema. A list is one key, since a later layer replaces it as a whole.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a>(&'a Map<String, Value>);

impl Key<'static> {
    /// All keys with their paths, such as `telemetry.log.filter`, in the order of the schema.
    pub fn all() -> Vec<(String, Self)> {
        let mut keys = Vec::new();
        collect(schema(), "", &mut keys);
        keys
    }
}

fn collect(schema: &'static Value, path: &str, keys: &mut Vec<(String, Key<'static>)>) {
    let Some(schema) = schema.as_object() else { return };
    match Key(schema).properties() {
        Some(properties) => {
            for (name, schema) in properties {
                collect(schema, &join(path, name), keys);
            }
        }
        None => keys.push((path.to_owned(), Key(schema))),
    }
}

/// The paths of the keys that are applied without a restart.
pub fn live_keys() -> BTreeSet<String> {
    Key::all().into_iter().filter(|(_, key)| key.is_live()).map(|(path, _)| path).collect()
}

/// The path of a key within a path.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl<'a> Key<'a> {
    /// The root of the configuration.
    pub(super) fn root() -> Key<'static> {
        static EMPTY: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        Key(schema().as_object().unwrap_or(&EMPTY))
    }

    /// The keys in this section; `None` if it is no section.
    pub(super) fn properties(self) -> Option<&'a Map<String, Value>> {
        self.0.get("properties")?.as_object()
    }

    /// The key of this name in this section.
    pub(super) fn property(self, name: &str) -> Option<Key<'a>> {
        self.properties()?.get(name)?.as_object().map(Key)
    }

    /// The schema of list items; `None` if it is no list.
    pub(super) fn items(self) -> Option<Key<'a>> {
        self.0.get("items")?.as_object().map(Key)
    }

    /// Its description.
    pub fn description(self) -> &'a str {
        self.text("description").unwrap_or_default()
    }

    /// Its default.
    pub fn default(self) -> Option<&'a Value> {
        self.0.get("default").filter(|value| !value.is_null())
    }

    /// Whether a change is applied without a restart.
    pub fn is_live(self) -> bool {
        self.0.get("x-live") == Some(&Value::Bool(true))
    }

    /// Whether its value must never be shown.
    pub fn is_secret(self) -> bool {
        self.0.get("x-secret") == Some(&Value::Bool(true))
    }

    /// The only kinds of layer that may set it; `None` if every kind may.
    pub(super) fn sources(self) -> Option<Vec<&'a str>> {
        Some(self.0.get("x-sources")?.as_array()?.iter().filter_map(Value::as_str).collect())
    }

    /// Whether a value of this JSON type is allowed.
    pub(super) fn takes(self, name: &str) -> bool {
        match self.0.get("type") {
            Some(Value::String(only)) => only == name,
            Some(Value::Array(several)) => several.iter().any(|one| one == name),
            _ => !self.names().is_empty() && name == "string",
        }
    }

    /// The allowed texts, if they are enumerated.
    pub(super) fn names(self) -> Vec<&'a str> {
        let listed = self.0.get("enum").and_then(Value::as_array).into_iter().flatten();
        let described = self.0.get("oneOf").and_then(Value::as_array).into_iter().flatten();
        listed
            .chain(described.clone().filter_map(|variant| variant.get("const")))
            .chain(described.filter_map(|variant| variant.get("enum")?.get(0)))
            .filter_map(Value::as_str)
            .collect()
    }

    pub(super) fn text(self, keyword: &str) -> Option<&'a str> {
        self.0.get(keyword)?.as_str()
    }

    pub(super) fn number(self, keyword: &str) -> Option<u64> {
        self.0.get(keyword)?.as_u64()
    }

    /// What is allowed, in words.
    pub fn allowed(self) -> String {
        let names = self.names();
        if let Some((last, rest)) = names.split_last() {
            let rest: Vec<_> = rest.iter().map(|name| format!("`{name}`")).collect();
            return format!("{} or `{last}`", rest.join(", "));
        }
        if let Some(kind) = self.text("x-kind") {
            let example = self.0.get("examples").and_then(|examples| examples.get(0)).and_then(Value::as_str);
            let example = example.map(|example| format!(" such as `{example}`")).unwrap_or_default();
            return format!("{kind}{example}{}", range(self.text("x-min"), self.text("x-max")));
        }
        if let Some(items) = self.items() {
            return format!("a list, each item {}", items.allowed());
        }
        if let Some(properties) = self.properties() {
            let names: Vec<_> = properties.keys().map(|name| format!("`{name}`")).collect();
            return format!("an object with the keys {}", names.join(", "));
        }
        if self.takes("integer") {
            return format!("a whole number{}", range(self.number("minimum"), self.number("maximum")));
        }
        if self.takes("boolean") { "true or false".into() } else { "text".into() }
    }
}

fn range<T: std::fmt::Display>(from: Option<T>, to: Option<T>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => format!(" from {from} to {to}"),
        (Some(from), None) => format!(", at least {from}"),
        (None, Some(to)) => format!(", at most {to}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str) -> Key<'static> {
        Key::all().into_iter().find(|(known, _)| known == path).unwrap_or_else(|| panic!("no key {path}")).1
    }

    #[test]
    fn what_is_allowed_is_said_in_words() {
        for (path, allowed) in [
            ("http.listen", "an address with a port such as `127.0.0.1:8080`"),
            ("http.max_body", "a size such as `16 MiB` from 1 KiB to 32 MiB"),
            ("http.header_timeout", "a time such as `30s` from 1ms to 24h"),
            ("http.trusted_proxies", "a list, each item a network such as `10.0.0.0/8`"),
            ("ingest.max_batch", "a whole number from 1 to 10000"),
            ("ingest.queue_capacity", "a whole number from 1 to 1000000"),
            ("store.port", "a whole number from 1 to 65535"),
            ("store.pooler", "`none` or `transaction`"),
            ("store.password", "text"),
            (
                "ingest.mode_rules",
                "a list, each item an object with the keys `countries`, `instances`, `mode`, `networks`",
            ),
        ] {
            assert_eq!(key(path).allowed(), allowed, "{path}");
        }
    }

    #[test]
    fn the_live_keys_are_those_of_the_interface() {
        let live: Vec<_> = live_keys().into_iter().collect();
        assert_eq!(
            live,
            [
                "api.reply",
                "geoip.database",
                "http.max_body",
                "http.max_inflated_body",
                "http.trusted_proxies",
                "ingest.max_batch",
                "ingest.max_hourly_pings",
                "ingest.mode_rules",
                "messages.files",
                "privacy.identifiers",
                "privacy.notice_url",
                "privacy.notice_version",
                "telemetry.log.filter",
                "telemetry.tracing.sample_ratio",
            ]
        );
    }

    #[test]
    fn every_secret_is_marked() {
        let secret: Vec<_> = Key::all().into_iter().filter(|(_, key)| key.is_secret()).map(|(path, _)| path).collect();
        assert_eq!(secret, ["privacy.key", "store.password", "store.url"]);
    }

    fn closed(schema: &Value) {
        if schema.get("properties").is_some() {
            assert_eq!(schema["additionalProperties"], false, "{schema}");
        }
        schema.as_object().into_iter().flat_map(Map::values).for_each(closed);
    }

    #[test]
    fn every_key_is_described_and_no_section_takes_unknown_keys() {
        for (path, key) in Key::all() {
            assert!(!key.description().is_empty(), "{path}");
        }
        closed(schema());
    }
}
