//! Checks whether a layer may set a key to a value, and explains why not.

use serde_json::Value;

use super::{
    Config,
    complaint::Complaint,
    layer::{Layer, Source, variable},
    path::Path,
    schema::Key,
    units,
};
use crate::domain::wording::{kind, nearest};

/// Checks whether a layer may set this key to this value. The final check is the type of the key: a configuration
/// of this value alone must deserialise.
pub(super) fn check(layer: &Layer, key: Key<'_>, path: &Path<'_>, value: &Value) -> Result<(), Complaint> {
    let complaint = |problem: String| Complaint::new(&layer.name, path.to_string(), problem);
    if layer.source == Source::ConfigMap && key.is_secret() && !value.is_null() {
        let problem = "is a secret, and many can read a ConfigMap".to_owned();
        return Err(complaint(problem)
            .remedy(format!("put it into a Secret and set it by {} or a file", variable(&path.to_string()))));
    }
    if let Some(sources) = key.sources()
        && !sources.contains(&layer.source.name())
        && !value.is_null()
    {
        let problem = format!("must not be set by a {}", layer.source.name());
        return Err(complaint(problem).remedy(set_it_elsewhere(layer.source, &sources, &path.to_string())));
    }
    let got = kind(value);
    let wrong = || complaint(format!("got {got}, allowed is {}", key.allowed()));
    if !allowed_type(key, value) {
        let quote =
            matches!(value, Value::Number(_) | Value::Bool(_)) && key.takes("string") && key.text("x-kind").is_none();
        return Err(if quote { wrong().remedy("put it in quotes") } else { wrong() });
    }
    if let Some(text) = value.as_str() {
        if text.is_empty() && key.number("minLength").is_some() {
            return Err(complaint("got empty text, allowed is text".into()).remedy("leave the key out to unset it"));
        }
        let names = key.names();
        if !names.is_empty() && !names.contains(&text) {
            return Err(match nearest(text, names.into_iter()) {
                Some(meant) => wrong().remedy(format!("did you mean `{meant}`?")),
                None => wrong(),
            });
        }
    }
    if serde_json::from_value::<Config>(path.around(value.clone())).is_err() {
        return Err(wrong());
    }
    if in_range(key, value) {
        Ok(())
    } else {
        Err(complaint(format!("got {got} out of range, allowed is {}", key.allowed())))
    }
}

fn set_it_elsewhere(source: Source, sources: &[&str], key: &str) -> String {
    let why = if source == Source::Flag { "flags are visible in `ps`; " } else { "" };
    let elsewhere: Vec<_> = sources
        .iter()
        .map(|source| if *source == Source::Environment.name() { variable(key) } else { format!("a {source}") })
        .collect();
    format!("{why}set it by {}", elsewhere.join(" or "))
}

fn allowed_type(key: Key<'_>, value: &Value) -> bool {
    key.takes(match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    })
}

fn in_range(key: Key<'_>, value: &Value) -> bool {
    let number = value.as_u64().map(u128::from);
    let (from, to, is) = if let Some(kind) = key.text("x-kind") {
        let limit = |keyword| key.text(keyword).and_then(|text| units::magnitude(kind, text));
        (limit("x-min"), limit("x-max"), value.as_str().map_or(number, |text| units::magnitude(kind, text)))
    } else {
        (key.number("minimum").map(u128::from), key.number("maximum").map(u128::from), number)
    };
    // Values that are no numbers were checked by their type.
    is.is_none_or(|is| from.is_none_or(|from| from <= is) && to.is_none_or(|to| is <= to))
}
