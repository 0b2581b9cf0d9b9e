//! Unknown keys: stored within limits, so that no data of later Kolibri versions is lost (docs/protocol.md, 14.5).

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{json::Raw, privacy::Privacy, text};

/// Largest number of unknown keys that are stored per object.
const MAX_KEYS: usize = 64;
/// Largest size of these, in bytes of serialised keys and values.
pub const MAX_BYTES: usize = 16 * 1024;
/// Longer values are dropped unread: only whitespace could bring them under the limit.
const MAX_RAW: usize = 4 * MAX_BYTES;
/// Largest number of values within one value; limits the memory of a tree.
const MAX_NODES: usize = MAX_BYTES;
/// Largest number of listed names of dropped keys, and their length in characters.
const MAX_DROPPED: usize = 64;
const MAX_NAME: usize = 100;

/// Collects unknown keys: the first ones, and the last value of duplicates.
#[derive(Debug, Clone, Default)]
pub struct Unknown<'a> {
    kept: Vec<(Cow<'a, str>, Raw<'a>)>,
    dropped: Vec<String>,
}

impl<'a> Unknown<'a> {
    /// Adds one entry.
    pub fn add(&mut self, key: Cow<'a, str>, value: Raw<'a>) {
        if let Some(entry) = self.kept.iter_mut().find(|(name, _)| *name == key) {
            entry.1 = value;
        } else if self.kept.len() < MAX_KEYS && !["_cut", "_dropped"].contains(&&*key) {
            self.kept.push((key, value));
        } else {
            self.drop(key);
        }
    }

    /// Number of keys; of those beyond the limits, only the listed ones are counted.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.kept.len() + self.dropped.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns what is stored, at most `most` bytes and without what the privacy rules forbid, and the names of dropped keys.
    #[must_use]
    pub fn keep(self, most: usize, privacy: &Privacy) -> (Map<String, Value>, Vec<String>) {
        if self.is_empty() {
            return (Map::new(), Vec::new());
        }
        let most = most.min(MAX_BYTES);
        let (mut kept, mut dropped) = self.read(most);
        privacy.unknown_keys(&mut kept);
        // The replacement of an address may be longer than the address (`::`).
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

/// The column, a JSON object (its text): stored keys, names of cut texts, and names of dropped keys.
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

/// Bytes of an entry in the column, including escapes, quotes, colon and comma, so that all entries stay under the limit.
fn size(key: &str, value: &Value) -> usize {
    Value::from(key).to_string().len() + value.to_string().len() + 2
}

/// Lists a dropped key, if there is room.
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
    fn the_first_keys_and_their_last_values_are_kept() {
        let body: Vec<String> = (0..100).map(|index| format!("\"k{index}\": {index}")).collect();
        let (kept, dropped) = collect(&format!("{{{}, \"k3\": \"x\"}}", body.join(",")));
        assert_eq!((kept.len(), &kept["k3"], &kept["k63"]), (64, &Value::from("x"), &Value::from(63)));
        assert_eq!((dropped.len(), dropped[0].as_str()), (36, "k64"));
    }

    #[test]
    fn values_that_fit_are_kept() {
        let big = "x".repeat(16 * 1024);
        let (kept, dropped) = collect(&format!(r#"{{"a": 1, "big": "{big}", "b": 2, "_cut": 3}}"#));
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(dropped, ["_cut", "big"]);
        let (kept, _) = collect(&format!(r#"{{"a": "{}"}}"#, "x".repeat(16 * 1024 - 7)));
        assert_eq!(kept.len(), 1);
    }

    /// Found by the fuzz target `pingback`.
    #[test]
    fn escapes_in_keys_count_towards_the_limit() {
        let (kept, dropped) = collect(&format!(r#"{{"{}": 1}}"#, "\\u0001".repeat(4000)));
        assert_eq!((kept.len(), dropped.len()), (0, 1));
    }

    #[test]
    fn a_value_that_has_grown_over_the_limit_is_dropped() {
        let (mut kept, mut dropped) = collect(r#"{"a": 1, "b": "::", "c": 2}"#);
        kept["b"] = "x".repeat(16 * 1024).into();
        fit(&mut kept, &mut dropped, MAX_BYTES);
        assert_eq!(kept.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(dropped, ["b"]);
    }
}
