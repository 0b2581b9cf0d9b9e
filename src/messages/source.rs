//! Where messages come from, as it was last seen.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;

/// What the paths of ConfigMaps begin with.
pub(super) const CONFIG_MAPS: &str = "configmap";

/// A place that holds messages: a configured file or folder, a ConfigMap, or the objects in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// As configured, or as `kubectl` writes it: `configmap/NAME`, `kolibrimessage`.
    pub path: PathBuf,
    /// All that it holds, as far as that is known.
    pub parts: Result<Vec<Part>, Unknown>,
}

/// Why it is not known what a source holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// It cannot be read.
    Unreadable(String),
    /// The API server has not told of it since the start; whoever follows it has said why.
    Unseen,
}

/// A file, a key of a ConfigMap, or an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// That of its source, or below it.
    pub path: PathBuf,
    /// What it says, or why it cannot be read.
    pub content: Result<Content, String>,
}

/// What a part of a source says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Documents of YAML.
    Text(String),
    /// One message, as the `spec` of an object; its id is the object's name.
    Object {
        /// Tells the object from an earlier one of its name.
        uid: String,
        /// Of the `spec`, as Kubernetes counts.
        generation: i64,
        /// The document without its id.
        spec: Arc<Value>,
    },
}

impl Source {
    /// What cannot be read.
    #[must_use]
    pub fn unreadable(path: &Path, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), parts: Err(Unknown::Unreadable(problem.into())) }
    }

    /// Whether all is known that it holds, so that what is not there has been removed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.parts.as_ref().is_ok_and(|parts| parts.iter().all(|part| part.content.is_ok()))
    }

    /// Whether it is a ConfigMap of which nothing is known: it may name further files.
    pub(super) fn may_name_others(&self) -> bool {
        self.parts == Err(Unknown::Unseen) && self.path.starts_with(CONFIG_MAPS)
    }
}

impl Part {
    /// Documents of YAML, or why they cannot be read.
    #[must_use]
    pub fn text(path: impl Into<PathBuf>, text: Result<String, String>) -> Self {
        Self { path: path.into(), content: text.map(Content::Text) }
    }
}
