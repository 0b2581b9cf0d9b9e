//! What is collected from sources, also while some are unreadable.

use serde_json::json;

use super::*;
use crate::domain::message::Schedule;

fn document(id: &str, more: &str) -> String {
    format!("---\nid: {id}\nstage: Active\ndate: 2026-11-01\ntranslations: {{en: {{title: T, message: M}}}}\n{more}\n")
}

fn file(path: &str, ids: &[&str]) -> Part {
    Part::text(path, Ok(ids.iter().map(|id| document(id, "")).collect()))
}

fn source(path: &str, parts: Vec<Part>) -> Source {
    Source { path: path.into(), parts: Ok(parts) }
}

/// A file that is configured itself.
fn single(path: &str, ids: &[&str]) -> Source {
    source(path, vec![file(path, ids)])
}

fn unreadable(path: &str) -> Source {
    Source::unreadable(Path::new(path), "gone")
}

fn collect(sources: &[Source]) -> Collection {
    Collection::of(sources, &Collection::default())
}

fn ids(collection: &Collection) -> Vec<&str> {
    collection.messages().map(Message::id).collect()
}

#[test]
fn of_two_messages_with_the_same_id_the_first_wins() {
    let collection = collect(&[single("b.yaml", &["x", "y"]), single("a.yaml", &["z", "x"])]);
    assert_eq!(ids(&collection), ["z", "x", "y"]);
    assert_eq!(
        collection.rejected[0][0].to_string(),
        "a.yaml:8: document 2 (x): id: is already used by a message in b.yaml; use another one"
    );
    // Also if the first one is invalid.
    let broken = Part::text("a.yaml", Ok(document("x", "linkUrl: nowhere")));
    let collection = collect(&[source(".", vec![broken, file("b.yaml", &["x"])])]);
    assert!(ids(&collection).is_empty());
    assert_eq!(collection.rejected.len(), 2);
}

#[test]
fn an_object_precedes_a_file_and_gets_a_verdict() {
    let object = |name: &str, generation, spec: Value| Part {
        path: format!("kolibrimessage/{name}").into(),
        content: Ok(Content::Object { uid: "u".into(), generation, spec: spec.into() }),
    };
    let spec = json!({"stage": "Staged", "date": "2026-11-01", "translations": {"en": {"title": "T", "message": "M"}}});
    let objects = source("kolibrimessage", vec![object("x", 3, spec), object("y", 1, Value::Null)]);
    let collection = collect(&[objects, single("a.yaml", &["x", "y", "z"])]);
    assert_eq!(ids(&collection), ["z", "x"]);
    let schedule = Schedule { stage: Stage::Staged, date: "2026-11-01".parse().unwrap() };
    assert_eq!(collection.verdicts["x"], Verdict { uid: "u".into(), generation: 3, outcome: Ok(schedule) });
    let problem = "stage: is missing\ndate: is missing\ntranslations: is missing";
    assert_eq!(collection.verdicts["y"], Verdict { uid: "u".into(), generation: 1, outcome: Err(problem.into()) });
    let told: Vec<_> = collection.rejected.iter().flatten().map(ToString::to_string).collect();
    assert_eq!(told[0], "kolibrimessage/y: stage: is missing");
    assert_eq!(
        told[3],
        "a.yaml:2: document 1 (x): id: is already used by a message in kolibrimessage/x; use another one"
    );
    assert_eq!(told.len(), 5, "an invalid object does not activate an old copy: {told:?}");
}

#[test]
fn a_file_that_is_configured_twice_is_read_once() {
    let sources = [single("d/a.yaml", &["a"]), source("d", vec![file("d/a.yaml", &["a"]), file("d/b.yaml", &["b"])])];
    let collection = collect(&sources);
    assert_eq!((ids(&collection), collection.rejected.len()), (vec!["a", "b"], 0));
    let again = Collection::of(&[single("d/a.yaml", &["a"]), unreadable("d")], &collection);
    assert_eq!((ids(&again), again.rejected.len()), (vec!["a", "b"], 0));
}

#[test]
fn messages_in_unreadable_sources_are_not_withdrawn() {
    let before =
        collect(&[source("f", vec![file("f/a.yaml", &["a"]), file("f/b.yaml", &["b"])]), single("c.yaml", &["c"])]);
    let after = |sources: &[Source]| Collection::of(sources, &before);
    assert_eq!(ids(&after(&[unreadable("f"), single("c.yaml", &["d"])])), ["d", "a", "b"]);
    assert_eq!(after(&[unreadable("f")]).unreadable[0].to_string(), "f: cannot be read: gone");
    // A mistyped path.
    assert_eq!(ids(&after(&[unreadable("g"), single("c.yaml", &["c"])])), ["c", "a", "b"]);
    // A file of the folder: it may be the same one under a new name.
    let closed = Part::text("f/z.yaml", Err("permission denied".into()));
    assert_eq!(
        ids(&after(&[source("f", vec![closed, file("f/b.yaml", &["b"])]), single("c.yaml", &["c"])])),
        ["c", "a", "b"]
    );
    // An id that has moved is not sent twice.
    assert_eq!(ids(&after(&[unreadable("f"), single("c.yaml", &["a"])])), ["a", "b"]);
}

