//! Values with a unit or a format: their schema, and how they are written so that they read back exactly.

use std::time::Duration;

use bytesize::ByteSize;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A listen address.
pub(super) fn address(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": r"^(([0-9]{1,3}\.){3}[0-9]{1,3}|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}$",
        "examples": ["127.0.0.1:8080", "[::]:8080"],
        "x-kind": "an address with a port",
    })
}

fn size(most: &str, example: &str) -> Schema {
    json_schema!({
        "type": ["string", "integer"],
        "pattern": "^[0-9]+(\\.[0-9]+)? *([kKmMgG][iI]?)?[bB]?$",
        "examples": [example],
        "x-kind": "a size",
        "x-min": "1 KiB",
        "x-max": most,
    })
}

/// Memory of a cache.
pub(super) fn memory(_: &mut SchemaGenerator) -> Schema {
    size("64 GiB", "128 MiB")
}

/// Limit of a body: all statistics bodies together have 48 MiB, and a body needs memory for its text and its rows.
pub(super) fn body_size(_: &mut SchemaGenerator) -> Schema {
    size("32 MiB", "16 MiB")
}

/// A duration that may be zero. More than a day is a mistake, and far longer ones overflow the clock.
pub(super) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^(0|( *[0-9]+(\\.[0-9]+)? *[a-zA-Zµ]+)+)$",
        "examples": ["30s", "1m 30s"],
        "x-kind": "a time",
        "x-min": "0s",
        "x-max": "24h",
    })
}

/// A timeout; zero would reject everything.
pub(super) fn timeout(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = duration(generator);
    schema.insert("x-min".into(), "1ms".into());
    schema
}

/// A switch with an automatic setting.
pub(super) fn auto_or_bool(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["string", "boolean"],
        "enum": ["auto", "true", "false", true, false],
    })
}

/// `kubernetes.enabled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Enabled {
    /// On inside a pod.
    #[default]
    Auto,
    /// On or off.
    Set(bool),
}

impl Serialize for Enabled {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Set(is) => serializer.serialize_bool(*is),
        }
    }
}

/// Accepts text as well: variables and flags are not parsed as YAML where a key takes text.
impl<'de> Deserialize<'de> for Enabled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Bool(bool),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Bool(is) => Ok(Self::Set(is)),
            Form::Text(text) => match text.as_str() {
                "auto" => Ok(Self::Auto),
                "true" => Ok(Self::Set(true)),
                "false" => Ok(Self::Set(false)),
                _ => Err(D::Error::custom("neither `auto` nor a boolean")),
            },
        }
    }
}

/// A ratio.
pub(super) fn ratio(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["number", "integer"],
        "minimum": 0,
        "maximum": 1,
        "x-kind": "a number from 0 to 1",
    })
}

/// Reads a ratio, which must be from 0 to 1.
pub(super) fn deserialize_ratio<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let ratio = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&ratio) { Ok(ratio) } else { Err(D::Error::custom("not from 0 to 1")) }
}

/// Writes a size in the largest unit that is exact. `bytesize` itself rounds to one decimal, so that
/// `config show` would not print the effective value.
// The signature is serde's.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(super) fn serialize_size<S: Serializer>(size: &ByteSize, serializer: S) -> Result<S::Ok, S::Error> {
    let bytes = size.as_u64();
    let (count, unit) = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        .into_iter()
        .find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit))
        .map_or((bytes, "B"), |(unit, name)| (bytes / unit, name));
    serializer.serialize_str(&format!("{count} {unit}"))
}

/// A size or duration as a number, for comparison with `x-min` and `x-max` of the schema. The kind decides, since `1m`
/// can be either.
pub(super) fn magnitude(kind: &str, text: &str) -> Option<u128> {
    if kind == "a size" {
        return text.parse().ok().map(|size: ByteSize| size.as_u64().into());
    }
    let time: serde_json::Result<Time> = serde_json::from_value(serde_json::json!({ "time": text }));
    time.ok().map(|Time { time }| time.as_nanos())
}

#[derive(serde::Deserialize)]
struct Time {
    #[serde(with = "humantime_serde")]
    time: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_exactly() {
        for (bytes, text) in
            [(16 << 20, "16 MiB"), (1_500_000, "1500000 B"), (1536, "1536 B"), (2048, "2 KiB"), (0, "0 B")]
        {
            let size = ByteSize::b(bytes);
            let written = serialize_size(&size, serde_json::value::Serializer).unwrap();
            assert_eq!(written, text);
            assert_eq!(text.parse::<ByteSize>().unwrap(), size);
        }
    }

    #[test]
    fn sizes_and_times_are_compared_as_numbers() {
        assert_eq!(magnitude("a size", "1 KiB"), Some(1024));
        assert_eq!(magnitude("a size", "1m"), Some(1_000_000));
        assert_eq!(magnitude("a time", "1m"), Some(60_000_000_000));
        assert_eq!(magnitude("a time", "soon"), None);
    }
}
