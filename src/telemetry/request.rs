//! The identity of a request in logs and traces.

use std::{fmt, sync::Arc};

use tracing::Span;

use super::traces;

/// Longest id that is accepted from a request.
const MAX_ID: usize = 64;

/// Identifies one request; cheap to clone.
#[derive(Debug, Clone)]
pub struct Named {
    /// The id in log lines.
    pub id: RequestId,
    /// Its span, if it is traced.
    pub span: Span,
}

impl Named {
    /// The trace id for log lines.
    #[must_use]
    pub fn trace_id(&self) -> Option<tracing::field::DisplayValue<impl fmt::Display + use<>>> {
        traces::id(&self.span).map(tracing::field::display)
    }
}

/// The id of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestId {
    /// From the client or its proxy: at most 64 letters, digits and hyphens.
    Sent(Arc<str>),
    /// Generated here, and formatted only where it is shown.
    Made(u64),
}

impl RequestId {
    /// Takes the id from the request if it is short and plain, otherwise a new one: log lines must not contain untrusted text.
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
    fn only_a_short_and_plain_id_is_accepted() {
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
