//! The messages of all sources, each id once, and the errors of the others.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use chrono::NaiveDate;
use serde::Serialize;
use serde_json::Value;

use super::{
    catalogue::Catalogue,
    documents::{self, Complaint, Document},
    source::{Content, Part, Source, Unknown},
    watched::{Verdict, Verdicts},
};
use crate::domain::message::{Message, Stage};

/// The content of the sources. While one of them is unreadable, messages that are not found do not count as removed
/// (docs/decisions/0045-silence-is-not-withdrawal.md).
#[derive(Debug, Clone, Default)]
pub struct Collection {
    files: BTreeMap<PathBuf, Vec<Message>>,
    /// Messages left out, each with all its errors.
    pub rejected: Vec<Vec<Complaint>>,
    /// Unreadable files and folders, and why.
    pub unreadable: Vec<Complaint>,
    /// For each active message, its date, and what to say while that is in the future.
    dated: Vec<(NaiveDate, Complaint)>,
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
            .map(Message::schedule)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        self.verdicts.insert(id.to_owned(), Verdict { uid: uid.to_owned(), generation, outcome });
        let complaint = |problem| Complaint { file: file.to_owned(), line: None, document: None, problem };
        match message {
            Ok(message) => {
                self.note_date(&message, complaint);
                Some(message)
            }
            Err(problems) => {
                self.rejected.push(problems.iter().map(|problem| complaint(problem.to_string())).collect());
                None
            }
        }
    }

    fn note_date(&mut self, message: &Message, complaint: impl Fn(String) -> Complaint) {
        let date = message.date();
        // Testers get a staged message at once, and nobody gets a draft.
        if message.stage() == Stage::Active {
            let note = format!(
                "date: {date} is in the future; devices show only the newest message, so this one is held back until then"
            );
            self.dated.push((date, complaint(note)));
        }
    }

    fn cannot_read(&mut self, path: &Path, problem: &str) {
        let (file, problem) = (path.display().to_string(), format!("cannot be read: {problem}"));
        self.unreadable.push(Complaint { file, line: None, document: None, problem });
    }

    /// Of two messages with one id the first one wins, even if it is invalid: an old copy in a later file
    /// must not become active because of a typing error.
    fn accept(&mut self, document: Document, file: &str, taken: &mut Taken) -> Option<Message> {
        let Document { number, line, date_line, id, message } = document;
        let complaint = |line, problem| {
            let document = Some((number, id.clone()));
            Complaint { file: file.to_owned(), line: Some(line), document, problem }
        };
        if let Some(id) = &id {
            if let Some(other) = taken.get(id) {
                let problem = format!("id: is already used by a message in {other}; use another one");
                self.rejected.push(vec![complaint(line, problem)]);
                return None;
            }
            taken.insert(id.clone(), file.to_owned());
        }
        let message = message.map_err(|complaints| self.rejected.push(complaints)).ok()?;
        self.note_date(&message, |note| complaint(date_line, note));
        Some(message)
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
            self.dated.extend(before.dated.iter().filter(|(_, note)| note.file == file).cloned());
        }
    }

    /// All messages of any stage.
    pub fn messages(&self) -> impl Iterator<Item = &Message> {
        self.files.values().flatten()
    }

    /// Number of messages that are sent to their whole audience on this day.
    #[must_use]
    pub fn active(&self, today: NaiveDate) -> usize {
        self.messages().filter(|message| message.schedule().is_sent(today)).count()
    }

    /// Notes about messages of a later day.
    pub fn early(&self, today: NaiveDate) -> impl Iterator<Item = &Complaint> {
        self.dated.iter().filter(move |(date, _)| *date > today).map(|(_, note)| note)
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
mod tests;
