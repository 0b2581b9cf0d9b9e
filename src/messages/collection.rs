//! The messages of all sources, each id once, and the errors of the others.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::Value;

use super::{
    catalogue::Catalogue,
    documents::{self, Complaint, Document},
    source::{Content, Part, Source, Unknown},
    watched::{Verdict, Verdicts},
};
use crate::domain::message::{Message, Problem, Stage};

/// The content of the sources. While one of them is unreadable, messages that are not found do not count as removed
/// (docs/decisions/0045-silence-is-not-withdrawal.md).
#[derive(Debug, Clone, Default)]
pub struct Collection {
    files: BTreeMap<PathBuf, Vec<Message>>,
    /// Messages left out, each with all its errors.
    pub rejected: Vec<Vec<Complaint>>,
    /// Unreadable files and folders, and why.
    pub unreadable: Vec<Complaint>,
    /// The verdicts on objects in the cluster.
    pub verdicts: Verdicts,
}

/// Ids, and the file that had each one first.
type Taken = BTreeMap<String, String>;

impl Collection {
    /// The current content of the sources, given the previous collection.
    #[must_use]
    pub fn of(sources: &[Source], before: &Self) -> Self {
        let (mut collection, mut taken) = (Self::default(), Taken::new());
        for source in sources {
            match &source.parts {
                Ok(parts) => parts.iter().for_each(|part| collection.read(part, &mut taken)),
                Err(Unknown::Unreadable(problem)) => collection.cannot_read(&source.path, problem),
                // Keeps its position, so that no file after it replaces it.
                Err(Unknown::Unseen) => collection.keep(before, &mut taken, |path| path.starts_with(&source.path)),
            }
        }
        let is_complete = |path: &Path| {
            let mut above = sources.iter().filter(|source| path.starts_with(&source.path));
            above.any(Source::is_complete)
        };
        if !collection.unreadable.is_empty() || sources.iter().any(Source::may_name_others) {
            collection.keep(before, &mut taken, |path| !is_complete(path));
        }
        collection
    }

    fn read(&mut self, Part { path, content }: &Part, taken: &mut Taken) {
        let name = path.display().to_string();
        let messages = match content {
            Err(problem) => return self.cannot_read(path, problem),
            // A file may be configured itself and be in a configured folder.
            Ok(_) if self.files.contains_key(path) => return,
            Ok(Content::Text(text)) => {
                let documents = documents::read(&name, text).into_iter();
                documents.filter_map(|document| self.accept(document, &name, taken)).collect()
            }
            Ok(Content::Object { uid, generation, spec }) => {
                let id = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                taken.insert(id.clone(), name.clone());
                self.object(&id, uid, *generation, spec, &name).into_iter().collect()
            }
        };
        self.files.insert(path.clone(), messages);
    }

    fn object(&mut self, id: &str, uid: &str, generation: i64, spec: &Value, file: &str) -> Option<Message> {
        let mut document = spec.as_object().cloned().unwrap_or_default();
        document.insert("id".into(), id.into());
        let message = Message::read(&document.into());
        let outcome = message
            .as_ref()
            .map(Message::stage)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        self.verdicts.insert(id.to_owned(), Verdict { uid: uid.to_owned(), generation, outcome });
        let complaint = |problem: &Problem| Complaint {
            file: file.to_owned(),
            line: None,
            document: None,
            problem: problem.to_string(),
        };
        message.map_err(|problems| self.rejected.push(problems.iter().map(complaint).collect())).ok()
    }

    fn cannot_read(&mut self, path: &Path, problem: &str) {
        let (file, problem) = (path.display().to_string(), format!("cannot be read: {problem}"));
        self.unreadable.push(Complaint { file, line: None, document: None, problem });
    }

