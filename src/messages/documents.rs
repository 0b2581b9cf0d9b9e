//! Parses a text of YAML documents into messages or errors with their lines.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::{
    config::yaml,
    domain::message::{Message, Problem},
};

/// One error of a message that is left out, or one note about a message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// The file.
    pub file: String,
    /// From 1; `None` if it concerns the whole file.
    pub line: Option<u64>,
    /// Number of the document in the file, from 1, and the message's id if it has one.
    pub document: Option<(usize, Option<String>)>,
    /// What is wrong and where in the message, and what to do about it.
    pub problem: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        self.line.iter().try_for_each(|line| write!(f, ":{line}"))?;
        match &self.document {
            Some((number, Some(id))) => write!(f, ": document {number} ({id})")?,
            Some((number, None)) => write!(f, ": document {number}")?,
            None => {}
        }
        write!(f, ": {}", self.problem)
    }
}

/// One document of a file.
pub(super) struct Document {
    /// From 1.
    pub(super) number: usize,
    /// Its first line in the file, from 1.
    pub(super) line: u64,
    /// The line of its date.
    pub(super) date_line: u64,
    /// Its id if readable, even if the message is invalid.
    pub(super) id: Option<String>,
    pub(super) message: Result<Message, Vec<Complaint>>,
}

/// Reads the documents of a text; skips documents without content.
pub(super) fn read(file: &str, text: &str) -> Vec<Document> {
    let parts = split(text).into_iter().enumerate();
    parts.filter_map(|(index, (line, text))| one(file, index + 1, line, text)).collect()
}

fn one(file: &str, number: usize, first_line: u64, text: &str) -> Option<Document> {
    let in_file = |line: u64| first_line + line.saturating_sub(1);
    let complaint = |id: Option<&str>, line: u64, problem: String| Complaint {
        file: file.to_owned(),
        line: Some(in_file(line)),
        document: Some((number, id.map(str::to_owned))),
        problem,
    };
    match yaml::tree(text) {
        Ok(Value::Null) => None,
        Ok(tree) => {
            let lines = Lines::of(text);
            let id = tree.get("id").and_then(Value::as_str).filter(|id| is_printable(id));
            let say = |problem: &Problem| complaint(id, lines.find(&problem.path), problem.to_string());
            let message = Message::read(&tree).map_err(|problems| problems.iter().map(say).collect());
            let (line, date_line) = (in_file(lines.find(&[])), in_file(lines.find(&["date".to_owned()])));
            Some(Document { number, line, date_line, id: id.map(str::to_owned), message })
        }
        Err(error) => {
            let line = error.place.map_or(1, |(line, _)| line);
            let remedy = if is_bare_range(text, line) { "; put the range in quotes" } else { "" };
            let message = Err(vec![complaint(None, line, error.problem + remedy)]);
            Some(Document { number, line: first_line, date_line: first_line, id: None, message })
        }
    }
}

/// Whether the line sets a range that YAML interprets as an alias (`*`) or folded text (`>`).
fn is_bare_range(text: &str, line: u64) -> bool {
    let line = usize::try_from(line).ok().and_then(|line| text.lines().nth(line - 1));
    line.and_then(|line| line.trim().strip_prefix("versionRange:"))
        .is_some_and(|value| value.trim_start().starts_with(['*', '>']))
}

/// Whether an id may be printed in a log line.
fn is_printable(id: &str) -> bool {
    id.len() <= 200 && !id.chars().any(char::is_control)
}

/// Splits a text at its document markers, so that an invalid document does not hide the others. A line that begins with
/// three hyphens and a space, or consists of three hyphens, is always a marker (YAML 1.2, 9.1.2).
fn split(text: &str) -> Vec<(u64, &str)> {
    let is_marker = |line: &str| {
        line.strip_prefix("---")
            .or_else(|| line.strip_prefix("..."))
            .is_some_and(|rest| rest.trim().is_empty() || rest.starts_with([' ', '\t']))
    };
    let (mut parts, mut from, mut from_line, mut at) = (Vec::new(), 0, 1, 0);
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        if is_marker(line) {
            parts.push((from_line, &text[from..at]));
            // Text after the marker belongs to the document.
            (from, from_line) = (at + 3, number);
        }
        at += line.len();
    }
    parts.push((from_line, &text[from..]));
    // Comments and directives (`%YAML 1.2`) are not documents.
    let is_content = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with(['#', '%']);
    let holds_something = |part: &&(u64, &str)| part.1.lines().any(is_content);
    parts.iter().filter(holds_something).copied().collect()
}

/// The lines of a document's values, for errors.
struct Lines(Option<Node>);

struct Node {
    line: u64,
    children: BTreeMap<String, Node>,
}

impl Lines {
    fn of(text: &str) -> Self {
        Self(serde_saphyr::from_str::<Spanned<Tree>>(text).ok().map(Into::into))
    }

