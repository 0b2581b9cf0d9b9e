//! Checks all layers against the schema: collects what each sets, and all errors.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    complaint::{Complaint, printable},
    layer::Layer,
    path::{Path, Step},
    schema::{Key, join},
    value::check,
};
use crate::domain::wording::nearest;

/// The last valid value of each key, and the layer that set it.
pub(super) type Set = BTreeMap<String, (Value, String)>;

/// Results of the check.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) set: Set,
    /// Valid values of keys that need a restart, in layers that are followed and so may not set them.
    pub(super) misplaced: Set,
    pub(super) complaints: Vec<Complaint>,
    /// Keys that were set to an invalid value.
    pub(super) doubtful: BTreeSet<String>,
    /// Whether the content of a whole layer is unknown.
    pub(super) blind: bool,
}

impl Walk {
    /// Adds a layer that overrides those before.
    pub(super) fn layer(&mut self, layer: &Layer, values: &Value) {
        self.node(layer, Key::root(), &Path::default(), values);
    }

    fn node(&mut self, layer: &Layer, key: Key<'_>, path: &Path<'_>, value: &Value) {
        match (value, key.properties()) {
            // `http:` with all its keys commented out. An empty list item is no section, but an error.
            (Value::Null, Some(_)) if !path.in_list() => {}
            (Value::Object(values), Some(properties)) => {
                for (name, value) in values {
                    match key.property(name) {
                        Some(below) => self.node(layer, below, &path.down(Step::Key(name)), value),
                        None => self.unknown(layer, properties, path, name),
                    }
                }
            }
            _ => self.leaf(layer, key, path, value),
        }
    }

    fn leaf(&mut self, layer: &Layer, key: Key<'_>, path: &Path<'_>, value: &Value) {
        let before = self.complaints.len();
        match (value, key.items()) {
            (Value::Array(values), Some(items)) => {
                for (index, value) in values.iter().enumerate() {
                    self.node(layer, items, &path.down(Step::Item(index)), value);
                }
            }
            _ => {
                if let Err(complaint) = check(layer, key, path, value) {
                    self.complaints.push(complaint);
                }
            }
        }
        if path.in_list() {
            return; // the key is the whole list
        }
        let path = path.to_string();
        if self.complaints.len() == before {
            let set = if layer.may_set(key) { &mut self.set } else { &mut self.misplaced };
            set.insert(path, (value.clone(), layer.name.clone()));
        } else {
            self.doubtful.insert(path);
        }
    }

    fn unknown(&mut self, layer: &Layer, known: &Map<String, Value>, path: &Path<'_>, name: &str) {
        let at = path.to_string();
        let complaint = Complaint::new(&layer.name, join(&at, printable(name)), "unknown key");
        let remedy = if let Some(meant) = nearest(name, known.keys().map(String::as_str)) {
            self.doubtful.insert(join(&at, meant));
            let meant = if path.in_list() { meant.to_owned() } else { layer.spell(&join(&at, meant)) };
            format!("did you mean `{meant}`?")
        } else {
            let names: Vec<_> = known.keys().map(|name| format!("`{name}`")).collect();
            format!("known here: {}", names.join(", "))
        };
        self.complaints.push(complaint.remedy(remedy));
    }
}
