//! What handlers share. It lies below them, so that no handler needs the router.

use std::sync::Arc;

use tokio::sync::watch;

use super::{budget::Budgets, refusals::Refusals, unknown::Unknown};
use crate::{
    config::Loaded,
    ingest::{Ingest, health::Health},
    lifecycle::Lifecycle,
    messages,
    telemetry::metrics::Metrics,
};

/// Shared by all requests.
pub struct AppState {
    /// Takes pings.
    pub ingest: Ingest,
    /// The messages in force.
    pub messages: messages::Current,
    /// The effective configuration.
    pub config: watch::Receiver<Loaded>,
    /// Whether the store takes rows.
    pub health: Health,
    /// Whether the process starts, runs or stops.
    pub lifecycle: Lifecycle,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The memory for bodies.
    pub budgets: Budgets,
    /// What is said of refused reports.
    pub refusals: Refusals,
    /// What is said of reports of an unknown kind.
    pub unknown: Unknown,
}

/// As handlers get it: a clone for each request must be one count, not twenty.
pub type Shared = Arc<AppState>;
