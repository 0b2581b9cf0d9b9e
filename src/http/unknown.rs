//! Reports of an unknown kind: a newer Kolibri sends them and accepts the 404.

use axum::http::Method;

use crate::telemetry::{metrics::Metrics, storm::Storm};

/// Logs them.
#[derive(Debug, Default)]
pub struct Unknown(Storm);

impl Unknown {
    /// Counts requests below `/api/` to unknown paths; logs the first, then only their number.
    pub fn note(&self, method: &Method, path: &str, metrics: &Metrics) {
        let Some(rest) = path.strip_prefix("/api/").filter(|_| method == Method::POST) else { return };
        let kind = kind(rest);
        metrics.unknown_reports_total.with_label_values(&[kind]).inc();
        if kind != "scan" && self.0.begins(|count| tracing::warn!(count, "more reports of an unknown kind")) {
            // A second segment may be a person's name.
            let path = (kind == "error_report" || rest.trim_end_matches('/').matches('/').count() == 1).then_some(path);
            tracing::warn!(kind, path, "a report of an unknown kind was answered 404: does a newer Kolibri send it?");
        }
    }
}

/// Returns the kind: `v1/word` and `v1/word/word` are reports, everything else is a scan.
fn kind(rest: &str) -> &'static str {
    let (version, name) = rest.strip_suffix('/').unwrap_or(rest).split_once('/').unwrap_or_default();
    let is_version = matches!(version.as_bytes(), [b'v', digit] if digit.is_ascii_digit());
    let is_word = |word: &str| {
        (1..=32).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    if !is_version || name.split('/').count() > 2 || !name.split('/').all(is_word) {
        return "scan";
    }
    // A path of a coming Kolibri version, and an earlier draft of it.
    if ["errors/report", "errorreports"].contains(&name) { "error_report" } else { "other" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::metrics::UNKNOWN_KINDS;

    #[test]
    fn the_kinds_of_unknown_reports_are_a_fixed_list() {
        for (path, expected) in [
            ("v1/errors/report/", "error_report"),
            ("v2/errorreports/", "error_report"),
            ("v1/errors/report/list", "scan"),
            ("v1/errors//", "scan"),
            ("v1", "scan"),
            ("v2/pingback", "other"),
            ("v1/survey_results", "other"),
            ("v1/facility/0190163d-8694-739b-aea5-966c26f8ad91", "scan"),
            ("v1/5f3a2b1c5f3a2b1c", "scan"),
            ("v12/a", "scan"),
            ("login", "scan"),
            ("", "scan"),
        ] {
            assert_eq!(kind(path), expected, "{path}");
            assert!(UNKNOWN_KINDS.contains(&expected));
        }
    }
}
