//! Messages in objects or in a ConfigMap: from `kubectl apply` to the device, and back to the status.

use std::time::Instant;

use serde_json::{Value, json};

use super::{
    install::{Install, message, messages, ping, said, watch},
    support::eventually,
};

fn condition(object: &Value, kind: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|condition| condition["type"] == kind).unwrap_or_default()
}

#[test]
fn kubectl_publishes_and_withdraws_messages() {
    let install = Install::new();
    let server = install.setup().start();
    let begun = Instant::now();
    install.publish("hello");
    eventually("devices get it", || (messages(&server) == ["hello"]).then_some(()));
    println!("a message was sent {:?} after `kubectl apply`", begun.elapsed());
    install.wait_for("Published", "hello");
    install.wait_for("Accepted", "hello");
    let published = install.namespace.stored("kmsg/hello");
    assert_eq!(published["status"]["observedGeneration"], 1);
    assert_eq!(condition(&published, "Published")["reason"], "Active");

    for (generation, stage) in [(2, "Staged"), (3, "Draft"), (4, "Withdrawn")] {
        install.namespace.apply(&message("hello", &json!({"stage": stage})).to_string()).unwrap();
        install.wait_for("Published=false", "hello");
        let object = eventually("the status is of this generation", || {
            Some(install.namespace.stored("kmsg/hello")).filter(|of| of["status"]["observedGeneration"] == generation)
        });
        let of = condition(&object, "Published");
        assert_eq!((of["reason"].as_str(), of["observedGeneration"].as_i64()), (Some(stage), Some(generation)));
        let since = |object: &Value| condition(object, "Accepted")["lastTransitionTime"].clone();
        assert_eq!(since(&object), since(&published), "it was accepted all the time");
        assert!(messages(&server).is_empty());
    }
    let table = install.namespace.kubectl(&["get", "kmsg"], "").unwrap();
    assert!(table.contains("Withdrawn") && table.contains("False") && table.contains("True"), "{table}");

    install.publish("hello");
    eventually("devices get it again", || (messages(&server) == ["hello"]).then_some(()));
    install.namespace.kubectl(&["delete", "kmsg/hello"], "").unwrap();
    eventually("a removed one is withdrawn", || messages(&server).is_empty().then_some(()));
}

/// The status says so; a server whose clock has reached the day publishes it without a change of the object.
#[test]
fn a_message_of_a_later_day_is_scheduled() {
    let install = Install::new();
    let server = install.setup().start();
    let later = message("later", &json!({"date": "9998-12-31", "audience": {"modes": [""]}}));
    install.namespace.apply(&later.to_string()).unwrap();
    install.publish("hello");
    install.wait_for("Published", "hello");
    install.wait_for("Published=false", "later");
    assert_eq!(messages(&server), ["hello"]);
    let of = condition(&install.namespace.stored("kmsg/later"), "Published");
    assert_eq!(of["reason"], "Scheduled");
    assert!(of["message"].as_str().unwrap().starts_with("held back until 9998-12-31, "), "{of}");
    install.wait_for("Accepted", "later");
    said(&server, "kolibrimessage/later: date: 9998-12-31 is in the future");
}

/// What the schema cannot express (a length in UTF-16 units) is reported by a condition, and other messages are not affected.
#[test]
fn a_violation_that_the_schema_accepts_is_reported_by_a_condition() {
    let install = Install::new();
    let server = install.setup().start();
    let emoji = "\u{1f980}".repeat(300);
    let spec = json!({"translations": {"en": {"title": emoji, "message": "M"}}});
    install.namespace.apply(&message("crabs", &spec).to_string()).unwrap();
    install.publish("hello");
    install.wait_for("Published", "hello");
    install.wait_for("Accepted=false", "crabs");
    assert_eq!(messages(&server), ["hello"]);
    let of = condition(&install.namespace.stored("kmsg/crabs"), "Accepted");
    assert_eq!(of["reason"], "Invalid");
    assert_eq!(of["message"], "translations.en.title: has 600 characters, allowed are 500");
    said(&server, "kolibrimessage/crabs: translations.en.title: has 600 characters");
    assert_eq!(server.metric("nutritionfacts_messages_rejected").unwrap(), "1");
    install.publish("crabs");
    install.wait_for("Published", "crabs");
    eventually("fixed", || (messages(&server).len() == 2).then_some(()));
}

