//! What names a request in logs and traces.

use std::{fmt, sync::Arc};

use tracing::Span;

use super::traces;

/// Longest id that is taken over from a request.
const MAX_ID: usize = 64;

/// Names one request; cheap to clone.
#[derive(Debug, Clone)]
pub struct Named {
    /// In log lines.
    pub id: RequestId,
    /// Its span, if it is traced.
    pub span: Span,
}

impl Named {
    /// The trace's id as a log line shows it.
    #[must_use]
    pub fn trace_id(&self) -> Option<tracing::field::DisplayValue<impl fmt::Display + use<>>> {
        traces::id(&self.span).map(tracing::field::display)
    }
}

/// The id of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestId {
    /// The sender's or its proxy's: at most 64 letters, digits and hyphens.
    Sent(Arc<str>),
    /// Made here, and only written out where it is shown.
    Made(u64),
}

impl RequestId {
    /// What was sent if it is short and plain, else a new one: a line of the log must not hold a stranger's text.
    #[must_use]
    pub fn new(sent: Option<&str>) -> Self {
        let is_plain = |id: &&str| {
            (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        sent.filter(is_plain).map_or_else(|| Self::Made(fastrand::u64(..)), |id| Self::Sent(id.into()))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(id) => f.write_str(id),
            Self::Made(id) => write!(f, "{id:016x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_short_and_plain_id_is_taken_over() {
        let longest = "a".repeat(MAX_ID);
        for sent in ["1", "5f3a-00C", &longest] {
            assert_eq!(RequestId::new(Some(sent)).to_string(), sent);
        }
        for sent in
            [None, Some(""), Some("a b"), Some("a_b"), Some("ä"), Some("a\u{1b}[31m"), Some(&format!("{longest}a"))]
        {
            let made = RequestId::new(sent);
            assert!(matches!(made, RequestId::Made(_)), "{sent:?}");
            assert_eq!(made.to_string().len(), 16);
        }
    }
}
