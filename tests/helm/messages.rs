//! Messages in values are validated like those in objects of the cluster.

use serde_json::{Value, json};

use super::support::render::Case;

#[expect(dead_code, reason = "the tests in a cluster use the rest")]
#[path = "../cluster/cases.rs"]
mod cases;

/// An object in the form used in values.
fn as_value(object: &Value) -> Value {
    let mut message = object["spec"].clone();
    if let Some(fields) = message.as_object_mut() {
        fields.insert("id".into(), object["metadata"]["name"].clone());
    }
    message
}

fn render(messages: &[Value]) -> Result<(), String> {
    Case::named("embedded").try_render(&json!({"messages": messages})).map(|_| ())
}

/// Which of these Helm accepts: it names each invalid message.
fn taken(messages: &[Value]) -> Vec<&Value> {
    let refusal = render(messages).expect_err("none of them is wrong");
    let is_named = |index: usize| ["'", "/"].iter().any(|end| refusal.contains(&format!("'/messages/{index}{end}")));
    messages.iter().enumerate().filter(|(index, _)| !is_named(*index)).map(|(_, message)| message).collect()
}

#[test]
fn values_accept_what_the_custom_resource_accepts() {
    let objects: Vec<_> = cases::accepted().into_iter().map(|(place, value)| cases::put(place, value)).collect();
    assert!(objects.len() > 40, "{}", objects.len());
    assert_eq!(render(&objects.iter().map(as_value).collect::<Vec<_>>()), Ok(()));
}

/// Except for one: a schema counts characters, and the program counts UTF-16 units, which clients store.
#[test]
fn values_reject_what_the_custom_resource_rejects() {
    let long = json!("😀".repeat(26));
    let objects = cases::refused().into_iter().map(|(place, value, ..)| cases::put(place, value));
    let (longs, wrong): (Vec<_>, Vec<_>) = objects.partition(|object| object["metadata"]["name"] == long);
    assert!(wrong.len() > 150 && longs.len() == 1, "{} and {}", wrong.len(), longs.len());
    let wrong: Vec<_> = wrong.iter().map(as_value).collect();
    assert_eq!(taken(&wrong), Vec::<&Value>::new());
}

/// An object has a name, and the API server has no other fields.
#[test]
fn values_reject_errors_that_only_message_files_can_have() {
    let wrong = [
        ("/id", None),
        ("/id", Some(json!(""))),
        ("/id", Some(json!(7))),
        ("/titel", Some(json!("T"))),
        ("/translations/en/titel", Some(json!("T"))),
        ("/audience/network", Some(json!([]))),
    ];
    let messages = wrong.map(|(place, value)| {
        let mut message = as_value(&cases::object());
        let (parent, name) = place.rsplit_once('/').expect("it begins with a slash");
        let fields = message.pointer_mut(parent).and_then(Value::as_object_mut).expect("it is there");
        match value {
            Some(value) => drop(fields.insert(name.to_owned(), value)),
            None => drop(fields.remove(name)),
        }
        message
    });
    assert_eq!(taken(&messages), Vec::<&Value>::new());
}