    /// The line of a value, or of what contains it if it is missing; from 1.
    fn find(&self, path: &[String]) -> u64 {
        let Some(mut node) = self.0.as_ref() else { return 1 };
        for name in path {
            match node.children.get(name) {
                Some(child) => node = child,
                None => break,
            }
        }
        node.line
    }
}

impl From<Spanned<Tree>> for Node {
    fn from(tree: Spanned<Tree>) -> Self {
        Self { line: tree.referenced.line(), children: tree.value.0 }
    }
}

/// The children of a value, by key or index.
struct Tree(BTreeMap<String, Node>);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

macro_rules! scalars {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, _: $type) -> Result<Tree, E> {
            Ok(Tree(BTreeMap::new()))
        })*
    };
}

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    scalars!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128, visit_u128: u128, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree(BTreeMap::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut children = BTreeMap::new();
        while let Some(entry) = entries.next_element::<Spanned<Tree>>()? {
            children.insert(children.len().to_string(), entry.into());
        }
        Ok(Tree(children))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut children = BTreeMap::new();
        while let Some(name) = entries.next_key::<Spanned<String>>()? {
            // Users look for the line of the key; its value may be on the next one.
            let Spanned { value, referenced, .. } = name;
            let child: Spanned<Tree> = entries.next_value()?;
            children.insert(value, Node { line: referenced.line(), children: child.value.0 });
        }
        Ok(Tree(children))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "id: a\nstage: Active\ndate: 2026-11-01\ntranslations: {en: {title: T, message: M}}\n";

    fn complaints(text: &str) -> Vec<String> {
        let documents = read("f.yaml", text);
        documents.iter().filter_map(|one| one.message.as_ref().err()).flatten().map(ToString::to_string).collect()
    }

    fn places(text: &str) -> Vec<(usize, u64, bool)> {
        read("f.yaml", text).iter().map(|one| (one.number, one.line, one.message.is_ok())).collect()
    }

    #[test]
    fn a_text_has_one_or_many_documents() {
        assert_eq!(places(GOOD), [(1, 1, true)]);
        assert_eq!(
            places(&format!("# a comment\n---\n{GOOD}...\n---\n# nothing\n---\n\n{GOOD}")),
            [(1, 3, true), (2, 12, true)]
        );
        assert_eq!(places(&format!("\u{feff}{GOOD}")), [(1, 1, true)]);
        assert_eq!(places(&GOOD.replace('\n', "\r\n")), [(1, 1, true)]);
        assert_eq!(places(&format!("%YAML 1.2\n---\n{GOOD}")), [(1, 3, true)]);
        assert!(places("").is_empty() && places("---\n").is_empty() && places("# nothing\n").is_empty());
    }

    #[test]
    fn an_invalid_document_does_not_hide_the_others() {
        let text = format!("{GOOD}---\nid: [\n---\n{GOOD}");
        assert_eq!(places(&text), [(1, 1, true), (2, 5, false), (3, 8, true)]);
        let complaint = &complaints(&text)[0];
        assert!(complaint.ends_with(": document 2: this is not valid YAML"), "{complaint}");
    }

    #[test]
    fn errors_name_the_line() {
        let text = "\
id: a
stage: Active
date: 2026-11-01
---
id: b
stage: Actve
date: 2026-11-31
translations:
  en:
    title: T
  de:
    titel: T
    message:
      M
audience:
  networks:
    - 10.0.0.0/8
    - 10.0.0.1
";
        assert_eq!(
            complaints(text),
            [
                "f.yaml:1: document 1 (a): translations: is missing",
                "f.yaml:6: document 2 (b): stage: is not one of `Draft`, `Staged`, `Active`, `Withdrawn`; did you mean `Active`?",
                "f.yaml:7: document 2 (b): date: is not a date; write it as `2026-11-01`, without a time",
                "f.yaml:12: document 2 (b): translations.de.titel: is not a key of a message; did you mean `title`?",
                "f.yaml:11: document 2 (b): translations.de.title: is missing",
                "f.yaml:9: document 2 (b): translations.en.message: is missing",
                "f.yaml:18: document 2 (b): audience.networks.1: is not a network; write it as `10.0.0.0/8` or `2001:db8::/32`",
            ]
        );
    }

    #[test]
    fn common_yaml_mistakes_are_explained() {
        for range in ["*", ">=0.15.0", ">0.15.0,<0.16.0"] {
            let complaint = &complaints(&format!("id: a\nversionRange: {range}\n"))[0];
            assert_eq!(complaint, "f.yaml:2: document 1: this is not valid YAML; put the range in quotes", "{range}");
        }
        assert_eq!(complaints("id: a\nid: b\n"), ["f.yaml:2: document 1: the key `id` is set twice"]);
        assert!(complaints("- a\n")[0].starts_with("f.yaml:1: document 1: got a list"));
    }
}