#[test]
fn messages_are_kept_until_the_api_server_answers() {
    let before = collect(&[single("kolibrimessage/a", &["a"]), single("old.yaml", &["b"]), single("c.yaml", &["c"])]);
    let unseen = Source { path: "kolibrimessage".into(), parts: Err(Unknown::Unseen) };
    let after = Collection::of(&[unseen.clone(), single("c.yaml", &["c"])], &before);
    assert_eq!((ids(&after), after.unreadable.len()), (vec!["c", "a"], 0));
    let after = Collection::of(&[unseen.clone(), unreadable("c.yaml")], &before);
    assert_eq!(ids(&after), ["c", "a", "b"]);
    let after = Collection::of(&[unseen, single("c.yaml", &["a", "c"])], &before);
    assert_eq!((ids(&after), after.rejected.len()), (vec!["c", "a"], 1), "an object precedes a file then too");
    // A ConfigMap may name further files.
    let unseen = Source { path: "configmap/live".into(), parts: Err(Unknown::Unseen) };
    assert_eq!(ids(&Collection::of(&[unseen, single("c.yaml", &["c"])], &before)), ["c", "a", "b"]);
}

#[test]
fn removed_messages_are_withdrawn() {
    let before =
        collect(&[source("f", vec![file("f/a.yaml", &["a"]), file("f/b.yaml", &["b"])]), single("c.yaml", &["c"])]);
    let after = |sources: &[Source]| Collection::of(sources, &before);
    assert_eq!(ids(&after(&[source("f", vec![file("f/b.yaml", &["b"])])])), ["b"]);
    assert!(ids(&after(&[])).is_empty());
    assert_eq!(ids(&after(&[single("new.yaml", &["n"])])), ["n"]);
    // Also while another source is unreadable.
    assert_eq!(ids(&after(&[source("f", vec![]), unreadable("c.yaml")])), ["c"]);
}

#[test]
fn a_snapshot_reads_back_as_it_was() {
    let before = collect(&[source("f", vec![file("f/a.yaml", &["a", "b"]), file("f/empty.yaml", &[])])]);
    let again = Collection::of_snapshot(&before.snapshot());
    assert_eq!(again.snapshot(), before.snapshot());
    assert_eq!(ids(&Collection::of(&[unreadable("f")], &again)), ["a", "b"]);
    for broken in ["", "{}", "[1]", r#"[{"path": "a", "messages": [{"id": "x"}]}]"#] {
        let collection = Collection::of_snapshot(broken);
        assert_eq!((ids(&collection).len(), collection.rejected.len()), (0, 1), "{broken}");
    }
}

#[test]
fn a_message_of_a_later_day_is_noted_and_counts_from_its_day() {
    let dated = |id: &str, stage: &str| document(id, "").replace("2026-11-01", "2026-12-24").replace("Active", stage);
    let text = [document("now", ""), dated("a", "Active"), dated("b", "Staged"), dated("c", "Withdrawn")].concat();
    let spec = json!({"stage": "Active", "date": "2027-01-01", "translations": {"en": {"title": "T", "message": "M"}}});
    let object = Part {
        path: "kolibrimessage/o".into(),
        content: Ok(Content::Object { uid: "u".into(), generation: 1, spec: spec.into() }),
    };
    let collection =
        collect(&[source("kolibrimessage", vec![object]), source("f.yaml", vec![Part::text("f.yaml", Ok(text))])]);
    let on = |day: &str| {
        let day = day.parse().unwrap();
        let notes: Vec<_> = collection.early(day).map(ToString::to_string).collect();
        (collection.active(day), notes)
    };
    let is = "is in the future; devices show only the newest message, so this one is held back until then";
    let notes = [
        format!("kolibrimessage/o: date: 2027-01-01 {is}"),
        format!("f.yaml:10: document 2 (a): date: 2026-12-24 {is}"),
    ];
    assert_eq!(on("2026-12-23"), (1, notes.to_vec()));
    assert_eq!(on("2026-12-24"), (2, notes[..1].to_vec()));
    // Not known anew when the file is readable again.
    let kept = Collection::of(&[unreadable("f.yaml"), unreadable("kolibrimessage")], &collection);
    assert_eq!(kept.early("2026-12-23".parse().unwrap()).count(), notes.len());
    assert_eq!(on("2027-01-01"), (3, vec![]));
}
