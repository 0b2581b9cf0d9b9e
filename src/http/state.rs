//! What handlers share. It lies below them, so that no handler needs the router.

use tokio::sync::watch;

use super::budget::Budget;
use crate::{
    config::Loaded,
    ingest::{Ingest, health::Health},
    lifecycle::Lifecycle,
    telemetry::metrics::Metrics,
};

/// Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// Takes pings.
    pub ingest: Ingest,
    /// The effective configuration.
    pub config: watch::Receiver<Loaded>,
    /// Whether the store takes rows.
    pub health: Health,
    /// Whether the process starts, runs or stops.
    pub lifecycle: Lifecycle,
    /// What is counted.
    pub metrics: Metrics,
    /// The memory for bodies.
    pub budget: Budget,
}
