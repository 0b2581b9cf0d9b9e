//! Messages in values are judged as those that are objects in the cluster are.

use serde_json::{Value, json};

use super::support::render::Case;

#[expect(dead_code, reason = "the tests in a cluster use the rest")]
#[path = "../cluster/cases.rs"]
mod cases;

/// An object as it stands in values.
fn as_value(object: &Value) -> Value {
    let mut message = object["spec"].clone();
    if let Some(fields) = message.as_object_mut() {
        fields.insert("id".into(), object["metadata"]["name"].clone());
    }
    message
}

fn without_or_with(place: &str, value: Option<Value>) -> Value {
    as_value(&cases::put(place, value))
}

fn values(messages: &[Value]) -> Value {
    json!({"messages": messages})
}

#[test]
fn whatever_the_custom_resource_takes_is_taken() {
    let messages: Vec<_> = cases::accepted().into_iter().map(|(place, value)| without_or_with(place, value)).collect();
    assert!(messages.len() > 40, "{}", messages.len());
    let taken = Case::named("embedded").try_render(&values(&messages));
    assert!(taken.is_ok(), "{}", taken.unwrap_err());
}

/// What the schema of values cannot see: ids in a file need not be names of Kubernetes.
fn is_no_matter_of_values(place: &str, value: Option<&Value>) -> bool {
    place == "/metadata/name" && value.is_some_and(|value| *value == json!("😀".repeat(26)))
}

/// All at once: Helm names each message that is wrong.
#[test]
fn whatever_the_custom_resource_refuses_is_refused() {
    let cases: Vec<_> = cases::refused()
        .into_iter()
        .filter(|(place, value, ..)| !is_no_matter_of_values(place, value.as_ref()))
        .collect();
    assert!(cases.len() > 150, "{}", cases.len());
    let messages: Vec<_> = cases.iter().map(|(place, value, ..)| without_or_with(place, value.clone())).collect();
    let refusal = Case::named("embedded").try_render(&values(&messages)).unwrap_err();
    let is_named = |index: usize| ["'", "/"].iter().any(|end| refusal.contains(&format!("'/messages/{index}{end}")));
    let taken: Vec<_> = cases.iter().enumerate().filter(|(index, _)| !is_named(*index)).map(|(_, case)| case).collect();
    assert!(taken.is_empty(), "{} are taken: {taken:?}\n{refusal}", taken.len());
}
