//! The reader, compared with its rules, and with `serde_json` where that accepts a text.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(text: &str) -> Result<Value, NotAnObject> {
    let mut entries = Entries::of_object(text)?;
    let mut map = serde_json::Map::new();
    while let Some((key, value)) = entries.next_entry()? {
        map.insert(key.into_owned(), value.tree(usize::MAX).ok_or(NotAnObject)?);
    }
    Ok(Value::Object(map))
}

#[test]
fn json_written_by_python_is_read() {
    let text = "\u{feff} {\"a\": NaN, \"b\": [Infinity, -Infinity], \"c\": {\"d\": -1.5e3, \"e\": \"\\u00e9\\ud83d\\ude00\"}}\n";
    assert_eq!(read(text), Ok(json!({"a": null, "b": [null, null], "c": {"d": -1500.0, "e": "é😀"}})));
}

#[test]
fn characters_that_stores_reject_are_replaced() {
    assert_eq!(
        read(
            r#"{"n": "a\u0000b", "h": "\ud83d!", "l": "\ude00\ud83d", "big": 1e400, "long": 123456789012345678901, "k": 1, "k": 2}"#
        ),
        Ok(
            json!({"n": "a\u{fffd}b", "h": "\u{fffd}!", "l": "\u{fffd}\u{fffd}", "big": null, "long": 123_456_789_012_345_678_901_f64, "k": 2})
        )
    );
}

#[test]
fn text_that_is_not_an_object_is_refused() {
    for text in [
        "",
        " ",
        "null",
        "[]",
        "[{}]",
        "1",
        "\"{}\"",
        "{",
        "}",
        "{}x",
        "{},{}",
        "{}{}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":-}",
        "{\"a\":nul}",
        "{\"a\":nan}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":[1 2]}",
        "{\"a\":[1,]}",
        "{\"a\":[}",
        "{\"a\":{]}",
        "{\"a\":-NaN}",
        "{\"a\":\"\\",
        "{\"a\":'b'}",
        "\u{feff}\u{feff}{}",
        "{} \u{feff}",
    ] {
        assert_eq!(read(text), Err(NotAnObject), "{text}");
    }
}

#[test]
fn nesting_beyond_the_limit_is_refused() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(read(&nested(64)).is_ok());
    assert_eq!(read(&nested(65)), Err(NotAnObject));
    let objects = format!("{}1{}", "{\"a\":".repeat(65), "}".repeat(65));
    assert_eq!(read(&objects), Err(NotAnObject));
}

#[test]
fn a_tree_of_too_many_values_is_refused() {
    let mut entries = Entries::of_object(r#"{"a": [1, [2], {"b": 3}]}"#).unwrap();
    let (_, value) = entries.next_entry().unwrap().unwrap();
    assert_eq!(value.tree(6), Some(json!([1, [2], {"b": 3}])));
    assert_eq!(value.tree(5), None);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(|text| Value::from(text.replace('\0', "0"))),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map("[^\0]*", inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn agrees_with_serde_json(map in prop::collection::hash_map("[^\0]*", value(), 0..8), pretty: bool) {
        let value = Value::Object(map.into_iter().collect());
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assert_eq!(read(&text), Ok(serde_json::from_str(&text).unwrap()));
    }

    #[test]
    fn accepts_whatever_serde_json_accepts(text in "[\\[\\]{},:\"\\\\0-9eEu.+\\-a-f ntrl]{0,24}") {
        let text = format!("{{\"a\":{text}}}");
        if serde_json::from_str::<Value>(&text).is_ok() {
            prop_assert!(read(&text).is_ok());
        }
    }

    #[test]
    fn never_panics(text: String, junk in "[\\[\\]{},:\"\\\\0-9eEuNI.+\\-a-f ]{0,64}") {
        let _ = read(&text);
        let _ = read(&format!("{{{junk}}}"));
        let _ = read(&format!("{{\"a\":{junk}"));
    }
}
