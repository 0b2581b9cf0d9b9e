//! Each rule, with a violation and its error.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn document() -> Value {
    json!({
        "id": "upgrade", "stage": "Active", "versionRange": ">=0.15.0,<0.18.0", "linkUrl": "https://example.org/a",
        "date": "2026-11-01",
        "translations": {"en": {"title": "T", "message": "M\nm", "linkText": null}, "es-419": {"title": "T", "message": "M"}},
        "audience": {
            "instances": ["abc"], "networks": ["10.0.0.0/8", "2001:db8::/32"], "countries": ["TZ", "KE"],
            "installers": ["Windows", "deb kolibri"], "os": ["windows", "linux"], "modes": ["", "demoserver"],
            "languages": ["sw", "pt-br"],
        },
    })
}

fn problems(document: &Value) -> String {
    let problems = Message::read(document).err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_valid_document_reads_back_as_it_was() {
    let message = Message::read(&document()).unwrap();
    let again = serde_json::to_value(&message).unwrap();
    assert_eq!(Message::read(&again).unwrap(), message);
    let short = json!({"id": "a", "stage": "Draft", "date": "2026-02-28", "translations": {"en": {"title": "T", "message": "M"}}});
    let message = Message::read(&short).unwrap();
    assert_eq!((message.version_range.as_str(), message.link_url.as_str()), ("*", ""));
    assert!(message.audience.is_everybody());
}

/// An older program reads the saved messages that have no list that it does not know.
#[test]
fn an_audience_is_saved_without_lists_that_are_empty() {
    let mut document = document();
    for name in ["countries", "installers", "os", "modes", "languages"] {
        document["audience"][name] = json!([]);
    }
    let message = Message::read(&document).unwrap();
    let saved = serde_json::to_value(&message).unwrap();
    assert_eq!(saved["audience"], json!({"instances": ["abc"], "networks": ["10.0.0.0/8", "2001:db8::/32"]}));
}

#[test]
fn each_list_makes_an_audience_that_is_not_everybody() {
    for (name, entries) in self::document()["audience"].as_object().unwrap() {
        let mut document = document();
        document["audience"] = json!({name: entries});
        assert!(!Message::read(&document).unwrap().audience.is_everybody(), "{name}");
    }
}

/// Each rule: the place, a violation, and its error.
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_violation_has_its_error() {
    let cases = [
        ("/id", json!("x".repeat(51)), "id: has 51 characters, allowed are 50"),
        ("/id", json!("😀".repeat(26)), "id: has 52 characters, allowed are 50"),
        ("/id", json!(" "), "id: is empty"),
        ("/id", json!("a b"), "id: contains a space"),
        ("/id", json!("a\nb"), "id: contains a line break or a tab"),
        ("/id", json!(5), "id: got a number, allowed is text; put it in quotes"),
        (
            "/stage",
            json!("active"),
            "stage: is not one of `Draft`, `Staged`, `Active`, `Withdrawn`; did you mean `Active`?",
        ),
        ("/stage", json!(null), "stage: is not one of `Draft`, `Staged`, `Active`, `Withdrawn`"),
        ("/versionRange", json!(""), "versionRange: is empty; leave the key out or write `*` for all versions"),
        ("/versionRange", json!(null), "versionRange: got nothing, allowed is text; leave the key out"),
        (
            "/versionRange",
            json!(">=0.15.0, <0.18.0"),
            "versionRange: comparison 2 contains a space; write `*`, or comparisons such as `>=0.15.0,<0.18.0`",
        ),
        (
            "/versionRange",
            json!("<0.16"),
            "versionRange: comparison 1 has no version of three numeric parts; write `*`, or comparisons such as `>=0.15.0,<0.18.0`",
        ),
        (
            "/versionRange",
            json!("<0.16.0b10"),
            "versionRange: has a bound that is not a final version; Kolibri versions disagree about others; use the final version, as `<0.16.0`",
        ),
        (
            "/versionRange",
            json!(">=0.15.00000000000000000000000000000000000000000000"),
            "versionRange: has 51 characters, allowed are 50",
        ),
        (
            "/versionRange",
            json!("<0.016.0"),
            "versionRange: comparison 1 has a version with a zero before a number; write `*`, or comparisons such as `>=0.15.0,<0.18.0`",
        ),
        ("/linkUrl", json!(format!("https://{}", "x".repeat(143))), "linkUrl: has 151 characters, allowed are 150"),
        (
            "/linkUrl",
            json!("javascript:alert(1)"),
            "linkUrl: is not an address that begins with `https://` or `http://`",
        ),
        ("/linkUrl", json!("https:///x"), "linkUrl: is not an address that begins with `https://` or `http://`"),
        ("/linkUrl", json!("https://x/a b"), "linkUrl: contains a space; write it as `%20`"),
        ("/linkUrl", json!(null), "linkUrl: got nothing, allowed is text; leave the key out"),
        ("/date", json!("2026-11-01T00:00:00Z"), "date: is not a date; write it as `2026-11-01`, without a time"),
        ("/date", json!("2026-11-31"), "date: is not a date; write it as `2026-11-01`, without a time"),
        ("/date", json!("0000-01-01"), "date: is not a date; write it as `2026-11-01`, without a time"),
        ("/date", json!("26-11-1"), "date: is not a date; write it as `2026-11-01`, without a time"),
        (
            "/translations",
            json!({}),
            "translations.en: is missing; devices in a language without a translation show the English text",
        ),
        ("/translations", json!([]), "translations: got a list, allowed is an object with a text for each language"),
        (
            "/translations/pt-BR",
            json!({"title": "T", "message": "M"}),
            "translations.pt-BR: is not a language code; write it as Kolibri does, in lower case: `en`, `sw-tz`, `pt-br`",
        ),
        ("/translations/en", json!({"title": "T"}), "translations.en.message: is missing"),
        ("/translations/en/title", json!(""), "translations.en.title: is empty"),
        (
            "/translations/en/title",
            json!(null),
            "translations.en.title: got nothing, allowed is text; leave the key out",
        ),
        ("/translations/en/linkText", json!(""), "translations.en.linkText: is empty"),
        ("/translations/en/message", json!("a\u{0}b"), "translations.en.message: contains a control character"),
        (
            "/translations/en/message",
            json!("m".repeat(5001)),
            "translations.en.message: has 5001 characters, allowed are 5000",
        ),
        (
            "/translations/en/link_text",
            json!("x"),
            "translations.en.link_text: is not a key of a message; did you mean `linkText`?",
        ),
        (
            "/audience/networks/0",
            json!("10.0.0.1"),
            "audience.networks.0: is not a network; write it as `10.0.0.0/8` or `2001:db8::/32`",
        ),
        ("/audience/instances", json!("abc"), "audience.instances: got text, allowed is a list"),
        ("/audience/instances/0", json!(5), "audience.instances.0: got a number, allowed is text; put it in quotes"),
        ("/audience/instances", json!(vec!["a"; 1001]), "audience.instances: has 1001 entries, allowed are 1000"),
        (
            "/audience/countries/0",
            json!("tz"),
            "audience.countries.0: is not a country's code of ISO 3166-1; did you mean `TZ`?",
        ),
        (
            "/audience/countries/1",
            json!("UK"),
            "audience.countries.1: is not a country's code of ISO 3166-1; did you mean `GB`?",
        ),
        (
            "/audience/countries/0",
            json!("TZA"),
            "audience.countries.0: is not a country's code of ISO 3166-1; write two capital letters, as `TZ`",
        ),
        // `NO` without quotes, as some readers of YAML take it.
        (
            "/audience/countries/0",
            json!(false),
            "audience.countries.0: got a boolean, allowed is text; put it in quotes",
        ),
        ("/audience/countries", json!(vec!["TZ"; 251]), "audience.countries: has 251 entries, allowed are 250"),
        ("/audience/installers", json!("Windows"), "audience.installers: got text, allowed is a list"),
        ("/audience/installers/1", json!(" "), "audience.installers.1: is empty"),
        (
            "/audience/installers/0",
            json!("i".repeat(256)),
            "audience.installers.0: has 256 characters, allowed are 255",
        ),
        ("/audience/installers", json!(vec!["a"; 101]), "audience.installers: has 101 entries, allowed are 100"),
        (
            "/audience/os/0",
            json!("Windows"),
            "audience.os.0: is not one of `windows`, `macos`, `linux`, `android`, `chromeos`, `other`; did you mean `windows`?",
        ),
        (
            "/audience/os/0",
            json!("BeOS 5.0"),
            "audience.os.0: is not one of `windows`, `macos`, `linux`, `android`, `chromeos`, `other`",
        ),
        ("/audience/os", json!(vec!["linux"; 7]), "audience.os: has 7 entries, allowed are 6"),
        ("/audience/modes/1", json!(" "), "audience.modes.1: is empty"),
        ("/audience/modes/1", json!("a\nb"), "audience.modes.1: contains a line break or a tab"),
        ("/audience/modes/1", json!(null), "audience.modes.1: got nothing, allowed is text; leave the key out"),
        ("/audience/modes/0", json!("m".repeat(256)), "audience.modes.0: has 256 characters, allowed are 255"),
        ("/audience/modes", json!(vec!["a"; 101]), "audience.modes: has 101 entries, allowed are 100"),
        (
            "/audience/languages/0",
            json!("pt-BR"),
            "audience.languages.0: is not a language code; write it as Kolibri does, in lower case: `en`, `sw-tz`, `pt-br`",
        ),
        ("/audience/languages", json!(vec!["en"; 101]), "audience.languages: has 101 entries, allowed are 100"),
        ("/audience/country", json!(["TZ"]), "audience.country: is not a key of a message; did you mean `countries`?"),
        ("/versionrange", json!("*"), "versionrange: is not a key of a message; did you mean `versionRange`?"),
    ];
    for (place, offence, complaint) in cases {
        let mut document = document();
        let (parent, name) = place.rsplit_once('/').unwrap();
        match document.pointer_mut(parent).unwrap() {
            Value::Array(list) => list[name.parse::<usize>().unwrap()] = offence,
            object => object[name] = offence,
        }
        assert_eq!(problems(&document), complaint, "{place}");
    }
    for value in [json!(null), json!([]), json!("text")] {
        assert!(problems(&value).contains("allowed is an object with `id`"), "{value}");
    }
}

#[test]
fn the_largest_allowed_message_is_accepted() {
    let mut document = document();
    document["id"] = json!("😀".repeat(25));
    document["linkUrl"] = json!(format!("https://{}", "x".repeat(142)));
    document["versionRange"] = json!(">=0.15.0,<0.18.10,!=0.16.0,!=0.16.10,!=0.17.10000");
    assert_eq!(problems(&document), "");
}

#[test]
fn all_errors_are_reported_at_once() {
    let document = json!({"id": "", "stage": "On", "date": "x", "translations": {"de": {"title": 1}}, "extra": 1});
    assert_eq!(problems(&document).lines().count(), 7, "{}", problems(&document));
    assert_eq!(problems(&json!({})).lines().count(), 4);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,60}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(
                "[a-z]{2,3}|title|message|linkText|instances|networks|countries|installers|os|modes|languages",
                inner,
                0..4
            )
            .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Every accepted message fits into the columns of a client, and reads back as the same message.
    #[test]
    fn every_accepted_message_can_be_stored_by_clients(place in "/(id|stage|versionRange|linkUrl|date|translations|audience)|/audience/(countries|installers|os|modes|languages)(/0)?|/translations/en(/title|/message|/linkText)?", put in value()) {
        let mut document = document();
        *document.pointer_mut(&place).unwrap() = put;
        if let Ok(message) = Message::read(&document) {
            let wire: Value = serde_json::from_str(&message.json()).unwrap();
            for (key, max) in [("msg_id", 50), ("version_range", 50), ("link_url", 150), ("timestamp", 10)] {
                prop_assert!(wire[key].as_str().unwrap().encode_utf16().count() <= max);
            }
            prop_assert!(wire["i18n"]["en"]["title"].is_string());
            for text in wire["i18n"].as_object().unwrap().values() {
                prop_assert!(text["title"].is_string() && text["msg"].is_string());
                prop_assert_eq!(text.as_object().unwrap().len(), 3);
            }
            prop_assert_eq!(Message::read(&serde_json::to_value(&message).unwrap()).unwrap(), message);
        }
    }
}