#[test]
fn objects_config_maps_and_files_form_one_catalogue() {
    let install = Install::new();
    let folder = tempfile::tempdir().unwrap();
    let document = |id: &str, title: &str| {
        format!("id: {id}\nstage: Active\ndate: 2026-11-01\ntranslations: {{en: {{title: {title}, message: M}}}}\n")
    };
    let file = folder.path().join("own.yaml");
    std::fs::write(&file, [document("from-a-file", "T"), document("in-both", "of the file")].join("---\n")).unwrap();
    install.apply_live(&[("config.yaml", ""), ("notes.txt", "x"), ("more.yaml", &document("from-a-map", "T"))]);
    install.publish("in-both");
    let server = install.setup().set(&format!("messages.files=[{}]", file.display())).start();
    eventually("all of them", || (messages(&server) == ["from-a-file", "from-a-map", "in-both"]).then_some(()));
    install.wait_for("Published", "in-both");
    said(&server, "document 2 (in-both): id: is already used by a message in kolibrimessage/in-both; use another one");
    install.namespace.kubectl(&["delete", "kmsg/in-both"], "").unwrap();
    let title = || {
        let reply = ping(&server).json();
        let of = |message: &Value| {
            message["i18n"]["en"]["title"] == "of the file" || message.to_string().contains("of the file")
        };
        reply["messages"].as_array().unwrap().iter().any(of)
    };
    eventually("without the object the file counts", || title().then_some(()));
    install.apply_live(&[("config.yaml", "")]);
    eventually("a removed key is withdrawn", || (messages(&server) == ["from-a-file", "in-both"]).then_some(()));
}

/// An invalid message in the ConfigMap is reported there.
#[test]
fn an_invalid_message_in_a_config_map_is_reported_by_an_event() {
    let install = Install::new();
    let server = install.setup().start();
    install.apply_live(&[("config.yaml", ""), ("m.yaml", "id: x\nstage: Actve\n---\nid: y\n")]);
    let event = eventually("there is an Event", || {
        let text = install.describe_live();
        text.lines().find(|line| line.contains("MessagesRejected")).map(str::to_owned)
    });
    assert!(event.contains("m.yaml:2: document 1 (x): stage: ") && event.contains("did you mean `Active`?"), "{event}");
    assert!(event.contains("(and ") && server.log.text().contains("document 2 (y)"), "{event}");
}

/// An object with the name of an earlier one also has its generation, and is checked separately.
#[test]
fn an_object_that_is_created_again_is_checked_again() {
    let install = Install::new();
    let _server = install.setup().start();
    install.publish("again");
    install.wait_for("Published", "again");
    for round in 0..3 {
        let crabs = json!({"translations": {"en": {"title": "\u{1f980}".repeat(300), "message": "M"}}});
        let (changes, accepted) = if round % 2 == 0 { (crabs, "False") } else { (json!({}), "True") };
        let object = message("again", &changes).to_string();
        install.namespace.kubectl(&["replace", "--force", "-f", "-"], &object).unwrap();
        let first = eventually("it is judged", || {
            let object = install.namespace.stored("kmsg/again");
            let of = condition(&object, "Accepted");
            of["status"].as_str().map(str::to_owned)
        });
        assert_eq!(first, accepted);
    }
}

/// Until the API server has answered, the messages of the snapshot in the store are used.
#[test]
fn a_start_without_the_api_server_withdraws_nothing() {
    let install = Install::new();
    let server = install.setup().start();
    install.publish("hello");
    install.wait_for("Published", "hello");
    install.unbind();
    let server = server.kill().start();
    watch(&server, "kolibrimessages", false);
    assert_eq!(messages(&server), ["hello"]);
    said(&server, "403: ");
    install.namespace.kubectl(&["delete", "kmsg/hello"], "").unwrap();
    install.bind();
    eventually("it learns of the removal", || messages(&server).is_empty().then_some(()));
}
