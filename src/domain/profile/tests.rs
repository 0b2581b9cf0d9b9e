use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::domain::{pingback::Pingback, privacy};

fn raw() -> Privacy {
    Privacy::Raw { notice_version: "7".into(), key: privacy::Key::new(&"k".repeat(32)).unwrap() }
}

fn read(body: &str, rules: &[ModeRule], privacy: &Privacy) -> Profile {
    let mut draft = Profile::read(&Pingback::read(body).unwrap().description);
    draft.settle_mode(rules, Origin::new([203, 0, 113, 7].into(), None));
    draft.into_profile(privacy)
}

#[test]
fn a_hardware_address_fills_the_node_id() {
    assert_eq!(read(r#"{"macaddress": "aa:bb"}"#, &[], &raw()).node_id, "aa:bb");
    assert_eq!(read(r#"{"macaddress": "aa:bb", "node_id": "n"}"#, &[], &raw()).node_id, "n");
}

#[test]
fn development_versions_get_the_mode_dev() {
    assert_eq!(read(r#"{"version": "0.16.0.dev0+git.1"}"#, &[], &raw()).mode, "dev");
    assert_eq!(read(r#"{"version": "0.16.0.dev0+git.1", "mode": "demoserver"}"#, &[], &raw()).mode, "demoserver");
}

/// Another text in any field, other rules or another key: another identity. The same input has the same identity.
#[test]
fn the_identity_depends_on_all_texts() {
    let office =
        ModeRule { networks: vec!["203.0.113.0/24".parse().unwrap()], mode: "office".into(), ..Default::default() };
    let mut bodies = vec![
        "{}".to_owned(),
        r#"{"version": "a", "mode": "b"}"#.to_owned(),
        r#"{"version": "ab"}"#.to_owned(),
        r#"{"mode": "ab"}"#.to_owned(),
    ];
    bodies.extend(keys().filter(|key| *key != "macaddress").map(|key| format!(r#"{{"{key}": "x"}}"#)));
    let other_key = privacy::Key::new(&"l".repeat(32)).unwrap();
    let mut seen = HashSet::new();
    for body in &bodies {
        assert!(seen.insert(read(body, &[], &raw()).id), "{body}");
        assert_eq!(read(body, &[], &raw()).id, read(&body.replace(": ", " : "), &[], &raw()).id);
    }
    assert!(seen.insert(read("{}", &[office], &raw()).id));
    for privacy in [
        Privacy::None,
        Privacy::Raw { notice_version: "7".into(), key: other_key.clone() },
        Privacy::Raw { notice_version: "8".into(), key: other_key.clone() },
        Privacy::Pseudonymous(other_key),
    ] {
        assert!(seen.insert(read(r#"{"node_id": "x"}"#, &[], &privacy).id));
    }
}

/// Any JSON value.
fn value() -> impl Strategy<Value = String> {
    let text = proptest::string::string_regex("[a-z\"\\\\\u{1}é\n ]{0,8}").unwrap();
    let scalar = prop_oneof![
        text.prop_map(|text| serde_json::Value::from(text).to_string()),
        Just("null".to_owned()),
        Just("\"\"".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
    ];
    prop_oneof![
        scalar.clone(),
        proptest::collection::vec(scalar, 0..3).prop_map(|list| format!("[{}]", list.join(" ,\n")))
    ]
}

proptest! {
    #[test]
    fn joined_values_split_into_what_was_sent(values in proptest::collection::vec(proptest::option::of(value()), KEYS.len()), other in value(), at in 0..KEYS.len()) {
        let body = |values: &[Option<String>]| {
            let entries = values.iter().zip(keys()).filter_map(|(value, key)| Some(format!("\"{key}\": {}", value.as_ref()?)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        };
        let sent = body(&values);
        let description = Pingback::read(&sent).unwrap().description;
        let joined = description.joined();
        prop_assert!(description.is(&joined));
        prop_assert_eq!(Description::of_joined(&joined), description);
        let mut changed = values.clone();
        changed[at] = Some(other);
        let differs = changed != values;
        let changed = body(&changed);
        prop_assert_eq!(Pingback::read(&changed).unwrap().description.is(&joined), !differs);
    }
}
