//! Reports of a kind that is not known here: a newer Kolibri sends them, and takes the 404 for an answer.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use axum::http::Method;

use crate::telemetry::metrics::Metrics;

/// Kinds that are told apart; all others are `other`.
const MOST: usize = 20;
/// Of a path, and of a part of it.
const PARTS: usize = 5;
const LENGTH: usize = 32;

/// Kinds that were seen.
#[derive(Debug, Default)]
pub struct Unknown(Mutex<BTreeSet<String>>);

impl Unknown {
    /// Counts what is posted below `/api/` to a path that nobody serves; the first of a kind is told.
    pub fn note(&self, method: &Method, path: &str, metrics: &Metrics) {
        let Some(rest) = path.strip_prefix("/api/").filter(|_| method == Method::POST) else { return };
        let kind = kind(rest);
        let (kind, is_new) = {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let is_new = !seen.contains(&kind) && seen.len() < MOST;
            let is_known = is_new || seen.contains(&kind);
            if is_new {
                seen.insert(kind.clone());
            }
            (if is_known { kind } else { "other".to_owned() }, is_new)
        };
        metrics.unknown_reports_total.with_label_values(&[&kind]).inc();
        if is_new {
            tracing::warn!(
                kind,
                "a report of a kind that is not known here was answered 404: does a newer Kolibri send it?"
            );
        }
    }
}

/// The path without what may be an identifier: parts that are words stay, others are `*`.
fn kind(rest: &str) -> String {
    let is_word = |part: &&str| {
        let letters = part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'-');
        let version = part.strip_prefix('v').is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit());
        !part.is_empty() && part.len() <= LENGTH && (letters || version)
    };
    let parts = rest.trim_end_matches('/').split('/').take(PARTS);
    let parts: Vec<_> = parts.map(|part| if is_word(&part) { part } else { "*" }).collect();
    format!("/api/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_holds_no_identifier() {
        for (path, expected) in [
            ("v1/errorreports", "/api/v1/errorreports"),
            ("v1/errorreports/", "/api/v1/errorreports"),
            ("v2/pingback", "/api/v2/pingback"),
            ("v1/facility/0190163d-8694-739b-aea5-966c26f8ad91/x", "/api/v1/facility/*/x"),
            ("v1/5f3a2b1c5f3a2b1c", "/api/v1/*"),
            ("v1/a%20b", "/api/v1/*"),
            ("v12/a//b/c/d/e/f", "/api/*/a/*/b/c"),
            ("", "/api/*"),
        ] {
            assert_eq!(kind(path), expected, "{path}");
        }
    }

    #[test]
    fn kinds_are_bounded() {
        let (unknown, metrics) = (Unknown::default(), Metrics::new());
        for first in 'a'..='z' {
            for _ in 0..2 {
                unknown.note(&Method::POST, &format!("/api/{first}"), &metrics);
            }
        }
        unknown.note(&Method::GET, "/api/v1/x", &metrics);
        unknown.note(&Method::POST, "/x", &metrics);
        let count = |kind: &str| metrics.unknown_reports_total.with_label_values(&[kind]).get();
        assert_eq!((count("/api/a"), count("/api/t"), count("other")), (2, 2, 12));
    }
}
