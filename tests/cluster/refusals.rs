//! What the API server accepts and rejects, one object at a time, compared with [`Message::read`].
//!
//! [`Message::read`]: nutritionfacts::domain::message::Message::read

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    cases::{accepted, object, put, read, refused},
    kubectl::{DEFINITION, Namespace},
};

/// The errors of a rejection, each with its path: one in the line, or each in its own line.
fn complaints(refusal: &str) -> Vec<(String, &str)> {
    let (_, list) = refusal.split_once(" is invalid: ").unwrap_or_default();
    let lines = list.lines().map(|line| line.strip_prefix("* ").unwrap_or(line));
    lines.filter_map(|line| line.split_once(": ")).map(|(path, complaint)| (normal(path), complaint)).collect()
}

/// A path with stars in place of languages and indices, which rules write as `[en]` and limits as `.en`.
fn normal(path: &str) -> String {
    let path = path.replace('[', ".").replace(']', "");
    let mut names: Vec<_> = path.split('.').collect();
    for at in 1..names.len() {
        let lists = ["translations", "instances", "networks", "countries", "installers", "os", "modes", "languages"];
        if lists.contains(&names[at - 1]) {
            names[at] = "*";
        }
    }
    names.join(".")
}

#[test]
fn messages_that_clients_can_store_are_accepted() {
    let namespace = Namespace::new();
    let judge = |object: &Value| {
        namespace.try_apply(object)?;
        read(object).map_err(|problems| format!("Message::read: {problems:?}"))
    };
    let objects = accepted().into_iter().map(|(place, value)| put(place, value)).chain([object()]);
    let faults: Vec<_> =
        objects.filter_map(|object| judge(&object).err().map(|fault| format!("{object}\n{fault}"))).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn messages_that_clients_cannot_store_are_rejected_with_a_remedy() {
    let namespace = Namespace::new();
    let mut faults = vec![];
    for (place, value, path, complaint) in refused() {
        let object = put(place, value);
        let refusal = namespace.try_apply(&object).err().unwrap_or_default();
        let found = complaints(&refusal);
        if !found.iter().any(|(at, text)| *at == normal(path) && text.contains(complaint)) {
            faults.push(format!("{object}\nis not refused for {path}: {complaint}\nbut for {refusal}"));
        }
        if read(&object).is_ok() {
            faults.push(format!("{object}\nis refused by the API server, but not by Message::read"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Its definition of a network is stricter than ours: no leading zeros, no IPv4 in IPv6.
#[test]
fn the_api_server_is_stricter_about_networks() {
    let namespace = Namespace::new();
    for network in ["010.0.0.0/8", "::ffff:10.0.0.0/104"] {
        let object = put("/spec/audience/networks/0", Some(json!(network)));
        assert!(namespace.try_apply(&object).unwrap_err().contains("is not a network"), "{network}");
        read(&object).unwrap();
    }
}

/// A rule or limit of the schema: its path, and text by which a rejection is recognised.
type Limit = (String, String);

fn limits(schema: &Value, path: &str, found: &mut BTreeSet<Limit>) {
    let mut add = |path: &str, complaint: &str| found.insert((path.to_owned(), complaint.to_owned()));
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        add(if path.is_empty() { "<nil>" } else { path }, rule["message"].as_str().expect("a sentence for each rule"));
    }
    for (keyword, complaint) in [
        ("maxLength", "Too long"),
        ("maxItems", "Too many"),
        ("maxProperties", "Too many"),
        ("enum", "Unsupported value"),
    ] {
        if schema.get(keyword).is_some() {
            add(path, complaint);
        }
    }
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for name in schema["required"].as_array().into_iter().flatten() {
        add(&below(name.as_str().unwrap()), "Required value");
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten().filter(|(name, _)| *name != "status") {
        limits(schema, &below(name), found);
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(schema) = schema.get(keyword) {
            limits(schema, &below("*"), found);
        }
    }
}

#[test]
fn every_rule_has_a_violation_in_the_cases() {
    let definition: Value = serde_saphyr::from_str(&DEFINITION).unwrap();
    let mut found = BTreeSet::new();
    limits(&definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "", &mut found);
    assert!(found.len() > 30, "{found:#?}");
    let tried: BTreeSet<Limit> =
        refused().into_iter().map(|(_, _, path, said)| (normal(path), said.to_owned())).collect();
    let untried: Vec<_> = found.difference(&tried).collect();
    assert!(untried.is_empty(), "no case of cases.rs is refused by these: {untried:#?}");
}

#[test]
fn unknown_keys_are_rejected_by_strict_validation() {
    let namespace = Namespace::new();
    for (place, name) in [
        ("/spec/versionrange", "spec.versionrange"),
        ("/spec/id", "spec.id"),
        ("/spec/translations/en/link_text", "spec.translations.en.link_text"),
        ("/spec/audience/network", "spec.audience.network"),
        ("/spec/audience/country", "spec.audience.country"),
    ] {
        let object = put(place, Some(json!("x")));
        let refusal = namespace.try_apply(&object).unwrap_err();
        assert!(refusal.contains(&format!("unknown field \"{name}\"")), "{refusal}");
    }
}

/// `Message::read` rejects most of these nulls, but never sees them.
#[test]
fn a_null_is_treated_as_a_missing_key() {
    let namespace = Namespace::new();
    for place in [
        "/spec/versionRange",
        "/spec/linkUrl",
        "/spec/audience",
        "/spec/audience/networks",
        "/spec/audience/countries",
        "/spec/translations/en/linkText",
    ] {
        let mut expected = put(place, None)["spec"].clone();
        if place == "/spec/versionRange" {
            expected["versionRange"] = "*".into();
        }
        namespace.kubectl(&["create", "-f", "-"], &put(place, Some(Value::Null)).to_string()).unwrap();
        let stored = namespace.stored("kmsg/upgrade");
        assert_eq!(stored["spec"], expected, "{place}");
        read(&stored).unwrap();
        namespace.kubectl(&["delete", "kmsg", "upgrade"], "").unwrap();
    }
}

/// A client counts such a character as two, the API server as one: the server reports it in the object's conditions.
#[test]
fn characters_beyond_the_basic_plane_are_left_to_the_server() {
    let namespace = Namespace::new();
    let object = put("/spec/translations/en/title", Some(json!("😀".repeat(251))));
    namespace.try_apply(&object).unwrap();
    assert_eq!(read(&object).unwrap_err()[0].to_string(), "translations.en.title: has 502 characters, allowed are 500");
}
