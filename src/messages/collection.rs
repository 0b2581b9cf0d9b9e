//! The messages of all sources together, each id once, and what was wrong with the others.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::Value;

use super::{
    catalogue::Catalogue,
    documents::{self, Complaint},
    files::File,
};
use crate::domain::message::{Message, Stage};

/// What the sources hold. A source that cannot be read keeps what it held before: silence is not withdrawal.
#[derive(Debug, Clone, Default)]
pub struct Collection {
    sources: BTreeMap<PathBuf, Vec<Message>>,
    /// Messages left out, each with all that is wrong with it.
    pub rejected: Vec<Vec<Complaint>>,
    /// Sources that cannot be read, and why.
    pub unreadable: Vec<Complaint>,
}

impl Collection {
    /// What the files hold now, after they held what is in `before`.
    #[must_use]
    pub fn of(files: &[File], before: &Self) -> Self {
        let mut collection = Self::default();
        let mut taken = BTreeMap::new();
        for File { path, text } in files {
            let name = path.display().to_string();
            match text {
                Ok(text) => {
                    let messages = documents::read(&name, text);
                    let messages = messages.into_iter().filter_map(|document| {
                        let documents::Document { number, line, message } = document;
                        match message {
                            Ok(message) => collection.first(message, number, line, &name, &mut taken),
                            Err(complaints) => {
                                collection.rejected.push(complaints);
                                None
                            }
                        }
                    });
                    let messages = messages.collect();
                    collection.sources.insert(path.clone(), messages);
                }
                Err(problem) => {
                    let problem = format!("cannot be read: {problem}");
                    collection.unreadable.push(Complaint { file: name, line: None, document: None, problem });
                    collection.keep(before, path, &mut taken);
                }
            }
        }
        collection
    }

    /// Of two messages with one id the first stays.
    fn first(
        &mut self,
        message: Message,
        number: usize,
        line: u64,
        file: &str,
        taken: &mut BTreeMap<String, String>,
    ) -> Option<Message> {
        if let Some(other) = taken.get(&message.id) {
            let problem = format!("id: is that of a message in {other}; give it another");
            let document = Some((number, Some(message.id)));
            self.rejected.push(vec![Complaint { file: file.to_owned(), line: Some(line), document, problem }]);
            return None;
        }
        taken.insert(message.id.clone(), file.to_owned());
        Some(message)
    }

    /// What a file, or the files of a folder, held before.
    fn keep(&mut self, before: &Self, path: &Path, taken: &mut BTreeMap<String, String>) {
        for (source, messages) in before.sources.iter().filter(|(source, _)| source.starts_with(path)) {
            let name = source.display().to_string();
            let fresh = |message: &&Message| taken.insert(message.id.clone(), name.clone()).is_none();
            let messages = messages.iter().filter(fresh).cloned().collect();
            self.sources.insert(source.clone(), messages);
        }
    }

    /// Every message, whatever its stage.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.sources.values().flatten()
    }

    /// How many are sent to whoever they are for.
    #[must_use]
    pub fn active(&self) -> usize {
        self.messages().filter(|message| message.stage == Stage::Active).count()
    }

    /// What is sent.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue {
        Catalogue::new(self.messages())
    }

    /// As the store remembers it.
    #[must_use]
    pub fn snapshot(&self) -> String {
        let sources = self.sources.iter().map(|(path, messages)| Source { path, messages });
        // Texts only; paths come from UTF-8 text or are shown as such.
        serde_json::to_string(&sources.collect::<Vec<_>>()).unwrap_or_else(|_| "[]".into())
    }

    /// Of what the store remembers. What this version no longer understands is left out: it may be of another one.
    #[must_use]
    pub fn of_snapshot(text: &str) -> Self {
        let sources: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
        let source = |source: &Value| {
            let path = PathBuf::from(source["path"].as_str()?);
            let messages = source["messages"].as_array()?.iter().filter_map(|document| Message::read(document).ok());
            Some((path, messages.collect()))
        };
        Self { sources: sources.iter().filter_map(source).collect(), ..Self::default() }
    }
}

#[derive(Serialize)]
struct Source<'a> {
    path: &'a Path,
    messages: &'a [Message],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, ids: &[&str]) -> File {
        let document = |id: &&str| {
            format!("---\nid: {id}\nstage: Active\ndate: 2026-11-01\ntranslations: {{en: {{title: T, message: M}}}}\n")
        };
        File { path: path.into(), text: Ok(ids.iter().map(document).collect()) }
    }

    fn unreadable(path: &str) -> File {
        File { path: path.into(), text: Err("gone".into()) }
    }

    fn ids(collection: &Collection) -> Vec<&str> {
        collection.messages().map(|message| message.id.as_str()).collect()
    }

    #[test]
    fn the_first_of_two_with_one_id_stays() {
        let files = [file("b.yaml", &["x", "y"]), file("a.yaml", &["z", "x"])];
        let collection = Collection::of(&files, &Collection::default());
        assert_eq!(ids(&collection), ["z", "x", "y"]);
        assert_eq!(
            collection.rejected[0][0].to_string(),
            "a.yaml:7: document 2 (x): id: is that of a message in b.yaml; give it another"
        );
    }

    #[test]
    fn what_cannot_be_read_keeps_what_it_held() {
        let before = Collection::of(
            &[file("f/a.yaml", &["a"]), file("f/b.yaml", &["b"]), file("c.yaml", &["c"])],
            &Collection::default(),
        );
        let one = Collection::of(&[unreadable("f/a.yaml"), file("f/b.yaml", &[]), file("c.yaml", &["c"])], &before);
        assert_eq!(ids(&one), ["c", "a"]);
        assert_eq!(one.unreadable[0].to_string(), "f/a.yaml: cannot be read: gone");
        let folder = Collection::of(&[unreadable("f"), file("c.yaml", &["d"])], &before);
        assert_eq!(ids(&folder), ["d", "a", "b"]);
        // What has been removed is withdrawn.
        assert_eq!(ids(&Collection::of(&[file("c.yaml", &["c"])], &before)), ["c"]);
    }

    #[test]
    fn the_store_gives_back_what_it_was_given() {
        let before = Collection::of(&[file("f/a.yaml", &["a", "b"]), file("empty.yaml", &[])], &Collection::default());
        let again = Collection::of_snapshot(&before.snapshot());
        assert_eq!(again.snapshot(), before.snapshot());
        assert_eq!(ids(&Collection::of(&[unreadable("f")], &again)), ["a", "b"]);
        for broken in ["", "{}", "[1]", r#"[{"path": "a", "messages": [{"id": "x"}]}]"#] {
            assert!(ids(&Collection::of_snapshot(broken)).is_empty(), "{broken}");
        }
    }
}
