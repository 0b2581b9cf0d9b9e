//! Logs refused reports: the first of a kind, then their number; each one only at level `debug`.

use super::error::Refusal;
use crate::telemetry::{request::Named, storm::Storm};

/// One storm for each outcome.
#[derive(Debug, Default)]
pub struct Refusals {
    invalid: Storm,
    too_large: Storm,
    unavailable: Storm,
}

impl Refusals {
    /// Logs a refusal, unless one of its kind was logged recently.
    pub fn tell(&self, refusal: Refusal, route: &'static str, named: &Named) {
        let outcome = refusal.outcome();
        let storm = match outcome {
            "too_large" => &self.too_large,
            "unavailable" => &self.unavailable,
            _ => &self.invalid,
        };
        if storm.begins(move |count| tracing::info!(count, outcome, "more reports refused")) {
            let (id, trace) = (&named.id, named.trace_id());
            tracing::info!(request = %id, trace, route, outcome, reason = %refusal, "report refused");
        }
    }
}
