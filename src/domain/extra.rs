//! Unknown keys: kept, under caps, so that nothing of a later Kolibri is lost (docs/protocol.md, 14.5).

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{json::Raw, privacy::Privacy, text};

/// Unknown keys kept of one object.
const MAX_KEYS: usize = 64;
/// Bytes kept of one object, keys and values serialised.
pub const MAX_BYTES: usize = 16 * 1024;
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

    /// How many there are, of those beyond the caps as many as are listed.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.kept.len() + self.dropped.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is kept, `most` bytes of it at most, without what the privacy rules forbid; and the names of the others.
    #[must_use]
    pub fn keep(self, most: usize, privacy: &Privacy) -> (Map<String, Value>, Vec<String>) {
        if self.is_empty() {
            return (Map::new(), Vec::new());
        }
        let most = most.min(MAX_BYTES);
        let (mut kept, mut dropped) = self.read(most);
        privacy.unknown_keys(&mut kept);
        // What stands for an address may be longer than it was (`::`).
        fit(&mut kept, &mut dropped, most);
        (kept, dropped)
    }

    fn read(mut self, most: usize) -> (Map<String, Value>, Vec<String>) {
        let mut map = Map::new();
        let mut left = most;
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

/// The column, a JSON object (its text): what is kept, which texts were cut, and which keys are not kept.
#[must_use]
pub fn column(mut kept: Map<String, Value>, cut: &[&str], dropped: Vec<String>) -> Cow<'static, str> {
    if !cut.is_empty() {
        kept.insert("_cut".into(), cut.into());
    }
    if !dropped.is_empty() {
        kept.insert("_dropped".into(), dropped.into());
    }
    if kept.is_empty() { "{}".into() } else { Value::Object(kept).to_string().into() }
}

fn fit(kept: &mut Map<String, Value>, dropped: &mut Vec<String>, most: usize) {
    let mut left = most;
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

/// Lists a key that is not kept, if there is room.
pub fn note(dropped: &mut Vec<String>, key: Cow<'_, str>) {
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
        unknown.read(MAX_BYTES)
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
        fit(&mut kept, &mut dropped, MAX_BYTES);
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(dropped, ["b"]);
    }
}
