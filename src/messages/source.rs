//! Sources of messages, as they were last read.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;

/// Prefix of the paths of ConfigMaps.
pub(super) const CONFIG_MAPS: &str = "configmap";

/// A source of messages: a configured file or folder, a ConfigMap, or the objects in the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// As configured, or as `kubectl` writes it: `configmap/NAME`, `kolibrimessage`.
    pub path: PathBuf,
    /// Its content, if known.
    pub parts: Result<Vec<Part>, Unknown>,
}

/// Why the content of a source is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// It cannot be read.
    Unreadable(String),
    /// The API server has not answered about it since the start; the reason was logged.
    Unseen,
}

/// A file, a key of a ConfigMap, or an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The path of its source, or a path within it.
    pub path: PathBuf,
    /// Its content, or why it is unreadable.
    pub content: Result<Content, String>,
}

/// Content of a part.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// YAML documents.
    Text(String),
    /// One message, from the `spec` of an object; its id is the object's name.
    Object {
        /// Distinguishes the object from an earlier one of the same name.
        uid: String,
        /// Generation of the `spec`.
        generation: i64,
        /// The document without its id.
        spec: Arc<Value>,
    },
}

impl Source {
    /// An unreadable source.
    #[must_use]
    pub fn unreadable(path: &Path, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), parts: Err(Unknown::Unreadable(problem.into())) }
    }

    /// Whether its whole content is known, so that missing messages were removed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.parts.as_ref().is_ok_and(|parts| parts.iter().all(|part| part.content.is_ok()))
    }

    /// Whether it is a ConfigMap of unknown content, which may name other files.
    pub(super) fn may_name_others(&self) -> bool {
        self.parts == Err(Unknown::Unseen) && self.path.starts_with(CONFIG_MAPS)
    }
}

impl Part {
    /// A part with YAML documents, or why it is unreadable.
    #[must_use]
    pub fn text(path: impl Into<PathBuf>, text: Result<String, String>) -> Self {
        Self { path: path.into(), content: text.map(Content::Text) }
    }
}