    /// Of two messages with one id the first one wins, even if it is invalid: an old copy in a later file
    /// must not become active because of a typing error.
    fn accept(&mut self, document: Document, file: &str, taken: &mut Taken) -> Option<Message> {
        let Document { number, line, id, message } = document;
        if let Some(id) = id {
            if let Some(other) = taken.get(&id) {
                let problem = format!("id: is already used by a message in {other}; use another one");
                let document = Some((number, Some(id)));
                self.rejected.push(vec![Complaint { file: file.to_owned(), line: Some(line), document, problem }]);
                return None;
            }
            taken.insert(id, file.to_owned());
        }
        message.map_err(|complaints| self.rejected.push(complaints)).ok()
    }

    /// Keeps previous files that are not visible now: in unreadable sources; or in no source, because a path may be mistyped.
    fn keep(&mut self, before: &Self, taken: &mut Taken, is_out_of_sight: impl Fn(&Path) -> bool) {
        for (path, messages) in &before.files {
            if !is_out_of_sight(path) || self.files.contains_key(path) {
                continue;
            }
            let file = path.display().to_string();
            let fresh = |message: &&Message| taken.insert(message.id().to_owned(), file.clone()).is_none();
            let messages = messages.iter().filter(fresh).cloned().collect();
            self.files.insert(path.clone(), messages);
        }
    }

    /// All messages of any stage.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.files.values().flatten()
    }

    /// Number of messages that are sent to their whole audience.
    #[must_use]
    pub fn active(&self) -> usize {
        self.messages().filter(|message| message.stage() == Stage::Active).count()
    }

    /// The messages to send.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue {
        Catalogue::new(self.messages())
    }

    /// As saved in the store.
    pub(super) fn snapshot(&self) -> String {
        let files = self.files.iter().map(|(path, messages)| Remembered { path: path.display().to_string(), messages });
        // Texts only, with keys that are texts.
        serde_json::to_string(&files.collect::<Vec<_>>()).expect("texts have a JSON form")
    }

    /// From the store. Messages that this version rejects are left out and listed in `rejected`.
    pub(super) fn of_snapshot(text: &str) -> Self {
        let mut collection = Self::default();
        let complaint = |problem: &str| {
            vec![Complaint { file: "the store".into(), line: None, document: None, problem: problem.into() }]
        };
        let Ok(files) = serde_json::from_str::<Vec<Value>>(text) else {
            collection.rejected.push(complaint("the saved messages cannot be read"));
            return collection;
        };
        for file in &files {
            let (Some(path), Some(documents)) = (file["path"].as_str(), file["messages"].as_array()) else {
                collection.rejected.push(complaint("a saved file of messages cannot be read"));
                continue;
            };
            let mut messages = Vec::new();
            for document in documents {
                match Message::read(document) {
                    Ok(message) => messages.push(message),
                    Err(_) => collection.rejected.push(complaint("a saved message violates a rule")),
                }
            }
            collection.files.insert(path.into(), messages);
        }
        collection
    }
}

#[derive(Serialize)]
struct Remembered<'a> {
    path: String,
    messages: &'a [Message],
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(id: &str, more: &str) -> String {
        format!(
            "---\nid: {id}\nstage: Active\ndate: 2026-11-01\ntranslations: {{en: {{title: T, message: M}}}}\n{more}\n"
        )
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
        let spec =
            json!({"stage": "Staged", "date": "2026-11-01", "translations": {"en": {"title": "T", "message": "M"}}});
        let objects = source("kolibrimessage", vec![object("x", 3, spec), object("y", 1, Value::Null)]);
        let collection = collect(&[objects, single("a.yaml", &["x", "y", "z"])]);
        assert_eq!(ids(&collection), ["z", "x"]);
        assert_eq!(collection.verdicts["x"], Verdict { uid: "u".into(), generation: 3, outcome: Ok(Stage::Staged) });
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
        let sources =
            [single("d/a.yaml", &["a"]), source("d", vec![file("d/a.yaml", &["a"]), file("d/b.yaml", &["b"])])];
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
        let before =
            collect(&[single("kolibrimessage/a", &["a"]), single("old.yaml", &["b"]), single("c.yaml", &["c"])]);
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
}
