//! Unknown keys of a pingback: kept, under caps, so that a later Kolibri loses nothing (INTERFACE: "Reading a body").

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{json::Raw, text};

/// Unknown keys kept of one body.
const MAX_KEYS: usize = 64;
/// Bytes kept of one body, keys and values serialised.
const MAX_BYTES: usize = 16 * 1024;
/// A value whose text is longer is dropped unread: only white space could bring it under the cap.
const MAX_RAW: usize = 4 * MAX_BYTES;
/// Values within one value; bounds the memory of a tree.
const MAX_NODES: usize = MAX_BYTES;
/// Names listed of what was dropped, and their length in characters.
const MAX_DROPPED: usize = 64;
const MAX_NAME: usize = 100;

/// Collects unknown keys, first come, the last value of equal ones.
#[derive(Debug, Clone, Default)]
pub struct Unknown<'a> {
    kept: Vec<(Cow<'a, str>, Raw<'a>)>,
    dropped: Vec<String>,
}

impl<'a> Unknown<'a> {
    /// Takes note of one entry.
    pub fn add(&mut self, key: Cow<'a, str>, value: Raw<'a>) {
        if let Some(entry) = self.kept.iter_mut().find(|(name, _)| *name == key) {
            entry.1 = value;
        } else if self.kept.len() < MAX_KEYS && !["_cut", "_dropped"].contains(&&*key) {
            self.kept.push((key, value));
        } else {
            self.drop(key);
        }
    }

    /// What is kept, and the names of what is not.
    #[must_use]
    pub fn finish(mut self) -> (Map<String, Value>, Vec<String>) {
        let mut map = Map::new();
        let mut left = MAX_BYTES;
        for (key, value) in std::mem::take(&mut self.kept) {
            let tree = (value.as_str().len() <= MAX_RAW).then(|| value.tree(MAX_NODES)).flatten();
            match tree.map(|tree| (size(&key, &tree), tree)) {
                Some((size, tree)) if size <= left => {
                    left -= size;
                    map.insert(key.into_owned(), tree);
                }
                _ => self.drop(key),
            }
        }
        (map, self.dropped)
    }

    fn drop(&mut self, key: Cow<'_, str>) {
        note(&mut self.dropped, key);
    }
}

/// Drops what is over the cap again after the privacy rules: what stands for an address may be longer than it was (`::`).
pub fn fit(kept: &mut Map<String, Value>, dropped: &mut Vec<String>) {
    let mut left = MAX_BYTES;
    kept.retain(|key, value| {
        let size = size(key, value);
        let fits = size <= left;
        if fits {
            left -= size;
        } else {
            note(dropped, key.into());
        }
        fits
    });
}

/// Bytes of an entry in the column: escapes, quotes, colon and comma count too, so that all together stay under the cap.
fn size(key: &str, value: &Value) -> usize {
    Value::from(key).to_string().len() + value.to_string().len() + 2
}

/// Lists a key that is not kept.
fn note(dropped: &mut Vec<String>, key: Cow<'_, str>) {
    let (name, _) = text::cut(key, MAX_NAME);
    if dropped.len() < MAX_DROPPED && !dropped.contains(&name) {
        dropped.push(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::json::Entries;

    fn collect(body: &str) -> (Map<String, Value>, Vec<String>) {
        let mut unknown = Unknown::default();
        let mut entries = Entries::of_object(body).unwrap();
        while let Some((key, value)) = entries.next_entry().unwrap() {
            unknown.add(key, value);
        }
        unknown.finish()
    }

    #[test]
    fn keeps_the_first_keys_and_the_last_values() {
        let body: Vec<String> = (0..100).map(|index| format!("\"k{index}\": {index}")).collect();
        let (kept, dropped) = collect(&format!("{{{}, \"k3\": \"x\"}}", body.join(",")));
        assert_eq!((kept.len(), &kept["k3"], &kept["k63"]), (64, &Value::from("x"), &Value::from(63)));
        assert_eq!((dropped.len(), dropped[0].as_str()), (36, "k64"));
    }

    #[test]
    fn keeps_what_fits() {
        let big = "x".repeat(16 * 1024);
        let (kept, dropped) = collect(&format!(r#"{{"a": 1, "big": "{big}", "b": 2, "_cut": 3}}"#));
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(dropped, ["_cut", "big"]);
        let (kept, _) = collect(&format!(r#"{{"a": "{}"}}"#, "x".repeat(16 * 1024 - 7)));
        assert_eq!(kept.len(), 1);
    }

    /// Found by the fuzz target `pingback`.
    #[test]
    fn the_escapes_of_keys_count() {
        let (kept, dropped) = collect(&format!(r#"{{"{}": 1}}"#, "\\u0001".repeat(4000)));
        assert_eq!((kept.len(), dropped.len()), (0, 1));
    }

    #[test]
    fn what_has_grown_is_dropped() {
        let (mut kept, mut dropped) = collect(r#"{"a": 1, "b": "::", "c": 2}"#);
        kept["b"] = "x".repeat(16 * 1024).into();
        fit(&mut kept, &mut dropped);
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(dropped, ["b"]);
    }
}
