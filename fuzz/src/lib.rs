//! What the targets share: reading a body as the server does, and rules that every stored text obeys.

use bytes::Bytes;
use nutritionfacts::{
    domain::json::MAX_DEPTH,
    http::{budget::Budgets, inflate, network::Network},
};
use serde_json::Value;

/// Cap of an inflated body. Smaller than the server's, so that the fuzzer spends its time on something else.
pub const CAP: usize = 256 * 1024;

/// The text of a body as the server inflates it, if it is one.
pub fn text(body: &[u8]) -> Option<String> {
    let mut share = Budgets::default().pingbacks.share(Network::of([192, 0, 2, 1].into()));
    let text = inflate::text(Bytes::copy_from_slice(body), CAP, &mut share).ok()?;
    let text = text.as_str();
    assert!(text.len() <= CAP.max(body.len()), "inflated over the cap");
    Some(text.to_owned())
}

/// The object that a strict parser reads, unless it is nested more deeply than we allow: then we must read it too.
pub fn strictly_an_object(text: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(text).ok()?;
    (value.is_object() && depth(text) <= MAX_DEPTH).then_some(value)
}

/// How deep well-formed JSON is nested.
fn depth(text: &str) -> u32 {
    let (mut open, mut deepest, mut in_string, mut escaped) = (0, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => open += 1,
            b'}' | b']' if !in_string => open -= 1,
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

/// A string or boolean as a text column holds it; `None` where this simple model does not say.
pub fn modelled(sent: Option<&Value>, length: usize) -> Option<String> {
    match sent {
        Some(Value::String(text)) => Some(text.replace('\0', "\u{fffd}").chars().take(length).collect()),
        Some(Value::Bool(truth)) => Some(truth.to_string()),
        Some(Value::Number(_)) => None,
        None | Some(Value::Null | Value::Array(_) | Value::Object(_)) => Some(String::new()),
    }
}

/// A whole number as a number column holds it; `None` where this simple model does not say.
pub fn modelled_integer(sent: Option<&Value>) -> Option<i64> {
    match sent {
        Some(Value::Number(number)) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Some(integer.max(0)),
            (None, Some(_)) => Some(i64::MAX),
            (None, None) => None,
        },
        Some(Value::String(_)) => None,
        _ => Some(0),
    }
}

/// Calls back with every text within a value, keys included.
pub fn texts(value: &Value, seen: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => seen(text),
        Value::Array(values) => values.iter().for_each(|value| texts(value, seen)),
        Value::Object(map) => {
            for (key, value) in map {
                seen(key);
                texts(value, seen);
            }
        }
        _ => {}
    }
}

/// A JSON column: valid, and without U+0000, which PostgreSQL refuses (also in escaped form).
#[track_caller]
pub fn json_column(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).expect("a JSON column holds JSON");
    texts(&value, &mut |text| assert!(!text.contains('\0'), "U+0000 in a JSON column"));
    value
}

/// A text column: at most so many characters, and no U+0000.
#[track_caller]
pub fn text_column(text: &str, length: usize) {
    assert!(text.chars().count() <= length, "over {length} characters: {text:?}");
    assert!(!text.contains('\0'), "U+0000 in {text:?}");
}
